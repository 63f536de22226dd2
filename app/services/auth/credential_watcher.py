"""How sockets and streams of events hear that their credential has ended: expired, or revoked.

Revocations are looked up once a second, for all of them in one statement. The log tells of them,
too, but on PostgreSQL no entry is read while an older transaction is open anywhere.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from uuid import UUID
from weakref import WeakSet

import structlog
from sqlalchemy import select
from sqlmodel import col

from app.domain.access.caller import Caller
from app.services.runtime.background_tasks import by_the_clock
from app.store import tables
from app.store.engine.database import EVERYWHERE, Database

EVERY_SECONDS = 1.0
_LOOK_SECONDS = 3_600.0  # clocks are set, and timers have a longest time

log = structlog.get_logger(__name__)


class Ending:
    """Of one socket's or stream's credential. It is looked after as long as somebody holds it."""

    def __init__(self, expires_at: datetime | None) -> None:
        self.revoked = asyncio.Event()
        self._expires_at = expires_at

    async def wait(self) -> str:
        """Returns when the credential has ended, and says how."""
        while True:
            left = _LOOK_SECONDS
            if self._expires_at is not None:
                left = min(left, (self._expires_at - datetime.now(UTC)).total_seconds())
            if left <= 0:
                return "The credential has expired."
            try:
                async with asyncio.timeout(left):
                    await self.revoked.wait()
            except TimeoutError:
                continue
            return "The key was revoked."


class Endings:
    """All of a process: `async with endings.watched(database)` looks after them."""

    def __init__(self) -> None:
        self._of: defaultdict[UUID, WeakSet[Ending]] = defaultdict(WeakSet)

    def of(self, caller: Caller) -> Ending:
        ending = Ending(caller.expires_at)
        if caller.credential_id is not None:
            self._of[caller.credential_id].add(ending)
        return ending

    def watched(self, database: Database) -> AbstractAsyncContextManager[None]:
        return by_the_clock(self._watch(database), "endings")

    async def _watch(self, database: Database) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.look(database)
            except Exception as error:  # whatever it was, the next look may go well
                log.warning("revocations_unread", cause=str(error))

    async def look(self, database: Database) -> None:
        """Tells those whose key was revoked."""
        for gone in [key_id for key_id, endings in self._of.items() if not endings]:
            del self._of[gone]
        if not self._of:
            return
        key = tables.ApiKey
        held = (col(key.id).in_(list(self._of)), col(key.revoked_at).is_not(None))
        async with database.read(EVERYWHERE) as session:
            revoked = list(await session.scalars(select(col(key.id)).where(*held)))
        for key_id in revoked:
            for ending in self._of.pop(key_id, ()):
                ending.revoked.set()
