"""Calls that share their work: whoever finds nobody at it goes at once, alone; who comes meanwhile
goes together next. Nobody waits for company, and each call has its own answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

Work = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]


@dataclass(eq=False)
class _Waiter:
    call: Any
    size: int
    answer: asyncio.Future[Any]
    group: _Group | None = None


@dataclass(eq=False)
class _Group:
    waiters: list[_Waiter]
    task: asyncio.Task[None] | None

    def leave(self) -> None:
        """Who was cancelled leaves alone; work that nobody waits for any more ends."""
        if self.task is not None and all(each.answer.cancelled() for each in self.waiters):
            self.task.cancel()


@dataclass(eq=False)
class _Line:
    waiting: deque[_Waiter] = field(default_factory=deque)
    at_work: int = 0

    def first(self, most: int) -> list[_Waiter]:
        """Those who came first, of `most` in size together; one that is larger goes alone."""
        group: list[_Waiter] = []
        size = 0
        while self.waiting:
            size += self.waiting[0].size
            if group and size > most:
                break
            group.append(self.waiting.popleft())
        return group


class Groups:
    """A line for each key, of which so many groups are at work at a time as there are `lanes`."""

    def __init__(self, lanes: int, most: int) -> None:
        self._lanes, self._most = lanes, most
        self._lines: dict[Hashable, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def join(self, key: Hashable, call: Any, size: int, work: Work) -> Any:
        """The call's own answer. `work` answers each of its calls; an error is raised.

        All calls of a key come with the same work.
        """
        line = self._lines.setdefault(key, _Line())
        waiter = _Waiter(call, size, asyncio.get_running_loop().create_future())
        line.waiting.append(waiter)
        self._start(key, work)
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            if waiter.group is not None:
                waiter.group.leave()
            elif waiter in line.waiting:
                line.waiting.remove(waiter)
            raise

    async def drained(self) -> None:
        """Returns when nobody waits any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # so that those who come next have begun

    def _start(self, key: Hashable, work: Work) -> None:
        line = self._lines[key]
        if line.at_work < self._lanes:
            line.at_work += 1
            # Of no request: what is logged or traced there is nobody's alone.
            task = asyncio.create_task(_work_off(line, self._most, work), context=Context())
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, key, work))

    def _ended(self, key: Hashable, work: Work, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        line = self._lines[key]
        line.at_work -= 1
        if line.waiting:
            self._start(key, work)
        elif not line.at_work:
            del self._lines[key]


async def _work_off(line: _Line, most: int, work: Work) -> None:
    group = _Group(line.first(most), asyncio.current_task())
    for waiter in group.waiters:
        waiter.group = group
    answers: Sequence[Any]
    try:
        answers = await work([each.call for each in group.waiters]) if group.waiters else ()
    except (Exception, asyncio.CancelledError) as error:
        answers = [error] * len(group.waiters)
    for waiter, answer in zip(group.waiters, answers, strict=True):
        if waiter.answer.done():  # cancelled
            continue
        if isinstance(answer, BaseException):
            waiter.answer.set_exception(answer)
        else:
            waiter.answer.set_result(answer)
