"""Ends WebSocket connections and event streams when their credential expires or is revoked.

Revocations are polled once a second, in one statement for all credentials. They are not read from
the change log: on PostgreSQL an entry is readable only when all older transactions have ended.
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
from app.services.shared.background_tasks import log_failure, run_in_background
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database

POLL_SECONDS = 1.0
_MAX_TIMER_SECONDS = 3_600.0  # wall clocks may be set, and timers have a maximum

log = structlog.get_logger(__name__)


class CredentialLifetime:
    """Credential of a connection or stream. It is watched while this object is referenced.

    `ended`: the reason why it has ended. No task waits for it, as tasks take memory of each
    connection. Call `release` when the connection ends.
    """

    def __init__(self, expires_at: datetime | None) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._expires_at = expires_at
        self._timer: asyncio.TimerHandle | None = None
        self._check_expiration()

    def revoke(self) -> None:
        self._end("The API key was revoked.")

    def release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _check_expiration(self) -> None:
        if self._expires_at is None:
            return
        remaining = (self._expires_at - datetime.now(UTC)).total_seconds()
        if remaining <= 0:
            self._end("The credential has expired.")
        else:
            self._timer = self.ended.get_loop().call_later(
                min(remaining, _MAX_TIMER_SECONDS), self._check_expiration
            )

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)


class CredentialWatcher:
    """Watches the credentials of a process, within `async with start_watching(database)`."""

    def __init__(self) -> None:
        self._lifetimes: defaultdict[UUID, WeakSet[CredentialLifetime]] = defaultdict(WeakSet)

    def track_caller(self, caller: Caller) -> CredentialLifetime:
        lifetime = CredentialLifetime(caller.expires_at)
        if caller.credential_id is not None:
            self._lifetimes[caller.credential_id].add(lifetime)
        return lifetime

    def start_watching(self, database: Database) -> AbstractAsyncContextManager[None]:
        return run_in_background(self._watch(database), "credential watcher")

    async def _watch(self, database: Database) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.check_revocations(database)
            except Exception as error:  # the next poll may succeed
                log_failure("credential_check_failed", error)

    async def check_revocations(self, database: Database) -> None:
        """Ends the lifetimes whose keys were revoked."""
        for key_id in [id for id, lifetimes in self._lifetimes.items() if not lifetimes]:
            del self._lifetimes[key_id]
        if not self._lifetimes:
            return
        key = tables.ApiKey
        conditions = (col(key.id).in_(list(self._lifetimes)), col(key.revoked_at).is_not(None))
        async with database.read(ALL_ORGANIZATIONS) as session:
            revoked = list(await session.scalars(select(col(key.id)).where(*conditions)))
        for key_id in revoked:
            for lifetime in self._lifetimes.pop(key_id, ()):
                lifetime.revoke()
