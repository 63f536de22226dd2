"""Reads an organization's events, or all entries of its change log, in their order, for exports.

That order is commit order: an export that resumes at a position neither misses an event that was
committed late nor repeats one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.event_types.fields import FieldKind
from app.domain.events.filters import EventFilter, TimeRange, filter_matches
from app.domain.events.state import EventState
from app.services.definitions.event_types import load_snapshots
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
class HistoryEntry:
    """An entry of the change log, of an event or of anything else."""

    at: datetime
    actor: str
    kind: str
    subject: str
    subject_id: UUID
    changes: dict[str, Any]
    state: dict[str, Any]


Exported = TypeVar("Exported")


@dataclass(frozen=True)
class ExportSource(Generic[Exported]):
    """What is exported: entries of the change log, and the object of each, or None."""

    columns: tuple[Any, ...]
    conditions: tuple[ColumnElement[bool], ...]
    read: Callable[[Sequence[Any]], Exported | None]
    joins_events: bool = False


def select_events(filter: EventFilter) -> ExportSource[EventState]:
    """The current state of each event that the filter selects, where it was logged."""
    change = tables.Change

    def read_event(row: Sequence[Any]) -> EventState | None:
        state = None if row[0] is None else row[0].to_domain()
        return state if state is not None and filter_matches(filter, state) else None

    is_logged = and_(col(change.subject) == changes.EVENT, col(change.kind) == "LOGGED")
    return ExportSource((tables.Event,), (is_logged,), read_event, joins_events=True)


def select_history(times: TimeRange) -> ExportSource[HistoryEntry]:
    """The entries of a time range."""
    change = tables.Change
    columns: tuple[Any, ...] = (
        *(change.at, change.actor, change.kind, change.subject, change.subject_id),
        *(change.changes, change.state),
    )
    conditions = []
    if times.start is not None:
        conditions.append(col(change.at) >= times.start)
    if times.end is not None:
        conditions.append(col(change.at) < times.end)
    return ExportSource(columns, tuple(conditions), lambda row: HistoryEntry(*row))


@dataclass(frozen=True)
class ExportPage(Generic[Exported]):
    """Objects as they are now, and the position of the last entry that was read."""

    objects: list[Exported]
    position: LogPosition


@dataclass(frozen=True)
class _ScannedPage(Generic[Exported]):
    page: ExportPage[Exported]
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
    database: Database,
    export_range: ExportRange,
    source: ExportSource[Exported],
    max_wait_seconds: float,
) -> AsyncGenerator[ExportPage[Exported], None]:
    """Yields each object of the source, once, in bounded pages that may be empty.

    Waits up to `max_wait_seconds` for older transactions that are still open. The last page ends at
    `export_range.until` only if nothing is missing.
    """
    position, waited_seconds = export_range.after, 0.0
    while position < export_range.until:
        scanned = await _scan_page(database, export_range, position, source)
        if scanned.page.position > position:
            yield scanned.page
        position = scanned.page.position
        if not scanned.full and not scanned.complete:
            if waited_seconds >= max_wait_seconds:
                return
            await asyncio.sleep(RETRY_INTERVAL_SECONDS)
            waited_seconds += RETRY_INTERVAL_SECONDS


async def _scan_page(
    database: Database,
    export_range: ExportRange,
    after: LogPosition,
    source: ExportSource[Exported],
) -> _ScannedPage[Exported]:
    """Reads the next entries of the source and their objects, by one statement."""
    change, event = tables.Change, tables.Event
    statement = (
        select(col(change.tx), col(change.seq), *source.columns)
        .where(
            *source.conditions,
            *changes.build_range(after, export_range.until),
            col(change.tx) < Horizon(),
        )
        .order_by(col(change.tx), col(change.seq))
        .limit(PAGE_SIZE)
    )
    if source.joins_events:
        statement = statement.outerjoin(event, col(event.id) == col(change.subject_id))
    await database.log_horizon.refresh()
    async with database.read(export_range.organization_id) as session:
        parameters = changes.horizon_parameters(session)
        rows = (await session.execute(statement, parameters)).all()
        horizon = (await session.scalars(select(Horizon()), parameters)).one()
    objects = [each for row in rows if (each := source.read(row[2:])) is not None]
    full, complete = len(rows) == PAGE_SIZE, export_range.until.tx < horizon
    position = LogPosition(rows[-1][0] or 0, rows[-1][1] or 0) if rows else after
    if complete and not full:
        position = export_range.until
    return _ScannedPage(ExportPage(objects, position), full, complete)


async def fetch_field_kinds(
    database: Database, organization_id: UUID, type: str
) -> dict[str, FieldKind]:
    """Returns the kinds of the fields of an event type, by name. Empty if it is not registered."""
    async with database.read(organization_id) as session:
        snapshots = await load_snapshots(session, set(), {type})
    return {field.name: field.kind for each in snapshots for field in each.fields}


async def _last_position(session: AsyncSession) -> LogPosition:
    """Returns the position of the organization's last entry. Older ones may still be committed."""
    change = tables.Change
    positions = select(col(change.tx), col(change.seq))
    statement = positions.order_by(col(change.tx).desc(), col(change.seq).desc()).limit(1)
    row = (await session.execute(statement)).one_or_none()
    return changes.LOG_START if row is None else LogPosition(row[0] or 0, row[1] or 0)
