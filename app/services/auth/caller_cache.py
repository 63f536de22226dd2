"""Callers that were looked up within the last second: requests by the same credential ask no more.

What another process revokes is refused a second later at most, as its sockets are ended; what this
one revokes, at once. Whether a credential has expired is asked every time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from app.domain.access.caller import Caller

GOOD_SECONDS = 1.0
RENEWED_SECONDS = 0.5
MOST = 10_000

Place = tuple[bytes, str | None]


def place_of(credential: str, organization_key: str | None) -> Place:
    """What a caller is remembered by: a credential, without keeping it, and what it asked for."""
    return hashlib.sha256(credential.encode(errors="replace")).digest(), organization_key


@dataclass
class Known:
    """`written`: the key's last use that the database had when it was looked up."""

    caller: Caller
    written: datetime | None
    looked_at: float
    renewing: bool = field(default=False)


@dataclass(frozen=True)
class Look:
    """A look-up that has begun: when, and after how many revocations."""

    at: float
    revocations: int


class Remembered:
    """Those that were looked up last, `MOST` at most. `clock`: seconds that never run back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[Place, Known] = {}
        self._revocations = 0

    def __len__(self) -> int:
        return len(self._known)

    def at(self, place: Place, now: datetime) -> Known | None:
        """Who is known there; None for who has to look it up.

        When half of its time is over one is sent to look, and the others are still answered.
        """
        known = self._known.get(place)
        if known is None:
            return None
        age = self._clock() - known.looked_at
        if age >= RENEWED_SECONDS and (age >= GOOD_SECONDS or not known.renewing):
            known.renewing = True
            return None
        expires_at = known.caller.expires_at
        return known if expires_at is None or now < expires_at else None

    def look(self) -> Look:
        """Before the look-up: what is read later may have been revoked meanwhile."""
        return Look(self._clock(), self._revocations)

    def keep(self, place: Place, caller: Caller, written: datetime | None, look: Look) -> None:
        if look.revocations != self._revocations:
            return  # it may be the one
        self._known.pop(place, None)  # the oldest look is always the first
        self._known[place] = Known(caller, written, look.at)
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def drop(self, place: Place) -> None:
        """It was looked up, and is good no more."""
        self._known.pop(place, None)

    def forget(self, key_id: UUID) -> None:
        """This process has revoked the key."""
        self._revocations += 1
        for place, known in list(self._known.items()):
            if known.caller.credential_id == key_id:
                del self._known[place]
