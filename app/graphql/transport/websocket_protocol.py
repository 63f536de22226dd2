"""WebSocket protocol that buffers frames: frames with `"more": True` are sent in one write with the
next ones. A batch for many sockets is written to each directly, without waking a task.

All code that depends on uvicorn's protocol class is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from app.services.change_log.broadcast import EncodedBatch

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from websockets.http11 import Request

_EXTENSION = "tocsin.sender"
_MAX_BUFFERED_BYTES = 65_536  # buffered by the connection before its sender has to wait
_MIN_COMPRESSED_BYTES = 1_024  # compressing shorter texts is not worth it
_TEXT_FRAME = 0x81  # the first byte of a text frame that is a whole message


class BufferedWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol with support for `"more": True`, which other servers ignore."""

    _buffered_bytes = 0

    def handle_ping(self) -> None:
        if self.writable.is_set() or self._buffered_bytes:
            self._buffered_bytes = 0
            super().handle_ping()
        else:
            self.conn.data_to_send()  # otherwise pongs accumulate for a client that does not read

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            cast("dict[str, Any]", self.scope["extensions"])[_EXTENSION] = self._create_sender

    async def send(self, message: Any) -> None:
        fields: dict[str, Any] = dict(message)
        if fields.get("more") and self._reserve_buffer(len(fields["text"])):
            try:
                self.conn.send_text(fields["text"].encode())
            except InvalidState:
                raise ClientDisconnected from None
            return
        # The next write sends the buffered frames, too.
        self._buffered_bytes = 0
        if message["type"] == "websocket.close":
            # Queue the close frame behind the data, even if the client does not read: it then
            # gets the close reason when it reads on.
            self.writable.set()
        await super().send(message)

    def _create_sender(self, prefix: bytes) -> BatchSender:
        max_bytes = _MIN_COMPRESSED_BYTES if self.conn.extensions else _MAX_BUFFERED_BYTES
        return BatchSender(prefix, max_bytes, self.transport)

    def _reserve_buffer(self, size: int) -> bool:
        self._buffered_bytes += size
        open_for_frames = self.handshake_complete and not self.close_sent
        return open_for_frames and self._buffered_bytes < _MAX_BUFFERED_BYTES


class BatchSender:
    """Sends a batch of payloads on one socket in one write, each with `prefix` and a closing brace.

    Returns False and sends nothing if the client has not read earlier data or is gone, if the
    sender is closed, or if the batch is too large for one write.

    One event may call a thousand senders. Checking socket and protocol, too, spent a quarter of
    the time on memory access, so a sender checks only itself and the transport.
    """

    __slots__ = ("_max_bytes", "_prefix", "_transport", "closed")

    def __init__(self, prefix: bytes, max_bytes: int, transport: Any) -> None:
        self._prefix = prefix
        self._max_bytes = max_bytes
        self._transport = transport
        self.closed = False

    def __call__(self, batch: EncodedBatch) -> bool:
        transport = self._transport
        if self.closed or len(self._prefix) + batch.size > self._max_bytes:
            return False
        if transport.get_write_buffer_size() or transport.is_closing():
            return False
        transport.write(_encode_frames(self._prefix, batch))
        return True


def create_batch_sender(scope: MutableMapping[str, Any], prefix: bytes) -> BatchSender | None:
    """Creates a sender for the socket of this scope; None on other servers."""
    create_sender: Callable[[bytes], BatchSender] | None = (scope.get("extensions") or {}).get(
        _EXTENSION
    )
    return create_sender and create_sender(prefix)


def _encode_frames(prefix: bytes, batch: EncodedBatch) -> bytes:
    """Returns the frames of a batch. They are cached by prefix and by its length, because many
    clients use the same operation ID, or IDs of the same length.
    """
    if batch.last_frames[0] != prefix:
        parts = batch.frames_by_prefix_size.get(len(prefix)) or _build_frame_parts(
            batch, len(prefix)
        )
        batch.last_frames = prefix, b"".join([header + prefix + suffix for header, suffix in parts])
    return batch.last_frames[1]


def _build_frame_parts(batch: EncodedBatch, prefix_size: int) -> list[tuple[bytes, bytes]]:
    """Builds header and suffix of each frame for a prefix of this size, and caches them."""
    parts = [(_frame_header(prefix_size + len(text) + 1), text + b"}") for text in batch]
    batch.frames_by_prefix_size[prefix_size] = parts
    return parts


def _frame_header(length: int) -> bytes:
    """Returns the header of a text frame (RFC 6455)."""
    if length < 126:
        return bytes((_TEXT_FRAME, length))
    if length < 65_536:
        return bytes((_TEXT_FRAME, 126)) + length.to_bytes(2, "big")
    return bytes((_TEXT_FRAME, 127)) + length.to_bytes(8, "big")
