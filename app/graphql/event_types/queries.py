"""Queries of event types."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.graphql.event_types.inputs import EventTypeBy, EventTypeFilter
from app.graphql.shared.context import Context, Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ListSource, LookupSource, declare_source
from app.graphql.shared.nodes import parse_id_argument
from app.graphql.shared.pages import After, Connection, First, fetch_connection
from app.graphql.types.event_inputs import check_text_argument
from app.graphql.types.event_type import EventType
from app.graphql.types.loaders import get_loaders
from app.services.definitions import event_types
from app.services.definitions.event_types import EventTypePageRequest
from app.store.reading.pages import parse_page_request


def _parse_event_type_key(_root: Any, context: Context, by: EventTypeBy) -> UUID | str:
    """Returns the ID or the type. Raises RequestError BAD_USER_INPUT if it is invalid."""
    if by.id:
        return parse_id_argument(by.id.value, "by", "id")
    type_name = by.type.value if by.type else ""
    check_text_argument(type_name, context.limits, "by", "type")
    return type_name


def _build_page_request(
    _root: Any,
    context: Context,
    filter: EventTypeFilter | None = None,
    first: int | None = 20,
    after: str | None = None,
) -> EventTypePageRequest:
    type_filter = (filter or EventTypeFilter()).to_domain(context.limits)
    return EventTypePageRequest(
        type_filter, parse_page_request(context.limits, first=first, after=after)
    )


@strawberry.type
class EventTypeQueries:
    @strawberry.field(
        description=with_example(
            "Event type with this ID or type. Null if there is no such event type.\n\n"
            "Requires EVENT_READ, EVENT_CREATE or EVENT_TYPE_MANAGE. Request errors: "
            "`BAD_USER_INPUT`, for example if the ID is not a UUID.",
            """
            {
              eventType(by: { type: "flaring.flaring_incident" }) {
                name
                fields { name label kind required }
              }
            }
            """,
        ),
        metadata=declare_source(LookupSource(_parse_event_type_key, event_types.EVENT_TYPE_BY_KEY)),
    )
    async def event_type(
        self,
        info: Info,
        by: Annotated[
            EventTypeBy, strawberry.argument(description="ID or type of the event type.")
        ],
    ) -> EventType | None:
        key = _parse_event_type_key(self, info.context, by)
        if isinstance(key, UUID):
            return await get_loaders(info).event_types.load(key)
        row = await event_types.EVENT_TYPE_BY_KEY.fetch_row(
            info.context.database, info.context.caller, key
        )
        return None if row is None else EventType.from_row(row)

    @strawberry.field(
        description=with_example(
            "Event types of the organization, in order of creation. An event type defines the "
            "fields of its events. Events of other types can also be logged; they are "
            "free-form.\n\n"
            "Requires EVENT_READ, EVENT_CREATE or EVENT_TYPE_MANAGE. Request errors: "
            "`INVALID_CURSOR`, `BAD_USER_INPUT`.",
            """
            {
              eventTypes(filter: { states: [PUBLISHED] }, first: 20) {
                nodes { id type name category version }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        ),
        metadata=declare_source(ListSource(_build_page_request, event_types.EVENT_TYPE_LIST)),
    )
    async def event_types(
        self,
        info: Info,
        filter: Annotated[
            EventTypeFilter | None,
            strawberry.argument(
                description="Conditions on the event types. All event types if omitted."
            ),
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[EventType]:
        request = _build_page_request(self, info.context, filter, first, after)
        return await fetch_connection(
            info.context, event_types.EVENT_TYPE_LIST, request, EventType.from_row
        )
