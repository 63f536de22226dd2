"""Health checks of the database: its migrations, and what is behind or fails."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.state import EventStatus
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LogPosition
from app.store.migrate import is_usable
from app.store.reading.event_conditions import has_status

MAX_COUNTED_ENTRIES = 10_000


async def is_migrated(session: AsyncSession) -> bool:
    """Whether the database is migrated to this version, or to a later one that is compatible."""
    connection = await session.connection()
    return await connection.run_sync(is_usable)


async def describe_database(session: AsyncSession) -> str:
    """Returns the name and the version of the database, such as `PostgreSQL 17.2`."""
    dialect = (await session.connection()).dialect
    name = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}.get(dialect.name, dialect.name)
    return f"{name} {'.'.join(map(str, dialect.server_version_info or ()))}".strip()


async def count_pending_entries(
    session: AsyncSession, position: LogPosition
) -> tuple[int, datetime | None]:
    """Number of entries after the position, at most MAX_COUNTED_ENTRIES, and the oldest one's time.

    Includes entries beyond the horizon: an open transaction hides them from every reader.
    """
    change = tables.Change
    pending_entries = (
        select(col(change.at))
        .where(*changes.build_range(position))
        .order_by(col(change.tx), col(change.seq))
        .limit(MAX_COUNTED_ENTRIES)
        .subquery()
    )
    result = await session.execute(select(func.count(), func.min(pending_entries.c.at)))
    entries, oldest = result.one()
    return entries, oldest


async def count_open_notifications(session: AsyncSession) -> int:
    """Number of notifications with the status OPEN, at most MAX_COUNTED_ENTRIES."""
    event = tables.Event
    is_open = (col(event.rang_seq).is_not(None), has_status((EventStatus.OPEN,)))
    # By the index of these events, which begins with the organization.
    rows = select(col(event.organization_id)).where(*is_open).limit(MAX_COUNTED_ENTRIES).subquery()
    return (await session.scalars(select(func.count()).select_from(rows))).one()
