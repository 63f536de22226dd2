"""The execution context of GraphQL operations: caller, database, feed, data loaders and time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import strawberry

from app.domain.access.caller import Caller
from app.domain.events.severity import SeverityMap
from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import Limits
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth.access import Access, authenticate_headers
from app.services.auth.credential_watcher import CredentialLifetime
from app.services.change_log.feed import Feed
from app.services.change_log.notification_summaries import NotificationSummaries
from app.services.channels.channels import ChannelTools


class Context:
    """Context of one HTTP request, of a WebSocket connection or of one of its operations.

    It holds no database session.
    """

    def __init__(
        self,
        access: Access,
        feed: Feed,
        notification_summaries: NotificationSummaries,
        channel_tools: ChannelTools,
        limits: Limits,
        create_loaders: Callable[[Context], object],
        get_public_url: Callable[[], str],
        client_address: str | None = None,
        received_at: datetime | None = None,
        last_event_id: str | None = None,
        severity_map: SeverityMap | None = None,
    ) -> None:
        self.database = access.database
        self._access = access
        self._client_address = client_address
        self.feed = feed
        self.notification_summaries = notification_summaries
        self.channel_tools = channel_tools
        self.limits = limits
        self._create_loaders = create_loaders
        self.authenticated_caller: Caller | None = None
        self._get_public_url = get_public_url
        self._received_at = received_at
        self._last_event_id = last_event_id
        self._severity_map = severity_map or {}
        self._charged_in_advance = 0

    @cached_property
    def loaders(self) -> object:
        """The data loaders. Use `types.loaders.get_loaders`, which returns them with their type."""
        return self._create_loaders(self)

    @cached_property
    def public_url(self) -> str:
        """Base URL under which clients reach the server."""
        return self._get_public_url()

    @property
    def now(self) -> datetime:
        """Time of the HTTP request; on a WebSocket connection, the current time."""
        return self._received_at or datetime.now(UTC)

    async def authenticate(self, headers: Mapping[str, str]) -> None:
        """Authenticates the caller by the payload of connection_init.

        Raises RequestError UNAUTHENTICATED, FORBIDDEN or LIMIT_EXCEEDED.
        """
        self.authenticated_caller = await authenticate_headers(
            self._access, headers, self._client_address
        )

    def resume_cursor(self, after: str | None) -> str | None:
        """Returns the cursor after which a subscription starts. Last-Event-ID overrides `after`."""
        return self._last_event_id or after

    def credential_lifetime(self) -> CredentialLifetime:
        """Returns the lifetime of the caller's credential, with which streams and sockets end."""
        return self._access.credential_watcher.track_caller(self.caller)

    def record_key_use(self) -> None:
        """Records that an operation used the caller's API key.

        A WebSocket connection authenticates once and calls this for each operation.
        """
        if (key_id := self.caller.credential_id) is not None:
            self._access.key_uses.record_use(key_id, datetime.now(UTC))

    def charge(self, points: int) -> None:
        """Charges the cost of an operation to the caller's rate limit.

        Raises RequestError LIMIT_EXCEEDED if the limit is exhausted.
        """
        amount, self._charged_in_advance = points - self._charged_in_advance, 0
        if amount:
            self._access.rate_limits.charge_points(self.caller, amount)

    def charge_in_advance(self, points: int) -> None:
        """Charges the cost now. If graphql-core executes after all, it is not charged again."""
        self.charge(points)
        self._charged_in_advance = points

    def evict_cached_caller(self, key_id: UUID) -> None:
        """Removes the callers of a revoked API key from the caller cache."""
        self._access.caller_cache.invalidate_key(key_id)

    @property
    def caller(self) -> Caller:
        if self.authenticated_caller is None:
            raise RequestError(ErrorCode.UNAUTHENTICATED, "The request has no credential.")
        return self.authenticated_caller

    def audience_key(self, *, one_reader: bool) -> Hashable:
        """Everything about the caller that a result may depend on. Equal keys share results."""
        return self._audience(one_reader), self.public_url

    def operation_context(self) -> Context:
        """Returns the context of one of the operations of a WebSocket connection."""
        context = copy(self)
        context.__dict__.pop("loaders", None)
        return context

    def shared_context(self, *, one_reader: bool) -> Context:
        """Returns the context that executes results for all callers with the same audience key.

        Its caller has neither a name nor a credential, unless all callers are `one_reader`. It
        refers neither to this context nor to its connection, which may end earlier.
        """
        context, public_url = self.operation_context(), self.public_url
        context.authenticated_caller = self._audience(one_reader)
        context._get_public_url = lambda: public_url
        context._client_address = context._received_at = context._last_event_id = None
        return context

    def _audience(self, one_reader: bool) -> Caller:
        if one_reader:
            return replace(self.caller, expires_at=None)
        return replace(self.caller, name="", credential_id=None, expires_at=None)

    @property
    def command(self) -> CommandContext:
        return CommandContext(
            self.caller, datetime.now(UTC), self.limits, severity_map=self._severity_map
        )


Info = strawberry.Info[Context, Any]


@dataclass(frozen=True)
class ContextInfo:
    """The part of `Info` that resolvers get from plans."""

    context: Context
