"""Inputs and payload of guard rules."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from app.domain.rules.guards import GuardEnforcement
from app.graphql.rules.rule_pages import RULE_EVENT_TYPE_DESCRIPTION
from app.graphql.shared.examples import with_example
from app.graphql.shared.update_inputs import read_provided_attributes
from app.graphql.types.guard_rule import GuardRule
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.rules.guard_rules import GuardRuleResult


@strawberry.input(
    description=with_example(
        "A guard rule to create. The rule starts as a draft and has no effect until it is "
        "published with `publishGuardRule`.",
        """
        {
          name: "Duration is plausible"
          eventTypeId: "019a3f5c-7b1e-7000-8000-000000000101"
          expression: "event.fields.duration_hours <= 24.0"
          message: "An incident lasts at most 24 hours: log a second event for the next day."
        }
        """,
    )
)
class CreateGuardRuleInput:
    name: str = strawberry.field(
        description="Display name of the rule: one line, at most 255 characters by default."
    )
    event_type_id: strawberry.ID | None = strawberry.field(
        default=None, description=RULE_EVENT_TYPE_DESCRIPTION
    )
    expression: str = strawberry.field(
        description="CEL expression (Common Expression Language) that is true for valid events, "
        "at most 4,096 characters by default. Its variables are `event`, `old` (the event before "
        "an update; null when an event is logged) and `now`. The names and types of fields are "
        "validated when the rule is saved. If the expression cannot be evaluated, for example "
        "because a field in a comparison is absent, the event does not pass the rule "
        "(`NOT_EVALUABLE`): test optional fields with `has()` first, or read them as optional "
        "values, for example `event.fields.?duration_hours.orValue(0)`. The string, math and "
        "optional-value extensions of CEL are available."
    )
    message: str = strawberry.field(
        description="Message returned when an event violates the rule: one line, at most 1,000 "
        "characters by default."
    )
    enforcement: GuardEnforcement | None = strawberry.field(
        default=GuardEnforcement.REJECT,
        description="Enforcement mode: whether an event that does not pass the rule is rejected. "
        "Null means REJECT.",
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the attributes of the rule without its event type."""
        return {
            "name": self.name,
            "expression": self.expression,
            "message": self.message,
            "enforcement": self.enforcement or GuardEnforcement.REJECT,
        }


@strawberry.input(
    description=with_example(
        "Changes to the draft of a guard rule. An omitted attribute keeps its value; no attribute "
        "can be null.",
        """
        {
          id: "019a3f5c-7b1e-7000-8000-000000000401"
          expression: "event.fields.duration_hours <= 48.0"
        }
        """,
    )
)
class UpdateGuardRuleInput:
    id: strawberry.ID = strawberry.field(description="ID of the guard rule.")
    name: strawberry.Maybe[str | None] = strawberry.field(
        description="New display name: one line, at most 255 characters by default. It takes "
        "effect immediately, without publication."
    )
    expression: strawberry.Maybe[str | None] = strawberry.field(
        description="New CEL expression that is true for valid events, at most 4,096 characters "
        "by default. See `CreateGuardRuleInput.expression`."
    )
    message: strawberry.Maybe[str | None] = strawberry.field(
        description="New message returned when an event violates the rule: one line, at most "
        "1,000 characters by default."
    )
    enforcement: strawberry.Maybe[GuardEnforcement | None] = strawberry.field(
        description="New enforcement mode: whether an event that does not pass the rule is "
        "rejected."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes."""
        return read_provided_attributes(self)


@strawberry.type(description="Result of creating, changing, publishing or retiring a guard rule.")
class GuardRulePayload:
    guard_rule: GuardRule | None = strawberry.field(
        default=None,
        description="The guard rule after the change. Null if the change was rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )

    @classmethod
    def from_result(cls, result: GuardRuleResult, *argument_path: str) -> GuardRulePayload:
        row = result.rule
        return cls(
            guard_rule=None if row is None else GuardRule.from_row(row),
            user_errors=to_user_errors(result.problems, *argument_path),
        )


RuleId = Annotated[strawberry.ID, strawberry.argument(description="ID of the guard rule.")]
