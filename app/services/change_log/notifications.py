"""Notifications: events with `notification: true`, in the order of their last delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.domain.events.state import AlertKey
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.values import validate_text
from app.services.definitions.event_types import check_filter_fields
from app.services.events import alert_keys, bulk_changes
from app.services.events.bulk_changes import EventSelection
from app.services.events.reports import EventResult
from app.services.events.status_changes import (
    StatusChange,
    StatusChangeResult,
    apply_change,
    change_status,
    change_statuses,
    select_events,
)
from app.services.shared.readers import UNACKNOWLEDGED_COUNT, EncodeCursor, ListQuery, ListReader
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.log_snapshot import SNAPSHOT_COLUMNS
from app.store.engine.database import Database, retry_on_deadlock
from app.store.engine.driver_statements import DriverRow
from app.store.reading import condition_templates, event_conditions, pages
from app.store.reading.condition_templates import ConditionTemplate

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
    return await change_status(database, command, event_id, _acknowledgement(command, note))


async def acknowledge_events(
    database: Database,
    command: CommandContext,
    filter: EventFilter,
    up_to: str | None,
    note: str | None,
    ids: Sequence[UUID] | None = None,
    *,
    notifications_only: bool = True,
) -> StatusChangeResult:
    """Acknowledges the unacknowledged notifications that match the filter.

    With `ids`, the unacknowledged events of these IDs instead; without `notifications_only`, all
    unacknowledged events that match the filter. Notifications that are or may be
    after the cursor `up_to` are not acknowledged. Raises RequestError INVALID_CURSOR or
    CURSOR_EXPIRED.
    """
    if problems := validate_text(note, command.limits.note_characters, "note"):
        return StatusChangeResult(problems=tuple(problems))
    if ids is not None:
        selection = EventSelection.from_ids(ids)
    elif notifications_only:
        selection = await _select_unacknowledged(database, command, filter, up_to)
    else:
        unacknowledged = EventFilter(acknowledged=False)
        selection = await select_events(database, command, filter, condition=unacknowledged)
    change = _acknowledgement(command, note)
    return await change_statuses(database, command, selection, change, ids or ())


async def unacknowledge_events(
    database: Database,
    command: CommandContext,
    filter: EventFilter,
    ids: Sequence[UUID] | None = None,
) -> StatusChangeResult:
    """Removes the acknowledgements of the events that match the filter or have the IDs."""
    if ids is not None:
        selection = EventSelection.from_ids(ids)
    else:
        acknowledged = EventFilter(acknowledged=True)
        selection = await select_events(database, command, filter, condition=acknowledged)
    return await change_statuses(database, command, selection, _UNACKNOWLEDGEMENT, ids or ())


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


async def unacknowledge_event(
    database: Database, command: CommandContext, event_id: UUID
) -> EventResult:
    return await change_status(database, command, event_id, _UNACKNOWLEDGEMENT)


@retry_on_deadlock
async def acknowledge_alert(
    database: Database, command: CommandContext, key: AlertKey
) -> EventResult:
    """Acknowledges the unresolved event of an alert key, if the caller may change it.

    Its own events need no EVENT_UPDATE, as in reports that resolve.
    """
    async with database.write(command.actor.organization_id) as session:
        row = await alert_keys.lock_unresolved_event(session, key)
        may_change = row is not None and (
            alert_keys.may_resolve_all(command.actor) or row.reporter == command.actor.reader
        )
        if row is None or not may_change:
            message = (
                f"There is nothing to acknowledge: no unresolved event of source {key.source!r} "
                f"with alertKey {key.alert_key!r} that the caller may change."
            )
            warning = Problem(UserErrorCode.NOT_FOUND, message, ("alertKey",))
            return EventResult(duplicate=True, warnings=(warning,))
        await apply_change(session, command, [row], _acknowledgement(command, None))
        return EventResult(row, duplicate=True)


def _acknowledgement(command: CommandContext, note: str | None) -> StatusChange:
    return StatusChange.record("ACKNOWLEDGED", _ACKNOWLEDGEMENT, command, note)


_ACKNOWLEDGEMENT = ("acknowledged_at", "acknowledged_by", "acknowledgement_note")
_UNACKNOWLEDGEMENT = StatusChange.clear("UNACKNOWLEDGED", _ACKNOWLEDGEMENT)
