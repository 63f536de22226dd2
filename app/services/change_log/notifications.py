"""Notifications: events with `notification: true`, in the order in which they rang."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.values import validate_text
from app.services.events import bulk_changes
from app.services.events.bulk_changes import BulkResult, EventSelection
from app.services.events.events import event_not_found, lock_event
from app.services.events.reports import ReportResult, build_log_entry
from app.services.shared.listings import ListPage
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.log_snapshot import SNAPSHOT_COLUMNS
from app.store.engine.database import Database
from app.store.reading import condition_templates, event_conditions, pages, projection
from app.store.reading.condition_templates import ConditionTemplate
from app.store.reading.projection import Projection

MAX_RETURNED_EVENTS = 100
_NO_ACKNOWLEDGEMENT: dict[str, Any] = dict.fromkeys(
    ("acknowledged_at", "acknowledged_by", "acknowledgement_note")
)
_POSITION_COLUMNS = (col(tables.Event.rang_tx), col(tables.Event.rang_seq))
_NEWEST_FIRST = tuple(column.desc() for column in _POSITION_COLUMNS)


@dataclass(frozen=True)
class NotificationPage:
    """A page of notifications with their cursors, newest first."""

    rows: list[tuple[str, tables.Event]]
    has_next: bool
    has_previous: bool


async def fetch_page(
    database: Database, caller: Caller, filter: EventFilter, request: pages.PageRequest
) -> NotificationPage:
    """Returns a page, with log positions as cursors.

    Raises RequestError INVALID_CURSOR or CURSOR_EXPIRED.
    """
    organization_id = caller.organization_id
    async with database.read(organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        statement = select(tables.Event).where(*_notification_conditions(filter, caller))
        if request.after is not None:
            after = changes.decode_log_cursor(organization_id, request.after, snapshot)
            statement = statement.where(
                tuple_(*_POSITION_COLUMNS) < changes.position_literal(after.list_position)
            )
        fetched = list(
            await session.scalars(statement.order_by(*_NEWEST_FIRST).limit(request.size + 1))
        )
    rows = [
        (
            changes.encode_log_cursor(organization_id, snapshot, _position_of(row), complete=False),
            row,
        )
        for row in fetched[: request.size]
    ]
    return NotificationPage(rows, len(fetched) > request.size, request.after is not None)


@dataclass(frozen=True)
class NotificationPageRequest:
    filter: EventFilter
    request: pages.PageRequest


async def select_page_columns(
    database: Database,
    caller: Caller,
    page_request: NotificationPageRequest,
    columns: Projection,
    counts: Sequence[str],
) -> ListPage | None:
    """Returns the page with the selected columns only.

    None if the page is empty and its cursor could therefore not be validated. Raises RequestError
    INVALID_CURSOR or CURSOR_EXPIRED.
    """
    organization_id, request = caller.organization_id, page_request.request
    filter = page_request.filter
    known_counts = {"unacknowledged": 0} if filter.acknowledged else {}
    result = await projection.fetch_page(
        database,
        organization_id,
        columns,
        _notification_template(filter, organization_id),
        _BY_POSITION,
        request,
        counts={
            name: _notification_template(filter, organization_id, **_COUNT_CONDITIONS[name])
            for name in counts
            if name not in known_counts
        },
        extra_columns=_snapshot_columns,
    )
    totals = {**result.totals, **known_counts}
    if not result.page.rows:
        return None if request.after else ListPage(result.page, totals)
    snapshot = changes.snapshot_from_row(result.extra_values)
    if request.after is not None:
        changes.decode_log_cursor(organization_id, request.after, snapshot)

    def encode_cursor(key: tuple[int, int]) -> str:
        position = changes.LogPosition(*key)
        return changes.encode_log_cursor(organization_id, snapshot, position, complete=False)

    return ListPage(result.page, totals, _BY_POSITION.column_names, encode_cursor)


_COUNT_CONDITIONS: dict[str, dict[str, Any]] = {
    "total": {},
    "unacknowledged": {"acknowledged": False},
}


def _key_from_json(parts: list[Any]) -> tuple[int, int]:
    _, tx, seq, _ = parts
    if not isinstance(tx, int) or not isinstance(seq, int):
        raise TypeError
    if not (0 <= tx < 2**63 and 0 <= seq < 2**63):
        raise OverflowError  # out of range of a bigint column
    return tx, seq


_BY_POSITION: pages.Order[tables.Event] = pages.Order(
    name="log",
    columns=_POSITION_COLUMNS,
    descending=True,
    row_key=lambda row: (row.rang_tx, row.rang_seq),
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


async def count_notifications(
    database: Database, caller: Caller, filter: EventFilter, **conditions: Any
) -> int:
    async with database.read(caller.organization_id) as session:
        statement = select(func.count()).select_from(tables.Event)
        return (
            await session.scalars(
                statement.where(*_notification_conditions(filter, caller, **conditions))
            )
        ).one()


async def count_unacknowledged(database: Database, caller: Caller, filter: EventFilter) -> int:
    """Counts the notifications that match the filter with `acknowledged: false`."""
    if filter.acknowledged:
        return 0
    return await count_notifications(database, caller, filter, acknowledged=False)


async def acknowledge_event(
    database: Database, command: CommandContext, event_id: UUID, note: str | None
) -> ReportResult:
    """Acknowledges a notification. Acknowledging it again changes nothing."""
    if problems := validate_text(note, command.limits.note_characters, "note"):
        return ReportResult(problems=tuple(problems))
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
) -> AcknowledgementResult:
    """Acknowledges the unacknowledged notifications that match the filter.

    With `ids`, the unacknowledged events of these IDs instead. Notifications that are or may be
    after the cursor `up_to` are not acknowledged. Raises RequestError INVALID_CURSOR or
    CURSOR_EXPIRED.
    """
    if problems := validate_text(note, command.limits.note_characters, "note"):
        return AcknowledgementResult(problems=tuple(problems))
    if ids is not None:
        selection = EventSelection.from_ids(ids)
    else:
        selection = await _select_unacknowledged(database, command, filter, up_to)
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
        organization_id = command.actor.organization_id
        conditions = [
            condition
            for part in (filter, EventFilter(acknowledged=True))
            for condition in event_conditions.build_conditions(part, organization_id)
        ]
        async with database.read(organization_id) as session:
            selection = await bulk_changes.select_events(session, conditions, command.limits)
    return await _update_events(
        database, command, selection, "UNACKNOWLEDGED", _NO_ACKNOWLEDGEMENT, ids or ()
    )


async def _select_unacknowledged(
    database: Database, command: CommandContext, filter: EventFilter, up_to: str | None
) -> EventSelection:
    organization_id = command.actor.organization_id
    conditions = _notification_conditions(filter, command.actor, acknowledged=False)
    async with database.read(organization_id) as session:
        if up_to is not None:
            snapshot = await changes.fetch_snapshot(session)
            position = changes.decode_log_cursor(
                organization_id, up_to, snapshot, "upTo"
            ).subscription_position
            conditions.append(tuple_(*_POSITION_COLUMNS) <= changes.position_literal(position))
        return await bulk_changes.select_events(session, conditions, command.limits)


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

    async def change_batch(session: AsyncSession, batch: Sequence[UUID]) -> list[tables.Event]:
        locked = await bulk_changes.lock_matching(session, batch, selection.conditions)
        existing.update(row.id for row in locked)
        rows = [row for row in locked if _changes_acknowledgement(row, values)]
        await _update_rows(session, command, rows, kind, values)
        return rows

    count = 0
    newest: list[tables.Event] = []
    async for rows in bulk_changes.change_in_batches(database, command, selection, change_batch):
        count += len(rows)
        newest = sorted([*newest, *rows], key=_position_of, reverse=True)[:MAX_RETURNED_EVENTS]
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
) -> ReportResult:
    return await _update_event(database, command, event_id, "UNACKNOWLEDGED", _NO_ACKNOWLEDGEMENT)


async def _update_event(
    database: Database, command: CommandContext, event_id: UUID, kind: str, values: dict[str, Any]
) -> ReportResult:
    async with database.write(command.actor.organization_id) as session:
        row = await lock_event(session, event_id)
        if row is None:
            return event_not_found(event_id)
        if _changes_acknowledgement(row, values):
            await _update_rows(session, command, [row], kind, values)
        return ReportResult(row)


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


def _notification_conditions(
    filter: EventFilter, caller: Caller, **conditions: Any
) -> list[event_conditions.Condition]:
    """Returns the conditions of the list, in the form that the partial indexes need."""
    return [
        _POSITION_COLUMNS[1].is_not(None),
        *(
            condition
            for part in (filter, EventFilter(notification=True, **conditions))
            for condition in event_conditions.build_conditions(part, caller.organization_id)
        ),
    ]


def _position_of(row: tables.Event) -> changes.LogPosition:
    return changes.LogPosition(row.rang_tx or 0, row.rang_seq or 0)
