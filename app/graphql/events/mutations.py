"""Mutations of events: log, update, acknowledge, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.access.caller import Permission
from app.domain.shared.problems import invalid_input
from app.domain.shared.values import parse_id
from app.graphql.events.inputs import LogEventInput, UpdateEventInput
from app.graphql.shared.context import Context, Info
from app.graphql.shared.field_sources import InMemoryRow, MutationHandler, declare_source
from app.graphql.shared.nodes import invalid_id_problem
from app.graphql.types.event import Event
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.change_log import notifications
from app.services.events import events
from app.services.events.reports import ReportResult
from app.store import tables


def _resolve_event(root: strawberry.Parent[LogEventPayload]) -> Event | None:
    return None if root.row is None else Event.from_row(root.row)


@strawberry.type(description="What became of a report.")
class LogEventPayload:
    event: Event | None = strawberry.field(
        resolver=_resolve_event,
        description="The event; null where it was refused, or was met and may not be read.",
        metadata=declare_source(InMemoryRow("row")),
    )
    duplicate: bool = strawberry.field(
        description="True for a replay (the same `source` and `sourceId`), and for what a "
        "duplication rule counted or flagged."
    )
    warnings: list[UserError] = strawberry.field(
        description="What was accepted all the same: hidden fields that were dropped, guard rules "
        "with WARN that did not hold, an event type on its way out."
    )
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")

    row: strawberry.Private[tables.Event | None]

    @classmethod
    def from_report(
        cls, report: ReportResult, context: Context, *argument_path: str
    ) -> LogEventPayload:
        can_read = report.stored or context.caller.has_any_permission({Permission.EVENT_READ})
        return cls(
            row=report.event if can_read else None,
            duplicate=report.duplicate,
            warnings=to_user_errors(report.warnings, *argument_path),
            user_errors=to_user_errors(report.problems, *argument_path),
        )


@strawberry.type(description="What became of a list of reports.")
class LogEventsPayload:
    results: list[LogEventPayload] = strawberry.field(
        description="One for each report, in their order."
    )
    accepted: int = strawberry.field(
        description="Newly stored, flagged duplicates included; accepted + duplicates + rejected = "
        "the number of results."
    )
    duplicates: int = strawberry.field(description="Answered with an event that was there already.")
    rejected: int = strawberry.field(description="Refused, and nothing of them stored.")
    user_errors: list[UserError] = strawberry.field(
        description="Of the call as a whole: too many reports."
    )

    @classmethod
    def from_reports(
        cls, reports: Sequence[ReportResult], context: Context, argument: str
    ) -> LogEventsPayload:
        rejected = sum(report.is_rejected for report in reports)
        stored = sum(report.stored for report in reports)
        return cls(
            results=[
                LogEventPayload.from_report(report, context, argument, str(index))
                for index, report in enumerate(reports)
            ],
            accepted=stored,
            duplicates=len(reports) - rejected - stored,
            rejected=rejected,
            user_errors=[],
        )

    @classmethod
    def check_batch_size(
        cls, count: int, context: Context, argument: str
    ) -> LogEventsPayload | None:
        """Returns the error payload if a call has too many reports, else None."""
        max_reports = context.limits.events_per_call
        if count <= max_reports:
            return None
        problem = invalid_input(f"There are {count:,} reports; at most {max_reports:,} a call.")
        errors = to_user_errors([problem], argument)
        return cls(results=[], accepted=0, duplicates=0, rejected=0, user_errors=errors)


@strawberry.type(description="What became of a change of an event.")
class EventPayload:
    event: Event | None = strawberry.field(description="The event; null where it was refused.")
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")

    @classmethod
    def from_report(cls, report: ReportResult) -> EventPayload:
        return cls(
            event=None if report.event is None else Event.from_row(report.event),
            user_errors=to_user_errors(report.problems),
        )


@strawberry.type(description="What became of an update.")
class UpdateEventPayload:
    event: Event | None = strawberry.field(description="The event; null where it was refused.")
    warnings: list[UserError] = strawberry.field(description="As of `logEvent`.")
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")


async def _log_event(context: Context, input: LogEventInput) -> LogEventPayload:
    [report] = await events.log_events(context.database, context.command, [input.to_domain()])
    return LogEventPayload.from_report(report, context, "input")


async def _log_events(context: Context, input: list[LogEventInput]) -> LogEventsPayload:
    if (
        error_payload := LogEventsPayload.check_batch_size(len(input), context, "input")
    ) is not None:
        return error_payload
    drafts = [item.to_domain() for item in input]
    reports = await events.log_events(context.database, context.command, drafts)
    return LogEventsPayload.from_reports(reports, context, "input")


EventId = Annotated[strawberry.ID, strawberry.argument(description="The event's id.")]


@strawberry.type
class EventMutations:
    @strawberry.mutation(
        description="Reports an event. What is answered is durable.",
        metadata=declare_source(MutationHandler(_log_event)),
    )
    async def log_event(
        self,
        info: Info,
        input: Annotated[LogEventInput, strawberry.argument(description="The report.")],
    ) -> LogEventPayload:
        payload: LogEventPayload = await info.context.run_mutation_once(_log_event, input)
        return payload

    @strawberry.mutation(
        description="Reports up to 500 events in one transaction. A refused one does not stop the "
        "others; all that were accepted are durable when the answer comes.",
        metadata=declare_source(MutationHandler(_log_events)),
    )
    async def log_events(
        self,
        info: Info,
        input: Annotated[list[LogEventInput], strawberry.argument(description="The reports.")],
    ) -> LogEventsPayload:
        payload: LogEventsPayload = await info.context.run_mutation_once(_log_events, input)
        return payload

    @strawberry.mutation(description="Changes an event, judged by the type it was logged under.")
    async def update_event(
        self,
        info: Info,
        input: Annotated[UpdateEventInput, strawberry.argument(description="What to change.")],
    ) -> UpdateEventPayload:
        event_id = parse_id(input.id)
        report = (
            ReportResult(problems=(invalid_id_problem("id"),))
            if event_id is None
            else await events.update_event(
                info.context.database,
                info.context.command,
                event_id,
                input.to_domain(),
                input.if_version,
            )
        )
        return UpdateEventPayload(
            event=None if report.event is None else Event.from_row(report.event),
            warnings=to_user_errors(report.warnings, "input"),
            user_errors=to_user_errors(report.problems, "input"),
        )

    @strawberry.mutation(
        description="Takes an event away, and answers with it as it was. The log keeps an entry."
    )
    async def delete_event(self, info: Info, id: EventId) -> EventPayload:
        return await _change_event(id, info, events.delete_event)

    @strawberry.mutation(
        description="Marks an event as acknowledged. A second time is no error and keeps who did "
        "it first, and when."
    )
    async def acknowledge_event(
        self,
        info: Info,
        id: EventId,
        note: Annotated[
            str | None, strawberry.argument(description="What there is to say of it.")
        ] = None,
    ) -> EventPayload:
        return await _change_event(id, info, notifications.acknowledge_event, note)

    @strawberry.mutation(description="Takes an acknowledgement back.")
    async def unacknowledge_event(self, info: Info, id: EventId) -> EventPayload:
        return await _change_event(id, info, notifications.unacknowledge_event)


async def _change_event(id: str, info: Info, service: Any, *arguments: Any) -> EventPayload:
    event_id: UUID | None = parse_id(id)
    if event_id is None:
        return EventPayload.from_report(ReportResult(problems=(invalid_id_problem("id"),)))
    report = await service(info.context.database, info.context.command, event_id, *arguments)
    return EventPayload.from_report(report)
