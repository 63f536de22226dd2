"""Audit entries: the entries of the change log about everything but events, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Select, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.audit import AuditAction, decode_entry_id, diff_values, encode_entry_id
from app.domain.events.filters import TimeRange
from app.store import tables
from app.store.change_log.changes import (
    LOG_START,
    LogPosition,
    NewEntry,
    append_entries,
    build_range,
    previous_position,
)
from app.store.reading.event_conditions import within

Subject = tables.AuditedRow | tables.Organization
# Names of the tables of all subjects, as the change log has them.
SUBJECTS = (
    str(tables.Organization.__tablename__),
    *(str(table.__tablename__) for table in tables.owned_tables(tables.AuditedRow)),
)
_POSITION = (col(tables.Change.tx), col(tables.Change.seq))
# A literal, because a partial index is not used for a parameter.
_IS_AUDIT_ENTRY = col(tables.Change.subject) != literal_column("'event'")


@dataclass(frozen=True)
class AuditFilter:
    """A filter that selects audit entries for which every condition that is set holds."""

    actions: tuple[AuditAction, ...] | None = None
    actors: tuple[str, ...] | None = None
    subjects: tuple[str, ...] | None = None
    subject_id: UUID | None = None
    at: TimeRange | None = None


ALL_ENTRIES = AuditFilter()


def create_entry(
    row: Subject,
    action: AuditAction,
    actor: str,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    more_values: Mapping[str, Any] = MappingProxyType({}),
) -> NewEntry:
    """Creates the entry of a change.

    `before`: the values that `collect_values` returned before the change; None if the row is
    created or deleted. `more_values`: values that are not columns of the row.
    """
    values = collect_values(row, more_values)
    return NewEntry(
        subject=str(row.__tablename__),
        subject_id=row.id,
        organization_id=(row.id if isinstance(row, tables.Organization) else row.organization_id),
        actor=actor,
        at=now,
        state=values,
        kind=action.value,
        changes={} if before is None else diff_values(before, values),
    )


async def append_audit_entry(
    session: AsyncSession,
    row: Subject,
    action: AuditAction,
    actor: str,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    more_values: Mapping[str, Any] = MappingProxyType({}),
) -> LogPosition:
    """Appends the entry of a change (see `create_entry`)."""
    entry = create_entry(row, action, actor, now, before, more_values)
    [position] = await append_entries(session, [entry])
    return position


def collect_values(
    row: Subject, more_values: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Returns the values of a row by name in the API, without secrets."""
    return {**row.values_in_log(), **more_values}


def entry_id(entry: tables.Change) -> UUID:
    return encode_entry_id(entry.at, entry.seq or 0)  # the database has set it


def entry_position(entry: tables.Change) -> LogPosition:
    return LogPosition(entry.tx or 0, entry.seq or 0)


async def fetch_entry(session: AsyncSession, id: UUID) -> tables.Change | None:
    """Returns the entry with this ID in the session's scope. None if there is none."""
    sequence = decode_entry_id(id)
    if sequence is None:
        return None
    is_entry = (_IS_AUDIT_ENTRY, col(tables.Change.seq) == sequence)
    statement = select(tables.Change).where(*is_entry)
    entry = (await session.scalars(statement)).one_or_none()
    return entry if entry is not None and entry_id(entry) == id else None


async def list_entries(
    session: AsyncSession,
    filter: AuditFilter,
    limit: int,
    before: LogPosition | None,
    window_end: LogPosition | None,
) -> Sequence[tables.Change]:
    """The entries before a position that match, newest first.

    `window_end`: the last position to examine; None to examine all entries.
    """
    statement = _select_newest((tables.Change,), before, window_end)
    statement = statement.where(*_build_conditions(filter))
    return (await session.scalars(statement.limit(limit))).all()


async def find_window_end(
    session: AsyncSession, before: LogPosition | None, size: int
) -> LogPosition | None:
    """Position of the last of the `size` entries before a position. None if there are fewer."""
    statement = _select_newest(_POSITION, before)
    row: Any = (await session.execute(statement.offset(size - 1).limit(1))).one_or_none()
    return None if row is None else LogPosition(*row)


def _select_newest(
    entities: tuple[Any, ...], before: LogPosition | None, window_end: LogPosition | None = None
) -> Select[Any]:
    after = previous_position(window_end) or LOG_START
    return (
        select(*entities)
        .where(_IS_AUDIT_ENTRY, *build_range(after, previous_position(before)))
        .order_by(*(column.desc() for column in _POSITION))
    )


def _build_conditions(filter: AuditFilter) -> list[Any]:
    table = tables.Change
    conditions: list[Any] = []
    if filter.actions is not None:
        conditions.append(col(table.kind).in_([action.value for action in filter.actions]))
    if filter.actors is not None:
        conditions.append(col(table.actor).in_(filter.actors))
    if filter.subjects is not None:
        conditions.append(col(table.subject).in_(filter.subjects))
    if filter.subject_id is not None:
        conditions.append(col(table.subject_id) == filter.subject_id)
    return [*conditions, *within(table.at, filter.at)]
