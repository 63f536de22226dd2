"""Work that a process does by its own clock, beside what it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine


@contextlib.asynccontextmanager
async def by_the_clock(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Goes on with the work, a task of this name, until the block is left."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
