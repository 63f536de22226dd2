"""What guard rules and duplication rules have in common: an event type, or all of them."""

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
from app.domain.event_types.event_type_draft import gone
from app.domain.event_types.fields import FieldDefinition
from app.domain.intake.intake import Desk
from app.domain.shared.problems import Problem, UserErrorCode
from app.services.definitions.event_types import parts
from app.services.shared.listings import Listing, listing
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import Database
from app.store.engine.dialect import stop
from app.store.reading import pages
from app.store.reading.projection import Selection
from app.store.reading.templates import Template

Rule = TypeVar("Rule", tables.GuardRule, tables.DuplicationRule)


@dataclass(frozen=True)
class Scope:
    """The event type that a rule is for, with its fields; neither for one of every type."""

    event_type: tables.EventType | None = None
    fields: tuple[FieldDefinition, ...] | None = None

    @property
    def names(self) -> list[str] | None:
        return None if self.fields is None else [field.name for field in self.fields]


@cache
def by_creation(table: type[Rule]) -> pages.Order[Rule]:
    return pages.Order(
        name=str(table.__tablename__),
        columns=(col(table.id),),
        descending=False,
        key=lambda row: (row.id,),
        plain=lambda key: [str(key[0])],
        read=lambda parts: (UUID(parts[0]),),
    )


@dataclass(frozen=True)
class RulePage:
    """Which part of a list of rules is meant. `state` is a guard rule's."""

    event_type_id: UUID | None
    request: pages.PageRequest
    state: Enum | None = None


async def select_page(
    database: Database,
    caller: Caller,
    table: Any,
    wanted: RulePage,
    columns: Selection,
    counts: Any,
) -> Listing:
    def conditions() -> list[ColumnElement[bool]]:
        own = of_type(table, wanted.event_type_id)
        return own if wanted.state is None else [*own, col(table.state) == wanted.state]

    template = Template((wanted.event_type_id, wanted.state), {}, conditions)
    order = by_creation(table)
    return await listing(database, caller, columns, template, order, wanted.request, counts)


async def hold_scope(
    session: AsyncSession, desk: Desk, event_type_id: UUID | None
) -> Scope | Problem:
    """Until the end of the transaction nobody else makes rules for it, or changes its fields."""
    await stop(session, desk.reporter.organization_id)
    if event_type_id is None:
        own = col(tables.Organization.id) == desk.reporter.organization_id
        # Reporters hold the row as well, by their foreign keys: those do not wait.
        await session.execute(
            select(tables.Organization).where(own).with_for_update(key_share=True)
        )
        return Scope()
    table = tables.EventType
    held = select(table).where(col(table.id) == event_type_id).with_for_update(key_share=True)
    event_type = (await session.scalars(held)).one_or_none()
    if event_type is None:
        return gone("event type", event_type_id, "eventTypeId")
    fields = await parts(session, tables.EventField, [event_type_id])
    return Scope(event_type, tuple(field.to_domain() for field in fields[event_type_id]))


async def full(
    session: AsyncSession, desk: Desk, table: type[Rule], event_type_id: UUID | None
) -> list[Problem]:
    """Whether there are as many rules of a kind as an event type may have."""
    of_scope = select(func.count()).select_from(table).where(_of(table, event_type_id))
    most = desk.limits.rules_per_type
    if (await session.scalars(of_scope)).one() < most:
        return []
    noun = str(table.__tablename__).replace("_", " ")
    owner = "Every type" if event_type_id is None else "An event type"
    return [Problem(UserErrorCode.LIMIT_REACHED, f"{owner} has at most {most} {noun}s.")]


async def of_types(
    database: Database, caller: Caller, table: type[Rule], event_type_ids: Sequence[UUID]
) -> dict[UUID, list[Rule]]:
    """The rules of each of these event types alone, in order of creation."""
    found: dict[UUID, list[Rule]] = {each: [] for each in event_type_ids}
    own = col(table.event_type_id).in_(event_type_ids)
    async with database.read(caller.organization_id) as session:
        for row in await session.scalars(select(table).where(own).order_by(col(table.id))):
            if row.event_type_id is not None:
                found[row.event_type_id].append(row)
    return found


async def held_of(session: AsyncSession, table: type[Rule], event_type_id: UUID) -> list[Rule]:
    """The rules of an event type, which nobody changes or applies until the end."""
    own = select(table).where(col(table.event_type_id) == event_type_id)
    return list(await session.scalars(own.order_by(col(table.id)).with_for_update()))


def of_type(table: type[Rule], event_type_id: UUID | None) -> list[ColumnElement[bool]]:
    """Conditions on a list of rules: those of one event type, or all."""
    return [] if event_type_id is None else [col(table.event_type_id) == event_type_id]


async def hold(
    session: AsyncSession, desk: Desk, table: type[Rule], rule_id: UUID
) -> tuple[Rule, Scope] | Problem:
    """A rule that nobody else changes or applies until the end of the transaction.

    Its event type is locked first, as whoever deletes that locks it before its rules.
    """
    noun = str(table.__tablename__).replace("_", " ")
    missing = gone(noun, rule_id, "id")
    wanted = select(table).where(col(table.id) == rule_id)
    seen = (await session.scalars(wanted)).one_or_none()
    if seen is None:
        return missing
    scope = await hold_scope(session, desk, seen.event_type_id)
    locked = wanted.with_for_update().execution_options(populate_existing=True)
    row = (await session.scalars(locked)).one_or_none()
    if row is None or isinstance(scope, Problem):
        return missing
    return row, scope


def entry(desk: Desk, subject: str, row: Any, kind: str, **told: Any) -> changes.NewEntry:
    return changes.NewEntry(
        subject, row.id, row.organization_id, desk.reporter.name, desk.now, told, kind
    )


def _of(table: type[Rule], event_type_id: UUID | None) -> Any:
    of_type = col(table.event_type_id)
    return of_type.is_(None) if event_type_id is None else of_type == event_type_id
