"""Engines for a SQLite file.

WAL, `synchronous=FULL` (a commit survives a power cut), driver autocommit with an explicit BEGIN,
so that a writer takes its lock at once (`BEGIN IMMEDIATE`) and no update is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.store.engine.sqlite_file import DatabaseFile
from app.store.engine.statement_observers import notify_observers
from app.store.engine.timeouts import LOCK_TIMEOUT_MS
from app.store.tables.columns import EXACT_SUM
from app.store.tables.exact_numbers import DecimalSum


@dataclass(frozen=True)
class BatchStatement:
    """A statement that is executed once for each row of parameters."""

    text: str
    parameter_rows: Sequence[Sequence[Any]]
    returns_rows: bool = False


class Batch(list[BatchStatement]):
    """Parameters of `BatchConnection.execute` that it executes in place of its statement."""


class BatchConnection(sqlite3.Connection):
    """A connection whose `execute` accepts a batch: aiosqlite calls it once, in its thread.

    It has the aggregate function of `ExactSum`.
    It closes its cursors with itself. SQLite keeps a closed connection and its locks while a cursor
    has not read all of its rows, and a traceback may keep the cursor of a cancelled statement.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        sum_factory: Any = DecimalSum
        self.create_aggregate(EXACT_SUM, 2, sum_factory)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        cursor = super().cursor(factory)
        self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        for cursor in list(self._cursors):
            cursor.close()
        super().close()

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        if not isinstance(parameters, Batch):
            return super().execute(statement, parameters)
        rows = _FetchedRows()
        cursor = self.cursor()
        for each in parameters:
            if each.returns_rows:
                for row in each.parameter_rows:
                    rows.extend(cursor.execute(each.text, row))
            else:
                cursor.executemany(each.text, each.parameter_rows)
        return rows


class _FetchedRows(list[tuple[Any, ...]]):
    """The rows of a batch, in place of a cursor."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self


def create_sqlite_engine(
    url: URL, begin: str, pool_size: int, *, read_only: bool = False, migrates: bool = False
) -> AsyncEngine:
    file = DatabaseFile(url.database or "")
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"timeout": LOCK_TIMEOUT_MS / 1000, "factory": BatchConnection},
    )
    interrupts: set[asyncio.Task[None]] = set()

    # A thread of aiosqlite that outlives the event loop ends with a traceback on stderr. It is
    # not awaited if the connection fails to open, or if its first statements fail.
    @event.listens_for(engine.sync_engine, "do_connect")
    def check_new(_dialect: Any, _record: Any, _args: Any, options: Any) -> None:
        """Raises sqlite3.Error before aiosqlite starts a thread for an unreadable file."""
        if not migrates:  # only a migration may create the file
            file.check()
        uri = file.uri("rwc" if migrates else "rw")
        sqlite3.connect(uri, timeout=options["timeout"], uri=True).close()

    @event.listens_for(engine.sync_engine, "checkout")
    def check_pooled(*_: Any) -> None:
        if not migrates:
            try:
                file.check()
            except sqlite3.Error as error:
                raise DisconnectionError(str(error)) from error  # of this connection: see check_new

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA foreign_keys={not migrates:d}")
            cursor.execute(f"PRAGMA query_only={read_only:d}")
            cursor.close()
        except BaseException:
            connection.close()  # the pool does not close a connection if this handler raises
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        notify_observers(url, begin)
        try:
            driver.run_async(lambda driver_connection: driver_connection.execute_fetchall(begin))
        except sqlite3.Error as error:
            raise DBAPIError(begin, None, error) from error

    @event.listens_for(engine.sync_engine, "invalidate")
    def abandoned(connection: Any, *_: Any) -> None:
        # Otherwise it continues its statement.
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            loop = asyncio.get_running_loop()
            interrupt = loop.create_task(connection.driver_connection.interrupt())
            interrupts.add(interrupt)
            interrupt.add_done_callback(interrupts.discard)

    return engine
