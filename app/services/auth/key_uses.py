"""Last use of API keys: recorded in memory and written periodically, outside of requests.

The stored time is at most a minute behind: a use is recorded if the stored one is at least half a
minute old, and written within another half minute.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import bindparam, or_, update

from app.services.shared.background_tasks import log_failure, run_in_background
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database

MIN_RECORD_INTERVAL = timedelta(seconds=30)
FLUSH_SECONDS = 30.0
MAX_PENDING_KEYS = 10_000

log = structlog.get_logger(__name__)
_KEY_TABLE = tables.METADATA.tables["api_key"]
_LAST_USED_AT = _KEY_TABLE.c.last_used_at
_UPDATE_LAST_USED = (
    update(_KEY_TABLE)
    .where(_KEY_TABLE.c.id == bindparam("key_id"))
    .where(or_(_LAST_USED_AT.is_(None), bindparam("used_at") > _LAST_USED_AT))
    .values(last_used_at=bindparam("used_at"))
)


class KeyUseRecorder:
    """Records uses. `async with start_flushing(database)` writes them, and the rest at its end."""

    def __init__(self) -> None:
        self._pending: dict[UUID, datetime] = {}

    def __len__(self) -> int:
        """Number of keys with uses that are not written yet."""
        return len(self._pending)

    def record_use(self, key_id: UUID, now: datetime, last_used_at: datetime | None = None) -> None:
        """Records a use. `last_used_at` is the use that the database has, None if unknown."""
        if last_used_at is not None and now - last_used_at < MIN_RECORD_INTERVAL:
            return
        # A key beyond the maximum is recorded at its next use.
        if key_id in self._pending or len(self._pending) < MAX_PENDING_KEYS:
            self._pending[key_id] = now

    @contextlib.asynccontextmanager
    async def start_flushing(self, database: Database) -> AsyncIterator[None]:
        try:
            async with run_in_background(self._flush_periodically(database), "key uses"):
                yield
        finally:
            await self.flush(database)

    async def _flush_periodically(self, database: Database) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush(database)

    async def flush(self, database: Database) -> None:
        """Writes the recorded uses in one statement. If that fails, they are kept."""
        uses, self._pending = self._pending, {}
        if not uses:
            return
        # In a fixed order, so that two processes cannot deadlock.
        rows = [{"key_id": key_id, "used_at": uses[key_id]} for key_id in sorted(uses)]
        written = False
        try:
            async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
                await session.execute(_UPDATE_LAST_USED, rows)
            written = True
        except Exception as error:  # the next flush tries again
            log_failure("api_key_usage_not_saved", error, keys=len(uses))
        finally:
            if not written:
                self._pending = uses | self._pending
