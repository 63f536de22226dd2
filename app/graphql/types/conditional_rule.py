"""Conditional rules, which show, hide or require fields."""

from __future__ import annotations

from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain.event_types import conditions
from app.domain.event_types.conditions import ConditionalEffect
from app.graphql.shared.context import Info
from app.graphql.shared.field_sources import DefinitionField, backed_by_table, declare_source
from app.graphql.shared.nodes import Node, format_id
from app.graphql.types.event_type import EventField, EventType
from app.graphql.types.loaders import get_loaders, require_existing
from app.store import tables


@backed_by_table(tables.ConditionalRule)
@strawberry.type(
    description="A rule that shows, hides or requires fields of an event type, depending on the "
    "values of other fields. While `condition` holds, `effect` applies to `targets`. A field with "
    "SHOW rules is visible only while the condition of at least one of them holds, and a field is "
    "hidden while the condition of any of its HIDE rules holds. The value of a hidden field is "
    "dropped with the warning `FIELD_HIDDEN`."
)
class ConditionalRule(Node):
    name: str = strawberry.field(description="Display name of the rule.")
    effect: ConditionalEffect = strawberry.field(
        description="Effect on the target fields while the condition holds."
    )
    condition: JSON = strawberry.field(
        description="Condition in the form of `ConditionInput`, so that it can be sent back "
        "unchanged: an object with one of the keys `all`, `any`, `not` and `field`, such as "
        '`{"field": {"field": "cause", "operator": "EQ", "value": "weather"}}`.'
    )
    enabled: bool = strawberry.field(description="Whether the rule is in effect.")
    event_type_id: strawberry.Private[UUID]
    target_names: strawberry.Private[tuple[str, ...]]
    preloaded_event_type: strawberry.Private[EventType | None] = None

    @strawberry.field(
        description="Event type that the rule belongs to.",
        metadata=declare_source(DefinitionField()),
    )
    async def event_type(self, info: Info) -> EventType:
        load = get_loaders(info).event_types.load
        return require_existing(
            self.preloaded_event_type or await load(self.event_type_id), "event type"
        )

    @strawberry.field(
        description="Fields that the rule shows, hides or requires.",
        metadata=declare_source(DefinitionField()),
    )
    async def targets(self, info: Info) -> list[EventField]:
        preloaded_fields = self.preloaded_event_type and self.preloaded_event_type.preloaded_fields
        fields = (
            preloaded_fields or await get_loaders(info).event_fields.load(self.event_type_id) or []
        )
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
            id=format_id(rule_id),
            name=rule.name,
            effect=rule.effect,
            condition=JSON(conditions.format_condition(rule.condition)),
            enabled=rule.enabled,
            event_type_id=event_type_id,
            target_names=rule.targets,
        )
