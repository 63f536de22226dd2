"""Inputs that describe, filter and sort events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain.events import filters
from app.domain.events.filter_json import filter_to_json
from app.domain.events.filters import EventAttribute
from app.domain.events.predicates import FieldPredicate as Predicate
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventDraft, EventStatus
from app.domain.events.words import extract_search_terms
from app.domain.shared.frozen import create_frozen
from app.domain.shared.limits import Limits
from app.domain.shared.messages import quote_value
from app.domain.shared.problems import bad_user_input
from app.domain.shared.values import validate_text
from app.graphql.shared.context import Context
from app.graphql.shared.enums import SortDirection, register_enum
from app.graphql.shared.examples import with_example
from app.graphql.shared.nodes import parse_id_argument
from app.graphql.shared.update_inputs import read_provided_attributes
from app.graphql.types.field_predicate import FieldPredicate
from app.services.definitions.event_types import check_filter_fields
from app.services.events.event_queries import EventOrderField

T = TypeVar("T")

register_enum(
    EventAttribute,
    "Attribute of an event that can be null.",
    ENTITY="Entity that the event is about.",
    CATEGORY="Category of the event type.",
    CONTENT="Full description of the event.",
    SUBJECT="Subject of the event within its source.",
    SOURCE_ID="Identifier that the producer gave the event.",
    OUTCOME="Outcome of the activity that the event reports.",
    ALERT_KEY="Key of the condition that the event reports.",
    SILENCED_BY="Silence that suppresses the notification of the event.",
)


@strawberry.input(
    description=with_example(
        "An entity, identified by its type and ID together.",
        """
        { type: "Well", id: "well-001" }
        """,
    )
)
class EntityInput:
    type: str = strawberry.field(
        description="Type of the entity, such as `Well`: at most 255 characters by default."
    )
    id: str = strawberry.field(
        description="Identifier of the entity within its type, such as `well-001`: at most 255 "
        "characters by default."
    )

    def to_domain(self) -> Entity:
        return Entity(self.type, self.id)


@strawberry.input(
    description=with_example(
        "A time range that includes its start but not its end.",
        """
        { from: "2026-04-10T00:00:00Z", to: "2026-04-11T00:00:00Z" }
        """,
    )
)
class TimeRange:
    from_: datetime | None = strawberry.field(
        name="from",
        default=None,
        description="Start of the range, inclusive. No lower bound if omitted.",
    )
    to: datetime | None = strawberry.field(
        default=None, description="End of the range, exclusive. No upper bound if omitted."
    )

    def to_domain(self) -> filters.TimeRange:
        return filters.TimeRange(self.from_, self.to)


@strawberry.input(
    description=with_example(
        "A condition on the tags of an event. If both `all` and `any` are given, both must hold. "
        "By default, each list can have at most 100 tags of at most 255 characters each.",
        """
        { any: ["StudyId:42", "StudyId:43"] }
        """,
    )
)
class TagFilter:
    all: list[str] | None = strawberry.field(
        default=None,
        description="Tags, all of which the event must have. No condition if omitted; an empty "
        "list matches no event.",
    )
    any: list[str] | None = strawberry.field(
        default=None,
        description="Tags, at least one of which the event must have. No condition if omitted; an "
        "empty list matches no event.",
    )


@strawberry.input(
    description=with_example(
        "Conditions on events. An event must meet all given conditions; a condition that is null "
        "or omitted is ignored. An empty list matches no event, except in `missing` and `and`. By "
        "default, a text value can have at most 255 characters and a list at most 100 values, "
        "filters can be nested at most 5 levels deep, and a filter can have at most 100 "
        "conditions in total. If a limit is exceeded, the error is `BAD_USER_INPUT`.",
        """
        {
          severities: [ERROR, WARN]
          types: ["flaring.*"]
          fields: [{ field: "volume_mcf", operator: GT, value: 100 }]
        }
        """,
    )
)
class EventFilter:
    ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="IDs, one of which the event must have."
    )
    event_type_id: strawberry.ID | None = strawberry.field(
        default=None, description="ID of the event type that the event was validated against."
    )
    types: list[str] | None = strawberry.field(
        default=None,
        description="Types, one of which the event must have. A value that ends with `*` is a "
        "prefix, such as `com.acme.*`.",
    )
    category: str | None = strawberry.field(
        default=None,
        description="Category to match exactly, without wildcards: the category of the event "
        "type, in the version that the event was validated against. Free-form events have no "
        "category.",
    )
    entity: EntityInput | None = strawberry.field(
        default=None, description="Entity that the event is about."
    )
    entity_id: str | None = strawberry.field(
        default=None,
        description="Identifier of the entity that the event is about, regardless of the type of "
        "the entity.",
    )
    severities: list[Severity] | None = strawberry.field(
        default=None, description="Severities, one of which the event must have."
    )
    source: str | None = strawberry.field(
        default=None, description="Source to match exactly, without wildcards."
    )
    source_ids: list[str] | None = strawberry.field(
        default=None,
        description="Identifiers given by producers, one of which the event must have been logged "
        "with: `Event.sourceId`, or the `sourceId` of a duplicate of the event that a COUNT rule "
        "counted. Subscriptions and `eventChanges` compare only `Event.sourceId`.",
    )
    subject: str | None = strawberry.field(
        default=None, description="Subject to match exactly, without wildcards."
    )
    outcome: Outcome | None = strawberry.field(
        default=None, description="Outcome of the activity that the event reports."
    )
    duplicate: bool | None = strawberry.field(
        default=None,
        description="Whether the event is marked as a duplicate, that is, `Event.duplicateOf` is "
        "not null.",
    )
    occurred_at: TimeRange | None = strawberry.field(
        default=None, description="Time range in which the event occurred."
    )
    last_occurred_at: TimeRange | None = strawberry.field(
        default=None,
        description="Time range of the latest occurrence of the event (`Event.lastOccurredAt`), "
        "including counted duplicates.",
    )
    recorded_at: TimeRange | None = strawberry.field(
        default=None, description="Time range in which the event was logged."
    )
    updated_at: TimeRange | None = strawberry.field(
        default=None,
        description="Time range in which the event was last updated (`Event.updatedAt`). An event "
        "that was never updated matches by the time at which it was logged.",
    )
    notification: bool | None = strawberry.field(
        default=None, description="Whether the event is a notification."
    )
    acknowledged: bool | None = strawberry.field(
        default=None, description="Whether the event is acknowledged."
    )
    alert_key: str | None = strawberry.field(
        default=None, description="Alert key to match exactly, without wildcards."
    )
    statuses: list[EventStatus] | None = strawberry.field(
        default=None,
        description="Statuses, one of which the event must have. Events without a status, which "
        "are not notifications and have no alert key, do not match.",
    )
    silenced_by: strawberry.ID | None = strawberry.field(
        default=None,
        description="ID of the silence that suppresses the notification of the event. `missing: "
        "[SILENCED_BY]` selects the events without one.",
    )
    tags: TagFilter | None = strawberry.field(
        default=None, description="Condition on the tags of the event."
    )
    missing: list[EventAttribute] | None = strawberry.field(
        default=None,
        description="Attributes, all of which must be null. An empty list matches every event.",
    )
    search: str | None = strawberry.field(
        default=None,
        description="Search text, at most 255 characters by default. Each word of the search text "
        "must occur in `summary` or `content`, in any order. Case is ignored, but accents are "
        "not: `resume` does not find `résumé`. Words are matched as a whole; `config*` matches "
        "words that begin with `config`. Only the first 28 bytes of a prefix are compared. An "
        "emoji or other symbol counts as a word. In scripts written without spaces, such as "
        "Japanese or Thai, any part of the text is found. A blank search text sets no condition; "
        "any other search text without a word is rejected with `BAD_USER_INPUT`.",
    )
    fields: list[FieldPredicate] | None = strawberry.field(
        default=None,
        description="Predicates on custom fields, all of which must hold. An empty list matches "
        "no event. With `eventTypeId`, a field that no version of the event type has is rejected "
        "with `BAD_USER_INPUT`, unless the event type keeps additional fields. The same applies "
        "with `types` without prefixes, if no event of these types is free-form.",
    )
    and_: list[EventFilter] | None = strawberry.field(
        name="and",
        default=None,
        description="Filters that must all match. An empty list matches every event.",
    )
    or_: list[EventFilter] | None = strawberry.field(
        name="or",
        default=None,
        description="Filters of which at least one must match. An empty list matches no event.",
    )
    not_: EventFilter | None = strawberry.field(
        name="not", default=None, description="Filter that must not match."
    )

    def to_domain(self, limits: Limits) -> filters.EventFilter:
        """Converts the filter. Raises RequestError BAD_USER_INPUT with a path if it is invalid."""
        filter = self.to_domain_at(FilterPath(limits, ("filter",)))
        for problem in filters.validate_filter_size(filter, limits):
            raise bad_user_input(problem.message, "filter")
        return filter

    def to_domain_at(self, path: FilterPath) -> filters.EventFilter:
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
            occurred_at=_convert_range(self.occurred_at),
            last_occurred_at=_convert_range(self.last_occurred_at),
            recorded_at=_convert_range(self.recorded_at),
            updated_at=_convert_range(self.updated_at),
            notification=self.notification,
            acknowledged=self.acknowledged,
            alert_key=path.check_text(self.alert_key, "alertKey"),
            statuses=_order_statuses(path.check_size(self.statuses, "statuses")),
            silenced_by=path.parse_id(self.silenced_by, "silencedBy"),
            tags=path.parse_tags(self.tags),
            missing=path.check_size(self.missing, "missing"),
            search=parse_search_argument(self.search, path.limits, *path.path, "search"),
            fields=path.parse_predicates(self.fields, "fields"),
            and_=self._convert_filters(self.and_, path, "and"),
            or_=self._convert_filters(self.or_, path, "or"),
            not_=None if self.not_ is None else self.not_.to_domain_at(path.child("not")),
        )

    @staticmethod
    def _convert_filters(
        event_filters: list[EventFilter] | None, path: FilterPath, name: str
    ) -> tuple[filters.EventFilter, ...] | None:
        checked_filters = path.check_size(event_filters, name)
        if checked_filters is None:
            return None
        return tuple(
            event_filter.to_domain_at(path.child(name, str(index)))
            for index, event_filter in enumerate(checked_filters)
        )


def _convert_range(time_range: TimeRange | None) -> filters.TimeRange | None:
    return None if time_range is None else time_range.to_domain()


def _order_statuses(statuses: Sequence[EventStatus] | None) -> tuple[EventStatus, ...] | None:
    """Returns each status once, in one order, so that equal filters have one cached statement."""
    return None if statuses is None else tuple(each for each in EventStatus if each in statuses)


def parse_event_filter(filter: EventFilter | None, limits: Limits) -> filters.EventFilter:
    """Converts a filter argument. Without a filter, all events match."""
    return filters.EventFilter() if filter is None else filter.to_domain(limits)


async def parse_checked_filter(filter: EventFilter | None, context: Context) -> filters.EventFilter:
    """Converts a filter argument, and checks its fields. Raises RequestError BAD_USER_INPUT."""
    event_filter = parse_event_filter(filter, context.limits)
    await check_filter_fields(context.database, context.caller, [event_filter])
    return event_filter


async def parse_stored_filter(
    filter: EventFilter | None, context: Context
) -> dict[str, Any] | None:
    """Returns the filter in the form in which it is stored. Raises RequestError BAD_USER_INPUT."""
    return None if filter is None else filter_to_json(await parse_checked_filter(filter, context))


@strawberry.input(
    description=with_example(
        "Order of a list of events. Events with equal values are ordered by ID, in the same "
        "direction; newer events have greater IDs.",
        """
        { field: RECORDED_AT, direction: ASC }
        """,
    )
)
class EventOrder:
    field: EventOrderField = strawberry.field(
        description="Attribute by which the events are ordered."
    )
    direction: SortDirection = strawberry.field(
        description="Direction of the order: ASC for earliest or least severe first, DESC for "
        "latest or most severe first."
    )


@dataclass(frozen=True)
class FilterPath:
    """Path of an input object in a filter. Converts its values, with their paths in errors."""

    limits: Limits
    path: tuple[str, ...]

    def child(self, *names: str) -> FilterPath:
        return FilterPath(self.limits, (*self.path, *names))

    def check_size(self, values: Sequence[T] | None, name: str) -> tuple[T, ...] | None:
        max_values = self.limits.filter_values
        if values is not None and len(values) > max_values:
            message = f"The list has {len(values):,} values; at most {max_values:,} are allowed."
            raise bad_user_input(message, *self.path, name)
        return None if values is None else tuple(values)

    def check_text(self, value: str | None, *names: str) -> str | None:
        return check_text_argument(value, self.limits, *self.path, *names)

    def check_texts(self, values: Sequence[str] | None, *names: str) -> tuple[str, ...] | None:
        checked_values = self.child(*names[:-1]).check_size(values, names[-1])
        for index, value in enumerate(checked_values or ()):
            self.check_text(value, *names, str(index))
        return checked_values

    def parse_id(self, value: str | None, name: str) -> UUID | None:
        return None if value is None else parse_id_argument(value, *self.path, name)

    def parse_ids(self, values: Sequence[str] | None, name: str) -> tuple[UUID, ...] | None:
        checked_values = self.check_size(values, name)
        if checked_values is None:
            return None
        return tuple(
            parse_id_argument(text, *self.path, name, str(i))
            for i, text in enumerate(checked_values)
        )

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


@strawberry.input(
    description=with_example(
        "An event to log. A null attribute is treated as omitted.",
        """
        {
          type: "flaring.incident"
          entity: { type: "Well", id: "well-001" }
          severity: "warn"
          summary: "Flare started"
          fields: { volume_mcf: 150 }
          source: "/flare-monitor"
          sourceId: "42"
        }
        """,
    )
)
class LogEventInput:
    event_type_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="ID of the event type, as an alternative to `type`. If both are given, they "
        "must identify the same event type. An unknown ID is rejected with `NOT_FOUND`, text that "
        "is not a UUID with `INVALID_INPUT`.",
    )
    type: str | None = strawberry.field(
        default=None,
        description="CloudEvents type of the event: one line, at most 255 characters by default, "
        "not ending with `*`. If an event type with this type exists, the event is validated "
        "against it; otherwise the event is free-form. Defaults to the type of `eventTypeId`, or "
        "to `notice`.",
    )
    entity: EntityInput | None = strawberry.field(
        default=None, description="Entity that the event is about. Null if omitted."
    )
    severity: str | None = strawberry.field(
        default=None,
        description="Severity in text form; case is ignored. `error`, `failure` and `red` mean "
        "ERROR; `warn`, `warning` and `yellow` mean WARN; `info` and `blue` mean INFO; `success`, "
        "`successful` and `green` mean SUCCESS. The operator of the server can add words. Any "
        "other text means INFO, with the warning `SEVERITY_UNKNOWN`. INFO if omitted or blank. "
        "`Event.severityText` returns the text as it was sent.",
    )
    summary: str | None = strawberry.field(
        default=None,
        description="Short description of the event, at most 1,000 characters (configurable). "
        "Defaults to the name of the event type, or to the `type` of a free-form event.",
    )
    content: str | None = strawberry.field(
        default=None,
        description="Full description of the event, at most 100,000 characters by default. Null "
        "if omitted.",
    )
    source: str | None = strawberry.field(
        default=None,
        description="Producer of the event, as in CloudEvents: a URI-reference such as "
        "`/services/flare-monitor`, at most 255 characters (configurable). Defaults to the "
        "percent-encoded name of the API key or subject of the access token.",
    )
    subject: str | None = strawberry.field(
        default=None,
        description="Subject of the event within its source, as in CloudEvents, at most 255 "
        "characters by default. Null if omitted.",
    )
    outcome: Outcome | None = strawberry.field(
        default=None,
        description="Outcome of the activity that the event reports. Null if omitted.",
    )
    occurred_at: datetime | None = strawberry.field(
        default=None,
        description="Time at which the event occurred, at most 300 seconds in the future "
        "(configurable). Defaults to the current time.",
    )
    fields: JSON | None = strawberry.field(
        default=None,
        description="Custom values by field name: a JSON object of at most 64 KiB by default. If "
        "an event type with this `type` exists, the values are validated against the fields of "
        "the event type; a free-form event can have any values. Empty if omitted.",
    )
    tags: list[str] | None = strawberry.field(
        default=None,
        description="Tags of the event, such as `StudyId:01ED4CMJ4N9N504E3QJT1A68JY`. By default, "
        "at most 100 tags of 1 to 255 characters each. Duplicate tags are stored once. No tags if "
        "omitted.",
    )
    notification: bool | None = strawberry.field(
        default=None,
        description="Whether the event is a notification: listed by `notifications` and delivered "
        "by `notificationAdded`. Defaults to false.",
    )
    acknowledged: bool | None = strawberry.field(
        default=None,
        description="Whether the event is logged as acknowledged by the caller. Defaults to false.",
    )
    alert_key: str | None = strawberry.field(
        default=None,
        description="Identifies the condition that the event reports, such as `disk-full:/var`: at "
        "most 255 characters by default. While an unresolved event has the same `source` and "
        "alert key, this report is not stored as an event: it is counted in the `occurrences` of "
        "that event, which is returned with `duplicate: true`. If the report is more severe, it "
        "raises the event's `severity`, takes back its acknowledgement and, with `notification: "
        "true`, notifies again. Duplication rules do not apply. Null if omitted.",
    )
    resolved: bool | None = strawberry.field(
        default=False,
        description="Whether the condition that `alertKey` identifies is over. If true, `alertKey` "
        "is required, and no event is stored: the unresolved event with this `source` and alert "
        "key is resolved, and returned with `duplicate: true`. `summary` becomes its "
        "`resolutionNote`, and `occurredAt` its `resolvedAt`, or the current time if `occurredAt` "
        "is omitted or later. Of the other attributes, only `sourceId` is used: give the "
        "resolution one of its own, or none. If there is no such event, if another report of it "
        "has a later `occurredAt`, or if a resolution with the same or a later `occurredAt` has "
        "arrived before, nothing is resolved: `event` is null, and the warning is `NOT_FOUND`. A "
        "resolution with `occurredAt` is remembered for 24 hours: a "
        "report of the same `source` and `alertKey` whose `occurredAt` is not later is stored as a "
        "resolved event, and does not notify. A resolution without `occurredAt` by the API key or "
        "user that reported the event is remembered for reports of the same API key or user, as "
        "of the latest `occurredAt` of the event's reports. A time after the current time counts "
        "as the current time when it is compared. Alerts that a source repeats are compared only "
        "with resolutions by the source. With EVENT_UPDATE, a resolution applies to events "
        "that anyone reported; otherwise, only to those that the same API key or user reported.",
    )
    source_id: str | None = strawberry.field(
        default=None,
        description="Identifier that the producer gives the event, at most 255 characters by "
        "default. It makes retries safe: if an event with the same `source`, `sourceId` and "
        "content was already logged, nothing is stored, and the earlier event is returned with "
        "`duplicate: true`. If the content differs, the error is `CONFLICT`. Content is compared "
        "by value: timestamps by instant, tags and the values of MULTI_SELECT fields in any "
        "order, and null like absent. Null if omitted.",
    )

    def to_domain(self) -> EventDraft:
        attributes = vars(self) | {
            "entity": None if self.entity is None else self.entity.to_domain(),
            "tags": None if self.tags is None else tuple(self.tags),
            "resolved": self.resolved or None,
        }
        return create_frozen(EventDraft, attributes)


@strawberry.input(
    description=with_example(
        "Changes to an event. An omitted attribute keeps its value; null clears an optional "
        "attribute.",
        """
        {
          id: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f"
          ifVersion: 1
          severity: "error"
          fields: { volume_mcf: 175, cause: null }
        }
        """,
    )
)
class UpdateEventInput:
    id: strawberry.ID = strawberry.field(description="ID of the event.")
    if_version: int | None = strawberry.field(
        default=None,
        description="Version that the event must have; otherwise the error is `CONFLICT`. Any "
        "version if omitted.",
    )
    event_type_version: strawberry.Maybe[int | None] = strawberry.field(
        description="Version of the event type that the event is moved to: newer than the version "
        "of the event, and at most the latest version. The custom values are validated against "
        "this version, and fields that it adds get their default. If omitted, the event keeps its "
        "version. Must not be null; `INVALID_INPUT` for a free-form event."
    )
    entity: strawberry.Maybe[EntityInput | None] = strawberry.field(
        description="New entity that the event is about. Null removes the entity."
    )
    severity: strawberry.Maybe[str | None] = strawberry.field(
        description="New severity in text form, as in `LogEventInput.severity`. Unknown text "
        "means INFO, with the warning `SEVERITY_UNKNOWN`. Must not be null."
    )
    summary: strawberry.Maybe[str | None] = strawberry.field(
        description="New short description of the event, at most 1,000 characters by default. "
        "Must not be null."
    )
    content: strawberry.Maybe[str | None] = strawberry.field(
        description="New full description of the event, at most 100,000 characters by default. "
        "Null removes the description."
    )
    outcome: strawberry.Maybe[Outcome | None] = strawberry.field(
        description="New outcome of the activity that the event reports. Null removes the outcome."
    )
    occurred_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="New time at which the event occurred, at most 300 seconds in the future by "
        "default. Must not be null."
    )
    fields: strawberry.Maybe[JSON | None] = strawberry.field(
        description="New custom values by field name: a JSON object. The values of omitted fields "
        "are not changed; a null value removes the value of its field. Null instead of an object "
        "removes all values. All custom values of the event together may have at most 64 KiB of "
        "JSON by default."
    )
    tags: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="New tags of the event. By default, at most 100 tags of 1 to 255 characters "
        "each. Duplicate tags are stored once. Replaces the whole list. Null removes all tags."
    )
    notification: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether the event is a notification. A change from false to true puts the "
        "event at the top of `notifications`, and `notificationAdded` delivers it; a change to "
        "false removes it from `notifications`. Must not be null."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the given attributes for `intake.validate_update`."""
        attributes = read_provided_attributes(self, "tags")
        if attributes.get("entity") is not None:
            attributes["entity"] = attributes["entity"].to_domain()
        return attributes


def check_text_argument(value: str | None, limits: Limits, *argument: str) -> str | None:
    """Returns the text. Raises RequestError BAD_USER_INPUT if it is too long or cannot be stored.

    PostgreSQL rejects a string that it cannot store even in a comparison.
    """
    for problem in validate_text(value, limits.name_characters, *argument):
        raise bad_user_input(problem.message, *problem.path)
    return value


def parse_search_argument(value: str | None, limits: Limits, *argument: str) -> str | None:
    """Returns the search text, None if it is blank. Raises RequestError BAD_USER_INPUT.

    A search text that is not blank must have a word: it would select everything otherwise.
    """
    text = check_text_argument(value, limits, *argument)
    if text is None or not text.strip():
        return None
    if not extract_search_terms(text):
        message = (
            f"Search text {quote_value(text)} contains no words. Use at least one letter, "
            "digit or symbol."
        )
        raise bad_user_input(message, *argument)
    return text
