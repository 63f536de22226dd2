"""Creates, changes, publishes and retires guard rules.

The published version is enforced, not the draft. Each report reads it in its own transaction: from
the response to a publication on, every process enforces the new version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.domain.access.audit import AuditAction
from app.domain.intake.intake import CommandContext
from app.domain.rules.expressions import Expression, compile_expression, validate_expression
from app.domain.rules.guards import GuardRuleState
from app.domain.shared.messages import format_count
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.values import validate_name
from app.services.definitions.guards import load_published_rules, load_versions
from app.services.rules import rule_commands
from app.services.rules.rule_commands import RuleResult, RuleScope, change_rule
from app.services.shared.audited_changes import validate_not_null
from app.store import tables
from app.store.engine.database import Database
from app.store.writing.inserts import insert_rows

GuardRuleResult = RuleResult[tables.GuardRule]
_VERSIONED_ATTRIBUTES = ("expression", "message", "enforcement")


async def create_rule(
    database: Database,
    command: CommandContext,
    event_type_id: UUID | None,
    attributes: Mapping[str, Any],
) -> GuardRuleResult:
    row = tables.GuardRule(
        id=uuid7(),
        organization_id=command.actor.organization_id,
        event_type_id=event_type_id,
        state=GuardRuleState.DRAFT,
        created_at=command.now,
        updated_at=command.now,
        **attributes,
    )

    async def validate(_session: AsyncSession, scope: RuleScope) -> list[Problem]:
        return _validate_attributes(attributes, scope, command)

    return await rule_commands.create_rule(database, command, row, validate)


async def update_draft(
    database: Database, command: CommandContext, rule_id: UUID, attributes: Mapping[str, Any]
) -> GuardRuleResult:
    """Edits the draft. The published version is still enforced."""
    if null_problems := validate_not_null(attributes):
        return GuardRuleResult(problems=null_problems)

    async def update(
        _session: AsyncSession, row: tables.GuardRule, scope: RuleScope
    ) -> list[Problem]:
        problems = _validate_attributes(attributes, scope, command)
        if not problems:
            for name, value in attributes.items():
                setattr(row, name, value)
        return problems

    return await change_rule(
        database, command, tables.GuardRule, rule_id, AuditAction.UPDATED, update
    )


async def publish_rule(
    database: Database, command: CommandContext, rule_id: UUID, version: int | None
) -> GuardRuleResult:
    """Publishes the draft as a new version, or an earlier version again."""

    async def publish(
        session: AsyncSession, row: tables.GuardRule, scope: RuleScope
    ) -> list[Problem]:
        versions = {
            each.number: each for each in (await load_versions(session, [rule_id]))[rule_id]
        }
        if version is not None and version not in versions:
            message = f"The guard rule {row.name!r} has no version {version}."
            return [Problem(UserErrorCode.NOT_FOUND, message, ("version",))]
        content = _content(row if version is None else versions[version])
        problems = _validate_publication(row, content, versions, scope, command)
        if problems := problems or await _validate_total_cost(
            session, row, content, scope, command
        ):
            argument = "id" if version is None else "version"
            return [replace(each, path=(argument,)) for each in problems]
        row.state, row.published = GuardRuleState.PUBLISHED, max(versions, default=0) + 1
        version_row = {
            "organization_id": row.organization_id,
            "guard_rule_id": row.id,
            "number": row.published,
            "published_at": command.now,
            "published_by": command.actor.name,
            **content,
        }
        await insert_rows(session, (tables.GuardRuleVersion, [version_row]))
        return []

    return await change_rule(
        database, command, tables.GuardRule, rule_id, AuditAction.PUBLISHED, publish
    )


async def retire_rule(
    database: Database, command: CommandContext, rule_id: UUID
) -> GuardRuleResult:
    """Stops enforcing the rule. Its versions stay readable. Retiring again changes nothing."""

    async def retire(
        _session: AsyncSession, row: tables.GuardRule, _scope: RuleScope
    ) -> list[Problem] | None:
        if row.state is GuardRuleState.RETIRED:
            return None
        row.state = GuardRuleState.RETIRED
        return []

    return await change_rule(
        database, command, tables.GuardRule, rule_id, AuditAction.RETIRED, retire
    )


def _validate_attributes(
    attributes: Mapping[str, Any], scope: RuleScope, command: CommandContext
) -> list[Problem]:
    problems = [
        *validate_name(attributes.get("name"), command.limits.name_characters, "name"),
        *validate_name(attributes.get("message"), command.limits.summary_characters, "message"),
    ]
    if "expression" in attributes:
        errors = validate_expression(attributes["expression"], scope.fields, command.limits)
        problems += [each.prepend_path("expression") for each in errors]
    return problems


def _validate_publication(
    row: tables.GuardRule,
    content: dict[str, Any],
    versions: Mapping[int, tables.GuardRuleVersion],
    scope: RuleScope,
    command: CommandContext,
) -> list[Problem]:
    if len(versions) >= command.limits.versions_per_rule:
        message = (
            "The rule has the maximum of "
            f"{format_count(command.limits.versions_per_rule, 'published version')}. Create a new "
            "rule."
        )
        return [Problem(UserErrorCode.LIMIT_REACHED, message)]
    published = versions.get(row.published or 0)
    if row.state is GuardRuleState.PUBLISHED and published and _content(published) == content:
        message = (
            "Nothing to publish: the draft has the same content as the published version "
            f"{row.published}."
        )
        return [Problem(UserErrorCode.CONFLICT, message)]
    return _validate_attributes(content, scope, command)


async def _validate_total_cost(
    session: AsyncSession,
    row: tables.GuardRule,
    content: dict[str, Any],
    scope: RuleScope,
    command: CommandContext,
) -> list[Problem]:
    """Returns a problem if all rules that run for an event together exceed the step limit."""
    published = await load_published_rules(
        session, [] if row.event_type_id is None else [row.event_type_id]
    )
    expressions = [each.version.expression for each in published if each.rule.id != row.id]
    steps = 0
    for expression in (*expressions, content["expression"]):
        compiled = compile_expression(expression, scope.fields, command.limits)
        steps += compiled.steps if isinstance(compiled, Expression) else 0
    if steps <= command.limits.guard_steps:
        return []
    message = (
        f"Together with the other published rules, this rule can take {steps:,} evaluation steps "
        f"per event; the maximum is {command.limits.guard_steps:,}. Simplify the expression of "
        "this rule."
    )
    return [Problem(UserErrorCode.LIMIT_REACHED, message)]


def _content(source: tables.GuardRule | tables.GuardRuleVersion) -> dict[str, Any]:
    return {name: getattr(source, name) for name in _VERSIONED_ATTRIBUTES}
