"""Limits of what all channels of a server process do at the same time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import Enum


class Share(Enum):
    """Who takes a slot. The value is the maximum share of the slots that they take.

    It is at least one slot.

    What does not respond takes its slots for long: it leaves the others to what does.
    """

    ALL = 1.0
    FAILING = 0.5
    TEST = 0.25

    @classmethod
    def choose(cls, *, is_failing: bool, is_test: bool) -> Share:
        """`is_failing`: whether the last attempt of the channel failed."""
        if is_test:
            return cls.TEST
        return cls.FAILING if is_failing else cls.ALL


class NoSlotError(Exception):
    """No slot was free in time."""


class Slots:
    """A number of slots. `noun`: what takes one, for errors, such as `thread that does x`."""

    def __init__(self, count: int, noun: str) -> None:
        self._count = count
        self._noun = noun
        self._semaphores = {
            share: asyncio.Semaphore(max(1, int(count * share.value))) for share in Share
        }

    @contextlib.asynccontextmanager
    async def take(self, share: Share, max_seconds: float | None = None) -> AsyncIterator[None]:
        """Waits for a slot, first for one of the share. Raises NoSlotError after the time."""
        async with contextlib.AsyncExitStack() as taken:
            try:
                async with asyncio.timeout(max_seconds):
                    for each in dict.fromkeys((share, Share.ALL)):
                        await taken.enter_async_context(self._semaphores[each])
            except TimeoutError:
                raise NoSlotError(
                    f"No {self._noun} was free within {max_seconds:g} seconds "
                    f"(limit: {self._count}). Retry later."
                ) from None
            yield
