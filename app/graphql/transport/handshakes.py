"""How a socket begins: who may open one, and the subprotocol that is spoken here."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from app.domain.shared.limits import SocketLimits
from app.graphql.schema import Schema
from app.graphql.shared.context import Context
from app.graphql.transport.connection_slots import Places
from app.graphql.transport.messages import PROTOCOL, CloseCode
from app.graphql.transport.transport_ws import Socket


def socket_endpoint(
    schema: Schema,
    limits: SocketLimits,
    make_context: Callable[[WebSocket], Context],
    places: Places,
) -> Callable[[WebSocket], Awaitable[None]]:
    async def serve_socket(websocket: WebSocket) -> None:
        with contextlib.suppress(OSError, WebSocketDisconnect):  # it left before it was greeted
            if not websocket.app.state.origins.admit(websocket.headers):
                await websocket.close()  # before it is accepted: the handshake is answered by 403
            elif PROTOCOL not in websocket.scope["subprotocols"]:
                await websocket.accept()
                reason = "Subprotocol not acceptable"
                await websocket.close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, reason)
            else:
                await websocket.accept(PROTOCOL)
                context = make_context(websocket)
                await Socket(websocket, schema, limits, context, places).serve()

    return serve_socket
