"""Queries of events and entities."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.events import filters
from app.graphql.shared.context import Context, Info
from app.graphql.shared.field_sources import ComputedField, One, declare_source
from app.graphql.shared.nodes import parse_id_argument
from app.graphql.shared.pages import Connection
from app.graphql.types.event import Entity, Event, create_events_field
from app.graphql.types.event_filter import check_text_argument
from app.services.events import event_queries
from app.services.events.event_queries import SourceIdentity


def _parse_event_id(_root: Any, _context: Context, id: strawberry.ID) -> UUID:
    return parse_id_argument(id, "id")


def _parse_source_key(
    _root: Any, context: Context, reporter: str, source_id: str
) -> SourceIdentity:
    check_text_argument(reporter, context.limits, "source")
    check_text_argument(source_id, context.limits, "sourceId")
    return SourceIdentity(reporter, source_id)


async def _resolve_entity(_root: Any, context: Context, type: str, id: str) -> Entity:
    check_text_argument(type, context.limits, "type")
    check_text_argument(id, context.limits, "id")
    return Entity(type=type, entity_id=id)


@strawberry.type
class EventQueries:
    events: Connection[Event] = create_events_field(
        lambda _root: filters.EventFilter(), "The events that a filter selects."
    )

    @strawberry.field(
        description="One event; null where there is none of this id.",
        metadata=declare_source(One(_parse_event_id, event_queries.select_event)),
    )
    async def event(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The event's id.")],
    ) -> Event | None:
        event_id = _parse_event_id(self, info.context, id)
        row = await event_queries.fetch_event(info.context.database, info.context.caller, event_id)
        return None if row is None else Event.from_row(row)

    @strawberry.field(
        description="The event that a producer reported under its own id; null where there is "
        "none.",
        metadata=declare_source(One(_parse_source_key, event_queries.select_event)),
    )
    async def event_by_source(
        self,
        info: Info,
        reporter: Annotated[
            str, strawberry.argument(name="source", description="The event's source.")
        ],
        source_id: Annotated[str, strawberry.argument(description="The producer's own id.")],
    ) -> Event | None:
        source_key = _parse_source_key(self, info.context, reporter, source_id)
        row = await event_queries.fetch_event_by_source(
            info.context.database, info.context.caller, source_key.source, source_key.source_id
        )
        return None if row is None else Event.from_row(row)

    @strawberry.field(
        description="What events are about, by its names. It is there whether or not an event is.",
        metadata=declare_source(ComputedField(_resolve_entity)),
    )
    async def entity(
        self,
        info: Info,
        type: Annotated[str, strawberry.argument(description="The kind of thing: `Well`.")],
        id: Annotated[str, strawberry.argument(description="Which one: `well-001`.")],
    ) -> Entity:
        return await _resolve_entity(self, info.context, type, id)
