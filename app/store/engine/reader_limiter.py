"""Limits concurrent readers. The others wait in order, with a timeout."""

from __future__ import annotations

import asyncio
from collections import deque

from sqlalchemy.exc import TimeoutError as PoolTimeout

ACQUIRE_TIMEOUT_SECONDS = 30.0


class ReaderLimiter:
    """A semaphore of `size` slots; `release` passes the slot to the first waiter."""

    def __init__(self, size: int) -> None:
        self._free_slots = size
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.in_use = 0

    async def acquire(self) -> None:
        if self._free_slots > 0:
            self._free_slots -= 1
        else:
            await self._wait_for_slot()
        self.in_use += 1

    def retain(self) -> None:
        """Keeps the caller's slot after its `release`, until `release` is called once more."""
        self._free_slots -= 1
        self.in_use += 1

    def release(self) -> None:
        self.in_use -= 1
        while self._waiting and self._free_slots >= 0:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter.set_result(None)
        self._free_slots += 1
        return None

    async def _wait_for_slot(self) -> None:
        loop = asyncio.get_running_loop()
        slot = loop.create_future()
        self._waiting.append(slot)
        timeout = loop.call_later(ACQUIRE_TIMEOUT_SECONDS, _time_out, slot)
        try:
            await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled() and slot.exception() is None:
                self.in_use += 1  # the slot was assigned before the cancellation
                self.release()
            raise
        finally:
            timeout.cancel()


def _time_out(slot: asyncio.Future[None]) -> None:
    if not slot.done():
        slot.set_exception(PoolTimeout("all connections are in use"))
