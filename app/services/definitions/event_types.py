"""Event types, read: as people see them, and in the form in which a verdict reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.event_types.definitions import Form
from app.domain.event_types.fields import FieldDefinition
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.filters import whole_words
from app.domain.intake.intake import TypeSpec
from app.services.shared.listings import Listing, listing
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import pages, projection, templates
from app.store.reading.projection import Row, Selection
from app.store.tables.columns import Includes

Part = TypeVar("Part", tables.EventField, tables.ConditionalRule)
Version = tuple[UUID, int]
KNOWN_FORMS = 1024

BY_CREATION: pages.Order[tables.EventType] = pages.Order(
    name="event-types",
    columns=(col(tables.EventType.id),),
    descending=False,
    key=lambda row: (row.id,),
    plain=lambda key: [str(key[0])],
    read=lambda parts: (UUID(parts[0]),),
)


@dataclass(frozen=True)
class TypeFilter:
    """All that is said must hold. Each word of `search` begins a word of what the type says."""

    states: tuple[EventTypeState, ...] | None = None
    category: str | None = None
    search: str | None = None


async def find(
    database: Database, caller: Caller, *, id: UUID | None = None, type: str | None = None
) -> tables.EventType | None:
    wanted = col(tables.EventType.id) == id if id else col(tables.EventType.type) == type
    async with database.read(caller.organization_id) as session:
        return (await session.scalars(select(tables.EventType).where(wanted))).one_or_none()


async def find_part(
    database: Database, caller: Caller, table: type[Part], part_id: UUID
) -> Part | None:
    """A field or a conditional rule."""
    async with database.read(caller.organization_id) as session:
        return (await session.scalars(select(table).where(col(table.id) == part_id))).one_or_none()


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
        return await parts(session, tables.EventField, ids)


async def rules_of(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, list[tables.ConditionalRule]]:
    """The conditional rules of several event types, each in order of creation."""
    async with database.read(caller.organization_id) as session:
        return await parts(session, tables.ConditionalRule, ids)


async def parts(
    session: AsyncSession, table: type[Part], ids: Sequence[UUID]
) -> dict[UUID, list[Part]]:
    """The fields of event types in form order, or their rules in order of creation."""
    found: dict[UUID, list[Part]] = {each: [] for each in ids}
    if ids:
        order: Any = table.position if issubclass(table, tables.EventField) else table.id
        statement = select(table).where(col(table.event_type_id).in_(ids)).order_by(col(order))
        for part in await session.scalars(statement):
            found[part.event_type_id].append(part)
    return found


async def page(
    database: Database, caller: Caller, filter: TypeFilter, request: pages.PageRequest
) -> pages.Page[tables.EventType]:
    async with database.read(caller.organization_id) as session:
        statement = select(tables.EventType).where(*_conditions(filter))
        return await pages.fetch(session, statement, BY_CREATION, request, caller.organization_id)


async def count(database: Database, caller: Caller, filter: TypeFilter) -> int:
    async with database.read(caller.organization_id) as session:
        statement = select(func.count()).select_from(tables.EventType).where(*_conditions(filter))
        return (await session.scalars(statement)).one()


def _conditions(filter: TypeFilter) -> list[ColumnElement[bool]]:
    table = tables.EventType
    conditions: list[ColumnElement[bool]] = []
    if filter.states is not None:
        conditions.append(col(table.state).in_(filter.states))
    if filter.category is not None:
        conditions.append(col(table.category) == filter.category)
    beginnings = () if filter.search is None else sorted(whole_words(filter.search))
    conditions += [Includes(col(table.words), f" {beginning}") for beginning in beginnings]
    return conditions


async def forms(
    database: Database, caller: Caller, versions: Sequence[Version]
) -> dict[Version, Form]:
    """What events held at these versions of their types; those there are none of are missing."""
    async with database.read(caller.organization_id) as session:
        return await forms_in(session, versions)


async def forms_in(session: AsyncSession, versions: Iterable[Version]) -> dict[Version, Form]:
    wanted = set(versions)
    table = tables.EventTypeVersion
    place = tuple_(col(table.event_type_id), col(table.number))
    found = {version: _known_forms[version] for version in wanted & _known_forms.keys()}
    if missing := sorted(wanted - found.keys()):
        rows = await session.scalars(select(table).where(place.in_(missing)))
        read = {(row.event_type_id, row.number): Form.from_json(row.form) for row in rows}
        if len(_known_forms) + len(read) > KNOWN_FORMS:
            _known_forms.clear()
        _known_forms.update(read)
        found |= read
    return found


# A version never changes: what one transaction has read, every later one may use. A transaction
# that makes a version must not read it before it is committed.
_known_forms: dict[Version, Form] = {}


async def specs(session: AsyncSession, ids: Iterable[UUID], types: Iterable[str]) -> list[TypeSpec]:
    """What verdicts ask of the event types with one of these ids or types."""
    table = tables.EventType
    wanted = or_(col(table.id).in_(list(ids)), col(table.type).in_(list(types)))
    found = list(await session.scalars(select(table).where(wanted)))
    known = await forms_in(session, [(row.id, row.version) for row in found])
    return [spec_of(row, row.version, known[row.id, row.version]) for row in found]


async def spec_at(
    session: AsyncSession, event_type_id: UUID, version: int
) -> tuple[TypeSpec, tuple[FieldDefinition, ...]]:
    """The type as the event was checked against it, and its fields now: those stay."""
    row = await session.get_one(
        tables.EventType, event_type_id, with_for_update={"read": True, "key_share": True}
    )
    own, current = (event_type_id, version), (event_type_id, row.version)
    known = await forms_in(session, [own, current])
    return spec_of(row, version, known[own]), known[current].fields


def spec_of(row: tables.EventType, version: int, form: Form) -> TypeSpec:
    return TypeSpec(
        id=row.id,
        type=row.type,
        name=row.name,
        category=row.category,
        state=row.state,
        version=version,
        fields=form.fields,
        rules=form.rules,
        sunset_at=row.sunset_at,
    )


@dataclass(frozen=True)
class TypePage:
    """Which part of the list of event types is meant."""

    filter: TypeFilter
    request: pages.PageRequest
    order: pages.Order[tables.EventType] = BY_CREATION


async def select_one(
    database: Database, caller: Caller, wanted: Any, columns: Selection
) -> Row | None:
    """The type with this id, or this type, by the columns asked for."""
    table = tables.EventType
    column = table.id if isinstance(wanted, UUID) else table.type
    own = templates.comparing(column, wanted)
    return await projection.one(database, caller.organization_id, columns, own)


async def select_page(
    database: Database, caller: Caller, wanted: TypePage, columns: Selection, counts: Sequence[str]
) -> Listing:
    by_value = templates.Template(repr(wanted.filter), {}, lambda: _conditions(wanted.filter))
    return await listing(database, caller, columns, by_value, wanted.order, wanted.request, counts)
