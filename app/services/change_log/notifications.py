"""Notifications: events with `notification: true`, in the order of their last delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.values import validate_text
from app.services.definitions.event_types import check_filter_fields
from app.services.events import bulk_changes
from app.services.events.bulk_changes import BulkResult, EventSelection
from app.services.events.events import event_not_found, lock_event
from app.services.events.reports import EventResult, build_log_entry
from app.services.shared.readers import UNACKNOWLEDGED_COUNT, EncodeCursor, ListQuery, ListReader
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.log_snapshot import SNAPSHOT_COLUMNS
from app.store.engine.database import Database
from app.store.engine.driver_statements import DriverRow
from app.store.reading import condition_templates, event_conditions, pages
from app.store.reading.condition_templates import ConditionTemplate

MAX_RETURNED_EVENTS = 100
_NO_ACKNOWLEDGEMENT: dict[str, Any] = dict.fromkeys(
    ("acknowledged_at", "acknowledged_by", "acknowledgement_note")
)
_POSITION_COLUMNS = (col(tables.Event.rang_tx), col(tables.Event.rang_seq))
_MAX_BIGINT = 2**63 - 1


@dataclass(frozen=True)
class NotificationPageRequest:
    """Filter and position of a page of notifications."""

    filter: EventFilter
    page: pages.PageRequest


def _build_list_query(request: NotificationPageRequest, organization_id: UUID) -> ListQuery:
    filter, after = request.filter, request.page.after

    def create_cursor_encoder(snapshot_values: DriverRow) -> EncodeCursor:
        snapshot = changes.snapshot_from_row(snapshot_values)
        if after is not None:
            changes.decode_log_cursor(organization_id, after, snapshot)
        return lambda key: changes.encode_log_cursor(
            organization_id, snapshot, changes.LogPosition(*key), complete=False
        )

    def build_unacknowledged_template() -> ConditionTemplate | None:
        if filter.acknowledged:
            return None
        return _notification_template(filter, organization_id, acknowledged=False)

    return ListQuery(
        _notification_template(filter, organization_id),
        _BY_POSITION,
        request.page,
        {UNACKNOWLEDGED_COUNT: build_unacknowledged_template},
        _snapshot_columns,
        create_cursor_encoder,
    )


def _key_from_json(parts: list[Any]) -> tuple[int, int]:
    _, tx, seq, _ = parts
    if not isinstance(tx, int) or not isinstance(seq, int):
        raise TypeError
    # Within the range of a bigint column. `decode_log_cursor` rejects what was outside.
    return min(max(0, tx), _MAX_BIGINT), min(max(0, seq), _MAX_BIGINT)


_BY_POSITION = pages.Order(
    name="log",
    columns=_POSITION_COLUMNS,
    descending=True,
    key_to_json=list,
    key_from_json=_key_from_json,
)


def _snapshot_columns() -> list[Any]:
    return [select(column).scalar_subquery() for column in SNAPSHOT_COLUMNS]


def _notification_template(
    filter: EventFilter, organization_id: UUID, **conditions: Any
) -> ConditionTemplate:
    """Returns the conditions of the list, in the form that the partial indexes need."""
    events = condition_templates.match_filters(
        [filter, EventFilter(notification=True, **conditions)], organization_id
    )
    return ConditionTemplate(
        ("rang", events.cache_key),
        events.values,
        lambda: [_POSITION_COLUMNS[1].is_not(None), *events.conditions()],
    )


async def _check_request(
    database: Database, caller: Caller, request: NotificationPageRequest
) -> None:
    await check_filter_fields(database, caller, [request.filter])


NOTIFICATION_LIST = ListReader(
    tables.Event, _build_list_query, _BY_POSITION.column_names, _check_request
)


async def acknowledge_event(
    database: Database, command: CommandContext, event_id: UUID, note: str | None
) -> EventResult:
    """Acknowledges a notification. Acknowledging it again changes nothing."""
    if problems := validate_text(note, command.limits.note_characters, "note"):
        return EventResult(problems=tuple(problems))
    return await _update_event(
        database, command, event_id, "ACKNOWLEDGED", _acknowledgement_values(command, note)
    )


@dataclass(frozen=True)
class AcknowledgementResult(BulkResult):
    """`rows`: the newest `MAX_RETURNED_EVENTS` of the changed events."""

    rows: tuple[tables.Event, ...] = ()


async def acknowledge_events(
    database: Database,
    command: CommandContext,
    filter: EventFilter,
    up_to: str | None,
    note: str | None,
    ids: Sequence[UUID] | None = None,
    *,
    notifications_only: bool = True,
) -> AcknowledgementResult:
    """Acknowledges the unacknowledged notifications that match the filter.

    With `ids`, the unacknowledged events of these IDs instead; without `notifications_only`, all
    unacknowledged events that match the filter. Notifications that are or may be
    after the cursor `up_to` are not acknowledged. Raises RequestError INVALID_CURSOR or
    CURSOR_EXPIRED.
    """
    if problems := validate_text(note, command.limits.note_characters, "note"):
        return AcknowledgementResult(problems=tuple(problems))
    if ids is not None:
        selection = EventSelection.from_ids(ids)
    elif notifications_only:
        selection = await _select_unacknowledged(database, command, filter, up_to)
    else:
        selection = await _select_events(database, command, filter, acknowledged=False)
    values = _acknowledgement_values(command, note)
    return await _update_events(database, command, selection, "ACKNOWLEDGED", values, ids or ())


async def unacknowledge_events(
    database: Database,
    command: CommandContext,
    filter: EventFilter,
    ids: Sequence[UUID] | None = None,
) -> AcknowledgementResult:
    """Removes the acknowledgements of the events that match the filter or have the IDs."""
    if ids is not None:
        selection = EventSelection.from_ids(ids)
    else:
        selection = await _select_events(database, command, filter, acknowledged=True)
    return await _update_events(
        database, command, selection, "UNACKNOWLEDGED", _NO_ACKNOWLEDGEMENT, ids or ()
    )


async def _select_events(
    database: Database, command: CommandContext, filter: EventFilter, *, acknowledged: bool
) -> EventSelection:
    organization_id = command.actor.organization_id
    conditions = [
        condition
        for part in (filter, EventFilter(acknowledged=acknowledged))
        for condition in event_conditions.build_conditions(part, organization_id)
    ]
    async with database.read(organization_id) as session:
        return await bulk_changes.load_selection(session, conditions, command.limits)


async def _select_unacknowledged(
    database: Database, command: CommandContext, filter: EventFilter, up_to: str | None
) -> EventSelection:
    organization_id = command.actor.organization_id
    conditions = [
        _POSITION_COLUMNS[1].is_not(None),  # for the partial index
        *(
            condition
            for part in (filter, EventFilter(notification=True, acknowledged=False))
            for condition in event_conditions.build_conditions(part, organization_id)
        ),
    ]
    async with database.read(organization_id) as session:
        if up_to is not None:
            snapshot = await changes.fetch_snapshot(session)
            position = changes.decode_log_cursor(
                organization_id, up_to, snapshot, "upTo"
            ).subscription_position
            conditions.append(tuple_(*_POSITION_COLUMNS) <= changes.position_literal(position))
        return await bulk_changes.load_selection(session, conditions, command.limits)


async def _update_events(
    database: Database,
    command: CommandContext,
    selection: EventSelection,
    kind: str,
    values: dict[str, Any],
    ids: Sequence[UUID],
) -> AcknowledgementResult:
    """Updates the selected events whose acknowledgement changes.

    The problems of the result are those of the `ids` that no event has.
    """
    existing: set[UUID] = set()

    async def change_batch(
        session: AsyncSession, batch: Sequence[UUID], _committed: int
    ) -> list[tables.Event]:
        locked = await bulk_changes.lock_matching(session, batch, selection.conditions)
        existing.update(row.id for row in locked)
        rows = [row for row in locked if _changes_acknowledgement(row, values)]
        await _update_rows(session, command, rows, kind, values)
        return rows

    count = 0
    newest: list[tables.Event] = []
    async for rows in bulk_changes.change_in_batches(database, command, selection, change_batch):
        count += len(rows)
        newest = sorted([*newest, *rows], key=rang_position, reverse=True)[:MAX_RETURNED_EVENTS]
    problems = tuple(
        Problem(UserErrorCode.NOT_FOUND, f"There is no event {event_id}.", ("ids", str(index)))
        for index, event_id in enumerate(ids)
        if event_id not in existing
    )
    return AcknowledgementResult(count, selection.remaining_count, problems, tuple(newest))


def _changes_acknowledgement(row: tables.Event, values: Mapping[str, Any]) -> bool:
    return (row.acknowledged_at is None) is not (values["acknowledged_at"] is None)


async def unacknowledge_event(
    database: Database, command: CommandContext, event_id: UUID
) -> EventResult:
    return await _update_event(database, command, event_id, "UNACKNOWLEDGED", _NO_ACKNOWLEDGEMENT)


async def _update_event(
    database: Database, command: CommandContext, event_id: UUID, kind: str, values: dict[str, Any]
) -> EventResult:
    async with database.write(command.actor.organization_id) as session:
        row = await lock_event(session, event_id)
        if row is None:
            return event_not_found(event_id)
        if _changes_acknowledgement(row, values):
            await _update_rows(session, command, [row], kind, values)
        return EventResult(row)


async def _update_rows(
    session: AsyncSession,
    command: CommandContext,
    rows: Sequence[tables.Event],
    kind: str,
    values: Mapping[str, Any],
) -> None:
    entries = []
    for row in rows:
        before = row.to_domain()
        after = replace(before, **values)
        entries.append(build_log_entry(command, kind, after, before))
        row.update_from(after)
    await changes.append_entries(session, entries)
    await session.flush()


def _acknowledgement_values(command: CommandContext, note: str | None) -> dict[str, Any]:
    return {
        "acknowledged_at": command.now,
        "acknowledged_by": command.actor.name,
        "acknowledgement_note": note,
    }


def rang_position(row: tables.Event) -> changes.LogPosition:
    """Position of the last delivery of the notification. The start of the change log if none."""
    return changes.LogPosition(row.rang_tx or 0, row.rang_seq or 0)
