"""Time limits that share a coarse clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app.services.runtime.time_limits import TimeLimit
from tests.client import TIMEOUT_SECONDS

SHORT_SECONDS = 0.01


async def test_a_block_over_its_limit_is_cancelled() -> None:
    steps = []

    with pytest.raises(TimeoutError), TimeLimit(SHORT_SECONDS):
        try:
            await asyncio.sleep(TIMEOUT_SECONDS)
        finally:
            steps.append("cancelled")
    await asyncio.sleep(0)

    task = asyncio.current_task()
    assert task is not None
    assert (steps, task.cancelling()) == (["cancelled"], 0)


async def test_only_the_blocks_whose_time_is_over_are_cancelled() -> None:
    async def wait(seconds: float, until: asyncio.Event) -> str:
        try:
            with TimeLimit(seconds):
                await until.wait()
        except TimeoutError:
            return "over"
        return "in time"

    expired, never = asyncio.Event(), asyncio.Event()
    long_wait = asyncio.create_task(wait(TIMEOUT_SECONDS, expired))
    short_waits = [asyncio.create_task(wait(SHORT_SECONDS, never)) for _ in range(3)]

    results = await asyncio.gather(*short_waits)
    expired.set()

    assert (results, await long_wait) == (["over", "over", "over"], "in time")


async def test_an_inner_limit_does_not_end_the_outer_block() -> None:
    steps = []

    with TimeLimit(TIMEOUT_SECONDS):
        with pytest.raises(TimeoutError), TimeLimit(SHORT_SECONDS):
            await asyncio.sleep(TIMEOUT_SECONDS)
        await asyncio.sleep(0)
        steps.append("continued")

    assert steps == ["continued"]


async def test_a_task_that_others_cancel_is_cancelled_and_not_timed_out() -> None:
    async def wait() -> None:
        with TimeLimit(TIMEOUT_SECONDS):
            await asyncio.sleep(TIMEOUT_SECONDS)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_of_the_block_itself_is_passed_on() -> None:
    with pytest.raises(TimeoutError, match="of the block"), TimeLimit(TIMEOUT_SECONDS):
        raise TimeoutError("of the block")


async def test_limits_of_the_same_length_share_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, seconds = asyncio.get_running_loop(), TIMEOUT_SECONDS + 1  # a length of this test alone
    call_later, timers = loop.call_later, []

    def count_timers(delay: float, callback: Callable[..., Any], *args: Any, **more: Any) -> Any:
        timers.append(delay)
        return call_later(delay, callback, *args, **more)

    monkeypatch.setattr(loop, "call_later", count_timers)

    for _ in range(1_000):
        with TimeLimit(seconds):
            pass

    assert len(timers) == 1
