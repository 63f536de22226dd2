"""Pruning: removes old entries from the change log, on an operator's command or by a policy.

Each organization gets an audit entry of what was removed, unless nothing was. What an enabled
channel has not read yet is kept for some time. After that, the channel learns that it has a gap.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.audit import AuditAction
from app.domain.shared.limits import RetentionLimits
from app.domain.shared.values import format_instant
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.audit import collect_values, create_entry
from app.store.change_log.changes import LogPosition
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.reading.event_conditions import Condition
from app.store.tables.columns import Horizon, IsAfter, IsNotAfter

ACTOR = "tocsin prune"
BATCH_SIZE = 1_000
MAX_CLOCK_DIFFERENCE = timedelta(hours=1)
UNDELIVERED_TIME = RetentionLimits().undelivered_time
_POSITION_COLUMNS = (col(tables.Change.tx), col(tables.Change.seq))


@dataclass(frozen=True)
class _Options:
    """What to remove: entries before a time, of events or of everything.

    `organization_id`: None for all organizations. `protected_since`: what happened since then is
    kept for the channels that have not read it.
    """

    before: datetime
    audit_entries: bool
    organization_id: UUID | None
    protected_since: datetime


@dataclass(frozen=True)
class _PrunableEntry:
    position: LogPosition
    organization_id: UUID
    is_audit_entry: bool
    at: datetime


@dataclass
class _Removal:
    """What was removed of an organization, and the sequence number of its audit entry."""

    removed: list[int] = field(default_factory=lambda: [0, 0])
    oldest: datetime | None = None
    newest: datetime | None = None
    sequence: int | None = None


async def count_prunable_entries(
    database: Database,
    before: datetime,
    *,
    audit_entries: bool = False,
    organization_id: UUID | None = None,
    undelivered_time: timedelta = UNDELIVERED_TIME,
) -> int:
    """Counts the entries that `prune_entries` would remove."""
    protected_since = datetime.now(UTC) - undelivered_time
    options = _Options(before, audit_entries, organization_id, protected_since)
    await database.log_horizon.refresh()
    async with database.read(ALL_ORGANIZATIONS) as session:
        statement = (
            select(func.count()).select_from(tables.Change).where(*_prunable_conditions(options))
        )
        return (await session.scalars(statement, changes.horizon_parameters(session))).one()


async def pause_as_long(seconds: float) -> None:
    """Pauses for as long as a batch took, so that other transactions can write."""
    await asyncio.sleep(seconds)


async def prune_entries(
    database: Database,
    before: datetime,
    *,
    audit_entries: bool = False,
    organization_id: UUID | None = None,
    undelivered_time: timedelta = UNDELIVERED_TIME,
    actor: str = ACTOR,
    until: LogPosition | None = None,
    pause: Callable[[float], Awaitable[None]] = pause_as_long,
) -> int:
    """Removes the entries before the time, in batches, and returns their number.

    `audit_entries`: whether to remove those of everything but events, too. `organization_id`: None
    for all organizations. `undelivered_time`: how long enabled channels keep what they have not
    read. `until`: the last position to examine. `pause` is called after each batch, with the
    seconds that it took.

    If it is interrupted, the start of the change log and the audit entries match the removed
    entries.
    """
    protected_since = datetime.now(UTC) - undelivered_time
    options = _Options(before, audit_entries, organization_id, protected_since)
    pruning = _Pruning(options, actor)
    position = changes.LOG_START
    while True:
        started = time.monotonic()
        batch = await _find_prunable(database, options, position, until)
        if not batch:
            return pruning.removed_count
        position = batch[-1].position
        await pruning.remove_entries(database, batch)
        await pause(time.monotonic() - started)


async def find_prunable_end(
    database: Database, before: datetime, organization_id: UUID
) -> LogPosition | None:
    """Position of the first entry of events that is too new to be removed. None if there is none.

    Later entries are newer, except for the differences between the clocks of servers.
    """
    statement = (
        select(*_POSITION_COLUMNS)
        .where(
            col(tables.Change.subject) == changes.EVENT,
            col(tables.Change.at) >= before + MAX_CLOCK_DIFFERENCE,
        )
        .order_by(*_POSITION_COLUMNS)
        .limit(1)
    )
    async with database.read(organization_id) as session:
        row = (await session.execute(statement)).one_or_none()
    return None if row is None else LogPosition(row[0] or 0, row[1] or 0)


def _prunable_conditions(options: _Options) -> list[Condition]:
    # Entries beyond the horizon have not been read yet.
    conditions = [col(tables.Change.at) < options.before, _POSITION_COLUMNS[0] < Horizon()]
    if options.organization_id is not None:
        conditions.append(col(tables.Change.organization_id) == options.organization_id)
    if not options.audit_entries:
        conditions.append(col(tables.Change.subject) == changes.EVENT)
    return [*conditions, ~_is_protected(options.protected_since)]


def _is_protected(since: datetime) -> ColumnElement[bool]:
    """Whether an enabled channel of the organization has not read the entry, which is recent."""
    channel = tables.Channel
    is_awaited = exists().where(
        col(channel.organization_id) == col(tables.Change.organization_id),
        col(channel.enabled),
        IsAfter(*_POSITION_COLUMNS, col(channel.tx), col(channel.seq)),
    )
    return and_(
        col(tables.Change.subject) == changes.EVENT, col(tables.Change.at) >= since, is_awaited
    )


async def _find_prunable(
    database: Database, options: _Options, after: LogPosition, until: LogPosition | None
) -> Sequence[_PrunableEntry]:
    """Uses a read transaction: on SQLite a write transaction would block all writers."""
    await database.log_horizon.refresh()
    table = tables.Change
    columns: tuple[Any, ...] = (table.organization_id, table.subject, table.at)
    async with database.read(ALL_ORGANIZATIONS) as session:
        statement = (
            select(*_POSITION_COLUMNS, *columns)
            .where(*_prunable_conditions(options), *changes.build_range(after, until))
            .order_by(*_POSITION_COLUMNS)
            .limit(BATCH_SIZE)
        )
        rows = await session.execute(statement, changes.horizon_parameters(session))
        return [
            _PrunableEntry(
                LogPosition(tx or 0, seq or 0), organization_id, subject != changes.EVENT, at
            )
            for tx, seq, organization_id, subject, at in rows
        ]


class _Pruning:
    """Removes batches of entries, and keeps the audit entry of each organization up to date."""

    def __init__(self, options: _Options, actor: str) -> None:
        self.removed_count = 0
        self._options = options
        self._actor = actor
        self._now = datetime.now(UTC)
        self._removals: dict[UUID, _Removal] = {}

    async def remove_entries(self, database: Database, batch: Sequence[_PrunableEntry]) -> None:
        """Removes the entries and moves the start of the change log, in one transaction."""
        organization_ids = {entry.organization_id for entry in batch}
        writes_log = not organization_ids <= self._removals.keys()
        async with database.write(ALL_ORGANIZATIONS, writes_log=writes_log) as session:
            sequence_numbers = [entry.position.seq for entry in batch]
            await session.execute(
                delete(tables.Change).where(col(tables.Change.seq).in_(sequence_numbers))
            )
            await _move_start(session, self._options.before, batch[-1].position)
            for entry in batch:
                _add_entry(self._removals.setdefault(entry.organization_id, _Removal()), entry)
            for organization_id in sorted(organization_ids):
                await self._write_audit_entry(session, organization_id)
                await _mark_gaps(session, organization_id, batch)
        self.removed_count += len(batch)

    async def _write_audit_entry(self, session: AsyncSession, organization_id: UUID) -> None:
        removal = self._removals[organization_id]
        organization = await session.get_one(tables.Organization, organization_id)
        action, values = AuditAction.RETENTION_APPLIED, collect_values(organization)
        entry = create_entry(
            organization, action, self._actor, self._now, values, self._format_removal(removal)
        )
        if removal.sequence is None:
            [position] = await changes.append_entries(session, [entry])
            removal.sequence = position.seq
        else:
            # One entry for all batches: subscriptions do not deliver audit entries.
            statement = update(tables.Change).where(col(tables.Change.seq) == removal.sequence)
            await session.execute(statement.values(changes=entry.changes, state=entry.state))

    def _format_removal(self, removal: _Removal) -> dict[str, Any]:
        event_changes, audit_entries = removal.removed
        return {
            "before": format_instant(self._options.before),
            "removedEventChanges": event_changes,
            "removedAuditEntries": audit_entries,
            "oldestRemoved": removal.oldest and format_instant(removal.oldest),
            "newestRemoved": removal.newest and format_instant(removal.newest),
        }


def _add_entry(removal: _Removal, entry: _PrunableEntry) -> None:
    removal.removed[entry.is_audit_entry] += 1
    removal.oldest = min(removal.oldest or entry.at, entry.at)
    removal.newest = max(removal.newest or entry.at, entry.at)


async def _mark_gaps(
    session: AsyncSession, organization_id: UUID, batch: Sequence[_PrunableEntry]
) -> None:
    """Marks the enabled channels that have not read what was removed. Their workers report it."""
    removed = [
        entry.position
        for entry in batch
        if entry.organization_id == organization_id and not entry.is_audit_entry
    ]
    if not removed:
        return
    channel = tables.Channel
    before = removed[-1]._replace(seq=removed[-1].seq - 1)
    statement = update(channel).where(
        col(channel.organization_id) == organization_id,
        col(channel.enabled),
        ~col(channel.has_gap),
        IsNotAfter(col(channel.tx), col(channel.seq), *changes.position_literals(before)),
    )
    await session.execute(
        statement.values(has_gap=True, updated_at=datetime.now(UTC)).execution_options(
            synchronize_session=False
        )
    )


async def _move_start(session: AsyncSession, before: datetime, position: LogPosition) -> None:
    log = tables.Log
    statement = select(col(log.pruned_tx), col(log.pruned_seq), col(log.begins_at))
    tx, seq, begins_at = (await session.execute(statement.with_for_update())).one()
    last = max(LogPosition(tx, seq), position)
    begins = before if begins_at is None else max(begins_at, before)
    await session.execute(
        update(log).values(pruned_tx=last.tx, pruned_seq=last.seq, begins_at=begins)
    )
