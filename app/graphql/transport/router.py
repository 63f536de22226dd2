"""Routes of GraphQL: HTTP and WebSocket at one path.

Nothing runs before authentication: 401 over HTTP, close code 4403 over a WebSocket.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.requests import HTTPConnection, Request
from starlette.routing import Route, WebSocketRoute

from app.domain.shared.limits import Limits, SocketLimits
from app.graphql.loaders import RequestLoaders
from app.graphql.plans.plan_executor import PlanExecutor
from app.graphql.schema import Schema
from app.graphql.shared.context import Context
from app.graphql.transport.connection_slots import ConnectionSlots
from app.graphql.transport.http_endpoint import create_http_endpoint
from app.graphql.transport.websocket_endpoint import create_websocket_endpoint
from app.request_io import authenticate_request, get_client_address, get_header

# Other values of Host would make an invalid URI.
_HOST = re.compile(r"([A-Za-z0-9.\-_~]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def build_base_url(connection: HTTPConnection) -> str:
    """Returns the server's base URL by the Host header, or by the listening socket."""
    scheme = {"ws": "http", "wss": "https"}.get(connection.scope["scheme"])
    name, port = connection.scope.get("server") or ("", None)
    hosts = (connection.headers.get("host", ""), f"{name}:{port}", "localhost")
    host = next(candidate for candidate in hosts if _HOST.fullmatch(candidate))
    root = quote(connection.scope.get("root_path", ""))
    return f"{scheme or connection.scope['scheme']}://{host}{root}"


def create_graphql_routes(
    schema: Schema, limits: Limits, sockets: SocketLimits, public_url: str | None = None
) -> tuple[Route, WebSocketRoute]:
    """Creates the routes. `public_url`: base URL of the server; default: that of each request."""

    def create_context(
        connection: HTTPConnection,
        received_at: datetime | None = None,
        last_event_id: str | None = None,
    ) -> Context:
        state = connection.app.state
        return Context(
            state.access,
            state.feed,
            state.notification_summaries,
            state.channel_tools,
            limits,
            RequestLoaders,
            lambda: public_url or build_base_url(connection),
            get_client_address(connection.scope),
            received_at,
            last_event_id,
            state.severity_map,
        )

    async def create_authenticated_context(request: Request) -> Context:
        last_event_id = get_header(request.scope, b"last-event-id")
        context = create_context(request, datetime.now(UTC), last_event_id)
        context.authenticated_caller = await authenticate_request(request)
        return context

    executor, connection_slots = PlanExecutor(schema), ConnectionSlots(sockets)
    http_handler = create_http_endpoint(
        executor,
        create_authenticated_context,
        limits.body_bytes,
        sockets.ping_interval_seconds,
        connection_slots,
    )
    return (
        Route("/graphql", http_handler, methods=["GET", "POST"]),
        WebSocketRoute(
            "/graphql",
            create_websocket_endpoint(executor, sockets, create_context, connection_slots),
        ),
    )
