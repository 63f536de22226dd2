"""Time limits without a timer of their own: those of the same length share a coarse clock.

Nearly all requests end long before their time limit, and starting and cancelling a timer takes
longer than adding an entry to a queue.
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from types import TracebackType
from typing import Self

TICK_SECONDS = 0.1
_MAX_QUEUES = 16  # of the loops and lengths used last


class TimeLimit:
    """Cancels the block after some seconds, and raises TimeoutError, like `asyncio.timeout`.

    It is up to TICK_SECONDS late, or for shorter limits, up to the length of the limit.
    """

    __slots__ = ("_cancel_requests", "_due_at", "_is_expired", "_queue", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A time limit needs a task, which it can cancel.")
        self._task = task
        self._cancel_requests = task.cancelling()
        self._due_at = time.monotonic() + self._seconds
        self._queue = _get_queue(task.get_loop(), self._seconds)
        self._queue.add(self)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if not self._is_expired:
            self._queue.remove(self)
        # If others asked to cancel the task as well, it stays cancelled.
        elif (
            self._task.uncancel() <= self._cancel_requests and error_type is asyncio.CancelledError
        ):
            raise TimeoutError from error

    def is_due(self, now: float) -> bool:
        return now >= self._due_at

    def expire(self) -> None:
        """Cancels the block."""
        self._is_expired = True
        self._task.cancel()


class _Queue:
    """Time limits of the same length, in order of time. The clock ticks only while there are any.

    Not a timer for the first one, which would be started and cancelled as often as the limits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._tick_seconds = min(TICK_SECONDS, seconds)
        self._limits: dict[TimeLimit, None] = {}
        self._is_ticking = False

    def add(self, limit: TimeLimit) -> None:
        self._limits[limit] = None
        if not self._is_ticking:
            self._is_ticking = True
            self._loop.call_later(self._tick_seconds, self._tick)

    def remove(self, limit: TimeLimit) -> None:
        del self._limits[limit]

    def _tick(self) -> None:
        now = time.monotonic()
        while self._limits and (first := next(iter(self._limits))).is_due(now):
            self.remove(first)
            first.expire()
        self._is_ticking = bool(self._limits)
        if self._is_ticking:
            self._loop.call_later(self._tick_seconds, self._tick)


@lru_cache(maxsize=_MAX_QUEUES)
def _get_queue(loop: asyncio.AbstractEventLoop, seconds: float) -> _Queue:
    return _Queue(loop, seconds)
