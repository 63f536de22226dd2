"""One answer for all who follow the same: it is made once for an entry, and its text goes to each.

Who waits and has a way to be told at once (`Push`) is told so, without a task being woken for it.
Else a subscriber has a bounded queue of references to those texts. Who is too slow for it loses the
queue, reads the log at its own pace, and joins the others again: late, never poorer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextvars import Context
from typing import Protocol

from app.services.change_log.feed_filters import Selection
from app.store.change_log.changes import Entry, Place

# Entries whose answers are made at the same time: what they ask for is read together.
TOGETHER = 50
# Subscribers who are told before others, who do something else, have their turn.
TURN = 200

Rendered = tuple[Place, str]
Render = Callable[[Sequence[Entry]], Awaitable[list[Rendered]]]


class Texts(tuple[bytes, ...]):
    """A batch in UTF-8, for many subscribers.

    `around` and `framed` are for whoever sends it to many of them: what comes around so many bytes
    of each, and what was sent last, behind what it was made with.
    """

    def __init__(self, _: Iterable[bytes]) -> None:
        self.around: dict[int, list[tuple[bytes, bytes]]] = {}
        self.framed = b"", b""
        self.size = sum(map(len, self))


# Sends texts now and in whole; False when it cannot, and then nothing of them.
Push = Callable[[Texts], bool]


class Subscriber:
    """Waits for texts. `overrun` when they were too many for it, or too long.

    What it has taken counts until it asks for more: then it is on its way. `told` is the place up
    to which it was told everything.
    """

    def __init__(self, joined: Place, most: int, most_bytes: int, push: Push | None = None) -> None:
        self.joined = joined
        self.told = joined
        self.overrun = False
        self.held = 0
        self.held_bytes = 0
        self._most = most
        self._most_bytes = most_bytes
        self._push = push
        # All that it has taken is on its way, and it has asked for more.
        self._resting = False
        self._failure: Exception | None = None
        self._waiting: deque[Rendered] = deque()
        self._arrived = asyncio.Event()

    def offer(self, batch: Sequence[Rendered], texts: Texts) -> None:
        """A batch, whose texts are there in UTF-8 as well: pushed in whole, or queued."""
        behind = self._resting and batch[0][0] > self.told
        if behind and self._push is not None and self._push(texts):
            self.told = batch[-1][0]
            return
        # Nothing is pushed past what is queued.
        self._resting = False
        for each in batch:
            self._queue(each)

    def _queue(self, rendered: Rendered) -> None:
        if self.overrun:
            return
        size = len(rendered[1])
        if self.held >= self._most or self.held_bytes + size > self._most_bytes:
            self.overrun = True
            self._waiting.clear()
        else:
            self._waiting.append(rendered)
            self.held += 1
            self.held_bytes += size
        self._arrived.set()

    def fail(self, failure: Exception) -> None:
        self._failure = failure
        self._arrived.set()

    async def take(self) -> list[Rendered]:
        """What has arrived, once something has; nothing when the queue was overrun."""
        self.held = len(self._waiting)
        self.held_bytes = sum(len(text) for _, text in self._waiting)
        self._resting = not self._waiting and not self.overrun
        try:
            await self._arrived.wait()
        finally:
            self._resting = False  # who has left is told nothing, though it may be offered more
        self._arrived.clear()
        if self._failure is not None:
            raise self._failure.with_traceback(None)  # each who waits raises the same one
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class EntryReader(Protocol):
    """The change log as a broadcast reads it; the feed implements it."""

    read_up_to: Place

    def stored(
        self, selection: Selection, after: Place, until: Place
    ) -> AsyncGenerator[list[Entry], None]:
        """Stored entries of the selection between two positions, `until` included."""

    def follow(self, selection: Selection, after: Place) -> AsyncGenerator[list[Entry], None]:
        """Entries of the selection after the position: once each, in order, without end."""


class Broadcast:
    """The live answers of one selection. It ends when the last who follows it leaves."""

    def __init__(
        self,
        reader: EntryReader,
        selection: Selection,
        render: Render,
        most: int,
        most_bytes: int,
    ) -> None:
        self._reader = reader
        self._selection = selection
        self._render = render
        self._most = most
        self._most_bytes = most_bytes
        self._following = 0
        self.subscribers: set[Subscriber] = set()
        # Whatever is selected behind it is still to be handed out.
        self.position = reader.read_up_to

    def start(self, ended: Callable[[], object]) -> asyncio.Task[None]:
        self._ended = ended
        # A context of its own: it serves more than the one who happened to come first.
        self._running = asyncio.create_task(self._run(), context=Context())
        return self._running

    async def follow(
        self, after: Place, push: Push | None = None
    ) -> AsyncGenerator[list[Rendered], None]:
        """Every answer after the place, once, in order, without end: all that is there at once.

        What can be pushed while it waits for the next is pushed instead.
        """
        self._following += 1
        try:
            while True:
                subscriber = Subscriber(self.position, self._most, self._most_bytes, push)
                self.subscribers.add(subscriber)
                async with contextlib.aclosing(self._heard(subscriber, after)) as heard:
                    async for rendered in heard:
                        yield rendered
                after = subscriber.told
        finally:
            self._following -= 1
            if not self._following:
                self._ended()
                self._running.cancel()

    async def _heard(
        self, subscriber: Subscriber, after: Place
    ) -> AsyncGenerator[list[Rendered], None]:
        """The log up to where the others are, then what they get: until it is overrun."""
        try:
            stored = self._reader.stored(self._selection, after, subscriber.joined)
            async with contextlib.aclosing(stored):
                async for batch in stored:
                    while batch:
                        if rendered := await self._render(batch[:TOGETHER]):
                            yield rendered
                        del batch[:TOGETHER]
            # A cursor may be from beyond what the feed has read.
            subscriber.told = max(after, subscriber.joined)
            while not subscriber.overrun:
                taken = await subscriber.take()
                if rendered := [each for each in taken if each[0] > subscriber.told]:
                    subscriber.told = rendered[-1][0]
                    yield rendered
        finally:
            self.subscribers.discard(subscriber)

    async def _run(self) -> None:
        followed = self._reader.follow(self._selection, self.position)
        try:
            async with contextlib.aclosing(followed):
                async for batch in followed:
                    for start in range(0, len(batch), TOGETHER):
                        await self._hand_out(batch[start : start + TOGETHER])
        except Exception as failure:
            self._ended()
            for subscriber in self.subscribers:
                subscriber.fail(failure)

    async def _hand_out(self, entries: Sequence[Entry]) -> None:
        rendered = await self._render(entries)
        # At the same instant: who joins from here on has them behind it, and reads the log.
        subscribers, self.position = list(self.subscribers), entries[-1].place
        if not rendered:
            return
        texts = Texts(text.encode() for _, text in rendered)
        for number, subscriber in enumerate(subscribers, 1):
            subscriber.offer(rendered, texts)
            if not number % TURN:
                await asyncio.sleep(0)
