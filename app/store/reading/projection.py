"""Reads rows and pages of declared columns, each in one statement."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.store.engine.database import ORGANIZATION_PARAMETER, Database, scoped_to_organization
from app.store.engine.driver_statements import DriverRow
from app.store.reading import pages, statements
from app.store.reading.condition_templates import ConditionTemplate
from app.store.reading.definitions_version import DEFINITIONS_VERSION
from app.store.reading.pages import Order, Page, PageRequest
from app.store.reading.statements import CompiledStatement, TooManyParametersError
from app.store.tables import EventCount, StoredRow
from app.store.tables.columns import DriverCodec, JSONValue

RowT = TypeVar("RowT", bound=StoredRow)
MAX_ROW_STATEMENTS = 8  # of one projection; a reader of single rows has one or two conditions
NO_COUNTS: Mapping[str, ConditionTemplate] = {}


@dataclass(frozen=True)
class Join:
    """Columns of the row that a foreign key references; all None if the row does not exist."""

    foreign_key: str
    table: type[StoredRow]
    columns: tuple[str, ...]
    joins: tuple[Join, ...] = ()

    @property
    def width(self) -> int:
        return len(self.columns) + sum(join.width for join in self.joins)


@dataclass(frozen=True)
class Projection:
    """Columns of a table, then those of the joined rows, in this order.

    With `with_definitions_version`, the version of the organization's definitions comes last.
    `row_statements`: the latest statements that read one row, by dialect and condition.
    """

    table: type[StoredRow]
    columns: tuple[str, ...]
    joins: tuple[Join, ...] = ()
    with_definitions_version: bool = False
    row_statements: dict[Hashable, CompiledStatement] = field(
        default_factory=dict, compare=False, repr=False
    )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.table, self.columns, self.joins, self.with_definitions_version))

    @cached_property
    def width(self) -> int:
        own_width = len(self.columns) + self.with_definitions_version
        return own_width + sum(join.width for join in self.joins)


class PageResult(NamedTuple):
    """A page of rows, the requested totals, and the values of the extra columns.

    A page without rows has extra values only if the request has a cursor.
    """

    page: Page[DriverRow]
    totals: Mapping[str, int]
    extra_values: DriverRow = ()


async def fetch_row(
    database: Database, organization_id: UUID, projection: Projection, template: ConditionTemplate
) -> DriverRow | None:
    """The row that the template selects; the first by ID if there are several."""
    key = (database.dialect.name, template.cache_key)
    statement = projection.row_statements.get(key)
    if statement is None:
        if len(projection.row_statements) == MAX_ROW_STATEMENTS:
            projection.row_statements.clear()
        statement = _prepare_row_statement(database, projection, template)
        projection.row_statements[key] = statement
    values = {**template.values, ORGANIZATION_PARAMETER: organization_id}
    rows = await statements.run(database, statement, values)
    return rows[0] if rows else None


def _prepare_row_statement(
    database: Database, projection: Projection, template: ConditionTemplate
) -> CompiledStatement:
    def build() -> Select[Any]:
        statement = select(*_table_columns(projection, ())).where(*template.conditions())
        statement = statement.order_by(col(_column(projection.table, "id"))).limit(
            literal_column("1")
        )
        return _with_joins(projection, statement, [], [])

    return statements.prepare(database, (projection, template.cache_key), build)


async def fetch_definitions_version(database: Database, organization_id: UUID) -> int:
    """The current version of the organization's definitions."""
    values = {ORGANIZATION_PARAMETER: organization_id}
    [[version]] = await statements.fetch_rows(
        database, ("definitions",), lambda: DEFINITIONS_VERSION, values
    )
    return int(version)


