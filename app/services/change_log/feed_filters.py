"""Which entries of the log somebody follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from app.domain.events.filters import EventFilter, matches
from app.store.change_log.changes import EVENT, Entry


@dataclass(frozen=True)
class Selection:
    """The entries of events of an organization that a filter selects, or those of them that rang.

    Equal ones select the same, so that one is asked for all who follow it.
    """

    organization_id: UUID
    filter: EventFilter = field(default=EventFilter(), compare=False)
    rings_only: bool = False
    # In Python 1 equals True; as they are written they differ.
    _written: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_written", repr(self.filter))

    def selects(self, entry: Entry) -> bool:
        """A notification is judged as it was when it rang, so that a replay selects what the live
        subscription selected."""
        if entry.organization_id != self.organization_id or entry.subject != EVENT:
            return False
        if self.rings_only:
            return entry.rings and matches(self.filter, entry.state)
        return concerns(self.filter, entry)


def concerns(filter: EventFilter, entry: Entry) -> bool:
    """Whether the filter selects the event as it was before or after: a list drops what left it."""
    return any(
        state is not None and matches(filter, state) for state in (entry.before, entry.after)
    )
