"""The live feed: one reader of the log in a process, and all who follow it.

A filter is asked about an entry once, for all followers that have it. A follower has a bounded
buffer. Whoever is too slow for it loses the buffer, not the entries: it reads them from the log
again, and joins the others when it has caught up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Hashable, Sequence
from dataclasses import replace
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from app.domain.access.caller import Caller
from app.services.change_log.broadcast import Broadcast, Render
from app.services.change_log.feed_filters import Selection
from app.store.change_log import changes
from app.store.change_log.changes import Entry, Now, Place
from app.store.change_log.tail import BATCH, Tail
from app.store.engine.database import EVERYWHERE, Database
from app.store.engine.dialect import DATABASE_ERRORS

RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class FeedError(Exception):
    """The log could not be read on: whoever followed it should resume."""


class Follower:
    """Waits for the entries of a selection.

    `overrun` when its buffer was too small, `lost` when the log could not be read on.
    """

    def __init__(self, selection: Selection, joined: Place, size: int) -> None:
        self.selection = selection
        self.joined = joined
        self.overrun = False
        self.lost = False
        self._size = size
        self._waiting: deque[Entry] = deque()
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Entries in the buffer."""
        return len(self._waiting)

    def offer(self, entry: Entry) -> None:
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

    def __init__(self, database: Database, buffer_entries: int, buffer_bytes: int) -> None:
        self._database = database
        self._tail = Tail(database)
        self._buffer_entries = buffer_entries
        self._buffer_bytes = buffer_bytes
        self.followers: set[Follower] = set()
        self.broadcasts: dict[Hashable, Broadcast] = {}
        self._broadcasting: set[asyncio.Task[None]] = set()
        self.read_up_to = changes.START
        self._reading: asyncio.Task[None] | None = None
        # Of the events whose entries somebody still holds: those are told as they are now, too.
        self._now: WeakValueDictionary[UUID, Now] = WeakValueDictionary()

    async def __aenter__(self) -> Feed:
        self.read_up_to = await self._tail.head()
        await self._database.wake.start()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        broadcasting = list(self._broadcasting)
        for task in broadcasting:
            task.cancel()
        await asyncio.gather(*broadcasting, return_exceptions=True)
        await self._database.wake.stop()

    async def follow(self, selection: Selection, after: Place) -> AsyncGenerator[list[Entry], None]:
        """Every entry of the selection after the place, once, in order, without end: in batches."""
        while True:
            # Join first, then read up to where the others are: nothing falls in between.
            follower = Follower(selection, self.read_up_to, self._buffer_entries)
            self.followers.add(follower)
            try:
                async for batch in self.stored(selection, after, follower.joined):
                    after = batch[-1].place
                    yield batch
                after = max(after, follower.joined)
                while not follower.overrun:
                    if batch := [each for each in await follower.take() if each.place > after]:
                        after = batch[-1].place
                        yield batch
            finally:
                self.followers.discard(follower)

    async def stored(
        self, selection: Selection, after: Place, until: Place
    ) -> AsyncGenerator[list[Entry], None]:
        """What the log holds of a selection between two places, `until` included."""
        while after < until:
            async with self._database.read(selection.organization_id) as session:
                if after < await changes.pruned(session):
                    raise changes.expired("after")
                batch = await changes.read_after(session, after, BATCH, until, selection.rings_only)
            full = len(batch) == BATCH
            after = batch[-1].place if batch else until
            selected = [entry for entry in batch if selection.selects(entry)]
            held = _held(selected, self._buffer_bytes)
            if len(held) < len(selected):
                full, after = True, held[-1].place
            del batch, selected  # whoever is slow holds no more than the buffer
            if held:
                yield [self._shared(entry) for entry in held]
            if not full:
                return

    def broadcast(self, key: Hashable, selection: Selection, render: Render) -> Broadcast:
        """What all get who follow under this key: they join the one that is there."""
        if (broadcast := self.broadcasts.get(key)) is not None:
            return broadcast
        made = Broadcast(self, selection, render, self._buffer_entries, self._buffer_bytes)
        self.broadcasts[key] = made

        def ended() -> None:
            if self.broadcasts.get(key) is made:
                del self.broadcasts[key]

        task = made.start(ended)
        self._broadcasting.add(task)
        task.add_done_callback(self._broadcasting.discard)
        return made

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
            batch, pruned = await self._tail.read_after(self.read_up_to)
            if self.read_up_to < pruned:  # entries were pruned that nobody here has seen
                self._lose_followers()
            full = len(batch) == BATCH
            for entry in batch:
                shared = self._shared(entry)
                shared.now.event = entry.event
                self._offer(shared)
                self.read_up_to = entry.place

    def _offer(self, entry: Entry) -> None:
        selected: dict[Selection, bool] = {}
        for follower in self.followers:
            selection = follower.selection
            if selection not in selected:
                selected[selection] = selection.selects(entry)
            if selected[selection]:
                follower.offer(entry)

    async def _passed_over(self) -> bool:
        """Goes to the end of the log, unless somebody has begun to follow meanwhile."""
        end = await self._tail.head()
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
    position = changes.position_of(caller.organization_id, after, moment)
    return moment, moment.held(position.resume)


async def log_head(database: Database, caller: Caller) -> str:
    """The end of the log as a cursor."""
    moment, place = await start_of(database, caller, None)
    return changes.cursor_of(caller.organization_id, moment, place, complete=True)


def _held(entries: Sequence[Entry], most_bytes: int) -> Sequence[Entry]:
    """As many of them as so many bytes hold: at least one, where there is one."""
    held = 0
    for index, entry in enumerate(entries):
        held += len(repr(entry.state_json))
        if held > most_bytes and index:
            return entries[:index]
    return entries
