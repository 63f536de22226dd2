"""Reads rows from SQLite without a session. Short statements run on the event loop.

A statement that exceeds `MAX_STEPS_ON_LOOP` there is interrupted and run again in a thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cachetools import TTLCache
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from app.store.engine.driver_statements import DriverRow
from app.store.engine.reader_limiter import ReaderLimiter
from app.store.engine.sqlite_file import DatabaseFile
from app.store.engine.statement_observers import notify_observers
from app.store.engine.timeouts import LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS

THREADS = 4
STEPS_PER_CHECK = 1_000
MAX_STEPS_ON_LOOP = 20 * STEPS_PER_CHECK  # of SQLite's virtual machine: about two milliseconds
MAX_CPU_SECONDS_ON_LOOP = 0.005  # CPU time: waiting for the processor does not count
STEPS_PER_THREAD_CHECK = 100 * STEPS_PER_CHECK
SLOW_STATEMENT_SECONDS = 10.0  # for which a statement is read in a thread
MAX_SLOW_STATEMENTS = 1_000


class SQLiteReader:
    """One connection for the event loop, which never waits for locks, and several for threads."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._file = DatabaseFile(url.database or "")
        self._loop_connection: sqlite3.Connection | None = None
        self._thread_connections: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(THREADS, "tocsin-reads")
        self._limiter = ReaderLimiter(THREADS)
        self._slow_statements: TTLCache[str, None] = TTLCache(
            MAX_SLOW_STATEMENTS, SLOW_STATEMENT_SECONDS
        )
        self._remaining_checks = 0
        self._loop_deadline: float | None = None

    @property
    def connections_in_use(self) -> int:
        return self._limiter.in_use

    async def fetch_rows(
        self, statement: str, parameters: Sequence[Any], *, scans_texts: bool = False
    ) -> list[DriverRow]:
        notify_observers(self._url, statement)
        try:
            self._check_file()
            if not scans_texts and statement not in self._slow_statements:
                try:
                    return self._fetch_on_loop(statement, parameters)
                except sqlite3.OperationalError as error:
                    if not _can_retry_in_thread(error):
                        raise
                    self._slow_statements[statement] = None
            return await self._fetch_in_thread(statement, parameters)
        except sqlite3.Error as error:
            raise DBAPIError(statement, None, error) from error

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self._close_connections()

    def _close_connections(self) -> None:
        """Closes the connections that execute no statement."""
        connections = [self._loop_connection, *self._thread_connections]
        self._loop_connection, self._thread_connections = None, []
        for connection in connections:
            if connection is not None:
                connection.close()

    def _check_file(self) -> None:
        try:
            self._file.check()
        except sqlite3.Error:
            self._close_connections()
            raise

    def _fetch_on_loop(self, statement: str, parameters: Sequence[Any]) -> list[DriverRow]:
        if self._loop_connection is None:
            self._loop_connection = self._open_connection(0)
            self._loop_connection.set_progress_handler(self._exceeds_loop_budget, STEPS_PER_CHECK)
        self._remaining_checks = MAX_STEPS_ON_LOOP // STEPS_PER_CHECK
        self._loop_deadline = None
        try:
            return self._loop_connection.execute(statement, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            if not _can_retry_in_thread(error):
                self._loop_connection.close()
                self._loop_connection = None
            raise

    def _exceeds_loop_budget(self) -> bool:
        self._remaining_checks -= 1
        now = time.thread_time()
        if self._loop_deadline is None:  # most statements end before the first check
            self._loop_deadline = now + MAX_CPU_SECONDS_ON_LOOP
        return self._remaining_checks < 0 or now > self._loop_deadline

    async def _fetch_in_thread(self, statement: str, parameters: Sequence[Any]) -> list[DriverRow]:
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()
        await self._limiter.acquire()
        try:
            return await loop.run_in_executor(
                self._threads, self._run_in_thread, statement, parameters, cancelled
            )
        finally:
            cancelled.set()
            self._limiter.release()

    def _run_in_thread(
        self, statement: str, parameters: Sequence[Any], cancelled: threading.Event
    ) -> list[DriverRow]:
        try:
            connection = self._thread_connections.pop()
        except IndexError:
            connection = self._open_connection(LOCK_TIMEOUT_MS / 1000)
        deadline = time.monotonic() + STATEMENT_TIMEOUT_MS / 1000

        def must_stop() -> bool:
            return cancelled.is_set() or time.monotonic() > deadline

        connection.set_progress_handler(must_stop, STEPS_PER_THREAD_CHECK)
        try:
            rows = connection.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            connection.close()
            if _primary_error_code(error) == sqlite3.SQLITE_INTERRUPT:
                raise sqlite3.OperationalError("statement timeout") from error
            raise
        self._thread_connections.append(connection)
        return rows

    def _open_connection(self, timeout: float) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file.uri(),
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=500,
            uri=True,
        )
        connection.execute("PRAGMA query_only=1")
        return connection


def _primary_error_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of the error; 0 for an error of the driver itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _can_retry_in_thread(error: sqlite3.Error) -> bool:
    """Whether the statement took too long, or is blocked by a lock, for which a thread can wait."""
    return _primary_error_code(error) in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY)
