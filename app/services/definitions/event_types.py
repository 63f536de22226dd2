"""Reads event types: rows for clients, and snapshots for the validation of events."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from cachetools import LRUCache
from sqlalchemy import ColumnElement, and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.event_types.definitions import VersionDefinition
from app.domain.event_types.fields import AdditionalFields
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.filters import EventFilter, RequiredType, TypedField, find_typed_fields
from app.domain.events.words import extract_prefixes
from app.domain.intake.intake import EventTypeSnapshot
from app.domain.shared.messages import quote_names, quote_value
from app.domain.shared.problems import bad_user_input
from app.services.shared.readers import ListQuery, ListReader, LookupReader, lookup_by_id
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import condition_templates, pages
from app.store.tables.columns import ContainsText

TypePart = TypeVar("TypePart", tables.EventField, tables.ConditionalRule)
Version = tuple[UUID, int]
MAX_CACHED_VERSIONS = 1024

BY_CREATION = pages.creation_order("event-types", col(tables.EventType.id))


@dataclass(frozen=True)
class EventTypeFilter:
    """Conditions that must all hold. Each word of `search` is a prefix of a word of the type."""

    states: tuple[EventTypeState, ...] | None = None
    category: str | None = None
    search: str | None = None


async def fetch_fields(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, list[tables.EventField]]:
    """Returns the fields of several event types, in form order."""
    async with database.read(caller.organization_id) as session:
        return await load_parts(session, tables.EventField, ids)


async def fetch_conditional_rules(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, list[tables.ConditionalRule]]:
    """Returns the conditional rules of several event types, in order of creation."""
    async with database.read(caller.organization_id) as session:
        return await load_parts(session, tables.ConditionalRule, ids)


async def load_parts(
    session: AsyncSession, table: type[TypePart], ids: Sequence[UUID]
) -> dict[UUID, list[TypePart]]:
    """Returns fields in form order, or conditional rules in order of creation."""
    parts: dict[UUID, list[TypePart]] = {each: [] for each in ids}
    if ids:
        order: Any = table.position if issubclass(table, tables.EventField) else table.id
        statement = select(table).where(col(table.event_type_id).in_(ids)).order_by(col(order))
        for part in await session.scalars(statement):
            parts[part.event_type_id].append(part)
    return parts


async def check_filter_fields(
    database: Database, caller: Caller, filters: Sequence[EventFilter]
) -> None:
    """Raises RequestError BAD_USER_INPUT if no event of a required type can have a field."""
    await check_typed_fields(database, caller, find_typed_fields(filters))


async def check_typed_fields(
    database: Database, caller: Caller, typed_fields: Sequence[TypedField]
) -> None:
    """Raises RequestError BAD_USER_INPUT if no event of the required types can have a field."""
    if not typed_fields:
        return
    table, required = tables.EventType, {each.event_type for each in typed_fields}
    ids = [each for each in required if isinstance(each, UUID)]
    names = {name for each in required if not isinstance(each, UUID) for name in each}
    async with database.read(caller.organization_id) as session:
        of_types = or_(col(table.id).in_(ids), col(table.type).in_(names))
        rows = list(await session.scalars(select(table).where(of_types)))
        fields = await load_parts(session, tables.EventField, [row.id for row in rows])
        by_key: dict[UUID | str, tables.EventType] = {row.type: row for row in rows}
        by_key |= {row.id: row for row in rows}
        for typed_field in typed_fields:
            required_type = typed_field.event_type
            keys = (required_type,) if isinstance(required_type, UUID) else required_type
            event_types = [by_key[key] for key in keys if key in by_key]
            if len(event_types) < len(keys):
                continue  # free-form events can have any field
            for event_type in event_types:
                if await _had_field(session, event_type, fields[event_type.id], typed_field.field):
                    break
            else:
                if not await _has_free_form_events(session, required_type):
                    raise bad_user_input(
                        _unknown_field_message(typed_field, event_types), *typed_field.path
                    )


def _unknown_field_message(typed_field: TypedField, event_types: Sequence[tables.EventType]) -> str:
    argument = "eventTypeId" if isinstance(typed_field.event_type, UUID) else "types"
    noun = "event type" if len(event_types) == 1 else "event types"
    names = quote_names([event_type.type for event_type in event_types])
    return (
        f"Unknown field {quote_value(typed_field.field)}. No version of {noun} {names} has such a "
        f"field, so no event has it. Correct the name, or remove {argument}."
    )


async def _had_field(
    session: AsyncSession, row: tables.EventType, fields: Sequence[tables.EventField], name: str
) -> bool:
    """Whether a version of the event type has the field, or keeps additional fields."""
    keeps_fields = row.additional_fields is AdditionalFields.KEEP
    if keeps_fields or any(field.name == name for field in fields):
        return True
    table = tables.EventTypeVersion
    of_type = col(table.event_type_id) == row.id
    for form in await session.scalars(select(col(table.form)).where(of_type)):
        version = VersionDefinition.from_json(form)
        if version.additional_fields is AdditionalFields.KEEP or any(
            field.name == name for field in version.fields
        ):
            return True
    return False


async def _has_free_form_events(session: AsyncSession, required_type: RequiredType) -> bool:
    """Whether events of these type names were logged before the types were registered."""
    if isinstance(required_type, UUID):
        return False
    table = tables.Event
    free_form = (
        select(col(table.id))
        .where(col(table.type).in_(required_type), col(table.event_type_id).is_(None))
        .limit(1)
    )
    return (await session.scalars(free_form)).first() is not None


def _conditions(filter: EventTypeFilter) -> list[ColumnElement[bool]]:
    table = tables.EventType
    conditions: list[ColumnElement[bool]] = []
    if filter.states is not None:
        conditions.append(col(table.state).in_(filter.states))
    if filter.category is not None:
        conditions.append(col(table.category) == filter.category)
    prefixes = () if filter.search is None else sorted(extract_prefixes(filter.search))
    conditions += [ContainsText(col(table.words), f" {prefix}") for prefix in prefixes]
    return conditions


async def fetch_version_definitions(
    database: Database, caller: Caller, versions: Sequence[Version]
) -> dict[Version, VersionDefinition]:
    """Returns the definitions of event type versions. Unknown versions are missing."""
    async with database.read(caller.organization_id) as session:
        return await load_version_definitions(session, versions)


VERSIONS_NEWEST_FIRST = pages.number_order(
    "event-type-versions", col(tables.EventTypeVersion.number), descending=True
)


@dataclass(frozen=True)
class VersionPageKey:
    """A page of the versions of an event type, of which `latest` is the newest to be listed."""

    event_type_id: UUID
    latest: int
    request: pages.PageRequest


async def fetch_version_pages(
    database: Database, caller: Caller, keys: Sequence[VersionPageKey]
) -> dict[VersionPageKey, list[tables.EventTypeVersion]]:
    """Returns the versions of each page, newest first, and the version before them if it exists.

    Raises RequestError INVALID_CURSOR.
    """
    table = tables.EventTypeVersion
    newest: dict[VersionPageKey, int] = {}
    for key in keys:
        bounds = pages.decode_page_bounds(
            VERSIONS_NEWEST_FIRST, key.request, caller.organization_id
        )
        newest[key] = max(0, min([key.latest, *(bound.key[0] - 1 for bound in bounds)]))
    # Numbers have no gaps.
    conditions = [
        and_(
            col(table.event_type_id) == key.event_type_id,
            col(table.number).between(number - key.request.size, number),
        )
        for key, number in newest.items()
    ]
    async with database.read(caller.organization_id) as session:
        statement = select(table).where(or_(*conditions)).order_by(col(table.number).desc())
        rows = list(await session.scalars(statement))
    return {
        key: [
            row
            for row in rows
            if row.event_type_id == key.event_type_id
            and number - key.request.size <= row.number <= number
        ]
        for key, number in newest.items()
    }


async def load_version_definitions(
    session: AsyncSession, versions: Iterable[Version]
) -> dict[Version, VersionDefinition]:
    requested = set(versions)
    table = tables.EventTypeVersion
    version_key = tuple_(col(table.event_type_id), col(table.number))
    definitions = {version: version_cache[version] for version in requested & version_cache.keys()}
    if missing := sorted(requested - definitions.keys()):
        rows = await session.scalars(select(table).where(version_key.in_(missing)))
        loaded = {
            (row.event_type_id, row.number): VersionDefinition.from_json(row.form) for row in rows
        }
        version_cache.update(loaded)
        definitions |= loaded
    return definitions


# A version never changes, so the cache stays valid. A transaction that creates a version must not
# load it before the commit.
version_cache: LRUCache[Version, VersionDefinition] = LRUCache(MAX_CACHED_VERSIONS)


async def load_snapshots(
    session: AsyncSession, ids: Iterable[UUID], types: Iterable[str]
) -> list[EventTypeSnapshot]:
    """Returns snapshots of the event types with one of these IDs or type names."""
    table = tables.EventType
    condition = or_(col(table.id).in_(list(ids)), col(table.type).in_(list(types)))
    rows = list(await session.scalars(select(table).where(condition)))
    definitions = await load_version_definitions(session, [(row.id, row.version) for row in rows])
    return [build_snapshot(row, row.version, definitions[row.id, row.version]) for row in rows]


async def load_snapshots_at(
    session: AsyncSession, event_type_id: UUID, versions: Collection[int]
) -> dict[int, EventTypeSnapshot]:
    """Returns the type at those of these versions that exist, and at its latest version.

    The latest version is the last item. Locks the type against changes until the transaction ends.
    """
    row = await session.get_one(
        tables.EventType, event_type_id, with_for_update={"read": True, "key_share": True}
    )
    numbers = sorted({row.version, *(number for number in versions if 0 < number < row.version)})
    keys = [(event_type_id, number) for number in numbers]
    definitions = await load_version_definitions(session, keys)
    return {
        number: build_snapshot(row, number, definitions[key])
        for number, key in zip(numbers, keys, strict=True)
    }


async def find_later_fields(session: AsyncSession, event_type: EventTypeSnapshot) -> dict[str, int]:
    """Returns the fields that later versions added, each with its first version."""
    table = tables.EventField
    statement = select(col(table.name), col(table.added_in_version)).where(
        col(table.event_type_id) == event_type.id,
        col(table.added_in_version) > event_type.version,
    )
    return {row.name: row.added_in_version for row in await session.execute(statement)}


def build_snapshot(
    row: tables.EventType, version: int, definition: VersionDefinition
) -> EventTypeSnapshot:
    return EventTypeSnapshot(
        id=row.id,
        type=row.type,
        name=row.name,
        category=definition.category or row.category,
        state=row.state,
        version=version,
        fields=definition.fields,
        rules=definition.rules,
        additional_fields=definition.additional_fields,
        sunset_at=row.sunset_at,
    )


@dataclass(frozen=True)
class EventTypePageRequest:
    """Filter and position of a page of event types."""

    filter: EventTypeFilter
    page: pages.PageRequest


def _build_list_query(request: EventTypePageRequest, _organization_id: UUID) -> ListQuery:
    template = condition_templates.ConditionTemplate(
        repr(request.filter), {}, lambda: _conditions(request.filter)
    )
    return ListQuery(template, BY_CREATION, request.page)


def _match_key(key: UUID | str, _organization_id: UUID) -> condition_templates.ConditionTemplate:
    column = tables.EventType.id if isinstance(key, UUID) else tables.EventType.type
    return condition_templates.column_equals(column, key)


EVENT_TYPE_LIST = ListReader(tables.EventType, _build_list_query)
# The key is the ID or the type.
EVENT_TYPE_BY_KEY = LookupReader(tables.EventType, _match_key)
FIELD_BY_ID = lookup_by_id(tables.EventField)
CONDITIONAL_RULE_BY_ID = lookup_by_id(tables.ConditionalRule)
