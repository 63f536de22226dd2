"""GraphQL at one address: POST and GET by Strawberry, the socket by `transport_ws`.

Nothing runs before the credential is known: 401 on HTTP, close code 4403 on a socket.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fastapi.routing import APIWebSocketRoute
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket
from strawberry.fastapi import GraphQLRouter

from app.domain.limits import Limits, SocketLimits
from app.graphql.context import Context
from app.graphql.loaders import Loaders
from app.graphql.protocols.transport_ws import socket_endpoint
from app.graphql.schema import Schema

# A host that is not a host would make no URI.
_HOST = re.compile(r"([A-Za-z0-9.\-_~]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class Router(GraphQLRouter[Context, None]):
    def decode_json(self, data: str | bytes) -> object:
        """JSONDecodeError for JSON that is deeper than Python reads, too."""
        try:
            return super().decode_json(data)
        except RecursionError:
            raise json.JSONDecodeError("Is nested too deeply", "", 0) from None


def address_of(connection: HTTPConnection) -> str:
    """The server's address as the client wrote it; that of the socket where it wrote none."""
    scheme = {"ws": "http", "wss": "https"}.get(connection.scope["scheme"])
    name, port = connection.scope.get("server") or ("", None)
    named = (connection.headers.get("host", ""), f"{name}:{port}", "localhost")
    host = next(each for each in named if _HOST.fullmatch(each))
    root = quote(connection.scope.get("root_path", ""))
    return f"{scheme or connection.scope['scheme']}://{host}{root}"


def graphql_router(
    schema: Schema, limits: Limits, sockets: SocketLimits, public_url: str | None = None
) -> Router:
    """`public_url`: the server as its clients address it; without it, as each of them did."""

    def context(connection: HTTPConnection, **more: Any) -> Context:
        state, client = connection.app.state, connection.client
        return Context(
            state.access,
            state.feed,
            limits,
            Loaders,
            public_url or address_of(connection),
            client and client.host,
            **more,
        )

    async def of_request(request: Request) -> Context:
        made = context(request, asked_at=datetime.now(UTC))
        await made.authenticate(request.headers)
        return made

    def of_socket(socket: WebSocket) -> Context:
        return context(socket, access_ended=socket.app.state.feed.ending())

    router = Router(schema, path="/graphql", graphql_ide=None, context_getter=of_request)
    router.routes[:] = [
        route for route in router.routes if not isinstance(route, APIWebSocketRoute)
    ]
    router.add_api_websocket_route("/graphql", socket_endpoint(schema, sockets, of_socket))
    return router
