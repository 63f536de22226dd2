"""What is asked of events: one, a list of them, or what they are about."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.events import filters
from app.graphql.shared.context import Context, Info
from app.graphql.shared.declared import Made, One, reads
from app.graphql.shared.nodes import wanted_id
from app.graphql.shared.pages import Connection
from app.graphql.types.event import Entity, Event, events_field
from app.graphql.types.event_filter import storable
from app.services.events import event_queries
from app.services.events.event_queries import Reported


def _by_id(_root: Any, _context: Context, id: strawberry.ID) -> UUID:
    return wanted_id(id, "id")


def _by_source(_root: Any, context: Context, reporter: str, source_id: str) -> Reported:
    storable(reporter, context.limits, "source")
    storable(source_id, context.limits, "sourceId")
    return Reported(reporter, source_id)


async def _entity(_root: Any, context: Context, type: str, id: str) -> Entity:
    storable(type, context.limits, "type")
    storable(id, context.limits, "id")
    return Entity(type=type, entity_id=id)


@strawberry.type
class EventQueries:
    events: Connection[Event] = events_field(
        lambda _root: filters.EventFilter(), "The events that a filter selects."
    )

    @strawberry.field(
        description="One event; null where there is none of this id.",
        metadata=reads(One(_by_id, event_queries.select_one)),
    )
    async def event(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The event's id.")],
    ) -> Event | None:
        wanted = _by_id(self, info.context, id)
        row = await event_queries.find(info.context.database, info.context.caller, wanted)
        return None if row is None else Event.from_row(row)

    @strawberry.field(
        description="The event that a producer reported under its own id; null where there is "
        "none.",
        metadata=reads(One(_by_source, event_queries.select_one)),
    )
    async def event_by_source(
        self,
        info: Info,
        reporter: Annotated[
            str, strawberry.argument(name="source", description="The event's source.")
        ],
        source_id: Annotated[str, strawberry.argument(description="The producer's own id.")],
    ) -> Event | None:
        wanted = _by_source(self, info.context, reporter, source_id)
        row = await event_queries.find_by_source(
            info.context.database, info.context.caller, wanted.source, wanted.source_id
        )
        return None if row is None else Event.from_row(row)

    @strawberry.field(
        description="What events are about, by its names. It is there whether or not an event is.",
        metadata=reads(Made(_entity)),
    )
    async def entity(
        self,
        info: Info,
        type: Annotated[str, strawberry.argument(description="The kind of thing: `Well`.")],
        id: Annotated[str, strawberry.argument(description="Which one: `well-001`.")],
    ) -> Entity:
        return await _entity(self, info.context, type, id)
