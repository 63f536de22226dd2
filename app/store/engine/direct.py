"""Statements straight to the driver, in the transaction of a session: many on one way there.

By SQLAlchemy each costs more than its work, and on SQLite four ways to the driver's thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import await_only

from app.store.tables.columns import SQLITE

Rows = Sequence[Sequence[Any]]


async def fetch(session: AsyncSession, statement: str, parameters: Sequence[Any] = ()) -> Rows:
    """The rows of one statement, in the driver's own terms."""
    if session.get_bind().dialect.name == SQLITE:
        return await execute_many(session, (), statement, parameters)
    adapted = await _adapted(session, statement)
    try:
        if adapted._transaction is None:
            await adapted._start_transaction()
        found: Rows = await adapted.driver_connection.fetch(statement, *parameters)
    except OSError:
        raise
    except Exception as error:  # the driver's own
        raise DBAPIError(statement, None, error) from error
    return found


async def execute_many(
    session: AsyncSession,
    written: Sequence[tuple[str, Rows]],
    statement: str | None = None,
    parameters: Sequence[Any] = (),
) -> Rows:
    """On SQLite: each statement for all of its rows, and then the rows that one more tells."""
    then = () if statement is None else (statement,)
    adapted = await _adapted(session, *(each for each, _ in written), *then)
    driver = adapted.driver_connection

    def run() -> Rows:
        at = statement
        try:
            for at, rows in written:
                driver._conn.executemany(at, rows)
            if (at := statement) is None:
                return ()
            return driver._conn.execute(statement, parameters).fetchall()  # type: ignore[no-any-return]
        except sqlite3.Error as error:
            raise DBAPIError(at, None, error) from error

    found: Rows = await driver._execute(run)
    return found


def begin(connection: Connection, statement: str) -> None:
    """On SQLite, where SQLAlchemy begins a transaction."""
    driver: Any = connection.connection.driver_connection
    for told in connection.dispatch.before_cursor_execute:
        told(connection, None, statement, (), None, False)
    try:
        await_only(driver._execute(driver._conn.execute, statement))
    except sqlite3.Error as error:
        raise DBAPIError(statement, None, error) from error


async def _adapted(session: AsyncSession, *statements: str) -> Any:
    """SQLAlchemy's connection around the driver's. Who listens to statements hears of these."""
    connection: Any = session.info.get("connection")
    if connection is None:  # a session of `Database` has one transaction, and so one connection
        connection = session.info["connection"] = (await session.connection()).sync_connection
    for told in connection.dispatch.before_cursor_execute:
        for statement in statements:
            told(connection, None, statement, (), None, False)
    return connection.connection.dbapi_connection
