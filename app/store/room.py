"""For so many readers at once: the others wait, and are told when that takes too long."""

from __future__ import annotations

import asyncio

from sqlalchemy.exc import TimeoutError as PoolTimeout

PATIENCE_SECONDS = 30.0


class Room:
    def __init__(self, size: int) -> None:
        self._places = asyncio.Semaphore(size)
        self.taken = 0

    async def enter(self) -> None:
        if self._places.locked():
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._places.acquire()
            except TimeoutError:
                raise PoolTimeout("all connections are in use") from None
        else:
            await self._places.acquire()
        self.taken += 1

    def leave(self) -> None:
        self.taken -= 1
        self._places.release()
