"""Connections: pages of a list with a cursor for each row, and the arguments of pagination."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import strawberry

from app.graphql.shared.field_sources import ConnectionPart, declare_source
from app.store.reading.pages import Order, Page

NodeT = TypeVar("NodeT")
RowT = TypeVar("RowT")


@strawberry.type(
    description="Pagination information: whether there are more rows, and the cursors to request "
    "them with."
)
class PageInfo:
    has_next_page: bool = strawberry.field(
        description="Whether there are rows after this page.",
        metadata=declare_source(ConnectionPart.HAS_NEXT_PAGE),
    )
    has_previous_page: bool = strawberry.field(
        description="Whether there are rows before this page.",
        metadata=declare_source(ConnectionPart.HAS_PREVIOUS_PAGE),
    )
    start_cursor: str | None = strawberry.field(
        description="Cursor of the first row. Pass it as `before` to request the previous page. "
        "Null if the page is empty.",
        metadata=declare_source(ConnectionPart.START_CURSOR),
    )
    end_cursor: str | None = strawberry.field(
        description="Cursor to pass as `after` to request the next page: that of the last row. "
        "Null if the page is empty, unless a filter of `eventChanges` stopped before the end of "
        "the change log.",
        metadata=declare_source(ConnectionPart.END_CURSOR),
    )


@strawberry.type(description="A row of a list and its cursor.")
class Edge(Generic[NodeT]):
    cursor: str = strawberry.field(
        description="Cursor of the row. It is valid only in a list of the same kind and order.",
        metadata=declare_source(ConnectionPart.CURSOR),
    )
    node: NodeT = strawberry.field(
        description="The row.", metadata=declare_source(ConnectionPart.NODE)
    )


@strawberry.type(
    description="A page of a list. With cursors, rows that are added or deleted meanwhile do not "
    "move other rows to another page."
)
class Connection(Generic[NodeT]):
    edges: list[Edge[NodeT]] = strawberry.field(
        description="Rows of this page with their cursors.",
        metadata=declare_source(ConnectionPart.EDGES),
    )
    page_info: PageInfo = strawberry.field(
        description="Pagination information.",
        metadata=declare_source(ConnectionPart.PAGE_INFO),
    )
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(
        description="Rows of this page without their cursors.",
        metadata=declare_source(ConnectionPart.NODES),
    )
    def nodes(self) -> list[NodeT]:
        return [edge.node for edge in self.edges]

    @strawberry.field(
        description="Number of rows in the whole list. It takes a database query of its own: "
        "request it only if you show it.",
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
    strawberry.argument(
        description="Number of rows to return from the start of the list, or immediately after the "
        "cursor `after`. Default 20, minimum 1, maximum 100 (configurable). Not allowed with "
        "`last`."
    ),
]
After = Annotated[
    str | None,
    strawberry.argument(
        description="Cursor of a row. Only rows after it are returned. Not allowed with `before`. "
        "A cursor of another list or order is an `INVALID_CURSOR` error."
    ),
]
SubscribeAfter = Annotated[
    str | None,
    strawberry.argument(
        description="Cursor from which the subscription resumes: one of `notifications` or "
        "`eventChanges`, `logHead`, or that of the last message received. Everything later is "
        "sent first, then new changes. Only new changes are sent if omitted. If the change log "
        "has been pruned beyond the cursor, the error is `CURSOR_EXPIRED`: load the list again "
        "and subscribe with a new cursor."
    ),
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description="Number of rows to return from the end of the list, or immediately before the "
        "cursor `before`. Minimum 1, maximum 100 (configurable). Not allowed with `first`."
    ),
]
Before = Annotated[
    str | None,
    strawberry.argument(
        description="Cursor of a row. Only rows before it are returned. Not allowed with `after`."
    ),
]
Offset = Annotated[
    int | None,
    strawberry.argument(
        description="Number of rows to skip. Default 0, minimum 0, maximum 10,000 (configurable). "
        "Not allowed with `after`, `before` or `last`. Cursors are faster and never repeat a row."
    ),
]
