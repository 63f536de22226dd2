"""Logs, updates and deletes events.

`log_events` processes a list of drafts in one transaction, which concurrent calls share. When it
returns, the results are durable and in the change log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import metrics
from app.domain.event_types.fields import AdditionalFields
from app.domain.events.filters import EventFilter, TimeRange
from app.domain.events.state import EventDraft, EventState
from app.domain.intake.intake import CommandContext, EventTypeSnapshot, Rejected, validate_update
from app.domain.rules.guards import Guard
from app.domain.shared.messages import format_count, quote_value
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input, not_found
from app.domain.shared.values import format_instant
from app.services.definitions.event_types import find_later_fields, load_snapshots_at
from app.services.definitions.guards import build_guards, load_published_rules
from app.services.events import bulk_changes, references
from app.services.events.bulk_changes import BulkResult, EventSelection
from app.services.events.event_writes import EventUpdate, build_log_entry, write_updates
from app.services.events.reports import EventResult, ReportCall, process_reports
from app.services.events.shared_transactions import submit_call
from app.services.events.silencing import Silencer, load_silencer
from app.services.shared.row_locks import lock_row
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import BY_ID, Database, current_commit_tracker, retry_on_deadlock
from app.store.engine.dialect import lock_definitions_shared
from app.store.reading import event_conditions
from app.store.writing import search_index


async def log_events(
    database: Database, command: CommandContext, drafts: Sequence[EventDraft]
) -> list[EventResult]:
    """Validates the drafts and stores the accepted ones. Results are in the order of the drafts.

    All of them are durable when this returns. A rejected draft does not stop the others. Concurrent
    calls of one organization share a transaction.
    """
    call = ReportCall(command, drafts, current_commit_tracker())
    results = await submit_call(
        database, command.actor.organization_id, call, len(drafts), _log_calls
    )
    for name, count in Counter(map(_metric_result, results)).items():
        metrics.EVENTS.labels(metrics.REQUEST_API.get(), name).inc(count)
    return results


LogDrafts = Callable[[Database, CommandContext, Sequence[EventDraft]], Awaitable[list[EventResult]]]


async def log_parsed_events(
    database: Database,
    command: CommandContext,
    parsed_events: Sequence[EventDraft | list[Problem]],
    log: LogDrafts = log_events,
) -> list[EventResult]:
    """Logs the drafts. Events that could not be parsed are rejected with their problems."""
    drafts = [each for each in parsed_events if isinstance(each, EventDraft)]
    results = iter(await log(database, command, drafts) if drafts else ())
    return [
        next(results) if isinstance(each, EventDraft) else EventResult(problems=tuple(each))
        for each in parsed_events
    ]


async def _log_calls(
    session: AsyncSession, calls: Sequence[ReportCall]
) -> Sequence[list[EventResult]]:
    metrics.REPORT_BATCH_SIZE.observe(len(calls))
    results = iter(await process_reports(session, calls))
    return [list(islice(results, len(call.drafts))) for call in calls]


def _metric_result(result: EventResult) -> str:
    if result.is_rejected:
        return "rejected"
    return "duplicate" if result.duplicate else "stored"


@retry_on_deadlock
async def update_event(
    database: Database,
    command: CommandContext,
    event_id: UUID,
    changed_attributes: Mapping[str, Any],
    if_version: int | None = None,
) -> EventResult:
    """Changes attributes (see `validate_update`).

    The fields are validated by the event's own type version, or by the newer one that the event is
    moved to.
    """
    async with database.write(command.actor.organization_id) as session:
        if changed_attributes.get("notification"):
            # It may notify: silences must not change meanwhile.
            await lock_definitions_shared(session, command.actor.organization_id)
        row = await lock_row(session, tables.Event, event_id)
        if row is None:
            return event_not_found(event_id)
        if if_version not in (None, row.version):
            message = (
                f"The event has version {row.version}, not {if_version}. Reload the event and "
                "retry."
            )
            problem = Problem(UserErrorCode.CONFLICT, message, ("ifVersion",))
            return EventResult(problems=(problem,))
        before = row.to_domain()
        new_version = changed_attributes.get("event_type_version")
        types, guards = await _load_event_types(session, row, new_version)
        event_type, newer_type = types.get(row.event_type_version), None
        if new_version is not None:
            if version_problems := _validate_new_version(row, new_version, types):
                return EventResult(problems=version_problems)
            newer_type = types[new_version]
        validation = validate_update(
            before, changed_attributes, event_type, replace(command, guards=guards), newer_type
        )
        if isinstance(validation, Rejected):
            problems = validation.problems
            if types:
                problems = await _explain_unknown_fields(
                    session,
                    types[new_version or row.event_type_version],
                    [*types.values()][-1],
                    problems,
                    changed_attributes.get("fields") or (),
                )
            return EventResult(problems=problems)
        await _write_update(session, command, row, before, validation.event)
        return EventResult(row, warnings=validation.warnings)


async def delete_event(database: Database, command: CommandContext, event_id: UUID) -> EventResult:
    """Deletes the event and returns its last state. The change log keeps an entry."""
    batches = delete_selected(database, command, EventSelection.from_ids([event_id]))
    rows = [row async for batch in batches for row in batch]
    return EventResult(rows[0]) if rows else event_not_found(event_id)


async def delete_events(
    database: Database,
    command: CommandContext,
    filter: EventFilter,
    expected_count: int,
    recorded_before: datetime | None = None,
) -> BulkResult:
    """Deletes the events that match the filter and were recorded before a time, by default now.

    Nothing is deleted if their number is not the expected one.
    """
    organization_id = command.actor.organization_id
    recorded_before = recorded_before or command.now
    conditions = [
        condition
        for part in (filter, EventFilter(recorded_at=TimeRange(end=recorded_before)))
        for condition in event_conditions.build_conditions(part, organization_id)
    ]
    async with database.read(organization_id) as session:
        selection = await bulk_changes.load_selection(session, conditions, command.limits)
    if selection.total != expected_count:
        message = (
            f"The filter selects {format_count(selection.total, 'event')} recorded before "
            f"{format_instant(recorded_before)}, not {expected_count:,}. Nothing was deleted. "
            "Verify the filter, and count the events again."
        )
        return BulkResult(problems=(Problem(UserErrorCode.CONFLICT, message, ("expectedCount",)),))

    count = sum([len(rows) async for rows in delete_selected(database, command, selection)])
    return BulkResult(count, selection.remaining_count)


def delete_selected(
    database: Database,
    command: CommandContext,
    selection: EventSelection,
    record_batch: Callable[[AsyncSession, int], Awaitable[None]] | None = None,
) -> AsyncIterator[list[tables.Event]]:
    """Deletes those of the events that still match, in batches. Yields their last state.

    The newest first: most duplicates are deleted before their originals, and need no other change.
    `record_batch` is called in the transaction of each batch, with the number of deleted events.
    """
    removals: dict[UUID, int] = {}

    async def delete_batch(
        session: AsyncSession, ids: Sequence[UUID], committed: int
    ) -> list[tables.Event] | None:
        rows = await _delete_matching(
            session, command, ids, selection.conditions, removals, committed
        )
        if rows and record_batch is not None:
            await record_batch(session, len(rows))
        return rows

    return bulk_changes.change_in_batches(
        database, command, selection, delete_batch, newest_first=True
    )


async def _delete_matching(
    session: AsyncSession,
    command: CommandContext,
    event_ids: Sequence[UUID],
    conditions: Sequence[event_conditions.Condition],
    removals: dict[UUID, int],
    committed_removals: int,
) -> list[tables.Event] | None:
    """Deletes those of the events that match, and returns their last state.

    If there are more than MAX_REFERENCES references to them, removes as many and returns None.
    `removals`: how often that is needed, by the first event of a batch. What remains after them,
    such as links that were added meanwhile, is removed with the events.
    """
    referring = await references.find_references(session, event_ids)
    await _lock_events(session, referring.changed_ids.union(event_ids))
    rows = await bulk_changes.lock_matching(session, event_ids, conditions)
    if not rows:
        return []
    ids = {row.id for row in rows}
    if len(ids) < len(event_ids):  # events that do not match keep their references
        referring = await references.find_references(session, ids)
    if referring.has_more:
        await references.stop_new_duplicates(session, ids)
        batch = event_ids[0]
        if committed_removals == 0:
            removals[batch] = await references.count_removals(session, ids)
        if committed_removals < removals[batch]:
            await references.remove_references(
                session, command, referring, ids, deletes_events=False
            )
            return None
    # Found again: others may have been added before the events were locked.
    while (referring := await references.find_references(session, ids)).changed_ids:
        await references.remove_references(session, command, referring, ids, deletes_events=True)
    entries = [build_log_entry(command, "DELETED", row.to_domain()) for row in rows]
    await changes.append_entries(session, entries)
    statement = delete(tables.Event).where(col(tables.Event.id).in_(sorted(ids)))
    await session.execute(statement, execution_options=BY_ID | {"synchronize_session": False})
    return rows


async def _lock_events(session: AsyncSession, ids: Collection[UUID]) -> None:
    """Locks the events that exist, in the order of their IDs."""
    event_id = col(tables.Event.id)
    statement = select(event_id).where(event_id.in_(ids)).order_by(event_id).with_for_update()
    await session.execute(statement, execution_options=BY_ID)


def event_not_found(event_id: UUID) -> EventResult:
    return EventResult(problems=(not_found("event", event_id, "id"),))


async def _load_event_types(
    session: AsyncSession, row: tables.Event, new_version: int | None
) -> tuple[dict[int | None, EventTypeSnapshot], tuple[Guard, ...]]:
    """Returns the type at several versions with current guards, and the guards of all types.

    The versions are that of the event, the new one if it exists, and the latest, which is the last.
    """
    if row.event_type_id is None or row.event_type_version is None:
        return {}, build_guards(await load_published_rules(session, []), None, None)
    published = await load_published_rules(session, [row.event_type_id])
    versions = [row.event_type_version, *([] if new_version is None else [new_version])]
    types = await load_snapshots_at(session, row.event_type_id, versions)
    guards = build_guards(published, row.event_type_id, types[max(types)].fields)
    return {
        number: replace(event_type, guards=guards) for number, event_type in types.items()
    }, build_guards(published, None, None)


def _validate_new_version(
    row: tables.Event, new_version: int, types: Mapping[int | None, EventTypeSnapshot]
) -> tuple[Problem, ...]:
    """Validates the version of the event type that the event is moved to."""
    current = row.event_type_version
    if current is None:
        reason = "The event is free-form: it has no event type. Omit eventTypeVersion."
        return (invalid_input(reason, "eventTypeVersion"),)
    *_, latest = types.values()
    if current < new_version <= latest.version:
        return ()
    allowed = f"Use a version from {current + 1} to {latest.version}, or omit eventTypeVersion."
    message = (
        f"The event cannot be moved to version {new_version} of event type {latest.type!r}: it has "
        f"version {current}, and the latest version is {latest.version}. "
        f"{allowed if current < latest.version else 'Omit eventTypeVersion.'}"
    )
    return (invalid_input(message, "eventTypeVersion"),)


async def _explain_unknown_fields(
    session: AsyncSession,
    event_type: EventTypeSnapshot,
    latest: EventTypeSnapshot,
    problems: tuple[Problem, ...],
    sent_fields: Collection[str],
) -> tuple[Problem, ...]:
    """Replaces the messages of sent fields that only a later version of the event type accepts.

    A stored value is not of the later field, even if that has the same name.
    """
    if UserErrorCode.FIELD_UNKNOWN not in {each.code for each in problems}:
        return problems
    later_fields = await find_later_fields(session, event_type)
    keeps_fields = latest.additional_fields is AdditionalFields.KEEP

    def explain(problem: Problem) -> Problem:
        if problem.code is not UserErrorCode.FIELD_UNKNOWN:
            return problem
        name = problem.path[1]
        if name not in sent_fields or not (name in later_fields or keeps_fields):
            return problem
        if name in later_fields:
            version = later_fields[name]
            reason = f"Version {version} added it"
        else:
            version = latest.version
            reason = f"Version {version} keeps additional fields"
        message = (
            f"Unknown field {quote_value(name)}: event type {quote_value(event_type.type)} version "
            f"{event_type.version} has no such field. {reason}: to move the event to that version, "
            f"set eventTypeVersion to {version}."
        )
        return replace(problem, message=message)

    return tuple(map(explain, problems))


async def _write_update(
    session: AsyncSession,
    command: CommandContext,
    row: tables.Event,
    before: EventState,
    after: EventState,
) -> None:
    becomes_notification = after.notification and not before.notification
    silencer = await load_silencer(session) if becomes_notification else Silencer()
    after, notifies = silencer.decide_notification(before, after, command.now)
    await write_updates(session, [EventUpdate(command, row, before, after, "UPDATED", notifies)])
    await search_index.update_index(session, row.organization_id, before, after)
    await silencer.store_counts(session)
