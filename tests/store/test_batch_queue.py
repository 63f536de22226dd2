"""The batch queue: which calls share a batch, errors, and cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.store.engine.batch_queue import BatchQueue


@dataclass
class BlockingWork:
    """Returns the calls once `go_on` is set. A call that is an error is raised."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    batches: list[list[Any]] = field(default_factory=list)

    async def __call__(self, calls: Sequence[Any]) -> Sequence[Any]:
        self.batches.append(list(calls))
        await self.go_on.wait()
        return calls


async def submit_call(
    queue: BatchQueue, work: BlockingWork, call: Any, size: int = 1, key: str = "k"
) -> Any:
    """Submits a call, and lets its task run until it waits."""
    waiting = asyncio.create_task(queue.submit(key, call, size, work))
    for _ in range(3):
        await asyncio.sleep(0)
    return waiting


async def test_calls_submitted_during_a_batch_form_the_next_batch() -> None:
    queue, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()

    waiting = [await submit_call(queue, work, call) for call in "abcd"]
    work.go_on.set()

    assert await asyncio.gather(*waiting) == ["a", "b", "c", "d"]
    assert work.batches == [["a"], ["b", "c", "d"]]


async def test_simultaneous_calls_form_one_batch() -> None:
    queue, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    work.go_on.set()

    answers = await asyncio.gather(*(queue.submit("k", call, 1, work) for call in "abc"))

    assert answers == ["a", "b", "c"]
    assert work.batches == [["a", "b", "c"]]


async def test_a_batch_is_bounded_and_a_larger_call_is_a_batch_of_its_own() -> None:
    queue, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    sizes = [1, 6, 4, 5, 20, 5, 5]

    waiting = [await submit_call(queue, work, n, size) for n, size in enumerate(sizes)]
    work.go_on.set()
    await asyncio.gather(*waiting)

    assert work.batches == [[0], [1, 2], [3], [4], [5, 6]]


async def test_keys_are_independent_and_batches_of_a_key_run_concurrently() -> None:
    queue, work = BatchQueue(concurrency=2, max_batch_size=10), BlockingWork()

    waiting = [await submit_call(queue, work, call, key="k") for call in "abc"]
    waiting.append(await submit_call(queue, work, "d", key="other"))
    begun = list(work.batches)
    work.go_on.set()
    await asyncio.gather(*waiting)

    assert begun == [["a"], ["b"], ["d"]]
    assert work.batches == [["a"], ["b"], ["d"], ["c"]]


async def test_an_error_of_one_call_is_raised_only_to_it() -> None:
    queue, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    work.go_on.set()

    calls = ["a", ZeroDivisionError("b"), "c"]
    answers = await asyncio.gather(
        *(queue.submit("k", call, 1, work) for call in calls), return_exceptions=True
    )

    assert answers == calls


async def test_an_error_of_a_batch_is_raised_to_all_its_calls_and_no_others() -> None:
    queue, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    work.go_on.set()

    async def failing(calls: Sequence[Any]) -> Sequence[Any]:
        raise ZeroDivisionError

    answers = await asyncio.gather(
        *(queue.submit("k", call, 1, failing) for call in "ab"), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [ZeroDivisionError] * 2
    assert await queue.submit("k", "c", 1, work) == "c"


async def test_a_call_cancelled_in_the_queue_is_not_executed() -> None:
    queue, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    first, second, third = [await submit_call(queue, work, call) for call in "abc"]

    second.cancel()
    work.go_on.set()

    assert await first == "a"
    assert await third == "c"
    with pytest.raises(asyncio.CancelledError):
        await second
    assert work.batches == [["a"], ["c"]]


async def test_a_call_cancelled_in_a_batch_does_not_affect_the_others() -> None:
    queue, work = BatchQueue(concurrency=1, max_batch_size=10), BlockingWork()
    first, second = (asyncio.create_task(queue.submit("k", call, 1, work)) for call in "ab")
    for _ in range(3):
        await asyncio.sleep(0)

    first.cancel()
    await asyncio.wait([first])
    work.go_on.set()

    assert await second == "b"
    assert work.batches == [["a", "b"]]


async def test_a_batch_without_waiting_calls_is_cancelled() -> None:
    queue = BatchQueue(concurrency=1, max_batch_size=10)

    async def stuck_at_a(calls: Sequence[Any]) -> Sequence[Any]:
        if "a" in calls:
            await asyncio.Event().wait()
        return calls

    first = asyncio.create_task(queue.submit("k", "a", 1, stuck_at_a))
    for _ in range(3):
        await asyncio.sleep(0)
    second = asyncio.create_task(queue.submit("k", "b", 1, stuck_at_a))

    first.cancel()

    async with asyncio.timeout(30):
        assert await second == "b"


async def test_draining_waits_for_all_calls() -> None:
    queue, work = BatchQueue(concurrency=1, max_batch_size=1), BlockingWork()
    waiting = [await submit_call(queue, work, call) for call in "abc"]
    draining = asyncio.create_task(queue.drain())

    work.go_on.set()
    await draining

    assert [await each for each in waiting] == ["a", "b", "c"]
