"""Which events are meant.

`matches` asks one event in memory; its twin `store.where` asks the database. Both give the same
answer, and a test holds them together. None is "not said"; an empty list selects nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.events import Entity, EventState
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


def matches(filter: EventFilter, event: EventState) -> bool:
    """Whether the filter selects the event in this state."""
    return all(_tests(filter, event))


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


def _equal(wanted: Any, value: Any) -> bool:
    return wanted is None or wanted == value


def _within(wanted: tuple[Any, ...] | None, value: Any) -> bool:
    return wanted is None or value in wanted


def _named(wanted: str, type_name: str) -> bool:
    return type_name.startswith(wanted[:-1]) if is_prefix(wanted) else type_name == wanted