async def fetch_page(
    database: Database,
    organization_id: UUID,
    projection: Projection,
    template: ConditionTemplate,
    order: Order,
    request: PageRequest,
    *,
    counts: Mapping[str, ConditionTemplate] = NO_COUNTS,
    extra_columns: Callable[[], Sequence[Any]] = tuple,
) -> PageResult:
    """Fetches a page, totals and extra columns in one statement. Raises INVALID_CURSOR.

    A page beyond the end has no row that carries the totals and the extra columns: they are fetched
    separately. So are the totals if the statement would have too many parameters with them.
    """
    bounds = pages.decode_page_bounds(order, request, organization_id)
    values = {
        **template.values,
        ORGANIZATION_PARAMETER: organization_id,
        **database.log_horizon.parameters,  # of `extra_columns`
        "offset": request.offset,
    }
    for count_template in counts.values():
        values |= count_template.values
    for bound in bounds:
        values |= {f"{bound.argument}{n}": value for n, value in enumerate(bound.key)}
    arguments = tuple(bound.argument for bound in bounds)
    descending = order.descending is not request.backwards
    window = arguments, request.offset > 0, request.size
    key = (
        *(projection, template.cache_key, order.name, descending, window, extra_columns),
        *((name, count_template.cache_key) for name, count_template in counts.items()),
    )

    def build() -> Select[Any]:
        statement = _page_statement(
            projection, template, order, request, bounds, not (counts or extra_columns())
        )
        totals = [
            scoped_to_organization(
                _count_statement(projection.table, count_template)
            ).scalar_subquery()
            for count_template in counts.values()
        ]
        sort_keys = [(column.key, descending) for column in order.columns]
        return _with_joins(projection, statement, sort_keys, [*totals, *extra_columns()])

    async def count_all() -> dict[str, int]:
        return {
            name: await count_rows(database, organization_id, projection.table, count_template)
            for name, count_template in counts.items()
        }

    try:
        rows = await statements.fetch_rows(database, key, build, values)
    except TooManyParametersError:
        if not counts:
            raise
        page_alone = await fetch_page(
            database,
            organization_id,
            projection,
            template,
            order,
            request,
            extra_columns=extra_columns,
        )
        return page_alone._replace(totals=await count_all())
    if not rows:
        is_beyond_end = bool(bounds) or request.offset > 0
        totals = await count_all() if is_beyond_end else dict.fromkeys(counts, 0)
        extra_values: DriverRow = ()
        if bounds and extra_columns():
            [extra_values] = await statements.fetch_rows(
                database, (extra_columns,), lambda: select(*extra_columns()), values
            )
        return PageResult(pages.build_page([], request), totals, extra_values)
    width = projection.width
    first_row = rows[0]
    if len(first_row) > width:
        rows = [row[:width] for row in rows]
    totals = dict(zip(counts, first_row[width:], strict=False))
    return PageResult(pages.build_page(rows, request), totals, first_row[width + len(counts) :])


@cache
def whole_row(table: type[StoredRow]) -> Projection:
    """All columns of a table, from which `build_rows` builds its rows."""
    return Projection(table, tuple(table.model_fields))


def build_rows(
    database: Database, table: type[RowT], driver_rows: Sequence[DriverRow]
) -> list[RowT]:
    """Builds the rows of a table from driver rows of `whole_row`."""
    columns = whole_row(table).columns
    decoders = _column_decoders(database.driver_codec, table)
    return [
        table.from_columns(
            {
                name: decode(value)
                for name, decode, value in zip(columns, decoders, driver_row, strict=True)
            }
        )
        for driver_row in driver_rows
    ]


@lru_cache(maxsize=128)
def _column_decoders(
    driver_codec: DriverCodec, table: type[StoredRow]
) -> list[Callable[[Any], Any]]:
    return [
        driver_codec.value_decoder(_column(table, name).type) for name in whole_row(table).columns
    ]


async def count_rows(
    database: Database,
    organization_id: UUID,
    table: type[StoredRow],
    template: ConditionTemplate,
) -> int:
    key = (table, template.cache_key, "count")

    def build() -> Select[Any]:
        return _count_statement(table, template)

    values = {**template.values, ORGANIZATION_PARAMETER: organization_id}
    [[count]] = await statements.fetch_rows(database, key, build, values)
    return int(count)


