"""Reads rules of any kind, such as guard rules. Their scope is one event type, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.services.shared.listings import ListPage, fetch_list_page
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import pages
from app.store.reading.condition_templates import ConditionTemplate
from app.store.reading.projection import Projection

Rule = TypeVar("Rule", bound=tables.ScopedRule)


@cache
def creation_order(table: type[Rule]) -> pages.Order[Rule]:
    return pages.Order(
        name=str(table.__tablename__),
        columns=(col(table.id),),
        descending=False,
        row_key=lambda row: (row.id,),
        key_to_json=lambda key: [str(key[0])],
        key_from_json=lambda parts: (UUID(parts[0]),),
    )


@dataclass(frozen=True)
class RulePageRequest:
    """Filter and position of a page of rules. `state` applies to guard rules only."""

    event_type_id: UUID | None
    request: pages.PageRequest
    state: Enum | None = None


async def select_page(
    database: Database,
    caller: Caller,
    table: Any,
    page: RulePageRequest,
    columns: Projection,
    counts: Any,
) -> ListPage:
    def conditions() -> list[ColumnElement[bool]]:
        conditions = type_conditions(table, page.event_type_id)
        return conditions if page.state is None else [*conditions, col(table.state) == page.state]

    template = ConditionTemplate((page.event_type_id, page.state), {}, conditions)
    order = creation_order(table)
    return await fetch_list_page(database, caller, columns, template, order, page.request, counts)


async def fetch_rules(
    database: Database, caller: Caller, table: type[Rule], ids: Sequence[UUID]
) -> dict[UUID, Rule]:
    async with database.read(caller.organization_id) as session:
        rows = await session.scalars(select(table).where(col(table.id).in_(ids)))
        return {row.id: row for row in rows}


async def fetch_rules_by_type(
    database: Database, caller: Caller, table: type[Rule], event_type_ids: Sequence[UUID]
) -> dict[UUID, list[Rule]]:
    """Returns the rules of each event type, in order of creation, without rules of all types."""
    rules: dict[UUID, list[Rule]] = {each: [] for each in event_type_ids}
    of_types = col(table.event_type_id).in_(event_type_ids)
    async with database.read(caller.organization_id) as session:
        for row in await session.scalars(select(table).where(of_types).order_by(col(table.id))):
            if row.event_type_id is not None:
                rules[row.event_type_id].append(row)
    return rules


async def lock_rules_of_type(
    session: AsyncSession, table: type[Rule], event_type_id: UUID
) -> list[Rule]:
    """Locks and returns the rules of an event type until the transaction ends."""
    statement = select(table).where(col(table.event_type_id) == event_type_id)
    return list(await session.scalars(statement.order_by(col(table.id)).with_for_update()))


def type_conditions(table: type[Rule], event_type_id: UUID | None) -> list[ColumnElement[bool]]:
    """Returns conditions that limit a list to one event type; none if the ID is None."""
    return [] if event_type_id is None else [col(table.event_type_id) == event_type_id]
