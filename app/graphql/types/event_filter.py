"""Inputs that filter and sort events."""

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
from app.domain.shared.problems import bad_user_input
from app.domain.shared.values import validate_text
from app.graphql.shared.enums import SortDirection
from app.graphql.shared.nodes import parse_id_argument
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
        """Converts the filter. Raises RequestError BAD_USER_INPUT with a path if it is invalid."""
        filter = self._to_domain_at(FilterPath(limits, ("filter",)))
        for problem in filters.validate_filter_size(filter, limits):
            raise bad_user_input(problem.message, "filter")
        return filter

    def _to_domain_at(self, path: FilterPath) -> filters.EventFilter:
        return filters.EventFilter(
            ids=path.parse_ids(self.ids, "ids"),
            event_type_id=path.parse_id(self.event_type_id, "eventTypeId"),
            types=path.check_texts(self.types, "types"),
            category=path.check_text(self.category, "category"),
            entity=path.parse_entity(self.entity),
            entity_id=path.check_text(self.entity_id, "entityId"),
            severities=path.check_size(self.severities, "severities"),
            source=path.check_text(self.source, "source"),
            source_ids=path.check_texts(self.source_ids, "sourceIds"),
            subject=path.check_text(self.subject, "subject"),
            outcome=self.outcome,
            duplicate=self.duplicate,
            occurred_at=None if self.occurred_at is None else self.occurred_at.to_domain(),
            recorded_at=None if self.recorded_at is None else self.recorded_at.to_domain(),
            notification=self.notification,
            acknowledged=self.acknowledged,
            tags=path.parse_tags(self.tags),
            search=path.check_text(self.search, "search"),
            fields=path.parse_predicates(self.fields, "fields"),
            and_=self._convert_filters(self.and_, path, "and"),
            or_=self._convert_filters(self.or_, path, "or"),
            not_=None if self.not_ is None else self.not_._to_domain_at(path.child("not")),
        )

    @staticmethod
    def _convert_filters(
        event_filters: list[EventFilter] | None, path: FilterPath, name: str
    ) -> tuple[filters.EventFilter, ...] | None:
        checked_filters = path.check_size(event_filters, name)
        if checked_filters is None:
            return None
        return tuple(
            event_filter._to_domain_at(path.child(name, str(index)))
            for index, event_filter in enumerate(checked_filters)
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
        """Converts the filter. Raises RequestError BAD_USER_INPUT with a path if it is invalid."""
        path = FilterPath(limits, ("filter",))
        return filters.EventFilter(
            types=path.check_texts(self.types, "types"),
            entity=path.parse_entity(self.entity),
            severities=path.check_size(self.severities, "severities"),
            source=path.check_text(self.source, "source"),
            acknowledged=self.acknowledged,
        )


def parse_event_filter(
    filter: EventFilter | NotificationFilter | None, limits: Limits
) -> filters.EventFilter:
    """Converts a filter argument. Without a filter, all events match."""
    return filters.EventFilter() if filter is None else filter.to_domain(limits)


@strawberry.input(description="What a list of events is sorted by, and which way.")
class EventOrder:
    field: EventOrderField = strawberry.field(description="Which instant.")
    direction: SortDirection = strawberry.field(description="Which end comes first.")


@dataclass(frozen=True)
class FilterPath:
    """Path of an input object in a filter. It converts values and names their paths in errors."""

    limits: Limits
    path: tuple[str, ...]

    def child(self, *names: str) -> FilterPath:
        return FilterPath(self.limits, (*self.path, *names))

    def check_size(self, values: Sequence[T] | None, name: str) -> tuple[T, ...] | None:
        max_values = self.limits.filter_values
        if values is not None and len(values) > max_values:
            message = f"There are {len(values):,} values; at most {max_values}."
            raise bad_user_input(message, *self.path, name)
        return None if values is None else tuple(values)

    def check_text(self, value: str | None, *names: str) -> str | None:
        return check_text_argument(value, self.limits, *self.path, *names)

    def check_texts(self, values: Sequence[str] | None, *names: str) -> tuple[str, ...] | None:
        checked_values = self.child(*names[:-1]).check_size(values, names[-1])
        for index, value in enumerate(checked_values or ()):
            self.check_text(value, *names, str(index))
        return checked_values

    def parse_ids(self, values: Sequence[str] | None, name: str) -> tuple[UUID, ...] | None:
        checked_values = self.check_size(values, name)
        if checked_values is None:
            return None
        return tuple(
            parse_id_argument(text, *self.path, name, str(i))
            for i, text in enumerate(checked_values)
        )

    def parse_id(self, value: str | None, name: str) -> UUID | None:
        return None if value is None else parse_id_argument(value, *self.path, name)

    def parse_entity(self, entity: EntityInput | None) -> Entity | None:
        if entity is None:
            return None
        self.check_text(entity.type, "entity", "type")
        self.check_text(entity.id, "entity", "id")
        return entity.to_domain()

    def parse_predicates(
        self, predicates: Sequence[FieldPredicate] | None, name: str
    ) -> tuple[Predicate, ...] | None:
        checked_predicates = self.check_size(predicates, name)
        if checked_predicates is None:
            return None
        return tuple(
            predicate.to_validated_domain(self.limits, *self.path, name, str(index))
            for index, predicate in enumerate(checked_predicates)
        )

    def parse_tags(self, tags: TagFilter | None) -> filters.TagFilter | None:
        if tags is None:
            return None
        return filters.TagFilter(
            self.check_texts(tags.all, "tags", "all"), self.check_texts(tags.any, "tags", "any")
        )


def check_text_argument(value: str | None, limits: Limits, *argument: str) -> str | None:
    """Returns the text. Raises RequestError BAD_USER_INPUT if no stored text can be equal to it.

    PostgreSQL rejects such a text even in a comparison.
    """
    for problem in validate_text(value, limits.name_characters, *argument):
        raise bad_user_input(problem.message, *problem.path)
    return value
