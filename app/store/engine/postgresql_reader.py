"""Reads rows from PostgreSQL without a session, on connections of their own.

Only reads run on them, so nothing is reset between two reads, and each statement is prepared once.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from app.store.engine.driver_statements import DriverRow
from app.store.engine.postgresql_connections import driver_arguments, set_statement
from app.store.engine.reader_limiter import ReaderLimiter
from app.store.engine.statement_observers import notify_observers
from app.store.engine.timeouts import LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS

MAX_PREPARED_STATEMENT_LENGTH = 16_384  # the server keeps the text and the plan as well

_TIMEOUTS = {"statement_timeout": str(STATEMENT_TIMEOUT_MS), "lock_timeout": str(LOCK_TIMEOUT_MS)}
_SETTINGS = {"default_transaction_read_only": "on", **_TIMEOUTS}
_SET_TIMEOUTS = "; ".join(f"SET LOCAL {name} = {value}" for name, value in _TIMEOUTS.items())


class PostgreSQLReader:
    """A pool of asyncpg connections that prepare each statement once. Reconnects if one is lost."""

    def __init__(self, url: URL, max_connections: int, *, pooled: bool) -> None:
        self._url = url
        self._pooled = pooled
        self._driver: Any = importlib.import_module("asyncpg")  # not installed with SQLite only
        # InternalClientError: the server ended the connection, and asyncpg has not closed it yet.
        names = ("PostgresError", "InterfaceError", "InternalClientError")
        self._errors = tuple(getattr(self._driver, name) for name in names)
        self._idle: list[Any] = []
        self._limiter = ReaderLimiter(max_connections)
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def connections_in_use(self) -> int:
        return self._limiter.in_use

    async def fetch_rows(
        self, statement: str, parameters: Sequence[Any], *, scans_texts: bool = False
    ) -> list[DriverRow]:
        notify_observers(self._url, statement)
        await self._limiter.acquire()
        try:
            if (connection := self._take_idle_connection()) is not None:
                try:
                    return await self._run_statement(connection, statement, parameters)
                except (*self._errors, OSError):
                    if not connection.is_closed():
                        raise
            # No idle connection, or it was lost: run the statement on a new one.
            return await self._run_statement(await self._open_connection(), statement, parameters)
        except self._errors as error:
            raise DBAPIError(statement, None, error) from error
        finally:
            self._limiter.release()

    async def close(self) -> None:
        while (connection := self._take_idle_connection()) is not None:
            await self._close_connection(connection)
        await asyncio.gather(*self._closing)

    async def _close_connection(self, connection: Any) -> None:
        with contextlib.suppress(Exception):
            await connection.close(timeout=2)

    def _finish_closing(self, closing: asyncio.Task[None]) -> None:
        self._closing.discard(closing)
        self._limiter.release()

    def _take_idle_connection(self) -> Any:
        while self._idle:
            if not (connection := self._idle.pop()).is_closed():
                return connection
        return None

    async def _run_statement(
        self, connection: Any, statement: str, parameters: Sequence[Any]
    ) -> list[DriverRow]:
        try:
            rows = await self._fetch(connection, statement, parameters)
        except asyncio.CancelledError:
            # `close` cancels the statement on the server; `terminate` would let it continue.
            self._limiter.retain()
            closing = asyncio.create_task(self._close_connection(connection))
            self._closing.add(closing)
            closing.add_done_callback(self._finish_closing)
            raise
        except BaseException as error:
            if _is_statement_error(error):
                self._idle.append(connection)
            else:
                connection.terminate()
            raise
        self._idle.append(connection)
        return rows

    async def _fetch(
        self, connection: Any, statement: str, parameters: Sequence[Any]
    ) -> list[DriverRow]:
        if not self._pooled:
            return await connection.fetch(statement, *parameters)  # type: ignore[no-any-return]
        async with connection.transaction(readonly=True):
            await connection.execute(_SET_TIMEOUTS)
            return await connection.fetch(statement, *parameters)  # type: ignore[no-any-return]

    async def _open_connection(self) -> Any:
        options = {
            "statement_cache_size": 500,
            "max_cacheable_statement_size": MAX_PREPARED_STATEMENT_LENGTH,
            **driver_arguments(self._url, pooled=self._pooled),
        }
        connection = await self._driver.connect(**options)
        if not self._pooled:
            try:
                await connection.execute(set_statement(_SETTINGS))
            except BaseException:
                connection.terminate()
                raise
        return connection


def _is_statement_error(error: BaseException) -> bool:
    """Whether the error concerns the statement only, so that the connection is still usable."""
    sqlstate = getattr(error, "sqlstate", None) or ""
    if not sqlstate:
        return isinstance(error, ValueError)  # a value that does not match its type
    return sqlstate == "57014" or sqlstate[:2] not in ("08", "57")
