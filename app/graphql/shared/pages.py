"""Connections: pages of a list with a cursor for each row. `totalCount` is counted when asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import strawberry

from app.graphql.shared.declared import Part, reads
from app.store.reading.pages import Order, Page

NodeT = TypeVar("NodeT")
RowT = TypeVar("RowT")


@strawberry.type(description="Whether the list goes on, and from where.")
class PageInfo:
    has_next_page: bool = strawberry.field(
        description="Whether rows follow this page.", metadata=reads(Part.HAS_NEXT)
    )
    has_previous_page: bool = strawberry.field(
        description="Whether rows precede this page.", metadata=reads(Part.HAS_PREVIOUS)
    )
    start_cursor: str | None = strawberry.field(
        description="The first row's cursor: give it as `before` for the page before this.",
        metadata=reads(Part.START),
    )
    end_cursor: str | None = strawberry.field(
        description="The last row's cursor: give it as `after` for the page after this.",
        metadata=reads(Part.END),
    )


@strawberry.type(description="A row of a list, with its cursor.")
class Edge(Generic[NodeT]):
    cursor: str = strawberry.field(
        description="The row's place in this list, in this order.", metadata=reads(Part.CURSOR)
    )
    node: NodeT = strawberry.field(description="The row itself.", metadata=reads(Part.NODE))


@strawberry.type(description="A page of a list. Rows that come or go elsewhere move none of it.")
class Connection(Generic[NodeT]):
    edges: list[Edge[NodeT]] = strawberry.field(
        description="The rows with their cursors.", metadata=reads(Part.EDGES)
    )
    page_info: PageInfo = strawberry.field(
        description="Whether and where the list goes on.", metadata=reads(Part.PAGE_INFO)
    )
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="The rows alone.", metadata=reads(Part.NODES))
    def nodes(self) -> list[NodeT]:
        return [edge.node for edge in self.edges]

    @strawberry.field(
        description="How many rows the whole list has. Costs a statement of its own: leave it "
        "out where nobody looks at it.",
        metadata=reads(Part.TOTAL),
    )
    async def total_count(self) -> int:
        return await self.count()


def connection(
    page: Page[RowT],
    order: Order[RowT],
    organization_id: UUID,
    to_node: Callable[[RowT], NodeT],
    count: Callable[[], Awaitable[int]],
) -> Connection[NodeT]:
    """A page of rows as clients see it."""
    edges = [
        Edge(cursor=order.cursor(organization_id, row), node=to_node(row)) for row in page.rows
    ]
    cursors = [edge.cursor for edge in edges]
    return Connection(
        edges=edges,
        page_info=page_info(cursors, page.has_next, page.has_previous),
        count=count,
    )


def page_info(cursors: Sequence[str], has_next: bool, has_previous: bool) -> PageInfo:
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
Since = Annotated[
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
