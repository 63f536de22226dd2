"""How a process hears that the log has grown: its own writes at once, those of others by a sign.

A sign can be missed, so whoever waits looks at the log every `POLL_SECONDS` as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import Any

import structlog
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

POLL_SECONDS = 0.5
DATA_VERSION_SECONDS = 0.02
NOTIFY_SECONDS = 0.02
RECONNECT_SECONDS = 1.0
CHANNEL = "tocsin_log"

log = structlog.get_logger(__name__)


class Wake:
    """Rings on the process's own commits. A subclass listens for those of other processes."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._listening = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    def ring(self) -> None:
        """Call after each commit of this process."""
        self._rung.set()

    async def wait(self) -> None:
        """Returns when the log may have grown, after POLL_SECONDS at the latest."""
        # Not wait_for: on Python 3.11 it loses a cancellation that comes as it returns.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._rung.wait()
        self._rung.clear()

    async def _listen(self) -> None:
        raise NotImplementedError


class DataVersion(Wake):
    """SQLite: a number on a connection of its own changes when another connection commits."""

    def __init__(self, url: URL) -> None:
        super().__init__()
        self._file = url.database or ""

    async def _listen(self) -> None:
        connection: sqlite3.Connection | None = None
        seen = None
        try:
            while True:
                try:
                    if connection is None:
                        connection = sqlite3.connect(self._file, timeout=0)
                    # A read of shared memory, 1.5 us: cheaper here than in another thread.
                    now = connection.execute("PRAGMA data_version").fetchone()
                except sqlite3.Error:  # locked or gone: whoever reads the log will tell
                    now = None
                if now != seen:
                    seen = now
                    self._rung.set()
                await asyncio.sleep(DATA_VERSION_SECONDS)
        finally:
            if connection is not None:
                connection.close()


class ListenNotify(Wake):
    """PostgreSQL: NOTIFY after commits, one for all within NOTIFY_SECONDS.

    It has a connection of its own: in the writing transactions it cut writes to a third.
    """

    def __init__(self, url: URL) -> None:
        super().__init__()
        self._engine = create_async_engine(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"timeout": 10},
        )
        self._told = asyncio.Event()

    def ring(self) -> None:
        super().ring()
        self._told.set()

    async def stop(self) -> None:
        await super().stop()
        await self._engine.dispose()

    async def _listen(self) -> None:
        while True:
            try:
                async with self._engine.connect() as connection:
                    await self._serve(connection)
            except Exception as error:  # asyncpg's own among them; polling goes on meanwhile
                log.warning("log_listener_lost", cause=str(error))
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _serve(self, connection: AsyncConnection) -> None:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.add_listener(CHANNEL, lambda *_: self._rung.set())
        raw.add_termination_listener(lambda *_: self._told.set())
        self._rung.set()  # what was committed while nobody listened
        while True:
            await self._told.wait()
            await asyncio.sleep(NOTIFY_SECONDS)
            self._told.clear()
            await connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
