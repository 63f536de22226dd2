"""The composition root: everything is made and joined here, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.routing import Match, Route
from starlette.types import Scope

from app.graphql.protocols.router import graphql_router
from app.graphql.schema import build_schema
from app.http import graphiql, probes
from app.http.errors import answer_errors
from app.services.feed import Feed
from app.services.organizations import bootstrap
from app.settings import Settings
from app.store.database import Database
from app.store.migrate import migrate


class _PageRoute(Route):
    """Takes a browser that opens the address of the API as a page."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        asks_for_page = scope["type"] == "http" and "text/html" in Headers(scope=scope).get(
            "accept", ""
        )
        if not asks_for_page or b"query=" in scope["query_string"]:
            return Match.NONE, {}
        return super().matches(scope)


async def _page(_request: Request) -> Response:
    return graphiql.page()


async def prepare(settings: Settings) -> str | None:
    """Brings the database up to date. Returns the administrator's key of one that was empty."""
    database = Database(settings.database_url)
    try:
        await migrate(database.url)
        return await bootstrap(database, settings.bootstrap_key, datetime.now(UTC))
    finally:
        await database.close()


def create_app(settings: Settings) -> FastAPI:
    """The server, for a database that is prepared."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.database = Database(settings.database_url)
        try:
            async with Feed(app.state.database, settings.buffer_entries) as app.state.feed:
                yield
        finally:
            await app.state.database.close()

    app = FastAPI(
        title="Tocsin", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    answer_errors(app)
    app.include_router(probes.router)
    app.router.routes.append(_PageRoute("/graphql", _page))
    app.mount("/graphql/assets", graphiql.assets())
    app.include_router(graphql_router(build_schema(), settings.limits))
    return app
