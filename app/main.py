"""The composition root: creates the application and all of its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from starlette.types import ASGIApp, Receive, Scope, Send

from app import metrics
from app.domain.channels.addresses import parse_networks
from app.graphql.schema import Schema, build_schema
from app.graphql.transport.router import create_graphql_routes
from app.http import cloudevents, console, graphiql, probes, sources, type_schemas
from app.http.cross_origin import AllowedHeaders, AllowedOrigins, CrossOriginMiddleware
from app.http.errors import register_error_handlers
from app.http.graphql_app import GraphQLApp, is_graphql_request
from app.http.request_middleware import RequestMiddleware, move_path_token
from app.http.webhook_handshake import WebHookHandshake
from app.services.auth.access import Access
from app.services.auth.auth_throttle import AuthThrottle
from app.services.auth.rate_limits import RateLimits
from app.services.change_log.feed import Feed
from app.services.change_log.notification_summaries import NotificationSummaries
from app.services.change_log.silence_expiry import start_ringing
from app.services.channels.apprise_sending import AppriseSender
from app.services.channels.channel_totals import start_measuring_channels
from app.services.channels.channels import ChannelTools
from app.services.channels.delivering import start_delivering
from app.services.channels.encryption import SecretKeys
from app.services.channels.sending import AddressPolicy, WebhookSender
from app.services.events.alert_keys import start_removing_unused_keys
from app.services.retention.application import start_applying_policies
from app.services.runtime.guard_checks import start_checking_guards
from app.services.runtime.health import HealthMonitor
from app.services.runtime.search_renewal import start_renewing_words
from app.settings import Settings
from app.store.engine.database import Database
from app.token_settings import create_token_verifier

log = structlog.get_logger(__name__)

# Request spans, exported if OTEL_EXPORTER_OTLP_ENDPOINT is set; operations add spans of their own.
_TELEMETRY: TelemetryConfig = {
    "auto_configure": True,
    "metrics": False,
    "logs": False,  # they would export exception messages
    "operation_spans": False,
}


class Application(FastAPI):
    """FastAPI's application, with that of GraphQL beside it. No token in a path reaches them.

    `traces_requests`: all requests pass FastAPI, which creates their spans.
    """

    graphql: ASGIApp
    traces_requests = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_graphql_request(scope) and not self.traces_requests:
            scope["app"] = self
            await self.graphql(scope, receive, send)
        else:
            await super().__call__(move_path_token(scope), receive, send)


def create_app(settings: Settings, schema: Schema | None = None) -> FastAPI:
    """Creates the ASGI app. The database must be prepared. Raises TokenSettingsError.

    `schema`: one with the limits of `settings`, which several apps of a process may share.
    """
    tokens = create_token_verifier(settings)
    if tokens is not None and None in (settings.jwt_issuer, settings.jwt_audience):
        log.warning(
            "token_audience_not_checked",
            reason="Access tokens that were issued for other services are accepted, too. To "
            "prevent this, set TOCSIN_JWT_ISSUER and TOCSIN_JWT_AUDIENCE.",
        )

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        # FastAPI has configured the export of spans now.
        provider = trace.get_tracer_provider()
        app.traces_requests = not isinstance(provider, trace.ProxyTracerProvider)
        database = Database(settings.database_url, settings.database_direct_url, settings.database)
        access = Access(
            database,
            tokens,
            AuthThrottle(settings.failed_auth),
            rate_limits=RateLimits(settings.requests),
        )
        app.state.access = access
        buffer = settings.subscriptions
        networks = parse_networks(settings.channel_networks) if settings.channel_networks else ()
        try:
            async with (
                access.key_uses.start_flushing(database),
                access.credential_watcher.start_watching(database),
                start_renewing_words(database),
                start_checking_guards(database, settings.limits),
                start_ringing(database),
                start_applying_policies(database, settings.retention, settings.limits),
                start_removing_unused_keys(database),
                Feed(database, buffer.buffer_messages, buffer.buffer_bytes) as app.state.feed,
                NotificationSummaries(database, app.state.feed) as app.state.notification_summaries,
                WebhookSender(
                    AddressPolicy(networks, settings.channels), settings.channels
                ) as sender,
            ):
                apprise = AppriseSender(networks, settings.channels)
                app.state.channel_tools = _create_channel_tools(settings, sender, apprise)
                monitor = HealthMonitor(database, app.state.feed)
                async with (
                    start_delivering(database, app.state.feed, app.state.channel_tools),
                    start_measuring_channels(database),
                    monitor.start_monitoring() as app.state.health_monitor,
                ):
                    yield
        finally:
            if tokens is not None:
                await tokens.close()
            await database.close()

    app = Application(
        title="Tocsin",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # the middleware accepts paths with a trailing slash
        telemetry=_TELEMETRY,
    )
    app.state.limits = settings.limits
    app.state.severity_map = settings.severity_map or {}
    app.state.body_timeout_seconds = settings.requests.body_timeout_seconds
    app.state.listeners = set()
    app.state.stopping = app.state.draining = False
    schema = schema or build_schema(settings.documents, settings.requests, settings.limits)
    metrics.create_series(schema.list_root_fields())
    graphql, sockets = create_graphql_routes(
        schema,
        settings.limits,
        settings.sockets,
        settings.public_url,
    )
    app.state.origins = AllowedOrigins(settings.cors_origins, settings.public_url)
    app.state.webhook_handshake = WebHookHandshake(
        settings.webhook_origins, settings.requests.points_per_minute
    )
    allowed_headers = AllowedHeaders(settings.cors_headers)

    def wrap_application(inner: ASGIApp) -> ASGIApp:
        """Adds what all requests have in common."""
        with_cors = CrossOriginMiddleware(inner, app.state.origins, allowed_headers)
        return RequestMiddleware(with_cors, settings.access_log, app.state)

    app.add_middleware(wrap_application)
    app.graphql = wrap_application(GraphQLApp(graphql.endpoint, sockets.endpoint))
    register_error_handlers(app)
    app.include_router(probes.router)
    if settings.metrics:
        is_behind_proxy = settings.public_url is not None or settings.trusted_proxies is not None
        app.include_router(
            probes.create_metrics_router(settings.metrics_token, is_behind_proxy=is_behind_proxy)
        )
    app.include_router(type_schemas.router)
    app.include_router(cloudevents.router)
    app.include_router(sources.router)
    app.router.routes.append(graphiql.GraphiQLRoute("/graphql"))
    app.router.routes += console.create_routes(_provider_sign_in(settings))
    app.mount("/graphql/assets", graphiql.create_assets_app())
    app.mount("/console/assets", console.create_assets_app())
    app.router.routes += [graphql, sockets]
    return app


def _provider_sign_in(settings: Settings) -> console.ProviderSignIn | None:
    if settings.oidc_client_id is None:
        return None
    return console.ProviderSignIn(
        issuer=settings.jwt_issuer or "",  # required by the settings, like the audience
        client_id=settings.oidc_client_id,
        scope=settings.oidc_scope,
        audience=settings.jwt_audience or "",
        resource=settings.oidc_resource,
        token_origin=settings.oidc_token_origin,
        display_name_claim=settings.oidc_display_name_claim,
    )


def _create_channel_tools(
    settings: Settings, sender: WebhookSender, apprise: AppriseSender
) -> ChannelTools:
    secret = settings.secrets_keys
    keys = None if secret is None else SecretKeys(secret.get_secret_value().split(","))
    return ChannelTools(keys, sender, apprise, settings.channels, settings.public_url)
