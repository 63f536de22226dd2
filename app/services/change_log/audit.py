"""Pages of audit entries, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.domain.access.caller import Caller
from app.services.change_log.history import MAX_BATCHES, WINDOW_SIZE
from app.store import tables
from app.store.change_log import audit
from app.store.change_log.audit import ALL_ENTRIES, AuditFilter
from app.store.change_log.changes import LogPosition
from app.store.engine.database import Database
from app.store.reading import pages
from app.store.reading.pages import decode_cursor, encode_cursor, invalid_cursor_error

_CURSOR_KIND = "audit"
_MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True)
class AuditPage:
    """A page of entries with their cursors. `end` is the cursor that the next page starts after."""

    entries: list[tuple[str, tables.Change]]
    has_next: bool
    has_previous: bool
    end: str | None


async def fetch_page(
    database: Database, caller: Caller, request: pages.PageRequest, filter: AuditFilter
) -> AuditPage:
    """Returns a page of the entries that match.

    The database examines at most MAX_BATCHES * WINDOW_SIZE entries. If fewer of them match than
    were requested, the page is short but has a next one. Raises RequestError INVALID_CURSOR.
    """
    position = _decode_position(caller, request.after)
    # The entries of one object are read by an index, and all entries match no condition.
    needs_window = filter != ALL_ENTRIES and filter.subject_id is None
    matching: list[tables.Change] = []
    batches, exhausted = 0, False
    async with database.read(caller.organization_id) as session:
        while len(matching) <= request.size and batches < MAX_BATCHES and not exhausted:
            window_end = (
                await audit.find_window_end(session, position, WINDOW_SIZE)
                if needs_window
                else None
            )
            limit = request.size + 1 - len(matching)
            matching += await audit.list_entries(session, filter, limit, position, window_end)
            batches += 1
            position, exhausted = window_end, window_end is None
    page = pages.build_page(matching, request)
    edges = [(_encode_cursor(caller, audit.entry_position(each)), each) for each in page.rows]
    is_short = not exhausted and len(matching) <= request.size
    end = _encode_cursor(caller, position) if is_short and position is not None else None
    if end is None and edges:
        end = edges[-1][0]
    return AuditPage(edges, page.has_next or is_short, page.has_previous, end)


async def fetch_entry(database: Database, caller: Caller, id: UUID) -> tables.Change | None:
    async with database.read(caller.organization_id) as session:
        return await audit.fetch_entry(session, id)


def _encode_cursor(caller: Caller, position: LogPosition) -> str:
    return encode_cursor(caller.organization_id, _CURSOR_KIND, *position)


def _decode_position(caller: Caller, cursor: str | None) -> LogPosition | None:
    if cursor is None:
        return None
    numbers = decode_cursor(caller.organization_id, _CURSOR_KIND, cursor, "after")
    match numbers:
        case [int(tx), int(seq)] if 0 <= tx <= _MAX_NUMBER and 0 <= seq <= _MAX_NUMBER:
            return LogPosition(tx, seq)
    raise invalid_cursor_error("after")
