"""GraphQL as an application beside FastAPI's: POST requests and WebSockets, nearly all traffic.

Neither a router nor FastAPI's own middleware is on the way: they take time for each message, and
memory for each connection. GET requests, which may be for the page GraphiQL, have a route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from app.domain.shared.problems import RequestError
from app.http.errors import error_response
from app.http.request_middleware import get_route_path
from app.store.engine.database_errors import DATABASE_ERRORS

_PATHS = ("/graphql", "/graphql/")


class GraphQLApp:
    """Responds by the endpoints that the routes have, too."""

    def __init__(
        self,
        http_endpoint: Callable[[Request], Awaitable[Response]],
        websocket_endpoint: Callable[[WebSocket], Awaitable[None]],
    ) -> None:
        self._http_endpoint = http_endpoint
        self._websocket_endpoint = websocket_endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await self._websocket_endpoint(WebSocket(scope, receive, send))
        try:
            response = await self._http_endpoint(Request(scope, receive, send))
        except (RequestError, *DATABASE_ERRORS) as error:
            response = error_response(error)
        return await response(scope, receive, send)


def is_graphql_request(scope: Scope) -> bool:
    """Whether it is a POST request or a WebSocket connection of GraphQL."""
    is_served = scope["type"] == "websocket" or scope.get("method") == "POST"
    return is_served and get_route_path(scope) in _PATHS
