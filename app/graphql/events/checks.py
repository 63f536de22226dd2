"""checkEvent: the result of logging an event, without storing it."""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.domain.access.caller import Permission
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.types.event import Event
from app.graphql.types.event_inputs import LogEventInput
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.events import checks


@strawberry.type(description="Result of a dry run of `logEvent`.")
class EventCheck:
    accepted: bool = strawberry.field(
        description="Whether `logEvent` would accept the event: store it, or recognize it as a "
        "replay or a counted duplicate."
    )
    visible_fields: list[str] = strawberry.field(
        description="Names of the fields that are visible under the conditional rules, in form "
        "order. Empty for a free-form event."
    )
    required_fields: list[str] = strawberry.field(
        description="Names of the visible fields that must have a value, in form order. Empty for "
        "a free-form event."
    )
    duplicate_of: Event | None = strawberry.field(
        description="Original event, if the event is a duplicate under a duplication rule; the "
        "unresolved event with its `alertKey`, if the event is a repeat of that or resolves it. "
        "Null if there is none, if the event is a replay (same `source` and `sourceId`), or if the "
        "caller lacks EVENT_READ."
    )
    warnings: list[UserError] = strawberry.field(
        description="Warnings that `logEvent` would return."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that `logEvent` would return. Empty if `accepted` is true."
    )


@strawberry.type
class CheckQueries:
    @strawberry.field(
        description=with_example(
            "Result of a dry run of `logEvent`: the event is validated but not logged. A form can "
            "use this query to show which fields are visible, and which required values are "
            "missing, before the event is logged.\n\n"
            "Requires EVENT_CREATE.",
            """
            {
              checkEvent(input: { type: "flaring.incident", fields: { volume_mcf: 150 } }) {
                accepted
                requiredFields
                userErrors { message path }
              }
            }
            """,
        )
    )
    async def check_event(
        self,
        info: Info,
        input: Annotated[LogEventInput, strawberry.argument(description="Event to validate.")],
    ) -> EventCheck:
        context = info.context
        check = await checks.check_event(context.database, context.command, input.to_domain())
        can_read = context.caller.has_any_permission({Permission.EVENT_READ})
        original = check.duplicate_of if can_read else None
        return EventCheck(
            accepted=not check.decision.problems,
            visible_fields=list(check.visible),
            required_fields=list(check.required),
            duplicate_of=None if original is None else Event.from_row(original),
            warnings=to_user_errors(check.decision.warnings, "input"),
            user_errors=to_user_errors(check.decision.problems, "input"),
        )
