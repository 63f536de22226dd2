"""Correlations: links between events, in pages."""

from __future__ import annotations

from datetime import datetime

import strawberry

from app.domain.events.correlations import Relation
from app.graphql.shared.pages import PageInfo, build_page_info
from app.graphql.types.event import Event
from app.services.events.correlation_queries import CorrelationPage


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
    def from_neighbours(cls, page: CorrelationPage) -> CorrelationConnection:
        edges = [
            CorrelationEdge(
                cursor=cursor,
                node=Correlation(
                    relation=neighbour.relation,
                    depth=neighbour.key.depth,
                    event=Event.from_row(event),
                    created_at=neighbour.key.created_at,
                    created_by=neighbour.created_by,
                ),
            )
            for cursor, neighbour, event in page.rows
        ]
        cursors = [edge.cursor for edge in edges]
        return cls(
            edges=edges,
            page_info=build_page_info(cursors, page.has_next, page.has_previous),
            total_count=page.total,
        )