def _page_statement(
    projection: Projection,
    template: ConditionTemplate,
    order: Order,
    request: PageRequest,
    bounds: Sequence[pages.PageBound],
    rows_only: bool,
) -> Select[Any]:
    """The rows of the page, with the sort columns if it gets joins, totals or extra columns."""
    sort_columns = (
        () if rows_only and not projection.joins else [column.key for column in order.columns]
    )
    statement = select(*_table_columns(projection, sort_columns)).where(
        *template.conditions(), *(_bound_condition(order, bound) for bound in bounds)
    )
    descending = order.descending is not request.backwards
    statement = statement.order_by(
        *(_sort_expression(column, descending) for column in order.columns)
    )
    if request.offset > 0:
        statement = statement.offset(bindparam("offset", None, type_=BigInteger()))
    # A literal, so that the database plans for this limit.
    return statement.limit(literal_column(str(request.size + 1)))


def _count_statement(table: type[StoredRow], template: ConditionTemplate) -> Select[Any]:
    counter_conditions = template.counter_conditions()
    if counter_conditions is not None:
        total = func.coalesce(func.sum(EventCount.events), 0)
        return select(cast(total, BigInteger)).where(*counter_conditions)
    return select(func.count()).select_from(table).where(*template.conditions())


def _table_columns(projection: Projection, sort_columns: Sequence[str]) -> list[Any]:
    """The columns of the table itself: the requested ones, foreign keys and sort columns."""
    needed = (*(join.foreign_key for join in projection.joins), *sort_columns)
    return [
        _selectable(projection.table, name)
        for name in dict.fromkeys((*projection.columns, *needed))
    ]


def _with_joins(
    projection: Projection,
    statement: Select[Any],
    sort_keys: Sequence[tuple[str, bool]],
    extra_columns: Sequence[Any],
) -> Select[Any]:
    """Joins rows to the limited page, adds the extra columns, and sorts again."""
    version = [DEFINITIONS_VERSION.scalar_subquery()] if projection.with_definitions_version else []
    if not projection.joins and not extra_columns:
        return statement.add_columns(*version)
    rows = scoped_to_organization(statement).subquery("page")
    columns: list[Any] = [rows.c[name] for name in projection.columns]
    joins: list[tuple[Any, Any]] = []
    for join in projection.joins:
        _add_join(join, rows.c[join.foreign_key], columns, joins)
    statement = select(*columns, *version, *extra_columns).select_from(rows)
    for joined_table, condition in joins:
        statement = statement.outerjoin(joined_table, condition)
    return statement.order_by(
        *(_sort_expression(rows.c[name], descending) for name, descending in sort_keys)
    )


def _add_join(
    join: Join, foreign_key: Any, columns: list[Any], joins: list[tuple[Any, Any]]
) -> None:
    joined_table = aliased(join.table)
    joins.append((joined_table, _column(joined_table, "id") == foreign_key))
    columns += [_selectable(joined_table, name) for name in join.columns]
    for nested in join.joins:
        _add_join(nested, _column(joined_table, nested.foreign_key), columns, joins)


def _selectable(table: Any, name: str) -> Any:
    column = _column(table, name)
    # JSON as text: the driver does not parse it.
    is_json = isinstance(column.type, JSONValue)
    return cast(column, Text).label(name) if is_json else column


def _column(table: Any, name: str) -> Any:
    return getattr(table, name)


def _sort_expression(column: Any, descending: bool) -> ColumnElement[Any]:
    return column.desc() if descending else column.asc()  # type: ignore[no-any-return]


def _bound_condition(order: Order, bound: pages.PageBound) -> ColumnElement[bool]:
    names = (f"{bound.argument}{n}" for n in range(len(order.columns)))
    pairs = zip(names, order.columns, strict=True)
    bound_key = tuple_(*(bindparam(name, None, type_=column.type) for name, column in pairs))
    key = tuple_(*order.columns)
    return key > bound_key if bound.is_lower_bound else key < bound_key
