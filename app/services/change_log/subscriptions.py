"""Subscriptions to the change log: a feed filter and a start position."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.services.change_log.feed import resolve_start
from app.services.change_log.feed_filters import FeedFilter
from app.store.change_log import changes
from app.store.change_log.changes import LogPosition
from app.store.engine.database import Database


@dataclass(frozen=True)
class LogSubscription:
    """The entries that a subscription delivers and the position that it starts after."""

    feed_filter: FeedFilter
    after: LogPosition
    snapshot: changes.LogSnapshot

    @property
    def broadcast_key(self) -> Hashable:
        """Equal for subscriptions that share a broadcast, wherever they start."""
        return self.feed_filter, self.snapshot.identity

    def encode_cursor(self, position: LogPosition) -> str:
        return changes.encode_log_cursor(
            self.feed_filter.organization_id, self.snapshot, position, complete=True
        )


async def subscribe_to_notifications(
    database: Database, caller: Caller, filter: EventFilter, after: str | None
) -> LogSubscription:
    """Subscribes to new notifications. Raises RequestError INVALID_CURSOR or CURSOR_EXPIRED."""
    snapshot, start = await resolve_start(database, caller, after)
    return LogSubscription(
        FeedFilter(caller.organization_id, filter, notifications_only=True), start, snapshot
    )


async def subscribe_to_changes(
    database: Database, caller: Caller, filter: EventFilter, after: str | None
) -> LogSubscription:
    """Subscribes to changes to events that match the filter before or after the change.

    Raises RequestError INVALID_CURSOR or CURSOR_EXPIRED.
    """
    snapshot, start = await resolve_start(database, caller, after)
    return LogSubscription(FeedFilter(caller.organization_id, filter), start, snapshot)
