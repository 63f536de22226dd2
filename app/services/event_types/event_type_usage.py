"""What needs an event type: its events, and the rules that name its fields."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.event_types.event_type_draft import Edited, Shape
from app.domain.event_types.fields import FieldDefinition
from app.domain.intake.intake import Desk
from app.domain.rules.duplicates import fields_of
from app.domain.rules.guards import GuardRuleState
from app.domain.shared.problems import Problem, UserErrorCode
from app.services.definitions.guards import fits, in_force
from app.store import tables


async def uses(session: AsyncSession, row: tables.EventType) -> int:
    """How many events have the type."""
    of_type = col(tables.Event.event_type_id) == row.id
    statement = select(func.count()).select_from(tables.Event).where(of_type)
    return (await session.scalars(statement)).one()


async def unfit(
    session: AsyncSession,
    desk: Desk,
    row: tables.EventType,
    before: tuple[FieldDefinition, ...],
    shape: Shape,
    done: Edited,
) -> list[Problem]:
    """What rules of the type would not fit its fields any more, told where the edit says."""
    after = tuple(shape.fields.values())
    if _as_rules_see(after) == _as_rules_see(before):
        return []
    guards = [
        f"The guard rule {name} would not fit any more."
        for name, expression in await _expressions(session, row.id)
        if fits(expression, before, desk) and not fits(expression, after, desk)
    ]
    names = {field.name for field in after}
    duplication = [
        f"The duplication rule {rule.name} names {', '.join(missing)}."
        for rule in await _duplication_rules(session, row.id)
        if (missing := _missing(fields_of(rule.fingerprint), names))
    ]
    told = dict.fromkeys([*guards, *duplication])
    place = done.otherwise or ("id",)
    return [Problem(UserErrorCode.IN_USE, message, place) for message in told]


def _as_rules_see(fields: Iterable[FieldDefinition]) -> list[tuple[object, ...]]:
    return [(field.name, field.kind, field.options) for field in fields]


def _missing(named: Iterable[str], there: set[str]) -> list[str]:
    return [name for name in named if name not in there]


async def _expressions(session: AsyncSession, event_type_id: UUID) -> list[tuple[str, str]]:
    """Name and expression of what rules say, in force or as a draft, unless they are RETIRED."""
    rule = tables.GuardRule
    own = select(rule).where(
        col(rule.event_type_id) == event_type_id, col(rule.state) != GuardRuleState.RETIRED
    )
    drafts = [(row.name, row.expression) for row in await session.scalars(own)]
    return drafts + [
        (each.rule.name, each.version.expression)
        for each in await in_force(session, [event_type_id])
        if each.rule.event_type_id == event_type_id
    ]


async def _duplication_rules(
    session: AsyncSession, event_type_id: UUID
) -> list[tables.DuplicationRule]:
    rule = tables.DuplicationRule
    return list(await session.scalars(select(rule).where(col(rule.event_type_id) == event_type_id)))
