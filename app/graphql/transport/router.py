"""GraphQL at one address: POST and GET by `http`, the socket by `transport_ws`.

Nothing runs before the credential is known: 401 on HTTP, close code 4403 on a socket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.requests import HTTPConnection, Request
from starlette.routing import Route, WebSocketRoute

from app.domain.shared.limits import Limits, SocketLimits
from app.graphql.loaders import Loaders
from app.graphql.schema import Schema
from app.graphql.shared.context import Context
from app.graphql.transport.connection_slots import Places
from app.graphql.transport.handshakes import socket_endpoint
from app.graphql.transport.http import http_endpoint

# A host that is not a host would make no URI.
_HOST = re.compile(r"([A-Za-z0-9.\-_~]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def address_of(connection: HTTPConnection) -> str:
    """The server's address as the client wrote it; that of the socket where it wrote none."""
    scheme = {"ws": "http", "wss": "https"}.get(connection.scope["scheme"])
    name, port = connection.scope.get("server") or ("", None)
    named = (connection.headers.get("host", ""), f"{name}:{port}", "localhost")
    host = next(each for each in named if _HOST.fullmatch(each))
    root = quote(connection.scope.get("root_path", ""))
    return f"{scheme or connection.scope['scheme']}://{host}{root}"


def graphql_routes(
    schema: Schema, limits: Limits, sockets: SocketLimits, public_url: str | None = None
) -> tuple[Route, WebSocketRoute]:
    """`public_url`: the server as its clients address it; without it, as each of them did."""

    def context(
        connection: HTTPConnection,
        asked_at: datetime | None = None,
        last_event_id: str | None = None,
    ) -> Context:
        state, client = connection.app.state, connection.client
        return Context(
            state.access,
            state.feed,
            limits,
            Loaders,
            lambda: public_url or address_of(connection),
            client and client.host,
            asked_at,
            last_event_id,
        )

    async def of_request(request: Request, said: Mapping[str, str]) -> Context:
        made = context(request, datetime.now(UTC), said.get("last-event-id"))
        await made.authenticate(said)
        return made

    places = Places(sockets)
    http = http_endpoint(schema, of_request, limits.message_bytes, sockets.ping_seconds, places)
    return (
        Route("/graphql", http, methods=["GET", "POST"]),
        WebSocketRoute("/graphql", socket_endpoint(schema, sockets, context, places)),
    )
