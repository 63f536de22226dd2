"""Inserts rows. Every new row of a session is written by `insert_rows`, in one round trip.

SQLite executes a prepared statement for each row, in one call. PostgreSQL gets one array for each
column, so that a row costs neither a parameter nor a message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Dialect, String
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

from app.store.engine import driver_statements
from app.store.engine.driver_statements import DriverRows
from app.store.engine.sqlite_engine import BatchStatement
from app.store.tables import METADATA
from app.store.tables.columns import SQLITE, DriverCodec

RowValues = dict[str, Any]
TableRows = tuple[type[SQLModel], Sequence[RowValues]]
KEEP_EXISTING = "ON CONFLICT DO NOTHING"


async def insert_rows(
    session: AsyncSession,
    *tables: TableRows,
    on_conflict: str = "",
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Inserts rows into tables. The rows of a table have the same columns.

    Referenced tables come first. `on_conflict` applies to the first table: what to do with a row
    whose key exists, instead of raising an error. On PostgreSQL the statement then waits for an
    open transaction that has written the key.

    Returns the columns `returning` of the rows that were inserted or updated in the first table, on
    PostgreSQL in any order.
    """
    inserts: list[tuple[_InsertStatement, Sequence[RowValues]]] = []
    parameter_count = 0
    for number, (table, rows) in enumerate(tables):
        suffix, returned = ("", ()) if number else (on_conflict, tuple(returning))
        if rows:
            insert = _build_insert(session, table, rows, suffix, returned, parameter_count)
            parameter_count += len(insert.columns)
            inserts.append((insert, rows))
    if not inserts:
        return []
    inserted = await _execute_inserts(session, inserts)
    first, _ = inserts[0]
    if not first.decoders:
        return []
    returned_columns = zip(*inserted, strict=True)
    return [*zip(*map(map, first.decoders, returned_columns), strict=True)]


@dataclass(frozen=True)
class _InsertStatement:
    """An INSERT of rows with these columns, and the driver conversion of each column.

    `returned` and `decoders`: the names and conversions of the columns that it returns.
    """

    text: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    returned: tuple[str, ...]
    decoders: tuple[Callable[[Any], Any], ...]

    def bind_columns(self, rows: Sequence[RowValues]) -> list[list[Any]]:
        return [
            _bind_values([row[name] for row in rows], process) for name, process in self.columns
        ]


def _bind_values(values: list[Any], process: Callable[[Any], Any] | None) -> list[Any]:
    """Converts values for the driver, each object once: rows share organizations and times."""
    if process is None:
        return values
    objects = {id(value): value for value in values}
    converted = {key: process(value) for key, value in objects.items()}
    return [converted[id(value)] for value in values]


async def _execute_inserts(
    session: AsyncSession, inserts: Sequence[tuple[_InsertStatement, Sequence[RowValues]]]
) -> DriverRows:
    """Executes the statements. Returns what the first one returns."""
    if session.get_bind().dialect.name == SQLITE:
        batch = [
            BatchStatement(
                insert.text,
                list(zip(*insert.bind_columns(rows), strict=True)),
                bool(insert.returned),
            )
            for insert, rows in inserts
        ]
        return await driver_statements.execute_batch(session, batch)
    parameters = [values for insert, rows in inserts for values in insert.bind_columns(rows)]
    steps = ", ".join(f"w{number} AS ({insert.text})" for number, (insert, _) in enumerate(inserts))
    first, _ = inserts[0]
    result = f"{', '.join(first.returned)} FROM w0" if first.returned else "1"
    return await driver_statements.execute_statement(
        session,
        f"WITH {steps} SELECT {result}",
        parameters,
    )


def _build_insert(
    session: AsyncSession,
    table: type[SQLModel],
    rows: Sequence[RowValues],
    on_conflict: str,
    returned: tuple[str, ...],
    parameter_count: int,
) -> _InsertStatement:
    scope = session.info["scope"]
    # By identity first: Python compares UUIDs slowly.
    if isinstance(scope, UUID) and any(
        (owner := row["organization_id"]) is not scope and owner != scope for row in rows
    ):
        raise AssertionError(f"a {table.__name__} of another organization")
    # Omits columns that are null in all rows: half of an event's 33 columns rarely have values.
    columns = tuple(name for name in rows[0] if any(row[name] is not None for row in rows))
    return _compile_insert(
        session.get_bind().dialect,
        str(table.__tablename__),
        columns,
        on_conflict,
        returned,
        parameter_count,
    )


@lru_cache(maxsize=256)
def _compile_insert(
    dialect: Dialect,
    table: str,
    names: tuple[str, ...],
    on_conflict: str,
    returned: tuple[str, ...],
    parameter_count: int,
) -> _InsertStatement:
    """`parameter_count`: the number of parameters before these in a combined statement."""
    columns = METADATA.tables[table].c
    types = [columns[name].type.dialect_impl(dialect) for name in names]
    processes = [column_type.bind_processor(dialect) for column_type in types]
    if dialect.name == SQLITE:
        source = f"VALUES ({', '.join('?' * len(names))})"
    else:
        arrays = [_array_element(column_type, dialect) for column_type in types]
        selected = ", ".join(f"c{n}{cast}" for n, (_, cast) in enumerate(arrays))
        arguments = ", ".join(
            f"${n}::{element_type}[]"
            for n, (element_type, _) in enumerate(arrays, parameter_count + 1)
        )
        aliases = ", ".join(f"c{n}" for n in range(len(names)))
        source = f"SELECT {selected} FROM unnest({arguments}) AS input_rows({aliases})"  # noqa: S608
    quoted_names = ", ".join(map(dialect.identifier_preparer.quote, names))
    clauses = [f"INSERT INTO {table} ({quoted_names})", source, on_conflict]
    if returned:
        clauses.append(f"RETURNING {', '.join(returned)}")
    codec = DriverCodec(dialect)
    return _InsertStatement(
        " ".join(filter(None, clauses)),
        tuple(zip(names, processes, strict=True)),
        returned,
        tuple(codec.value_decoder(columns[name].type) for name in returned),
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
