"""Dispatches POST /graphql, nearly all of the traffic, without matching the other routes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.shared.problems import RequestError
from app.http.errors import error_response
from app.store.engine.database_errors import DATABASE_ERRORS


class GraphQLFastPath:
    """Responds as the route does. Traced requests use the route, because it names their span."""

    def __init__(self, app: ASGIApp, route: Route) -> None:
        self._app = app
        self._endpoint = route.endpoint
        self._path = route.path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "POST"
            or scope["path"] != self._path
            or "fastapi.telemetry" in scope
        ):
            return await self._app(scope, receive, send)
        try:
            response = await self._endpoint(Request(scope, receive, send))
        except (RequestError, *DATABASE_ERRORS) as error:
            response = error_response(error)
        await response(scope, receive, send)
        return None
