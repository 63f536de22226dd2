"""Notifies of silenced events that are still open when their silence is over.

Every server process looks for them again and again, so it does not matter how a silence ended,
which server was running then, or whether an event was committed after its silence had ended. A
transaction locks the events and changes those that are still silenced, so each notifies once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.state import EventStatus
from app.domain.intake.intake import CommandContext
from app.services.events.event_writes import EventUpdate, write_updates
from app.services.events.reports import load_events
from app.services.events.silencing import Silencer, load_silencer
from app.services.shared.background_tasks import log_failure, run_in_background
from app.store import tables
from app.store.engine import dialect
from app.store.engine.database import ALL_ORGANIZATIONS, Database, retry_on_deadlock
from app.store.engine.dialect import lock_definitions_shared
from app.store.reading.distinct_values import select_distinct_values
from app.store.reading.event_conditions import has_status
from app.store.reading.input_rows import build_rows_cte

SWEEP_SECONDS = 1.0
BATCH_SIZE = 100
SILENCES_PER_PAGE = 100
# Errors of values that this version cannot read, such as those of a newer one.
_UNREADABLE_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

log = structlog.get_logger(__name__)


class EndedSilence(NamedTuple):
    ends_at: datetime
    id: UUID
    organization_id: UUID


@dataclass(frozen=True)
class BatchResult:
    """What a transaction did. `last_id`: the last event of the batch, if there may be more."""

    rang: int = 0
    handled: tuple[UUID, ...] = ()
    unreadable: tuple[UUID, ...] = ()
    last_id: UUID | None = None


@contextlib.asynccontextmanager
async def start_ringing(database: Database) -> AsyncIterator[None]:
    """Notifies of events whose silences are over until the block is left."""
    async with run_in_background(_ring_repeatedly(database), "silence_expiry"):
        yield


async def _ring_repeatedly(database: Database) -> None:
    logged: set[UUID] = set()
    while True:
        try:
            await ring_silenced_events(database, logged)
        except Exception as error:  # the events notify at the next opportunity
            log_failure("silence_expiry_failed", error)
        await asyncio.sleep(SWEEP_SECONDS)


async def ring_silenced_events(database: Database, logged: set[UUID] | None = None) -> None:
    """Notifies of the open events whose silences are over, or gives them to other silences.

    `logged`: the events that cannot be read and were logged by earlier calls. It logs the others,
    adds them, and removes those that can be read or are no longer there. One that another server
    has locked is kept.
    """
    logged = set() if logged is None else logged
    last: EndedSilence | None = None
    while page := await _fetch_ended_silences(database, last):
        for silence in page:
            try:
                await _ring_events(database, silence, logged)
            except Exception as error:  # other silences do not wait for it
                log_failure("silence_expiry_failed", error, silence=str(silence.id))
        if len(page) < SILENCES_PER_PAGE:
            break
        last = page[-1]
    if logged:
        logged.intersection_update(await _fetch_silenced_ids(database, logged))


async def _ring_events(database: Database, silence: EndedSilence, logged: set[UUID]) -> None:
    """Notifies of the open events of a silence. Logs those that cannot be read once."""
    rang = 0
    unreadable: list[UUID] = []
    last_id: UUID | None = None
    while True:
        result = await _ring_batch(database, silence, last_id)
        rang += result.rang
        logged.difference_update(result.handled)
        unreadable += result.unreadable
        last_id = result.last_id
        if last_id is None:
            break
        await asyncio.sleep(dialect.pause_for_writers_seconds(database.url))
    values = {"silence": str(silence.id), "organization": str(silence.organization_id)}
    if rang:
        log.info("silence_ended", notifications=rang, **values)
    new = [each for each in unreadable if each not in logged]
    if new:
        log.error(
            "silenced_events_not_readable",
            events=len(unreadable),
            new=len(new),
            first=str(new[0]),
            **values,
        )
        logged.update(new)


async def _fetch_silenced_ids(database: Database, ids: Collection[UUID]) -> set[UUID]:
    """Returns those of the events that are still open and silenced."""
    event_id = col(tables.Event.id)
    async with database.read(ALL_ORGANIZATIONS) as session:
        rows = build_rows_cte(
            session,
            {"id": tables.METADATA.tables["event"].c.id.type},
            [(each,) for each in sorted(ids)],
        )
        statement = select(event_id).where(
            event_id.in_(select(rows.c.id)),
            col(tables.Event.silenced_by_id).is_not(None),
            has_status((EventStatus.OPEN,)),
        )
        return set(await session.scalars(statement))


async def _fetch_ended_silences(
    database: Database, last: EndedSilence | None
) -> Sequence[EndedSilence]:
    """Returns the ended silences after the last one that still suppress open notifications."""
    silence = tables.Silence
    found = select_distinct_values(
        tables.Event, "silenced_by_id", lambda event: has_status((EventStatus.OPEN,), event)
    )
    order = (col(silence.ends_at), col(silence.id))
    statement = (
        select(*order, col(silence.organization_id))
        .join(found, found.c.value == col(silence.id))
        .where(col(silence.ends_at) <= datetime.now(UTC))
        .order_by(*order)
        .limit(SILENCES_PER_PAGE)
    )
    if last is not None:
        ends_at, silence_id = order
        is_same_end = and_(ends_at == last.ends_at, silence_id > last.id)
        statement = statement.where(or_(ends_at > last.ends_at, is_same_end))
    async with database.read(ALL_ORGANIZATIONS) as session:
        return [EndedSilence(*row) for row in await session.execute(statement)]


@retry_on_deadlock
async def _ring_batch(
    database: Database, silence: EndedSilence, last_id: UUID | None
) -> BatchResult:
    """Notifies of the next events of the silence. One that cannot be read does not stop others."""
    async with database.write(silence.organization_id) as session:
        await lock_definitions_shared(session, silence.organization_id)
        silencer = await load_silencer(session)
        now = datetime.now(UTC)
        if silencer.is_active(silence.id, now):  # by the clock of the server that extended it
            return BatchResult()
        ids = await _lock_silenced_events(session, silence.id, last_id)
        actor = Caller(f"silence {silence.id}", silence.organization_id, frozenset())
        command = CommandContext(actor, now)
        updates = list(
            _decide_updates(command, await _load_readable_events(session, ids), silencer)
        )
        await write_updates(session, updates)
        await silencer.store_counts(session)
    handled = {update.row.id for update in updates}
    return BatchResult(
        sum(update.notifies for update in updates),
        tuple(handled),
        tuple(each for each in ids if each not in handled),
        ids[-1] if len(ids) == BATCH_SIZE else None,
    )


def _decide_updates(
    command: CommandContext, rows: Iterable[tables.Event], silencer: Silencer
) -> Iterator[EventUpdate]:
    for row in rows:
        with contextlib.suppress(*_UNREADABLE_ERRORS):
            before = row.to_domain()
            after, notifies = silencer.decide_notification(before, before, command.now, again=True)
            kind = "RANG" if notifies else "UPDATED"
            yield EventUpdate(command, row, before, after, kind, notifies)


async def _lock_silenced_events(
    session: AsyncSession, silence_id: UUID, last_id: UUID | None
) -> list[UUID]:
    """Returns the open events of a silence after the last one, without those that others lock."""
    table = tables.Event
    statement = (
        select(col(table.id))
        .where(col(table.silenced_by_id) == silence_id, has_status((EventStatus.OPEN,)))
        .order_by(col(table.id))
        .limit(BATCH_SIZE)
        .with_for_update(skip_locked=True)
    )
    if last_id is not None:
        statement = statement.where(col(table.id) > last_id)
    return list(await session.scalars(statement))


async def _load_readable_events(session: AsyncSession, ids: list[UUID]) -> list[tables.Event]:
    """Returns the events without those with a value that this version cannot read."""
    try:
        rows = await load_events(session, set(ids))
        return [rows[each] for each in ids if each in rows]
    except _UNREADABLE_ERRORS:
        if len(ids) == 1:
            return []
    half = len(ids) // 2
    return await _load_readable_events(session, ids[:half]) + await _load_readable_events(
        session, ids[half:]
    )
