"""The composition root: everything is made and joined here, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from fastapi.telemetry import TelemetryConfig
from starlette.routing import Route

from app.graphql.schema import build_schema
from app.graphql.transport.router import graphql_routes
from app.http import cloudevents, graphiql, probes, type_schemas
from app.http.cross_origin import CrossOrigin, Origins
from app.http.errors import answer_errors
from app.http.requests import Requests
from app.http.shortcut import Shortcut
from app.services.auth.access import Access
from app.services.auth.auth_throttle import Throttle
from app.services.auth.rate_limits import Rates
from app.services.change_log.feed import Feed
from app.services.runtime.health import Vitals
from app.settings import Settings
from app.store.engine.database import Database
from app.token_settings import tokens_of

log = structlog.get_logger(__name__)

# Spans of requests, where OTEL_EXPORTER_OTLP_ENDPOINT says to whom; operations add their own.
_TELEMETRY: TelemetryConfig = {
    "auto_configure": True,
    "metrics": False,
    "logs": False,  # they would carry messages of exceptions out of the house
    "operation_spans": False,
}


def create_app(settings: Settings) -> FastAPI:
    """The server, for a database that is prepared. TokenSettingsError."""
    tokens = tokens_of(settings)
    if tokens is not None and None in (settings.jwt_issuer, settings.jwt_audience):
        log.warning("tokens_for_others_taken", why="set TOCSIN_JWT_ISSUER and TOCSIN_JWT_AUDIENCE")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.database_url)
        access = Access(
            database,
            tokens,
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
            if tokens is not None:
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
