"""Notifies of silenced events that are still open when their silence is over.

Every server process looks for them again and again, so it does not matter how a silence ended,
which server was running then, or whether an event was committed after its silence had ended. A
transaction locks the events and changes those that are still silenced, so each notifies once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.state import EventStatus
from app.domain.intake.intake import CommandContext
from app.services.events.event_writes import EventUpdate, write_updates
from app.services.events.silencing import load_silencer
from app.services.shared.background_tasks import log_failure, run_in_background
from app.store import tables
from app.store.engine import dialect
from app.store.engine.database import ALL_ORGANIZATIONS, Database, retry_on_deadlock
from app.store.engine.dialect import lock_definitions_shared
from app.store.reading.distinct_values import select_distinct_values
from app.store.reading.event_conditions import has_status

SWEEP_SECONDS = 1.0
BATCH_SIZE = 100
SILENCES_PER_SWEEP = 100

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def start_ringing(database: Database) -> AsyncIterator[None]:
    """Notifies of events whose silences are over until the block is left."""
    async with run_in_background(_ring_repeatedly(database), "silence_expiry"):
        yield


async def _ring_repeatedly(database: Database) -> None:
    while True:
        try:
            await ring_silenced_events(database)
        except Exception as error:  # the events notify at the next opportunity
            log_failure("silence_expiry_failed", error)
        await asyncio.sleep(SWEEP_SECONDS)


async def ring_silenced_events(database: Database) -> None:
    """Notifies of the open events whose silences are over, or gives them to other silences."""
    for silence_id, organization_id in await _fetch_ended_silences(database):
        try:
            await _ring_events(database, organization_id, silence_id)
        except Exception as error:  # other silences do not wait for it
            log_failure("silence_expiry_failed", error, silence=str(silence_id))


async def _ring_events(database: Database, organization_id: UUID, silence_id: UUID) -> None:
    rang = 0
    while True:
        counts = await _ring_batch(database, organization_id, silence_id)
        rang += counts[1]
        if counts[0] < BATCH_SIZE:
            break
        await asyncio.sleep(dialect.pause_for_writers_seconds(database.url))
    if rang:
        log.info(
            "silence_ended",
            silence=str(silence_id),
            organization=str(organization_id),
            notifications=rang,
        )


async def _fetch_ended_silences(database: Database) -> Sequence[Row[UUID, UUID]]:
    """Returns the ended silences that still suppress notifications of open events."""
    silence = tables.Silence
    found = select_distinct_values(
        tables.Event, "silenced_by_id", lambda event: has_status((EventStatus.OPEN,), event)
    )
    statement = (
        select(col(silence.id), col(silence.organization_id))
        .join(found, found.c.value == col(silence.id))
        .where(col(silence.ends_at) <= datetime.now(UTC))
        .order_by(col(silence.ends_at), col(silence.id))
        .limit(SILENCES_PER_SWEEP)
    )
    async with database.read(ALL_ORGANIZATIONS) as session:
        return (await session.execute(statement)).all()


@retry_on_deadlock
async def _ring_batch(
    database: Database, organization_id: UUID, silence_id: UUID
) -> tuple[int, int]:
    """Returns the number of events that were handled, and of those that notified."""
    async with database.write(organization_id) as session:
        await lock_definitions_shared(session, organization_id)
        silencer = await load_silencer(session)
        now = datetime.now(UTC)
        if silencer.is_active(silence_id, now):  # by the clock of the server that extended it
            return 0, 0
        rows = await _lock_silenced_events(session, silence_id)
        actor = Caller(f"silence {silence_id}", organization_id, frozenset())
        command = CommandContext(actor, now)
        updates = []
        for row in rows:
            before = row.to_domain()
            after, notifies = silencer.decide_notification(before, before, now, again=True)
            kind = "RANG" if notifies else "UPDATED"
            updates.append(EventUpdate(row, after, kind, notifies))
        await write_updates(session, command, updates)
        await silencer.store_counts(session)
        return len(rows), sum(update.notifies for update in updates)


async def _lock_silenced_events(session: AsyncSession, silence_id: UUID) -> Sequence[tables.Event]:
    """Returns open events of a silence, in the order of their IDs, without those others lock."""
    table = tables.Event
    statement = (
        select(table)
        .where(col(table.silenced_by_id) == silence_id, has_status((EventStatus.OPEN,)))
        .order_by(col(table.id))
        .limit(BATCH_SIZE)
        .with_for_update(skip_locked=True)
    )
    return (await session.scalars(statement)).all()
