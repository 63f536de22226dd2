"""Filters of events.

`filter_matches` evaluates a filter in memory, the event conditions of the store in SQL. A test
ensures that both give the same result. None means no condition; an empty list matches nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any
from uuid import UUID

from app.domain.events.predicates import FieldPredicate, predicate_holds
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import (
    ATTRIBUTES,
    Comparison,
    Entity,
    EventChangeKind,
    EventState,
    EventStatus,
    ListTransition,
)
from app.domain.events.words import contains_terms, extract_event_words, extract_search_terms
from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message
from app.domain.shared.problems import Problem, invalid_input


@dataclass(frozen=True)
class TimeRange:
    """From `start`, inclusive, to `end`, exclusive."""

    start: datetime | None = None
    end: datetime | None = None

    def contains(self, instant: datetime) -> bool:
        is_after_start = self.start is None or self.start <= instant
        return is_after_start and (self.end is None or instant < self.end)


@dataclass(frozen=True)
class TagFilter:
    """Matches events with every tag of `all` and at least one of `any`."""

    all: tuple[str, ...] | None = None
    any: tuple[str, ...] | None = None

    def matches(self, tags: tuple[str, ...]) -> bool:
        has_all = self.all is None or (bool(self.all) and set(self.all) <= set(tags))
        return has_all and (self.any is None or not set(self.any).isdisjoint(tags))


class EventAttribute(Enum):
    """An attribute of an event that can be null. The values are attributes of `EventState`."""

    ENTITY = "entity"
    CATEGORY = "category"
    CONTENT = "content"
    SUBJECT = "subject"
    SOURCE_ID = "source_id"
    OUTCOME = "outcome"
    ALERT_KEY = "alert_key"
    SILENCED_BY = "silenced_by_id"


@dataclass(frozen=True)
class EventFilter:
    """A filter that selects events for which every condition that is set holds.

    A type that ends in '*' is a prefix. `search` holds if summary and content together contain all
    of its words. `category` is compared with that of the event type version that the event was
    validated against. `missing` holds if all of its attributes are null; an empty one sets no
    condition.
    """

    ids: tuple[UUID, ...] | None = None
    event_type_id: UUID | None = None
    types: tuple[str, ...] | None = None
    category: str | None = None
    entity: Entity | None = None
    entity_id: str | None = None
    entity_type: str | None = None
    severities: tuple[Severity, ...] | None = None
    source: str | None = None
    source_ids: tuple[str, ...] | None = None
    subject: str | None = None
    outcome: Outcome | None = None
    duplicate: bool | None = None
    occurred_at: TimeRange | None = None
    last_occurred_at: TimeRange | None = None
    recorded_at: TimeRange | None = None
    updated_at: TimeRange | None = None
    notification: bool | None = None
    acknowledged: bool | None = None
    alert_key: str | None = None
    statuses: tuple[EventStatus, ...] | None = None
    silenced_by: UUID | None = None
    tags: TagFilter | None = None
    missing: tuple[EventAttribute, ...] | None = None
    search: str | None = None
    fields: tuple[FieldPredicate, ...] | None = None
    and_: tuple[EventFilter, ...] | None = None
    or_: tuple[EventFilter, ...] | None = None
    not_: EventFilter | None = None

    @property
    def subfilters(self) -> tuple[EventFilter, ...]:
        """The filters that this one is composed of."""
        return (*(self.and_ or ()), *(self.or_ or ()), *((self.not_,) if self.not_ else ()))


MATCH_ALL = EventFilter()


def older_than(time: datetime) -> EventFilter:
    """Selects the events that were logged, last updated and last repeated before the time."""
    before = TimeRange(end=time)
    return EventFilter(recorded_at=before, updated_at=before, last_occurred_at=before)


@dataclass(frozen=True)
class EventChangeFilter:
    """A filter that selects changes to events for which every condition that is set holds."""

    kinds: tuple[EventChangeKind, ...] | None = None
    actors: tuple[str, ...] | None = None
    at: TimeRange | None = None
    event_ids: tuple[UUID, ...] | None = None


ALL_CHANGES = EventChangeFilter()


# An event type by its ID, or names of types of which an event must have one.
RequiredType = UUID | tuple[str, ...]


@dataclass(frozen=True)
class TypedField:
    """A field that is compared only in events of certain types, and the path of its argument."""

    event_type: RequiredType
    field: str
    path: tuple[str, ...]


# The attributes that conditions compare, by name of the condition. `types` allows prefixes.
CONDITIONS = {
    attribute.condition or attribute.name: attribute
    for attribute in ATTRIBUTES
    if attribute.comparison is not None
}


def filter_matches(filter: EventFilter, event: EventState) -> bool:
    """Whether the filter selects the event in its given state."""
    return all(_evaluate_tests(filter, event))


def find_transition(
    filter: EventFilter, before: EventState | None, after: EventState | None
) -> ListTransition | None:
    """Returns how a change moved an event relative to a filter.

    `before` is None if the event was logged, `after` if it was deleted. None if the filter selects
    the event neither before nor after the change.
    """
    was_selected, is_selected = (
        state is not None and filter_matches(filter, state) for state in (before, after)
    )
    if is_selected:
        return ListTransition.CHANGED if was_selected else ListTransition.ENTERED
    return ListTransition.LEFT if was_selected else None


def validate_filter_size(filter: EventFilter, limits: Limits) -> list[Problem]:
    """Validates the depth of a filter and the number of its conditions."""
    depth, conditions = _measure(filter)
    problems = []
    if depth > limits.filter_depth:
        message = limit_message(
            limits.filter_depth,
            "level of nested filters",
            "this filter",
            depth,
            plural="levels of nested filters",
        )
        problems.append(invalid_input(message))
    if conditions > limits.filter_leaves:
        message = limit_message(limits.filter_leaves, "condition", "this filter", conditions)
        problems.append(invalid_input(message))
    return problems


def _measure(filter: EventFilter) -> tuple[int, int]:
    """Returns the depth of nested filters, this one included, and the number of conditions."""
    conditions = sum(
        getattr(filter, attribute.name) is not None
        for attribute in fields(filter)
        if attribute.name not in ("fields", "and_", "or_", "not_")
    )
    conditions += 0 if filter.fields is None else max(1, len(filter.fields))
    # Each prefix counts as a condition; all exact names together count as one.
    conditions += max(0, sum(map(is_type_prefix, filter.types or ())) - 1)
    measures = [_measure(subfilter) for subfilter in filter.subfilters]
    max_depth = max((depth for depth, _ in measures), default=0)
    return max_depth + 1, conditions + sum(count for _, count in measures)


def find_typed_fields(all_filters: Sequence[EventFilter]) -> list[TypedField]:
    """Finds the fields that filters compare in events that must have a certain event type.

    An event must match all of the filters. Paths begin with `filter`.
    """
    event_types = frozenset[RequiredType]().union(*map(find_required_types, all_filters))
    return [
        typed_field
        for filter in all_filters
        for typed_field in _iterate_typed_fields(filter, event_types, ("filter",))
    ]


def find_required_types(filter: EventFilter) -> frozenset[RequiredType]:
    """Finds the event types and the lists of exact type names of which an event must have one."""
    own: set[RequiredType] = set()
    if filter.event_type_id is not None:
        own.add(filter.event_type_id)
    if filter.types and not any(map(is_type_prefix, filter.types)):
        own.add(filter.types)
    return frozenset(own).union(*map(find_required_types, filter.and_ or ()))


def _iterate_typed_fields(
    filter: EventFilter, event_types: frozenset[RequiredType], path: tuple[str, ...]
) -> Iterator[TypedField]:
    event_types |= find_required_types(filter)
    for index, predicate in enumerate(filter.fields or ()):
        field_path = (*path, "fields", str(index), "field")
        for event_type in event_types:
            yield TypedField(event_type, predicate.field, field_path)
    for name, parts in (("and", filter.and_), ("or", filter.or_)):
        for index, part in enumerate(parts or ()):
            yield from _iterate_typed_fields(part, event_types, (*path, name, str(index)))
    if filter.not_ is not None:
        yield from _iterate_typed_fields(filter.not_, event_types, (*path, "not"))


def is_type_prefix(type_name: str) -> bool:
    """Whether a type name in a filter is a prefix."""
    return type_name.endswith("*")


_COMPARISONS: dict[Comparison, Callable[[Any, Any], bool]] = {
    Comparison.EQUALS: operator.eq,
    Comparison.ONE_OF: operator.contains,
    Comparison.WITHIN: TimeRange.contains,
}
_TESTS = {
    name: (_COMPARISONS[attribute.comparison], attribute.name)
    for name, attribute in CONDITIONS.items()
    if attribute.comparison is not None
}


def _evaluate_tests(filter: EventFilter, event: EventState) -> Iterable[bool]:
    for name, expected in vars(filter).items():
        if expected is not None and name in _TESTS:
            compare, attribute = _TESTS[name]
            yield compare(expected, getattr(event, attribute))
    yield filter.types is None or any(
        _matches_type(pattern, event.type) for pattern in filter.types
    )
    yield _is_equal(filter.entity, event.entity)
    yield _is_equal(filter.duplicate, event.duplicate_of_id is not None)
    yield _is_equal(filter.acknowledged, event.acknowledged)
    yield filter.tags is None or filter.tags.matches(event.tags)
    yield all(getattr(event, attribute.value) is None for attribute in filter.missing or ())
    yield filter.search is None or contains_terms(
        _sorted_words(event.summary, event.content), _search_terms(filter.search)
    )
    yield filter.fields is None or _all_hold(filter.fields, event)
    yield filter.and_ is None or all(filter_matches(subfilter, event) for subfilter in filter.and_)
    yield filter.or_ is None or any(filter_matches(subfilter, event) for subfilter in filter.or_)
    yield filter.not_ is None or not filter_matches(filter.not_, event)


def _all_hold(predicates: tuple[FieldPredicate, ...], event: EventState) -> bool:
    return bool(predicates) and all(
        predicate_holds(predicate, event.field_index) for predicate in predicates
    )


def _is_equal(expected: Any, value: Any) -> bool:
    return expected is None or expected == value


def _matches_type(pattern: str, type_name: str) -> bool:
    if is_type_prefix(pattern):
        return type_name.startswith(pattern[:-1])
    return type_name == pattern


# Many filters are evaluated for one event in succession, and one filter for many events.
@lru_cache(maxsize=64)
def _sorted_words(summary: str, content: str | None) -> list[str]:
    return sorted(extract_event_words(summary, content))


@lru_cache(maxsize=1024)
def _search_terms(search: str) -> frozenset[str]:
    return extract_search_terms(search)
