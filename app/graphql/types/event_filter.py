"""The inputs that select and order events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import strawberry

from app.domain.events import filters
from app.domain.events.predicates import FieldPredicate as Predicate
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity
from app.domain.shared.limits import Limits
from app.domain.shared.problems import bad_input
from app.domain.shared.values import text_problems
from app.graphql.shared.enums import SortDirection
from app.graphql.shared.nodes import wanted_id
from app.graphql.types.field_predicate import FieldPredicate
from app.services.events.event_queries import EventOrderField

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


@strawberry.input(description="Which tags an event has.")
class TagFilter:
    all: list[str] | None = strawberry.field(
        default=None, description="Every one of these; `[]` selects nothing."
    )
    any: list[str] | None = strawberry.field(default=None, description="At least one of these.")


@strawberry.input(
    description="Which events are meant. All that is said must hold; null is the same as leaving "
    "out; an empty list selects nothing. A list holds up to 100 values; filters lie within each "
    "other up to 5 deep, and say up to 100 things in all."
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
    category: str | None = strawberry.field(
        default=None,
        description="Of an event type of this category, in the version that the event was checked "
        "against.",
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
    duplicate: bool | None = strawberry.field(
        default=None, description="Whether it is flagged as a duplicate of another."
    )
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
    tags: TagFilter | None = strawberry.field(default=None, description="Its planning tags.")
    search: str | None = strawberry.field(
        default=None,
        description="Words to find in summary and content: all of them, each whole, in any order, "
        "upper or lower case.",
    )
    fields: list[FieldPredicate] | None = strawberry.field(
        default=None, description="Tests on custom fields, all of which hold."
    )
    and_: list[EventFilter] | None = strawberry.field(
        name="and", default=None, description="All of these hold; `[]` always does."
    )
    or_: list[EventFilter] | None = strawberry.field(
        name="or", default=None, description="One of these holds; `[]` never does."
    )
    not_: EventFilter | None = strawberry.field(
        name="not", default=None, description="This does not hold."
    )

    def to_domain(self, limits: Limits) -> filters.EventFilter:
        """RequestError BAD_USER_INPUT, with the path, for what no filter can mean."""
        filter = self._at(_Place(limits, ("filter",)))
        for problem in filters.size_problems(filter, limits):
            raise bad_input(problem.message, "filter")
        return filter

    def _at(self, place: _Place) -> filters.EventFilter:
        return filters.EventFilter(
            ids=place.ids(self.ids, "ids"),
            event_type_id=place.id(self.event_type_id, "eventTypeId"),
            types=place.texts(self.types, "types"),
            category=place.text(self.category, "category"),
            entity=place.entity(self.entity),
            entity_id=place.text(self.entity_id, "entityId"),
            severities=place.some(self.severities, "severities"),
            source=place.text(self.source, "source"),
            source_ids=place.texts(self.source_ids, "sourceIds"),
            subject=place.text(self.subject, "subject"),
            outcome=self.outcome,
            duplicate=self.duplicate,
            occurred_at=None if self.occurred_at is None else self.occurred_at.to_domain(),
            recorded_at=None if self.recorded_at is None else self.recorded_at.to_domain(),
            notification=self.notification,
            acknowledged=self.acknowledged,
            tags=place.tags(self.tags),
            search=place.text(self.search, "search"),
            fields=place.predicates(self.fields, "fields"),
            and_=self._parts(self.and_, place, "and"),
            or_=self._parts(self.or_, place, "or"),
            not_=None if self.not_ is None else self.not_._at(place.within("not")),
        )

    @staticmethod
    def _parts(
        parts: list[EventFilter] | None, place: _Place, name: str
    ) -> tuple[filters.EventFilter, ...] | None:
        some = place.some(parts, name)
        if some is None:
            return None
        return tuple(part._at(place.within(name, str(i))) for i, part in enumerate(some))


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
        """RequestError BAD_USER_INPUT, with the path, for what no filter can mean."""
        place = _Place(limits, ("filter",))
        return filters.EventFilter(
            types=place.texts(self.types, "types"),
            entity=place.entity(self.entity),
            severities=place.some(self.severities, "severities"),
            source=place.text(self.source, "source"),
            acknowledged=self.acknowledged,
        )


def selected(
    filter: EventFilter | NotificationFilter | None, limits: Limits
) -> filters.EventFilter:
    """What a filter argument selects: everything, where it was left out."""
    return filters.EventFilter() if filter is None else filter.to_domain(limits)


@strawberry.input(description="What a list of events is sorted by, and which way.")
class EventOrder:
    field: EventOrderField = strawberry.field(description="Which instant.")
    direction: SortDirection = strawberry.field(description="Which end comes first.")


@dataclass(frozen=True)
class _Place:
    """Where in the filter something is read, so that an error can name it."""

    limits: Limits
    path: tuple[str, ...]

    def within(self, *names: str) -> _Place:
        return _Place(self.limits, (*self.path, *names))

    def some(self, values: Sequence[T] | None, name: str) -> tuple[T, ...] | None:
        most = self.limits.filter_values
        if values is not None and len(values) > most:
            many = f"There are {len(values):,} values; at most {most}."
            raise bad_input(many, *self.path, name)
        return None if values is None else tuple(values)

    def text(self, value: str | None, *names: str) -> str | None:
        return storable(value, self.limits, *self.path, *names)

    def texts(self, values: Sequence[str] | None, *names: str) -> tuple[str, ...] | None:
        some = self.within(*names[:-1]).some(values, names[-1])
        for index, value in enumerate(some or ()):
            self.text(value, *names, str(index))
        return some

    def ids(self, values: Sequence[str] | None, name: str) -> tuple[UUID, ...] | None:
        some = self.some(values, name)
        if some is None:
            return None
        return tuple(wanted_id(text, *self.path, name, str(i)) for i, text in enumerate(some))

    def id(self, value: str | None, name: str) -> UUID | None:
        return None if value is None else wanted_id(value, *self.path, name)

    def entity(self, entity: EntityInput | None) -> Entity | None:
        if entity is None:
            return None
        self.text(entity.type, "entity", "type")
        self.text(entity.id, "entity", "id")
        return entity.to_domain()

    def predicates(
        self, given: Sequence[FieldPredicate] | None, name: str
    ) -> tuple[Predicate, ...] | None:
        some = self.some(given, name)
        if some is None:
            return None
        return tuple(
            each.checked(self.limits, *self.path, name, str(index))
            for index, each in enumerate(some)
        )

    def tags(self, tags: TagFilter | None) -> filters.TagFilter | None:
        if tags is None:
            return None
        return filters.TagFilter(
            self.texts(tags.all, "tags", "all"), self.texts(tags.any, "tags", "any")
        )


def storable(value: str | None, limits: Limits, *argument: str) -> str | None:
    """The text; RequestError BAD_USER_INPUT for one that nothing stored can be equal to.

    PostgreSQL refuses such a text even to compare with.
    """
    for problem in text_problems(value, limits.name, *argument):
        raise bad_input(problem.message, *problem.path)
    return value
