"""PostgreSQL without a session: connections of their own, on which nothing but reads runs.

So there is nothing to reset between two of them, and each statement is prepared once.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from app.store.engine.dialect import BUSY_MS, STATEMENT_MS
from app.store.engine.reader_limiter import Room
from app.store.engine.statement_observers import report_statement

CONNECTIONS = 8
LONGEST_KEPT = 16_384  # of a statement: the server keeps it, too, and its plan

Row = Sequence[Any]


class PostgreSQLRows:
    """Connections of asyncpg that prepare each statement once. A lost one is made anew."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._driver: Any = importlib.import_module("asyncpg")  # which SQLite does without
        # The last of them: a connection that was told of its end, and has not ended yet.
        names = ("PostgresError", "InterfaceError", "InternalClientError")
        self._errors = tuple(getattr(self._driver, name) for name in names)
        self._idle: list[Any] = []
        self._room = Room(CONNECTIONS)
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def in_use(self) -> int:
        return self._room.taken

    async def fetch_rows(
        self, statement: str, parameters: Sequence[Any], *, scans_texts: bool = False
    ) -> list[Row]:
        report_statement(self._url, statement)
        await self._room.enter()
        try:
            if (kept := self._kept()) is not None:
                try:
                    return await self._asked(kept, statement, parameters)
                except (*self._errors, OSError):
                    if not kept.is_closed():
                        raise
            # It was lost, now or long ago: asked once more, of a new one.
            return await self._asked(await self._open(), statement, parameters)
        except self._errors as error:
            raise DBAPIError(statement, None, error) from error
        finally:
            self._room.leave()

    async def close(self) -> None:
        while (kept := self._kept()) is not None:
            await self._end(kept)
        await asyncio.gather(*self._ending)

    async def _end(self, connection: Any) -> None:
        with contextlib.suppress(Exception):
            await connection.close(timeout=2)

    def _kept(self) -> Any:
        while self._idle:
            if not (connection := self._idle.pop()).is_closed():
                return connection
        return None

    async def _asked(self, connection: Any, statement: str, parameters: Sequence[Any]) -> list[Row]:
        try:
            found: list[Row] = await connection.fetch(statement, *parameters)
        except asyncio.CancelledError:
            # `close` first tells the server to stop; `terminate` lets it go on.
            ending = asyncio.create_task(self._end(connection))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            raise
        except BaseException as error:
            if _is_about_the_statement(error):
                self._idle.append(connection)
            else:
                connection.terminate()
            raise
        self._idle.append(connection)
        return found

    async def _open(self) -> Any:
        _, given = self._url.get_dialect()().create_connect_args(self._url)
        for name in ("prepared_statement_cache_size", "prepared_statement_name_func"):
            given.pop(name, None)  # SQLAlchemy's own
        settings = {
            "application_name": "tocsin",
            "default_transaction_read_only": "on",
            "statement_timeout": str(STATEMENT_MS),
            "lock_timeout": str(BUSY_MS),
        }
        kept = {"statement_cache_size": 500, "max_cacheable_statement_size": LONGEST_KEPT, **given}
        return await self._driver.connect(timeout=10, server_settings=settings, **kept)


def _is_about_the_statement(error: BaseException) -> bool:
    """The connection is as good as before: not where it broke, or where its asker went away."""
    state = getattr(error, "sqlstate", None) or ""
    if not state:
        return isinstance(error, ValueError)  # a value that does not fit its type
    return state == "57014" or state[:2] not in ("08", "57")
