"""Resolves the names of hosts, which users choose: their name servers may not respond.

A thread that resolves a name cannot be stopped. It keeps its slot until it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import anyio.to_thread

from app.services.channels.slots import Share, Slots

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True)
class Attempt:
    """An attempt that may need a lookup. `max_wait_seconds`: for a slot; None without a limit."""

    timeout: asyncio.Timeout
    share: Share
    max_wait_seconds: float | None

    @contextlib.contextmanager
    def pause_timeout(self) -> Iterator[None]:
        """The time within the block does not count."""
        deadline = self.timeout.when()
        if deadline is None:
            yield
            return
        loop = asyncio.get_running_loop()
        begin = loop.time()
        self.timeout.reschedule(None)
        try:
            yield
        finally:
            self.timeout.reschedule(deadline + loop.time() - begin)


CURRENT_ATTEMPT: ContextVar[Attempt] = ContextVar("current_attempt")
"""The attempt that opens a connection."""


class NameResolver:
    """Limits the lookups of all channels. `resolve`: the operating system unless provided."""

    def __init__(self, max_lookups: int, resolve: Resolve | None = None) -> None:
        self.slots = Slots(max_lookups, "thread that resolves names")
        self.resolve = resolve or self._resolve_in_thread
        self._limiter = anyio.CapacityLimiter(math.inf)  # the slots limit the threads

    async def _resolve_in_thread(self, host: str, port: int) -> list[str]:
        results = await anyio.to_thread.run_sync(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
            abandon_on_cancel=True,  # when the server stops
            limiter=self._limiter,
        )
        return list(dict.fromkeys(str(address[0]) for *_, address in results))


class ChannelLookups:
    """The lookups of a channel: of each host, one at a time, for all that wait for it."""

    def __init__(self, resolver: NameResolver) -> None:
        self._resolver = resolver
        self._starting = asyncio.Lock()
        self._lookups: dict[tuple[str, int], asyncio.Task[Sequence[str]]] = {}

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Returns the addresses of the host for the current attempt. Raises OSError.

        The wait for a slot does not count as part of the attempt. Raises NoSlotError if it is long.
        """
        attempt = CURRENT_ATTEMPT.get()
        with attempt.pause_timeout():
            async with self._starting:
                lookup = self._lookups.get((host, port))
                if lookup is None:
                    lookup = await self._start(host, port, attempt)
        return await asyncio.shield(lookup)

    async def _start(self, host: str, port: int, attempt: Attempt) -> asyncio.Task[Sequence[str]]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(
                self._resolver.slots.take(attempt.share, attempt.max_wait_seconds)
            )
            lookup = asyncio.create_task(self._run(host, port, stack.pop_all()))
        lookup.add_done_callback(lambda task: task.cancelled() or task.exception())  # no waiter
        self._lookups[host, port] = lookup
        return lookup

    async def _run(self, host: str, port: int, slot: contextlib.AsyncExitStack) -> Sequence[str]:
        try:
            async with slot:
                return await self._resolver.resolve(host, port)
        finally:
            del self._lookups[host, port]
