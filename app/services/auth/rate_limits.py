"""How much each principal may ask of this process, in points of cost: a bucket that fills again.

What is asked at once may be more than a bucket holds: then the bucket is full first, and in debt
afterwards.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import ceil

from app.domain.access.caller import Caller
from app.domain.shared.limits import RequestLimits
from app.domain.shared.problems import ErrorCode, RequestError


class Rates:
    """Remembers so many principals, those that asked last; a full bucket needs no memory."""

    def __init__(
        self, limits: RequestLimits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        limits = limits or RequestLimits()
        self._most = limits.points
        self._principals = limits.principals
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many principals are remembered."""
        return len(self._left)

    def spend(self, caller: Caller, points: int) -> None:
        """RequestError LIMIT_EXCEEDED, with the seconds after which it would pass; spends nothing
        then."""
        if not self._most:
            return
        principal = _principal(caller)
        now, a_second = self._clock(), self._most / 60
        left, at = self._left.pop(principal, (float(self._most), now))
        left = min(self._most, left + (now - at) * a_second)
        missing = min(points, self._most) - left
        self._left[principal] = (left if missing > 0 else left - points, now)
        if len(self._left) > self._principals:
            self._left.popitem(last=False)
        if missing > 0:
            after = ceil(missing / a_second)
            told = (
                f"This credential may spend {self._most:,} points of cost a minute, and this "
                f"request costs {points:,}: try again in {after:,} s."
            )
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, told, retry_after=after)


def _principal(caller: Caller) -> Hashable:
    """The credential: a key by its id, a token by its subject."""
    return caller.credential_id or caller.name
