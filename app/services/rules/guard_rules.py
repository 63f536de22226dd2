"""Guard rules: drafted, published in numbered versions, retired, and tried out.

A rule enforces what was published, not its draft. It is read in the transaction of each report, so
that a report which begins after a publish was answered is judged by it, in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.domain.intake.intake import Desk
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.rules.guards import GuardRuleState
from app.domain.shared.problems import Problem, UserErrorCode, invalid
from app.domain.shared.values import name_problems
from app.services.definitions import rules
from app.services.definitions.guards import in_force, versions_in
from app.services.definitions.rules import Scope, hold_scope
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import Database

_CONTENT = ("expression", "message", "enforcement")


@dataclass(frozen=True)
class Saved:
    """A rule as it lies after a mutation, or why nothing was changed."""

    rule: tables.GuardRule | None = None
    problems: tuple[Problem, ...] = ()


async def create(
    database: Database, desk: Desk, event_type_id: UUID | None, given: Mapping[str, Any]
) -> Saved:
    async with database.write(desk.reporter.organization_id) as session:
        scope = await hold_scope(session, desk, event_type_id)
        if isinstance(scope, Problem):
            return Saved(problems=(scope,))
        table = tables.GuardRule
        problems = [
            *_problems(given, scope, desk),
            *await rules.full(session, desk, table, event_type_id),
        ]
        if problems:
            return Saved(problems=tuple(problems))
        row = table(
            id=uuid7(),
            organization_id=desk.reporter.organization_id,
            event_type_id=event_type_id,
            state=GuardRuleState.DRAFT,
            created_at=desk.now,
            updated_at=desk.now,
            **given,
        )
        session.add(row)
        await changes.append(session, [_entry(desk, row, "CREATED")])
        return Saved(row)


async def update(database: Database, desk: Desk, rule_id: UUID, given: Mapping[str, Any]) -> Saved:
    """Edits the draft: what is published keeps enforcing."""
    missing = [invalid("Must not be null.", name) for name in given if given[name] is None]
    if missing:
        return Saved(problems=tuple(missing))
    async with database.write(desk.reporter.organization_id) as session:
        held = await rules.hold(session, desk, tables.GuardRule, rule_id)
        if isinstance(held, Problem):
            return Saved(problems=(held,))
        row, scope = held
        if problems := _problems(given, scope, desk):
            return Saved(problems=tuple(problems))
        for name, value in given.items():
            setattr(row, name, value)
        row.updated_at = desk.now
        await changes.append(session, [_entry(desk, row, "UPDATED")])
        return Saved(row)


async def publish(database: Database, desk: Desk, rule_id: UUID, version: int | None) -> Saved:
    """Puts the draft in force as a new version, or an earlier version's content once more."""
    async with database.write(desk.reporter.organization_id) as session:
        held = await rules.hold(session, desk, tables.GuardRule, rule_id)
        if isinstance(held, Problem):
            return Saved(problems=(held,))
        row, scope = held
        versions = {each.number: each for each in (await versions_in(session, [rule_id]))[rule_id]}
        if version is not None and version not in versions:
            message = f"There is no version {version} of {row.name}."
            return Saved(problems=(Problem(UserErrorCode.NOT_FOUND, message, ("version",)),))
        content = _content(row if version is None else versions[version])
        problems = _publishing_problems(row, content, versions, scope, desk)
        if problems := problems or await _too_costly(session, row, content, scope, desk):
            named = "id" if version is None else "version"
            return Saved(problems=tuple(replace(each, path=(named,)) for each in problems))
        row.state, row.published, row.updated_at = (
            GuardRuleState.PUBLISHED,
            max(versions, default=0) + 1,
            desk.now,
        )
        session.add(
            tables.GuardRuleVersion(
                organization_id=row.organization_id,
                guard_rule_id=row.id,
                number=row.published,
                published_at=desk.now,
                published_by=desk.reporter.name,
                **content,
            )
        )
        await changes.append(session, [_entry(desk, row, "PUBLISHED")])
        return Saved(row)


async def retire(database: Database, desk: Desk, rule_id: UUID) -> Saved:
    """Stops enforcing; what was published stays readable. A second time changes nothing."""
    async with database.write(desk.reporter.organization_id) as session:
        held = await rules.hold(session, desk, tables.GuardRule, rule_id)
        if isinstance(held, Problem):
            return Saved(problems=(held,))
        row, _ = held
        if row.state is not GuardRuleState.RETIRED:
            row.state, row.updated_at = GuardRuleState.RETIRED, desk.now
            await changes.append(session, [_entry(desk, row, "RETIRED")])
        return Saved(row)


def _problems(given: Mapping[str, Any], scope: Scope, desk: Desk) -> list[Problem]:
    problems = [
        *name_problems(given.get("name"), desk.limits.name, "name"),
        *name_problems(given.get("message"), desk.limits.summary, "message"),
    ]
    if "expression" in given:
        compiled = compile_expression(given["expression"], scope.fields, desk.limits)
        if not isinstance(compiled, Expression):
            problems += [each.under("expression") for each in compiled]
    return problems


def _publishing_problems(
    row: tables.GuardRule,
    content: dict[str, Any],
    versions: Mapping[int, tables.GuardRuleVersion],
    scope: Scope,
    desk: Desk,
) -> list[Problem]:
    if len(versions) >= desk.limits.versions_per_rule:
        full = f"A rule has at most {desk.limits.versions_per_rule:,} versions."
        return [Problem(UserErrorCode.LIMIT_REACHED, full)]
    in_force = versions.get(row.published or 0)
    if row.state is GuardRuleState.PUBLISHED and in_force and _content(in_force) == content:
        message = f"Version {row.published} of {row.name} says the same, and is in force."
        return [Problem(UserErrorCode.CONFLICT, message)]
    return _problems(content, scope, desk)


async def _too_costly(
    session: AsyncSession, row: tables.GuardRule, content: dict[str, Any], scope: Scope, desk: Desk
) -> list[Problem]:
    """All rules of a type run for each of its events: together, too, they must come to an end."""
    others = await in_force(session, [] if row.event_type_id is None else [row.event_type_id])
    texts = [each.version.expression for each in others if each.rule.id != row.id]
    steps = 0
    for text in (*texts, content["expression"]):
        compiled = compile_expression(text, scope.fields, desk.limits)
        steps += compiled.steps if isinstance(compiled, Expression) else 0
    if steps <= desk.limits.guard_steps:
        return []
    message = (
        f"Together with the rules in force this could take {steps:,} steps for an event; at most "
        f"{desk.limits.guard_steps:,}."
    )
    return [Problem(UserErrorCode.LIMIT_REACHED, message)]


def _content(said: tables.GuardRule | tables.GuardRuleVersion) -> dict[str, Any]:
    return {name: getattr(said, name) for name in _CONTENT}


def _entry(desk: Desk, row: tables.GuardRule, kind: str) -> changes.NewEntry:
    told = {"name": row.name, "state": row.state.value, "published": row.published}
    return rules.entry(desk, changes.GUARD_RULE, row, kind, **told)
