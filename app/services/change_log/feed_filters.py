"""Filters of the feed: the change log entries that a subscriber receives."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from app.domain.events.filters import EventFilter, filter_matches
from app.store.change_log.changes import EVENT, RESOLVED, Entry


@dataclass(frozen=True)
class FeedFilter:
    """Selects entries of an organization's events, or only those that are notifications.

    `with_resolutions`: all resolutions, too, whether or not the filter matches. Equal filters match
    the same entries, so the feed evaluates each of them once per entry.
    """

    organization_id: UUID
    filter: EventFilter = field(default=EventFilter(), compare=False)
    notifications_only: bool = False
    with_resolutions: bool = False
    # Compared instead of the filter: in Python 1 equals True, but their texts differ.
    _filter_text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_filter_text", repr(self.filter))

    def matches_entry(self, entry: Entry) -> bool:
        """Whether the entry matches. A notification is matched in its state when it was raised, so
        that a replay selects the same entries as the live subscription."""
        if entry.organization_id != self.organization_id or entry.subject != EVENT:
            return False
        if self.notifications_only:
            return is_notification(self.filter, entry)
        is_resolution = self.with_resolutions and entry.kind == RESOLVED
        return is_resolution or matches_before_or_after(self.filter, entry)


def is_notification(filter: EventFilter, entry: Entry) -> bool:
    """Whether the filter selects the event of an entry that notifies."""
    return entry.notifies and filter_matches(filter, entry.state)


def matches_before_or_after(filter: EventFilter, entry: Entry) -> bool:
    """Whether the event matches before or after the change, so that lists can drop what left."""
    return any(
        state is not None and filter_matches(filter, state) for state in (entry.before, entry.after)
    )
