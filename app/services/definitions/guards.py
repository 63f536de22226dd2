"""Reads guard rules: published ones, their versions, and trials of an expression."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.intake.intake import CommandContext
from app.domain.rules.expression_messages import TypeFields
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.rules.guards import (
    Guard,
    GuardRuleState,
    GuardViolationReason,
    TrialFailure,
    find_trial_failure,
)
from app.domain.shared.problems import Problem, not_found
from app.services.definitions import rules
from app.services.definitions.event_types import load_version_definitions
from app.services.shared.readers import lookup_by_id
from app.store import tables
from app.store.engine.database import Database

RULE_LIST = rules.create_list_reader(tables.GuardRule)
RULE_BY_ID = lookup_by_id(tables.GuardRule)


@dataclass(frozen=True)
class GuardTrial:
    """Result of trying an expression. `failures`: events that do not pass it, newest first."""

    checked: int = 0
    failures: tuple[tuple[tables.Event, TrialFailure], ...] = ()
    problems: tuple[Problem, ...] = ()

    def count_failures(self, reason: GuardViolationReason) -> int:
        return sum(failure.reason is reason for _, failure in self.failures)


async def try_expression(
    database: Database,
    command: CommandContext,
    expression: str,
    event_type_id: UUID | None,
    count: int,
) -> GuardTrial:
    """Evaluates an expression over the `count` events logged last. Writes nothing."""
    event, caller = tables.Event, command.actor
    async with database.read(caller.organization_id) as session:
        type_fields = None
        newest = select(event).order_by(col(event.recorded_at).desc(), col(event.id).desc())
        if event_type_id is not None:
            event_type = await session.get(tables.EventType, event_type_id)
            if event_type is None:
                return GuardTrial(problems=(not_found("event type", event_type_id, "eventTypeId"),))
            version = (event_type.id, event_type.version)
            type_fields = (await load_version_definitions(session, [version]))[version].fields
            newest = newest.where(col(event.event_type_id) == event_type_id)
        compiled = compile_expression(expression, type_fields, command.limits)
        if not isinstance(compiled, Expression):
            return _reject(compiled)
        if compiled.problems:
            return _reject(compiled.problems)
        rows = list(await session.scalars(newest.limit(count)))
        definitions = await load_version_definitions(
            session, _event_versions(rows) if type_fields is not None else ()
        )
    failures = []
    for row in rows:
        definition = definitions.get((row.event_type_id, row.event_type_version))  # type: ignore[arg-type]
        fields = None if definition is None else definition.fields
        failure = find_trial_failure(compiled, row.to_domain(), command.now, fields)
        if failure is not None:
            failures.append((row, failure))
        await asyncio.sleep(0)  # let other requests run between two events
    return GuardTrial(len(rows), tuple(failures))


def _reject(problems: Sequence[Problem]) -> GuardTrial:
    return GuardTrial(problems=tuple(each.prepend_path("expression") for each in problems))


@dataclass(frozen=True)
class PublishedRule:
    """A rule with its published version."""

    rule: tables.GuardRule
    version: tables.GuardRuleVersion


async def load_published_rules(
    session: AsyncSession, event_type_ids: Iterable[UUID]
) -> list[PublishedRule]:
    """Returns published versions for these types and for all types, in order of creation."""
    rule, version = tables.GuardRule, tables.GuardRuleVersion
    current = and_(
        col(version.guard_rule_id) == col(rule.id), col(version.number) == col(rule.published)
    )
    statement = (
        select(rule, version)
        .join(version, current)
        .where(
            col(rule.state) == GuardRuleState.PUBLISHED,
            or_(col(rule.event_type_id).is_(None), col(rule.event_type_id).in_(event_type_ids)),
        )
        .order_by(col(rule.id))
    )
    return [PublishedRule(*row) for row in await session.execute(statement)]


def build_guards(
    published: Sequence[PublishedRule], event_type_id: UUID | None, fields: TypeFields
) -> tuple[Guard, ...]:
    """Builds the guards of an event type, or of all types if the ID is None."""
    return tuple(
        Guard(
            each.rule.id,
            each.rule.name,
            each.version.number,
            each.version.expression,
            each.version.message,
            each.version.enforcement,
            fields,
        )
        for each in published
        if each.rule.event_type_id == event_type_id
    )


async def fetch_versions(
    database: Database, caller: Caller, versions: Sequence[tuple[UUID, int]]
) -> dict[tuple[UUID, int], tables.GuardRuleVersion]:
    """Returns versions by rule ID and version number."""
    table = tables.GuardRuleVersion
    version_key = tuple_(col(table.guard_rule_id), col(table.number))
    async with database.read(caller.organization_id) as session:
        rows = await session.scalars(select(table).where(version_key.in_(versions)))
        return {(row.guard_rule_id, row.number): row for row in rows}


async def fetch_all_versions(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, list[tables.GuardRuleVersion]]:
    """Returns all versions of each rule, in order of their numbers."""
    async with database.read(caller.organization_id) as session:
        return await load_versions(session, ids)


async def load_versions(
    session: AsyncSession, ids: Sequence[UUID]
) -> dict[UUID, list[tables.GuardRuleVersion]]:
    table = tables.GuardRuleVersion
    versions: dict[UUID, list[tables.GuardRuleVersion]] = {each: [] for each in ids}
    statement = select(table).where(col(table.guard_rule_id).in_(ids)).order_by(col(table.number))
    for row in await session.scalars(statement):
        versions[row.guard_rule_id].append(row)
    return versions


def _event_versions(rows: Iterable[tables.Event]) -> set[tuple[UUID, int]]:
    return {
        (row.event_type_id, row.event_type_version)
        for row in rows
        if row.event_type_id is not None and row.event_type_version is not None
    }
