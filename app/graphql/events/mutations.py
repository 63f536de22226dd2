"""Mutations that log, update, acknowledge, resolve and delete events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import strawberry

from app.domain.access.caller import Permission
from app.domain.shared.problems import invalid_input
from app.graphql.shared.context import Context, Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import InMemoryRow, declare_source
from app.graphql.shared.nodes import parse_input_id
from app.graphql.types.bulk_event_payload import BulkEventPayload
from app.graphql.types.event import Event
from app.graphql.types.event_inputs import (
    EventFilter,
    LogEventInput,
    UpdateEventInput,
    parse_checked_filter,
)
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.change_log import notifications
from app.services.events import events, status_changes
from app.services.events.reports import EventResult
from app.store import tables


def _resolve_event(root: strawberry.Parent[LogEventPayload]) -> Event | None:
    return None if root.row is None else Event.from_row(root.row)


@strawberry.type(description="Result of logging one event.")
class LogEventPayload:
    event: Event | None = strawberry.field(
        resolver=_resolve_event,
        description="The stored event or, for a replay, a counted duplicate or a resolution "
        "(`resolved: true`), the earlier event. Null if the event was rejected, or if a resolution "
        "resolved nothing. An earlier event is null if it has been deleted or the caller lacks "
        "EVENT_READ.",
        metadata=declare_source(InMemoryRow("row")),
    )
    duplicate: bool = strawberry.field(
        description="Whether the event repeats an earlier event: true for a replay (same "
        "`source`, `sourceId` and content), for a duplicate that a COUNT or FLAG rule found, and "
        "for a repeat of the unresolved event with its `alertKey`. Also true for every resolution "
        "(`resolved: true`), because it stores no event."
    )
    warnings: list[UserError] = strawberry.field(
        description="Problems that did not cause the event to be rejected: dropped values of "
        "hidden fields (`FIELD_HIDDEN`) and of fields that an event type with `additionalFields: "
        "DROP` does not have (`FIELD_UNKNOWN`), violations of guard rules with the enforcement "
        "mode WARN (`GUARD_REJECTED`), a deprecated event type (`EVENT_TYPE_CLOSED`), an "
        "unknown severity (`SEVERITY_UNKNOWN`), and a resolution that resolved nothing "
        "(`NOT_FOUND`). Empty if the event was rejected."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that caused the event to be rejected. Empty on success."
    )

    row: strawberry.Private[tables.Event | None]

    @classmethod
    def from_result(
        cls, result: EventResult, context: Context, *argument_path: str
    ) -> LogEventPayload:
        can_read = result.stored or context.caller.has_any_permission({Permission.EVENT_READ})
        return cls(
            row=result.event if can_read else None,
            duplicate=result.duplicate,
            warnings=to_user_errors(result.warnings, *argument_path),
            user_errors=to_user_errors(result.problems, *argument_path),
        )


@strawberry.type(description="Result of logging several events.")
class LogEventsPayload:
    results: list[LogEventPayload] = strawberry.field(
        description="One result for each event, in the order of the input. Empty if the call was "
        "rejected as a whole."
    )
    accepted: int = strawberry.field(
        description="Number of events that were stored, including duplicates that a FLAG rule "
        "marked. The sum of `accepted`, `duplicates` and `rejected` is the number of results."
    )
    duplicates: int = strawberry.field(
        description="Number of events that were accepted but not stored: replays of logged "
        "events, duplicates that a COUNT rule counted, repeats of the unresolved event with their "
        "`alertKey`, and resolutions (`resolved: true`), whether or not they resolved an event."
    )
    rejected: int = strawberry.field(description="Number of events that were rejected.")
    user_errors: list[UserError] = strawberry.field(
        description="Errors that caused the call to be rejected as a whole, so that nothing was "
        "stored: `INVALID_INPUT` if there are too many events. Errors of individual events are in "
        "`results`."
    )

    @classmethod
    def from_results(
        cls, results: Sequence[EventResult], context: Context, argument: str
    ) -> LogEventsPayload:
        rejected = sum(result.is_rejected for result in results)
        stored = sum(result.stored for result in results)
        return cls(
            results=[
                LogEventPayload.from_result(result, context, argument, str(index))
                for index, result in enumerate(results)
            ],
            accepted=stored,
            duplicates=len(results) - rejected - stored,
            rejected=rejected,
            user_errors=[],
        )

    @classmethod
    def check_batch_size(
        cls, count: int, context: Context, argument: str
    ) -> LogEventsPayload | None:
        """Returns the payload with the error if a call has too many events, else None."""
        max_events = context.limits.events_per_call
        if count <= max_events:
            return None
        problem = invalid_input(
            f"The call has {count:,} events; at most {max_events:,} are allowed. Split the "
            "events into several calls."
        )
        errors = to_user_errors([problem], argument)
        return cls(results=[], accepted=0, duplicates=0, rejected=0, user_errors=errors)


@strawberry.type(description="Result of changing or deleting an event.")
class EventPayload:
    event: Event | None = strawberry.field(
        default=None,
        description="The event after the change, or the last state of a deleted event. Null if "
        "the change was rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )

    @classmethod
    def from_result(cls, result: EventResult) -> EventPayload:
        return cls(
            event=None if result.event is None else Event.from_row(result.event),
            user_errors=to_user_errors(result.problems),
        )


@strawberry.type(description="Result of updating an event.")
class UpdateEventPayload:
    event: Event | None = strawberry.field(
        default=None, description="The event after the update. Null if the update was rejected."
    )
    warnings: list[UserError] = strawberry.field(
        default_factory=list,
        description="Problems that did not prevent the update: dropped values of hidden fields "
        "(`FIELD_HIDDEN`) and of fields that an event type with `additionalFields: DROP` does not "
        "have (`FIELD_UNKNOWN`), violations of guard rules with the enforcement mode WARN "
        "(`GUARD_REJECTED`) and an unknown severity (`SEVERITY_UNKNOWN`). Empty if the update was "
        "rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )


EventId = Annotated[strawberry.ID, strawberry.argument(description="ID of the event.")]


@strawberry.type
class EventMutations:
    @strawberry.mutation(
        description=with_example(
            "Logs an event: validates the event against its event type and the guard rules, "
            "applies the duplication rules, and stores the event durably before the response is "
            "sent.\n\n"
            "Requires EVENT_CREATE. User errors: `INVALID_INPUT`, `NOT_FOUND` for an unknown "
            "event type, `EVENT_TYPE_CLOSED`, `FIELD_REQUIRED`, `FIELD_INVALID`, `FIELD_UNKNOWN`, "
            "`GUARD_REJECTED`, `DUPLICATE`, and `CONFLICT` if the `sourceId` was already used for "
            "different content.",
            """
            mutation {
              logEvent(
                input: { summary: "Flare started", severity: "warn", notification: true }
              ) {
                event { id }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def log_event(
        self,
        info: Info,
        input: Annotated[LogEventInput, strawberry.argument(description="Event to log.")],
    ) -> LogEventPayload:
        context = info.context
        [result] = await events.log_events(context.database, context.command, [input.to_domain()])
        return LogEventPayload.from_result(result, context, "input")

    @strawberry.mutation(
        description=with_example(
            "Logs several events, at most 500 by default, in one transaction. A rejected event "
            "does not prevent the others from being logged. Accepted events are stored durably "
            "before the response is sent.\n\n"
            "Requires EVENT_CREATE. User errors: `INVALID_INPUT` if there are too many events; in "
            "`results`, those of `logEvent`.",
            """
            mutation {
              logEvents(input: [{ summary: "Flare started" }, { summary: "Flare stopped" }]) {
                accepted
                duplicates
                rejected
                results {
                  event { id }
                  userErrors { code message path }
                }
              }
            }
            """,
        )
    )
    async def log_events(
        self,
        info: Info,
        input: Annotated[list[LogEventInput], strawberry.argument(description="Events to log.")],
    ) -> LogEventsPayload:
        context = info.context
        error_payload = LogEventsPayload.check_batch_size(len(input), context, "input")
        if error_payload is not None:
            return error_payload
        drafts = [item.to_domain() for item in input]
        results = await events.log_events(context.database, context.command, drafts)
        return LogEventsPayload.from_results(results, context, "input")

    @strawberry.mutation(
        description=with_example(
            "Updates an event. New custom values are validated against the event's version of its "
            "event type; `eventTypeVersion` moves the event to a newer version. The updated event "
            "is validated against the published guard rules.\n\n"
            "Requires EVENT_UPDATE. User errors: `NOT_FOUND`, `CONFLICT` if the version of the "
            "event is not `ifVersion`, `INVALID_INPUT`, `FIELD_REQUIRED`, `FIELD_INVALID`, "
            "`FIELD_UNKNOWN`, `GUARD_REJECTED`.",
            """
            mutation {
              updateEvent(
                input: { id: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f", summary: "Flare stopped" }
              ) {
                event { version }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_event(
        self,
        info: Info,
        input: Annotated[
            UpdateEventInput,
            strawberry.argument(description="Changes to the event."),
        ],
    ) -> UpdateEventPayload:
        result = await events.update_event(
            info.context.database,
            info.context.command,
            parse_input_id(input.id, "input", "id"),
            input.to_domain(),
            input.if_version,
        )
        return UpdateEventPayload(
            event=None if result.event is None else Event.from_row(result.event),
            warnings=to_user_errors(result.warnings, "input"),
            user_errors=to_user_errors(result.problems, "input"),
        )

    @strawberry.mutation(
        description=with_example(
            "Deletes an event and returns its last state. Also clears `duplicateOf` of its "
            "duplicates and removes its links. The entries about the event in the change log are "
            "kept.\n\n"
            "If an event has more than 500 duplicates and links, most of them are cleared or "
            "removed before the event is deleted, in transactions of 500. From the first of them "
            "on, new events are not duplicates of the event. If the call fails with a request "
            "error, repeat it to continue.\n\n"
            "Requires EVENT_DELETE. User errors: `NOT_FOUND`, `INVALID_INPUT` if the ID is not a "
            "UUID.",
            """
            mutation {
              deleteEvent(id: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f") {
                event { summary }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def delete_event(self, info: Info, id: EventId) -> EventPayload:
        return await _change_event(id, info, events.delete_event)

    @strawberry.mutation(
        description=with_example(
            "Deletes the events that a filter selects and that were logged before "
            "`recordedBefore`. One call deletes at most 10,000 events by default, the oldest "
            "ones. First count the events with `events { totalCount }`, then pass the count as "
            "`expectedCount`: if a different number of events is selected, nothing is deleted. "
            "Choose a past time as `recordedBefore`, and count with the same time as "
            "`recordedAt.to`, so that events that are logged in the meantime do not change the "
            "number.\n\n"
            "Events are deleted in transactions of 500, the newest first. Their duplicates and "
            "links are changed as by `deleteEvent`. If a call fails with a request error, "
            "some of the events may already be deleted. The entries about deleted events in the "
            "change log are kept.\n\n"
            "Requires EVENT_DELETE. User errors: `CONFLICT` with the number of selected events if "
            "it is not `expectedCount`. Request errors: `BAD_USER_INPUT`.",
            """
            mutation {
              deleteEvents(
                filter: {
                  types: ["test.*"]
                  recordedAt: { from: "2026-04-10T00:00:00Z" }
                }
                recordedBefore: "2026-04-11T00:00:00Z"
                expectedCount: 12
              ) {
                changedCount
                remainingCount
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def delete_events(
        self,
        info: Info,
        filter: Annotated[
            EventFilter,
            strawberry.argument(description="Conditions on the events. `{}` selects all events."),
        ],
        expected_count: Annotated[
            int,
            strawberry.argument(
                description="Number of events that must be selected, including those beyond the "
                "limit of one call; otherwise the error is `CONFLICT`."
            ),
        ],
        recorded_before: Annotated[
            datetime | None,
            strawberry.argument(
                description="Exclusive upper bound of `recordedAt`: only events that were logged "
                "before this time are selected. Defaults to the current time."
            ),
        ] = None,
    ) -> BulkEventPayload:
        context = info.context
        result = await events.delete_events(
            context.database,
            context.command,
            await parse_checked_filter(filter, context),
            expected_count,
            recorded_before,
        )
        return BulkEventPayload.from_result(result)

    @strawberry.mutation(
        description=with_example(
            "Acknowledges an event. If the event is already acknowledged, nothing changes: the "
            "original time, credential and note are kept.\n\n"
            "Requires EVENT_UPDATE. User errors: `NOT_FOUND`, `INVALID_INPUT` if the ID is not a "
            "UUID or the note is too long.",
            """
            mutation {
              acknowledgeEvent(
                id: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f"
                note: "Crew informed"
              ) {
                event { acknowledgedAt }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def acknowledge_event(
        self,
        info: Info,
        id: EventId,
        note: Annotated[
            str | None,
            strawberry.argument(
                description="Note on the acknowledgement, at most 1,000 characters by default. "
                "Null if omitted."
            ),
        ] = None,
    ) -> EventPayload:
        return await _change_event(id, info, notifications.acknowledge_event, note)

    @strawberry.mutation(
        description=with_example(
            "Removes the acknowledgement of an event. If the event is not acknowledged, nothing "
            "changes.\n\n"
            "Requires EVENT_UPDATE. User errors: `NOT_FOUND`, `INVALID_INPUT` if the ID is not a "
            "UUID.",
            """
            mutation {
              unacknowledgeEvent(id: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f") {
                event { acknowledged }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def unacknowledge_event(self, info: Info, id: EventId) -> EventPayload:
        return await _change_event(id, info, notifications.unacknowledge_event)

    @strawberry.mutation(
        description=with_example(
            "Resolves an event: states that what it reports is over. The event is then no longer "
            "open, and later events are not duplicates of it: if the same happens again, a new "
            "event is stored. An event without a status, which is not a notification and has no "
            "alert key, can be resolved, too; its status stays null. If the event is already "
            "resolved, nothing changes: the original time, credential and note are kept.\n\n"
            "Requires EVENT_UPDATE. User errors: `NOT_FOUND`, `INVALID_INPUT` if the ID is not a "
            "UUID or the note is too long.",
            """
            mutation {
              resolveEvent(
                id: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f"
                note: "Bearing replaced"
              ) {
                event { status resolvedAt }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def resolve_event(
        self,
        info: Info,
        id: EventId,
        note: Annotated[
            str | None,
            strawberry.argument(
                description="Note on the resolution, at most 1,000 characters by default. Null if "
                "omitted."
            ),
        ] = None,
    ) -> EventPayload:
        return await _change_event(id, info, status_changes.resolve_event, note)

    @strawberry.mutation(
        description=with_example(
            "Removes the resolution of an event, but not its acknowledgement. If the event is a "
            "notification, it moves to the top of `notifications`, and `notificationAdded` "
            "delivers it again. If the event is not resolved, nothing changes.\n\n"
            "Requires EVENT_UPDATE. User errors: `NOT_FOUND`, `CONFLICT` if another event with the "
            "same `source` and `alertKey` is not resolved, `INVALID_INPUT` if the ID is not a "
            "UUID.",
            """
            mutation {
              reopenEvent(id: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f") {
                event { status }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def reopen_event(self, info: Info, id: EventId) -> EventPayload:
        return await _change_event(id, info, status_changes.reopen_event)


async def _change_event(id: str, info: Info, service: Any, *arguments: Any) -> EventPayload:
    event_id = parse_input_id(id, "id")
    result = await service(info.context.database, info.context.command, event_id, *arguments)
    return EventPayload.from_result(result)
