"""A cache of authenticated callers, which saves the database lookup for a second.

A key that another process revoked is rejected within a second, a key that this process revoked
immediately. Expiration is checked on every request.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from cachetools import FIFOCache

from app.domain.access.caller import Caller

TTL_SECONDS = 1.0
REFRESH_AFTER_SECONDS = 0.5
MAX_CALLERS = 10_000

CacheKey = tuple[bytes, str | None]


def create_cache_key(authorization: str, organization_key: str | None) -> CacheKey:
    """Returns the hash of the header Authorization, whose credential is not kept itself, and the
    organization key.
    """
    return hashlib.sha256(authorization.encode(errors="replace")).digest(), organization_key


@dataclass
class CachedCaller:
    """`last_used_at` is the last use of the key that the database had at the lookup."""

    caller: Caller
    last_used_at: datetime | None
    looked_up_at: float
    refreshing: bool = field(default=False)


@dataclass(frozen=True)
class CacheLookup:
    """A database lookup: its start time and the number of revocations before it."""

    started_at: float
    revocation_count: int


class CallerCache:
    """The callers looked up last, `MAX_CALLERS` at most. `clock` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: FIFOCache[CacheKey, CachedCaller] = FIFOCache(MAX_CALLERS)
        self._revocation_count = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: CacheKey, now: datetime) -> CachedCaller | None:
        """Returns the caller, or None if it must be looked up.

        When half of the TTL has passed, one request gets None and refreshes the entry.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        age = self._clock() - entry.looked_up_at
        if age >= REFRESH_AFTER_SECONDS and (age >= TTL_SECONDS or not entry.refreshing):
            entry.refreshing = True
            return None
        expires_at = entry.caller.expires_at
        return entry if expires_at is None or now < expires_at else None

    def begin_lookup(self) -> CacheLookup:
        """Call it before the lookup, so that `store` can detect revocations in between."""
        return CacheLookup(self._clock(), self._revocation_count)

    def store(
        self, key: CacheKey, caller: Caller, last_used_at: datetime | None, lookup: CacheLookup
    ) -> None:
        if lookup.revocation_count != self._revocation_count:
            return  # the key may be the revoked one
        self._entries[key] = CachedCaller(caller, last_used_at, lookup.started_at)

    def discard(self, key: CacheKey) -> None:
        """Removes a credential that is no longer valid."""
        self._entries.pop(key, None)

    def invalidate_key(self, key_id: UUID) -> None:
        """Removes all entries of a key that this process revoked."""
        self._revocation_count += 1
        for cache_key, entry in list(self._entries.items()):
            if entry.caller.credential_id == key_id:
                del self._entries[cache_key]
