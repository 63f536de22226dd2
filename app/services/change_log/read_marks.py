"""Read marks: the position up to which each user or API key has read the notifications.

A mark only rises. Marks of an earlier change log, before a restore or a failover, do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LogPosition, LogSnapshot
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import is_sqlite


@dataclass(frozen=True)
class Mark:
    """The position up to which a reader has read, and the identity of its change log."""

    log_identity: str
    position: LogPosition


async def mark_notifications_read(
    database: Database, caller: Caller, up_to: str, now: datetime
) -> None:
    """Raises the caller's mark. Raises RequestError INVALID_CURSOR or CURSOR_EXPIRED."""
    async with database.write(caller.organization_id, writes_log=False) as session:
        snapshot = await changes.fetch_snapshot(session)
        # Not the position in the list: a notification that commits later may be before it.
        position = changes.decode_log_cursor(
            caller.organization_id, up_to, snapshot, "upTo"
        ).subscription_position
        mark = {
            "organization_id": caller.organization_id,
            "reader": caller.reader,
            "log_identity": snapshot.identity,
            "tx": position.tx,
            "seq": position.seq,
            "changed_at": now,
        }
        await session.execute(_build_upsert(session), [mark])
    database.wake.notify()  # for the summaries of every process


def _build_upsert(session: AsyncSession) -> Any:
    """An INSERT that raises the mark if it exists, and never lowers it."""
    table = tables.METADATA.tables["read_mark"]
    insert: Any = (sqlite if is_sqlite(session) else postgresql).insert(table)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["organization_id", "reader"],
        set_={name: new[name] for name in ("log_identity", "tx", "seq", "changed_at")},
        where=or_(
            table.c.log_identity != new.log_identity,
            tuple_(table.c.tx, table.c.seq) < tuple_(new.tx, new.seq),
        ),
    )


async def load_mark(session: AsyncSession, reader: str) -> Mark | None:
    """Loads a reader's mark. None if the reader has marked nothing as read."""
    statement = select(tables.ReadMark).where(col(tables.ReadMark.reader) == reader)
    row = (await session.execute(statement)).scalar_one_or_none()
    return None if row is None else _build_mark(row)


async def fetch_read_position(database: Database, caller: Caller) -> LogPosition:
    """Position up to which the caller has read; the start of the change log without a mark."""
    async with database.read(caller.organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        mark = await load_mark(session, caller.reader)
    return find_read_position(mark, snapshot)


def find_read_position(mark: Mark | None, snapshot: LogSnapshot) -> LogPosition:
    """Position of a mark; the start of the change log if the mark is of an earlier change log."""
    if mark is None or mark.log_identity != snapshot.identity:
        return changes.LOG_START
    return mark.position


async def fetch_marks_changed_since(
    database: Database, since: datetime
) -> dict[tuple[UUID, str], Mark]:
    """Fetches the marks that were raised since a time, by organization and reader."""
    statement = select(tables.ReadMark).where(col(tables.ReadMark.changed_at) >= since)
    async with database.read(ALL_ORGANIZATIONS) as session:
        rows = (await session.execute(statement)).scalars()
        return {(row.organization_id, row.reader): _build_mark(row) for row in rows}


def _build_mark(row: tables.ReadMark) -> Mark:
    return Mark(row.log_identity, LogPosition(row.tx, row.seq))
