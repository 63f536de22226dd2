"""Finds what uses an event type: its events, and the rules that name its fields."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.event_types.event_type_draft import EditResult, EventTypeDraft
from app.domain.event_types.fields import FieldDefinition, validate_field_name
from app.domain.intake.intake import CommandContext
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.rules.guards import GuardRuleState
from app.domain.shared.messages import quote_names, quote_value
from app.domain.shared.problems import Problem, UserErrorCode
from app.services.definitions.guards import load_published_rules
from app.store import tables


async def count_events(session: AsyncSession, row: tables.EventType) -> int:
    """Returns the number of events of the type."""
    of_type = col(tables.Event.event_type_id) == row.id
    statement = select(func.count()).select_from(tables.Event).where(of_type)
    return (await session.scalars(statement)).one()


async def find_broken_rules(
    session: AsyncSession,
    command: CommandContext,
    row: tables.EventType,
    before: tuple[FieldDefinition, ...],
    draft: EventTypeDraft,
    edit_result: EditResult,
) -> list[Problem]:
    """Returns a problem for each rule that the edit would break."""
    after = tuple(draft.fields.values())
    if _attributes_used_by_rules(after) == _attributes_used_by_rules(before):
        return []
    # An invalid name cannot be compiled, and is reported by the validation of the edit.
    compiled_fields = tuple(field for field in after if not validate_field_name(field))
    guard_messages = [
        f"The change would make the guard rule {quote_value(name)} invalid{reason}. "
        "Change or retire the rule first."
        for name, text in await _fetch_expressions(session, row.id)
        for reason in _find_guard_errors(text, before, compiled_fields, command)
    ]
    removed_names = {field.name for field in before} - {field.name for field in after}
    rule_messages = [
        f"The {table.noun()} {rule.name!r} uses field {quote_names(missing)}. "
        "Change or delete the rule first."
        for table in tables.RULE_TABLES
        if table.used_fields is not tables.ScopedRule.used_fields
        for rule in await _fetch_rules(session, table, row.id)
        if (missing := [name for name in rule.used_fields() if name in removed_names])
    ]
    messages = dict.fromkeys([*guard_messages, *rule_messages])
    path = edit_result.fallback_path or ("id",)
    return [Problem(UserErrorCode.IN_USE, message, path) for message in messages]


def _find_guard_errors(
    text: str,
    before: tuple[FieldDefinition, ...],
    after: tuple[FieldDefinition, ...],
    command: CommandContext,
) -> list[str]:
    """Returns the errors that an expression has after the edit only, as parts of a sentence."""
    compiled_before = compile_expression(text, before, command.limits)
    if not isinstance(compiled_before, Expression):
        return []
    compiled_after = compile_expression(text, after, command.limits)
    if not isinstance(compiled_after, Expression):
        return [""]
    unknown_options = compiled_after.unknown_options - compiled_before.unknown_options
    return [
        f": it compares field {quote_value(field)} with {quote_value(option)}"
        for field, option in sorted(unknown_options)
    ]


def _attributes_used_by_rules(fields: Iterable[FieldDefinition]) -> list[tuple[object, ...]]:
    return [(field.name, field.kind, field.options) for field in fields]


async def _fetch_expressions(session: AsyncSession, event_type_id: UUID) -> list[tuple[str, str]]:
    """Returns names and expressions of the drafts and published versions, without RETIRED rules."""
    rule = tables.GuardRule
    statement = select(rule).where(
        col(rule.event_type_id) == event_type_id, col(rule.state) != GuardRuleState.RETIRED
    )
    drafts = [(row.name, row.expression) for row in await session.scalars(statement)]
    return drafts + [
        (each.rule.name, each.version.expression)
        for each in await load_published_rules(session, [event_type_id])
        if each.rule.event_type_id == event_type_id
    ]


async def _fetch_rules(
    session: AsyncSession, table: type[tables.ScopedRule], event_type_id: UUID
) -> list[tables.ScopedRule]:
    of_type = col(table.event_type_id) == event_type_id
    return list(await session.scalars(select(table).where(of_type)))
