"""Removes the references to events that are deleted: `duplicateOf` of their duplicates, and links.

Each changed event gets a log entry. Events are locked in the order of their IDs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import astuple, dataclass, replace
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.correlations import Link
from app.domain.intake.intake import CommandContext
from app.services.events import correlations
from app.services.events.event_writes import EventUpdate, write_updates
from app.services.shared.row_locks import lock_events
from app.store import tables
from app.store.engine.database import BY_ID

MAX_REFERENCES = 500


@dataclass(frozen=True)
class References:
    """Duplicates and links of events, at most MAX_REFERENCES. `has_more`: there are more."""

    duplicate_ids: Sequence[UUID]
    links: Sequence[Link]
    has_more: bool

    @property
    def changed_ids(self) -> set[UUID]:
        """The IDs of the duplicates, and of the events at both ends of the links."""
        ends = (id for link in self.links for id in (link.event_id, link.other_id))
        return {*self.duplicate_ids, *ends}


async def find_references(session: AsyncSession, event_ids: Collection[UUID]) -> References:
    """Finds references to the events, without locking anything.

    A duplicate that is one of the events itself does not count.
    """
    table = tables.Event
    duplicates = select(col(table.id)).where(
        col(table.duplicate_of_id).in_(event_ids), col(table.id).not_in(event_ids)
    )
    duplicate_ids = list(
        await session.scalars(duplicates.limit(MAX_REFERENCES + 1), execution_options=BY_ID)
    )
    max_links = MAX_REFERENCES - len(duplicate_ids)
    links = await correlations.list_links(session, event_ids, max_links + 1)
    return References(
        duplicate_ids[:MAX_REFERENCES], links[: max(max_links, 0)], len(links) > max_links
    )


async def count_removals(session: AsyncSession, event_ids: Collection[UUID]) -> int:
    """Counts the calls of `remove_references` that the present references to the events need."""
    duplicates = select(func.count()).where(col(tables.Event.duplicate_of_id).in_(event_ids))
    count = (await session.scalars(duplicates, execution_options=BY_ID)).one()
    count += await correlations.count_links(session, event_ids)
    return -(-count // MAX_REFERENCES)


async def stop_new_duplicates(session: AsyncSession, event_ids: Collection[UUID]) -> None:
    """Lets no later event become a duplicate of the events."""
    statement = delete(tables.FirstEvent).where(
        col(tables.FirstEvent.event_id).in_(sorted(event_ids))
    )
    await session.execute(statement, execution_options={"synchronize_session": False})


async def remove_references(
    session: AsyncSession,
    command: CommandContext,
    references: References,
    event_ids: Set[UUID],
    *,
    deletes_events: bool,
) -> None:
    """Removes those of the references that still refer to the events.

    `deletes_events`: the transaction deletes the events, so they get no entries about their links.
    """
    rows = {row.id: row for row in await lock_events(session, references.changed_ids)}
    others = {id: row for id, row in rows.items() if id not in event_ids}
    updates = [
        EventUpdate(command, row, before, replace(before, duplicate_of_id=None), "UPDATED")
        for row, before in ((row, row.to_domain()) for row in others.values())
        if row.duplicate_of_id in event_ids
    ]
    await write_updates(session, updates)
    links = [link for link in references.links if not event_ids.isdisjoint(astuple(link))]
    await correlations.remove_links(session, command, links, others if deletes_events else rows)
