"""Which events are meant.

`matches` asks one event in memory; its twin `store.where` asks the database. Both give the same
answer, and a test holds them together. None is "not said"; an empty list selects nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.events import Entity, EventState
from app.domain.limits import Limits
from app.domain.problems import Problem, invalid
from app.domain.severity import Outcome, Severity


@dataclass(frozen=True)
class TimeRange:
    """From `start` on, and before `end`."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, instant: datetime) -> bool:
        after = self.start is None or self.start <= instant
        return after and (self.end is None or instant < self.end)


@dataclass(frozen=True)
class TagFilter:
    """With every tag of `all`, and with one of `any`."""

    all: tuple[str, ...] | None = None
    any: tuple[str, ...] | None = None

    def holds(self, tags: tuple[str, ...]) -> bool:
        every = self.all is None or (bool(self.all) and set(self.all) <= set(tags))
        return every and (self.any is None or not set(self.any).isdisjoint(tags))


@dataclass(frozen=True)
class EventFilter:
    """All that is said must hold. A type that ends in '*' is a prefix."""

    ids: tuple[UUID, ...] | None = None
    event_type_id: UUID | None = None
    types: tuple[str, ...] | None = None
    entity: Entity | None = None
    entity_id: str | None = None
    severities: tuple[Severity, ...] | None = None
    source: str | None = None
    source_ids: tuple[str, ...] | None = None
    subject: str | None = None
    outcome: Outcome | None = None
    occurred_at: TimeRange | None = None
    recorded_at: TimeRange | None = None
    notification: bool | None = None
    acknowledged: bool | None = None
    tags: TagFilter | None = None
    and_: tuple[EventFilter, ...] | None = None
    or_: tuple[EventFilter, ...] | None = None
    not_: EventFilter | None = None

    @property
    def parts(self) -> tuple[EventFilter, ...]:
        """The filters that this one is composed of."""
        return (*(self.and_ or ()), *(self.or_ or ()), *((self.not_,) if self.not_ else ()))


def matches(filter: EventFilter, event: EventState) -> bool:
    """Whether the filter selects the event in this state."""
    return all(_tests(filter, event))


def size_problems(filter: EventFilter, limits: Limits) -> list[Problem]:
    """Whether a filter is too deep, or says too much."""
    deep, wide = _measured(filter)
    problems = []
    if deep > limits.filter_depth:
        problems.append(invalid(f"Is {deep} filters deep; at most {limits.filter_depth}."))
    if wide > limits.filter_leaves:
        problems.append(invalid(f"Says {wide} things; at most {limits.filter_leaves}."))
    return problems


def _measured(filter: EventFilter) -> tuple[int, int]:
    """How deep filters lie within it, itself counted, and how many things they say."""
    said = sum(
        getattr(filter, f.name) is not None
        for f in fields(filter)
        if f.name not in ("and_", "or_", "not_")
    )
    parts = [_measured(part) for part in filter.parts]
    deepest = max((deep for deep, _ in parts), default=0)
    return deepest + 1, said + sum(wide for _, wide in parts)


def is_prefix(type_name: str) -> bool:
    return type_name.endswith("*")


def _tests(filter: EventFilter, event: EventState) -> Iterable[bool]:
    yield _within(filter.ids, event.id)
    yield _equal(filter.event_type_id, event.event_type_id)
    yield filter.types is None or any(_named(name, event.type) for name in filter.types)
    yield _equal(filter.entity, event.entity)
    yield _equal(filter.entity_id, event.entity and event.entity.id)
    yield _within(filter.severities, event.severity)
    yield _equal(filter.source, event.source)
    yield _within(filter.source_ids, event.source_id)
    yield _equal(filter.subject, event.subject)
    yield _equal(filter.outcome, event.outcome)
    yield filter.occurred_at is None or filter.occurred_at.holds(event.occurred_at)
    yield filter.recorded_at is None or filter.recorded_at.holds(event.recorded_at)
    yield _equal(filter.notification, event.notification)
    yield _equal(filter.acknowledged, event.acknowledged)
    yield filter.tags is None or filter.tags.holds(event.tags)
    yield filter.and_ is None or all(matches(part, event) for part in filter.and_)
    yield filter.or_ is None or any(matches(part, event) for part in filter.or_)
    yield filter.not_ is None or not matches(filter.not_, event)


def _equal(wanted: Any, value: Any) -> bool:
    return wanted is None or wanted == value


def _within(wanted: tuple[Any, ...] | None, value: Any) -> bool:
    return wanted is None or value in wanted


def _named(wanted: str, type_name: str) -> bool:
    return type_name.startswith(wanted[:-1]) if is_prefix(wanted) else type_name == wanted
