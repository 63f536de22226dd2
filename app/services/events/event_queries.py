"""Reads events: one event, a page of a filtered list, and the number of matching events."""

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
from app.domain.events.severity import Severity
from app.services.shared.listings import ListPage, fetch_list_page
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import condition_templates, event_conditions, pages, projection
from app.store.reading.projection import DriverRow, Projection


class EventOrderField(Enum):
    OCCURRED_AT = "OCCURRED_AT"
    RECORDED_AT = "RECORDED_AT"
    LAST_OCCURRED_AT = "LAST_OCCURRED_AT"
    SEVERITY = "SEVERITY"


_ORDER_COLUMNS: dict[EventOrderField, Any] = {
    EventOrderField.OCCURRED_AT: tables.Event.occurred_at,
    EventOrderField.RECORDED_AT: tables.Event.recorded_at,
    EventOrderField.LAST_OCCURRED_AT: tables.Event.latest_occurrence,
    EventOrderField.SEVERITY: tables.Event.severity_rank,
}
ORDER_COLUMN_NAMES = (*(column.key for column in _ORDER_COLUMNS.values()), "id")


@cache
def event_order(field: EventOrderField, descending: bool) -> pages.Order[tables.Event]:
    """Orders by a time or by severity, then by ID."""
    column = _ORDER_COLUMNS[field]
    is_rank = field is EventOrderField.SEVERITY
    return pages.Order(
        name=f"events {field.value} {'DESC' if descending else 'ASC'}",
        columns=(col(column), col(tables.Event.id)),
        descending=descending,
        row_key=lambda row: (getattr(row, column.key), row.id),
        key_to_json=lambda key: [key[0] if is_rank else key[0].isoformat(), str(key[1])],
        key_from_json=lambda parts: (
            _parse_rank(parts[0]) if is_rank else datetime.fromisoformat(parts[0]).astimezone(UTC),
            UUID(parts[1]),
        ),
    )


def _parse_rank(value: Any) -> int:
    """Returns the rank of a severity. Raises ValueError if it is anything else."""
    if type(value) is not int or value not in {severity.rank for severity in Severity}:
        raise ValueError(value)
    return value


@dataclass(frozen=True)
class EventPageRequest:
    """Order and position of a page of the events that all filters select."""

    filters: tuple[EventFilter, ...]
    order: pages.Order[tables.Event]
    request: pages.PageRequest


@dataclass(frozen=True)
class SourceIdentity:
    """ID that the producer gave to an event, unique within its source."""

    source: str
    source_id: str


async def fetch_event(database: Database, caller: Caller, event_id: UUID) -> tables.Event | None:
    async with database.read(caller.organization_id) as session:
        statement = select(tables.Event).where(col(tables.Event.id) == event_id)
        return (await session.scalars(statement)).one_or_none()


async def fetch_events(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, tables.Event]:
    async with database.read(caller.organization_id) as session:
        statement = select(tables.Event).where(col(tables.Event.id).in_(ids))
        return {row.id: row for row in await session.scalars(statement)}


async def fetch_event_by_source(
    database: Database, caller: Caller, source: str, source_id: str
) -> tables.Event | None:
    async with database.read(caller.organization_id) as session:
        conditions = (col(tables.Event.source) == source, col(tables.Event.source_id) == source_id)
        # A flagged duplicate has no receipt of its own: at most one event matches.
        statement = select(tables.Event).where(*conditions).order_by(col(tables.Event.id)).limit(1)
        return (await session.scalars(statement)).one_or_none()


async def fetch_page(
    database: Database,
    caller: Caller,
    filters: Sequence[EventFilter],
    order: pages.Order[tables.Event],
    request: pages.PageRequest,
) -> pages.Page[tables.Event]:
    async with database.read(caller.organization_id) as session:
        statement = select(tables.Event).where(*_all_conditions(filters, caller))
        return await pages.fetch_page(session, statement, order, request, caller.organization_id)


async def count_events(database: Database, caller: Caller, filters: Sequence[EventFilter]) -> int:
    async with database.read(caller.organization_id) as session:
        statement = (
            select(func.count()).select_from(tables.Event).where(*_all_conditions(filters, caller))
        )
        return (await session.scalars(statement)).one()


def _all_conditions(
    filters: Sequence[EventFilter], caller: Caller
) -> list[event_conditions.Condition]:
    organization_id = caller.organization_id
    return [
        condition
        for each in filters
        for condition in event_conditions.build_conditions(each, organization_id)
    ]


async def select_event(
    database: Database, caller: Caller, identity: UUID | SourceIdentity, columns: Projection
) -> DriverRow | None:
    """Returns the requested columns of the event with this ID or source identity."""
    if isinstance(identity, UUID):
        condition = condition_templates.column_equals(tables.Event.id, identity)
    else:
        filter = EventFilter(source=identity.source, source_ids=(identity.source_id,))
        condition = condition_templates.match_filters([filter], caller.organization_id)
    return await projection.fetch_row(database, caller.organization_id, columns, condition)


async def select_page(
    database: Database,
    caller: Caller,
    page: EventPageRequest,
    columns: Projection,
    counts: Sequence[str],
) -> ListPage:
    template = condition_templates.match_filters(page.filters, caller.organization_id)
    return await fetch_list_page(
        database, caller, columns, template, page.order, page.request, counts
    )
