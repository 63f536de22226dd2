"""Duplication rules: made, changed, deleted, and what they remember forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.caller import Caller
from app.domain.event_types.event_type_draft import gone
from app.domain.intake.intake import Desk
from app.domain.rules.duplicates import DuplicationRule, rule_problems
from app.domain.shared.problems import Problem, invalid
from app.services.definitions import rules
from app.services.definitions.rules import RulePage, Scope, hold_scope
from app.services.shared.listings import Listing
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import Database
from app.store.engine.dialect import stop
from app.store.reading import pages
from app.store.reading.projection import Selection

BY_CREATION = rules.by_creation(tables.DuplicationRule)


@dataclass(frozen=True)
class Saved:
    """A rule as it lies after a mutation (deleted: as it was), or why nothing was changed."""

    rule: tables.DuplicationRule | None = None
    problems: tuple[Problem, ...] = ()
    caught: int | None = None  # of a rule that is gone


async def create(
    database: Database,
    desk: Desk,
    event_type_id: UUID | None,
    given: Mapping[str, Any],
    enabled: bool,
) -> Saved:
    rule = DuplicationRule(uuid7(), event_type_id=event_type_id, **given)
    async with database.write(desk.reporter.organization_id) as session:
        scope = await hold_scope(session, desk, rule.event_type_id)
        if isinstance(scope, Problem):
            return Saved(problems=(scope,))
        table = tables.DuplicationRule
        problems = [
            *_problems(rule, scope, desk),
            *await rules.full(session, desk, table, rule.event_type_id),
        ]
        if problems:
            return Saved(problems=tuple(problems))
        row = table(
            id=rule.id,
            organization_id=desk.reporter.organization_id,
            event_type_id=rule.event_type_id,
            enabled=enabled,
            created_at=desk.now,
            updated_at=desk.now,
            **_columns(rule),
        )
        session.add(row)
        await changes.append(session, [_entry(desk, row, "CREATED")])
        return Saved(row)


async def update(database: Database, desk: Desk, rule_id: UUID, given: Mapping[str, Any]) -> Saved:
    """Another fingerprint or window forgets what the rule has seen."""
    missing = [invalid("Must not be null.", name) for name in given if given[name] is None]
    if missing:
        return Saved(problems=tuple(missing))
    async with database.write(desk.reporter.organization_id) as session:
        held = await rules.hold(session, desk, tables.DuplicationRule, rule_id)
        if isinstance(held, Problem):
            return Saved(problems=(held,))
        row, scope = held
        before = row.to_domain()
        said = {name: value for name, value in given.items() if name != "enabled"}
        after = replace(before, **said)
        if problems := _problems(after, scope, desk):
            return Saved(problems=tuple(problems))
        if (after.fingerprint, after.window) != (before.fingerprint, before.window):
            await _forget(session, desk, [row])
        for name, value in _columns(after).items():
            setattr(row, name, value)
        row.enabled = given.get("enabled", row.enabled)
        row.updated_at = desk.now
        await changes.append(session, [_entry(desk, row, "UPDATED")])
        return Saved(row)


async def remove(database: Database, desk: Desk, rule_id: UUID) -> Saved:
    async with database.write(desk.reporter.organization_id) as session:
        held = await rules.hold(session, desk, tables.DuplicationRule, rule_id)
        if isinstance(held, Problem):
            return Saved(problems=(held,))
        row, _ = held
        counted = await _caught(session, [rule_id])
        await changes.append(session, [_entry(desk, row, "DELETED")])
        await session.delete(row)
        return Saved(row, caught=counted.get(rule_id, 0))


@dataclass(frozen=True)
class Reset:
    forgotten: int = 0
    problems: tuple[Problem, ...] = ()


async def reset(database: Database, desk: Desk, rule_id: UUID | None) -> Reset:
    """Forgets what one rule has seen, or every rule: the next event is taken as new."""
    table = tables.DuplicationRule
    statement = select(table).order_by(col(table.id)).with_for_update()
    if rule_id is not None:
        statement = statement.where(col(table.id) == rule_id)
    async with database.write(desk.reporter.organization_id) as session:
        await stop(session, desk.reporter.organization_id)
        rows = list(await session.scalars(statement))
        if rule_id is not None and not rows:
            return Reset(problems=(gone("duplication rule", rule_id, "ruleId"),))
        if not rows:
            return Reset()
        forgotten = await _forget(session, desk, rows)
        await changes.append(session, [_entry(desk, row, "RESET") for row in rows])
        return Reset(forgotten)


async def by_ids(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, tables.DuplicationRule]:
    table = tables.DuplicationRule
    async with database.read(caller.organization_id) as session:
        found = await session.scalars(select(table).where(col(table.id).in_(ids)))
        return {row.id: row for row in found}


async def caught(database: Database, caller: Caller, ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many duplicates each rule has caught since it last forgot."""
    async with database.read(caller.organization_id) as session:
        return await _caught(session, ids)


async def page(
    database: Database,
    caller: Caller,
    event_type_id: UUID | None,
    request: pages.PageRequest,
) -> pages.Page[tables.DuplicationRule]:
    table = tables.DuplicationRule
    async with database.read(caller.organization_id) as session:
        statement = select(table).where(*rules.of_type(table, event_type_id))
        return await pages.fetch(session, statement, BY_CREATION, request, caller.organization_id)


async def select_page(
    database: Database, caller: Caller, wanted: RulePage, columns: Selection, counts: Sequence[str]
) -> Listing:
    table = tables.DuplicationRule
    return await rules.select_page(database, caller, table, wanted, columns, counts)


async def count(database: Database, caller: Caller, event_type_id: UUID | None) -> int:
    table = tables.DuplicationRule
    async with database.read(caller.organization_id) as session:
        counted = select(func.count()).select_from(table)
        return (await session.scalars(counted.where(*rules.of_type(table, event_type_id)))).one()


async def _caught(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, int]:
    table = tables.Fingerprint
    summed = (
        select(col(table.rule_id), func.sum(table.caught))
        .where(col(table.rule_id).in_(ids))
        .group_by(col(table.rule_id))
    )
    return {rule_id: int(total) for rule_id, total in await session.execute(summed)}


def _problems(rule: DuplicationRule, scope: Scope, desk: Desk) -> list[Problem]:
    return rule_problems(rule.name, rule.fingerprint, rule.window, scope.names, desk.limits)


async def _forget(session: AsyncSession, desk: Desk, rows: Sequence[tables.DuplicationRule]) -> int:
    ids = [row.id for row in rows]
    await session.execute(delete(tables.First).where(col(tables.First.rule_id).in_(ids)))
    prints = delete(tables.Fingerprint).where(col(tables.Fingerprint.rule_id).in_(ids))
    forgotten: Any = await session.execute(prints)
    for row in rows:
        row.reset_at = desk.now
    return int(forgotten.rowcount)


def _columns(rule: DuplicationRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "fingerprint": list(rule.fingerprint),
        "window_us": rule.window // timedelta(microseconds=1),
        "action": rule.action,
    }


def _entry(desk: Desk, row: tables.DuplicationRule, kind: str) -> changes.NewEntry:
    told = {
        "name": row.name,
        "fingerprint": row.fingerprint,
        "action": row.action.value,
        "enabled": row.enabled,
    }
    return rules.entry(desk, changes.DUPLICATION_RULE, row, kind, **told)
