"""Statements sent directly to the driver, in the transaction of a session.

Through SQLAlchemy each costs more than its work, and on SQLite four switches to the driver's
thread; here several statements share one switch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import await_only

from app.store.tables.columns import SQLITE

DriverRows = Sequence[Sequence[Any]]


async def fetch_rows(
    session: AsyncSession, statement: str, parameters: Sequence[Any] = ()
) -> DriverRows:
    """The rows of one statement. Values are the driver's own types."""
    if session.get_bind().dialect.name == SQLITE:
        return await execute_writes(session, (), statement, parameters)
    adapter = await _driver_adapter(session, statement)
    try:
        if adapter._transaction is None:
            await adapter._start_transaction()
        rows: DriverRows = await adapter.driver_connection.fetch(statement, *parameters)
    except OSError:
        raise
    except Exception as error:  # an error of the driver
        raise DBAPIError(statement, None, error) from error
    return rows


async def execute_writes(
    session: AsyncSession,
    writes: Sequence[tuple[str, DriverRows]],
    statement: str | None = None,
    parameters: Sequence[Any] = (),
) -> DriverRows:
    """On SQLite: executes each write for all of its rows, then fetches `statement`."""
    queries = () if statement is None else (statement,)
    adapter = await _driver_adapter(session, *(write for write, _ in writes), *queries)
    driver = adapter.driver_connection

    def run() -> DriverRows:
        current = statement
        try:
            for current, rows in writes:
                driver._conn.executemany(current, rows)
            if (current := statement) is None:
                return ()
            return driver._conn.execute(statement, parameters).fetchall()  # type: ignore[no-any-return]
        except sqlite3.Error as error:
            raise DBAPIError(current, None, error) from error

    result: DriverRows = await driver._execute(run)
    return result


def begin_with_settings(connection: Connection, settings: Mapping[str, str]) -> None:
    """Begins a transaction on PostgreSQL with local settings, from SQLAlchemy's `begin` event.

    SET takes no snapshot and no transaction number.
    """
    adapter: Any = connection.connection.dbapi_connection
    statement = "; ".join(f"SET LOCAL {name} = {value}" for name, value in settings.items())
    try:
        await_only(adapter._start_transaction())
        await_only(adapter.driver_connection.execute(statement))
    except OSError:
        raise
    except Exception as error:  # an error of the driver
        raise DBAPIError(statement, None, error) from error


def begin_transaction(connection: Connection, statement: str) -> None:
    """Begins a transaction on SQLite, from SQLAlchemy's `begin` event."""
    driver: Any = connection.connection.driver_connection
    for listener in connection.dispatch.before_cursor_execute:
        listener(connection, None, statement, (), None, False)
    try:
        await_only(driver._execute(driver._conn.execute, statement))
    except sqlite3.Error as error:
        raise DBAPIError(statement, None, error) from error


async def _driver_adapter(session: AsyncSession, *statements: str) -> Any:
    """SQLAlchemy's adapter of the driver connection. Notifies the listeners of statements."""
    connection: Any = session.info.get("connection")
    if connection is None:  # a session of `Database` has one transaction, and so one connection
        connection = session.info["connection"] = (await session.connection()).sync_connection
    for listener in connection.dispatch.before_cursor_execute:
        for statement in statements:
            listener(connection, None, statement, (), None, False)
    return connection.connection.dbapi_connection
