"""Health of the server process and its gauges.

`check_health` queries the database at most once a second; `start_monitoring` runs it periodically.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import structlog

from app import metrics
from app.services.change_log.feed import Feed
from app.services.shared.background_tasks import run_in_background
from app.store import health
from app.store.engine import dialect
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.database_errors import DATABASE_ERRORS, READ_ONLY, unavailable_reason

CACHE_SECONDS = 1.0
MONITOR_INTERVAL_SECONDS = 2.0
COUNT_INTERVAL_SECONDS = 30.0
CHECK_TIMEOUT_SECONDS = 0.9  # probes often wait for a second only

_READ_ONLY = (
    f"{READ_ONLY} Events can be read, but not logged. Allow the server to write to the file and "
    "its directory (SQLite), or connect it to a primary server that accepts writes (PostgreSQL)."
)
log = structlog.get_logger(__name__)


class HealthCheck(StrEnum):
    DATABASE = "database"
    MIGRATIONS = "migrations"


@dataclass(frozen=True)
class LogLag:
    """Lag of the feed behind the end of the change log."""

    entries: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class HealthReport:
    """The failed checks with their problems, and the lag. None if it could not be measured.

    `is_slow`: the database did not respond in time. Other processes have the same problem, so it
    does not make this process unready.
    """

    problems: dict[HealthCheck, str]
    lag: LogLag | None = None
    is_slow: bool = False
    database: str | None = None  # its name and version

    @property
    def is_ready(self) -> bool:
        return self.is_slow or not self.problems


class HealthMonitor:
    def __init__(self, database: Database, feed: Feed) -> None:
        self._database = database
        self._feed = feed
        self._lock = asyncio.Lock()
        self._last_report = HealthReport({})
        self._checked_at = float("-inf")
        self._counted_at = float("-inf")
        self._is_read_only = False

    async def check_health(self) -> HealthReport:
        async with self._lock:
            if time.monotonic() - self._checked_at > CACHE_SECONDS:
                self._last_report = await self._run_with_timeout()
                self._checked_at = time.monotonic()
            return self._last_report

    @contextlib.asynccontextmanager
    async def start_monitoring(self) -> AsyncIterator[HealthMonitor]:
        """Updates the gauges and tallies periodically until the block is left."""
        try:
            async with run_in_background(self._monitor(), "health monitor"):
                yield self
        finally:
            metrics.collect_tallies()  # other workers show the counts of one that has ended

    async def _monitor(self) -> None:
        while True:
            try:
                report = await self.check_health()
                self._update_gauges(report)
                if not report.problems:
                    await self._count_notifications()
            except Exception:  # a bug: gauges must not keep stale values
                log.exception("health_check_failed")
                metrics.DATABASE_UP.set(0)
            await asyncio.sleep(MONITOR_INTERVAL_SECONDS)

    async def _run_with_timeout(self) -> HealthReport:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                return await self._run_checks()
        except TimeoutError:
            problem = f"The database did not respond within {CHECK_TIMEOUT_SECONDS:g} seconds."
            return HealthReport({HealthCheck.DATABASE: problem}, is_slow=True)
        except DATABASE_ERRORS as error:
            reason = unavailable_reason(error)
            if reason is None:
                raise
            return HealthReport({HealthCheck.DATABASE: reason})

    async def _run_checks(self) -> HealthReport:
        async with self._database.read(ALL_ORGANIZATIONS) as session:
            database = await health.describe_database(session)
            if not await health.is_migrated(session):
                problem = (
                    "The database is not migrated to this version of Tocsin. Run `tocsin migrate`."
                )
                return HealthReport({HealthCheck.MIGRATIONS: problem}, database=database)
            is_read_only = await dialect.is_read_only(session)
            entries, oldest = await health.count_pending_entries(session, self._feed.read_position)
        if is_read_only or (self._is_read_only and not await self._database.renew_writers()):
            self._is_read_only = True
            return HealthReport({HealthCheck.DATABASE: _READ_ONLY}, database=database)
        self._is_read_only = False
        seconds = 0.0 if oldest is None else (datetime.now(UTC) - oldest).total_seconds()
        return HealthReport({}, LogLag(entries, max(0.0, seconds)), database=database)

    async def _count_notifications(self) -> None:
        if time.monotonic() - self._counted_at > COUNT_INTERVAL_SECONDS:
            async with self._database.read(ALL_ORGANIZATIONS) as session:
                metrics.OPEN_NOTIFICATIONS.set(await health.count_open_notifications(session))
            self._counted_at = time.monotonic()

    def _update_gauges(self, report: HealthReport) -> None:
        broadcasts = self._feed.broadcasts.values()
        subscribers = [
            subscriber for broadcast in broadcasts for subscriber in broadcast.subscribers
        ]
        metrics.collect_tallies()
        metrics.update_process_metrics()
        metrics.SUBSCRIPTIONS.set(len(subscribers))
        metrics.BUFFERED_MESSAGES.set(
            sum(subscriber.buffered_entries for subscriber in subscribers)
        )
        metrics.BUFFERED_BYTES.set(sum(subscriber.buffered_bytes for subscriber in subscribers))
        metrics.CONNECTIONS.set(self._database.connections_in_use)
        metrics.MAX_CONNECTIONS.set(self._database.max_connections)
        metrics.DATABASE_UP.set(HealthCheck.DATABASE not in report.problems)
        if report.lag is not None:
            metrics.LAG_ENTRIES.set(report.lag.entries)
            metrics.LAG_SECONDS.set(report.lag.seconds)
