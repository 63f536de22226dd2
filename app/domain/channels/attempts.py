"""Results of attempts to deliver a message, and when they are repeated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.shared.limits import ChannelLimits

GONE = 410
_FIRST_PAUSE_SECONDS = 1.0
_SUCCESS = range(200, 300)


@dataclass(frozen=True)
class AttemptResult:
    """The response to an attempt, or the error.

    `retry_after`: the pause that the receiver asks for.
    """

    at: datetime
    status: int | None = None
    error: str | None = None
    retry_after: timedelta | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and self.status in _SUCCESS

    @property
    def is_gone(self) -> bool:
        """Whether the receiver asks not to be called again."""
        return self.status == GONE


def find_next_attempt(
    result: AttemptResult, attempts: int, expires_at: datetime, limits: ChannelLimits
) -> datetime | None:
    """Time at which a failed delivery is repeated. None if it has failed for good.

    `attempts`: the number of attempts, including this one.
    """
    pause = timedelta(seconds=pause_seconds(attempts, limits.max_retry_seconds))
    if result.retry_after is not None:
        pause = max(pause, result.retry_after)
    next_attempt = result.at + pause
    return None if next_attempt > expires_at else next_attempt


def pause_seconds(failures: int, maximum: float) -> float:
    """Returns the pause after a number of failures: it doubles with each, up to the maximum."""
    exponent = min(failures, 40) - 1
    return float(min(_FIRST_PAUSE_SECONDS * 2**exponent, maximum))
