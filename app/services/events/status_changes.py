"""Changes to the status of events: acknowledging and resolving them, and taking either back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.filters import EventFilter
from app.domain.events.state import AlertKey, EventState, EventStatus
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem, UserErrorCode, not_found
from app.domain.shared.values import validate_text
from app.services.events import alert_keys, bulk_changes
from app.services.events.bulk_changes import BulkResult, EventSelection
from app.services.events.event_writes import EventUpdate, write_updates
from app.services.events.events import event_not_found
from app.services.events.reports import EventResult
from app.services.events.shared_transactions import submit_call
from app.services.events.silencing import Silencer, load_silencer
from app.services.rules import duplicates
from app.services.shared.row_locks import lock_events, lock_row
from app.store import tables
from app.store.change_log.changes import LogPosition
from app.store.engine.database import (
    BY_ID,
    CommitTracker,
    Database,
    current_commit_tracker,
    retry_on_deadlock,
)
from app.store.engine.dialect import lock_definitions_shared
from app.store.reading import event_conditions
from app.store.reading.event_conditions import Condition

MAX_RETURNED_EVENTS = 100


@dataclass(frozen=True)
class StatusChange:
    """New values of the attributes of an acknowledgement or a resolution.

    `time_attribute`: the one that is null without it. An event that already has an acknowledgement
    or resolution keeps it. With `notifies_again`, notifications are delivered again.
    """

    kind: str
    time_attribute: str
    values: Mapping[str, Any]
    notifies_again: bool = False

    @classmethod
    def record(
        cls, kind: str, names: Sequence[str], command: CommandContext, note: str | None
    ) -> StatusChange:
        """Records the time, the credential and a note in the attributes with these names."""
        values = dict(zip(names, (command.now, command.actor.name, note), strict=True))
        return cls(kind, names[0], values)

    @classmethod
    def clear(
        cls, kind: str, names: Sequence[str], *, notifies_again: bool = False
    ) -> StatusChange:
        return cls(kind, names[0], dict.fromkeys(names), notifies_again)

    def changes(self, event: tables.Event | EventState) -> bool:
        is_absent = getattr(event, self.time_attribute) is None
        return is_absent is not (self.values[self.time_attribute] is None)


@dataclass(frozen=True)
class StatusChangeResult(BulkResult):
    """`rows`: the newest `MAX_RETURNED_EVENTS` of the changed events."""

    rows: tuple[tables.Event, ...] = ()


@dataclass(frozen=True)
class _StatusCall:
    """A change of one event. `commit_tracker.started` is set once it may be durable."""

    command: CommandContext
    event_id: UUID
    change: StatusChange
    commit_tracker: CommitTracker


async def change_status(
    database: Database, command: CommandContext, event_id: UUID, change: StatusChange
) -> EventResult:
    """Changes one event, unless it already is as the change would leave it.

    Concurrent calls of one organization share a transaction. Not for a change that notifies again.
    """
    call = _StatusCall(command, event_id, change, current_commit_tracker())
    return await submit_call(database, command.actor.organization_id, call, 1, _change_together)


async def _change_together(
    session: AsyncSession, calls: Sequence[_StatusCall]
) -> Sequence[EventResult]:
    """Changes the events in the order of the calls. A result is the event as its call left it."""
    rows = {row.id: row for row in await lock_events(session, {call.event_id for call in calls})}
    states = {event_id: row.to_domain() for event_id, row in rows.items()}
    silencer = Silencer()
    updates, results = [], []
    for call in calls:
        before = states.get(call.event_id)
        if before is None:
            results.append(event_not_found(call.event_id))
            continue
        if call.change.changes(before):
            row = rows[call.event_id]
            update = _decide_update(silencer, call.command, row, before, call.change)
            states[call.event_id] = update.after
            updates.append(update)
        columns = tables.Event.build_columns(states[call.event_id], session.info["scope"])
        results.append(EventResult(tables.Event.from_columns(columns)))
    await _write_changes(session, updates)
    return results


async def change_statuses(
    database: Database,
    command: CommandContext,
    selection: EventSelection,
    change: StatusChange,
    ids: Sequence[UUID],
) -> StatusChangeResult:
    """Changes those of the selected events that the change concerns.

    The problems of the result are those of the `ids` that no event has, or whose event cannot be
    reopened.
    """
    # The events that exist, each with the one that keeps it resolved.
    conflicts: dict[UUID, UUID | None] = {}
    reopens = change is _REOPENING

    async def change_batch(
        session: AsyncSession, batch: Sequence[UUID], _committed: int
    ) -> list[tables.Event]:
        if reopens:
            await _lock_reopening(session, command, batch)
        locked = await bulk_changes.lock_matching(session, batch, selection.conditions)
        rows = [row for row in locked if change.changes(row)]
        others = await _find_conflicts(session, rows) if reopens else {}
        # Also replaces the results of an attempt that ended in a deadlock.
        conflicts.update({row.id: others.get(row.id) for row in locked})
        return await apply_change(
            session, command, [row for row in rows if row.id not in others], change
        )

    count = 0
    newest: list[tables.Event] = []
    # Of the events with an alert key, the newest is reopened.
    batches = bulk_changes.change_in_batches(
        database, command, selection, change_batch, newest_first=reopens
    )
    async for rows in batches:
        count += len(rows)
        newest = sorted([*newest, *rows], key=rang_position, reverse=True)[:MAX_RETURNED_EVENTS]
    problems = []
    for index, event_id in enumerate(ids):
        path = ("ids", str(index))
        if event_id not in conflicts:
            problems.append(not_found("event", event_id, *path))
        elif (other_id := conflicts[event_id]) is not None:
            problems.append(_conflict(other_id, *path))
    return StatusChangeResult(count, selection.remaining_count, tuple(problems), tuple(newest))


async def select_events(
    database: Database,
    command: CommandContext,
    filter: EventFilter,
    *conditions: Condition,
    condition: EventFilter,
    newest_first: bool = False,
) -> EventSelection:
    """Selects the events that match both filters and the conditions."""
    organization_id = command.actor.organization_id
    all_conditions = [
        *(
            each
            for part in (filter, condition)
            for each in event_conditions.build_conditions(part, organization_id)
        ),
        *conditions,
    ]
    async with database.read(organization_id) as session:
        return await bulk_changes.load_selection(
            session, all_conditions, command.limits, newest_first=newest_first
        )


async def resolve_event(
    database: Database, command: CommandContext, event_id: UUID, note: str | None
) -> EventResult:
    """Resolves an event. Resolving it again changes nothing."""
    if problems := validate_text(note, command.limits.note_characters, "note"):
        return EventResult(problems=tuple(problems))
    return await change_status(database, command, event_id, _resolution(command, note))


async def resolve_events(
    database: Database,
    command: CommandContext,
    filter: EventFilter,
    note: str | None,
    ids: Sequence[UUID] | None = None,
) -> StatusChangeResult:
    """Resolves the unresolved events that have a status and match the filter.

    With `ids`, the unresolved events of these IDs instead, whether or not they have a status.
    """
    if problems := validate_text(note, command.limits.note_characters, "note"):
        return StatusChangeResult(problems=tuple(problems))
    if ids is not None:
        selection = EventSelection.from_ids(ids)
    else:
        unresolved = EventFilter(statuses=(EventStatus.OPEN, EventStatus.ACKNOWLEDGED))
        selection = await select_events(database, command, filter, condition=unresolved)
    return await change_statuses(
        database, command, selection, _resolution(command, note), ids or ()
    )


@retry_on_deadlock
async def reopen_event(database: Database, command: CommandContext, event_id: UUID) -> EventResult:
    """Removes the resolution of an event, which then notifies again if it is a notification.

    Another unresolved event with its alert key is a CONFLICT.
    """
    async with database.write(command.actor.organization_id) as session:
        await _lock_reopening(session, command, [event_id])
        row = await lock_row(session, tables.Event, event_id)
        if row is None:
            return event_not_found(event_id)
        if not _REOPENING.changes(row):
            return EventResult(row)
        for other_id in (await _find_conflicts(session, [row])).values():
            return EventResult(problems=(_conflict(other_id, "id"),))
        await apply_change(session, command, [row], _REOPENING)
        return EventResult(row)


async def reopen_events(
    database: Database,
    command: CommandContext,
    filter: EventFilter,
    ids: Sequence[UUID] | None = None,
) -> StatusChangeResult:
    """Removes the resolutions of the resolved events that have a status and match the filter.

    With `ids`, those of the events of these IDs instead, whether or not they have a status. An
    event stays resolved if another one with its alert key is unresolved, or is reopened because it
    is newer. A filter selects the newest events of those that can be reopened.
    """
    if ids is not None:
        selection = EventSelection.from_ids(ids)
    else:
        resolved = EventFilter(statuses=(EventStatus.RESOLVED,))
        selection = await select_events(
            database,
            command,
            filter,
            alert_keys.has_no_unresolved_event(),
            condition=resolved,
            newest_first=True,
        )
    return await change_statuses(database, command, selection, _REOPENING, ids or ())


async def _lock_reopening(
    session: AsyncSession, command: CommandContext, event_ids: Sequence[UUID]
) -> None:
    """Takes the locks that reopening needs before those on the events, as reports do."""
    # Reopened events may notify: silences must not change meanwhile.
    await lock_definitions_shared(session, command.actor.organization_id)
    event = tables.Event
    columns = (col(event.source), col(event.alert_key))
    statement = select(*columns).where(col(event.id).in_(event_ids))
    rows: Any = await session.execute(statement, execution_options=BY_ID)
    # The key of an event never changes.
    keys = {AlertKey(source, key) for source, key in rows if key is not None}
    await alert_keys.lock_keys(session, keys, command.now)


async def _find_conflicts(session: AsyncSession, rows: Sequence[tables.Event]) -> dict[UUID, UUID]:
    """Returns the events that cannot be reopened, with the other event of their alert key.

    Of several rows with the same key, the newest can be reopened.
    """
    keys = {
        row.id: AlertKey(row.source, row.alert_key) for row in rows if row.alert_key is not None
    }
    unresolved = await alert_keys.find_unresolved_events(session, set(keys.values()))
    newest_first = sorted(keys, reverse=True)
    others = {
        event_id: unresolved.setdefault(keys[event_id], event_id) for event_id in newest_first
    }
    return {event_id: other for event_id, other in others.items() if other != event_id}


def _conflict(other_id: UUID, *path: str) -> Problem:
    message = (
        f"Event {other_id} is unresolved and has the same source and alertKey. Resolve it "
        "first, or leave this event resolved."
    )
    return Problem(UserErrorCode.CONFLICT, message, path)


def _resolution(command: CommandContext, note: str | None) -> StatusChange:
    return StatusChange.record(_RESOLVED, _RESOLUTION, command, note)


_RESOLVED, _REOPENED = "RESOLVED", "REOPENED"
_RESOLUTION = ("resolved_at", "resolved_by", "resolution_note")
_REOPENING = StatusChange.clear(_REOPENED, _RESOLUTION, notifies_again=True)


async def apply_change(
    session: AsyncSession,
    command: CommandContext,
    locked_rows: Sequence[tables.Event],
    change: StatusChange,
) -> list[tables.Event]:
    """Changes the events, and returns those that were not already as the change leaves them."""
    rows = [row for row in locked_rows if change.changes(row)]
    if not rows:
        return []
    silencer = await load_silencer(session) if change.notifies_again else Silencer()
    await _write_changes(
        session, [_decide_update(silencer, command, row, row.to_domain(), change) for row in rows]
    )
    await silencer.store_counts(session)
    return rows


def _decide_update(
    silencer: Silencer,
    command: CommandContext,
    row: tables.Event,
    before: EventState,
    change: StatusChange,
) -> EventUpdate:
    after, notifies = silencer.decide_notification(
        before, replace(before, **change.values), command.now, again=change.notifies_again
    )
    return EventUpdate(command, row, before, after, change.kind, notifies)


async def _write_changes(session: AsyncSession, updates: Sequence[EventUpdate]) -> None:
    await write_updates(session, updates)
    for kind, is_resolved in ((_RESOLVED, True), (_REOPENED, False)):
        if event_ids := [update.row.id for update in updates if update.kind == kind]:
            await duplicates.mark_resolved(session, event_ids, is_resolved=is_resolved)


def rang_position(row: tables.Event) -> LogPosition:
    """Position of the last delivery of the notification. The start of the change log if none."""
    return LogPosition(row.rang_tx or 0, row.rang_seq or 0)
