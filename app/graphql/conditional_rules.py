"""Conditional rules: which fields a form shows, hides or requires, and when."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain import conditions
from app.domain.conditions import Condition, ConditionalEffect
from app.domain.problems import bad_input
from app.graphql.context import Info
from app.graphql.event_types import EventField, EventType
from app.graphql.nodes import Node, id_of
from app.graphql.plans.declared import Defined, reads, rows_of
from app.graphql.predicates import FieldPredicate
from app.graphql.problems import UserError
from app.store import tables


@rows_of(tables.ConditionalRule)
@strawberry.type(
    description="While `condition` holds for the other fields' values, the effect applies to "
    "`targets`. A field is visible when it has no SHOW rule or one of them holds, and no HIDE rule "
    "holds. What is given for a hidden field is dropped, with a warning."
)
class ConditionalRule(Node):
    name: str = strawberry.field(description="What people call it.")
    effect: ConditionalEffect = strawberry.field(description="What it does to its targets.")
    condition: JSON = strawberry.field(
        description="As ConditionInput: `{all: [..]}`, `{any: [..]}`, `{not: ..}` or "
        "`{field: {field, operator, value}}`; what is read can be sent back."
    )
    enabled: bool = strawberry.field(description="Whether it is in force.")
    event_type_id: strawberry.Private[UUID]
    target_names: strawberry.Private[tuple[str, ...]]
    kept_event_type: strawberry.Private[EventType | None] = None

    @strawberry.field(description="The event type that it belongs to.", metadata=reads(Defined()))
    async def event_type(self, info: Info) -> EventType:
        load = info.context.loaders.event_types.load
        event_type = self.kept_event_type or await load(self.event_type_id)
        if event_type is None:
            raise bad_input("The event type was deleted meanwhile.")
        return event_type

    @strawberry.field(
        description="The fields that it shows, hides or requires.", metadata=reads(Defined())
    )
    async def targets(self, info: Info) -> list[EventField]:
        kept = self.kept_event_type and self.kept_event_type.kept_fields
        fields = kept or await info.context.loaders.event_fields.load(self.event_type_id) or []
        by_name = {field.name: field for field in fields}
        return [by_name[name] for name in self.target_names if name in by_name]

    @classmethod
    def from_row(cls, row: tables.ConditionalRule) -> ConditionalRule:
        return cls.from_domain(row.id, row.event_type_id, row.to_domain())

    @classmethod
    def from_domain(
        cls, rule_id: UUID, event_type_id: UUID, rule: conditions.ConditionalRule
    ) -> ConditionalRule:
        return cls(
            id=id_of(rule_id),
            name=rule.name,
            effect=rule.effect,
            condition=JSON(conditions.write_condition(rule.condition)),
            enabled=rule.enabled,
            event_type_id=event_type_id,
            target_names=rule.targets,
        )


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
            return conditions.AllOf(tuple(each.to_domain() for each in self.all.value))
        if self.any is not None:
            return conditions.AnyOf(tuple(each.to_domain() for each in self.any.value))
        if self.not_ is not None:
            return conditions.Not(self.not_.value.to_domain())
        if self.field is not None:
            return self.field.value.to_domain()
        raise bad_input("A condition has one of all, any, not and field.", "condition")


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
        """The attributes that were given, as `domain.shapes.update_rule` takes them."""
        names = ("name", "effect", "targets", "condition", "enabled")
        given = {name: maybe.value for name in names if (maybe := getattr(self, name)) is not None}
        if given.get("targets") is not None:
            given["targets"] = tuple(given["targets"])
        if given.get("condition") is not None:
            given["condition"] = given["condition"].to_domain()
        return given


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
