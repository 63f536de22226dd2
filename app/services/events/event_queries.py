"""Reads events: one event, a page of a filtered list, and the number of matching events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any
from uuid import UUID

from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.domain.events.severity import Severity
from app.domain.events.state import SourceIdentity
from app.services.definitions.event_types import check_filter_fields
from app.services.shared.readers import ListQuery, ListReader, LookupReader
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import condition_templates, pages


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
def event_order(field: EventOrderField, descending: bool) -> pages.Order:
    """Orders by a time or by severity, then by ID."""
    column = _ORDER_COLUMNS[field]
    is_rank = field is EventOrderField.SEVERITY
    return pages.Order(
        name=f"events {field.value} {'DESC' if descending else 'ASC'}",
        columns=(col(column), col(tables.Event.id)),
        descending=descending,
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
    order: pages.Order
    page: pages.PageRequest


def _build_list_query(request: EventPageRequest, organization_id: UUID) -> ListQuery:
    template = condition_templates.match_filters(request.filters, organization_id)
    return ListQuery(template, request.order, request.page)


def _match_key(
    key: UUID | SourceIdentity, _organization_id: UUID
) -> condition_templates.ConditionTemplate:
    if isinstance(key, UUID):
        return condition_templates.column_equals(tables.Event.id, key)
    return condition_templates.reported_as(key)


async def _check_request(database: Database, caller: Caller, request: EventPageRequest) -> None:
    await check_filter_fields(database, caller, request.filters)


EVENT_LIST = ListReader(tables.Event, _build_list_query, ORDER_COLUMN_NAMES, _check_request)
# The key is the ID, or what a report of the event was identified by.
EVENT_BY_KEY = LookupReader(tables.Event, _match_key)
