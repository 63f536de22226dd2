"""Readers of lists and of single rows, each declared once for all that read them.

Plans fetch the selected columns as rows of the driver; resolvers and services fetch whole rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import select

from app.domain.access.caller import Caller
from app.store.engine.database import BY_ID, Database
from app.store.engine.driver_statements import DriverRow
from app.store.reading import projection
from app.store.reading.condition_templates import ConditionTemplate, column_equals
from app.store.reading.pages import Order, Page, PageRequest
from app.store.reading.projection import Projection
from app.store.tables import StoredRow

# Names of counts.
TOTAL_COUNT = "total"
UNACKNOWLEDGED_COUNT = "unacknowledged"
AnyRow = TypeVar("AnyRow")
RequestT = TypeVar("RequestT")
KeyT = TypeVar("KeyT")
RowT = TypeVar("RowT", bound=StoredRow)
EncodeCursor = Callable[[tuple[Any, ...]], str]


@dataclass  # not frozen, as `ListQuery`: a frozen one takes three times as long to create
class ListPage(Page[AnyRow]):
    """A page of rows and the requested counts. `encode_key` builds a cursor from `key_columns`."""

    counts: Mapping[str, int]
    key_columns: Sequence[str]
    encode_key: EncodeCursor

    def encode_row_cursor(self, row: AnyRow) -> str:
        """Returns the cursor of a whole row."""
        return self.encode_key(tuple(getattr(row, name) for name in self.key_columns))


@dataclass
class ListQuery:
    """The rows, order and page that one request reads.

    `other_counts` build the conditions of the counts besides the total; None for a count that is 0.
    `create_cursor_encoder` gets the values of `extra_columns`, and checks the request's cursor
    against them; none are read if the page is empty and the request has no cursor.
    """

    template: ConditionTemplate
    order: Order
    page: PageRequest
    other_counts: Mapping[str, Callable[[], ConditionTemplate | None]] | None = None
    extra_columns: Callable[[], Sequence[Any]] = tuple
    create_cursor_encoder: Callable[[DriverRow], EncodeCursor] | None = None

    def count_template(self, name: str) -> ConditionTemplate | None:
        return self.template if name == TOTAL_COUNT else (self.other_counts or {})[name]()


@dataclass(frozen=True)
class ListReader(Generic[RequestT, RowT]):
    """Reads pages of a list.

    `sort_columns`: all columns that the list can be sorted by. `check_request` raises RequestError
    if the request is not valid for the stored definitions.
    """

    table: type[RowT]
    build_query: Callable[[RequestT, UUID], ListQuery]
    sort_columns: tuple[str, ...] = ("id",)
    check_request: Callable[[Database, Caller, RequestT], Awaitable[None]] | None = None

    async def fetch_columns(
        self,
        database: Database,
        caller: Caller,
        request: RequestT,
        columns: Projection,
        counts: Sequence[str] = (),
    ) -> ListPage[DriverRow]:
        """Returns the columns of a page. Raises RequestError, such as INVALID_CURSOR."""
        if self.check_request is not None:
            await self.check_request(database, caller, request)
        organization_id = caller.organization_id
        query = self.build_query(request, organization_id)
        templates = {name: query.count_template(name) for name in counts}
        page, totals, extra_values = await projection.fetch_page(
            database,
            organization_id,
            columns,
            query.template,
            query.order,
            query.page,
            counts={name: template for name, template in templates.items() if template is not None},
            extra_columns=query.extra_columns,
        )
        encode_key: EncodeCursor = partial(query.order.encode_key_cursor, organization_id)
        if query.create_cursor_encoder is not None and extra_values:
            encode_key = query.create_cursor_encoder(extra_values)
        return ListPage(
            page.rows,
            page.has_next,
            page.has_previous,
            {name: totals.get(name, 0) for name in counts},
            query.order.column_names,
            encode_key,
        )

    async def fetch_page(
        self, database: Database, caller: Caller, request: RequestT, counts: Sequence[str] = ()
    ) -> ListPage[RowT]:
        """Returns a page of whole rows. Raises as `fetch_columns` does."""
        columns = projection.whole_row(self.table)
        page = await self.fetch_columns(database, caller, request, columns, counts)
        rows = projection.build_rows(database, self.table, page.rows)
        return ListPage(
            rows, page.has_next, page.has_previous, page.counts, page.key_columns, page.encode_key
        )

    async def count_rows(
        self, database: Database, caller: Caller, request: RequestT, name: str = TOTAL_COUNT
    ) -> int:
        """Counts rows on all pages: those of the list, or those of another count by its name."""
        organization_id = caller.organization_id
        template = self.build_query(request, organization_id).count_template(name)
        if template is None:
            return 0
        return await projection.count_rows(database, organization_id, self.table, template)


@dataclass(frozen=True)
class LookupReader(Generic[KeyT, RowT]):
    """Reads the row with a key."""

    table: type[RowT]
    build_condition: Callable[[KeyT, UUID], ConditionTemplate]

    async def fetch_columns(
        self, database: Database, caller: Caller, key: KeyT, columns: Projection
    ) -> DriverRow | None:
        """Returns the columns of the row. None if there is no such row."""
        organization_id = caller.organization_id
        template = self.build_condition(key, organization_id)
        return await projection.fetch_row(database, organization_id, columns, template)

    async def fetch_row(self, database: Database, caller: Caller, key: KeyT) -> RowT | None:
        """Returns the whole row. None if there is no such row."""
        columns = projection.whole_row(self.table)
        driver_row = await self.fetch_columns(database, caller, key, columns)
        if driver_row is None:
            return None
        [row] = projection.build_rows(database, self.table, [driver_row])
        return row


async def fetch_rows_by_id(
    database: Database, caller: Caller, table: type[RowT], ids: Sequence[UUID]
) -> dict[UUID, RowT]:
    """Returns the rows of a table with these IDs. Unknown IDs are missing.

    The loaders read the rows of a whole list with it. Their number differs from call to call, so a
    statement of the ORM, which is compiled for any number, is better than those of `LookupReader`.
    """
    id_column: Any = table.id  # type: ignore[attr-defined]
    async with database.read(caller.organization_id) as session:
        statement = select(table, id_column).where(id_column.in_(ids))
        return {
            row_id: row for row, row_id in await session.execute(statement, execution_options=BY_ID)
        }


def lookup_by_id(table: type[RowT]) -> LookupReader[UUID, RowT]:
    """Declares the reader of a table's rows by ID."""
    id_column: Any = table.id  # type: ignore[attr-defined]
    return LookupReader(table, lambda row_id, _: column_equals(id_column, row_id))
