"""What people define: event types and their fields."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from app.domain.fields import FieldDefinition, FieldKind
from app.domain.lifecycle import EventTypeState
from app.store.columns import Instant, JSONValue
from app.store.tables.owners import Owned, name_of


class EventType(Owned, table=True):
    __tablename__ = "event_type"
    __table_args__ = (UniqueConstraint("organization_id", "type"),)

    id: UUID = Field(primary_key=True)
    type: str
    name: str
    description: str | None = None
    category: str
    state: EventTypeState = Field(sa_type=name_of(EventTypeState))
    version: int = 1
    created_at: datetime = Field(sa_type=Instant)
    updated_at: datetime = Field(sa_type=Instant)


class EventField(Owned, table=True):
    __tablename__ = "event_field"
    __table_args__ = (UniqueConstraint("event_type_id", "name"),)

    id: UUID = Field(primary_key=True)
    event_type_id: UUID = Field(foreign_key="event_type.id", ondelete="CASCADE")
    position: int
    name: str
    label: str
    kind: FieldKind = Field(sa_type=name_of(FieldKind))
    required: bool = False
    help_text: str | None = None
    unit: str | None = None
    options: list[str] | None = Field(default=None, sa_type=JSONValue)
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    default: Any = Field(default=None, sa_type=JSONValue, nullable=True)

    def to_domain(self) -> FieldDefinition:
        return FieldDefinition(
            name=self.name,
            kind=self.kind,
            label=self.label,
            required=self.required,
            help_text=self.help_text,
            unit=self.unit,
            options=None if self.options is None else tuple(self.options),
            minimum=self.minimum,
            maximum=self.maximum,
            min_length=self.min_length,
            max_length=self.max_length,
            pattern=self.pattern,
            default=self.default,
        )
