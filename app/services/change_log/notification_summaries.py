"""Summaries of the open notifications: how many there are, and how many a reader has not read.

The summary of a filter is computed once for all its subscribers. What differs between them, the
number of unread notifications, is found in the positions that the summary contains.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncGenerator, Hashable
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.domain.events.severity import Severity
from app.domain.events.state import EventStatus
from app.domain.shared.problems import RequestError
from app.services.change_log import read_marks
from app.services.change_log.feed import Feed, FeedError
from app.services.change_log.feed_filters import FeedFilter
from app.services.change_log.read_marks import Mark
from app.services.shared.background_tasks import run_in_background
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LogPosition, LogSnapshot
from app.store.engine.database import Database
from app.store.engine.database_errors import DATABASE_ERRORS
from app.store.reading import event_conditions

MAX_UNREAD = 1_000
_OPEN_NOTIFICATIONS = EventFilter(notification=True, statuses=(EventStatus.OPEN,))
# At most four summaries of a filter a second.
INTERVAL_SECONDS = 0.25
RETRY_SECONDS = 1.0
# Marks are read again for this long: clocks of servers differ, and transactions commit late.
_MARK_OVERLAP = timedelta(seconds=60)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class OpenNotifications:
    """The open notifications that a filter selects, as of a position in the change log.

    `positions`: those at which the newest MAX_UNREAD of them were delivered, in ascending order.
    """

    organization_id: UUID
    counts: tuple[tuple[Severity, int], ...]
    positions: tuple[LogPosition, ...]
    snapshot: LogSnapshot = field(compare=False)
    as_of: LogPosition = field(compare=False)
    # Responses with this summary, shared by the subscribers that get equal ones.
    responses: dict[Hashable, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def cursor(self) -> str:
        return changes.encode_log_cursor(
            self.organization_id, self.snapshot, self.as_of, complete=True
        )

    def count_unread(self, mark: LogPosition) -> int:
        """Number of notifications that were delivered after the mark, at most MAX_UNREAD."""
        return len(self.positions) - bisect_right(self.positions, mark)


@dataclass(frozen=True)
class NotificationSummary:
    """The open notifications, and the number of them that a reader has not read."""

    notifications: OpenNotifications
    unread_count: int


async def fetch_summary(
    database: Database, caller: Caller, filter: EventFilter
) -> NotificationSummary:
    """Fetches the summary of the notifications that the filter selects, for the caller."""
    await database.log_horizon.refresh()
    notifications = await _fetch_open_notifications(database, caller.organization_id, filter)
    async with database.read(caller.organization_id) as session:
        mark = await read_marks.load_mark(session, caller.reader)
    return _summarize(notifications, mark)


async def _fetch_open_notifications(
    database: Database, organization_id: UUID, filter: EventFilter
) -> OpenNotifications:
    table = tables.Event
    position = (col(table.rang_tx), col(table.rang_seq))
    conditions = [
        position[1].is_not(None),  # for the partial index
        *(
            condition
            for part in (filter, _OPEN_NOTIFICATIONS)
            for condition in event_conditions.build_conditions(part, organization_id)
        ),
    ]
    counts = select(col(table.severity), func.count()).where(*conditions)
    newest = select(*position).where(*conditions)
    newest = newest.order_by(*(column.desc() for column in position)).limit(MAX_UNREAD)
    async with database.read(organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        as_of = await changes.fetch_head(session)
        counted = await session.execute(counts.group_by(col(table.severity)))
        count_by_severity = {row[0]: row[1] for row in counted}
        newest_rows: Any = await session.execute(newest)
        positions = [LogPosition(*row) for row in newest_rows]
    return OpenNotifications(
        organization_id,
        tuple(
            (severity, count_by_severity[severity])
            for severity in Severity
            if severity in count_by_severity
        ),
        tuple(reversed(positions)),
        snapshot,
        as_of,
    )


class _Subscriber:
    """A subscriber of a live summary, with the mark of its reader."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.mark: Mark | None = None
        self.error: Exception | None = None

    def fail(self, error: Exception) -> None:
        self.error = error
        self.changed.set()

    def set_mark(self, mark: Mark | None) -> None:
        if mark != self.mark:
            self.mark = mark
            self.changed.set()


