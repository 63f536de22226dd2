"""Calls that go together: who goes with whom, and what becomes of those who are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.store.engine.batch_queue import BatchQueue


@dataclass
class BlockingWork:
    """Answers each call with itself, when it is let go on; an error is raised."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    groups: list[list[Any]] = field(default_factory=list)

    async def __call__(self, calls: Sequence[Any]) -> Sequence[Any]:
        self.groups.append(list(calls))
        await self.go_on.wait()
        return calls


async def submit_call(
    groups: BatchQueue, work: BlockingWork, call: Any, size: int = 1, key: str = "k"
) -> Any:
    """The call, on its way as far as it comes by itself."""
    waiting = asyncio.create_task(groups.submit(key, call, size, work))
    for _ in range(3):
        await asyncio.sleep(0)
    return waiting


async def test_the_first_goes_alone_and_who_comes_meanwhile_goes_together() -> None:
    groups, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()

    waiting = [await submit_call(groups, work, call) for call in "abcd"]
    work.go_on.set()

    assert await asyncio.gather(*waiting) == ["a", "b", "c", "d"]
    assert work.groups == [["a"], ["b", "c", "d"]]


async def test_those_who_come_at_one_instant_go_together() -> None:
    groups, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    work.go_on.set()

    answers = await asyncio.gather(*(groups.submit("k", call, 1, work) for call in "abc"))

    assert answers == ["a", "b", "c"]
    assert work.groups == [["a", "b", "c"]]


async def test_a_group_is_bounded_and_a_larger_call_goes_alone_in_its_turn() -> None:
    groups, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    sizes = [1, 6, 4, 5, 20, 5, 5]

    waiting = [await submit_call(groups, work, n, size) for n, size in enumerate(sizes)]
    work.go_on.set()
    await asyncio.gather(*waiting)

    assert work.groups == [[0], [1, 2], [3], [4], [5, 6]]


async def test_lines_do_not_wait_for_each_other_and_lanes_go_side_by_side() -> None:
    groups, work = BatchQueue(concurrency=2, max_batch_size=10), BlockingWork()

    waiting = [await submit_call(groups, work, call, key="k") for call in "abc"]
    waiting.append(await submit_call(groups, work, "d", key="other"))
    begun = list(work.groups)
    work.go_on.set()
    await asyncio.gather(*waiting)

    assert begun == [["a"], ["b"], ["d"]]
    assert work.groups == [["a"], ["b"], ["d"], ["c"]]


async def test_an_error_of_one_is_raised_to_it_alone() -> None:
    groups, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    work.go_on.set()

    calls = ["a", ZeroDivisionError("b"), "c"]
    answers = await asyncio.gather(
        *(groups.submit("k", call, 1, work) for call in calls), return_exceptions=True
    )

    assert answers == calls


async def test_an_error_of_the_work_is_everybody_s_and_the_next_go_on() -> None:
    groups, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    work.go_on.set()

    async def failing(calls: Sequence[Any]) -> Sequence[Any]:
        raise ZeroDivisionError

    answers = await asyncio.gather(
        *(groups.submit("k", call, 1, failing) for call in "ab"), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [ZeroDivisionError] * 2
    assert await groups.submit("k", "c", 1, work) == "c"


async def test_who_is_cancelled_in_the_line_is_not_worked_for() -> None:
    groups, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    first, second, third = [await submit_call(groups, work, call) for call in "abc"]

    second.cancel()
    work.go_on.set()

    assert await first == "a"
    assert await third == "c"
    with pytest.raises(asyncio.CancelledError):
        await second
    assert work.groups == [["a"], ["c"]]


async def test_who_is_cancelled_in_a_group_leaves_the_others_to_their_answers() -> None:
    groups, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    first, second = (asyncio.create_task(groups.submit("k", call, 1, work)) for call in "ab")
    for _ in range(3):
        await asyncio.sleep(0)

    first.cancel()
    await asyncio.wait([first])
    work.go_on.set()

    assert await second == "b"
    assert work.groups == [["a", "b"]]


async def test_work_that_nobody_waits_for_ends_and_the_next_go_on() -> None:
    groups = BatchQueue(concurrency=1, max_batch_size=10)

    async def stuck_at_a(calls: Sequence[Any]) -> Sequence[Any]:
        if "a" in calls:
            await asyncio.Event().wait()
        return calls

    first = asyncio.create_task(groups.submit("k", "a", 1, stuck_at_a))
    for _ in range(3):
        await asyncio.sleep(0)
    second = asyncio.create_task(groups.submit("k", "b", 1, stuck_at_a))

    first.cancel()

    async with asyncio.timeout(30):
        assert await second == "b"


async def test_drained_means_that_everybody_has_been_answered() -> None:
    groups, work = BatchQueue(concurrency=1, max_batch_size=1), BlockingWork()
    waiting = [await submit_call(groups, work, call) for call in "abc"]
    draining = asyncio.create_task(groups.drain())

    work.go_on.set()
    await draining

    assert [await each for each in waiting] == ["a", "b", "c"]
