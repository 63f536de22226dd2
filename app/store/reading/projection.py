"""What is to be read, as a value, made into one statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
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

from app.store.engine import raw_rows
from app.store.engine.database import ORGANIZATION, Database, confined
from app.store.reading import pages, statements
from app.store.reading.definitions_version import NUMBER
from app.store.reading.pages import Order, Page, PageRequest
from app.store.reading.templates import Template
from app.store.tables import Owned
from app.store.tables.columns import JSONValue

Row = raw_rows.Row
NOTHING: Mapping[str, Template] = {}


@dataclass(frozen=True)
class Joined:
    """Columns of the row whose id a column has: all None where that has none."""

    by: str
    table: type[Owned]
    columns: tuple[str, ...]
    joined: tuple[Joined, ...] = ()

    @property
    def width(self) -> int:
        return len(self.columns) + sum(each.width for each in self.joined)


@dataclass(frozen=True)
class Selection:
    """Columns of a table's rows, then those of the rows that they name, in this order.

    With `definitions` the last of each row is the number of its organization's definitions.
    """

    table: type[Owned]
    columns: tuple[str, ...]
    joined: tuple[Joined, ...] = ()
    definitions: bool = False

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.table, self.columns, self.joined, self.definitions))

    @cached_property
    def width(self) -> int:
        own = len(self.columns) + self.definitions
        return own + sum(each.width for each in self.joined)


@dataclass(frozen=True)
class Found:
    """A page of rows; the numbers of all rows that were asked for, and what was read beside.

    Nothing is read beside a page without rows.
    """

    page: Page[Row]
    totals: Mapping[str, int]
    beside: Row = ()


async def one(
    database: Database, organization_id: UUID, selection: Selection, template: Template
) -> Row | None:
    """The row that the template selects; the first by id, where there are several."""
    key = (selection, template.shape)

    def compose() -> Select[Any]:
        wanted = select(*_own(selection, ())).where(*template.conditions())
        first = wanted.order_by(col(_column(selection.table, "id"))).limit(literal_column("1"))
        return _joined(selection, first, [], [])

    given = {**template.values, ORGANIZATION: organization_id}
    found = await statements.read(database, key, compose, given)
    return found[0] if found else None


async def definitions(database: Database, organization_id: UUID) -> int:
    """The number of the organization's definitions, as it is now."""
    given = {ORGANIZATION: organization_id}
    [[number]] = await statements.read(database, ("definitions",), lambda: NUMBER, given)
    return int(number)


async def page(
    database: Database,
    organization_id: UUID,
    selection: Selection,
    template: Template,
    order: Order[Any],
    request: PageRequest,
    *,
    counts: Mapping[str, Template] = NOTHING,
    beside: Callable[[], Sequence[Any]] = tuple,
) -> Found:
    """A page, in one statement with numbers of rows. RequestError INVALID_CURSOR.

    Where a cursor or an offset leads beyond the end, there is no row to tell the numbers beside.
    """
    bounds = pages.bounds(order, request, organization_id)
    values = {**template.values, ORGANIZATION: organization_id, "offset": request.offset}
    for each in counts.values():
        values |= each.values
    for bound in bounds:
        values |= {f"{bound.argument}{n}": value for n, value in enumerate(bound.place)}
    sides = tuple(bound.argument for bound in bounds)
    falling = order.descending is not request.backwards
    cut = sides, request.offset > 0, request.size
    key = (
        *(selection, template.shape, order.name, falling, cut, beside),
        *((name, each.shape) for name, each in counts.items()),
    )

    def compose() -> Select[Any]:
        wanted = _page(selection, template, order, request, bounds, not (counts or beside()))
        more = [
            confined(_number(selection.table, each)).scalar_subquery() for each in counts.values()
        ]
        by = [(column.key, falling) for column in order.columns]
        return _joined(selection, wanted, by, [*more, *beside()])

    rows = await statements.read(database, key, compose, values)
    if not rows:
        told = dict.fromkeys(counts, 0)
        if bounds or request.offset > 0:
            for name, each in counts.items():
                told[name] = await count(database, organization_id, selection.table, each)
        return Found(pages.cut([], request), told)
    width = selection.width
    first = rows[0]
    if len(first) > width:
        rows = [row[:width] for row in rows]
    numbers = dict(zip(counts, first[width:], strict=False))
    return Found(pages.cut(rows, request), numbers, first[width + len(counts) :])


