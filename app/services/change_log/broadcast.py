"""Broadcasts: each change log entry is rendered once, and the text is delivered to all subscribers.

An idle subscriber with a `Push` callback receives the text directly, without waking a task. Other
subscribers have a bounded queue of references to the texts. When the queue of a slow subscriber
overflows, it is dropped; the subscriber reads the change log at its own pace and then rejoins. It
falls behind but does not lose entries.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextvars import Context
from typing import Protocol

from app.services.change_log.feed_filters import FeedFilter
from app.store.change_log.changes import Entry, LogPosition

# Entries that are rendered together, so that the loaders batch their reads.
RENDER_BATCH_SIZE = 50
# Subscribers that are served before the loop yields to other tasks.
SUBSCRIBERS_PER_YIELD = 200

RenderedEntry = tuple[LogPosition, str]
Render = Callable[[Sequence[Entry]], Awaitable[list[RenderedEntry]]]


class EncodedBatch(tuple[bytes, ...]):
    """The texts of a batch, encoded as UTF-8 once for all subscribers.

    The transport caches its frames here: `frames_by_prefix_size` has the frame header and the rest
    of each text by the length of the prefix, and `last_frames` the last prefix and its frames.
    """

    def __init__(self, _: Iterable[bytes]) -> None:
        self.frames_by_prefix_size: dict[int, list[tuple[bytes, bytes]]] = {}
        self.last_frames = b"", b""
        self.size = sum(map(len, self))


def _count_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


# Sends the whole batch now and returns True, or sends nothing and returns False.
Push = Callable[[EncodedBatch], bool]


class Subscriber:
    """A bounded queue of rendered entries. `overflowed` is set when they exceed the limits.

    A batch counts as buffered until the next one is requested. All entries up to
    `delivered_position` were delivered.
    """

    def __init__(
        self, joined_at: LogPosition, max_entries: int, max_bytes: int, push: Push | None = None
    ) -> None:
        self.joined_at = joined_at
        self.delivered_position = joined_at
        self.overflowed = False
        self.buffered_entries = 0
        self.buffered_bytes = 0
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._push = push
        # The queue is empty and the consumer waits for the next batch.
        self._idle = False
        self._error: Exception | None = None
        self._pending: deque[RenderedEntry] = deque()
        self._wake_event = asyncio.Event()

    def push_or_queue(self, batch: Sequence[RenderedEntry], encoded: EncodedBatch) -> None:
        """Pushes the whole batch if the subscriber is idle, and queues it otherwise."""
        can_push = self._idle and batch[0][0] > self.delivered_position
        if can_push and self._push is not None and self._push(encoded):
            self.delivered_position = batch[-1][0]
            return
        # Later batches must not overtake queued entries.
        self._idle = False
        for rendered in batch:
            self._enqueue(rendered)

    def _enqueue(self, rendered: RenderedEntry) -> None:
        if self.overflowed:
            return
        size = _count_bytes(rendered[1])
        if (
            self.buffered_entries >= self._max_entries
            or self.buffered_bytes + size > self._max_bytes
        ):
            self.overflowed = True
            self._pending.clear()
        else:
            self._pending.append(rendered)
            self.buffered_entries += 1
            self.buffered_bytes += size
        self._wake_event.set()

    def set_error(self, error: Exception) -> None:
        self._error = error
        self._wake_event.set()

    async def wait_for_batch(self) -> list[RenderedEntry]:
        """Waits for entries and returns them. The list is empty if the queue overflowed."""
        self.buffered_entries = len(self._pending)
        self.buffered_bytes = sum(_count_bytes(text) for _, text in self._pending)
        self._idle = not self._pending and not self.overflowed
        try:
            await self._wake_event.wait()
        finally:
            self._idle = False  # a consumer that was cancelled must not be pushed to
        self._wake_event.clear()
        if self._error is not None:
            raise self._error.with_traceback(None)  # all subscribers raise the same exception
        batch = list(self._pending)
        self._pending.clear()
        return batch


class EntryReader(Protocol):
    """The part of the feed that a broadcast reads the change log through."""

    read_position: LogPosition

    def fetch_stored(
        self, feed_filter: FeedFilter, after: LogPosition, until: LogPosition
    ) -> AsyncGenerator[list[Entry], None]:
        """Yields the matching entries between two positions, `until` included."""

    def follow_entries(
        self, feed_filter: FeedFilter, after: LogPosition
    ) -> AsyncGenerator[list[Entry], None]:
        """Yields the matching entries after the position: once each, in order, without end."""


class Broadcast:
    """The rendered entries of one feed filter. It ends when its last subscriber leaves."""

    def __init__(
        self,
        reader: EntryReader,
        feed_filter: FeedFilter,
        render: Render,
        max_entries: int,
        max_bytes: int,
    ) -> None:
        self._reader = reader
        self._feed_filter = feed_filter
        self._render = render
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._subscriber_count = 0
        self.subscribers: set[Subscriber] = set()
        # Entries after this position have not been delivered yet.
        self.position = reader.read_position

    def start(self, on_end: Callable[[], object]) -> asyncio.Task[None]:
        self._on_end = on_end
        # An empty context: the task serves all subscribers, not only the first one.
        self._task = asyncio.create_task(self._run(), context=Context())
        return self._task

    async def subscribe(
        self, after: LogPosition, push: Push | None = None
    ) -> AsyncGenerator[list[RenderedEntry], None]:
        """Yields all rendered entries after the position: once each, in order, without end.

        While the caller waits for the next batch, entries may go to `push` instead.
        """
        self._subscriber_count += 1
        try:
            while True:
                subscriber = Subscriber(self.position, self._max_entries, self._max_bytes, push)
                self.subscribers.add(subscriber)
                async with contextlib.aclosing(self._stream_rendered(subscriber, after)) as batches:
                    async for batch in batches:
                        yield batch
                after = subscriber.delivered_position
        finally:
            self._subscriber_count -= 1
            if not self._subscriber_count:
                self._on_end()
                self._task.cancel()

    async def _stream_rendered(
        self, subscriber: Subscriber, after: LogPosition
    ) -> AsyncGenerator[list[RenderedEntry], None]:
        """Yields stored entries up to the broadcast's position, then live ones, until overflow."""
        try:
            stored = self._reader.fetch_stored(self._feed_filter, after, subscriber.joined_at)
            async with contextlib.aclosing(stored):
                async for batch in stored:
                    while batch:
                        if rendered := await self._render(batch[:RENDER_BATCH_SIZE]):
                            yield rendered
                        del batch[:RENDER_BATCH_SIZE]
            # A cursor may be ahead of what the feed has read.
            subscriber.delivered_position = max(after, subscriber.joined_at)
            while not subscriber.overflowed:
                received = await subscriber.wait_for_batch()
                position = subscriber.delivered_position
                if rendered := [entry for entry in received if entry[0] > position]:
                    subscriber.delivered_position = rendered[-1][0]
                    yield rendered
        finally:
            self.subscribers.discard(subscriber)

    async def _run(self) -> None:
        batches = self._reader.follow_entries(self._feed_filter, self.position)
        try:
            async with contextlib.aclosing(batches):
                async for batch in batches:
                    for start in range(0, len(batch), RENDER_BATCH_SIZE):
                        await self._deliver(batch[start : start + RENDER_BATCH_SIZE])
        except Exception as error:
            self._on_end()
            for subscriber in self.subscribers:
                subscriber.set_error(error)

    async def _deliver(self, entries: Sequence[Entry]) -> None:
        rendered = await self._render(entries)
        # No await in between: a later subscriber reads these entries from the change log.
        subscribers, self.position = list(self.subscribers), entries[-1].position
        if not rendered:
            return
        encoded = EncodedBatch(text.encode() for _, text in rendered)
        for number, subscriber in enumerate(subscribers, 1):
            subscriber.push_or_queue(rendered, encoded)
            if not number % SUBSCRIBERS_PER_YIELD:
                await asyncio.sleep(0)
