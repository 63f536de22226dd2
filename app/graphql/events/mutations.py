"""Mutations of events: log, update, acknowledge, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.access.caller import Permission
from app.domain.shared.problems import invalid
from app.domain.shared.values import read_id
from app.graphql.events.inputs import LogEventInput, UpdateEventInput
from app.graphql.shared.context import Context, Info
from app.graphql.shared.declared import Done, Held, reads
from app.graphql.shared.nodes import malformed
from app.graphql.types.event import Event
from app.graphql.types.user_error import UserError, user_errors
from app.services.change_log import notifications
from app.services.events import events
from app.services.events.reports import Report
from app.store import tables


def _held(root: strawberry.Parent[LogEventPayload]) -> Event | None:
    return None if root.row is None else Event.from_row(root.row)


@strawberry.type(description="What became of a report.")
class LogEventPayload:
    event: Event | None = strawberry.field(
        resolver=_held,
        description="The event; null where it was refused, or was met and may not be read.",
        metadata=reads(Held("row")),
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
    def from_report(cls, report: Report, context: Context, *place: str) -> LogEventPayload:
        may_see = report.stored or context.caller.may({Permission.EVENT_READ})
        return cls(
            row=report.event if may_see else None,
            duplicate=report.duplicate,
            warnings=user_errors(report.warnings, *place),
            user_errors=user_errors(report.problems, *place),
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
        cls, reports: Sequence[Report], context: Context, argument: str
    ) -> LogEventsPayload:
        rejected = sum(report.refused for report in reports)
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
    def too_many(cls, count: int, context: Context, argument: str) -> LogEventsPayload | None:
        """The refusal of a call with this many reports; None where it may have them."""
        bulk = context.limits.bulk
        if count <= bulk:
            return None
        problem = invalid(f"There are {count:,} reports; at most {bulk:,} a call.")
        told = user_errors([problem], argument)
        return cls(results=[], accepted=0, duplicates=0, rejected=0, user_errors=told)


@strawberry.type(description="What became of a change of an event.")
class EventPayload:
    event: Event | None = strawberry.field(description="The event; null where it was refused.")
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")

    @classmethod
    def from_report(cls, report: Report) -> EventPayload:
        return cls(
            event=None if report.event is None else Event.from_row(report.event),
            user_errors=user_errors(report.problems),
        )


@strawberry.type(description="What became of an update.")
class UpdateEventPayload:
    event: Event | None = strawberry.field(description="The event; null where it was refused.")
    warnings: list[UserError] = strawberry.field(description="As of `logEvent`.")
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")


async def _log_one(context: Context, input: LogEventInput) -> LogEventPayload:
    [report] = await events.log_events(context.database, context.desk, [input.to_domain()])
    return LogEventPayload.from_report(report, context, "input")


async def _log_many(context: Context, input: list[LogEventInput]) -> LogEventsPayload:
    if (refusal := LogEventsPayload.too_many(len(input), context, "input")) is not None:
        return refusal
    drafts = [each.to_domain() for each in input]
    reports = await events.log_events(context.database, context.desk, drafts)
    return LogEventsPayload.from_reports(reports, context, "input")


EventId = Annotated[strawberry.ID, strawberry.argument(description="The event's id.")]


@strawberry.type
class EventMutations:
    @strawberry.mutation(
        description="Reports an event. What is answered is durable.", metadata=reads(Done(_log_one))
    )
    async def log_event(
        self,
        info: Info,
        input: Annotated[LogEventInput, strawberry.argument(description="The report.")],
    ) -> LogEventPayload:
        payload: LogEventPayload = await info.context.once(_log_one, input)
        return payload

    @strawberry.mutation(
        description="Reports up to 500 events in one transaction. A refused one does not stop the "
        "others; all that were accepted are durable when the answer comes.",
        metadata=reads(Done(_log_many)),
    )
    async def log_events(
        self,
        info: Info,
        input: Annotated[list[LogEventInput], strawberry.argument(description="The reports.")],
    ) -> LogEventsPayload:
        payload: LogEventsPayload = await info.context.once(_log_many, input)
        return payload

    @strawberry.mutation(description="Changes an event, judged by the type it was logged under.")
    async def update_event(
        self,
        info: Info,
        input: Annotated[UpdateEventInput, strawberry.argument(description="What to change.")],
    ) -> UpdateEventPayload:
        event_id = read_id(input.id)
        report = (
            Report(problems=(malformed("id"),))
            if event_id is None
            else await events.update_event(
                info.context.database,
                info.context.desk,
                event_id,
                input.to_domain(),
                input.if_version,
            )
        )
        return UpdateEventPayload(
            event=None if report.event is None else Event.from_row(report.event),
            warnings=user_errors(report.warnings, "input"),
            user_errors=user_errors(report.problems, "input"),
        )

    @strawberry.mutation(
        description="Takes an event away, and answers with it as it was. The log keeps an entry."
    )
    async def delete_event(self, info: Info, id: EventId) -> EventPayload:
        return await _change(id, info, events.delete_event)

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
        return await _change(id, info, notifications.acknowledge_event, note)

    @strawberry.mutation(description="Takes an acknowledgement back.")
    async def unacknowledge_event(self, info: Info, id: EventId) -> EventPayload:
        return await _change(id, info, notifications.unacknowledge_event)


async def _change(id: str, info: Info, service: Any, *more: Any) -> EventPayload:
    event_id: UUID | None = read_id(id)
    if event_id is None:
        return EventPayload.from_report(Report(problems=(malformed("id"),)))
    report = await service(info.context.database, info.context.desk, event_id, *more)
    return EventPayload.from_report(report)
