"""Writes any number of rows with one statement.

SQLite executes a prepared statement for each row, in one call. PostgreSQL gets one array for each
column, so that a row costs neither a parameter nor a message.
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

from app.store.engine import driver_statements
from app.store.engine.driver_statements import DriverRows
from app.store.tables import METADATA
from app.store.tables.columns import POSTGRESQL, SQLITE

RowValues = dict[str, Any]
TableRows = tuple[type[SQLModel], Sequence[RowValues]]
_LAST_LOG_SEQUENCE = "SELECT seq FROM sqlite_sequence WHERE name = 'change'"


@dataclass(frozen=True)
class _InsertStatement:
    """An INSERT of rows with these columns, and the driver conversion of each column."""

    statement: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    by_row: bool

    def bind_rows(self, rows: Sequence[RowValues]) -> Any:
        columns = [
            [row[name] for row in rows] if process is None else [process(row[name]) for row in rows]
            for name, process in self.columns
        ]
        return list(zip(*columns, strict=True)) if self.by_row else tuple(columns)


async def insert_rows(
    session: AsyncSession, table: type[SQLModel], rows: Sequence[RowValues], suffix: str = ""
) -> CursorResult[Any]:
    """Inserts rows that all have the same columns. `suffix` is appended to the statement."""
    insert = _checked_insert(session, table, rows, suffix)
    connection = await session.connection()
    return await connection.exec_driver_sql(insert.statement, insert.bind_rows(rows))


async def insert_into_tables(
    session: AsyncSession, tables: Sequence[TableRows], returning: str = ""
) -> DriverRows:
    """Inserts rows into several tables in one round trip; rows of a table have the same columns.

    Referenced tables come first. `returning`: the columns to return of the first table's new rows
    on PostgreSQL; SQLite returns the last sequence number of the change log instead.
    """
    if session.get_bind().dialect.name == SQLITE:
        inserts = [(_checked_insert(session, table, rows), rows) for table, rows in tables]
        writes = [(insert.statement, insert.bind_rows(rows)) for insert, rows in inserts]
        return await driver_statements.execute_writes(
            session, writes, _LAST_LOG_SEQUENCE if returning else ""
        )
    statements: list[str] = []
    parameters: list[Any] = []
    for table, rows in tables:
        suffix = f" RETURNING {returning}" if returning and not statements else ""
        insert = _checked_insert(session, table, rows, suffix, len(parameters))
        statements.append(f"w{len(statements)} AS ({insert.statement})")
        parameters += insert.bind_rows(rows)
    query = f"SELECT {returning} FROM w0" if returning else "SELECT 1"  # noqa: S608 (no user input)
    return await driver_statements.fetch_rows(
        session, f"WITH {', '.join(statements)} {query}", parameters
    )


async def insert_log_entries(
    session: AsyncSession,
    table: type[SQLModel],
    rows: Sequence[RowValues],
    other_rows: Sequence[TableRows] = (),
) -> list[tuple[int, int]]:
    """Inserts log entries and rows of other tables.

    Returns the (transaction, sequence) of each entry, in order.
    """
    numbers = await insert_into_tables(session, [(table, rows), *other_rows], "tx, seq")
    if session.get_bind().dialect.name != SQLITE:
        # Numbers are assigned in the order of the rows, but may be returned in another order.
        return sorted((tx, seq) for tx, seq in numbers)
    # AUTOINCREMENT increments by one, as there are no concurrent writers.
    end = numbers[0][0] + 1
    return [(0, seq) for seq in range(end - len(rows), end)]


def _checked_insert(
    session: AsyncSession,
    table: type[SQLModel],
    rows: Sequence[RowValues],
    suffix: str = "",
    parameter_offset: int = 0,
) -> _InsertStatement:
    scope = session.info["scope"]
    if isinstance(scope, UUID) and any(row["organization_id"] != scope for row in rows):
        raise AssertionError(f"a {table.__name__} of another organization")
    # Omits columns that are null in all rows: half of an event's 33 columns rarely have values.
    columns = tuple(name for name in rows[0] if any(row[name] is not None for row in rows))
    name = str(table.__tablename__)
    return _insert_statement(session.get_bind().dialect, name, columns, suffix, parameter_offset)


@lru_cache(maxsize=256)
def _insert_statement(
    dialect: Dialect, table: str, names: tuple[str, ...], suffix: str, parameter_offset: int
) -> _InsertStatement:
    """`parameter_offset`: the number of parameters before these in a combined statement."""
    columns = METADATA.tables[table].c
    types = [columns[name].type.dialect_impl(dialect) for name in names]
    processes = [column_type.bind_processor(dialect) for column_type in types]
    insert = f"INSERT INTO {table} ({', '.join(names)})"
    by_row = dialect.name == SQLITE
    if by_row:
        source = f"VALUES ({', '.join('?' * len(names))})"
    else:
        arrays = [_array_element(column_type, dialect) for column_type in types]
        selected = ", ".join(f"c{n}{cast}" for n, (_, cast) in enumerate(arrays))
        arguments = ", ".join(
            f"${n}::{element_type}[]"
            for n, (element_type, _) in enumerate(arrays, parameter_offset + 1)
        )
        aliases = ", ".join(f"c{n}" for n in range(len(names)))
        source = f"SELECT {selected} FROM unnest({arguments}) AS input_rows({aliases})"  # noqa: S608
    return _InsertStatement(
        f"{insert} {source}{suffix}", tuple(zip(names, processes, strict=True)), by_row
    )


def _array_element(column_type: TypeEngine[Any], dialect: Dialect) -> tuple[str, str]:
    """The type of the array's elements, and the cast to the type of the column."""
    plain_type = (
        column_type.impl_instance if isinstance(column_type, TypeDecorator) else column_type
    )
    if isinstance(plain_type, String):
        return "TEXT", ""
    name = plain_type.compile(dialect=dialect)
    return (
        ("TEXT", f"::{name}") if isinstance(plain_type, JSON | postgresql.TSVECTOR) else (name, "")
    )


