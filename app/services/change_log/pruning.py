"""Pruning: removes old entries from the change log, only on an operator's command."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlmodel import col

from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LogPosition
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.reading.event_conditions import Condition
from app.store.tables.columns import Horizon

BATCH_SIZE = 1_000
_POSITION_COLUMNS = (col(tables.Change.tx), col(tables.Change.seq))


async def count_prunable_entries(database: Database, before: datetime) -> int:
    """Counts the entries that `prune_entries` would remove."""
    await database.log_horizon.refresh()
    async with database.read(ALL_ORGANIZATIONS) as session:
        statement = (
            select(func.count()).select_from(tables.Change).where(*_prunable_conditions(before))
        )
        return (await session.scalars(statement, changes.horizon_parameters(session))).one()


async def prune_entries(database: Database, before: datetime) -> int:
    """Removes the entries before the time, in batches, and returns their number.

    If it is interrupted, the start of the change log matches the removed entries. It pauses between
    batches for as long as a batch took, so that other transactions can write.
    """
    removed, position = 0, changes.LOG_START
    while True:
        started = time.monotonic()
        batch = await _find_prunable(database, before, position)
        if not batch:
            return removed
        position = batch[-1]
        await _remove_entries(database, before, batch)
        removed += len(batch)
        await asyncio.sleep(time.monotonic() - started)


def _prunable_conditions(before: datetime) -> tuple[Condition, ...]:
    # Entries beyond the horizon have not been read yet.
    return col(tables.Change.at) < before, _POSITION_COLUMNS[0] < Horizon()


async def _find_prunable(
    database: Database, before: datetime, after: LogPosition
) -> Sequence[LogPosition]:
    """Uses a read transaction: on SQLite a write transaction would block all writers."""
    await database.log_horizon.refresh()
    async with database.read(ALL_ORGANIZATIONS) as session:
        conditions = (
            *_prunable_conditions(before),
            *changes.build_range(after),
        )
        statement = (
            select(*_POSITION_COLUMNS)
            .where(*conditions)
            .order_by(*_POSITION_COLUMNS)
            .limit(BATCH_SIZE)
        )
        rows = await session.execute(statement, changes.horizon_parameters(session))
        return [LogPosition(tx or 0, seq or 0) for tx, seq in rows]


async def _remove_entries(
    database: Database, before: datetime, positions: Sequence[LogPosition]
) -> None:
    """Removes the entries and moves the start of the change log, in one transaction."""
    log = tables.Log
    async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
        sequence_numbers = [position.seq for position in positions]
        await session.execute(
            delete(tables.Change).where(col(tables.Change.seq).in_(sequence_numbers))
        )
        statement = select(col(log.pruned_tx), col(log.pruned_seq), col(log.begins_at))
        tx, seq, begins_at = (await session.execute(statement.with_for_update())).one()
        last = max(LogPosition(tx, seq), positions[-1])
        begins = before if begins_at is None else max(begins_at, before)
        await session.execute(
            update(log).values(pruned_tx=last.tx, pruned_seq=last.seq, begins_at=begins)
        )
