"""Read marks: the position up to which each user or API key has read the notifications.

A mark never moves back. Marks of an earlier change log, before a restore or a failover, do not
count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LogPosition, LogSnapshot
from app.store.engine.database import ALL_ORGANIZATIONS, Database, retry_on_deadlock
from app.store.writing.inserts import insert_rows

# Never lowers a mark.
_RAISE_MARK = (
    "ON CONFLICT (organization_id, reader) DO UPDATE SET log_identity = excluded.log_identity,"
    " tx = excluded.tx, seq = excluded.seq, changed_at = excluded.changed_at"
    " WHERE read_mark.log_identity <> excluded.log_identity"
    " OR (read_mark.tx, read_mark.seq) < (excluded.tx, excluded.seq)"
)


@dataclass(frozen=True)
class Mark:
    """The position up to which a reader has read, and the identity of its change log."""

    log_identity: str
    position: LogPosition


@retry_on_deadlock
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
        await insert_rows(session, (tables.ReadMark, [mark]), on_conflict=_RAISE_MARK)
    database.wake.notify()  # for the summaries of every process


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
