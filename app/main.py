"""The composition root: everything is made and joined here, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog
from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from fastapi.telemetry import TelemetryConfig
from starlette.routing import Route

from app.domain.shared.problems import RequestError
from app.graphql.schema import build_schema
from app.graphql.transport.router import graphql_routes
from app.http import cloudevents, graphiql, probes, type_schemas
from app.http.cross_origin import CrossOrigin, Origins
from app.http.errors import answer_errors
from app.http.requests import Requests
from app.http.shortcut import Shortcut
from app.services.auth.access import Access, authenticate
from app.services.auth.auth_throttle import Throttle
from app.services.auth.organizations import bootstrap
from app.services.auth.rate_limits import Rates
from app.services.auth.tokens import Tokens
from app.services.change_log.feed import Feed
from app.services.runtime.health import Vitals
from app.settings import Settings
from app.store.engine.database import Database
from app.store.migrate import migrate

log = structlog.get_logger(__name__)

# Spans of requests, where OTEL_EXPORTER_OTLP_ENDPOINT says to whom; operations add their own.
_TELEMETRY: TelemetryConfig = {
    "auto_configure": True,
    "metrics": False,
    "logs": False,  # they would carry messages of exceptions out of the house
    "operation_spans": False,
}


async def prepare(settings: Settings, *, new_epoch: bool = False) -> str | None:
    """Brings the database up to date. Returns the administrator's key of one that was empty."""
    database = Database(settings.database_url)
    try:
        await migrate(database.url, new_epoch=new_epoch)
        key = await bootstrap(database, settings.bootstrap_key, datetime.now(UTC))
        if key is None and settings.bootstrap_key is not None:
            await _check_bootstrap_key(database, settings.bootstrap_key)
        return key
    finally:
        await database.close()


async def _check_bootstrap_key(database: Database, key: str) -> None:
    try:
        await authenticate(Access(database), f"Bearer {key}")
    except RequestError:
        log.warning("bootstrap_key_ignored", why="it is for an empty database; this one has keys")


def tokens_of(settings: Settings) -> Tokens:
    secret = settings.jwt_secret
    return Tokens(
        secret=None if secret is None else secret.get_secret_value(),
        jwks_url=settings.jwt_jwks_url,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        leeway_seconds=settings.jwt_leeway_seconds,
    )


def create_app(settings: Settings) -> FastAPI:
    """The server, for a database that is prepared. TokenSettingsError."""
    tokens = tokens_of(settings)
    if tokens.accepted and None in (settings.jwt_issuer, settings.jwt_audience):
        log.warning("tokens_for_others_taken", why="set TOCSIN_JWT_ISSUER and TOCSIN_JWT_AUDIENCE")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.database_url)
        access = Access(
            database,
            tokens if tokens.accepted else None,
            Throttle(settings.slowing),
            rates=Rates(settings.requests),
        )
        app.state.access = access
        try:
            buffer = settings.buffer_entries, settings.buffer_bytes
            async with (
                access.uses.written_to(database),
                access.endings.watched(database),
                Feed(database, *buffer) as app.state.feed,
            ):
                vitals = Vitals(database, app.state.feed, settings.ready_lag_seconds)
                async with vitals.watching() as app.state.vitals:
                    yield
        finally:
            await tokens.close()
            await database.close()

    app = FastAPI(
        title="Tocsin",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=_TELEMETRY,
    )
    app.state.limits = settings.limits
    app.state.body_seconds = settings.requests.body_seconds
    app.state.listeners = set()
    graphql, sockets = graphql_routes(
        build_schema(settings.documents, settings.requests, settings.limits),
        settings.limits,
        settings.sockets,
        settings.public_url,
    )
    # Each is around the one before.
    app.add_middleware(Shortcut, route=graphql)
    app.state.origins = Origins.read(settings.cors_origins, settings.public_url)
    if app.state.origins.others:
        app.add_middleware(CrossOrigin, app.state.origins)
    app.add_middleware(Requests, log_requests=settings.log_requests)
    answer_errors(app)
    app.include_router(probes.router)
    if settings.metrics:
        app.include_router(probes.metrics_router(settings.metrics_token))
    app.include_router(type_schemas.router)
    app.include_router(cloudevents.router)
    app.router.routes.append(graphiql.PageRoute("/graphql"))
    app.router.routes.append(Route("/", RedirectResponse("/graphql")))
    app.mount("/graphql/assets", graphiql.assets())
    app.router.routes += [graphql, sockets]
    return app
