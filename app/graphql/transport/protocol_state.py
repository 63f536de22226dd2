"""Protocol state of a WebSocket connection: which messages are allowed next. No I/O."""

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
    """Validates messages by the state. `active`: IDs of the running operations."""

    def __init__(self, limits: SocketLimits, active: Container[str]) -> None:
        self.initialised = False
        self.acknowledged = False
        self._limits = limits
        self._active = active

    def parse_frame(self, frame: str | bytes) -> Message | Close:
        """Returns the message in a frame, or the close code and reason if it is not allowed."""
        max_bytes = self._limits.message_bytes
        if len(frame) > max_bytes or (isinstance(frame, str) and len(frame.encode()) > max_bytes):
            reason = f"The message is too large; the maximum is {max_bytes:,} bytes."
            return Close(CloseCode.MESSAGE_TOO_BIG, reason)
        message = parse_message(frame, self._limits.operation_id_characters)
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
