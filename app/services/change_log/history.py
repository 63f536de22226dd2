"""The change log as people read it: what happened to an event, and to all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.services.change_log.feed_filters import concerns
from app.store.change_log import changes
from app.store.change_log.changes import Entry, Place
from app.store.engine.database import Database
from app.store.reading import pages

SCANNED = 10_000
BATCH = 500
EVERYTHING = EventFilter()


@dataclass(frozen=True)
class History:
    """Entries beside their cursors; `end` is where the next page begins.

    Entries before `begins_at` were removed from the log; None while it holds all of them.
    """

    entries: list[tuple[str, Entry]]
    has_next: bool
    has_previous: bool
    end: str | None
    begins_at: datetime | None


async def page(
    database: Database,
    caller: Caller,
    request: pages.PageRequest,
    filter: EventFilter = EVERYTHING,
    event_id: UUID | None = None,
) -> History:
    """Entries of events, oldest first: of all that the filter selects, or of one.

    The filter is asked in memory, of up to SCANNED entries for a page: where those hold fewer than
    were asked for, the page is short and goes on. RequestError INVALID_CURSOR, CURSOR_EXPIRED.
    """
    batch_size = request.size + 1 if filter == EVERYTHING else BATCH
    found: list[Entry] = []
    async with database.read(caller.organization_id) as session:
        moment = await changes.moment(session)
        looked_at = _after(caller, request, moment)
        scanned, exhausted = 0, False
        while len(found) <= request.size and scanned < SCANNED and not exhausted:
            batch = await changes.list_events(session, looked_at, batch_size, event_id)
            found += [entry for entry in batch if concerns(filter, entry)]
            scanned += len(batch)
            exhausted = len(batch) < batch_size
            looked_at = batch[-1].place if batch else looked_at
    return _history(caller, request, moment, found, None if exhausted else looked_at)


async def of_events(
    database: Database, caller: Caller, request: pages.PageRequest, event_ids: Sequence[UUID]
) -> dict[UUID, History]:
    """The same page of the history of each event."""
    async with database.read(caller.organization_id) as session:
        moment = await changes.moment(session)
        after = _after(caller, request, moment)
        entries = await changes.list_histories(session, after, request.size + 1, event_ids)
    found: dict[UUID, list[Entry]] = {event_id: [] for event_id in event_ids}
    for entry in entries:
        found[entry.subject_id].append(entry)
    return {
        event_id: _history(caller, request, moment, own, None) for event_id, own in found.items()
    }


def _after(caller: Caller, request: pages.PageRequest, moment: changes.Moment) -> Place:
    if request.after is None:
        return changes.START
    return moment.held(changes.position_of(caller.organization_id, request.after, moment).place)


def _history(
    caller: Caller,
    request: pages.PageRequest,
    moment: changes.Moment,
    found: list[Entry],
    looked_at: Place | None,
) -> History:
    """The page of what was found; `looked_at` is where the look at the log was broken off."""
    shown = found[: request.size]
    entries = [
        (changes.cursor_of(caller.organization_id, moment, entry.place, complete=False), entry)
        for entry in shown
    ]
    end = entries[-1][0] if entries else None
    if len(found) <= request.size and looked_at is not None:
        end = changes.cursor_of(caller.organization_id, moment, looked_at, complete=False)
    has_next = len(found) > request.size or looked_at is not None
    return History(entries, has_next, request.after is not None, end, moment.begins_at)
