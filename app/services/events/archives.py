"""Reads an organization's events in the order in which they were logged, for exports.

That order is commit order: an export that resumes at a position neither misses an event that was
committed late nor repeats one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.filters import EventFilter, filter_matches
from app.domain.events.state import EventState
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LogPosition, LogSnapshot
from app.store.engine.database import Database
from app.store.tables.columns import Horizon

PAGE_SIZE = 500
RETRY_INTERVAL_SECONDS = 0.2


@dataclass(frozen=True)
class ExportRange:
    """A range of an organization's change log: after `after`, up to `until`."""

    organization_id: UUID
    snapshot: LogSnapshot
    after: LogPosition
    until: LogPosition

    def encode_cursor(self, position: LogPosition) -> str:
        return changes.encode_log_cursor(
            self.organization_id, self.snapshot, position, complete=True
        )


@dataclass(frozen=True)
class ExportPage:
    """Events as they are now, and the position of the last entry that was read."""

    events: list[EventState]
    position: LogPosition


@dataclass(frozen=True)
class _ScannedPage:
    page: ExportPage
    full: bool
    complete: bool


async def open_range(database: Database, organization_id: UUID, after: str | None) -> ExportRange:
    """Opens the range after a cursor, up to the end of the change log.

    Raises RequestError INVALID_CURSOR or CURSOR_EXPIRED.
    """
    async with database.read(organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        position = changes.LOG_START
        if after is not None:
            position = snapshot.check_not_pruned(
                changes.decode_log_cursor(organization_id, after, snapshot).subscription_position
            )
        return ExportRange(
            organization_id, snapshot, position, max(position, await _last_position(session))
        )


async def fetch_pages(
    database: Database, export_range: ExportRange, filter: EventFilter, max_wait_seconds: float
) -> AsyncGenerator[ExportPage, None]:
    """Yields each event that the filter selects, once, in bounded pages that may be empty.

    Waits up to `max_wait_seconds` for older transactions that are still open. The last page ends at
    `export_range.until` only if no event is missing.
    """
    position, waited_seconds = export_range.after, 0.0
    while position < export_range.until:
        scanned = await _scan_page(database, export_range, position, filter)
        if scanned.page.position > position:
            yield scanned.page
        position = scanned.page.position
        if not scanned.full and not scanned.complete:
            if waited_seconds >= max_wait_seconds:
                return
            await asyncio.sleep(RETRY_INTERVAL_SECONDS)
            waited_seconds += RETRY_INTERVAL_SECONDS


async def _scan_page(
    database: Database, export_range: ExportRange, after: LogPosition, filter: EventFilter
) -> _ScannedPage:
    """Reads the next LOGGED entries and the current state of their events, by one statement."""
    change, event = tables.Change, tables.Event
    entry_position = tuple_(col(change.tx), col(change.seq))
    statement = (
        select(col(change.tx), col(change.seq), event)
        .outerjoin(event, col(event.id) == col(change.subject_id))
        .where(
            and_(col(change.subject) == changes.EVENT, col(change.kind) == "LOGGED"),
            and_(
                entry_position > changes.position_literal(after),
                entry_position <= changes.position_literal(export_range.until),
            ),
            col(change.tx) < Horizon(),
        )
        .order_by(col(change.tx), col(change.seq))
        .limit(PAGE_SIZE)
    )
    await database.log_horizon.refresh()
    async with database.read(export_range.organization_id) as session:
        parameters = changes.horizon_parameters(session)
        rows = (await session.execute(statement, parameters)).all()
        horizon = (await session.scalars(select(Horizon()), parameters)).one()
    states = [row.to_domain() for _, _, row in rows if row is not None]
    full, complete = len(rows) == PAGE_SIZE, export_range.until.tx < horizon
    position = LogPosition(rows[-1][0] or 0, rows[-1][1] or 0) if rows else after
    if complete and not full:
        position = export_range.until
    page = ExportPage([state for state in states if filter_matches(filter, state)], position)
    return _ScannedPage(page, full, complete)


async def _last_position(session: AsyncSession) -> LogPosition:
    """Returns the position of the organization's last entry. Older ones may still be committed."""
    change = tables.Change
    positions = select(col(change.tx), col(change.seq))
    statement = positions.order_by(col(change.tx).desc(), col(change.seq).desc()).limit(1)
    row = (await session.execute(statement)).one_or_none()
    return changes.LOG_START if row is None else LogPosition(row[0] or 0, row[1] or 0)
