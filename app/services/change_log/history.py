"""History: pages of the change log, of one event or of all events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.services.change_log.feed_filters import matches_before_or_after
from app.store.change_log import changes
from app.store.change_log.changes import Entry, LogPosition
from app.store.engine.database import Database
from app.store.reading import pages

MAX_SCANNED_ENTRIES = 10_000
BATCH_SIZE = 500
MATCH_ALL = EventFilter()


@dataclass(frozen=True)
class HistoryPage:
    """A page of entries with their cursors. `end` is the cursor that the next page starts after.

    Entries before `begins_at` were pruned; None if the change log is complete.
    """

    entries: list[tuple[str, Entry]]
    has_next: bool
    has_previous: bool
    end: str | None
    begins_at: datetime | None


async def fetch_page(
    database: Database,
    caller: Caller,
    request: pages.PageRequest,
    filter: EventFilter = MATCH_ALL,
    event_id: UUID | None = None,
) -> HistoryPage:
    """Returns a page of entries, oldest first, of the matching events or of one event.

    The filter is evaluated in memory, on up to MAX_SCANNED_ENTRIES entries. If fewer of them match
    than were requested, the page is short but has a next one. Raises RequestError INVALID_CURSOR
    or CURSOR_EXPIRED.
    """
    batch_size = request.size + 1 if filter == MATCH_ALL else BATCH_SIZE
    matching: list[Entry] = []
    async with database.read(caller.organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        position = _start_position(caller, request, snapshot)
        scanned, exhausted = 0, False
        while len(matching) <= request.size and scanned < MAX_SCANNED_ENTRIES and not exhausted:
            batch = await changes.list_event_entries(session, position, batch_size, event_id)
            matching += [entry for entry in batch if matches_before_or_after(filter, entry)]
            scanned += len(batch)
            exhausted = len(batch) < batch_size
            position = batch[-1].position if batch else position
    return _build_page(caller, request, snapshot, matching, None if exhausted else position)


async def fetch_pages(
    database: Database, caller: Caller, request: pages.PageRequest, event_ids: Sequence[UUID]
) -> dict[UUID, HistoryPage]:
    """Returns the same page of the history of each event."""
    async with database.read(caller.organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        after = _start_position(caller, request, snapshot)
        entries = await changes.list_event_histories(session, after, request.size + 1, event_ids)
    entries_by_event: dict[UUID, list[Entry]] = {event_id: [] for event_id in event_ids}
    for entry in entries:
        entries_by_event[entry.subject_id].append(entry)
    return {
        event_id: _build_page(caller, request, snapshot, event_entries, None)
        for event_id, event_entries in entries_by_event.items()
    }


def _start_position(
    caller: Caller, request: pages.PageRequest, snapshot: changes.LogSnapshot
) -> LogPosition:
    if request.after is None:
        return changes.LOG_START
    return snapshot.check_not_pruned(
        changes.decode_log_cursor(caller.organization_id, request.after, snapshot).list_position
    )


def _build_page(
    caller: Caller,
    request: pages.PageRequest,
    snapshot: changes.LogSnapshot,
    matching: list[Entry],
    position: LogPosition | None,
) -> HistoryPage:
    """Builds the page. `position`: where the scan of the change log stopped; None at its end."""
    edges = [
        (
            changes.encode_log_cursor(
                caller.organization_id, snapshot, entry.position, complete=False
            ),
            entry,
        )
        for entry in matching[: request.size]
    ]
    end = edges[-1][0] if edges else None
    if len(matching) <= request.size and position is not None:
        end = changes.encode_log_cursor(caller.organization_id, snapshot, position, complete=False)
    has_next = len(matching) > request.size or position is not None
    return HistoryPage(edges, has_next, request.after is not None, end, snapshot.begins_at)
