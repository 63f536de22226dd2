"""logContainerEvent and its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from app.domain.events.severity import Outcome
from app.domain.intake.containers import ContainerActivity, build_container_draft
from app.domain.shared.problems import Problem
from app.graphql.events.mutations import LogEventPayload
from app.graphql.shared.context import Info
from app.services.events import events


@strawberry.input(description="Something that happened to a container.")
class ContainerEventInput:
    event_type: ContainerActivity = strawberry.field(description="What was done.")
    timestamp: datetime | None = strawberry.field(
        default=None, description="When; left out, now. At most 5 minutes ahead."
    )
    status: Outcome | None = strawberry.field(default=None, description="How it went.")
    fields: JSON | None = strawberry.field(
        default=None, description="What else there is to say: an object of up to 64 KiB."
    )


@strawberry.type
class ContainerMutations:
    @strawberry.mutation(
        description="Reports what happened to a container: an event of type "
        "`container.access|block|create|expire` about the entity `Container`, as `logEvent` would."
    )
    async def log_container_event(
        self,
        info: Info,
        container_id: Annotated[
            str, strawberry.argument(description="The container, by the name of its owner.")
        ],
        event: Annotated[
            ContainerEventInput, strawberry.argument(description="What happened to it.")
        ],
    ) -> LogEventPayload:
        draft = build_container_draft(
            container_id, event.event_type, event.timestamp, event.status, event.fields
        )
        [report] = await events.log_events(info.context.database, info.context.command, [draft])
        report_for_arguments = replace(
            report,
            warnings=_with_argument_paths(report.warnings),
            problems=_with_argument_paths(report.problems),
        )
        return LogEventPayload.from_report(report_for_arguments, info.context)


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
