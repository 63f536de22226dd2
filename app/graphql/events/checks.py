"""checkEvent: the result of logging an event, without storing it."""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.domain.access.caller import Permission
from app.graphql.events.inputs import LogEventInput
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.types.event import Event
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.events import checks


@strawberry.type(description="Result that `logEvent` would have, without logging the event.")
class EventCheck:
    accepted: bool = strawberry.field(
        description="Whether `logEvent` would succeed: store the event, or recognize it as a "
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
        description="Event of which a duplication rule finds this one to be a duplicate. Null "
        "for a new event, for a replay (same `source` and `sourceId`), and without EVENT_READ."
    )
    warnings: list[UserError] = strawberry.field(
        description="Warnings that `logEvent` would return."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that `logEvent` would return. Empty if it would succeed."
    )


@strawberry.type
class CheckQueries:
    @strawberry.field(
        description=with_example(
            "Result that `logEvent` would have, without logging the event. A form can use it to "
            "show visible and missing fields before anything is sent.\n\n"
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
