"""Events, read: one, a page of those that a filter selects, their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.services.shared.listings import Listing, listing
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import pages, projection, templates, where
from app.store.reading.projection import Row, Selection


class EventOrderField(Enum):
    OCCURRED_AT = "OCCURRED_AT"
    RECORDED_AT = "RECORDED_AT"


@cache
def order(field: EventOrderField, descending: bool) -> pages.Order[tables.Event]:
    """By an instant, and by id where instants are equal."""
    column: Any = getattr(tables.Event, field.value.lower())
    return pages.Order(
        name=f"events {field.value} {'DESC' if descending else 'ASC'}",
        columns=(col(column), col(tables.Event.id)),
        descending=descending,
        key=lambda row: (getattr(row, column.key), row.id),
        plain=lambda key: [key[0].isoformat(), str(key[1])],
        read=lambda parts: (datetime.fromisoformat(parts[0]).astimezone(UTC), UUID(parts[1])),
    )


@dataclass(frozen=True)
class EventPage:
    """Which part of which list of events is meant: of those that all the filters select."""

    filters: tuple[EventFilter, ...]
    order: pages.Order[tables.Event]
    request: pages.PageRequest


@dataclass(frozen=True)
class Reported:
    """A producer's own name for an event."""

    source: str
    source_id: str


async def find(database: Database, caller: Caller, event_id: UUID) -> tables.Event | None:
    async with database.read(caller.organization_id) as session:
        statement = select(tables.Event).where(col(tables.Event.id) == event_id)
        return (await session.scalars(statement)).one_or_none()


async def by_ids(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, tables.Event]:
    async with database.read(caller.organization_id) as session:
        statement = select(tables.Event).where(col(tables.Event.id).in_(ids))
        return {row.id: row for row in await session.scalars(statement)}


async def find_by_source(
    database: Database, caller: Caller, source: str, source_id: str
) -> tables.Event | None:
    async with database.read(caller.organization_id) as session:
        named = (col(tables.Event.source) == source, col(tables.Event.source_id) == source_id)
        # A flagged duplicate shares nothing with its first: at most one has the name.
        statement = select(tables.Event).where(*named).order_by(col(tables.Event.id)).limit(1)
        return (await session.scalars(statement)).one_or_none()


async def page(
    database: Database,
    caller: Caller,
    filters: Sequence[EventFilter],
    by: pages.Order[tables.Event],
    request: pages.PageRequest,
) -> pages.Page[tables.Event]:
    async with database.read(caller.organization_id) as session:
        statement = select(tables.Event).where(*_all(filters, caller))
        return await pages.fetch(session, statement, by, request, caller.organization_id)


async def count(database: Database, caller: Caller, filters: Sequence[EventFilter]) -> int:
    async with database.read(caller.organization_id) as session:
        statement = select(func.count()).select_from(tables.Event).where(*_all(filters, caller))
        return (await session.scalars(statement)).one()


def _all(filters: Sequence[EventFilter], caller: Caller) -> list[where.Condition]:
    own = caller.organization_id
    return [condition for each in filters for condition in where.events(each, own)]


async def select_one(
    database: Database, caller: Caller, wanted: UUID | Reported, columns: Selection
) -> Row | None:
    """The event with this id, or this name of its producer's, by the columns asked for."""
    if isinstance(wanted, UUID):
        one = templates.comparing(tables.Event.id, wanted)
    else:
        named = EventFilter(source=wanted.source, source_ids=(wanted.source_id,))
        one = templates.events([named], caller.organization_id)
    return await projection.one(database, caller.organization_id, columns, one)


async def select_page(
    database: Database, caller: Caller, wanted: EventPage, columns: Selection, counts: Sequence[str]
) -> Listing:
    template = templates.events(wanted.filters, caller.organization_id)
    return await listing(database, caller, columns, template, wanted.order, wanted.request, counts)
