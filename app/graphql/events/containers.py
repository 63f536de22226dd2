"""logContainerEvent and its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from app.domain.events.severity import Outcome
from app.domain.events.state import EventDraft
from app.domain.intake.containers import ContainerActivity, build_container_draft
from app.domain.shared.problems import Problem
from app.graphql.events.mutations import LogEventPayload
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.services.events import events


@strawberry.input(
    description=with_example(
        "An event about a container, with the attribute names of Events Management, an API for "
        "container events.",
        """
        { eventType: ACCESS, timestamp: "2026-04-10T10:30:00Z", status: SUCCESS }
        """,
    )
)
class ContainerEventInput:
    event_type: ContainerActivity = strawberry.field(
        description="Activity that the event reports. It determines `Event.type`: ACCESS becomes "
        "`container.access`."
    )
    timestamp: datetime | None = strawberry.field(
        default=None,
        description="Time of the activity (`Event.occurredAt`), at most 300 seconds in the future "
        "(configurable). Defaults to the current time.",
    )
    status: Outcome | None = strawberry.field(
        default=None,
        description="Outcome of the activity (`Event.outcome`). Null if omitted.",
    )
    severity: str | None = strawberry.field(
        default=None,
        description="Severity in text form, as in `LogEventInput.severity`. INFO if omitted.",
    )
    summary: str | None = strawberry.field(
        default=None,
        description="Summary of the event, at most 1,000 characters by default. Defaults to the "
        "name of the event type if it is registered, otherwise to the type.",
    )
    source: str | None = strawberry.field(
        default=None,
        description="Source of the event, as in `LogEventInput.source`: one line, at most 255 "
        "characters by default. Defaults to the name of the caller.",
    )
    source_id: str | None = strawberry.field(
        default=None,
        description="Identifier that the producer gives the event, at most 255 characters by "
        "default. It makes retries safe, as in `LogEventInput.sourceId`: an event that is sent "
        "again is stored only once. To be the same, the event must have the same `timestamp`, or "
        "none. Null if omitted: each call stores an event.",
    )
    fields: JSON | None = strawberry.field(
        default=None,
        description="Custom values by field name: a JSON object of at most 64 KiB by default. "
        "Empty if omitted.",
    )


@strawberry.type
class ContainerMutations:
    @strawberry.mutation(
        description=with_example(
            "Logs an event about a container, as `logEvent` does. The type of the event is that of "
            "the activity, such as `container.access`, and its entity has the type "
            "`Container`.\n\n"
            "Requires EVENT_CREATE. User errors: those of `logEvent`.",
            """
            mutation {
              logContainerEvent(
                containerId: "c-17"
                event: { eventType: ACCESS, status: FAILURE, sourceId: "access-42" }
              ) {
                event { id type }
                duplicate
                userErrors { message path }
              }
            }
            """,
        )
    )
    async def log_container_event(
        self,
        info: Info,
        container_id: Annotated[
            str,
            strawberry.argument(
                description="Identifier of the container, at most 255 characters by default."
            ),
        ],
        event: Annotated[ContainerEventInput, strawberry.argument(description="Event to log.")],
    ) -> LogEventPayload:
        draft = build_container_draft(
            container_id,
            event.event_type,
            EventDraft(
                occurred_at=event.timestamp,
                outcome=event.status,
                severity=event.severity,
                summary=event.summary,
                source=event.source,
                source_id=event.source_id,
                fields=event.fields,
            ),
        )
        [result] = await events.log_events(info.context.database, info.context.command, [draft])
        result_with_paths = replace(
            result,
            warnings=_with_argument_paths(result.warnings),
            problems=_with_argument_paths(result.problems),
        )
        return LogEventPayload.from_result(result_with_paths, info.context)


# Path of each draft attribute in the arguments of logContainerEvent.
_ARGUMENT_PATHS = {
    ("entity", "id"): ("containerId",),
    ("occurredAt",): ("event", "timestamp"),
    ("outcome",): ("event", "status"),
    ("type",): ("event", "eventType"),
}


def _with_argument_paths(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(
        replace(problem, path=_ARGUMENT_PATHS.get(problem.path, ("event", *problem.path)))
        for problem in problems
    )
