"""Reads an organization's events, or all entries of its change log, in their order, for exports.

That order is commit order: an export that resumes at a position neither misses an event that was
committed late nor repeats one. Events whose first entry was pruned come first, by their time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.event_types.fields import FieldKind
from app.domain.events.filters import EventFilter, TimeRange, filter_matches
from app.domain.events.state import EventState
from app.domain.shared.problems import RequestError
from app.services.definitions.event_types import load_snapshots
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LogPosition, LogSnapshot
from app.store.engine.database import Database
from app.store.reading.event_conditions import within
from app.store.reading.pages import decode_cursor, encode_cursor
from app.store.tables.columns import Horizon

PAGE_SIZE = 500
RETRY_INTERVAL_SECONDS = 0.2


class EventKey(NamedTuple):
    """Position among the events whose first entry was pruned."""

    recorded_at: datetime
    id: UUID


FIRST_KEY = EventKey(datetime.min.replace(tzinfo=UTC), UUID(int=0))
_CURSOR_KIND = "export"


@dataclass(frozen=True)
class ExportRange:
    """A range of an organization's change log: after `after`, up to `until`.

    `pruned_after`: before it, the events after this one whose first entry was pruned. None if these
    were exported before.
    """

    organization_id: UUID
    snapshot: LogSnapshot
    after: LogPosition
    until: LogPosition
    pruned_after: EventKey | None = None

    def encode_cursor(self, position: LogPosition | EventKey) -> str:
        """Encodes a position. One that is not after all pruned entries expires when others are."""
        if isinstance(position, LogPosition) and position >= self.snapshot.pruned:
            return changes.encode_log_cursor(
                self.organization_id, self.snapshot, position, complete=True
            )
        key: tuple[Any, ...] = position
        if isinstance(position, EventKey):
            key = (position.recorded_at.isoformat(), str(position.id))
        identity, pruned = self.snapshot.identity, self.snapshot.pruned
        return encode_cursor(self.organization_id, _CURSOR_KIND, identity, *pruned, *key)

    @property
    def start(self) -> LogPosition | EventKey:
        return self.pruned_after or self.after


class PrunedMeanwhileError(Exception):
    """Entries that were not read yet were pruned, so that the export would have a gap."""


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
    reads_events: bool = False


def select_events(filter: EventFilter) -> ExportSource[EventState]:
    """The current state of each event that the filter selects, where it was logged."""
    change = tables.Change

    def read_event(row: Sequence[Any]) -> EventState | None:
        state = None if row[0] is None else row[0].to_domain()
        return state if state is not None and filter_matches(filter, state) else None

    is_logged = and_(col(change.subject) == changes.EVENT, col(change.kind) == "LOGGED")
    return ExportSource((tables.Event,), (is_logged,), read_event, reads_events=True)


def select_history(times: TimeRange) -> ExportSource[HistoryEntry]:
    """The entries of a time range."""
    change = tables.Change
    columns: tuple[Any, ...] = (
        *(change.at, change.actor, change.kind, change.subject, change.subject_id),
        *(change.changes, change.state),
    )
    return ExportSource(columns, tuple(within(change.at, times)), lambda row: HistoryEntry(*row))


@dataclass(frozen=True)
class ExportPage(Generic[Exported]):
    """Objects as they are now, and the position of the last entry or event that was read."""

    objects: list[Exported]
    position: LogPosition | EventKey


@dataclass(frozen=True)
class _ScannedPage(Generic[Exported]):
    objects: list[Exported]
    position: LogPosition
    full: bool
    complete: bool


async def open_range(database: Database, organization_id: UUID, after: str | None) -> ExportRange:
    """Opens the range after a cursor, up to the end of the change log.

    Raises RequestError INVALID_CURSOR or CURSOR_EXPIRED.
    """
    async with database.read(organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        start: LogPosition | EventKey = FIRST_KEY
        if after is not None:
            start = _decode_cursor(organization_id, after, snapshot)
        last_position = max(await _last_position(session), snapshot.pruned)
    if isinstance(start, EventKey):
        return ExportRange(organization_id, snapshot, changes.LOG_START, last_position, start)
    return ExportRange(organization_id, snapshot, start, max(start, last_position))


def _decode_cursor(
    organization_id: UUID, cursor: str, snapshot: LogSnapshot
) -> LogPosition | EventKey:
    try:
        identity, *numbers, first, second = decode_cursor(
            organization_id, _CURSOR_KIND, cursor, "after"
        )
    except (RequestError, ValueError):  # a cursor of the change log
        position = changes.decode_log_cursor(organization_id, cursor, snapshot)
        return snapshot.check_not_pruned(position.subscription_position)
    if [identity, *numbers] != [snapshot.identity, *snapshot.pruned]:
        raise changes.expired_cursor_error("after")
    if isinstance(first, int):
        return LogPosition(first, second)
    return EventKey(datetime.fromisoformat(first), UUID(second))


async def fetch_pages(
    database: Database,
    export_range: ExportRange,
    source: ExportSource[Exported],
    max_wait_seconds: float,
) -> AsyncGenerator[ExportPage[Exported], None]:
    """Yields each object of the source, once, in bounded pages that may be empty.

    Waits up to `max_wait_seconds` for older transactions that are still open. The last page ends at
    `export_range.until` only if nothing is missing. Raises PrunedMeanwhileError.
    """
    if source.reads_events and export_range.pruned_after is not None:
        async for page in _fetch_pruned(database, export_range, source):
            yield page
    position, waited_seconds = export_range.after, 0.0
    while position < export_range.until:
        scanned = await _scan_page(database, export_range, position, source)
        if scanned.position > position:
            yield ExportPage(scanned.objects, scanned.position)
        position = scanned.position
        if not scanned.full and not scanned.complete:
            if waited_seconds >= max_wait_seconds:
                return
            await asyncio.sleep(RETRY_INTERVAL_SECONDS)
            waited_seconds += RETRY_INTERVAL_SECONDS


async def _fetch_pruned(
    database: Database, export_range: ExportRange, source: ExportSource[Exported]
) -> AsyncGenerator[ExportPage[Exported], None]:
    """Yields the events whose first entry was pruned. The last page ends before the change log."""
    change, event = tables.Change, tables.Event
    key, begins_at = export_range.pruned_after, export_range.snapshot.begins_at
    while key is not None and begins_at is not None:
        is_logged = and_(col(change.subject_id) == col(event.id), col(change.kind) == "LOGGED")
        order = (col(event.recorded_at), col(event.id))
        statement = (
            select(event)
            .where(
                col(event.recorded_at) < begins_at,
                or_(
                    order[0] > key.recorded_at, and_(order[0] == key.recorded_at, order[1] > key.id)
                ),
                ~exists().where(is_logged).correlate(event),
            )
            .order_by(*order)
            .limit(PAGE_SIZE)
        )
        async with database.read(export_range.organization_id) as session:
            await _check_not_pruned(session, export_range, changes.LOG_START)
            rows = (await session.execute(statement)).all()
        objects = [each for row in rows if (each := source.read(row)) is not None]
        key = EventKey(rows[-1][0].recorded_at, rows[-1][0].id) if len(rows) == PAGE_SIZE else None
        yield ExportPage(objects, key or export_range.after)


async def _check_not_pruned(
    session: AsyncSession, export_range: ExportRange, position: LogPosition
) -> None:
    """Raises PrunedMeanwhileError if entries after the position were pruned since the start."""
    pruned = await changes.fetch_pruned_position(session)
    if pruned > max(position, export_range.snapshot.pruned):
        raise PrunedMeanwhileError


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
    if source.reads_events:
        statement = statement.outerjoin(event, col(event.id) == col(change.subject_id))
    await database.log_horizon.refresh()
    async with database.read(export_range.organization_id) as session:
        await _check_not_pruned(session, export_range, after)
        parameters = changes.horizon_parameters(session)
        rows = (await session.execute(statement, parameters)).all()
        horizon = (await session.scalars(select(Horizon()), parameters)).one()
    objects = [each for row in rows if (each := source.read(row[2:])) is not None]
    full, complete = len(rows) == PAGE_SIZE, export_range.until.tx < horizon
    position = LogPosition(rows[-1][0] or 0, rows[-1][1] or 0) if rows else after
    if complete and not full:
        position = export_range.until
    return _ScannedPage(objects, position, full, complete)


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
