"""Custom values of an event with the definitions of their fields."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.graphql.shared.context import Info
from app.graphql.types.event_type import EventField
from app.graphql.types.loaders import get_loaders


@strawberry.type(
    description="A custom value of an event, with the definition of its field in the version of "
    "the event type that the event was validated against."
)
class FieldValue:
    name: str = strawberry.field(description="Name of the field: its key in `Event.fields`.")
    label: str = strawberry.field(description="Display name of the field in that version.")
    kind: FieldKind = strawberry.field(
        description="Kind of value that the field accepted in that version."
    )
    unit: str | None = strawberry.field(
        description="Unit of the value in that version, for display. Null if the field had no unit."
    )
    value: JSON | None = strawberry.field(
        description="Value of the field: a string, number, boolean or list of strings, depending "
        "on `kind`. Never null, because fields without a value are omitted."
    )
    event_type_id: strawberry.Private[UUID]
    event_type_version: strawberry.Private[int]

    @strawberry.field(
        description="Current definition of the field. Null if the field was removed from the "
        "event type, even if a later field has the same name. Requires EVENT_READ, EVENT_CREATE or "
        "EVENT_TYPE_MANAGE."
    )
    async def field(self, info: Info) -> EventField | None:
        fields = await get_loaders(info).event_fields.load(self.event_type_id) or []
        for field in fields:
            if field.name == self.name and field.added_in_version <= self.event_type_version:
                return field
        return None

    @classmethod
    def from_definition(
        cls, event_type_id: UUID, version: int, field: FieldDefinition, value: Any
    ) -> FieldValue:
        return cls(
            name=field.name,
            label=field.label or field.name,
            kind=field.kind,
            unit=field.unit,
            value=JSON(value),
            event_type_id=event_type_id,
            event_type_version=version,
        )
