"""Leases: one process at a time works on a row, until its lease ends or is released.

A process that loses its lease may not notice it at once. Every transaction of its work therefore
requires that the row still has the holder: `is_held_by`. Rows that another transaction has locked
are skipped, so that they delay the leases of no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlmodel import col

from app.store.engine.database import Database, OrganizationScope
from app.store.reading.event_conditions import Condition
from app.store.tables import LeasedRow


def is_free(table: type[LeasedRow]) -> Condition:
    """The condition of the rows whose lease is not taken."""
    now = datetime.now(UTC)
    return or_(col(table.leased_until).is_(None), col(table.leased_until) < now)


def is_held_by(table: type[LeasedRow], holder: str) -> Condition:
    return col(table.lease_holder) == holder


async def take_leases(
    database: Database,
    scope: OrganizationScope,
    table: type[LeasedRow],
    conditions: Sequence[Condition],
    holder: str,
    lease_time: timedelta,
    *,
    skip_locked: bool = True,
) -> set[UUID]:
    """Takes or extends the leases of the rows that meet the conditions. Returns their IDs.

    Rows that are locked are left as they are with `skip_locked`.
    """
    unlocked = select(col(table.id)).where(*conditions).with_for_update(skip_locked=skip_locked)
    statement = (
        update(table)
        .where(col(table.id).in_(unlocked))
        .values(lease_holder=holder, leased_until=datetime.now(UTC) + lease_time)
        .returning(col(table.id))
    )
    async with database.write(scope, writes_log=False) as session:
        return {*await session.scalars(statement)}


async def release_leases(
    database: Database, scope: OrganizationScope, table: type[LeasedRow], holder: str, *ids: UUID
) -> None:
    """Releases the leases of these rows that the holder still has."""
    if not ids:
        return
    no_lease: dict[str, Any] = {"lease_holder": None, "leased_until": None}
    statement = update(table).where(is_held_by(table, holder), col(table.id).in_(ids))
    async with database.write(scope, writes_log=False) as session:
        await session.execute(statement.values(**no_lease))
