"""Creates and changes rules of any kind. Their scope is one event type, or all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.audit import AuditAction
from app.domain.event_types.fields import FieldDefinition
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem, UserErrorCode, not_found
from app.services.definitions.event_types import load_parts
from app.services.definitions.rules import Rule
from app.services.shared.audited_changes import append_entry
from app.services.shared.row_locks import lock_organization
from app.store import tables
from app.store.change_log.audit import collect_values
from app.store.engine.database import Database, retry_on_deadlock
from app.store.engine.dialect import lock_definitions_exclusive
from app.store.writing.inserts import insert_rows


@dataclass(frozen=True)
class RuleScope:
    """The event type of a rule, and its fields. Both are None for a rule of all types."""

    event_type: tables.EventType | None = None
    fields: tuple[FieldDefinition, ...] | None = None

    @property
    def field_names(self) -> list[str] | None:
        return None if self.fields is None else [field.name for field in self.fields]


@dataclass(frozen=True)
class RuleResult(Generic[Rule]):
    """The rule after a mutation (its last state if deleted), or the problems."""

    rule: Rule | None = None
    problems: tuple[Problem, ...] = ()


@retry_on_deadlock
async def create_rule(
    database: Database,
    command: CommandContext,
    row: Rule,
    validate: Callable[[AsyncSession, RuleScope], Awaitable[Sequence[Problem]]],
    make_room: Callable[[AsyncSession], Awaitable[None]] | None = None,
) -> RuleResult[Rule]:
    """Stores a new rule, if it is valid and its scope has room for it.

    `make_room` changes other rules before the new one is stored.
    """
    async with database.write(command.actor.organization_id) as session:
        scope = await _lock_rule_scope(session, command, row.event_type_id)
        if isinstance(scope, Problem):
            return RuleResult(problems=(scope,))
        limit_problems = await _validate_rule_limit(session, command, type(row), row.event_type_id)
        if problems := (*await validate(session, scope), *limit_problems):
            return RuleResult(problems=problems)
        if make_room is not None:
            await make_room(session)
        await insert_rows(session, (type(row), [row.to_columns()]))
        await append_entry(session, command, row, AuditAction.CREATED)
        return RuleResult(row)


@retry_on_deadlock
async def change_rule(
    database: Database,
    command: CommandContext,
    table: type[Rule],
    rule_id: UUID,
    action: AuditAction,
    change: Callable[[AsyncSession, Rule, RuleScope], Awaitable[Sequence[Problem] | None]],
) -> RuleResult[Rule]:
    """Changes or deletes a rule. `action`: that of its audit entry.

    `change` returns its problems before it changes the row, or None if there is nothing to change.
    """
    async with database.write(command.actor.organization_id) as session:
        locked = await _lock_rule(session, command, table, rule_id)
        if isinstance(locked, Problem):
            return RuleResult(problems=(locked,))
        row, scope = locked
        before = collect_values(row)
        problems = await change(session, row, scope)
        if problems is None:
            return RuleResult(row)
        if problems:
            return RuleResult(problems=tuple(problems))
        if row in session.deleted:
            await append_entry(session, command, row, action)
        else:
            row.updated_at = command.now
            await append_entry(session, command, row, action, before)
        return RuleResult(row)


async def delete_rule(
    database: Database,
    command: CommandContext,
    table: type[Rule],
    rule_id: UUID,
    before_delete: Callable[[AsyncSession, Rule], Awaitable[None]] | None = None,
) -> RuleResult[Rule]:
    """Deletes a rule. `before_delete` reads or changes what depends on it."""

    async def delete(session: AsyncSession, row: Rule, _scope: RuleScope) -> list[Problem]:
        if before_delete is not None:
            await before_delete(session, row)
        await session.delete(row)
        return []

    return await change_rule(database, command, table, rule_id, AuditAction.DELETED, delete)


async def _lock_rule_scope(
    session: AsyncSession, command: CommandContext, event_type_id: UUID | None
) -> RuleScope | Problem:
    """Locks the scope until the transaction ends: no rule can be added to it, no field changed."""
    await lock_definitions_exclusive(session, command.actor.organization_id)
    if event_type_id is None:
        await lock_organization(session, command.actor.organization_id)
        return RuleScope()
    table = tables.EventType
    statement = select(table).where(col(table.id) == event_type_id).with_for_update(key_share=True)
    event_type = (await session.scalars(statement)).one_or_none()
    if event_type is None:
        return not_found("event type", event_type_id, "eventTypeId")
    fields = await load_parts(session, tables.EventField, [event_type_id])
    return RuleScope(event_type, tuple(field.to_domain() for field in fields[event_type_id]))


async def _validate_rule_limit(
    session: AsyncSession, command: CommandContext, table: type[Rule], event_type_id: UUID | None
) -> list[Problem]:
    """Returns a problem if the scope already has the maximum number of rules."""
    rule_count = select(func.count()).select_from(table).where(_same_scope(table, event_type_id))
    maximum = command.limits.rules_per_type
    if (await session.scalars(rule_count)).one() < maximum:
        return []
    scope = "for all event types" if event_type_id is None else "for this event type"
    message = (
        f"Too many {table.noun()}s {scope}: the maximum is {maximum:,}. Delete one of them first."
    )
    return [Problem(UserErrorCode.LIMIT_REACHED, message)]


async def _lock_rule(
    session: AsyncSession, command: CommandContext, table: type[Rule], rule_id: UUID
) -> tuple[Rule, RuleScope] | Problem:
    """Locks a rule until the transaction ends: other transactions neither change nor apply it.

    Locks its event type first, in the same order as deleting a type does.
    """
    not_found_problem = not_found(table.noun(), rule_id, "id")
    statement = select(table).where(col(table.id) == rule_id)
    unlocked_row = (await session.scalars(statement)).one_or_none()
    if unlocked_row is None:
        return not_found_problem
    scope = await _lock_rule_scope(session, command, unlocked_row.event_type_id)
    locking_statement = statement.with_for_update().execution_options(populate_existing=True)
    row = (await session.scalars(locking_statement)).one_or_none()
    if row is None or isinstance(scope, Problem):
        return not_found_problem
    return row, scope


def _same_scope(table: type[Rule], event_type_id: UUID | None) -> Any:
    event_type_column = col(table.event_type_id)
    return (
        event_type_column.is_(None) if event_type_id is None else event_type_column == event_type_id
    )
