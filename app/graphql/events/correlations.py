"""Mutations of correlations."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.events.correlations import Relation
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import parse_id
from app.graphql.events.mutations import EventPayload
from app.graphql.shared.context import Info
from app.graphql.types.user_error import to_user_errors
from app.services.events import correlations

EventId = Annotated[strawberry.ID, strawberry.argument(description="The event's id.")]
RelatedIds = Annotated[
    list[strawberry.ID],
    strawberry.argument(description="Ids of the other events: up to 100, none of them its own."),
]


@strawberry.type
class CorrelationMutations:
    @strawberry.mutation(
        description="Links an event to others. RELATED goes both ways; CAUSED_BY: the event was "
        "caused by the others; CAUSE_OF: it caused them. What is linked so already stays as it "
        "is. All are linked, or none: an event that is not there, the event itself, or a cycle "
        "of causes refuses the call."
    )
    async def correlate_events(
        self,
        info: Info,
        event_id: EventId,
        related_ids: RelatedIds,
        relation: Annotated[
            Relation | None,
            strawberry.argument(description="What the others are to the event."),
        ] = Relation.RELATED,
    ) -> EventPayload:
        relation = relation or Relation.RELATED
        return await _apply_change(
            info, correlations.correlate_events, event_id, related_ids, relation
        )

    @strawberry.mutation(
        description="Takes away what links an event to others. It is no error where nothing does. "
        "An event that is not there refuses the call."
    )
    async def uncorrelate_events(
        self,
        info: Info,
        event_id: EventId,
        related_ids: RelatedIds,
        relation: Annotated[
            Relation | None,
            strawberry.argument(
                description="Only links that say so; left out, whatever links them."
            ),
        ] = None,
    ) -> EventPayload:
        return await _apply_change(
            info, correlations.uncorrelate_events, event_id, related_ids, relation
        )


async def _apply_change(
    info: Info, service: Any, event_id: str, related_ids: list[strawberry.ID], relation: Any
) -> EventPayload:
    problems: list[Problem] = []
    parsed_event_id = _parse_id(event_id, problems, "eventId")
    parsed_related_ids = [
        _parse_id(related_id, problems, "relatedIds", str(index))
        for index, related_id in enumerate(related_ids)
    ]
    if problems:
        return EventPayload(event=None, user_errors=to_user_errors(problems))
    command = info.context.command
    return EventPayload.from_report(
        await service(info.context.database, command, parsed_event_id, parsed_related_ids, relation)
    )


def _parse_id(text: str, problems: list[Problem], *path: str) -> UUID | None:
    parsed_id = parse_id(text)
    if parsed_id is None:
        problems.append(invalid_input("Is no id; ids are UUIDs.", *path))
    return parsed_id
