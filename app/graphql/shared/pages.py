"""Connections: pages of a list with a cursor for each row, and the arguments of pagination."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Generic, Protocol, TypeVar

import strawberry

from app.graphql.shared.context import Context
from app.graphql.shared.field_sources import ConnectionPart, declare_source
from app.services.shared.readers import ListReader
from app.store.tables import OrganizationOwned

NodeT = TypeVar("NodeT")
RowT = TypeVar("RowT", bound=OrganizationOwned)
RequestT = TypeVar("RequestT")


@strawberry.type(
    description="Pagination information: whether there are more rows, and the cursors with which "
    "to request them."
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
        description="Cursor of the first row. In a list that has the argument `before`, pass the "
        "cursor as `before` to request the previous page. Null if the page is empty.",
        metadata=declare_source(ConnectionPart.START_CURSOR),
    )
    end_cursor: str | None = strawberry.field(
        description="Cursor to pass as `after` to request the next page: the cursor of the last "
        "row. Null if the page is empty, but an empty page of `eventChanges` has a cursor if the "
        "end of the change log has not been reached, or with `complete: true`.",
        metadata=declare_source(ConnectionPart.END_CURSOR),
    )


@strawberry.type(description="A row of a list and its cursor.")
class Edge(Generic[NodeT]):
    cursor: str = strawberry.field(
        description="Cursor of the row, valid only in a list of the same kind and order.",
        metadata=declare_source(ConnectionPart.CURSOR),
    )
    node: NodeT = strawberry.field(
        description="The row.", metadata=declare_source(ConnectionPart.NODE)
    )


@strawberry.type(
    description="A page of a list. With pagination by cursor, rows that are added or deleted "
    "between requests do not shift other rows to a different page."
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
        description="Number of rows on all pages. It requires a separate database query: request "
        "it only if you need it.",
        metadata=declare_source(ConnectionPart.TOTAL_COUNT),
    )
    async def total_count(self) -> int:
        return await self.count()


async def fetch_connection(
    context: Context,
    reader: ListReader[RequestT, RowT],
    request: RequestT,
    to_node: Callable[[RowT], NodeT],
) -> Connection[NodeT]:
    """Fetches a page of a list. Raises RequestError INVALID_CURSOR."""
    database, caller = context.database, context.caller
    page = await reader.fetch_page(database, caller, request)
    edges = [Edge(cursor=page.encode_row_cursor(row), node=to_node(row)) for row in page.rows]
    return Connection(
        edges=edges,
        page_info=build_page_info(page, edges),
        count=lambda: reader.count_rows(database, caller, request),
    )


class HasCursor(Protocol):
    cursor: str


class HasNeighbors(Protocol):
    @property
    def has_next(self) -> bool: ...
    @property
    def has_previous(self) -> bool: ...


def build_page_info(
    page: HasNeighbors, edges: Sequence[HasCursor], end: str | None = None
) -> PageInfo:
    """Builds the information about a page. `end`: the end cursor if it is not the last edge's."""
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=end or (edges[-1].cursor if edges else None),
    )


First = Annotated[
    int | None,
    strawberry.argument(
        description="Maximum number of rows to return, from the start of the list or after the "
        "cursor `after`. Default 20, minimum 1, maximum 100 (configurable)."
    ),
]
After = Annotated[
    str | None,
    strawberry.argument(
        description="Cursor of a row. Only the rows that follow it in the list are returned. A "
        "cursor of a different list or order is rejected with `INVALID_CURSOR`."
    ),
]
SubscribeAfter = Annotated[
    str | None,
    strawberry.argument(
        description="Cursor after which the subscription starts: a cursor of `notifications` or "
        "`eventChanges`, `logHead`, or the cursor of the last message received. Entries after the "
        "cursor are delivered first, then new ones. If omitted, only new entries are delivered. "
        "If entries after the cursor have been pruned, the error is `CURSOR_EXPIRED`: load the "
        "list again and subscribe with a new cursor."
    ),
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description="Maximum number of rows to return, from the end of the list or before the "
        "cursor `before`. Minimum 1, maximum 100 (configurable). Not allowed with `first`."
    ),
]
Before = Annotated[
    str | None,
    strawberry.argument(
        description="Cursor of a row. Only the rows that precede it in the list are returned. A "
        "cursor of a different list or order is rejected with `INVALID_CURSOR`. Not allowed with "
        "`after`."
    ),
]
Offset = Annotated[
    int | None,
    strawberry.argument(
        description="Number of rows to skip. Default 0, minimum 0, maximum 10,000 (configurable). "
        "Not allowed with `after`, `before` or `last`. Pagination by cursor is faster and never "
        "repeats a row."
    ),
]
