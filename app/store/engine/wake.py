"""Wakes the readers of the change log after commits of this process and of other processes.

A process that listens is a server, so the listeners also hold the lock of `serving_lock`.

A notification can be lost, so waiters also poll the change log every `POLL_SECONDS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import Any

import structlog
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from app.store.engine.postgresql_connections import create_postgresql_engine
from app.store.engine.serving_lock import SHARED_LOCK_STATEMENT, ServingFileLock
from app.store.engine.sqlite_file import DatabaseFile

POLL_SECONDS = 0.5
DATA_VERSION_SECONDS = 0.02
NOTIFY_SECONDS = 0.005
RECONNECT_SECONDS = 1.0
CHANNEL = "tocsin_log"

log = structlog.get_logger(__name__)


class WakeSignal:
    """Set by the commits of this process. A subclass listens for those of other processes."""

    def __init__(self) -> None:
        self._notified = asyncio.Event()
        self._listener_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._listener_task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        if self._listener_task is not None:
            self._listener_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener_task

    def notify(self) -> None:
        """Call after each commit of this process."""
        self._notified.set()

    async def wait(self) -> None:
        """Returns when the change log may have new entries, after POLL_SECONDS at the latest."""
        # Not wait_for: on Python 3.11 it loses a cancellation that comes as it returns.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._notified.wait()
        self._notified.clear()

    async def _listen(self) -> None:
        raise NotImplementedError


class DataVersionPoller(WakeSignal):
    """SQLite: polls `PRAGMA data_version`, which changes when another connection commits."""

    def __init__(self, url: URL) -> None:
        super().__init__()
        self._file = DatabaseFile(url.database or "")
        self._serving_lock = ServingFileLock(self._file.path)

    async def _listen(self) -> None:
        connection: sqlite3.Connection | None = None
        last_version = None
        try:
            while True:
                self._serving_lock.try_acquire()
                try:
                    self._file.check()
                    if connection is None:
                        connection = sqlite3.connect(self._file.uri(), timeout=0, uri=True)
                    # A read of shared memory, 1.5 us: cheaper here than in another thread.
                    version = connection.execute("PRAGMA data_version").fetchone()
                except (sqlite3.Error, OSError):
                    # Locked, missing or replaced: the next read of the change log reports it.
                    version = None
                    if connection is not None:
                        connection.close()
                        connection = None
                if version != last_version:
                    last_version = version
                    self._notified.set()
                await asyncio.sleep(DATA_VERSION_SECONDS)
        finally:
            self._serving_lock.release()
            if connection is not None:
                connection.close()


class NotificationListener(WakeSignal):
    """PostgreSQL: LISTEN, and NOTIFY at once, then one for all commits within NOTIFY_SECONDS.

    Uses a connection of its own: NOTIFY in the write transactions reduced writes to a third.
    """

    def __init__(self, url: URL) -> None:
        super().__init__()
        self._engine = create_postgresql_engine(
            url, {}, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        self._send_requested = asyncio.Event()

    def notify(self) -> None:
        super().notify()
        self._send_requested.set()

    async def stop(self) -> None:
        await super().stop()
        await self._engine.dispose()

    async def _listen(self) -> None:
        while True:
            try:
                async with self._engine.connect() as connection:
                    await self._exchange_notifications(connection)
            except Exception as error:  # asyncpg's errors too; polling continues meanwhile
                log.warning("change_log_listener_lost", cause=str(error))
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _exchange_notifications(self, connection: AsyncConnection) -> None:
        driver_connection: Any = (await connection.get_raw_connection()).driver_connection
        await driver_connection.add_listener(CHANNEL, lambda *_: self._notified.set())
        driver_connection.add_termination_listener(lambda *_: self._send_requested.set())
        await connection.exec_driver_sql(SHARED_LOCK_STATEMENT)
        self._notified.set()  # for commits before LISTEN
        while True:
            await self._send_requested.wait()
            self._send_requested.clear()
            await connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
            await asyncio.sleep(NOTIFY_SECONDS)
