"""Health checks of the database: its migrations, and what is behind or fails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, func, literal_column, or_, select
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


@dataclass(frozen=True)
class ChannelTotals:
    """`lag_seconds`: age of the oldest change that waits for an enabled channel."""

    failing: int
    lag_seconds: float


async def measure_channels(session: AsyncSession) -> ChannelTotals:
    """Changes without a delivery count only if no server process delivers to the channel."""
    channel, delivery, now = tables.Channel, tables.Delivery, datetime.now(UTC)
    is_enabled = col(channel.enabled).is_(True)
    is_free = or_(col(channel.leased_until).is_(None), col(channel.leased_until) < now)
    failing = (
        select(func.count()).select_from(channel).where(col(channel.failing_since).is_not(None))
    )
    pending = (
        select(func.min(col(delivery.created_at)))
        .join(channel, col(channel.id) == col(delivery.channel_id))
        # A literal, because a partial index is not used for a parameter.
        .where(is_enabled, col(delivery.state) == literal_column("'PENDING'"))
    )
    unread = select(_select_first_unread()).where(is_enabled, is_free)
    times = [(await session.scalars(pending)).one(), *await session.scalars(unread)]
    oldest = min((time for time in times if time is not None), default=now)
    return ChannelTotals(
        (await session.scalars(failing)).one(), max(0.0, (now - oldest).total_seconds())
    )


def _select_first_unread() -> Any:
    """Selects the time of the first change after the position of a channel."""
    channel, change = tables.Channel, tables.Change
    is_after = or_(
        col(change.tx) > col(channel.tx),
        and_(col(change.tx) == col(channel.tx), col(change.seq) > col(channel.seq)),
    )
    return (
        select(col(change.at))
        .where(col(change.organization_id) == col(channel.organization_id), is_after)
        .order_by(col(change.tx), col(change.seq))
        .limit(1)
        .correlate(channel)
        .scalar_subquery()
    )
