"""Inputs and payload of conditional rules."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from app.domain.event_types import conditions
from app.domain.event_types.conditions import Condition, ConditionalEffect
from app.domain.shared.problems import bad_user_input
from app.graphql.types.conditional_rule import ConditionalRule
from app.graphql.types.event_type import EventType
from app.graphql.types.field_predicate import FieldPredicate
from app.graphql.types.user_error import UserError


@strawberry.input(
    one_of=True,
    description="When a conditional rule applies: a test on one field, or conditions combined.",
)
class ConditionInput:
    all: strawberry.Maybe[list[ConditionInput]] = strawberry.field(
        description="All of these hold; `[]` always does."
    )
    any: strawberry.Maybe[list[ConditionInput]] = strawberry.field(
        description="One of these holds; `[]` never does."
    )
    not_: strawberry.Maybe[ConditionInput] = strawberry.field(
        name="not", description="This does not hold."
    )
    field: strawberry.Maybe[FieldPredicate] = strawberry.field(
        description="A test on another field of the type; the operator fits its kind."
    )

    def to_domain(self) -> Condition:
        if self.all is not None:
            return conditions.AllOf(tuple(condition.to_domain() for condition in self.all.value))
        if self.any is not None:
            return conditions.AnyOf(tuple(condition.to_domain() for condition in self.any.value))
        if self.not_ is not None:
            return conditions.Not(self.not_.value.to_domain())
        if self.field is not None:
            return self.field.value.to_domain()
        raise bad_user_input("A condition has one of all, any, not and field.", "condition")


@strawberry.input(description="A conditional rule of an event type.")
class ConditionalRuleInput:
    name: str = strawberry.field(description="What people call it.")
    effect: ConditionalEffect = strawberry.field(description="What it does to its targets.")
    targets: list[str] = strawberry.field(description="Names of fields of the type: at least one.")
    condition: ConditionInput = strawberry.field(description="When it applies.")
    enabled: bool | None = strawberry.field(default=True, description="Whether it is in force.")

    def to_domain(self) -> conditions.ConditionalRule:
        return conditions.ConditionalRule(
            self.name,
            self.effect,
            tuple(self.targets),
            self.condition.to_domain(),
            self.enabled is not False,
        )


@strawberry.input(
    description="New attributes of a conditional rule. What is left out stays as it is."
)
class UpdateConditionalRuleInput:
    id: strawberry.ID = strawberry.field(description="The rule's id.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="What people call it.")
    effect: strawberry.Maybe[ConditionalEffect | None] = strawberry.field(
        description="What it does to its targets."
    )
    targets: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="All its targets, in place of those it has."
    )
    condition: strawberry.Maybe[ConditionInput | None] = strawberry.field(
        description="When it applies."
    )
    enabled: strawberry.Maybe[bool | None] = strawberry.field(description="Whether it is in force.")

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes, for `event_type_draft.update_rule`."""
        names = ("name", "effect", "targets", "condition", "enabled")
        attributes = {
            name: maybe.value for name in names if (maybe := getattr(self, name)) is not None
        }
        if attributes.get("targets") is not None:
            attributes["targets"] = tuple(attributes["targets"])
        if attributes.get("condition") is not None:
            attributes["condition"] = attributes["condition"].to_domain()
        return attributes


@strawberry.type(description="What became of a change of a conditional rule.")
class ConditionalRulePayload:
    conditional_rule: ConditionalRule | None = strawberry.field(
        description="The rule; once deleted, as it was; null where the change was refused."
    )
    event_type: EventType | None = strawberry.field(
        description="The event type, in the version that the change made."
    )
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")


RuleId = Annotated[strawberry.ID, strawberry.argument(description="The rule's id.")]
