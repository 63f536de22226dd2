"""When keys were last used: noted in memory, written now and then, by no request.

What is told is at most a minute old: a use is noted when the one that is written is older than
half a minute, and written within the other half.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import bindparam, or_, update

from app.services.runtime.background_tasks import by_the_clock
from app.store import tables
from app.store.engine.database import EVERYWHERE, Database

FRESH = timedelta(seconds=30)
EVERY_SECONDS = 30.0
MOST = 10_000

log = structlog.get_logger(__name__)
_KEYS = tables.METADATA.tables["api_key"]
_WRITTEN = _KEYS.c.last_used_at
_LATER = (
    update(_KEYS)
    .where(_KEYS.c.id == bindparam("key_id"))
    .where(or_(_WRITTEN.is_(None), bindparam("used_at") > _WRITTEN))
    .values(last_used_at=bindparam("used_at"))
)


class KeyUses:
    """Notes uses; `async with uses.written_to(database)` writes them, the last ones at its end."""

    def __init__(self) -> None:
        self._latest: dict[UUID, datetime] = {}

    def __len__(self) -> int:
        """How many keys have uses that are not written yet."""
        return len(self._latest)

    def note(self, key_id: UUID, now: datetime, written: datetime | None = None) -> None:
        """`written`: the last use that the database has, where that is known."""
        if written is not None and now - written < FRESH:
            return
        # A key beyond the bound is noted at its next use.
        if key_id in self._latest or len(self._latest) < MOST:
            self._latest[key_id] = now

    @contextlib.asynccontextmanager
    async def written_to(self, database: Database) -> AsyncIterator[None]:
        try:
            async with by_the_clock(self._write(database), "key uses"):
                yield
        finally:
            await self.flush(database)

    async def _write(self, database: Database) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.flush(database)

    async def flush(self, database: Database) -> None:
        """Writes what was noted, in one statement; what cannot be written now is kept."""
        taken, self._latest = self._latest, {}
        if not taken:
            return
        # In one order, so that two processes wait for each other in one direction only.
        rows = [{"key_id": key_id, "used_at": taken[key_id]} for key_id in sorted(taken)]
        written = False
        try:
            async with database.write(EVERYWHERE) as session:
                await (await session.connection()).execute(_LATER, rows)
            written = True
        except Exception as error:  # whatever it was, the next flush tries again
            log.warning("key_uses_unwritten", keys=len(taken), cause=str(error))
        finally:
            if not written:
                self._latest = taken | self._latest
