"""Rate limits: a token bucket per caller and process, in points of cost.

A request may cost more than the bucket's capacity. It then needs a full bucket, and leaves it with
a negative balance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import ceil

from cachetools import LRUCache

from app.domain.access.caller import Caller
from app.domain.shared.limits import RequestLimits
from app.domain.shared.problems import ErrorCode, RequestError


@dataclass
class _Bucket:
    """The points of a caller, negative after a request that cost more than the capacity."""

    balance: float
    updated_at: float


class RateLimits:
    """The buckets of the latest callers. A caller without a bucket has a full one."""

    def __init__(
        self, limits: RequestLimits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        limits = limits or RequestLimits()
        self._points_per_minute = limits.points_per_minute
        self._clock = clock
        self._buckets: LRUCache[Hashable, _Bucket] = LRUCache(limits.tracked_credentials)

    def __len__(self) -> int:
        """Number of callers with a bucket."""
        return len(self._buckets)

    def charge_points(self, caller: Caller, points: int, *, charged: int = 0) -> None:
        """Takes points from the caller's bucket, of which `charged` have been taken before.

        Raises RequestError LIMIT_EXCEEDED with `retry_after` in seconds if there are too few; then
        nothing is taken.
        """
        if not self._points_per_minute:
            return
        identity = caller.identity
        now, points_per_second = self._clock(), self._points_per_minute / 60
        bucket = self._buckets.get(identity)
        if bucket is None:
            bucket = self._buckets[identity] = _Bucket(self._points_per_minute, now)
        refilled = bucket.balance + (now - bucket.updated_at) * points_per_second
        bucket.balance = min(self._points_per_minute, refilled)
        bucket.updated_at = now
        missing = min(points, self._points_per_minute) - charged - bucket.balance
        if missing <= 0:
            bucket.balance -= points - charged
        else:
            retry_after = ceil(missing / points_per_second)
            message = (
                f"The request costs {points:,} points and would exceed the rate limit of this "
                f"credential, {self._points_per_minute:,} points per minute. Retry in "
                f"{retry_after:,} s."
            )
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, message, retry_after=retry_after)
