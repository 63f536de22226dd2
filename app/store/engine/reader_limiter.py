"""For so many readers at once: the others wait, and are told when that takes too long."""

from __future__ import annotations

import asyncio
from collections import deque

from sqlalchemy.exc import TimeoutError as PoolTimeout

PATIENCE_SECONDS = 30.0


class Room:
    """Whoever leaves gives the place to the first who waits."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.taken = 0

    async def enter(self) -> None:
        if self._free:
            self._free -= 1
        else:
            await self._place()
        self.taken += 1

    def leave(self) -> None:
        self.taken -= 1
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():
                return first.set_result(None)
        self._free += 1
        return None

    async def _place(self) -> None:
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        self._waiting.append(place)
        patience = loop.call_later(PATIENCE_SECONDS, _refuse, place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.taken += 1  # it was given the place meanwhile
                self.leave()
            raise
        finally:
            patience.cancel()


def _refuse(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_exception(PoolTimeout("all connections are in use"))
