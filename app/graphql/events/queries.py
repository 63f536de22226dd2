"""Queries of events and entities."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.events import filters
from app.domain.events.state import SourceIdentity
from app.graphql.shared.context import Context, Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ComputedField, LookupSource, declare_source
from app.graphql.shared.nodes import parse_id_argument
from app.graphql.shared.pages import Connection
from app.graphql.types.event import Entity, Event, create_events_field
from app.graphql.types.event_inputs import check_text_argument
from app.services.events import event_queries


def _parse_event_id(_root: Any, _context: Context, id: strawberry.ID) -> UUID:
    return parse_id_argument(id, "id")


def _parse_source_identity(
    _root: Any, context: Context, reporter: str, source_id: str
) -> SourceIdentity:
    check_text_argument(reporter, context.limits, "source")
    check_text_argument(source_id, context.limits, "sourceId")
    return SourceIdentity(reporter, source_id)


async def _fetch_event(context: Context, key: UUID | SourceIdentity) -> Event | None:
    row = await event_queries.EVENT_BY_KEY.fetch_row(context.database, context.caller, key)
    return None if row is None else Event.from_row(row)


@strawberry.type
class EventQueries:
    events: Connection[Event] = create_events_field(
        lambda _root: filters.EventFilter(),
        with_example(
            "Events that match a filter, latest `occurredAt` first by default.\n\n"
            "Requires EVENT_READ. Request errors: `BAD_USER_INPUT` for an invalid filter or page "
            "argument, `INVALID_CURSOR`.",
            """
            {
              events(first: 10, filter: { severities: [ERROR] }) {
                nodes { id summary }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        ),
    )

    @strawberry.field(
        description=with_example(
            "Event with this ID. Null if there is no such event.\n\n"
            "Requires EVENT_READ. Request errors: `BAD_USER_INPUT` if the ID is not a UUID.",
            """
            {
              event(id: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f") { summary severity occurredAt }
            }
            """,
        ),
        metadata=declare_source(LookupSource(_parse_event_id, event_queries.EVENT_BY_KEY)),
    )
    async def event(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="ID of the event.")],
    ) -> Event | None:
        event_id = _parse_event_id(self, info.context, id)
        return await _fetch_event(info.context, event_id)

    @strawberry.field(
        description=with_example(
            "Event that was logged with this source and identifier, as given by its producer. For "
            "a duplicate that a COUNT rule counted, it is the original. Null if no event was "
            "logged with them, or if the event was deleted.\n\n"
            "Requires EVENT_READ.",
            """
            {
              eventBySource(source: "/flare-monitor", sourceId: "42") { id occurrences }
            }
            """,
        ),
        metadata=declare_source(LookupSource(_parse_source_identity, event_queries.EVENT_BY_KEY)),
    )
    async def event_by_source(
        self,
        info: Info,
        reporter: Annotated[
            str,
            strawberry.argument(name="source", description="Source of the logged event."),
        ],
        source_id: Annotated[
            str,
            strawberry.argument(
                description="Identifier that the producer gave the event (`sourceId`)."
            ),
        ],
    ) -> Event | None:
        identity = _parse_source_identity(self, info.context, reporter, source_id)
        return await _fetch_event(info.context, identity)

    @strawberry.field(
        description=with_example(
            "Entity with this type and identifier, whose events can be listed. The entity is "
            "returned even if there are no events about it.\n\n"
            "Requires EVENT_READ.",
            """
            {
              entity(type: "Well", id: "well-001") {
                events(first: 5) {
                  nodes { summary }
                }
              }
            }
            """,
        ),
        metadata=declare_source(ComputedField()),
    )
    async def entity(
        self,
        info: Info,
        type: Annotated[
            str,
            strawberry.argument(
                description="Type of the entity, such as `Well`: at most 255 characters by default."
            ),
        ],
        id: Annotated[
            str,
            strawberry.argument(
                description="Identifier of the entity within its type, such as `well-001`: at "
                "most 255 characters by default."
            ),
        ],
    ) -> Entity:
        check_text_argument(type, info.context.limits, "type")
        check_text_argument(id, info.context.limits, "id")
        return Entity(type=type, entity_id=id)
