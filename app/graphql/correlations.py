"""Correlations as clients read and make them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.correlations import Relation
from app.domain.problems import Problem, invalid
from app.domain.values import read_id
from app.graphql.context import Info
from app.graphql.event_mutations import EventPayload
from app.graphql.events import Event
from app.graphql.pages import PageInfo, page_info
from app.graphql.problems import user_errors
from app.services import correlations
from app.services.correlated import Neighbours


@strawberry.type(
    description="That an event is linked to another, as seen from the one whose `correlations` "
    "were asked for. Where several links lead to the same event, it is told once, by the "
    "shortest way; of ways of one length, one that makes it a cause or an effect goes before one "
    "that does not, then the earlier link."
)
class Correlation:
    relation: Relation = strawberry.field(
        description="What `event` is to the event asked. The cause of a cause is a cause and the "
        "effect of an effect an effect; any other event further away than 1 is RELATED."
    )
    depth: int = strawberry.field(description="How many links away it is: 1 is direct.")
    event: Event = strawberry.field(description="The other event.")
    created_at: datetime = strawberry.field(
        description="When the link was made; further away than 1, the last link on the way there."
    )
    created_by: str = strawberry.field(
        description="Who made that link: the name of the credential."
    )


@strawberry.type(description="A correlation, with its cursor.")
class CorrelationEdge:
    cursor: str = strawberry.field(description="The correlation's place in the list.")
    node: Correlation = strawberry.field(description="The correlation.")


@strawberry.type(
    description="A page of an event's correlations: the nearest first, at the same depth the "
    "earliest linked, then by the other event's id."
)
class CorrelationConnection:
    edges: list[CorrelationEdge] = strawberry.field(
        description="The correlations with their cursors."
    )
    page_info: PageInfo = strawberry.field(description="Whether and where the list goes on.")
    total_count: int = strawberry.field(
        description="How many events are correlated, up to 1,000: more are not told."
    )

    @strawberry.field(description="The correlations alone.")
    def nodes(self) -> list[Correlation]:
        return [edge.node for edge in self.edges]

    @classmethod
    def from_neighbours(cls, page: Neighbours) -> CorrelationConnection:
        edges = [
            CorrelationEdge(
                cursor=cursor,
                node=Correlation(
                    relation=each.relation,
                    depth=each.place.depth,
                    event=Event.from_row(event),
                    created_at=each.place.created_at,
                    created_by=each.created_by,
                ),
            )
            for cursor, each, event in page.rows
        ]
        cursors = [edge.cursor for edge in edges]
        return cls(
            edges=edges,
            page_info=page_info(cursors, page.has_next, page.has_previous),
            total_count=page.total,
        )


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
        return await _change(info, correlations.correlate_events, event_id, related_ids, relation)

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
        return await _change(info, correlations.uncorrelate_events, event_id, related_ids, relation)


async def _change(
    info: Info, service: Any, event_id: str, related_ids: list[strawberry.ID], relation: Any
) -> EventPayload:
    problems: list[Problem] = []
    known = _read(event_id, problems, "eventId")
    others = [_read(each, problems, "relatedIds", str(at)) for at, each in enumerate(related_ids)]
    if problems:
        return EventPayload(event=None, user_errors=user_errors(problems))
    desk = info.context.desk
    return EventPayload.from_report(
        await service(info.context.database, desk, known, others, relation)
    )


def _read(text: str, problems: list[Problem], *path: str) -> UUID | None:
    found = read_id(text)
    if found is None:
        problems.append(invalid("Is no id; ids are UUIDs.", *path))
    return found
