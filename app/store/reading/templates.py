"""Filters as conditions with places for their values: SQL is composed once for a form of filter.

What `where` looks into (words, prefixes, tags, tests on fields) belongs to the form by its value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam
from sqlmodel import col

from app.domain.events.filters import EventFilter, TimeRange
from app.domain.events.state import Entity
from app.store.reading import where
from app.store.tables import Event

Put = Callable[[Any, Any], Any]
_COMPARED: dict[str, Any] = {
    "event_type_id": Event.event_type_id,
    "category": Event.category,
    "entity_id": Event.entity_id,
    "entity_type": Event.entity_type,
    "source": Event.source,
    "subject": Event.subject,
    "outcome": Event.outcome,
}
_ONE_OF: dict[str, Any] = {
    "ids": Event.id,
    "severities": Event.severity,
    "source_ids": Event.source_id,
}
_DURING: dict[str, Any] = {"occurred_at": Event.occurred_at, "recorded_at": Event.recorded_at}


@dataclass(frozen=True)
class Template:
    """Equal shapes have equal conditions, composed where they are needed; `values` fill them."""

    shape: Hashable
    values: Mapping[str, Any]
    conditions: Callable[[], Sequence[Any]]


def comparing(column: Any, value: Any) -> Template:
    """The rows that have this value in a column."""
    place, conditions = _equal(column)
    return Template(("=", place), {place: value}, conditions)


@cache  # a column takes 40 microseconds to tell its name
def _equal(column: Any) -> tuple[str, Callable[[], Sequence[Any]]]:
    place = column.key
    return place, lambda: [col(column) == _place(place, column)]


def events(filters: Sequence[EventFilter], organization_id: UUID) -> Template:
    """The events that all of the filters select."""
    values: dict[str, Any] = {}

    def note(_column: Any, value: Any) -> None:
        values[f"v{len(values)}"] = value

    def conditions() -> list[Any]:
        places = iter(range(len(values)))

        def put(column: Any, _value: Any) -> Any:
            return _place(f"v{next(places)}", column)

        parts = [_placed(each, put, organization_id)[1] for each in filters]
        return [one for part in parts for one in where.events(part(), organization_id)]

    shapes = tuple(_placed(each, note, organization_id)[0] for each in filters)
    return Template(shapes, values, conditions)


def _place(name: str, column: Any) -> Any:
    return bindparam(name, None, type_=column.type)


def _placed(
    filter: EventFilter, put: Put, organization_id: UUID
) -> tuple[Hashable, Callable[[], EventFilter]]:
    """The form of a filter, and the filter with what `put` made of its values."""
    given: dict[str, Any] = {}
    shape: list[Hashable] = []
    for name, value in vars(filter).items():
        if value is None:
            continue
        form: Hashable = None
        if (column := _COMPARED.get(name)) is not None:
            given[name] = put(column, value)
        elif name == "entity":
            named: Any = put(Event.entity_type, value.type), put(Event.entity_id, value.id)
            given[name] = Entity(*named)
        elif (column := _ONE_OF.get(name)) is not None:
            given[name] = tuple(put(column, each) for each in value)
            form = len(value)
        elif (column := _DURING.get(name)) is not None:
            ends = [None if end is None else put(column, end) for end in (value.start, value.end)]
            given[name] = TimeRange(*ends)
            form = value.start is None, value.end is None
        elif name in ("and_", "or_"):
            placed = [_placed(part, put, organization_id) for part in value]
            given[name] = [made for _, made in placed]
            form = tuple(each for each, _ in placed)
        elif name == "not_":
            form, given[name] = _placed(value, put, organization_id)
        else:
            # As text: True is equal to 1. What is searched for lies beside the organization.
            form = repr(value), organization_id if name == "search" else None
        shape.append((name, form))
    return tuple(shape), lambda: _made(filter, given)


def _made(filter: EventFilter, given: dict[str, Any]) -> EventFilter:
    for name in ("and_", "or_"):
        if name in given:
            given[name] = tuple(make() for make in given[name])
    if "not_" in given:
        given["not_"] = given["not_"]()
    return replace(filter, **given)