class _LiveSummary:
    """The open notifications that a filter selects, computed again when an event changes."""

    def __init__(self, database: Database, feed: Feed, feed_filter: FeedFilter) -> None:
        self.current: OpenNotifications | None = None
        self.subscribers: set[_Subscriber] = set()
        self._database = database
        self._feed = feed
        self._filter = feed_filter.filter
        self._feed_filter = FeedFilter(
            feed_filter.organization_id,
            EventFilter(and_=(feed_filter.filter, EventFilter(notification=True))),
        )
        self._changed = asyncio.Event()
        self._computed_at = 0.0
        # An empty context: the task serves all subscribers, not only the first one.
        self._task = asyncio.create_task(self._run(), context=Context())

    def stop(self) -> asyncio.Task[None]:
        """Returns the cancelled task."""
        self._task.cancel()
        return self._task

    def refresh_if_old(self) -> None:
        """Computes the summary again unless it is newer than INTERVAL_SECONDS."""
        if self._computed_at + INTERVAL_SECONDS < asyncio.get_running_loop().time():
            self.current = None
            self._changed.set()

    async def _run(self) -> None:
        async with run_in_background(self._follow_changes(), "notification_summary"):
            while True:
                await self._changed.wait()
                self._changed.clear()
                try:
                    await self._compute()
                except DATABASE_ERRORS as error:
                    log.warning("notification_summary_failed", cause=str(error))
                    self._changed.set()
                    await asyncio.sleep(RETRY_SECONDS)
                except Exception:
                    self._fail_subscribers()
                    self._changed.set()
                    await asyncio.sleep(RETRY_SECONDS)
                await asyncio.sleep(INTERVAL_SECONDS)

    def _fail_subscribers(self) -> None:
        """Logs a bug, and fails the subscribers: they must not wait for what never arrives."""
        log.exception("notification_summary_failed")
        for subscriber in self.subscribers:
            subscriber.fail(FeedError())

    async def _compute(self) -> None:
        await self._database.log_horizon.refresh()
        notifications = await _fetch_open_notifications(
            self._database, self._feed_filter.organization_id, self._filter
        )
        is_changed = notifications != self.current
        self.current = notifications
        self._computed_at = asyncio.get_running_loop().time()
        if is_changed:
            for subscriber in self.subscribers:
                subscriber.changed.set()

    async def _follow_changes(self) -> None:
        while True:
            try:
                entries = self._feed.follow_entries(self._feed_filter, self._feed.read_position)
                async with contextlib.aclosing(entries):
                    # Changes since the position that `entries` starts at are delivered.
                    self._changed.set()
                    async for _ in entries:
                        self._changed.set()
            except (RequestError, *DATABASE_ERRORS) as error:
                log.warning("notification_summary_failed", cause=str(error))
            except Exception:
                self._fail_subscribers()
            await asyncio.sleep(RETRY_SECONDS)


class NotificationSummaries:
    """The live summaries of a process. Enter it with `async with` before the first subscriber."""

    def __init__(self, database: Database, feed: Feed) -> None:
        self._database = database
        self._feed = feed
        self._summaries: dict[FeedFilter, _LiveSummary] = {}
        self._subscribers_by_reader: defaultdict[tuple[UUID, str], set[_Subscriber]] = defaultdict(
            set
        )
        self._woken = asyncio.Event()
        self._marks_reader = contextlib.AsyncExitStack()

    async def __aenter__(self) -> NotificationSummaries:
        self._feed.wake_callbacks.append(self._woken.set)
        await self._marks_reader.enter_async_context(
            run_in_background(self._follow_marks(), "read_marks")
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._marks_reader.aclose()
        tasks = [summary.stop() for summary in self._summaries.values()]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def subscribe(
        self, caller: Caller, filter: EventFilter
    ) -> AsyncGenerator[NotificationSummary, None]:
        """Yields the current summary, and then each new one, at most one per INTERVAL_SECONDS."""
        key = FeedFilter(caller.organization_id, filter)
        reader_key = caller.organization_id, caller.reader
        summary = self._summaries.get(key)
        if summary is None:
            summary = self._summaries[key] = _LiveSummary(self._database, self._feed, key)
        else:
            summary.refresh_if_old()
        subscriber = _Subscriber()
        summary.subscribers.add(subscriber)
        self._subscribers_by_reader[reader_key].add(subscriber)
        last: NotificationSummary | None = None
        try:
            async with self._database.read(caller.organization_id) as session:
                subscriber.set_mark(await read_marks.load_mark(session, caller.reader))
            while True:
                subscriber.changed.clear()
                if subscriber.error is not None:
                    raise subscriber.error
                if summary.current is not None:
                    latest = _summarize(summary.current, subscriber.mark)
                    if latest != last:
                        last = latest
                        yield latest
                        await asyncio.sleep(INTERVAL_SECONDS)
                        continue
                await subscriber.changed.wait()
        finally:
            self._remove_subscriber(key, summary, reader_key, subscriber)

    def _remove_subscriber(
        self,
        key: FeedFilter,
        summary: _LiveSummary,
        reader_key: tuple[UUID, str],
        subscriber: _Subscriber,
    ) -> None:
        self._subscribers_by_reader[reader_key].discard(subscriber)
        if not self._subscribers_by_reader[reader_key]:
            del self._subscribers_by_reader[reader_key]
        summary.subscribers.discard(subscriber)
        if not summary.subscribers:
            summary.stop()
            del self._summaries[key]

    async def _follow_marks(self) -> None:
        """Reads the marks that any server process has raised, by one statement for all readers."""
        since = datetime.now(UTC) - _MARK_OVERLAP
        while True:
            await self._woken.wait()
            self._woken.clear()
            if self._subscribers_by_reader:
                started_at = datetime.now(UTC)
                try:
                    marks = await read_marks.fetch_marks_changed_since(self._database, since)
                except Exception as error:
                    if isinstance(error, DATABASE_ERRORS):
                        log.warning("read_marks_failed", cause=str(error))
                    else:  # a bug: subscribers must not wait for marks that never arrive
                        log.exception("read_marks_failed")
                        for subscribers in self._subscribers_by_reader.values():
                            for subscriber in subscribers:
                                subscriber.fail(FeedError())
                    self._woken.set()
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                since = started_at - _MARK_OVERLAP
                for reader_key, mark in marks.items():
                    for subscriber in self._subscribers_by_reader.get(reader_key, ()):
                        subscriber.set_mark(mark)
            await asyncio.sleep(INTERVAL_SECONDS)


def _summarize(notifications: OpenNotifications, mark: Mark | None) -> NotificationSummary:
    position = read_marks.find_read_position(mark, notifications.snapshot)
    return NotificationSummary(notifications, notifications.count_unread(position))
