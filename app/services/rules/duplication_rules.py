"""Creates, changes and deletes duplication rules, and clears their fingerprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.audit import AuditAction
from app.domain.access.caller import Caller
from app.domain.event_types.fields import AdditionalFields
from app.domain.intake.intake import CommandContext
from app.domain.rules.duplicates import DuplicationRule, validate_duplication_rule
from app.domain.shared.problems import Problem, invalid_input, not_found
from app.services.definitions import rules
from app.services.rules import rule_commands
from app.services.rules.rule_commands import RuleResult, RuleScope, change_rule
from app.services.shared.audited_changes import validate_not_null
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.audit import collect_values, create_entry
from app.store.engine.database import Database, retry_on_deadlock
from app.store.engine.dialect import lock_definitions_exclusive

RULE_LIST = rules.create_list_reader(tables.DuplicationRule)


@dataclass(frozen=True)
class DuplicationRuleResult(RuleResult[tables.DuplicationRule]):
    """`match_count` is that of a deleted rule."""

    match_count: int | None = None


async def create_rule(
    database: Database,
    command: CommandContext,
    event_type_id: UUID | None,
    attributes: Mapping[str, Any],
    enabled: bool,
    position: int | None = None,
) -> RuleResult[tables.DuplicationRule]:
    """Creates a rule at a position, or as the last one. Later rules move down by one."""
    rule = DuplicationRule(uuid7(), event_type_id=event_type_id, **attributes)
    row = tables.DuplicationRule(
        id=rule.id,
        organization_id=command.actor.organization_id,
        event_type_id=event_type_id,
        enabled=enabled,
        created_at=command.now,
        updated_at=command.now,
        **_column_values(rule),
    )

    async def validate(session: AsyncSession, scope: RuleScope) -> list[Problem]:
        count = await _count_rules(session)
        row.position = count if position is None else position
        return [
            *_validate_rule(rule, scope, command),
            *_validate_position(row.position, count),
        ]

    async def make_room(session: AsyncSession) -> None:
        await shift_positions(session, row.position, None, 1)

    return await rule_commands.create_rule(database, command, row, validate, make_room)


async def update_rule(
    database: Database, command: CommandContext, rule_id: UUID, attributes: Mapping[str, Any]
) -> RuleResult[tables.DuplicationRule]:
    """Updates a rule. A changed fingerprint or window clears the stored fingerprints.

    A changed position moves the rules in between by one.
    """
    if null_problems := validate_not_null(attributes):
        return RuleResult(problems=null_problems)

    async def update(
        session: AsyncSession, row: tables.DuplicationRule, scope: RuleScope
    ) -> list[Problem]:
        before = row.to_domain()
        position = attributes.get("position", row.position)
        rule_attributes = {
            name: value for name, value in attributes.items() if name not in ("enabled", "position")
        }
        after = replace(before, **rule_attributes)
        last = await _count_rules(session) - 1
        if problems := [
            *_validate_rule(after, scope, command),
            *_validate_position(position, last),
        ]:
            return problems
        if position < row.position:
            await shift_positions(session, position, row.position - 1, 1)
        elif position > row.position:
            await shift_positions(session, row.position + 1, position, -1)
        row.position = position
        if (after.fingerprint, after.window) != (before.fingerprint, before.window):
            await _clear_fingerprints(session, command, [row])
        for name, value in _column_values(after).items():
            setattr(row, name, value)
        row.enabled = attributes.get("enabled", row.enabled)
        return []

    return await change_rule(
        database, command, tables.DuplicationRule, rule_id, AuditAction.UPDATED, update
    )


async def delete_rule(
    database: Database, command: CommandContext, rule_id: UUID
) -> DuplicationRuleResult:
    match_counts: dict[UUID, int] = {}

    async def close_gap(session: AsyncSession, row: tables.DuplicationRule) -> None:
        match_counts.update(await _load_match_counts(session, [rule_id]))
        await shift_positions(session, row.position + 1, None, -1)

    table = tables.DuplicationRule
    result = await rule_commands.delete_rule(database, command, table, rule_id, close_gap)
    return DuplicationRuleResult(result.rule, result.problems, match_counts.get(rule_id, 0))


@dataclass(frozen=True)
class ResetResult:
    cleared_count: int = 0
    problems: tuple[Problem, ...] = ()


@retry_on_deadlock
async def reset_rules(
    database: Database, command: CommandContext, rule_id: UUID | None
) -> ResetResult:
    """Clears the fingerprints of one rule, or of all rules: the next event is not a duplicate."""
    table = tables.DuplicationRule
    statement = select(table).order_by(col(table.id)).with_for_update()
    if rule_id is not None:
        statement = statement.where(col(table.id) == rule_id)
    async with database.write(command.actor.organization_id) as session:
        await lock_definitions_exclusive(session, command.actor.organization_id)
        rows = list(await session.scalars(statement))
        if rule_id is not None and not rows:
            return ResetResult(problems=(not_found("duplication rule", rule_id, "ruleId"),))
        if not rows:
            return ResetResult()
        values = [collect_values(row) for row in rows]
        cleared_count = await _clear_fingerprints(session, command, rows)
        entries = [
            create_entry(row, AuditAction.RESET, command.actor.name, command.now, before)
            for row, before in zip(rows, values, strict=True)
        ]
        await changes.append_entries(session, entries)
        return ResetResult(cleared_count)


async def fetch_match_counts(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, int]:
    """Returns the number of duplicates that each rule has found since its last reset."""
    async with database.read(caller.organization_id) as session:
        return await _load_match_counts(session, ids)


async def _load_match_counts(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, int]:
    table = tables.Fingerprint
    statement = (
        select(col(table.rule_id), func.sum(table.caught))
        .where(col(table.rule_id).in_(ids))
        .group_by(col(table.rule_id))
    )
    return {rule_id: int(total) for rule_id, total in await session.execute(statement)}


def _validate_rule(
    rule: DuplicationRule, scope: RuleScope, command: CommandContext
) -> list[Problem]:
    event_type = scope.event_type
    keeps_all = event_type and event_type.additional_fields is AdditionalFields.KEEP
    field_names = None if keeps_all else scope.field_names
    return validate_duplication_rule(
        rule.name, rule.fingerprint, rule.window, field_names, command.limits
    )


def _validate_position(position: int, maximum: int) -> list[Problem]:
    if 0 <= position <= maximum:
        return []
    return [invalid_input(f"position must be from 0 to {maximum:,}.", "position")]


async def _count_rules(session: AsyncSession) -> int:
    return (await session.scalars(select(func.count()).select_from(tables.DuplicationRule))).one()


async def shift_positions(
    session: AsyncSession, first: int, last: int | None, distance: int
) -> None:
    """Moves the rules from the position `first` to `last`, or to the end.

    The caller holds `lock_definitions_exclusive`.
    """
    position = col(tables.DuplicationRule.position)
    in_range = position >= first if last is None else position.between(first, last)
    statement = update(tables.DuplicationRule).where(in_range).values(position=position + distance)
    # Loaded rows are those that move or are deleted, which keep their own position.
    await session.execute(statement, execution_options={"synchronize_session": False})


async def _clear_fingerprints(
    session: AsyncSession, command: CommandContext, rows: Sequence[tables.DuplicationRule]
) -> int:
    ids = [row.id for row in rows]
    await session.execute(delete(tables.FirstEvent).where(col(tables.FirstEvent.rule_id).in_(ids)))
    statement = delete(tables.Fingerprint).where(col(tables.Fingerprint.rule_id).in_(ids))
    deleted: Any = await session.execute(statement)
    for row in rows:
        row.reset_at = command.now
    return int(deleted.rowcount)


def _column_values(rule: DuplicationRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "fingerprint": list(rule.fingerprint),
        "window_us": rule.window // timedelta(microseconds=1),
        "action": rule.action,
        "escalate": rule.escalate,
    }
