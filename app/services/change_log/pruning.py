"""Old entries, removed from the log: only when the operator says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, tuple_, update
from sqlmodel import col

from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import Place
from app.store.engine.database import EVERYWHERE, Database
from app.store.reading.where import Condition
from app.store.tables.columns import Horizon

BATCH = 1_000
_PLACE = (col(tables.Change.tx), col(tables.Change.seq))


async def count_older(database: Database, before: datetime) -> int:
    """How many entries `prune` would remove."""
    async with database.read(EVERYWHERE) as session:
        counted = select(func.count()).select_from(tables.Change).where(*_removable(before))
        return (await session.scalars(counted)).one()


async def prune(database: Database, before: datetime) -> int:
    """Removes the entries that are older than the instant, in batches; returns how many.

    Where it is broken off, what is gone is known to be gone. Between two batches it rests as long
    as one took: others write meanwhile.
    """
    removed, place = 0, changes.START
    while True:
        begun = time.monotonic()
        found = await _older(database, before, place)
        if not found:
            return removed
        place = found[-1]
        await _remove(database, before, found)
        removed += len(found)
        await asyncio.sleep(time.monotonic() - begun)


def _removable(before: datetime) -> tuple[Condition, ...]:
    # What lies beyond the horizon nobody has read yet.
    return col(tables.Change.at) < before, _PLACE[0] < Horizon()


async def _older(database: Database, before: datetime, after: Place) -> Sequence[Place]:
    """Looked for in a read: on SQLite nobody else could write meanwhile."""
    async with database.read(EVERYWHERE) as session:
        wanted = (*_removable(before), tuple_(*_PLACE) > changes.bound(after))
        found = select(*_PLACE).where(*wanted).order_by(*_PLACE).limit(BATCH)
        return [Place(tx or 0, seq or 0) for tx, seq in await session.execute(found)]


async def _remove(database: Database, before: datetime, places: Sequence[Place]) -> None:
    """The entries, and the word of it, in one transaction."""
    log = tables.Log
    async with database.write(EVERYWHERE) as session:
        numbers = [place.seq for place in places]
        await session.execute(delete(tables.Change).where(col(tables.Change.seq).in_(numbers)))
        kept = select(col(log.pruned_tx), col(log.pruned_seq), col(log.begins_at))
        tx, seq, begins_at = (await session.execute(kept.with_for_update())).one()
        last = max(Place(tx, seq), places[-1])
        begins = before if begins_at is None else max(begins_at, before)
        await session.execute(
            update(log).values(pruned_tx=last.tx, pruned_seq=last.seq, begins_at=begins)
        )
