"""Guard rules, read: those in force, their versions, and what an expression would refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.caller import Caller
from app.domain.event_types.event_type_draft import gone
from app.domain.intake.intake import Desk
from app.domain.rules.expression_scope import Form
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.rules.guards import Guard, GuardRuleState, violations
from app.domain.shared.problems import Problem
from app.services.definitions import rules
from app.services.definitions.event_types import forms_in
from app.services.definitions.rules import RulePage
from app.services.shared.listings import Listing
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import pages, projection, templates
from app.store.reading.projection import Row, Selection

BY_CREATION = rules.by_creation(tables.GuardRule)


@dataclass(frozen=True)
class Trial:
    """`rejected`: the events that the expression would have refused, newest first."""

    checked: int = 0
    rejected: tuple[tables.Event, ...] = ()
    problems: tuple[Problem, ...] = ()


async def try_expression(
    database: Database, desk: Desk, expression: str, event_type_id: UUID | None, last: int
) -> Trial:
    """Runs an expression over the `last` events logged, and writes nothing."""
    event, caller = tables.Event, desk.reporter
    async with database.read(caller.organization_id) as session:
        form = None
        newest = select(event).order_by(col(event.recorded_at).desc(), col(event.id).desc())
        if event_type_id is not None:
            kind = await session.get(tables.EventType, event_type_id)
            if kind is None:
                return Trial(problems=(gone("event type", event_type_id, "eventTypeId"),))
            version = (kind.id, kind.version)
            form = (await forms_in(session, [version]))[version].fields
            newest = newest.where(col(event.event_type_id) == event_type_id)
        compiled = compile_expression(expression, form, desk.limits)
        if not isinstance(compiled, Expression):
            return Trial(problems=tuple(each.under("expression") for each in compiled))
        rows = list(await session.scalars(newest.limit(last)))
        known = await forms_in(session, _versions_of(rows) if form is not None else ())
    guard = Guard(uuid7(), "", 0, expression, "", form=form)
    rejected = []
    for row in rows:
        own = known.get((row.event_type_id, row.event_type_version))  # type: ignore[arg-type]
        fields = None if own is None else own.fields
        state = row.to_domain()
        if violations([guard], state, None, desk.now, desk.limits, own=fields):
            rejected.append(row)
        await asyncio.sleep(0)  # others are served between two events
    return Trial(len(rows), tuple(rejected))


@dataclass(frozen=True)
class Published:
    """A rule beside the version of it that is in force."""

    rule: tables.GuardRule
    version: tables.GuardRuleVersion


async def in_force(session: AsyncSession, event_type_ids: Iterable[UUID]) -> list[Published]:
    """The versions in force for these types and for every type, in order of creation."""
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
    return [Published(each, content) for each, content in await session.execute(statement)]


def guards_of(
    published: Sequence[Published], event_type_id: UUID | None, fields: Form
) -> tuple[Guard, ...]:
    """Those of an event type with these fields now; those of every type for None."""
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


def fits(expression: str, fields: Form, desk: Desk) -> bool:
    return isinstance(compile_expression(expression, fields, desk.limits), Expression)


async def find(database: Database, caller: Caller, rule_id: UUID) -> tables.GuardRule | None:
    return (await by_ids(database, caller, [rule_id])).get(rule_id)


async def by_ids(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, tables.GuardRule]:
    table = tables.GuardRule
    async with database.read(caller.organization_id) as session:
        found = await session.scalars(select(table).where(col(table.id).in_(ids)))
        return {row.id: row for row in found}


async def versions_at(
    database: Database, caller: Caller, places: Sequence[tuple[UUID, int]]
) -> dict[tuple[UUID, int], tables.GuardRuleVersion]:
    """One version of each of several rules."""
    table = tables.GuardRuleVersion
    place = tuple_(col(table.guard_rule_id), col(table.number))
    async with database.read(caller.organization_id) as session:
        rows = await session.scalars(select(table).where(place.in_(places)))
        return {(row.guard_rule_id, row.number): row for row in rows}


async def versions_of(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, list[tables.GuardRuleVersion]]:
    """The versions of each rule, the first first."""
    async with database.read(caller.organization_id) as session:
        return await versions_in(session, ids)


async def page(
    database: Database,
    caller: Caller,
    event_type_id: UUID | None,
    state: GuardRuleState | None,
    request: pages.PageRequest,
) -> pages.Page[tables.GuardRule]:
    async with database.read(caller.organization_id) as session:
        statement = select(tables.GuardRule).where(*_conditions(event_type_id, state))
        return await pages.fetch(session, statement, BY_CREATION, request, caller.organization_id)


async def select_one(
    database: Database, caller: Caller, wanted: UUID, columns: Selection
) -> Row | None:
    own = templates.comparing(tables.GuardRule.id, wanted)
    return await projection.one(database, caller.organization_id, columns, own)


async def select_page(
    database: Database, caller: Caller, wanted: RulePage, columns: Selection, counts: Sequence[str]
) -> Listing:
    table = tables.GuardRule
    return await rules.select_page(database, caller, table, wanted, columns, counts)


async def count(
    database: Database, caller: Caller, event_type_id: UUID | None, state: GuardRuleState | None
) -> int:
    async with database.read(caller.organization_id) as session:
        counted = select(func.count()).select_from(tables.GuardRule)
        return (await session.scalars(counted.where(*_conditions(event_type_id, state)))).one()


def _conditions(event_type_id: UUID | None, state: GuardRuleState | None) -> list[Any]:
    conditions: list[Any] = rules.of_type(tables.GuardRule, event_type_id)
    if state is not None:
        conditions.append(col(tables.GuardRule.state) == state)
    return conditions


async def versions_in(
    session: AsyncSession, ids: Sequence[UUID]
) -> dict[UUID, list[tables.GuardRuleVersion]]:
    table = tables.GuardRuleVersion
    found: dict[UUID, list[tables.GuardRuleVersion]] = {each: [] for each in ids}
    own = select(table).where(col(table.guard_rule_id).in_(ids)).order_by(col(table.number))
    for row in await session.scalars(own):
        found[row.guard_rule_id].append(row)
    return found


def _versions_of(rows: Iterable[tables.Event]) -> set[tuple[UUID, int]]:
    return {
        (row.event_type_id, row.event_type_version)
        for row in rows
        if row.event_type_id is not None and row.event_type_version is not None
    }
