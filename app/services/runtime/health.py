"""Whether this server is fit to serve, and what its gauges show.

`look` asks the database at most once a second, however many ask; `watching` looks by itself.
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
from app.services.runtime.background_tasks import by_the_clock
from app.store import health
from app.store.engine.database import EVERYWHERE, Database
from app.store.engine.dialect import DATABASE_ERRORS, why_unavailable

FRESH_SECONDS = 1.0
WATCH_SECONDS = 2.0
PATIENCE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Check(StrEnum):
    DATABASE = "database"
    MIGRATIONS = "migrations"
    LOG = "log"


@dataclass(frozen=True)
class Lag:
    """How far the reader of the log is behind its end."""

    entries: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Look:
    """What was wrong, and the lag where it could be seen."""

    problems: dict[Check, str]
    lag: Lag | None = None


class Vitals:
    def __init__(self, database: Database, feed: Feed, longest_lag_seconds: float) -> None:
        self._database = database
        self._feed = feed
        self._longest_lag_seconds = longest_lag_seconds
        self._looking = asyncio.Lock()
        self._last = Look({})
        self._looked_at = float("-inf")

    async def look(self) -> Look:
        async with self._looking:
            if time.monotonic() - self._looked_at > FRESH_SECONDS:
                self._last = await self._look()
                self._looked_at = time.monotonic()
            return self._last

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Vitals]:
        """Keeps the gauges up to date."""
        async with by_the_clock(self._watch(), "vitals"):
            yield self

    async def _watch(self) -> None:
        while True:
            try:
                self._show(await self.look())
            except Exception:  # a mistake of ours: gauges that stand still would tell lies
                log.exception("vitals_unreadable")
                metrics.DATABASE_UP.set(0)
            await asyncio.sleep(WATCH_SECONDS)

    async def _look(self) -> Look:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._ask()
        except TimeoutError:
            why = f"The database did not answer within {PATIENCE_SECONDS:g} seconds."
            return Look({Check.DATABASE: why})
        except DATABASE_ERRORS as error:
            told = why_unavailable(error)
            if told is None:
                raise
            return Look({Check.DATABASE: told})

    async def _ask(self) -> Look:
        async with self._database.read(EVERYWHERE) as session:
            if not await health.is_migrated(session):
                why = "The database has tables of another version of Tocsin."
                return Look({Check.MIGRATIONS: why})
            entries, oldest = await health.behind(session, self._feed.read_up_to)
        seconds = 0.0 if oldest is None else (datetime.now(UTC) - oldest).total_seconds()
        lag = Lag(entries, max(0.0, seconds))
        if lag.seconds <= self._longest_lag_seconds:
            return Look({}, lag)
        why = f"Subscribers are more than {self._longest_lag_seconds:g} seconds behind the log."
        return Look({Check.LOG: why}, lag)

    def _show(self, look: Look) -> None:
        broadcasts = self._feed.broadcasts.values()
        subscribers = [each for broadcast in broadcasts for each in broadcast.subscribers]
        metrics.SUBSCRIBERS.set(len(subscribers))
        metrics.BUFFERED.set(sum(each.held for each in subscribers))
        metrics.BUFFERED_BYTES.set(sum(each.held_bytes for each in subscribers))
        metrics.CONNECTIONS.set(self._database.connections_in_use)
        metrics.DATABASE_UP.set(Check.DATABASE not in look.problems)
        if look.lag is not None:
            metrics.LAG_ENTRIES.set(look.lag.entries)
            metrics.LAG_SECONDS.set(look.lag.seconds)