async def count(
    database: Database, organization_id: UUID, table: type[Owned], template: Template
) -> int:
    key = (table, template.shape, "count")

    def compose() -> Select[Any]:
        return _number(table, template)

    given = {**template.values, ORGANIZATION: organization_id}
    [[number]] = await statements.read(database, key, compose, given)
    return int(number)


def _page(
    selection: Selection,
    template: Template,
    order: Order[Any],
    request: PageRequest,
    bounds: Sequence[pages.Bound],
    alone: bool,
) -> Select[Any]:
    """The page itself, cut; with what it is sorted by, where it is joined or put beside numbers."""
    sorting = () if alone and not selection.joined else [column.key for column in order.columns]
    wanted = select(*_own(selection, sorting)).where(
        *template.conditions(), *(_beyond(order, bound) for bound in bounds)
    )
    falling = order.descending is not request.backwards
    wanted = wanted.order_by(*(_sorted(column, falling) for column in order.columns))
    if request.offset > 0:
        wanted = wanted.offset(bindparam("offset", None, type_=Integer()))
    # A number, so that no database plans for another one.
    return wanted.limit(literal_column(str(request.size + 1)))


def _number(table: type[Owned], template: Template) -> Select[Any]:
    return select(func.count()).select_from(table).where(*template.conditions())


def _own(selection: Selection, sorting: Sequence[str]) -> list[Any]:
    """The columns of the table itself: those asked for, and what joins and sorting need."""
    more = (*(each.by for each in selection.joined), *sorting)
    return [_read(selection.table, name) for name in dict.fromkeys((*selection.columns, *more))]


def _joined(
    selection: Selection, wanted: Select[Any], by: Sequence[tuple[str, bool]], more: Sequence[Any]
) -> Select[Any]:
    """The rows beside those that they name. Joined after the page is cut, and sorted again."""
    number = [NUMBER.scalar_subquery()] if selection.definitions else []
    if not selection.joined and not more:
        return wanted.add_columns(*number)
    rows = confined(wanted).subquery("page")
    columns: list[Any] = [rows.c[name] for name in selection.columns]
    joins: list[tuple[Any, Any]] = []
    for each in selection.joined:
        _join(each, rows.c[each.by], columns, joins)
    statement = select(*columns, *number, *more).select_from(rows)
    for other, condition in joins:
        statement = statement.outerjoin(other, condition)
    return statement.order_by(*(_sorted(rows.c[name], falling) for name, falling in by))


def _join(joined: Joined, by: Any, columns: list[Any], joins: list[tuple[Any, Any]]) -> None:
    other = aliased(joined.table)
    joins.append((other, _column(other, "id") == by))
    columns += [_read(other, name) for name in joined.columns]
    for each in joined.joined:
        _join(each, _column(other, each.by), columns, joins)


def _read(table: Any, name: str) -> Any:
    column = _column(table, name)
    # As its text: no driver takes it apart.
    is_json = isinstance(column.type, JSONValue)
    return cast(column, Text).label(name) if is_json else column


def _column(table: Any, name: str) -> Any:
    return getattr(table, name)


def _sorted(column: Any, falling: bool) -> ColumnElement[Any]:
    return column.desc() if falling else column.asc()  # type: ignore[no-any-return]


def _beyond(order: Order[Any], bound: pages.Bound) -> ColumnElement[bool]:
    names = (f"{bound.argument}{n}" for n in range(len(order.columns)))
    pairs = zip(names, order.columns, strict=True)
    place = tuple_(*(bindparam(name, None, type_=column.type) for name, column in pairs))
    key = tuple_(*order.columns)
    return key > place if bound.ahead else key < place
