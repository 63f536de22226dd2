"""How a socket hears that its credential has ended: revoked by any process, or expired."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from app.domain.access import Caller
from app.services.keys import REVOKED
from app.store import changes
from app.store.changes import Entry

_LOOK_SECONDS = 3_600.0  # clocks are set, and timers have a longest time


class Ending:
    """`Feed.ending()` makes one. Do so before the credential is looked at, then say whose it is
    by `of`: so no revocation falls in between. It needs no query."""

    def __init__(self) -> None:
        self._known = asyncio.Event()
        self._revoked = asyncio.Event()
        self._heard: set[UUID] = set()
        self._credential_id: UUID | None = None
        self._expires_at: datetime | None = None

    def hear(self, entry: Entry) -> None:
        """Of every entry that the feed reads."""
        if entry.subject != changes.API_KEY or entry.kind != REVOKED:
            return
        if not self._known.is_set():
            self._heard.add(entry.subject_id)
        elif entry.subject_id == self._credential_id:
            self._revoked.set()

    def of(self, caller: Caller) -> None:
        """Whose credential it is about."""
        self._credential_id, self._expires_at = caller.credential_id, caller.expires_at
        self._known.set()
        if self._credential_id in self._heard:
            self._revoked.set()
        self._heard.clear()

    async def wait(self) -> str:
        """Returns when the credential has ended, and says how."""
        await self._known.wait()
        while True:
            left = _LOOK_SECONDS
            if self._expires_at is not None:
                left = min(left, (self._expires_at - datetime.now(UTC)).total_seconds())
            if left <= 0:
                return "The credential has expired."
            try:
                async with asyncio.timeout(left):
                    await self._revoked.wait()
            except TimeoutError:
                continue
            return "The key was revoked."
