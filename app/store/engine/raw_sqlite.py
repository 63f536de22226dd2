"""SQLite without a session. What is short is read on the event loop, where it costs least.

What takes more than `STEPS_ON_THE_LOOP` there is interrupted, and read in a thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from app.store.engine.dialect import BUSY_MS, STATEMENT_MS
from app.store.engine.reader_limiter import Room
from app.store.engine.statement_observers import report_statement

THREADS = 4
STEPS = 1_000
STEPS_ON_THE_LOOP = 20 * STEPS  # of SQLite's machine: about two milliseconds
SECONDS_ON_THE_LOOP = 0.005  # of the processor: who is kept from running has done nothing long
STEPS_BETWEEN_LOOKS = 100 * STEPS
LONG_SECONDS = 10.0
MOST_LONG = 1_000

Row = Sequence[Any]


class SQLiteRows:
    """One connection for the event loop, which is not waited on, and some for threads."""

    def __init__(self, url: URL) -> None:
        self._url = url
        # Whoever reads makes no database.
        self._file = f"file:{quote(url.database or '')}?mode=rw"
        self._near: sqlite3.Connection | None = None
        self._far: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(THREADS, "tocsin-reads")
        self._room = Room(THREADS)
        self._long: dict[str, float] = {}
        self._left = 0
        self._until = 0.0

    @property
    def in_use(self) -> int:
        return self._room.taken

    async def fetch_rows(
        self, statement: str, parameters: Sequence[Any], *, scans_texts: bool = False
    ) -> list[Row]:
        report_statement(self._url, statement)
        try:
            if not scans_texts and not self._is_long(statement):
                try:
                    return self._at_once(statement, parameters)
                except sqlite3.OperationalError as error:
                    if not _may_go_on_elsewhere(error):
                        raise
                    self._note_long(statement)
            return await self._in_a_thread(statement, parameters)
        except sqlite3.Error as error:
            raise DBAPIError(statement, None, error) from error

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        for connection in (self._near, *self._far):
            if connection is not None:
                connection.close()
        self._near, self._far = None, []

    def _is_long(self, statement: str) -> bool:
        until = self._long.get(statement)
        return until is not None and time.monotonic() < until

    def _note_long(self, statement: str) -> None:
        """What takes long goes to a thread at once for a while, and then it is tried again."""
        self._long.pop(statement, None)
        self._long[statement] = time.monotonic() + LONG_SECONDS
        if len(self._long) > MOST_LONG:
            del self._long[next(iter(self._long))]

    def _at_once(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        if self._near is None:
            self._near = self._open(0)
            self._near.set_progress_handler(self._is_over, STEPS)
        self._left = STEPS_ON_THE_LOOP // STEPS
        self._until = time.thread_time() + SECONDS_ON_THE_LOOP
        try:
            return self._near.execute(statement, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            if not _may_go_on_elsewhere(error):
                self._near.close()
                self._near = None
            raise

    def _is_over(self) -> bool:
        self._left -= 1
        return self._left < 0 or time.thread_time() > self._until

    async def _in_a_thread(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        given_up = threading.Event()
        loop = asyncio.get_running_loop()
        await self._room.enter()
        try:
            return await loop.run_in_executor(
                self._threads, self._there, statement, parameters, given_up
            )
        finally:
            given_up.set()
            self._room.leave()

    def _there(
        self, statement: str, parameters: Sequence[Any], given_up: threading.Event
    ) -> list[Row]:
        try:
            connection = self._far.pop()
        except IndexError:
            connection = self._open(BUSY_MS / 1000)
        until = time.monotonic() + STATEMENT_MS / 1000

        def is_over() -> bool:
            return given_up.is_set() or time.monotonic() > until

        connection.set_progress_handler(is_over, STEPS_BETWEEN_LOOKS)
        try:
            found = connection.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            connection.close()
            if _code(error) == sqlite3.SQLITE_INTERRUPT:
                raise sqlite3.OperationalError("statement timeout") from error
            raise
        self._far.append(connection)
        return found

    def _open(self, seconds: float) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file,
            timeout=seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=500,
            uri=True,
        )
        connection.execute("PRAGMA query_only=1")
        return connection


def _code(error: sqlite3.Error) -> int:
    """Without what it adds to it; 0 for what the driver itself found."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _may_go_on_elsewhere(error: sqlite3.Error) -> bool:
    """It took too long, or somebody has a lock that a thread can wait for."""
    return _code(error) in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY)
