"""Functions for guard rules and duplication rules. Their scope is one event type, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.event_types.event_type_draft import not_found
from app.domain.event_types.fields import FieldDefinition
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem, UserErrorCode
from app.services.definitions.event_types import load_parts
from app.services.shared.listings import ListPage, fetch_list_page
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import Database
from app.store.engine.dialect import lock_definitions_exclusive
from app.store.reading import pages
from app.store.reading.condition_templates import ConditionTemplate
from app.store.reading.projection import Projection

Rule = TypeVar("Rule", tables.GuardRule, tables.DuplicationRule)


@dataclass(frozen=True)
class RuleScope:
    """The event type of a rule, and its fields. Both are None for a rule of all types."""

    event_type: tables.EventType | None = None
    fields: tuple[FieldDefinition, ...] | None = None

    @property
    def field_names(self) -> list[str] | None:
        return None if self.fields is None else [field.name for field in self.fields]


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


async def lock_rule_scope(
    session: AsyncSession, command: CommandContext, event_type_id: UUID | None
) -> RuleScope | Problem:
    """Locks the scope until the transaction ends: no rule can be added to it, no field changed."""
    await lock_definitions_exclusive(session, command.actor.organization_id)
    if event_type_id is None:
        is_own_organization = col(tables.Organization.id) == command.actor.organization_id
        # Reports lock the row by their foreign keys, too; they do not wait for this lock.
        await session.execute(
            select(tables.Organization).where(is_own_organization).with_for_update(key_share=True)
        )
        return RuleScope()
    table = tables.EventType
    statement = select(table).where(col(table.id) == event_type_id).with_for_update(key_share=True)
    event_type = (await session.scalars(statement)).one_or_none()
    if event_type is None:
        return not_found("event type", event_type_id, "eventTypeId")
    fields = await load_parts(session, tables.EventField, [event_type_id])
    return RuleScope(event_type, tuple(field.to_domain() for field in fields[event_type_id]))


async def validate_rule_limit(
    session: AsyncSession, command: CommandContext, table: type[Rule], event_type_id: UUID | None
) -> list[Problem]:
    """Returns a problem if the scope already has the maximum number of rules."""
    rule_count = select(func.count()).select_from(table).where(_same_scope(table, event_type_id))
    maximum = command.limits.rules_per_type
    if (await session.scalars(rule_count)).one() < maximum:
        return []
    noun = str(table.__tablename__).replace("_", " ")
    scope = "for all event types" if event_type_id is None else "for this event type"
    message = f"Too many {noun}s {scope}: the maximum is {maximum:,}. Delete one of them first."
    return [Problem(UserErrorCode.LIMIT_REACHED, message)]


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


async def lock_rule(
    session: AsyncSession, command: CommandContext, table: type[Rule], rule_id: UUID
) -> tuple[Rule, RuleScope] | Problem:
    """Locks a rule until the transaction ends: other transactions neither change nor apply it.

    Locks its event type first, in the same order as deleting a type does.
    """
    noun = str(table.__tablename__).replace("_", " ")
    not_found_problem = not_found(noun, rule_id, "id")
    statement = select(table).where(col(table.id) == rule_id)
    unlocked_row = (await session.scalars(statement)).one_or_none()
    if unlocked_row is None:
        return not_found_problem
    scope = await lock_rule_scope(session, command, unlocked_row.event_type_id)
    locking_statement = statement.with_for_update().execution_options(populate_existing=True)
    row = (await session.scalars(locking_statement)).one_or_none()
    if row is None or isinstance(scope, Problem):
        return not_found_problem
    return row, scope


def build_log_entry(
    command: CommandContext, subject: str, row: Any, kind: str, **changed_values: Any
) -> changes.NewEntry:
    return changes.NewEntry(
        subject, row.id, row.organization_id, command.actor.name, command.now, changed_values, kind
    )


def _same_scope(table: type[Rule], event_type_id: UUID | None) -> Any:
    event_type_column = col(table.event_type_id)
    return (
        event_type_column.is_(None) if event_type_id is None else event_type_column == event_type_id
    )
