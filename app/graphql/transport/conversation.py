"""Where a socket is in the protocol: what may be said next. Nothing here waits."""

from __future__ import annotations

from collections.abc import Container

from app.domain.shared.limits import SocketLimits
from app.graphql.transport.messages import (
    Close,
    CloseCode,
    ConnectionInit,
    Message,
    Subscribe,
    parse,
)


class Conversation:
    """`active` holds the ids of the operations that go on: whoever runs them keeps it true."""

    def __init__(self, limits: SocketLimits, active: Container[str]) -> None:
        self.initialised = False
        self.acknowledged = False
        self._limits = limits
        self._active = active

    def hear(self, frame: str | bytes) -> Message | Close:
        """The message in a frame, if it may be said now; else why the socket is closed."""
        most = self._limits.message_bytes
        if len(frame) > most or (isinstance(frame, str) and len(frame.encode()) > most):
            return Close(CloseCode.MESSAGE_TOO_BIG, f"A message has at most {most:,} bytes.")
        message = parse(frame, self._limits.id_characters)
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
