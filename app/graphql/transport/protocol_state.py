"""Protocol state of a socket: which messages are allowed next. Nothing here waits."""

from __future__ import annotations

from collections.abc import Container

from app.domain.shared.limits import SocketLimits
from app.graphql.transport.messages import (
    Close,
    CloseCode,
    ConnectionInit,
    Message,
    Subscribe,
    parse_message,
)


class ProtocolState:
    """Checks messages against the state. `active`: IDs of the running operations."""

    def __init__(self, limits: SocketLimits, active: Container[str]) -> None:
        self.initialised = False
        self.acknowledged = False
        self._limits = limits
        self._active = active

    def parse_frame(self, frame: str | bytes) -> Message | Close:
        """Returns the message in a frame, or the reason to close the socket."""
        max_bytes = self._limits.message_bytes
        if len(frame) > max_bytes or (isinstance(frame, str) and len(frame.encode()) > max_bytes):
            return Close(CloseCode.MESSAGE_TOO_BIG, f"A message has at most {max_bytes:,} bytes.")
        message = parse_message(frame, self._limits.id_characters)
        if isinstance(message, ConnectionInit):
            if self.initialised:
                return Close(CloseCode.TOO_MANY_INITIALISATIONS, "Too many initialisation requests")
            self.initialised = True
        if isinstance(message, Subscribe):
            if not self.acknowledged:
                return Close(CloseCode.UNAUTHORIZED, "Unauthorized")
            if message.id in self._active:
                reason = f"Subscriber for {message.id} already exists"
                return Close(CloseCode.SUBSCRIBER_EXISTS, reason)
        return message
