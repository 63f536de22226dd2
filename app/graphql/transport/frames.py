"""How frames leave: those that more are said to follow wait for these, and go in one write. What
many sockets get alike is written to each at once, and no task is woken for it.

All that touches uvicorn's own protocol is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from app.services.change_log.broadcast import Texts

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from uvicorn._types import ASGISendEvent
    from websockets.http11 import Request

_EXTENSION = "tocsin.sender"
_TOGETHER_BYTES = 65_536  # what the connection buffers before its sender has to wait
_COMPRESSED_BYTES = 1_024  # shorter texts are not worth it
_TEXT = 0x81  # the first byte of a text frame that is a whole message


class Frames(WebSocketsSansIOProtocol):
    """uvicorn's, for messages of ASGI with `"more": True`: other servers take no notice of it."""

    _held_bytes = 0

    def handle_ping(self) -> None:
        if self.writable.is_set() or self._held_bytes:
            self._held_bytes = 0
            super().handle_ping()
        else:
            self.conn.data_to_send()  # pongs to who reads none would pile up

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            cast("dict[str, Any]", self.scope["extensions"])[_EXTENSION] = self._sender

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
        if message["type"] == "websocket.close":
            # Not when the client takes something, but behind all that waits for it: who reads on
            # finds out why.
            self.writable.set()
        await super().send(message)

    def _sender(self, before: bytes) -> Sender:
        most = _COMPRESSED_BYTES if self.conn.extensions else _TOGETHER_BYTES
        return Sender(before, most, self.transport)

    def _holds(self, size: int) -> bool:
        self._held_bytes += size
        open_for_frames = self.handshake_complete and not self.close_sent
        return open_for_frames and self._held_bytes < _TOGETHER_BYTES


class Sender:
    """Sends texts on one socket now, each between `before` and the brace that closes it, in one
    write. Or it says False, and sends nothing: when the client has not taken what was sent, when it
    is gone or the sender `ended`, or when they had better go one by one.

    A thousand are asked for one event. As long as each asked its socket and its protocol how they
    are, a quarter of the time was waiting for memory: it looks at itself and at the transport.
    """

    __slots__ = ("_before", "_most", "_transport", "ended")

    def __init__(self, before: bytes, most: int, transport: Any) -> None:
        self._before = before
        self._most = most
        self._transport = transport
        self.ended = False

    def __call__(self, texts: Texts) -> bool:
        transport = self._transport
        if self.ended or len(self._before) + texts.size > self._most:
            return False
        if transport.get_write_buffer_size() or transport.is_closing():
            return False
        transport.write(_framed(self._before, texts))
        return True


def sender_of(scope: MutableMapping[str, Any], before: bytes) -> Sender | None:
    """Of the socket of this scope; None on servers other than ours."""
    make: Callable[[bytes], Sender] | None = (scope.get("extensions") or {}).get(_EXTENSION)
    return make and make(before)


def _framed(before: bytes, texts: Texts) -> bytes:
    """The messages as frames. Many clients give their operation the same id, others ids that are
    equally long.
    """
    if texts.framed[0] != before:
        around = texts.around.get(len(before)) or _around(texts, len(before))
        texts.framed = before, b"".join([head + before + rest for head, rest in around])
    return texts.framed[1]


def _around(texts: Texts, before: int) -> list[tuple[bytes, bytes]]:
    """What comes before and behind so many bytes of each message: kept for the next socket."""
    made = [(_head(before + len(text) + 1), text + b"}") for text in texts]
    texts.around[before] = made
    return made


def _head(length: int) -> bytes:
    """Of a text frame by RFC 6455."""
    if length < 126:
        return bytes((_TEXT, length))
    if length < 65_536:
        return bytes((_TEXT, 126)) + length.to_bytes(2, "big")
    return bytes((_TEXT, 127)) + length.to_bytes(8, "big")
