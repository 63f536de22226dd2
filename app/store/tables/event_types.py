"""Event types, their fields and conditional rules, and all of their versions."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from app.domain.event_types import conditions
from app.domain.event_types.conditions import ConditionalEffect
from app.domain.event_types.fields import AdditionalFields, FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.event_types.version_changes import format_field
from app.domain.shared.values import format_instant
from app.store.tables.columns import JSONValue, UTCDateTime
from app.store.tables.organizations import AuditedRow, OrganizationOwned, enum_column


class EventType(AuditedRow, table=True):
    __tablename__ = "event_type"
    __table_args__ = (UniqueConstraint("organization_id", "type"),)

    type: str
    name: str
    description: str | None = None
    category: str
    state: EventTypeState = Field(sa_type=enum_column(EventTypeState))
    sunset_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    version: int = 1
    additional_fields: AdditionalFields = Field(
        default=AdditionalFields.REFUSE,
        sa_type=enum_column(AdditionalFields),
        sa_column_kwargs={"server_default": AdditionalFields.REFUSE.value},
    )
    words: str = ""  # for search, each between blanks
    created_at: datetime = Field(sa_type=UTCDateTime)
    updated_at: datetime = Field(sa_type=UTCDateTime)

    def values_in_log(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "name": self.name,
            "description": self.description,
            "category": self.category,
            "state": self.state.value,
            "sunsetAt": self.sunset_at and format_instant(self.sunset_at),
            "additionalFields": self.additional_fields.value,
            "version": self.version,
        }


class EventTypeVersion(OrganizationOwned, table=True):
    """The form of an event type at one version. Immutable.

    `created_by` is None if the version was created before authors were stored.
    """

    __tablename__ = "event_type_version"

    event_type_id: UUID = Field(primary_key=True, foreign_key="event_type.id", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    form: dict[str, Any] = Field(sa_type=JSONValue)
    created_at: datetime = Field(sa_type=UTCDateTime)
    created_by: str | None = None


class ConditionalRule(AuditedRow, table=True):
    __tablename__ = "conditional_rule"

    event_type_id: UUID = Field(foreign_key="event_type.id", index=True, ondelete="CASCADE")
    name: str
    effect: ConditionalEffect = Field(sa_type=enum_column(ConditionalEffect))
    targets: list[str] = Field(sa_type=JSONValue)
    condition: dict[str, Any] = Field(sa_type=JSONValue)
    enabled: bool = True

    def to_domain(self) -> conditions.ConditionalRule:
        return conditions.ConditionalRule(
            self.name,
            self.effect,
            tuple(self.targets),
            conditions.parse_condition(self.condition),
            self.enabled,
        )

    def update_from(self, rule: conditions.ConditionalRule) -> None:
        """Copies the values of the rule."""
        self.name = rule.name
        self.effect = rule.effect
        self.targets = list(rule.targets)
        self.condition = conditions.format_condition(rule.condition)
        self.enabled = rule.enabled

    def values_in_log(self) -> dict[str, Any]:
        return {"eventTypeId": str(self.event_type_id)} | conditions.format_rule(self.to_domain())


class EventField(AuditedRow, table=True):
    __tablename__ = "event_field"
    __table_args__ = (UniqueConstraint("event_type_id", "name"),)

    event_type_id: UUID = Field(foreign_key="event_type.id", ondelete="CASCADE")
    position: int
    added_in_version: int = 1
    name: str
    label: str
    kind: FieldKind = Field(sa_type=enum_column(FieldKind))
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
    source_key: str | None = None
    labels: dict[str, str] | None = Field(default=None, sa_type=JSONValue)

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
            source_key=self.source_key,
            labels=self.labels,
        )

    def update_from(self, field: FieldDefinition, position: int) -> None:
        """Copies the values of the field and sets its position in the form."""
        for attribute in fields(field):
            setattr(self, attribute.name, getattr(field, attribute.name))
        self.position = position
        self.label = field.label or field.name
        self.options = None if field.options is None else list(field.options)
        self.labels = None if field.labels is None else dict(field.labels)

    def values_in_log(self) -> dict[str, Any]:
        return {"eventTypeId": str(self.event_type_id)} | format_field(self.to_domain().to_json())
