"""Inputs and payload of guard rules."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from app.domain.rules.guards import GuardEnforcement
from app.graphql.types.guard_rule import GuardRule
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.rules.guard_rules import GuardRuleResult


@strawberry.input(description="A new guard rule. It is a draft: publish it to put it in force.")
class CreateGuardRuleInput:
    name: str = strawberry.field(description="What people call it.")
    event_type_id: strawberry.ID | None = strawberry.field(
        default=None, description="The event type whose events it is for; left out, every event."
    )
    expression: str = strawberry.field(
        description="What must hold, in CEL, checked against the fields of the event type: "
        "`event.fields.duration_hours <= 24`."
    )
    message: str = strawberry.field(description="What people are told where it does not hold.")
    enforcement: GuardEnforcement | None = strawberry.field(
        default=GuardEnforcement.REJECT, description="What becomes of the event then."
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
    description="New attributes of a guard rule's draft. What is left out stays as it is."
)
class UpdateGuardRuleInput:
    id: strawberry.ID = strawberry.field(description="The rule's id.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="What people call it.")
    expression: strawberry.Maybe[str | None] = strawberry.field(
        description="What must hold, in CEL."
    )
    message: strawberry.Maybe[str | None] = strawberry.field(
        description="What people are told where it does not hold."
    )
    enforcement: strawberry.Maybe[GuardEnforcement | None] = strawberry.field(
        description="What becomes of the event then."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes."""
        names = ("name", "expression", "message", "enforcement")
        return {name: maybe.value for name in names if (maybe := getattr(self, name)) is not None}


@strawberry.type(description="What became of a change of a guard rule.")
class GuardRulePayload:
    guard_rule: GuardRule | None = strawberry.field(
        description="The rule; null where the change was refused."
    )
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")

    @classmethod
    def from_result(cls, result: GuardRuleResult, *argument_path: str) -> GuardRulePayload:
        row = result.rule
        return cls(
            guard_rule=None if row is None else GuardRule.from_row(row),
            user_errors=to_user_errors(result.problems, *argument_path),
        )


RuleId = Annotated[strawberry.ID, strawberry.argument(description="The rule's id.")]
