"""What a resolver may reach: the caller, the database, the feed, the loaders, the clock."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable, Hashable, Mapping
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import strawberry

from app.domain.access.caller import Caller
from app.domain.intake.intake import Desk
from app.domain.shared.limits import Limits
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth.access import Access, caller_of
from app.services.auth.credential_watcher import Ending
from app.services.change_log.feed import Feed


class Context:
    """Of one request, or of one socket: it holds no session, and its loaders keep nothing."""

    def __init__(
        self,
        access: Access,
        feed: Feed,
        limits: Limits,
        make_loaders: Callable[[Context], object],
        address: Callable[[], str],
        client_address: str | None = None,
        asked_at: datetime | None = None,
        last_event_id: str | None = None,
    ) -> None:
        self.database = access.database
        self._access = access
        self._client_address = client_address
        self.feed = feed
        self.limits = limits
        self._make_loaders = make_loaders
        self.authenticated: Caller | None = None
        self._address = address
        self._asked_at = asked_at
        self._last_event_id = last_event_id
        self._prepaid = 0
        self.done: Future[Any] | None = None

    @cached_property
    def loaders(self) -> object:
        """Read them by `types.loaders.loaders_of`, which knows their type."""
        return self._make_loaders(self)

    @cached_property
    def public_url(self) -> str:
        """The server, as its clients address it."""
        return self._address()

    @property
    def now(self) -> datetime:
        """One instant for all of an HTTP request; a socket asks for a long time."""
        return self._asked_at or datetime.now(UTC)

    async def authenticate(self, said: Mapping[str, str]) -> None:
        """Learns who speaks, from headers or the payload of connection_init.

        RequestError UNAUTHENTICATED, FORBIDDEN, LIMIT_EXCEEDED.
        """
        self.authenticated = await caller_of(self._access, said, self._client_address)

    def behind(self, after: str | None) -> str | None:
        """Where a subscription begins: what a browser resumes by wins over the document."""
        return self._last_event_id or after

    def ending(self) -> Ending:
        """The end of the caller's credential, for what goes on until then."""
        return self._access.endings.of(self.caller)

    @property
    def credential(self) -> Hashable:
        """What the caller is counted by: the key, or whom the token names."""
        caller = self.caller
        return caller.credential_id or (caller.name, caller.organization_id)

    def note_use(self) -> None:
        """For each operation of a socket: its credential was looked at once."""
        if (key_id := self.caller.credential_id) is not None:
            self._access.uses.note(key_id, datetime.now(UTC))

    def spend(self, points: int) -> None:
        """RequestError LIMIT_EXCEEDED where the caller has none left."""
        due, self._prepaid = points - self._prepaid, 0
        if due:
            self._access.rates.spend(self.caller, due)

    def prepay(self, points: int) -> None:
        """As `spend`: what is then executed after all is not paid for twice."""
        self.spend(points)
        self._prepaid = points

    async def once(self, do: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        """What a mutation leads to: a plan that could not tell it has done it already."""
        return await (do(self, *given) if self.done is None else self.done)

    def forget_key(self, key_id: UUID) -> None:
        """It was revoked: no request is let in by what is remembered of it."""
        self._access.remembered.forget(key_id)

    @property
    def caller(self) -> Caller:
        if self.authenticated is None:
            raise RequestError(ErrorCode.UNAUTHENTICATED, "Give a key.")
        return self.authenticated

    @property
    def audience(self) -> Hashable:
        """All of the asker that an answer may depend on: those who are alike share answers."""
        return self._unnamed, self.public_url

    def shared(self) -> Context:
        """What answers for an audience are made with: it knows no name and no credential."""
        shared = copy(self)
        shared.authenticated = self._unnamed
        shared.__dict__.pop("loaders", None)
        return shared

    @property
    def _unnamed(self) -> Caller:
        return replace(self.caller, name="", credential_id=None, expires_at=None)

    @property
    def desk(self) -> Desk:
        return Desk(self.caller, datetime.now(UTC), self.limits)


Info = strawberry.Info[Context, Any]
