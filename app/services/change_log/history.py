"""History: pages of the change log, of one event or of all events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from app.domain.access.caller import Caller
from app.domain.events.filters import ALL_CHANGES, MATCH_ALL, EventChangeFilter, EventFilter
from app.services.change_log.feed import resolve_start
from app.services.change_log.feed_filters import matches_before_or_after
from app.store.change_log import changes
from app.store.change_log.changes import Entry, EntryRange, LogPosition
from app.store.engine.database import Database
from app.store.reading import pages

BATCH_SIZE = 500
# Entries that the database examines for a batch if it filters them.
WINDOW_SIZE = 10_000
# For a page: 10,000 entries are examined in memory, or 200,000 by the database.
MAX_BATCHES = 20


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
    change_filter: EventChangeFilter = ALL_CHANGES,
    *,
    complete: bool = False,
) -> HistoryPage:
    """Returns a page of entries, oldest first, that match both filters.

    `complete`: the list ends where no earlier entry can be added, as a subscription does, and the
    end of the last page is the end of the list, even if no entry matches.

    `filter` is evaluated in memory, `change_filter` by the database, in at most MAX_BATCHES
    batches. If fewer of their entries match than were requested, the page is short but has a next
    one. Raises RequestError INVALID_CURSOR or CURSOR_EXPIRED.
    """
    batch_size = request.size + 1 if filter == MATCH_ALL else BATCH_SIZE
    # The entries of given events are read by an index, and all entries match no condition.
    needs_window = change_filter.event_ids is None and change_filter != ALL_CHANGES
    matching: list[Entry] = []
    # Read before the snapshot of the session, which therefore has all entries up to it.
    head = (await resolve_start(database, caller, None))[1] if complete else None
    async with database.read(caller.organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        position = _start_range(caller, request, snapshot, complete=complete).after
        is_behind = head is not None and position <= head
        batches, exhausted = 0, False
        while len(matching) <= request.size and batches < MAX_BATCHES and not exhausted:
            window_end = (
                await changes.find_window_end(session, position, WINDOW_SIZE)
                if needs_window
                else None
            )
            if head is not None and window_end is not None and window_end >= head:
                window_end = None
            batch = await changes.list_event_entries(
                session, position, batch_size, change_filter, window_end or head
            )
            matching += [entry for entry in batch if matches_before_or_after(filter, entry)]
            batches += 1
            if len(batch) == batch_size:
                position = batch[-1].position
            elif window_end is not None:
                position = window_end
            else:
                exhausted = True
    page = _build_page(caller, request, snapshot, matching, None if exhausted else position)
    if head is None or page.has_next:
        return page
    end = changes.encode_log_cursor(caller.organization_id, snapshot, head, complete=True)
    # The cursor of a list can be beyond the head while another transaction is open.
    return replace(page, end=end if is_behind else request.after)


async def fetch_pages(
    database: Database, caller: Caller, request: pages.PageRequest, event_ids: Sequence[UUID]
) -> dict[UUID, HistoryPage]:
    """Returns the same page of the history of each event."""
    async with database.read(caller.organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        entry_range = _start_range(caller, request, snapshot)
        entries = await changes.list_event_histories(
            session, entry_range, request.size + 1, event_ids
        )
    entries_by_event: dict[UUID, list[Entry]] = {event_id: [] for event_id in event_ids}
    for entry in entries:
        entries_by_event[entry.subject_id].append(entry)
    return {
        event_id: _build_page(caller, request, snapshot, event_entries, None)
        for event_id, event_entries in entries_by_event.items()
    }


def _start_range(
    caller: Caller,
    request: pages.PageRequest,
    snapshot: changes.LogSnapshot,
    *,
    complete: bool = False,
) -> EntryRange:
    def decode(cursor: str | None, argument: str) -> LogPosition | None:
        if cursor is None:
            return None
        decoded = changes.decode_log_cursor(caller.organization_id, cursor, snapshot, argument)
        return decoded.subscription_position if complete else decoded.list_position

    after, before = decode(request.after, "after"), decode(request.before, "before")
    if after is not None:
        snapshot.check_not_pruned(after)
    return EntryRange(after or changes.LOG_START, before, request.backwards)


def _build_page(
    caller: Caller,
    request: pages.PageRequest,
    snapshot: changes.LogSnapshot,
    matching: list[Entry],
    position: LogPosition | None,
) -> HistoryPage:
    """Builds the page. `position`: where the scan of the change log stopped; None at its end.

    `matching` is in the order of the change log, with one entry more than the page if there is one.
    """
    page = pages.build_page(matching[::-1] if request.backwards else matching, request)
    edges = [
        (
            changes.encode_log_cursor(
                caller.organization_id, snapshot, entry.position, complete=False
            ),
            entry,
        )
        for entry in page.rows
    ]
    end = edges[-1][0] if edges else None
    if len(matching) <= request.size and position is not None:
        end = changes.encode_log_cursor(caller.organization_id, snapshot, position, complete=False)
    has_next = page.has_next or position is not None
    return HistoryPage(edges, has_next, page.has_previous, end, snapshot.begins_at)
