"""How much of a process one credential, and one socket, may take up. Nothing here waits."""

from __future__ import annotations

from collections.abc import Hashable
from weakref import WeakSet

from app.domain.shared.limits import SocketLimits
from app.domain.shared.problems import ErrorCode, RequestError
from app.request_io import RETRY_SECONDS


class Place:
    """Of one socket or stream. It is free again when it is left, or when nobody holds it."""

    def __init__(self, of: dict[Hashable, WeakSet[Place]], credential: Hashable) -> None:
        self._of = of
        self._credential = credential
        of.setdefault(credential, WeakSet()).add(self)

    def leave(self) -> None:
        places = self._of.get(self._credential, WeakSet())
        places.discard(self)
        if not places:
            self._of.pop(self._credential, None)


class Places:
    """All of a process."""

    def __init__(self, limits: SocketLimits) -> None:
        self._most = limits.per_credential
        self._of: dict[Hashable, WeakSet[Place]] = {}

    def take(self, credential: Hashable) -> Place:
        """RequestError LIMIT_EXCEEDED when the credential has as many as it may."""
        if len(self._of.get(credential, ())) >= self._most:
            told = f"A credential has at most {self._most:,} sockets and streams at a time."
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, told, retry_after=RETRY_SECONDS)
        return Place(self._of, credential)


class Pace:
    """The messages of one socket: a few at once, and then so many a second."""

    def __init__(self, limits: SocketLimits) -> None:
        self._seconds_each = 1 / limits.messages_per_second
        self._ahead = (limits.messages_at_once - 1) * self._seconds_each
        self._due = float("-inf")

    def wait_for(self, now: float) -> float:
        """The seconds until the message that has come at this instant may be read."""
        wait = max(0.0, self._due - self._ahead - now)
        self._due = max(self._due, now) + self._seconds_each
        return wait