async def lock_rows(
    session: AsyncSession, table: type[SQLModel], key: Sequence[str], rows: list[dict[str, Any]]
) -> None:
    """Locks the rows of these keys until the transaction ends, and inserts the missing ones.

    Pass them in sorted order, so that transactions acquire the locks in one order.
    """
    unchanged = f"DO UPDATE SET {key[0]} = excluded.{key[0]}"
    await insert_rows(session, table, rows, f" ON CONFLICT ({', '.join(key)}) {unchanged}")


def build_rows_cte(
    session: AsyncSession, columns: dict[str, TypeEngine[Any]], rows: Sequence[tuple[Any, ...]]
) -> CTE:
    """The rows as a CTE with these columns: one parameter, or one for each column.

    VALUES would be recompiled for each number of rows, at half a millisecond per row.
    """
    dialect = session.get_bind().dialect
    if dialect.name == POSTGRESQL:
        arrays = [
            bindparam(None, list(values), postgresql.ARRAY(type_))
            for values, type_ in zip(zip(*rows, strict=True), columns.values(), strict=True)
        ]
        typed_columns = [column(name, type_) for name, type_ in columns.items()]
        derived = (
            func.unnest(*arrays).table_valued(*typed_columns, name="input_values").render_derived()
        )
        return select(derived).cte("input_rows")
    processors = [type_.dialect_impl(dialect).bind_processor(dialect) for type_ in columns.values()]
    encoded_rows = [
        [
            value if process is None else process(value)
            for process, value in zip(processors, row, strict=True)
        ]
        for row in rows
    ]
    element = func.json_each(json.dumps(encoded_rows)).table_valued("value")
    return select(
        *(
            type_coerce(func.json_extract(element.c.value, f"$[{index}]"), type_).label(name)
            for index, (name, type_) in enumerate(columns.items())
        )
    ).cte("input_rows")
