"""Connections: pages of a list with a cursor for each row. `totalCount` is counted on demand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import strawberry

from app.graphql.shared.field_sources import ConnectionPart, declare_source
from app.store.reading.pages import Order, Page

NodeT = TypeVar("NodeT")
RowT = TypeVar("RowT")


@strawberry.type(description="Whether the list goes on, and from where.")
class PageInfo:
    has_next_page: bool = strawberry.field(
        description="Whether rows follow this page.",
        metadata=declare_source(ConnectionPart.HAS_NEXT_PAGE),
    )
    has_previous_page: bool = strawberry.field(
        description="Whether rows precede this page.",
        metadata=declare_source(ConnectionPart.HAS_PREVIOUS_PAGE),
    )
    start_cursor: str | None = strawberry.field(
        description="The first row's cursor: give it as `before` for the page before this.",
        metadata=declare_source(ConnectionPart.START_CURSOR),
    )
    end_cursor: str | None = strawberry.field(
        description="The last row's cursor: give it as `after` for the page after this.",
        metadata=declare_source(ConnectionPart.END_CURSOR),
    )


@strawberry.type(description="A row of a list, with its cursor.")
class Edge(Generic[NodeT]):
    cursor: str = strawberry.field(
        description="The row's place in this list, in this order.",
        metadata=declare_source(ConnectionPart.CURSOR),
    )
    node: NodeT = strawberry.field(
        description="The row itself.", metadata=declare_source(ConnectionPart.NODE)
    )


@strawberry.type(description="A page of a list. Rows that come or go elsewhere move none of it.")
class Connection(Generic[NodeT]):
    edges: list[Edge[NodeT]] = strawberry.field(
        description="The rows with their cursors.", metadata=declare_source(ConnectionPart.EDGES)
    )
    page_info: PageInfo = strawberry.field(
        description="Whether and where the list goes on.",
        metadata=declare_source(ConnectionPart.PAGE_INFO),
    )
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="The rows alone.", metadata=declare_source(ConnectionPart.NODES))
    def nodes(self) -> list[NodeT]:
        return [edge.node for edge in self.edges]

    @strawberry.field(
        description="How many rows the whole list has. Costs a statement of its own: leave it "
        "out where nobody looks at it.",
        metadata=declare_source(ConnectionPart.TOTAL_COUNT),
    )
    async def total_count(self) -> int:
        return await self.count()


def build_connection(
    page: Page[RowT],
    order: Order[RowT],
    organization_id: UUID,
    to_node: Callable[[RowT], NodeT],
    count: Callable[[], Awaitable[int]],
) -> Connection[NodeT]:
    """Builds the connection of a page of rows."""
    edges = [
        Edge(cursor=order.encode_row_cursor(organization_id, row), node=to_node(row))
        for row in page.rows
    ]
    cursors = [edge.cursor for edge in edges]
    return Connection(
        edges=edges,
        page_info=build_page_info(cursors, page.has_next, page.has_previous),
        count=count,
    )


def build_page_info(cursors: Sequence[str], has_next: bool, has_previous: bool) -> PageInfo:
    return PageInfo(
        has_next_page=has_next,
        has_previous_page=has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )


First = Annotated[
    int | None,
    strawberry.argument(description="How many rows from the front: 1 to 100, 20 if left out."),
]
After = Annotated[
    str | None, strawberry.argument(description="Only what comes after the row of this cursor.")
]
SubscribeAfter = Annotated[
    str | None,
    strawberry.argument(
        description="First send what came later than this cursor: one of `notifications`, of "
        "`logHead`, or of the last message of a subscription. Left out, only what comes from now "
        "on. CURSOR_EXPIRED: load the list anew."
    ),
]
Last = Annotated[
    int | None, strawberry.argument(description="How many rows from the back: 1 to 100.")
]
Before = Annotated[
    str | None, strawberry.argument(description="Only what comes before the row of this cursor.")
]
Offset = Annotated[
    int | None,
    strawberry.argument(
        description="Rows to pass over, up to 10,000. A cursor is faster and never repeats a row."
    ),
]
