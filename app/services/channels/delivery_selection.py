"""Selects the entries of the change log that a channel delivers.

A resolution is delivered to the channels that were notified of the event since it was last opened,
even if the event no longer matches the filter, is no longer a notification or has become silenced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.channels.channels import ChannelTrigger, DeliveryState
from app.domain.channels.messages import build_webhook_id
from app.domain.events.filters import EventFilter
from app.domain.shared.limits import ChannelLimits
from app.domain.shared.values import format_instant
from app.services.change_log.feed_filters import (
    FeedFilter,
    is_notification,
    matches_before_or_after,
)
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import RESOLVED, Entry, EntryRange, LogPosition
from app.store.engine.database import Database

# Entries of an event that notify, open or resolve it. Of an event with more, the last ones decide.
_MAX_ENTRIES_PER_EVENT = 100

Selected = tuple[Entry, ChannelTrigger]


def build_entry_id(channel_id: UUID, trigger: ChannelTrigger, entry: Entry) -> str:
    """Returns the ID of the message about an entry."""
    at = format_instant(entry.at)
    return build_webhook_id(channel_id, trigger, entry.subject_id, entry.position.seq, at)


@dataclass(frozen=True)
class DeliverySelector:
    """Selects what is delivered to a channel with this filter and these triggers."""

    database: Database
    channel: tables.Channel
    filter: EventFilter
    triggers: frozenset[ChannelTrigger]
    limits: ChannelLimits

    @property
    def feed_filter(self) -> FeedFilter:
        return FeedFilter(
            self.channel.organization_id,
            self.filter,
            notifications_only=self.triggers == {ChannelTrigger.NOTIFICATION_ADDED},
            with_resolutions=ChannelTrigger.EVENT_RESOLVED in self.triggers,
        )

    async def select(self, entries: Sequence[Entry]) -> list[Selected]:
        """Returns the entries to deliver, in order, with the triggers that select them."""
        # Once: what was deleted since needs no attention, and may be deleted at any time.
        notifying = [
            entry
            for entry in entries
            if entry.event is not None and self._notifies(entry, ChannelTrigger.NOTIFICATION_ADDED)
        ]
        resolving = []
        if ChannelTrigger.EVENT_RESOLVED in self.triggers:
            resolving = await self._find_announced(
                [entry for entry in entries if entry.kind == RESOLVED],
                {entry.position for entry in notifying},
            )
        changing = []
        if ChannelTrigger.EVENT_CHANGED in self.triggers:
            changing = [entry for entry in entries if matches_before_or_after(self.filter, entry)]
        selected = [
            *((entry, ChannelTrigger.NOTIFICATION_ADDED) for entry in notifying),
            *((entry, ChannelTrigger.EVENT_CHANGED) for entry in changing),
            *((entry, ChannelTrigger.EVENT_RESOLVED) for entry in resolving),
        ]
        return sorted(selected, key=lambda each: each[0].position)

    def _notifies(self, entry: Entry, *required: ChannelTrigger) -> bool:
        return self.triggers.issuperset(required) and is_notification(self.filter, entry)

    async def _find_announced(
        self, resolutions: Sequence[Entry], notifying: Collection[LogPosition]
    ) -> list[Entry]:
        """Returns the resolutions of events of which the channel was notified.

        `notifying`: positions of the entries of which it is notified now.
        """
        if not resolutions:
            return []
        async with self.database.read(self.channel.organization_id) as session:
            openings = await _load_openings(session, resolutions)
            # Deliveries that are kept decide. For others, the filter may have been changed since.
            announcements = {
                position: [
                    entry
                    for entry in opening
                    if (entry.notifies and self._has_delivery(entry)) or self._notifies(entry)
                ]
                for position, opening in openings.items()
            }
            recent = [
                entry
                for each in announcements.values()
                for entry in each
                if self._has_delivery(entry)
            ]
            sent = await self._find_sent(session, recent)
        announced = []
        for resolution in resolutions:
            opening = openings.get(resolution.position, [])
            if any(
                entry.position in notifying
                or (entry.position in sent if self._has_delivery(entry) else self._existed(entry))
                for entry in announcements.get(resolution.position, [])
            ) or (not _is_complete(opening) and self._probably_announced(resolution)):
                announced.append(resolution)
        return announced

    def _has_delivery(self, entry: Entry) -> bool:
        """Whether the channel has the delivery of a notifying entry if it was notified of it."""
        days = min(self.limits.delivered_days, self.limits.failed_days)
        is_kept = entry.at > datetime.now(UTC) - timedelta(days=days)
        return ChannelTrigger.NOTIFICATION_ADDED in self.triggers and is_kept

    def _existed(self, entry: Entry) -> bool:
        """Whether the channel existed when an entry was written, if notifications are sent to it.

        A channel for resolutions only gets those of all events that have notified.
        """
        is_notified = ChannelTrigger.NOTIFICATION_ADDED in self.triggers
        return entry.at >= self.channel.created_at or not is_notified

    def _probably_announced(self, resolution: Entry) -> bool:
        """Whether the state of the event says so, because the entries before were pruned."""
        state = resolution.state
        notifies = state.notification and state.silenced_by_id is None
        return notifies and matches_before_or_after(self.filter, resolution)

    async def _find_sent(self, session: AsyncSession, entries: Sequence[Entry]) -> set[LogPosition]:
        """Returns the positions of the entries of which a notification was sent or is pending."""
        trigger = ChannelTrigger.NOTIFICATION_ADDED
        positions = {
            build_entry_id(self.channel.id, trigger, each): each.position for each in entries
        }
        if not positions:
            return set()
        table = tables.Delivery
        statement = select(col(table.webhook_id)).where(
            col(table.channel_id) == self.channel.id,
            col(table.webhook_id).in_(positions),
            col(table.state) != DeliveryState.FAILED,
        )
        return {positions[webhook_id] for webhook_id in await session.scalars(statement)}


async def _load_openings(
    session: AsyncSession, resolutions: Sequence[Entry]
) -> dict[LogPosition, list[Entry]]:
    """Returns, by the position of each resolution, what opened the event and notified of it."""
    end = EntryRange(before=resolutions[-1].position, backwards=True)
    ids = sorted({entry.subject_id for entry in resolutions})
    entries = await changes.list_status_entries(session, end, _MAX_ENTRIES_PER_EVENT, ids)
    openings: dict[LogPosition, list[Entry]] = {}
    current: defaultdict[UUID, list[Entry]] = defaultdict(list)
    for entry in (*entries, resolutions[-1]):
        if entry.kind == RESOLVED:
            openings[entry.position] = current.pop(entry.subject_id, [])
        else:
            current[entry.subject_id].append(entry)
    return openings


def _is_complete(opening: Sequence[Entry]) -> bool:
    """Whether no entry before the first one was pruned."""
    return bool(opening) and opening[0].kind in ("LOGGED", "REOPENED")
