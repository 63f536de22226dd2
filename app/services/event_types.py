"""Event types: their definitions, and the form in which a verdict reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access import Caller
from app.domain.definitions import GENERAL, TypeDefinition, type_problems
from app.domain.fields import FieldDefinition
from app.domain.intake import Desk, TypeSpec
from app.domain.problems import Problem, UserErrorCode
from app.store import changes, pages, tables
from app.store.database import Database
from app.store.dialect import insert_new

BY_CREATION: pages.Order[tables.EventType] = pages.Order(
    name="event-types",
    columns=(col(tables.EventType.id),),
    descending=False,
    key=lambda row: (row.id,),
    plain=lambda key: [str(key[0])],
    read=lambda parts: (UUID(parts[0]),),
)


@dataclass(frozen=True)
class Saved:
    """An event type as it lies after a mutation, or why it is not there."""

    event_type: tables.EventType | None = None
    problems: tuple[Problem, ...] = ()


async def create_event_type(database: Database, desk: Desk, definition: TypeDefinition) -> Saved:
    if problems := type_problems(definition, desk.limits):
        return Saved(problems=tuple(problems))
    organization_id = desk.reporter.organization_id
    table = tables.EventType
    row = {
        "id": uuid7(),
        "organization_id": organization_id,
        "type": definition.type_name,
        "name": definition.name,
        "description": definition.description,
        "category": definition.category or GENERAL,
        "state": definition.state,
        "version": 1,
        "created_at": desk.now,
        "updated_at": desk.now,
    }
    async with database.write(organization_id) as session:
        new = insert_new(session, table).returning(table)
        event_type = (await session.scalars(new, [row])).one_or_none()
        if event_type is None:
            message = f"There is an event type {definition.type_name} already."
            return Saved(problems=(Problem(UserErrorCode.ALREADY_EXISTS, message, ("type",)),))
        session.add_all(_field_rows(event_type, definition.fields))
        told = {"type": event_type.type, "name": event_type.name, "version": event_type.version}
        entry = changes.created(
            changes.EVENT_TYPE, event_type.id, organization_id, desk.reporter.name, desk.now, told
        )
        await changes.append(session, [entry])
    return Saved(event_type)


async def find(
    database: Database, caller: Caller, *, id: UUID | None = None, type: str | None = None
) -> tables.EventType | None:
    wanted = col(tables.EventType.id) == id if id else col(tables.EventType.type) == type
    async with database.read(caller.organization_id) as session:
        return (await session.scalars(select(tables.EventType).where(wanted))).one_or_none()


async def find_field(
    database: Database, caller: Caller, field_id: UUID
) -> tables.EventField | None:
    async with database.read(caller.organization_id) as session:
        wanted = select(tables.EventField).where(col(tables.EventField.id) == field_id)
        return (await session.scalars(wanted)).one_or_none()


async def by_ids(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, tables.EventType]:
    async with database.read(caller.organization_id) as session:
        statement = select(tables.EventType).where(col(tables.EventType.id).in_(ids))
        return {row.id: row for row in await session.scalars(statement)}


async def fields_of(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, list[tables.EventField]]:
    """The fields of several event types, each in form order."""
    async with database.read(caller.organization_id) as session:
        return await _fields(session, ids)


async def page(
    database: Database, caller: Caller, request: pages.PageRequest
) -> pages.Page[tables.EventType]:
    async with database.read(caller.organization_id) as session:
        statement = select(tables.EventType)
        return await pages.fetch(session, statement, BY_CREATION, request, caller.organization_id)


async def count(database: Database, caller: Caller) -> int:
    async with database.read(caller.organization_id) as session:
        statement = select(func.count()).select_from(tables.EventType)
        return (await session.scalars(statement)).one()


async def specs(session: AsyncSession, ids: Iterable[UUID], types: Iterable[str]) -> list[TypeSpec]:
    """What verdicts ask of the event types with one of these ids or types, in two statements."""
    table = tables.EventType
    wanted = or_(col(table.id).in_(list(ids)), col(table.type).in_(list(types)))
    found = list(await session.scalars(select(table).where(wanted)))
    fields = await _fields(session, [row.id for row in found])
    return [
        TypeSpec(
            id=row.id,
            type=row.type,
            name=row.name,
            category=row.category,
            state=row.state,
            version=row.version,
            fields=tuple(field.to_domain() for field in fields[row.id]),
        )
        for row in found
    ]


async def _fields(
    session: AsyncSession, ids: Sequence[UUID]
) -> dict[UUID, list[tables.EventField]]:
    fields: dict[UUID, list[tables.EventField]] = {each: [] for each in ids}
    if ids:
        table = tables.EventField
        statement = (
            select(table).where(col(table.event_type_id).in_(ids)).order_by(col(table.position))
        )
        for field in await session.scalars(statement):
            fields[field.event_type_id].append(field)
    return fields


def _field_rows(
    event_type: tables.EventType, fields: Sequence[FieldDefinition]
) -> list[tables.EventField]:
    return [
        tables.EventField(
            id=uuid7(),
            organization_id=event_type.organization_id,
            event_type_id=event_type.id,
            position=position,
            **_columns(field),
        )
        for position, field in enumerate(fields)
    ]


def _columns(field: FieldDefinition) -> dict[str, Any]:
    columns = {name: getattr(field, name) for name in FieldDefinition.__dataclass_fields__}
    columns["label"] = field.label or field.name
    columns["options"] = None if field.options is None else list(field.options)
    return columns
