"""Events and entities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain.events import filters
from app.domain.events.cloudevents import format_cloud_event, schema_url
from app.domain.events.correlations import resolve_depth
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity as EntityName
from app.domain.events.state import EventState
from app.graphql.shared.context import Context, Info
from app.graphql.shared.enums import SortDirection
from app.graphql.shared.field_sources import (
    EmbeddedObject,
    EventTypeReference,
    ForeignRow,
    IsNotNull,
    LatestOf,
    Listed,
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
    build_connection,
)
from app.graphql.types.event_filter import EventFilter, EventOrder
from app.graphql.types.loaders import get_loaders
from app.services.events import event_queries
from app.services.events.event_queries import EventOrderField, EventPageRequest
from app.store import tables
from app.store.reading.pages import parse_page_request

if TYPE_CHECKING:
    from app.graphql.types.correlation import CorrelationConnection
    from app.graphql.types.event_change import EventChangeConnection
    from app.graphql.types.event_type import EventType
    from app.graphql.types.field_value import FieldValue

LATEST_FIRST = EventOrder(field=EventOrderField.OCCURRED_AT, direction=SortDirection.DESC)


@backed_by_table(tables.Event)
@strawberry.type(description="Something that happened, as it was reported, checked and stored.")
class Event(Node):
    type: str = strawberry.field(
        description="Its CloudEvents type, a reverse-DNS name such as "
        "`com.slb.cloud.fdplan.studies.study_created.v1`."
    )
    event_type_version: int | None = strawberry.field(
        description="The version of the event type that it was checked against."
    )
    category: str | None = strawberry.field(
        description="The category of its event type, in the version that it was checked against; "
        "null where the type is free-form."
    )
    entity: Entity | None = strawberry.field(
        description="What it is about.",
        metadata=declare_source(EmbeddedObject({"type": "entity_type", "entity_id": "entity_id"})),
    )
    severity: Severity = strawberry.field(description="How grave it is.")
    summary: str = strawberry.field(description="What happened, in a line.")
    content: str | None = strawberry.field(description="What happened, at length.")
    source: str = strawberry.field(description="Who reported it, a URI-reference.")
    source_id: str | None = strawberry.field(
        description="The producer's own id for it, unique with `source`; null if none was given."
    )
    subject: str | None = strawberry.field(
        description="What of the source it is about, in CloudEvents' sense."
    )
    outcome: Outcome | None = strawberry.field(description="How what it tells of went.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    recorded_at: datetime = strawberry.field(description="When Tocsin accepted it.")
    updated_at: datetime = strawberry.field(description="When `updateEvent` last changed it.")
    fields: JSON = strawberry.field(description="Its values by field name, as checked: an object.")
    tags: list[str] = strawberry.field(description="Planning tags, `name:identifier`.")
    occurrences: int = strawberry.field(
        description="How many times it was reported: 1, and one more for each duplicate that was "
        "counted."
    )
    last_occurred_at: datetime = strawberry.field(
        description="When it occurred the last time, counted duplicates included.",
        metadata=declare_source(LatestOf("occurred_at", "last_occurred_at")),
    )
    notification: bool = strawberry.field(description="Whether it is shown in the bell.")
    acknowledged: bool = strawberry.field(
        description="Whether somebody has acknowledged it.",
        metadata=declare_source(IsNotNull("acknowledged_at")),
    )
    acknowledged_at: datetime | None = strawberry.field(description="When, the first time.")
    acknowledged_by: str | None = strawberry.field(description="Who did, the first time.")
    acknowledgement_note: str | None = strawberry.field(description="What they said of it.")
    version: int = strawberry.field(
        description="From 1; rises with every `updateEvent`, and with nothing else. Send it back "
        "as `ifVersion`."
    )
    state: strawberry.Private[EventState]

    @strawberry.field(
        description="The event that a duplication rule with FLAG found it to be a duplicate of; "
        "null once that is deleted.",
        metadata=declare_source(ForeignRow("duplicate_of_id")),
    )
    async def duplicate_of(self, info: Info) -> Event | None:
        if self.state.duplicate_of_id is None:
            return None
        return await get_loaders(info).events.load(self.state.duplicate_of_id)

    @strawberry.field(
        description="The definition that it was checked against; null where the type is free-form.",
        metadata=declare_source(EventTypeReference("event_type_id")),
    )
    async def event_type(
        self, info: Info
    ) -> Annotated[EventType, strawberry.lazy("app.graphql.types.event_type")] | None:
        if self.state.event_type_id is None:
            return None
        return await get_loaders(info).event_types.load(self.state.event_type_id)

    @strawberry.field(
        description="The same values beside their definitions, in the order of the form; none "
        "where the type is free-form."
    )
    async def field_values(
        self, info: Info
    ) -> list[Annotated[FieldValue, strawberry.lazy("app.graphql.types.field_value")]]:
        event_type_id, version = self.state.event_type_id, self.event_type_version
        if event_type_id is None or version is None:
            return []
        return await get_loaders(info).field_values(event_type_id, version, self.fields)

    @strawberry.field(description="It in CloudEvents 1.0 JSON format.")
    def cloud_event(self, info: Info) -> JSON:
        address = schema_url(info.context.public_url, self.state)
        return JSON(format_cloud_event(self.state, address))

    @strawberry.field(description="What happened to it, oldest first.")
    async def history(
        self, info: Info, first: First = 20, after: After = None
    ) -> Annotated[EventChangeConnection, strawberry.lazy("app.graphql.types.event_change")]:
        request = parse_page_request(info.context.limits, first=first, after=after)
        connection = await get_loaders(info).event_histories.load((UUID(self.id), request))
        if connection is None:
            raise KeyError(self.id)
        return connection

    @strawberry.field(
        description="The events that it is linked to, each once at its least depth, up to 1,000."
    )
    async def correlations(
        self,
        info: Info,
        depth: Annotated[
            int | None,
            strawberry.argument(
                description="1 to 5: 2 and more follows links of links. Below a list only 1."
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
            version=state.version,
            state=state,
        )


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
            EventFilter | None, strawberry.argument(description="Only these events.")
        ] = None,
        order_by: Annotated[
            EventOrder | None, strawberry.argument(description="The latest first, if left out.")
        ] = LATEST_FIRST,
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


def create_event_list_source(build_request: Callable[..., EventPageRequest]) -> Listed:
    return Listed(build_request, event_queries.select_page, ("occurred_at", "recorded_at", "id"))


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
    database, caller = info.context.database, info.context.caller
    page = await event_queries.fetch_page(
        database, caller, page_request.filters, page_request.order, page_request.request
    )
    return build_connection(
        page,
        page_request.order,
        caller.organization_id,
        Event.from_row,
        lambda: event_queries.count_events(database, caller, page_request.filters),
    )


@strawberry.type(
    description="What an event is about. It has no id of its own: two types may use the same "
    "`entityId`."
)
class Entity:
    type: str = strawberry.field(description="The kind of thing: `Well`.")
    entity_id: str = strawberry.field(description="Which one: `well-001`.")
    events: Connection[Event] = create_events_field(
        lambda entity: filters.EventFilter(entity=EntityName(entity.type, entity.entity_id)),
        "All that was reported about it.",
    )

    @classmethod
    def from_domain(cls, entity: EntityName | None) -> Entity | None:
        return None if entity is None else cls(type=entity.type, entity_id=entity.id)
