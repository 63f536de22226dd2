"""Filters as conditions with parameters, so that filters with one cache key share a statement.

Values that `event_conditions` inspects (words, prefixes, tags, statuses, field predicates) are not
parameters: they are part of the cache key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam
from sqlmodel import col

from app.domain.events.filters import CONDITIONS, EventFilter, TimeRange
from app.domain.events.state import Comparison, Entity, EventStatus, SourceIdentity
from app.store.reading import event_conditions
from app.store.tables import Event, Receipt

ReplaceValue = Callable[[Any, Any], Any]


@dataclass  # not frozen, as `ListQuery`: a frozen one takes three times as long to create
class ConditionTemplate:
    """Conditions, built on demand, and their values. Equal cache keys mean equal conditions.

    `counter_conditions` builds conditions on `EventCount` with the same values, which select the
    counters of the selected events; None if there are no such counters.
    """

    cache_key: Hashable
    values: Mapping[str, Any]
    conditions: Callable[[], Sequence[Any]]
    counter_conditions: Callable[[], Sequence[Any] | None] = lambda: None


def column_equals(column: Any, value: Any) -> ConditionTemplate:
    """Selects the rows that have this value in the column."""
    name, conditions = _equality(column)
    return ConditionTemplate(("=", name), {name: value}, conditions)


@cache  # `column.key` takes 40 microseconds
def _equality(column: Any) -> tuple[str, Callable[[], Sequence[Any]]]:
    name = column.key
    return name, lambda: [col(column) == _parameter(name, column)]


def reported_as(identity: SourceIdentity) -> ConditionTemplate:
    """Selects the event that a report with this source and source ID resulted in."""

    def conditions() -> list[Any]:
        columns = {name: col(getattr(Receipt, name)) for name in SourceIdentity._fields}
        equalities = (column == _parameter(name, column) for name, column in columns.items())
        return [event_conditions.is_reported_as(and_(*equalities))]

    return ConditionTemplate("reported as", identity._asdict(), conditions)


def match_all(templates: Sequence[ConditionTemplate]) -> ConditionTemplate:
    """Selects the rows that all of the templates select. Their values have different names."""
    return ConditionTemplate(
        tuple(template.cache_key for template in templates),
        {name: value for template in templates for name, value in template.values.items()},
        lambda: [condition for template in templates for condition in template.conditions()],
    )


def match_filters(filters: Sequence[EventFilter], organization_id: UUID) -> ConditionTemplate:
    """Selects the events that match all of the filters."""
    values: dict[str, Any] = {}

    def collect_value(_column: Any, value: Any) -> None:
        values[f"v{len(values)}"] = value

    def build_filters() -> list[EventFilter]:
        numbers = iter(range(len(values)))

        def create_parameter(column: Any, _value: Any) -> Any:
            return _parameter(f"v{next(numbers)}", column)

        builders = [
            _parameterize(filter, create_parameter, organization_id)[1] for filter in filters
        ]
        return [build_filter() for build_filter in builders]

    def conditions() -> list[Any]:
        return [
            condition
            for filter in build_filters()
            for condition in event_conditions.build_conditions(filter, organization_id)
        ]

    cache_keys = tuple(
        _parameterize(filter, collect_value, organization_id)[0] for filter in filters
    )
    return ConditionTemplate(
        cache_keys,
        values,
        conditions,
        lambda: event_conditions.build_counter_conditions(build_filters()),
    )


def _parameter(name: str, column: Any) -> Any:
    return bindparam(name, None, type_=column.type)


def _parameterize(
    filter: EventFilter, replace_value: ReplaceValue, organization_id: UUID
) -> tuple[Hashable, Callable[[], EventFilter]]:
    """The cache key of a filter, and a function that builds it with its values replaced."""
    replaced_values: dict[str, Any] = {}
    cache_key: list[Hashable] = []
    for name, value in vars(filter).items():
        if value is None:
            continue
        key_part: Hashable = None
        attribute = CONDITIONS.get(name)
        if attribute is not None and attribute.type not in (bool, EventStatus):
            column = event_conditions.CONDITION_COLUMNS[name]
            match attribute.comparison:
                case Comparison.EQUALS:
                    replaced_values[name] = replace_value(column, value)
                case Comparison.ONE_OF:
                    replaced_values[name] = tuple(replace_value(column, item) for item in value)
                    key_part = len(value)
                case Comparison.WITHIN:
                    ends = [
                        None if end is None else replace_value(column, end)
                        for end in (value.start, value.end)
                    ]
                    replaced_values[name] = TimeRange(*ends)
                    key_part = value.start is None, value.end is None
        elif name == "entity":
            type_: Any = replace_value(Event.entity_type, value.type)
            id_: Any = replace_value(Event.entity_id, value.id)
            replaced_values[name] = Entity(type_, id_)
        elif name in ("and_", "or_"):
            parts = [_parameterize(part, replace_value, organization_id) for part in value]
            replaced_values[name] = [build_part for _, build_part in parts]
            key_part = tuple(part_key for part_key, _ in parts)
        elif name == "not_":
            key_part, replaced_values[name] = _parameterize(value, replace_value, organization_id)
        else:
            # As text, because True equals 1. Search words are scoped to the organization.
            key_part = repr(value), organization_id if name == "search" else None
        cache_key.append((name, key_part))
    return tuple(cache_key), lambda: _build_filter(filter, replaced_values)


def _build_filter(filter: EventFilter, replaced_values: dict[str, Any]) -> EventFilter:
    for name in ("and_", "or_"):
        if name in replaced_values:
            replaced_values[name] = tuple(build_part() for build_part in replaced_values[name])
    if "not_" in replaced_values:
        replaced_values["not_"] = replaced_values["not_"]()
    return replace(filter, **replaced_values)
