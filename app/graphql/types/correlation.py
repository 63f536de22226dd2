"""Correlations (links between events) and their connection."""

from __future__ import annotations

from datetime import datetime

import strawberry

from app.domain.events.correlations import Relation
from app.graphql.shared.pages import PageInfo, build_page_info
from app.graphql.types.event import Event
from app.services.events.correlation_queries import CorrelationPage


@strawberry.type(
    description="A link between two events, seen from the event whose `correlations` are listed. "
    "If several links lead to the same event, only one of them is listed, by priority: the link "
    "with the smallest depth, then a causal link rather than a RELATED one, then the oldest link."
)
class Correlation:
    relation: Relation = strawberry.field(
        description="Relation of `event` to the event whose correlations are listed: CAUSED_BY "
        "for a cause, CAUSE_OF for an effect. At a depth greater than 1, the cause of a cause is "
        "a cause, the effect of an effect is an effect, and every other event is RELATED."
    )
    depth: int = strawberry.field(
        description="Number of links between the two events: 1 for a direct link."
    )
    event: Event = strawberry.field(description="The correlated event.")
    created_at: datetime = strawberry.field(
        description="Time at which the link was created. At a depth greater than 1, the creation "
        "time of the last link on the path."
    )
    created_by: str = strawberry.field(
        description="Name of the API key or subject of the access token that created the link. At "
        "a depth greater than 1, the creator of the last link on the path."
    )


@strawberry.type(description="A correlation and its cursor.")
class CorrelationEdge:
    cursor: str = strawberry.field(
        description="Cursor of the correlation, valid only in this list."
    )
    node: Correlation = strawberry.field(description="The correlation.")


@strawberry.type(
    description="A page of the correlations of an event, ordered by depth, then by the creation "
    "time of the link, then by event ID."
)
class CorrelationConnection:
    edges: list[CorrelationEdge] = strawberry.field(
        description="Correlations of this page with their cursors."
    )
    page_info: PageInfo = strawberry.field(description="Pagination information.")
    total_count: int = strawberry.field(
        description="Number of correlated events on all pages, at most 1,000 by default."
    )

    @strawberry.field(description="Correlations of this page without their cursors.")
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
        return cls(
            edges=edges,
            page_info=build_page_info(page, edges),
            total_count=page.total,
        )
