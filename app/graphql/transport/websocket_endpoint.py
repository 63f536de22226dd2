"""WebSocket endpoint: checks the origin and the subprotocol."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from app.domain.shared.limits import SocketLimits
from app.graphql.plans.plan_executor import PlanExecutor
from app.graphql.shared.context import Context
from app.graphql.transport.connection_slots import ConnectionSlots
from app.graphql.transport.messages import PROTOCOL, CloseCode
from app.graphql.transport.transport_ws import WebSocketConnection


def create_websocket_endpoint(
    executor: PlanExecutor,
    limits: SocketLimits,
    create_context: Callable[[WebSocket], Context],
    connection_slots: ConnectionSlots,
) -> Callable[[WebSocket], Awaitable[None]]:
    async def serve_socket(websocket: WebSocket) -> None:
        with contextlib.suppress(
            OSError, WebSocketDisconnect
        ):  # the client disconnected during the handshake
            if not websocket.app.state.origins.allows_request(websocket.headers):
                await websocket.close()  # before it is accepted: the handshake fails with 403
            elif PROTOCOL not in websocket.scope["subprotocols"]:
                await websocket.accept()
                reason = "Subprotocol not acceptable"
                await websocket.close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, reason)
            else:
                await websocket.accept(PROTOCOL)
                context = create_context(websocket)
                await WebSocketConnection(
                    websocket, executor, limits, context, connection_slots
                ).serve()

    return serve_socket
