"""Values of an event with the definitions of their fields."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.graphql.shared.context import Info
from app.graphql.types.event_type import EventField
from app.graphql.types.loaders import get_loaders


@strawberry.type(description="A value as the event's own version of its type defines it.")
class FieldValue:
    name: str = strawberry.field(description="Its key in `Event.fields`.")
    label: str = strawberry.field(description="What people called it then.")
    kind: FieldKind = strawberry.field(description="What values it took then.")
    unit: str | None = strawberry.field(description="What a number counted then.")
    value: JSON | None = strawberry.field(description="The value.")
    event_type_id: strawberry.Private[UUID]

    @strawberry.field(description="The field as defined now; null once removed.")
    async def field(self, info: Info) -> EventField | None:
        fields = await get_loaders(info).event_fields.load(self.event_type_id) or []
        return next((field for field in fields if field.name == self.name), None)

    @classmethod
    def from_definition(cls, event_type_id: UUID, field: FieldDefinition, value: Any) -> FieldValue:
        return cls(
            name=field.name,
            label=field.label or field.name,
            kind=field.kind,
            unit=field.unit,
            value=JSON(value),
            event_type_id=event_type_id,
        )
