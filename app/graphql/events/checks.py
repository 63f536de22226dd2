"""checkEvent: the result of logging an event, without storing it."""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.domain.access.caller import Permission
from app.graphql.events.inputs import LogEventInput
from app.graphql.shared.context import Info
from app.graphql.types.event import Event
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.events import checks


@strawberry.type(description="What `logEvent` would do, without doing it.")
class EventCheck:
    accepted: bool = strawberry.field(description="Whether it would answer with an event.")
    visible_fields: list[str] = strawberry.field(
        description="Names of the fields that the conditional rules leave visible, in form order."
    )
    required_fields: list[str] = strawberry.field(
        description="Names of those among them that must have a value."
    )
    duplicate_of: Event | None = strawberry.field(
        description="The event that it would be a duplicate of; null without EVENT_READ."
    )
    warnings: list[UserError] = strawberry.field(description="As of `logEvent`.")
    user_errors: list[UserError] = strawberry.field(description="As of `logEvent`.")


@strawberry.type
class CheckQueries:
    @strawberry.field(
        description="What `logEvent` would do with this report, without doing it: a form shows "
        "what is missing before anything is sent."
    )
    async def check_event(
        self,
        info: Info,
        input: Annotated[LogEventInput, strawberry.argument(description="The report.")],
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
