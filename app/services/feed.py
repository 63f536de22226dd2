"""The live feed: one reader of the log in a process, and all who follow it.

A follower has a bounded buffer. Whoever is too slow for it loses the buffer, not the entries:
it reads them from the log again, and joins the others when it has caught up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import replace
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from app.domain.access import Caller
from app.domain.filters import EventFilter, matches
from app.store import changes, tables
from app.store.changes import Entry, Now, Place
from app.store.database import EVERYWHERE, Database
from app.store.dialect import DATABASE_ERRORS

BATCH = 500
RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class FeedError(Exception):
    """The log could not be read on: whoever followed it should resume."""


class Follower:
    """Waits for the entries of one organization, or for those that ring.

    `overrun` when its buffer was too small, `lost` when the log could not be read on.
    """

    def __init__(
        self, organization_id: UUID, joined: Place, size: int, rings_only: bool = False
    ) -> None:
        self.organization_id = organization_id
        self.joined = joined
        self.overrun = False
        self.lost = False
        self._size = size
        self._rings_only = rings_only
        self._waiting: deque[Entry] = deque()
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Entries in the buffer."""
        return len(self._waiting)

    def offer(self, entry: Entry) -> None:
        if entry.organization_id != self.organization_id or (self._rings_only and not entry.rings):
            return
        if len(self._waiting) >= self._size:
            self.overrun = True
            self._waiting.clear()
        if not self.overrun:
            self._waiting.append(entry)
        self._arrived.set()

    def lose(self) -> None:
        self.lost = True
        self._arrived.set()

    async def take(self) -> list[Entry]:
        """What has arrived, once something has; nothing when the buffer was overrun."""
        await self._arrived.wait()
        self._arrived.clear()
        if self.lost:
            raise FeedError
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class Feed:
    """Start it before the first follower; `async with` does."""

    def __init__(self, database: Database, buffer_entries: int) -> None:
        self._database = database
        self._buffer_entries = buffer_entries
        self.followers: set[Follower] = set()
        self.read_up_to = changes.START
        self._reading: asyncio.Task[None] | None = None
        # Of the events whose entries somebody still holds: those are told as they are now, too.
        self._now: WeakValueDictionary[UUID, Now] = WeakValueDictionary()

    async def __aenter__(self) -> Feed:
        async with self._database.read(EVERYWHERE) as session:
            self.read_up_to = await changes.head(session)
        await self._database.wake.start()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        await self._database.wake.stop()

    async def follow(
        self, organization_id: UUID, after: Place, rings_only: bool = False
    ) -> AsyncGenerator[Entry, None]:
        """Every entry of the organization after the place, once, in order, without end."""
        while True:
            # Join first, then read up to where the others are: nothing falls in between.
            size = self._buffer_entries
            follower = Follower(organization_id, self.read_up_to, size, rings_only)
            self.followers.add(follower)
            try:
                async for entry in self._stored(follower, after, rings_only):
                    after = entry.place
                    yield entry
                after = max(after, follower.joined)
                while not follower.overrun:
                    for entry in await follower.take():
                        if entry.place > after:
                            after = entry.place
                            yield entry
            finally:
                self.followers.discard(follower)

    async def _stored(
        self, follower: Follower, after: Place, rings_only: bool
    ) -> AsyncGenerator[Entry, None]:
        while after < follower.joined:
            async with self._database.read(follower.organization_id) as session:
                if after < await changes.pruned(session):
                    raise changes.expired("after")
                batch = await changes.read_after(session, after, BATCH, follower.joined, rings_only)
            for entry in [self._shared(entry) for entry in batch]:
                after = entry.place
                yield entry
            if len(batch) < BATCH:
                return

    async def _read(self) -> None:
        while True:
            await self._database.wake.wait()
            try:
                await self._pass_on()
            except DATABASE_ERRORS as error:
                log.warning("log_unreadable", cause=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # a mistake of ours: nobody should wait for what never comes
                log.exception("log_unreadable")
                self._lose_followers()
                await asyncio.sleep(RETRY_SECONDS)

    def _lose_followers(self) -> None:
        for follower in self.followers:
            follower.lose()

    async def _pass_on(self) -> None:
        if not self.followers and await self._passed_over():
            return
        full = True
        while full:
            async with self._database.read(EVERYWHERE) as session:
                batch = await changes.read_after(session, self.read_up_to, BATCH)
                missed = bool(batch) and self.read_up_to < await changes.pruned(session)
            if missed:  # entries were pruned that nobody here has seen
                self._lose_followers()
            full = len(batch) == BATCH
            for entry in batch:
                shared = self._shared(entry)
                shared.now.event = entry.event
                for follower in self.followers:
                    follower.offer(shared)
                self.read_up_to = entry.place

    async def _passed_over(self) -> bool:
        """Goes to the end of the log, unless somebody has begun to follow meanwhile."""
        async with self._database.read(EVERYWHERE) as session:
            end = await changes.head(session)
        if self.followers:
            return False
        self.read_up_to = end
        return True

    def _shared(self, entry: Entry) -> Entry:
        """The entry beside the one `Now` of its event."""
        return replace(entry, now=self._now.setdefault(entry.subject_id, entry.now))


async def start_of(
    database: Database, caller: Caller, after: str | None
) -> tuple[changes.Moment, Place]:
    """Where a subscription begins: behind the cursor, or at the end of the log."""
    async with database.read(EVERYWHERE) as session:
        moment = await changes.moment(session)
        if after is None:
            return moment, await changes.head(session)
    resume = changes.position_of(caller.organization_id, after, moment).resume
    if resume < moment.pruned:
        raise changes.expired("after")
    return moment, resume


async def log_head(database: Database, caller: Caller) -> str:
    """The end of the log as a cursor."""
    moment, place = await start_of(database, caller, None)
    return changes.cursor_of(caller.organization_id, moment, place, complete=True)


async def notifications_added(
    database: Database, feed: Feed, caller: Caller, filter: EventFilter, after: str | None
) -> AsyncGenerator[tuple[str, tables.Event], None]:
    """Each event that rang and is still there, with the cursor of the entry that rang.

    The filter judges the event as it was when it rang, so that a replay selects what the live
    subscription selected. RequestError INVALID_CURSOR, CURSOR_EXPIRED.
    """
    organization_id = caller.organization_id
    moment, start = await start_of(database, caller, after)
    async with contextlib.aclosing(feed.follow(organization_id, start, rings_only=True)) as rung:
        async for entry in rung:
            if entry.event is not None and matches(filter, entry.state):
                yield (
                    changes.cursor_of(organization_id, moment, entry.place, complete=True),
                    entry.event,
                )
