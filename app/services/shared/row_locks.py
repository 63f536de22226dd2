"""Locks on rows that the use cases of several nouns take."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.services.shared.readers import RowT
from app.store import tables
from app.store.engine.database import BY_ID


async def lock_row(session: AsyncSession, table: type[RowT], row_id: UUID) -> RowT | None:
    """Returns the row with this ID, locked against changes until the transaction ends."""
    id_column: Any = table.id  # type: ignore[attr-defined]
    statement = select(table).where(id_column == row_id).with_for_update()
    return (await session.scalars(statement)).one_or_none()


async def lock_organization(session: AsyncSession, organization_id: UUID) -> tables.Organization:
    """Returns the organization, locked against changes until the transaction ends.

    Reports do not wait for this lock: those of their foreign keys are compatible with it.
    """
    statement = select(tables.Organization).where(col(tables.Organization.id) == organization_id)
    return (await session.scalars(statement.with_for_update(key_share=True))).one()


async def lock_events(
    session: AsyncSession,
    ids: Collection[UUID],
    *conditions: ColumnElement[bool],
    key_share: bool = False,
) -> list[tables.Event]:
    """Returns the events that exist and match, locked in the order of their IDs.

    `key_share`: other transactions can still insert rows that refer to them.
    """
    event_id = col(tables.Event.id)
    statement = select(tables.Event).where(event_id.in_(sorted(ids)), *conditions)
    locked = statement.order_by(event_id).with_for_update(key_share=key_share)
    return list(await session.scalars(locked, execution_options=BY_ID))
