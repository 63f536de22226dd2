"""Limits of connections per credential and of messages per WebSocket connection. No I/O."""

from __future__ import annotations

from collections.abc import Hashable
from weakref import WeakSet

from app.domain.shared.limits import SocketLimits
from app.domain.shared.problems import ErrorCode, RequestError
from app.request_io import RETRY_AFTER_SECONDS


class ConnectionSlot:
    """Slot of one WebSocket connection or event stream. It is freed by `release` or the garbage
    collector.
    """

    def __init__(
        self, slots_by_credential: dict[Hashable, WeakSet[ConnectionSlot]], credential: Hashable
    ) -> None:
        self._slots_by_credential = slots_by_credential
        self._credential = credential
        slots_by_credential.setdefault(credential, WeakSet()).add(self)

    def release(self) -> None:
        slots = self._slots_by_credential.get(self._credential, WeakSet())
        slots.discard(self)
        if not slots:
            self._slots_by_credential.pop(self._credential, None)


class ConnectionSlots:
    """Connection slots of a process."""

    def __init__(self, limits: SocketLimits) -> None:
        self._max_per_credential = limits.sockets_per_credential
        self._slots_by_credential: dict[Hashable, WeakSet[ConnectionSlot]] = {}

    def acquire(self, credential: Hashable) -> ConnectionSlot:
        """Raises RequestError LIMIT_EXCEEDED if the credential has no free slot."""
        limit = self._max_per_credential
        if len(self._slots_by_credential.get(credential, ())) >= limit:
            message = (
                "This credential has too many WebSocket connections and event streams; the "
                f"maximum is {limit:,}. Close one of them."
            )
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, message, retry_after=RETRY_AFTER_SECONDS)
        return ConnectionSlot(self._slots_by_credential, credential)


class MessageRateLimiter:
    """Limits the message rate of one WebSocket connection, with a burst."""

    def __init__(self, limits: SocketLimits) -> None:
        self._interval_seconds = 1 / limits.messages_per_second
        self._burst_seconds = (limits.message_burst - 1) * self._interval_seconds
        self._next_due = float("-inf")

    def reserve_delay(self, now: float) -> float:
        """Returns the seconds to wait before a message received at `now` may be processed."""
        delay = max(0.0, self._next_due - self._burst_seconds - now)
        self._next_due = max(self._next_due, now) + self._interval_seconds
        return delay
