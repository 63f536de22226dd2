"""GraphQL over HTTP as an application beside FastAPI's: POST requests, nearly all of the traffic.

Neither a router nor FastAPI's own middleware is on the way. GET requests, which may be for the page
GraphiQL, and WebSockets have routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.domain.shared.problems import RequestError
from app.http.errors import error_response
from app.http.request_middleware import get_route_path
from app.store.engine.database_errors import DATABASE_ERRORS

_PATHS = ("/graphql", "/graphql/")


class GraphQLApp:
    """Responds by the endpoint that the routes have, too."""

    def __init__(self, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._endpoint(Request(scope, receive, send))
        except (RequestError, *DATABASE_ERRORS) as error:
            response = error_response(error)
        await response(scope, receive, send)


def is_graphql_post(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] == "POST" and get_route_path(scope) in _PATHS
