"""Many rows in one statement, whatever their number: where SQLite and PostgreSQL write it their
own way. SQLite runs a prepared statement for each row within one call; PostgreSQL takes an array
for each column, so that a row costs neither a parameter nor a message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    JSON,
    Dialect,
    String,
    bindparam,
    column,
    func,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

from app.store.engine import direct
from app.store.engine.direct import Rows
from app.store.tables import METADATA
from app.store.tables.columns import POSTGRESQL, SQLITE

Row = dict[str, Any]
Part = tuple[type[SQLModel], Sequence[Row]]
_LAST_IN_LOG = "SELECT seq FROM sqlite_sequence WHERE name = 'change'"


@dataclass(frozen=True)
class _Writing:
    """The statement for rows with these columns, and what each value becomes in it."""

    statement: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    by_row: bool

    def parameters(self, rows: Sequence[Row]) -> Any:
        columns = [
            [row[name] for row in rows] if process is None else [process(row[name]) for row in rows]
            for name, process in self.columns
        ]
        return list(zip(*columns, strict=True)) if self.by_row else tuple(columns)


async def insert_rows(
    session: AsyncSession, table: type[SQLModel], rows: Sequence[Row], also: str = ""
) -> CursorResult[Any]:
    """Writes rows that all have the same columns. `also`: how the statement goes on."""
    writing = _checked(session, table, rows, also)
    connection = await session.connection()
    return await connection.exec_driver_sql(writing.statement, writing.parameters(rows))


async def insert_all(session: AsyncSession, parts: Sequence[Part], telling: str = "") -> Rows:
    """Writes the rows of several tables, on one way to the database; those of a part are alike.

    Tables that others refer to come first. `telling`: what is told of the first part's new rows, in
    their order, where PostgreSQL writes it; SQLite tells the last number of the log.
    """
    if session.get_bind().dialect.name == SQLITE:
        writings = [(_checked(session, table, rows), rows) for table, rows in parts]
        written = [(each.statement, each.parameters(rows)) for each, rows in writings]
        return await direct.execute_many(session, written, _LAST_IN_LOG if telling else None)
    statements: list[str] = []
    parameters: list[Any] = []
    for table, rows in parts:
        also = f" RETURNING {telling}" if telling and not statements else ""
        writing = _checked(session, table, rows, also, len(parameters))
        statements.append(f"w{len(statements)} AS ({writing.statement})")
        parameters += writing.parameters(rows)
    told = f"SELECT {telling} FROM w0" if telling else "SELECT 1"  # noqa: S608 (our own words)
    return await direct.fetch(session, f"WITH {', '.join(statements)} {told}", parameters)


async def insert_numbered(
    session: AsyncSession, table: type[SQLModel], rows: Sequence[Row], beside: Sequence[Part] = ()
) -> list[tuple[int, int]]:
    """Writes log entries, and rows of other tables beside them; the (transaction, sequence) of
    each entry, in their order.
    """
    told = await insert_all(session, [(table, rows), *beside], "tx, seq")
    if session.get_bind().dialect.name != SQLITE:
        # Numbers are given in the order of the rows, whatever the order they come back in.
        return sorted((tx, seq) for tx, seq in told)
    # AUTOINCREMENT counts up by one while nobody else can write.
    end = told[0][0] + 1
    return [(0, seq) for seq in range(end - len(rows), end)]


def _checked(
    session: AsyncSession,
    table: type[SQLModel],
    rows: Sequence[Row],
    also: str = "",
    before: int = 0,
) -> _Writing:
    scope = session.info["scope"]
    if isinstance(scope, UUID) and any(row["organization_id"] != scope for row in rows):
        raise AssertionError(f"a {table.__name__} of another organization")
    # What no row has is null anyhow: an event has 33 columns, of which half are seldom said.
    columns = tuple(each for each in rows[0] if any(row[each] is not None for row in rows))
    name = str(table.__tablename__)
    return _writing(session.get_bind().dialect, name, columns, also, before)


@lru_cache(maxsize=256)
def _writing(
    dialect: Dialect, table: str, names: tuple[str, ...], also: str, before: int
) -> _Writing:
    """`before`: how many parameters come before these in a statement of several."""
    columns = METADATA.tables[table].c
    types = [columns[name].type.dialect_impl(dialect) for name in names]
    processes = [each.bind_processor(dialect) for each in types]
    into = f"INSERT INTO {table} ({', '.join(names)})"
    by_row = dialect.name == SQLITE
    if by_row:
        given = f"VALUES ({', '.join('?' * len(names))})"
    else:
        arrays = [_array(each, dialect) for each in types]
        taken = ", ".join(f"c{n}{cast}" for n, (_, cast) in enumerate(arrays))
        asked = ", ".join(f"${n}::{of}[]" for n, (of, _) in enumerate(arrays, before + 1))
        called = ", ".join(f"c{n}" for n in range(len(names)))
        given = f"SELECT {taken} FROM unnest({asked}) AS given({called})"  # noqa: S608
    return _Writing(f"{into} {given}{also}", tuple(zip(names, processes, strict=True)), by_row)


def _array(of: TypeEngine[Any], dialect: Dialect) -> tuple[str, str]:
    """The type of the elements, and the cast to the column's."""
    bare = of.impl_instance if isinstance(of, TypeDecorator) else of
    if isinstance(bare, String):
        return "TEXT", ""
    name = bare.compile(dialect=dialect)
    return ("TEXT", f"::{name}") if isinstance(bare, JSON | postgresql.TSVECTOR) else (name, "")


async def hold_rows(
    session: AsyncSession, table: type[SQLModel], key: Sequence[str], rows: list[dict[str, Any]]
) -> None:
    """Locks the rows of these keys until the end of the transaction; makes those that are missing.

    Give them in sorted order, so that two transactions wait for each other in one direction only.
    """
    unchanged = f"DO UPDATE SET {key[0]} = excluded.{key[0]}"
    await insert_rows(session, table, rows, f" ON CONFLICT ({', '.join(key)}) {unchanged}")


def rows_of(
    session: AsyncSession, columns: dict[str, TypeEngine[Any]], rows: Sequence[tuple[Any, ...]]
) -> CTE:
    """The rows as a table with these columns. One parameter, or one for each column.

    VALUES would be compiled anew for each number of rows, at half a millisecond a row.
    """
    dialect = session.get_bind().dialect
    if dialect.name == POSTGRESQL:
        arrays = [
            bindparam(None, list(each), postgresql.ARRAY(type_))
            for each, type_ in zip(zip(*rows, strict=True), columns.values(), strict=True)
        ]
        named = [column(name, type_) for name, type_ in columns.items()]
        given = func.unnest(*arrays).table_valued(*named, name="wanted").render_derived()
        return select(given).cte("asked")
    writers = [type_.dialect_impl(dialect).bind_processor(dialect) for type_ in columns.values()]
    plain = [
        [each if write is None else write(each) for write, each in zip(writers, row, strict=True)]
        for row in rows
    ]
    each = func.json_each(json.dumps(plain)).table_valued("value")
    return select(
        *(
            type_coerce(func.json_extract(each.c.value, f"$[{place}]"), type_).label(name)
            for place, (name, type_) in enumerate(columns.items())
        )
    ).cte("asked")
