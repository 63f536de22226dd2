"""Reads rules of any kind, such as guard rules. Their scope is one event type, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.services.shared.readers import ListQuery, ListReader
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import condition_templates, pages

Rule = TypeVar("Rule", bound=tables.ScopedRule)


@dataclass(frozen=True)
class RulePageRequest:
    """Filter and position of a page of rules. `state` applies to guard rules only."""

    event_type_id: UUID | None
    page: pages.PageRequest
    state: Enum | None = None


def create_list_reader(table: type[Rule]) -> ListReader[RulePageRequest, Rule]:
    """Declares the list of the rules of a kind, in their order."""
    name, columns = str(table.__tablename__), table.sort_columns()
    order = (
        pages.creation_order(name, *columns)
        if len(columns) == 1
        else pages.position_order(name, *columns)
    )

    def build_query(request: RulePageRequest, _organization_id: UUID) -> ListQuery:
        conditions = [
            condition_templates.column_equals(column, value)
            for column, value in (
                (table.event_type_id, request.event_type_id),
                (getattr(table, "state", None), request.state),
            )
            if value is not None
        ]
        return ListQuery(condition_templates.match_all(conditions), order, request.page)

    return ListReader(table, build_query, order.column_names)


async def fetch_rules_by_type(
    database: Database, caller: Caller, table: type[Rule], event_type_ids: Sequence[UUID]
) -> dict[UUID, list[Rule]]:
    """Returns the rules of each event type, in their order, without rules of all types."""
    rules: dict[UUID, list[Rule]] = {each: [] for each in event_type_ids}
    of_types = col(table.event_type_id).in_(event_type_ids)
    async with database.read(caller.organization_id) as session:
        statement = select(table).where(of_types).order_by(*table.sort_columns())
        for row in await session.scalars(statement):
            if row.event_type_id is not None:
                rules[row.event_type_id].append(row)
    return rules


async def load_enabled_rules(
    session: AsyncSession, event_type_ids: Sequence[UUID]
) -> list[tables.AppliedRule]:
    """Returns the enabled rules of each kind, of these event types and of all, in their order."""
    enabled_rules: list[tables.AppliedRule] = []
    for table in tables.RULE_TABLES:
        if issubclass(table, tables.EnabledRule):
            event_type_id = col(table.event_type_id)
            in_scope = or_(event_type_id.is_(None), event_type_id.in_(event_type_ids))
            statement = select(table).where(col(table.enabled), in_scope)
            rows = await session.scalars(statement.order_by(*table.sort_columns()))
            enabled_rules += [row.to_domain() for row in rows]
    return enabled_rules


async def lock_rules_of_type(
    session: AsyncSession, table: type[Rule], event_type_id: UUID
) -> list[Rule]:
    """Locks and returns the rules of an event type until the transaction ends."""
    statement = select(table).where(col(table.event_type_id) == event_type_id)
    return list(await session.scalars(statement.order_by(*table.sort_columns()).with_for_update()))
