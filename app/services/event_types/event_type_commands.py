"""Event types, shaped: made, changed, moved through their life, deleted.

A change of the definition, its fields or its conditional rules locks the type, is judged on the
whole that it leads to, and makes a version. One that changes nothing makes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.event_types.conditions import ConditionalRule
from app.domain.event_types.definitions import (
    GENERAL,
    Form,
    TypeDefinition,
    new_type_problems,
    type_problems,
)
from app.domain.event_types.event_type_draft import (
    Edit,
    Shape,
    add_field,
    add_rule,
    gone,
    problems_of,
)
from app.domain.event_types.fields import FieldDefinition
from app.domain.event_types.lifecycle import EventTypeState, transition_problems
from app.domain.intake.intake import Desk
from app.domain.shared.problems import Problem, UserErrorCode
from app.services.definitions.event_types import Part, find_part, parts
from app.services.definitions.rules import held_of
from app.services.event_types.event_type_usage import unfit, uses
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import Database
from app.store.engine.dialect import insert_new, stop


@dataclass(frozen=True)
class Saved:
    """An event type as it lies after a mutation, or why nothing was changed."""

    event_type: tables.EventType | None = None
    problems: tuple[Problem, ...] = ()
    shape: Shape | None = None


@dataclass(frozen=True)
class Deleted:
    """An event type as it was, with its fields and rules, or why it is still there."""

    event_type: tables.EventType | None = None
    fields: Sequence[tables.EventField] = ()
    rules: Sequence[tables.ConditionalRule] = ()
    guard_rules: Sequence[tables.GuardRule] = ()
    duplication_rules: Sequence[tables.DuplicationRule] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def form(self) -> Form:
        """Its latest version, which is gone with it."""
        return Form(
            tuple(each.to_domain() for each in self.fields),
            tuple(each.to_domain() for each in self.rules),
        )


async def create_event_type(database: Database, desk: Desk, definition: TypeDefinition) -> Saved:
    if problems := new_type_problems(definition, desk.limits):
        return Saved(problems=tuple(problems))
    organization_id = desk.reporter.organization_id
    row = {
        "id": uuid7(),
        "organization_id": organization_id,
        "state": definition.state,
        "version": 1,
        "created_at": desk.now,
        "updated_at": desk.now,
        **_columns(definition),
    }
    shape = Shape(
        definition,
        {uuid7(): each for each in definition.fields},
        {uuid7(): each for each in definition.rules},
    )
    async with database.write(organization_id) as session:
        new = insert_new(session, tables.EventType).returning(tables.EventType)
        event_type = (await session.scalars(new, [row])).one_or_none()
        if event_type is None:
            return Saved(problems=(_taken(definition.type_name),))
        await _write_parts(session, event_type, shape)
        await _write_version(session, desk, event_type, definition, "CREATED")
    return Saved(event_type)


async def change(
    database: Database,
    desk: Desk,
    event_type_id: UUID,
    edit: Edit,
    *named: str,
    if_version: int | None = None,
) -> Saved:
    """Edits a definition. Nothing is written where the edit, or what it leads to, has a problem.

    `named`: the argument that names the event type.
    """
    async with database.write(desk.reporter.organization_id) as session:
        row = await _locked(session, desk, event_type_id)
        if row is None:
            return Saved(problems=(gone("event type", event_type_id, *named),))
        if if_version not in (None, row.version):
            message = f"The event type is at version {row.version}, not {if_version}."
            return Saved(
                problems=(Problem(UserErrorCode.CONFLICT, message, ("input", "ifVersion")),)
            )
        shape = await _shape(session, row)
        before = shape.whole()
        done = edit(shape)
        problems = problems_of(before, shape, done, desk.limits)
        if problems := [*problems, *await unfit(session, desk, row, before.fields, shape, done)]:
            return Saved(problems=tuple(problems))
        after = shape.whole()
        if after.type_name != row.type and (problem := await _renamed(session, row, after)):
            return Saved(problems=(problem,))
        if after != before:
            row.version += 1
            row.updated_at = desk.now
            await _write_parts(session, row, shape)
            await _write_version(session, desk, row, after, "UPDATED")
        return Saved(row, shape=shape)


async def add_event_field(
    database: Database, desk: Desk, event_type_id: UUID, field: FieldDefinition
) -> Saved:
    edit = add_field(uuid7(), field)
    return await change(database, desk, event_type_id, edit, "eventTypeId")


async def add_conditional_rule(
    database: Database, desk: Desk, event_type_id: UUID, rule: ConditionalRule
) -> Saved:
    """Its shape has the new rule last."""
    edit = add_rule(uuid7(), rule)
    return await change(database, desk, event_type_id, edit, "eventTypeId")


async def change_part(
    database: Database, desk: Desk, table: type[Part], part_id: UUID, edit: Edit, *named: str
) -> Saved:
    """Edits the definition that a field or a conditional rule belongs to."""
    part = await find_part(database, desk.reporter, table, part_id)
    if part is None:
        noun = str(table.__tablename__).replace("_", " ")
        return Saved(problems=(gone(noun, part_id, *named),))
    return await change(database, desk, part.event_type_id, edit, *named)


async def transition_event_type(
    database: Database,
    desk: Desk,
    event_type_id: UUID,
    to: EventTypeState,
    sunset_at: datetime | None,
) -> Saved:
    """Moves a type through its life. To stay changes nothing, but for another `sunset_at`."""
    async with database.write(desk.reporter.organization_id) as session:
        row = await _locked(session, desk, event_type_id)
        if row is None:
            return Saved(problems=(gone("event type", event_type_id, "id"),))
        problems = transition_problems(row.state, to, sunset_at)
        if not problems and row.state is EventTypeState.DRAFT and to is EventTypeState.PUBLISHED:
            definition = (await _shape(session, row)).whole()
            problems = [each.under("id") for each in type_problems(definition, desk.limits)]
        if problems:
            return Saved(problems=tuple(problems))
        if row.state is to and sunset_at in (None, row.sunset_at):
            return Saved(row)
        row.state, row.sunset_at, row.updated_at = to, sunset_at, desk.now
        await changes.append(session, [_entry(desk, row, "TRANSITIONED")])
        return Saved(row)


async def delete_event_type(database: Database, desk: Desk, event_type_id: UUID) -> Deleted:
    async with database.write(desk.reporter.organization_id) as session:
        row = await _locked(session, desk, event_type_id)
        if row is None:
            return Deleted(problems=(gone("event type", event_type_id, "id"),))
        if used := await uses(session, row):
            message = f"{used:,} events have the type {row.type}: archive it."
            return Deleted(problems=(Problem(UserErrorCode.IN_USE, message, ("id",)),))
        fields, rules = await _parts(session, event_type_id)
        guards = await held_of(session, tables.GuardRule, event_type_id)
        duplication = await held_of(session, tables.DuplicationRule, event_type_id)
        await changes.append(session, [_entry(desk, row, "DELETED")])
        await session.delete(row)
        return Deleted(row, fields, rules, guards, duplication)


async def _locked(
    session: AsyncSession, desk: Desk, event_type_id: UUID
) -> tables.EventType | None:
    """The event type, which nobody else changes or uses until the end of the transaction."""
    table = tables.EventType
    await stop(session, desk.reporter.organization_id)
    statement = select(table).where(col(table.id) == event_type_id).with_for_update()
    return (await session.scalars(statement)).one_or_none()


async def _renamed(
    session: AsyncSession, row: tables.EventType, definition: TypeDefinition
) -> Problem | None:
    """Gives the type its new name; the reason, where it cannot have it."""
    if used := await uses(session, row):
        message = f"{used:,} events have the type {row.type}, which is fixed by that."
        return Problem(UserErrorCode.IN_USE, message, ("input", "type"))
    try:
        async with session.begin_nested():
            row.type = definition.type_name
            await session.flush()
    except IntegrityError:
        return _taken(definition.type_name).under("input")
    return None


async def _shape(session: AsyncSession, row: tables.EventType) -> Shape:
    fields, rules = await _parts(session, row.id)
    definition = TypeDefinition(row.name, row.type, row.description, row.category, row.state)
    return Shape(
        definition,
        {each.id: each.to_domain() for each in fields},
        {each.id: each.to_domain() for each in rules},
    )


async def _parts(
    session: AsyncSession, event_type_id: UUID
) -> tuple[list[tables.EventField], list[tables.ConditionalRule]]:
    fields = await parts(session, tables.EventField, [event_type_id])
    rules = await parts(session, tables.ConditionalRule, [event_type_id])
    return fields[event_type_id], rules[event_type_id]


async def _write_parts(session: AsyncSession, row: tables.EventType, shape: Shape) -> None:
    fields, rules = await _parts(session, row.id)
    owner: dict[str, Any] = {"organization_id": row.organization_id, "event_type_id": row.id}
    field_rows = {row.id: row for row in fields}
    for position, (field_id, field) in enumerate(shape.fields.items()):
        field_row = field_rows.pop(field_id, None) or tables.EventField(id=field_id, **owner)
        field_row.take(field, position)
        session.add(field_row)
    rule_rows = {row.id: row for row in rules}
    for rule_id, rule in shape.rules.items():
        rule_row = rule_rows.pop(rule_id, None) or tables.ConditionalRule(id=rule_id, **owner)
        rule_row.take(rule)
        session.add(rule_row)
    for part in (*field_rows.values(), *rule_rows.values()):
        await session.delete(part)
    await session.flush()


async def _write_version(
    session: AsyncSession,
    desk: Desk,
    row: tables.EventType,
    definition: TypeDefinition,
    kind: str,
) -> None:
    for name, value in _columns(definition).items():
        setattr(row, name, value)
    await session.flush()
    version = {
        "organization_id": row.organization_id,
        "event_type_id": row.id,
        "number": row.version,
        "form": definition.form.to_json(),
        "created_at": desk.now,
    }
    await session.execute(insert(tables.EventTypeVersion), [version])
    await changes.append(session, [_entry(desk, row, kind)])


def _entry(desk: Desk, row: tables.EventType, kind: str) -> changes.NewEntry:
    told = {"type": row.type, "name": row.name, "state": row.state.value, "version": row.version}
    return changes.NewEntry(
        changes.EVENT_TYPE, row.id, row.organization_id, desk.reporter.name, desk.now, told, kind
    )


def _columns(definition: TypeDefinition) -> dict[str, Any]:
    return {
        "type": definition.type_name,
        "name": definition.name,
        "description": definition.description,
        "category": definition.category or GENERAL,
        "words": definition.words,
    }


def _taken(type_name: str) -> Problem:
    message = f"There is an event type {type_name} already."
    return Problem(UserErrorCode.ALREADY_EXISTS, message, ("type",))
