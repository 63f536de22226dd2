"""Mutations that link events and remove links."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from app.domain.events.correlations import Relation
from app.graphql.events.mutations import EventPayload
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.nodes import parse_input_ids, paths_of_items
from app.services.events import correlations

EventId = Annotated[strawberry.ID, strawberry.argument(description="ID of the event.")]
RelatedIds = Annotated[
    list[strawberry.ID],
    strawberry.argument(
        description="IDs of the other events, at most 100 by default. Must not include the event "
        "itself."
    ),
]


@strawberry.type
class CorrelationMutations:
    @strawberry.mutation(
        description=with_example(
            "Links an event to other events. Links that already exist are not changed. Either all "
            "links are created or none.\n\n"
            "Requires EVENT_UPDATE. User errors: `NOT_FOUND` for an unknown event, "
            "`INVALID_INPUT` if there are too many IDs or the event itself is among them, `CYCLE` "
            "if an event would become its own cause.",
            """
            mutation {
              correlateEvents(
                eventId: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f"
                relatedIds: ["01971f4e-9c10-7b21-8d3e-4f5a6b7c8d9e"]
                relation: CAUSED_BY
              ) {
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def correlate_events(
        self,
        info: Info,
        event_id: EventId,
        related_ids: RelatedIds,
        relation: Annotated[
            Relation | None,
            strawberry.argument(
                description="Relation of the other events to the event: with CAUSED_BY, they are "
                "causes of the event; with CAUSE_OF, they are effects of the event. Defaults to "
                "RELATED."
            ),
        ] = Relation.RELATED,
    ) -> EventPayload:
        relation = relation or Relation.RELATED
        return await _apply_change(
            info, correlations.correlate_events, event_id, related_ids, relation
        )

    @strawberry.mutation(
        description=with_example(
            "Removes links between an event and other events. Links that do not exist are "
            "ignored. Either all links are removed or none.\n\n"
            "Requires EVENT_UPDATE. User errors: `NOT_FOUND` for an unknown event, "
            "`INVALID_INPUT` if there are too many IDs or the event itself is among them.",
            """
            mutation {
              uncorrelateEvents(
                eventId: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f"
                relatedIds: ["01971f4e-9c10-7b21-8d3e-4f5a6b7c8d9e"]
              ) {
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def uncorrelate_events(
        self,
        info: Info,
        event_id: EventId,
        related_ids: RelatedIds,
        relation: Annotated[
            Relation | None,
            strawberry.argument(
                description="Relation of the links to remove. All links between the events if "
                "omitted."
            ),
        ] = None,
    ) -> EventPayload:
        return await _apply_change(
            info, correlations.uncorrelate_events, event_id, related_ids, relation
        )


async def _apply_change(
    info: Info, service: Any, event_id: str, related_ids: list[strawberry.ID], relation: Any
) -> EventPayload:
    parsed_event_id, *parsed_related_ids = parse_input_ids(
        {("eventId",): event_id, **paths_of_items(related_ids, "relatedIds")}
    )
    command = info.context.command
    return EventPayload.from_result(
        await service(info.context.database, command, parsed_event_id, parsed_related_ids, relation)
    )
