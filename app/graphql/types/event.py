"""Events and entities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain.events import filters
from app.domain.events.cloudevents import format_cloud_event, schema_url
from app.domain.events.correlations import resolve_depth
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity as EntityName
from app.domain.events.state import EventState, EventStatus
from app.graphql.shared.context import Context, Info
from app.graphql.shared.enums import SortDirection
from app.graphql.shared.field_sources import (
    EmbeddedObject,
    EventStatusOf,
    EventTypeReference,
    ForeignRow,
    IsNotNull,
    LatestOf,
    ListSource,
    backed_by_table,
    declare_source,
)
from app.graphql.shared.nodes import Node, format_id
from app.graphql.shared.pages import (
    After,
    Before,
    Connection,
    First,
    Last,
    Offset,
    fetch_connection,
)
from app.graphql.types.event_inputs import EventFilter, EventOrder
from app.graphql.types.loaders import get_loaders
from app.graphql.types.user_error import GuardViolation, to_user_errors
from app.services.events import event_queries
from app.services.events.event_queries import EventOrderField, EventPageRequest
from app.store import tables
from app.store.reading.pages import parse_page_request

if TYPE_CHECKING:
    from app.graphql.types.correlation import CorrelationConnection
    from app.graphql.types.event_change import EventChangeConnection
    from app.graphql.types.event_type import EventType
    from app.graphql.types.field_value import FieldValue
    from app.graphql.types.silence import Silence

LATEST_FIRST = EventOrder(field=EventOrderField.OCCURRED_AT, direction=SortDirection.DESC)


@backed_by_table(tables.Event)
@strawberry.type(
    description="A record of something that happened. A producer logs the event; Tocsin validates "
    "and stores it."
)
class Event(Node):
    type: str = strawberry.field(
        description="CloudEvents type of the event, usually a reverse-DNS name such as "
        "`com.slb.cloud.fdplan.studies.study_created.v1`."
    )
    event_type_version: int | None = strawberry.field(
        description="Version of the event type that the event was validated against. Null for a "
        "free-form event."
    )
    category: str | None = strawberry.field(
        description="Category of the event type, in the version that the event was validated "
        "against. Null for a free-form event."
    )
    entity: Entity | None = strawberry.field(
        description="Entity that the event is about, such as a well. Null if none was given.",
        metadata=declare_source(EmbeddedObject({"type": "entity_type", "entity_id": "entity_id"})),
    )
    severity: Severity = strawberry.field(
        description="Severity of the event. INFO if the reported severity is missing or unknown. "
        "A more severe duplicate raises the severity if a COUNT rule with `escalate: true` counts "
        "it."
    )
    severity_text: str | None = strawberry.field(
        description="Severity as it was reported, before it was mapped to `severity`, such as "
        "`critical`. At most 255 characters by default; longer text is truncated. Null if none "
        "was reported."
    )
    summary: str = strawberry.field(
        description="Short description of the event, at most 1,000 characters (configurable). "
        "Defaults to the name of the event type, or to the `type` of a free-form event."
    )
    content: str | None = strawberry.field(
        description="Full description of the event, at most 100,000 characters by default. Null "
        "if none was given."
    )
    source: str = strawberry.field(
        description="Producer of the event, as in CloudEvents: a URI-reference such as "
        "`/services/flare-monitor`. Defaults to the percent-encoded name of the API key or subject "
        "of the access token that logged the event."
    )
    source_id: str | None = strawberry.field(
        description="Identifier that the producer gave the event, unique together with `source`. "
        "Null if none was given."
    )
    subject: str | None = strawberry.field(
        description="Subject of the event within its source, as in CloudEvents. Null if none was "
        "given."
    )
    outcome: Outcome | None = strawberry.field(
        description="Outcome of the activity that the event reports. Null if none was given."
    )
    occurred_at: datetime = strawberry.field(
        description="Time at which the event occurred. Defaults to the time at which the event "
        "was logged."
    )
    recorded_at: datetime = strawberry.field(
        description="Time at which the event was logged, by the server's clock."
    )
    updated_at: datetime = strawberry.field(
        description="Time of the last change by `updateEvent`, or by a counted duplicate that "
        "raised the severity. Other changes, such as acknowledgements, do not count. Equal to "
        "`recordedAt` if there was no such change."
    )
    fields: JSON = strawberry.field(
        description="Custom values of the event by field name: a JSON object, empty if the event "
        "has none. It includes the default values of fields, but not the values of hidden fields."
    )
    tags: list[str] = strawberry.field(
        description="Tags of the event, without duplicates. By default, at most 100 tags of at "
        "most 255 characters each. The planning system FDPlan uses tags of the form "
        "`name:identifier`, such as `StudyId:01ED4CMJ4N9N504E3QJT1A68JY`, to identify the study "
        "and the scenario that an event belongs to."
    )
    occurrences: int = strawberry.field(
        description="Number of times the event was logged: 1, plus 1 for each duplicate that a "
        "COUNT rule counted."
    )
    last_occurred_at: datetime = strawberry.field(
        description="Time of the latest occurrence, including duplicates that a COUNT rule "
        "counted. Equal to `occurredAt` if no duplicate was counted.",
        metadata=declare_source(LatestOf("occurred_at", "last_occurred_at")),
    )
    notification: bool = strawberry.field(
        description="Whether the event is a notification: listed by `notifications` and delivered "
        "by `notificationAdded`, unless a silence suppresses it (`silencedBy`)."
    )
    acknowledged: bool = strawberry.field(
        description="Whether the event is acknowledged.",
        metadata=declare_source(IsNotNull("acknowledged_at")),
    )
    acknowledged_at: datetime | None = strawberry.field(
        description="Time at which the event was acknowledged. Null if the event is not "
        "acknowledged."
    )
    acknowledged_by: str | None = strawberry.field(
        description="Name of the API key or subject of the access token that acknowledged the "
        "event. Null if the event is not acknowledged."
    )
    acknowledgement_note: str | None = strawberry.field(
        description="Note on the acknowledgement, at most 1,000 characters by default. Null if "
        "none was given."
    )
    alert_key: str | None = strawberry.field(
        description="Identifies a condition of the source, such as `disk-full:/var`. At most one "
        "unresolved event has this key and `source`: later reports with the key are counted as "
        "repeats of it. Null if none was given."
    )
    status: EventStatus | None = strawberry.field(
        description="Status of the event: RESOLVED if `resolvedAt` is not null; otherwise "
        "ACKNOWLEDGED if `acknowledgedAt` is not null; otherwise OPEN. Null unless the event is a "
        "notification or has an alert key, because no one has to handle it.",
        metadata=declare_source(EventStatusOf()),
    )
    resolved_at: datetime | None = strawberry.field(
        description="Time at which the event was resolved, that is, what it reports was over. "
        "Null if the event is not resolved."
    )
    resolved_by: str | None = strawberry.field(
        description="Name of the API key or subject of the access token that resolved the event. "
        "Null if the event is not resolved."
    )
    resolution_note: str | None = strawberry.field(
        description="Note on the resolution, at most 1,000 characters by default. Null if none "
        "was given."
    )
    version: int = strawberry.field(
        description="Version of the event, starting at 1 and incremented by `updateEvent` and by "
        "each counted duplicate that raises the severity. Pass the version to `updateEvent` as "
        "`ifVersion` to detect concurrent changes."
    )
    state: strawberry.Private[EventState]

    @strawberry.field(
        description="Original event, if a FLAG rule marked this event as a duplicate. Null "
        "otherwise, and after the original is deleted. Requires EVENT_READ.",
        metadata=declare_source(ForeignRow("duplicate_of_id")),
    )
    async def duplicate_of(self, info: Info) -> Event | None:
        if self.state.duplicate_of_id is None:
            return None
        return await get_loaders(info).events.load(self.state.duplicate_of_id)

    @strawberry.field(
        description="Silence that suppresses the notification of the event. Null if none does, and "
        "once the event has notified. An event that was acknowledged or resolved during the "
        "silence does not notify later. Requires EVENT_READ.",
        metadata=declare_source(ForeignRow("silenced_by_id")),
    )
    async def silenced_by(
        self, info: Info
    ) -> Annotated[Silence, strawberry.lazy("app.graphql.types.silence")] | None:
        if self.state.silenced_by_id is None:
            return None
        return await get_loaders(info).silences.load(self.state.silenced_by_id)

    @strawberry.field(
        description="Event type that the event was validated against. Null for a free-form event. "
        "Requires EVENT_READ, EVENT_CREATE or EVENT_TYPE_MANAGE.",
        metadata=declare_source(EventTypeReference("event_type_id")),
    )
    async def event_type(
        self, info: Info
    ) -> Annotated[EventType, strawberry.lazy("app.graphql.types.event_type")] | None:
        if self.state.event_type_id is None:
            return None
        return await get_loaders(info).event_types.load(self.state.event_type_id)

    @strawberry.field(
        description="Custom values with the definitions of their fields, in form order. Fields "
        "without a value are omitted. Empty for a free-form event."
    )
    async def field_values(
        self, info: Info
    ) -> list[Annotated[FieldValue, strawberry.lazy("app.graphql.types.field_value")]]:
        event_type_id, version = self.state.event_type_id, self.event_type_version
        if event_type_id is None or version is None:
            return []
        return await get_loaders(info).field_values(event_type_id, version, self.fields)

    @strawberry.field(
        description="Published guard rules that the event does not pass, evaluated as if the event "
        "were logged now: `old` is null. They are rules with the enforcement mode WARN, and those "
        "that were published after the event was logged. The first step of `path` is an attribute "
        "of the event."
    )
    async def guard_violations(self, info: Info) -> list[GuardViolation]:
        violations = await get_loaders(info).guard_violations.load(UUID(self.id))
        return cast("list[GuardViolation]", to_user_errors(violations or ()))

    @strawberry.field(description="The event in CloudEvents 1.0 JSON format.")
    def cloud_event(self, info: Info) -> JSON:
        address = schema_url(info.context.public_url, self.state)
        return JSON(format_cloud_event(self.state, address))

    @strawberry.field(
        description="Entries about the event in the change log, oldest first: the first ones, or "
        "with `last` the newest. Requires EVENT_READ."
    )
    async def history(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Annotated[EventChangeConnection, strawberry.lazy("app.graphql.types.event_change")]:
        request = parse_page_request(
            info.context.limits, first=first, after=after, last=last, before=before
        )
        connection = await get_loaders(info).event_histories.load((UUID(self.id), request))
        if connection is None:
            raise KeyError(self.id)
        return connection

    @strawberry.field(
        description="Events that are linked to this event, each listed once, at its smallest "
        "depth. By default, only the nearest 1,000 are listed. Requires EVENT_READ."
    )
    async def correlations(
        self,
        info: Info,
        depth: Annotated[
            int | None,
            strawberry.argument(
                description="Maximum number of links to follow from the event. Default 1, minimum "
                "1, maximum 5 (configurable). Within a list of events, the depth must be 1; "
                "otherwise the error is `BAD_USER_INPUT`."
            ),
        ] = 1,
        first: First = 20,
        after: After = None,
    ) -> Annotated[CorrelationConnection, strawberry.lazy("app.graphql.types.correlation")]:
        limits = info.context.limits
        in_list = any(isinstance(step, int) for step in info.path.as_list())
        checked_depth = resolve_depth(depth, in_list, limits)
        request = parse_page_request(limits, first=first, after=after)
        return await get_loaders(info).correlations(UUID(self.id), checked_depth, request)

    @classmethod
    def from_row(cls, row: tables.Event) -> Event:
        state = row.to_domain()
        return cls(
            id=format_id(state.id),
            type=state.type,
            event_type_version=state.event_type_version,
            category=state.category,
            entity=Entity.from_domain(state.entity),
            severity=state.severity,
            severity_text=state.severity_text,
            summary=state.summary,
            content=state.content,
            source=state.source,
            source_id=state.source_id,
            subject=state.subject,
            outcome=state.outcome,
            occurred_at=state.occurred_at,
            recorded_at=state.recorded_at,
            updated_at=state.updated_at,
            fields=JSON(state.fields),
            tags=list(state.tags),
            occurrences=state.occurrences,
            last_occurred_at=state.latest_occurrence,
            notification=state.notification,
            acknowledged=state.acknowledged,
            acknowledged_at=state.acknowledged_at,
            acknowledged_by=state.acknowledged_by,
            acknowledgement_note=state.acknowledgement_note,
            alert_key=state.alert_key,
            status=state.status,
            resolved_at=state.resolved_at,
            resolved_by=state.resolved_by,
            resolution_note=state.resolution_note,
            version=state.version,
            state=state,
        )


OrderBy = Annotated[
    EventOrder | None,
    strawberry.argument(description="Order of the events. Latest `occurredAt` first if omitted."),
]


def create_events_field(
    build_parent_filter: Callable[[Any], filters.EventFilter],
    description: str,
    *,
    has_source: bool = True,
) -> Any:
    """Creates a field that lists events. `build_parent_filter` selects the events of its parent."""

    async def resolve(
        root: strawberry.Parent[Any],
        info: Info,
        filter: Annotated[
            EventFilter | None,
            strawberry.argument(description="Conditions on the events. All events if omitted."),
        ] = None,
        order_by: OrderBy = LATEST_FIRST,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        offset: Offset = None,
    ) -> Connection[Event]:
        return await fetch_event_connection(
            info,
            build_request(
                root,
                info.context,
                filter=filter,
                order_by=order_by,
                first=first,
                after=after,
                last=last,
                before=before,
                offset=offset,
            ),
        )

    def build_request(
        root: Any, context: Context, filter: EventFilter | None = None, **page_arguments: Any
    ) -> EventPageRequest:
        event_filters = [build_parent_filter(root)]
        if filter is not None:
            event_filters.append(filter.to_domain(context.limits))
        return build_event_page_request(context, event_filters, **page_arguments)

    return strawberry.field(
        resolver=resolve,
        description=description,
        metadata=declare_source(create_event_list_source(build_request)) if has_source else None,
    )


def create_event_list_source(build_request: Callable[..., EventPageRequest]) -> ListSource:
    return ListSource(build_request, event_queries.EVENT_LIST)


def build_event_page_request(
    context: Context,
    event_filters: Sequence[filters.EventFilter],
    order_by: EventOrder | None = LATEST_FIRST,
    **page_arguments: Any,
) -> EventPageRequest:
    """Builds the request for a page of the events that match all filters.

    Raises RequestError BAD_USER_INPUT for invalid page arguments.
    """
    order_input = order_by or LATEST_FIRST
    order = event_queries.event_order(
        order_input.field, order_input.direction is SortDirection.DESC
    )
    return EventPageRequest(
        tuple(event_filters), order, parse_page_request(context.limits, **page_arguments)
    )


async def fetch_event_connection(info: Info, page_request: EventPageRequest) -> Connection[Event]:
    return await fetch_connection(
        info.context, event_queries.EVENT_LIST, page_request, Event.from_row
    )


@strawberry.type(
    description="A thing that events are about, such as a well or a container. An entity is "
    "identified by its type and ID together. Entities are not stored: they exist only as "
    "attributes of events."
)
class Entity:
    type: str = strawberry.field(description="Type of the entity, such as `Well`.")
    entity_id: str = strawberry.field(
        description="Identifier of the entity within its type, such as `well-001`."
    )
    events: Connection[Event] = create_events_field(
        lambda entity: filters.EventFilter(entity=EntityName(entity.type, entity.entity_id)),
        "Events about the entity. Requires EVENT_READ.",
    )

    @classmethod
    def from_domain(cls, entity: EntityName | None) -> Entity | None:
        return None if entity is None else cls(type=entity.type, entity_id=entity.id)
