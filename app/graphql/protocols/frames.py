"""How frames leave: those that more are said to follow wait for these, and go in one write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

_TOGETHER_BYTES = 65_536  # what the connection buffers before its sender has to wait


class Frames(WebSocketsSansIOProtocol):
    """uvicorn's, for messages of ASGI with `"more": True`: other servers take no notice of it."""

    _held_bytes = 0

    async def send(self, message: ASGISendEvent) -> None:
        said: dict[str, Any] = dict(message)
        if said.get("more") and self._holds(len(said["text"])):
            try:
                self.conn.send_text(said["text"].encode())
            except InvalidState:
                raise ClientDisconnected from None
            return
        # Whatever is written next takes along what waits.
        self._held_bytes = 0
        await super().send(message)

    def _holds(self, size: int) -> bool:
        self._held_bytes += size
        open_for_frames = self.handshake_complete and not self.close_sent
        return open_for_frames and self._held_bytes < _TOGETHER_BYTES
