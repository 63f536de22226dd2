"""The live feed: one reader of the change log per process, and its followers.

Each filter is evaluated once per entry for all followers that share it. A follower has a bounded
buffer. When the buffer of a slow follower overflows, it is dropped, but no entry is lost: the
follower reads the entries from the change log and rejoins when it has caught up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from dataclasses import replace
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from app.domain.access.caller import Caller
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.change_log.broadcast import Broadcast, Render
from app.services.change_log.feed_filters import FeedFilter
from app.services.shared.background_tasks import run_in_background
from app.store.change_log import changes
from app.store.change_log.changes import CurrentEvent, Entry, LogPosition
from app.store.change_log.tail import BATCH_SIZE, LogTail, ReplacedLogError
from app.store.engine.database import Database
from app.store.engine.database_errors import DATABASE_ERRORS

RETRY_SECONDS = 1.0
_REPLACED = (
    "The change log was replaced by a failover or a restore. All subscribers must load their "
    "lists again."
)

log = structlog.get_logger(__name__)


class FeedError(RequestError):
    """The change log can no longer be read. Subscribers should resume from their cursors."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.UNAVAILABLE, "The change log could not be read. Subscribe again to resume."
        )


class Follower:
    """A bounded buffer of the entries that match a feed filter.

    `overflowed` is set when the buffer was too small.
    """

    def __init__(self, feed_filter: FeedFilter, joined_at: LogPosition, max_entries: int) -> None:
        self.feed_filter = feed_filter
        self.joined_at = joined_at
        self.overflowed = False
        self._error: Exception | None = None
        self._max_entries = max_entries
        self._pending: deque[Entry] = deque()
        self._wake_event = asyncio.Event()

    def enqueue(self, entry: Entry) -> None:
        if len(self._pending) >= self._max_entries:
            self.overflowed = True
            self._pending.clear()
        if not self.overflowed:
            self._pending.append(entry)
        self._wake_event.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._wake_event.set()

    async def wait_for_batch(self, timeout_seconds: float | None = None) -> list[Entry]:
        """Waits for entries and returns them.

        The list is empty if the buffer overflowed, or if there were none until the timeout.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._wake_event.wait()
        self._wake_event.clear()
        if self._error is not None:
            raise self._error.with_traceback(None)  # all followers raise the same exception
        batch = list(self._pending)
        self._pending.clear()
        return batch


class Feed:
    """The feed of a process. Enter it with `async with` before the first follower joins."""

    def __init__(self, database: Database, buffer_entries: int, buffer_bytes: int) -> None:
        self._database = database
        self._tail = LogTail(database)
        self._buffer_entries = buffer_entries
        self._buffer_bytes = buffer_bytes
        self.followers: set[Follower] = set()
        self.broadcasts: dict[Hashable, Broadcast] = {}
        self._broadcast_tasks: set[asyncio.Task[None]] = set()
        self.read_position = changes.LOG_START
        # Called each time the feed wakes up, because any process may have changed something.
        self.wake_callbacks: list[Callable[[], None]] = []
        self._reader = contextlib.AsyncExitStack()
        # One object per event with entries in memory, so that all of them show its current state.
        self._current_events: WeakValueDictionary[UUID, CurrentEvent] = WeakValueDictionary()

    async def __aenter__(self) -> Feed:
        self.read_position = await self._tail.fetch_head()
        await self._database.wake.start()
        await self._reader.enter_async_context(run_in_background(self._run(), "feed"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.aclose()
        broadcast_tasks = list(self._broadcast_tasks)
        for task in broadcast_tasks:
            task.cancel()
        await asyncio.gather(*broadcast_tasks, return_exceptions=True)
        await self._database.wake.stop()

    async def follow_entries(
        self, feed_filter: FeedFilter, after: LogPosition
    ) -> AsyncGenerator[list[Entry], None]:
        """Yields batches of matching entries after the position: once each, in order, endlessly."""
        async with contextlib.aclosing(self.follow_progress(feed_filter, after)) as progress:
            async for entries, _ in progress:
                if entries:
                    yield entries

    async def follow_progress(
        self,
        feed_filter: FeedFilter,
        after: LogPosition,
        interval_seconds: float | None = None,
        *,
        skips_pruned: bool = False,
    ) -> AsyncGenerator[tuple[list[Entry], LogPosition], None]:
        """Yields batches as `follow_entries` does, with the position up to which no match is left.

        A batch is empty if there were no matching entries for the interval. `skips_pruned`:
        continues with the oldest entry that exists, instead of raising CURSOR_EXPIRED.
        """
        while True:
            # Join first, then read up to the feed's position: no entry is missed in between.
            follower = Follower(feed_filter, self.read_position, self._buffer_entries)
            self.followers.add(follower)
            try:
                stored = self.fetch_stored(
                    feed_filter, after, follower.joined_at, skips_pruned=skips_pruned
                )
                async for batch in stored:
                    after = batch[-1].position
                    yield batch, after
                after = max(after, follower.joined_at)
                while not follower.overflowed:
                    batch = await follower.wait_for_batch(interval_seconds)
                    if follower.overflowed:
                        break
                    # What the feed has read is distributed: the follower has all of it.
                    entries = [entry for entry in batch if entry.position > after]
                    after = max(after, self.read_position)
                    if entries or interval_seconds is not None:
                        yield entries, after
            finally:
                self.followers.discard(follower)

    async def fetch_stored(
        self,
        feed_filter: FeedFilter,
        after: LogPosition,
        until: LogPosition,
        *,
        skips_pruned: bool = False,
    ) -> AsyncGenerator[list[Entry], None]:
        """Yields batches of matching entries between two positions, `until` included."""
        while after < until:
            async with self._database.read(feed_filter.organization_id) as session:
                if not skips_pruned and after < await changes.fetch_pruned_position(session):
                    raise changes.expired_cursor_error("after")
                batch = await changes.fetch_entries_after(
                    session, after, BATCH_SIZE, until, feed_filter.notifications_only
                )
            full = len(batch) == BATCH_SIZE
            after = batch[-1].position if batch else until
            matching = [entry for entry in batch if feed_filter.matches_entry(entry)]
            entries = _limit_size(matching, self._buffer_bytes)
            if len(entries) < len(matching):
                full, after = True, entries[-1].position
            del batch, matching  # a slow consumer keeps no more than the buffer in memory
            if entries:
                yield [self._with_shared_event(entry) for entry in entries]
            if not full:
                return

    def get_broadcast(self, key: Hashable, feed_filter: FeedFilter, render: Render) -> Broadcast:
        """Returns the broadcast of this key, and starts it if it does not exist."""
        if (existing := self.broadcasts.get(key)) is not None:
            return existing
        broadcast = Broadcast(self, feed_filter, render, self._buffer_entries, self._buffer_bytes)
        self.broadcasts[key] = broadcast

        def remove_broadcast() -> None:
            if self.broadcasts.get(key) is broadcast:
                del self.broadcasts[key]

        task = broadcast.start(remove_broadcast)
        self._broadcast_tasks.add(task)
        task.add_done_callback(self._broadcast_tasks.discard)
        return broadcast

    def count_subscribers(self) -> int:
        """Returns the number of subscribers in all organizations."""
        return sum(len(broadcast.subscribers) for broadcast in self.broadcasts.values())

    async def _run(self) -> None:
        while True:
            await self._database.wake.wait()
            for callback in self.wake_callbacks:
                callback()
            try:
                await self._read_new_entries()
            except DATABASE_ERRORS as error:
                log.warning("change_log_read_failed", cause=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # a bug: followers must not wait for entries that never arrive
                log.exception("change_log_read_failed")
                self._fail_followers(FeedError())
                await asyncio.sleep(RETRY_SECONDS)

    def _fail_followers(self, error: Exception) -> None:
        for follower in self.followers:
            follower.fail(error)

    async def _read_new_entries(self) -> None:
        try:
            await self._distribute_new_entries()
        except ReplacedLogError:
            tail = LogTail(self._database)
            self.read_position = await tail.fetch_head()
            self._tail = tail
            self._fail_followers(changes.expired_cursor_error("after"))
            log.warning("change_log_replaced", reason=_REPLACED)

    async def _distribute_new_entries(self) -> None:
        if not self.followers and await self._skip_to_head():
            return
        full = True
        while full:
            batch, pruned = await self._tail.fetch_entries_after(self.read_position)
            if self.read_position < pruned:  # unread entries were pruned
                self._fail_followers(FeedError())
            full = len(batch) == BATCH_SIZE
            for entry in batch:
                shared_entry = self._with_shared_event(entry)
                shared_entry.current.event = entry.event
                self._distribute(shared_entry)
                self.read_position = entry.position

    def _distribute(self, entry: Entry) -> None:
        matches: dict[FeedFilter, bool] = {}
        for follower in self.followers:
            feed_filter = follower.feed_filter
            if feed_filter not in matches:
                matches[feed_filter] = feed_filter.matches_entry(entry)
            if matches[feed_filter]:
                follower.enqueue(entry)

    async def _skip_to_head(self) -> bool:
        """Moves to the end of the change log, unless a follower joins meanwhile."""
        head = await self._tail.fetch_head()
        if self.followers:
            return False
        self.read_position = head
        return True

    def _with_shared_event(self, entry: Entry) -> Entry:
        """Returns the entry with the shared `CurrentEvent` of its event."""
        return replace(
            entry, current=self._current_events.setdefault(entry.subject_id, entry.current)
        )


async def resolve_start(
    database: Database, caller: Caller, after: str | None
) -> tuple[changes.LogSnapshot, LogPosition]:
    """Returns the start of a subscription: the cursor, or else the end of the change log."""
    if after is None:
        await database.log_horizon.refresh()
    snapshot, head = await changes.fetch_snapshot_and_head(database)
    if after is None:
        return snapshot, head
    position = changes.decode_log_cursor(caller.organization_id, after, snapshot)
    return snapshot, snapshot.check_not_pruned(position.subscription_position)


async def fetch_log_head(database: Database, caller: Caller) -> str:
    """Returns the end of the change log as a cursor."""
    snapshot, position = await resolve_start(database, caller, None)
    return changes.encode_log_cursor(caller.organization_id, snapshot, position, complete=True)


def _limit_size(entries: Sequence[Entry], max_bytes: int) -> Sequence[Entry]:
    """Returns the first entries that fit into `max_bytes`, and at least one."""
    size = 0
    for index, entry in enumerate(entries):
        size += len(repr(entry.state_json)) + len(repr(entry.changes))
        if size > max_bytes and index:
            return entries[:index]
    return entries
