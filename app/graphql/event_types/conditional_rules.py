"""Inputs and payload of conditional rules."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from app.domain.event_types import conditions
from app.domain.event_types.conditions import Condition, ConditionalEffect
from app.domain.shared.problems import bad_user_input
from app.graphql.shared.examples import with_example
from app.graphql.shared.update_inputs import read_provided_attributes
from app.graphql.types.conditional_rule import ConditionalRule
from app.graphql.types.event_type import EventType
from app.graphql.types.field_predicate import FieldPredicate
from app.graphql.types.user_error import UserError


@strawberry.input(
    one_of=True,
    description=with_example(
        "Condition of a conditional rule: a predicate on a field, a combination of conditions, or "
        "a negation. Exactly one of `all`, `any`, `not` and `field` must be set. By default, "
        "conditions can be nested at most 5 levels deep and compare at most 100 values in total.",
        """
        {
          all: [
            { field: { field: "volume_mcf", operator: GT, value: 1000 } }
            { not: { field: { field: "cause", operator: EQ, value: "weather" } } }
          ]
        }
        """,
    ),
)
class ConditionInput:
    all: strawberry.Maybe[list[ConditionInput]] = strawberry.field(
        description="Conditions that must all hold. An empty list always holds."
    )
    any: strawberry.Maybe[list[ConditionInput]] = strawberry.field(
        description="Conditions of which at least one must hold. An empty list never holds."
    )
    not_: strawberry.Maybe[ConditionInput] = strawberry.field(
        name="not", description="Condition that must not hold."
    )
    field: strawberry.Maybe[FieldPredicate] = strawberry.field(
        description="Predicate on a field of the event type. The kind of the field determines "
        "which operators are allowed. If the field is absent, every operator except NOT_EXISTS "
        "is false."
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
        message = "The condition is empty: set exactly one of all, any, not and field."
        raise bad_user_input(message, "condition")


@strawberry.input(
    description=with_example(
        "A conditional rule to add to an event type. It shows, hides or requires fields, "
        "depending on the values of other fields.",
        """
        {
          name: "Report large volumes to the regulator"
          effect: REQUIRE
          targets: ["regulator_reference"]
          condition: { field: { field: "volume_mcf", operator: GT, value: 1000 } }
        }
        """,
    )
)
class ConditionalRuleInput:
    name: str = strawberry.field(
        description="Display name of the rule: one line, at most 255 characters by default."
    )
    effect: ConditionalEffect = strawberry.field(
        description="Effect on the target fields while the condition holds."
    )
    targets: list[str] = strawberry.field(
        description="Names of the target fields, which must be fields of the event type: at least "
        "one, at most 200 by default, without duplicates."
    )
    condition: ConditionInput = strawberry.field(
        description="Condition under which the effect applies."
    )
    enabled: bool | None = strawberry.field(
        default=True,
        description="Whether the rule is in effect. Null means true. A rule is validated even if "
        "it is not in effect.",
    )

    def to_domain(self) -> conditions.ConditionalRule:
        return conditions.ConditionalRule(
            self.name,
            self.effect,
            tuple(self.targets),
            self.condition.to_domain(),
            self.enabled is not False,
        )


@strawberry.input(
    description=with_example(
        "Changes to a conditional rule. An omitted attribute keeps its value; no attribute can be "
        "null.",
        """
        { id: "019a3f5c-7b1e-7000-8000-000000000301", enabled: false }
        """,
    )
)
class UpdateConditionalRuleInput:
    id: strawberry.ID = strawberry.field(description="ID of the conditional rule.")
    name: strawberry.Maybe[str | None] = strawberry.field(
        description="New display name: one line, at most 255 characters by default."
    )
    effect: strawberry.Maybe[ConditionalEffect | None] = strawberry.field(
        description="New effect on the target fields while the condition holds."
    )
    targets: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="New names of the target fields, which must be fields of the event type: at "
        "least one, at most 200 by default, without duplicates. Replaces the whole list."
    )
    condition: strawberry.Maybe[ConditionInput | None] = strawberry.field(
        description="New condition under which the effect applies. Replaces the whole condition."
    )
    enabled: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether the rule is in effect."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes, for `event_type_draft.update_rule`."""
        attributes = read_provided_attributes(self, "targets")
        if attributes.get("condition") is not None:
            attributes["condition"] = attributes["condition"].to_domain()
        return attributes


@strawberry.type(description="Result of adding, changing or deleting a conditional rule.")
class ConditionalRulePayload:
    conditional_rule: ConditionalRule | None = strawberry.field(
        default=None,
        description="The conditional rule after the change, or the last state of a deleted rule. "
        "Null if the change was rejected.",
    )
    event_type: EventType | None = strawberry.field(
        default=None,
        description="The event type of the rule after the change, with its new version. Null if "
        "the change was rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )


RuleId = Annotated[
    strawberry.ID, strawberry.argument(description="ID of the conditional rule to delete.")
]
