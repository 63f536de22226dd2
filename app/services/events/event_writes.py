"""Writes changes of stored events, with their entries in the change log.

Batches of reports, which also store new events, write theirs in `reports`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.events.state import EventState, diff_states
from app.domain.intake.intake import CommandContext
from app.store import tables
from app.store.change_log import changes

_NO_CHANGES: dict[str, Any] = {}  # one object, which a batch encodes once


@dataclass(frozen=True)
class EventUpdate:
    """A change of an event. `kind`: that of its log entry. `notifies`: whether it notifies now."""

    command: CommandContext
    row: tables.Event
    before: EventState
    after: EventState
    kind: str
    notifies: bool = False


async def write_updates(session: AsyncSession, updates: Sequence[EventUpdate]) -> None:
    """Changes the rows and appends their entries, in order. Those that notify move up in the bell.

    A row may be changed several times, each time from the state after the change before.
    """
    entries = []
    for update in updates:
        entries.append(
            build_log_entry(
                update.command, update.kind, update.after, update.before, notifies=update.notifies
            )
        )
        update.row.update_from(update.after)
    if entries:
        positions = await changes.append_entries(session, entries)
        for update, position in zip(updates, positions, strict=True):
            if update.notifies:
                update.row.set_rang(position)
    await session.flush()


def build_log_entry(
    command: CommandContext,
    kind: str,
    state: EventState,
    before: EventState | None = None,
    *,
    notifies: bool = False,
) -> changes.NewEntry:
    """Builds the change log entry of an event. `before`: None if it is logged or deleted."""
    return changes.NewEntry(
        organization_id=command.actor.organization_id,
        subject=changes.EVENT,
        subject_id=state.id,
        kind=kind,
        at=command.now,
        actor=command.actor.name,
        notifies=notifies,
        changes=_NO_CHANGES if before is None else diff_states(before, state),
        state=state.to_json(),
    )
