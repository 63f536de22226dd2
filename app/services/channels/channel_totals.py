"""Updates the metrics of all channels periodically, in the background of every server process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import metrics
from app.services.channels.deliveries import is_pending
from app.services.shared.background_tasks import log_failure, run_in_background
from app.services.shared.leases import is_free
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.tables.columns import IsAfter

INTERVAL_SECONDS = 30.0


@contextlib.asynccontextmanager
async def start_measuring_channels(database: Database) -> AsyncIterator[None]:
    """Updates the metrics until the block is left."""
    async with run_in_background(_measure_repeatedly(database), "channel metrics"):
        yield


async def _measure_repeatedly(database: Database) -> None:
    while True:
        try:
            async with database.read(ALL_ORGANIZATIONS) as session:
                totals = await measure_channels(session)
            metrics.FAILING_CHANNELS.set(totals.failing)
            metrics.CHANNEL_LAG_SECONDS.set(totals.lag_seconds)
        except Exception as error:  # tried again at the next opportunity
            log_failure("channels_not_measured", error)
        await asyncio.sleep(INTERVAL_SECONDS)


@dataclass(frozen=True)
class ChannelTotals:
    """`lag_seconds`: age of the oldest change that waits for an enabled channel."""

    failing: int
    lag_seconds: float


async def measure_channels(session: AsyncSession) -> ChannelTotals:
    """Changes without a delivery count only if no server process delivers to the channel."""
    channel, delivery, now = tables.Channel, tables.Delivery, datetime.now(UTC)
    is_enabled = col(channel.enabled).is_(True)
    failing = (
        select(func.count()).select_from(channel).where(col(channel.failing_since).is_not(None))
    )
    pending = (
        select(func.min(col(delivery.created_at)))
        .join(channel, col(channel.id) == col(delivery.channel_id))
        .where(is_enabled, is_pending())
    )
    unread = select(_select_first_unread()).where(is_enabled, is_free(channel))
    count = (await session.scalars(failing)).one()
    times = [(await session.scalars(pending)).one(), *await session.scalars(unread)]
    oldest = min((time for time in times if time is not None), default=now)
    return ChannelTotals(count, max(0.0, (now - oldest).total_seconds()))


def _select_first_unread() -> Any:
    """Selects the time of the first change after the position of a channel."""
    channel, change = tables.Channel, tables.Change
    position = col(change.tx), col(change.seq)
    return (
        select(col(change.at))
        .where(
            col(change.organization_id) == col(channel.organization_id),
            IsAfter(*position, col(channel.tx), col(channel.seq)),
        )
        .order_by(*position)
        .limit(1)
        .correlate(channel)
        .scalar_subquery()
    )
