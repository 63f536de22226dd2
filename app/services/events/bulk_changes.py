"""Changes many events in one call, in transactions of up to BATCH_SIZE events.

The events are selected once. Each transaction then locks those of its batch that still match, so
that subscribers and other writers wait for a batch at most. If a batch fails, the earlier ones stay
changed, and the call can be repeated.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem
from app.services.shared.row_locks import lock_events
from app.store import tables
from app.store.engine import dialect
from app.store.engine.database import Database, retry_on_deadlock
from app.store.reading.event_conditions import Condition

BATCH_SIZE = 500


@dataclass(frozen=True)
class BulkResult:
    """`remaining_count`: the number of selected events that are left for another call."""

    changed_count: int = 0
    remaining_count: int = 0
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class EventSelection:
    """Sorted IDs of events to change. `total`: the number of events that were selected.

    An event that no longer matches the conditions when it is locked is not changed.
    """

    ids: Sequence[UUID]
    total: int
    conditions: Sequence[Condition] = ()

    @classmethod
    def from_ids(cls, ids: Iterable[UUID]) -> EventSelection:
        unique_ids = sorted(set(ids))
        return cls(unique_ids, len(unique_ids))

    @property
    def remaining_count(self) -> int:
        return self.total - len(self.ids)


async def load_selection(
    session: AsyncSession,
    conditions: Sequence[Condition],
    limits: Limits,
    *,
    newest_first: bool = False,
) -> EventSelection:
    """Selects the oldest or the newest matching events, as many as one call may change."""
    max_events = limits.events_per_bulk_change
    event_id = col(tables.Event.id)
    order = event_id.desc() if newest_first else event_id
    statement = select(event_id).where(*conditions).order_by(order).limit(max_events)
    ids = sorted(await session.scalars(statement))
    total = len(ids)
    if total == max_events:
        count = select(func.count()).select_from(tables.Event).where(*conditions)
        total = (await session.scalars(count)).one()
    return EventSelection(ids, total, conditions)


async def change_in_batches(
    database: Database,
    command: CommandContext,
    selection: EventSelection,
    change_batch: Callable[
        [AsyncSession, Sequence[UUID], int], Awaitable[list[tables.Event] | None]
    ],
    *,
    newest_first: bool = False,
) -> AsyncIterator[list[tables.Event]]:
    """Calls `change_batch` with the IDs of each batch, each in a transaction of its own.

    Yields the rows that it returns, once they are committed. If it returns None, it is called with
    the same IDs again, in another transaction. Its last argument is the number of transactions of
    the batch that are committed. Pauses between transactions, so that other processes can write to
    a SQLite file.
    """

    @retry_on_deadlock
    async def run_batch(ids: Sequence[UUID], committed: int) -> list[tables.Event] | None:
        async with database.write(command.actor.organization_id) as session:
            return await change_batch(session, ids, committed)

    starts = range(0, len(selection.ids), BATCH_SIZE)
    pause_seconds = 0.0
    for start in reversed(starts) if newest_first else starts:
        for committed in itertools.count():
            await asyncio.sleep(pause_seconds)
            pause_seconds = dialect.pause_for_writers_seconds(database.url)
            rows = await run_batch(selection.ids[start : start + BATCH_SIZE], committed)
            if rows is not None:
                yield rows
                break


async def lock_matching(
    session: AsyncSession, ids: Sequence[UUID], conditions: Sequence[Condition]
) -> list[tables.Event]:
    """Returns the events that still match, locked in the order of their IDs."""
    if dialect.is_sqlite(session):
        conditions = [dialect.hide_from_planner(and_(true(), *conditions))]
    return await lock_events(session, ids, *conditions)
