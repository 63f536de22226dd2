"""A queue that processes concurrent calls in batches.

A call that finds a free slot starts at once. Calls that arrive while all slots are busy form the
next batch: no call waits for a batch to fill. Each call gets its own result.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

BatchHandler = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]


@dataclass(eq=False)
class _PendingCall:
    payload: Any
    size: int
    future: asyncio.Future[Any]
    batch: _Batch | None = None


@dataclass(eq=False)
class _Batch:
    calls: list[_PendingCall]
    task: asyncio.Task[None] | None

    def cancel_if_abandoned(self) -> None:
        """Cancels the task of the batch once all of its calls are cancelled."""
        if self.task is not None and all(call.future.cancelled() for call in self.calls):
            self.task.cancel()


@dataclass(eq=False)
class _KeyQueue:
    pending: deque[_PendingCall] = field(default_factory=deque)
    running_batches: int = 0

    def take_batch(self, max_size: int) -> list[_PendingCall]:
        """Removes the oldest calls, up to `max_size` in total, but at least one."""
        calls: list[_PendingCall] = []
        size = 0
        while self.pending:
            size += self.pending[0].size
            if calls and size > max_size:
                break
            calls.append(self.pending.popleft())
        return calls


class BatchQueue:
    """Processes at most `concurrency` batches of each key at the same time."""

    def __init__(self, concurrency: int, max_batch_size: int) -> None:
        self._concurrency, self._max_batch_size = concurrency, max_batch_size
        self._queues: dict[Hashable, _KeyQueue] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, key: Hashable, payload: Any, size: int, handler: BatchHandler) -> Any:
        """Processes the payload in a batch and returns its result.

        `handler` returns one result for each payload, in order. A result that is an exception is
        raised. All calls of a key must pass the same handler.
        """
        queue = self._queues.setdefault(key, _KeyQueue())
        pending_call = _PendingCall(payload, size, asyncio.get_running_loop().create_future())
        queue.pending.append(pending_call)
        self._start_batch(key, handler)
        try:
            return await pending_call.future
        except asyncio.CancelledError:
            if pending_call.batch is not None:
                pending_call.batch.cancel_if_abandoned()
            elif pending_call in queue.pending:
                queue.pending.remove(pending_call)
            raise

    async def drain(self) -> None:
        """Waits until no batch is pending or running."""
        while self._tasks:
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # lets the next batches start

    def _start_batch(self, key: Hashable, handler: BatchHandler) -> None:
        queue = self._queues[key]
        if queue.running_batches < self._concurrency:
            queue.running_batches += 1
            # An empty context: logs and traces of a batch belong to no single request.
            task = asyncio.create_task(
                _run_batch(queue, self._max_batch_size, handler), context=Context()
            )
            self._tasks.add(task)
            task.add_done_callback(partial(self._finish_batch, key, handler))

    def _finish_batch(self, key: Hashable, handler: BatchHandler, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        queue = self._queues[key]
        queue.running_batches -= 1
        if queue.pending:
            self._start_batch(key, handler)
        elif not queue.running_batches:
            del self._queues[key]


async def _run_batch(queue: _KeyQueue, max_size: int, handler: BatchHandler) -> None:
    batch = _Batch(queue.take_batch(max_size), asyncio.current_task())
    for call in batch.calls:
        call.batch = batch
    results: Sequence[Any]
    try:
        results = await handler([call.payload for call in batch.calls]) if batch.calls else ()
    except (Exception, asyncio.CancelledError) as error:
        results = [error] * len(batch.calls)
    for call, result in zip(batch.calls, results, strict=True):
        if call.future.done():  # cancelled
            continue
        if isinstance(result, BaseException):
            call.future.set_exception(result)
        else:
            call.future.set_result(result)
