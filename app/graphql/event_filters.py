"""The inputs that select and order events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import strawberry

from app.domain import filters
from app.domain.events import Entity
from app.domain.limits import Limits
from app.domain.problems import bad_input
from app.domain.severity import Outcome, Severity
from app.domain.values import text_problems
from app.graphql.enums import SortDirection
from app.graphql.nodes import wanted_id
from app.services.event_queries import EventOrderField

T = TypeVar("T")


@strawberry.input(description="What an event is about, by the names of the one who reports it.")
class EntityInput:
    type: str = strawberry.field(description="The kind of thing: `Well`.")
    id: str = strawberry.field(description="Which one: `well-001`.")

    def to_domain(self) -> Entity:
        return Entity(self.type, self.id)


@strawberry.input(description="A stretch of time.")
class TimeRange:
    from_: datetime | None = strawberry.field(
        name="from", default=None, description="Inclusive; without it, since ever."
    )
    to: datetime | None = strawberry.field(
        default=None, description="Exclusive; without it, without end."
    )

    def to_domain(self) -> filters.TimeRange:
        return filters.TimeRange(self.from_, self.to)


@strawberry.input(
    description="Which events are meant. All that is said must hold; null is the same as leaving "
    "out; an empty list selects nothing. A list holds up to 100 values."
)
class EventFilter:
    ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="One of these events."
    )
    event_type_id: strawberry.ID | None = strawberry.field(
        default=None, description="Events that were checked against this event type."
    )
    types: list[str] | None = strawberry.field(
        default=None,
        description="One of these types; one that ends in `*` is a prefix: `com.acme.*`.",
    )
    entity: EntityInput | None = strawberry.field(default=None, description="About this entity.")
    entity_id: str | None = strawberry.field(
        default=None, description="About an entity with this id, whatever its type."
    )
    severities: list[Severity] | None = strawberry.field(
        default=None, description="One of these severities."
    )
    source: str | None = strawberry.field(default=None, description="Reported by this source.")
    source_ids: list[str] | None = strawberry.field(
        default=None, description="One of these producer's own ids."
    )
    subject: str | None = strawberry.field(default=None, description="With this subject.")
    outcome: Outcome | None = strawberry.field(default=None, description="With this outcome.")
    occurred_at: TimeRange | None = strawberry.field(default=None, description="When it happened.")
    recorded_at: TimeRange | None = strawberry.field(
        default=None, description="When Tocsin accepted it."
    )
    notification: bool | None = strawberry.field(
        default=None, description="Whether it is shown in the bell."
    )
    acknowledged: bool | None = strawberry.field(
        default=None, description="Whether somebody has acknowledged it."
    )

    def to_domain(self, limits: Limits) -> filters.EventFilter:
        """RequestError BAD_USER_INPUT, with the path, for what no filter can mean."""
        return filters.EventFilter(
            ids=None
            if self.ids is None
            else tuple(
                wanted_id(text, "filter", "ids", str(index))
                for index, text in enumerate(_some(self.ids, limits, "ids") or ())
            ),
            event_type_id=None
            if self.event_type_id is None
            else wanted_id(self.event_type_id, "filter", "eventTypeId"),
            types=_texts(self.types, limits, "types"),
            entity=_entity(self.entity, limits),
            entity_id=_text(self.entity_id, limits, "entityId"),
            severities=_some(self.severities, limits, "severities"),
            source=_text(self.source, limits, "source"),
            source_ids=_texts(self.source_ids, limits, "sourceIds"),
            subject=_text(self.subject, limits, "subject"),
            outcome=self.outcome,
            occurred_at=None if self.occurred_at is None else self.occurred_at.to_domain(),
            recorded_at=None if self.recorded_at is None else self.recorded_at.to_domain(),
            notification=self.notification,
            acknowledged=self.acknowledged,
        )


@strawberry.input(description="Which notifications are meant. All that is said must hold.")
class NotificationFilter:
    severities: list[Severity] | None = strawberry.field(
        default=None, description="One of these severities."
    )
    types: list[str] | None = strawberry.field(
        default=None, description="One of these types, or a prefix that ends in `*`."
    )
    entity: EntityInput | None = strawberry.field(default=None, description="About this entity.")
    source: str | None = strawberry.field(default=None, description="Reported by this source.")
    acknowledged: bool | None = strawberry.field(
        default=None, description="Whether somebody has acknowledged it."
    )

    def to_domain(self, limits: Limits) -> filters.EventFilter:
        return filters.EventFilter(
            types=_texts(self.types, limits, "types"),
            entity=_entity(self.entity, limits),
            severities=_some(self.severities, limits, "severities"),
            source=_text(self.source, limits, "source"),
            acknowledged=self.acknowledged,
        )


@strawberry.input(description="What a list of events is sorted by, and which way.")
class EventOrder:
    field: EventOrderField = strawberry.field(description="Which instant.")
    direction: SortDirection = strawberry.field(description="Which end comes first.")


def _some(values: list[T] | None, limits: Limits, name: str) -> tuple[T, ...] | None:
    if values is None:
        return None
    if len(values) > limits.filter_values:
        count = f"There are {len(values):,} values; at most {limits.filter_values}."
        raise bad_input(count, "filter", name)
    return tuple(values)


def _texts(values: Sequence[str] | None, limits: Limits, name: str) -> tuple[str, ...] | None:
    some = _some(None if values is None else list(values), limits, name)
    for index, value in enumerate(some or ()):
        _text(value, limits, name, str(index))
    return some


def _text(value: str | None, limits: Limits, *place: str) -> str | None:
    # PostgreSQL refuses a text that it cannot hold, even to compare with.
    for problem in text_problems(value, limits.name, "filter", *place):
        raise bad_input(problem.message, *problem.path)
    return value


def _entity(entity: EntityInput | None, limits: Limits) -> Entity | None:
    if entity is None:
        return None
    _text(entity.type, limits, "entity", "type")
    _text(entity.id, limits, "entity", "id")
    return entity.to_domain()
