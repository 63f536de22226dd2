"""Results of attempts to deliver a message, and when they are repeated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.shared.limits import ChannelLimits

GONE = 410
_FIRST_PAUSE_SECONDS = 1.0
_SUCCESS = range(200, 300)
_APPRISE_ERROR = "Apprise has reported an error, which the delivery shows."


@dataclass(frozen=True)
class AttemptResult:
    """The response to an attempt, or the error.

    `status`: None if there was no response, or Apprise has sent the message. `error` may quote the
    response, `summary` does not. `retry_after`: the pause that the receiver asks for.
    `is_from_apprise`: whether Apprise has reported the error.
    """

    at: datetime
    status: int | None = None
    error: str | None = None
    retry_after: timedelta | None = None
    is_from_apprise: bool = False

    @property
    def is_success(self) -> bool:
        return self.error is None if self.status is None else self.status in _SUCCESS

    @property
    def summary(self) -> str | None:
        if self.is_from_apprise:
            return _APPRISE_ERROR
        if self.is_success or self.status is None:
            return self.error
        return f"The response has the status {self.status}"

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
    next_attempt = result.at + timedelta(seconds=pause_seconds(attempts, limits.max_retry_seconds))
    if next_attempt > expires_at:
        return None
    if result.retry_after is None:
        return next_attempt
    pause = min(result.retry_after, timedelta(seconds=limits.max_retry_after_seconds))
    # At its latest, it is repeated when it expires: a long pause must not be its end.
    return min(max(next_attempt, result.at + pause), expires_at)


def pause_seconds(failures: int, maximum: float) -> float:
    """Returns the pause after a number of failures: it doubles with each, up to the maximum."""
    exponent = min(failures, 40) - 1
    return float(min(_FIRST_PAUSE_SECONDS * 2**exponent, maximum))
