"""Statements sent directly to the driver, in the transaction of a session.

Through SQLAlchemy each costs more than its work, and on SQLite four switches to the driver's
thread; here several statements share one switch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.store.engine.sqlite_engine import Batch, BatchStatement
from app.store.engine.statement_observers import notify_observers
from app.store.tables.columns import SQLITE

DriverRow = Sequence[Any]
DriverRows = Sequence[DriverRow]


async def execute_statement(
    session: AsyncSession, statement: str, parameters: Sequence[Any] = ()
) -> DriverRows:
    """Executes one statement and returns its rows. Values are the driver's own types."""
    if session.get_bind().dialect.name == SQLITE:
        return await execute_batch(session, [BatchStatement(statement, [parameters], True)])
    if "driver" not in session.info:
        return await session.run_sync(_begin_with, statement, parameters)
    driver = session.info["driver"]
    notify_observers(session.get_bind().engine.url, statement)
    try:
        rows: DriverRows = await driver.fetch(statement, *parameters)
    except OSError:
        raise
    except Exception as error:  # an error of the driver
        if is_lost := driver.is_closed():
            await (await session.connection()).invalidate(error)
        raise DBAPIError(statement, None, error, connection_invalidated=is_lost) from error
    return rows


async def execute_batch(session: AsyncSession, statements: Sequence[BatchStatement]) -> DriverRows:
    """On SQLite: executes the statements in order, and returns the rows of those that return any.

    A failed statement leaves the changes of the earlier ones: roll back the transaction, as
    `Database.write` does.
    """
    driver: Any = session.info.get("driver") or await session.run_sync(_get_driver)
    for each in statements:
        notify_observers(session.get_bind().engine.url, each.text)
    try:
        rows: DriverRows = await driver.execute_fetchall("", Batch(statements))
    except sqlite3.Error as error:
        raise DBAPIError("; ".join(each.text for each in statements), None, error) from error
    return rows


def _begin_with(session: Session, statement: str, parameters: Sequence[Any]) -> DriverRows:
    """Fetches the rows through SQLAlchemy, which begins the transaction before."""
    rows = session.connection().exec_driver_sql(statement, tuple(parameters)).all()
    _get_driver(session)
    return rows


def _get_driver(session: Session) -> Any:
    """The connection of the driver: one for a session of `Database`, which has one transaction."""
    if "driver" not in session.info:
        session.info["driver"] = session.connection().connection.driver_connection
    return session.info["driver"]
