"""How things lie in the database. Every row of an organization carries its id (`Owned`)."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import Enum as EnumColumn
from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.domain.events import Entity, EventState
from app.domain.fields import FieldDefinition, FieldKind
from app.domain.lifecycle import EventTypeState
from app.domain.severity import Outcome, Severity
from app.store.dialect import CurrentTransaction, Instant, JSONValue, LogNumber

# Constraints need names before a later migration can change them on SQLite.
METADATA = SQLModel.metadata
METADATA.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def _name_of(enum: type[Enum]) -> Any:
    return EnumColumn(enum, native_enum=False, length=32)


class Organization(SQLModel, table=True):
    id: UUID = Field(primary_key=True)
    key: str = Field(unique=True)
    name: str
    created_at: datetime = Field(sa_type=Instant)


class Owned(SQLModel):
    """What belongs to one organization: `Database` shows it to no other."""

    organization_id: UUID = Field(foreign_key="organization.id")


class ApiKey(Owned, table=True):
    """Of the key itself only its SHA-256 is kept, found by the first characters of that."""

    __tablename__ = "api_key"

    id: UUID = Field(primary_key=True)
    name: str
    prefix: str = Field(index=True)
    digest: str
    permissions: list[str] = Field(sa_type=JSONValue)
    every_organization: bool = False
    created_at: datetime = Field(sa_type=Instant)


class EventType(Owned, table=True):
    __tablename__ = "event_type"
    __table_args__ = (UniqueConstraint("organization_id", "type"),)

    id: UUID = Field(primary_key=True)
    type: str
    name: str
    description: str | None = None
    category: str
    state: EventTypeState = Field(sa_type=_name_of(EventTypeState))
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
    kind: FieldKind = Field(sa_type=_name_of(FieldKind))
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


class Event(Owned, table=True):
    """`rang_tx`, `rang_seq`: the place in the log of the entry that made it a notification."""

    __table_args__ = (
        Index(None, "organization_id", "occurred_at", "id"),
        Index(None, "organization_id", "recorded_at", "id"),
        Index(None, "organization_id", "type", "occurred_at", "id"),
        Index(None, "organization_id", "entity_id", "occurred_at", "id"),
        Index(None, "organization_id", "source", "source_id"),
        Index(
            "ix_event_bell",
            "organization_id",
            "rang_tx",
            "rang_seq",
            sqlite_where=text("rang_seq IS NOT NULL"),
            postgresql_where=text("rang_seq IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    type: str
    event_type_id: UUID | None = Field(default=None, foreign_key="event_type.id", index=True)
    event_type_version: int | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    severity: Severity = Field(sa_type=_name_of(Severity))
    summary: str
    content: str | None = None
    source: str
    source_id: str | None = None
    subject: str | None = None
    outcome: Outcome | None = Field(default=None, sa_type=_name_of(Outcome))
    occurred_at: datetime = Field(sa_type=Instant)
    recorded_at: datetime = Field(sa_type=Instant)
    updated_at: datetime = Field(sa_type=Instant)
    fields: dict[str, Any] = Field(sa_type=JSONValue)
    tags: list[str] = Field(sa_type=JSONValue)
    notification: bool = False
    acknowledged_at: datetime | None = Field(default=None, sa_type=Instant)
    acknowledged_by: str | None = None
    acknowledgement_note: str | None = None
    version: int = 1
    rang_tx: int | None = Field(default=None, sa_type=LogNumber)
    rang_seq: int | None = Field(default=None, sa_type=LogNumber)

    @classmethod
    def from_domain(cls, state: EventState, organization_id: UUID) -> Event:
        return cls(organization_id=organization_id, **_columns(state))

    def take(self, state: EventState) -> None:
        """Becomes this state."""
        for name, value in _columns(state).items():
            setattr(self, name, value)

    def tag_rows(self) -> list[dict[str, Any]]:
        """Its tags as rows of `EventTag`."""
        owner = {"organization_id": self.organization_id, "event_id": self.id}
        return [owner | {"tag": tag} for tag in self.tags]

    def to_domain(self) -> EventState:
        given = {name: getattr(self, name) for name in _SAME}
        entity = None
        if self.entity_type is not None and self.entity_id is not None:
            entity = Entity(self.entity_type, self.entity_id)
        return EventState(**given, entity=entity, tags=tuple(self.tags))


class EventTag(Owned, table=True):
    """The tags of an event once more, to find it by; `Event.tags` has them in their order."""

    __tablename__ = "event_tag"
    __table_args__ = (Index(None, "organization_id", "tag", "event_id"),)

    event_id: UUID = Field(primary_key=True, foreign_key="event.id", ondelete="CASCADE")
    tag: str = Field(primary_key=True)


class Receipt(Owned, table=True):
    """That a report was accepted under the producer's own id; it outlives its event."""

    organization_id: UUID = Field(primary_key=True, foreign_key="organization.id")
    source: str = Field(primary_key=True)
    source_id: str = Field(primary_key=True)
    digest: str
    event_id: UUID


class Change(Owned, table=True):
    """An entry of the change log. (tx, seq) is its place; the order of places is commit order."""

    __table_args__ = (
        Index("ix_change_place", "tx", "seq", unique=True),
        Index("ix_change_place_of_organization", "organization_id", "tx", "seq"),
        Index("ix_change_place_of_subject", "subject_id", "tx", "seq"),
        Index(
            "ix_change_rings",
            "organization_id",
            "tx",
            "seq",
            sqlite_where=text("rings"),
            postgresql_where=text("rings"),
        ),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = Field(default=None, primary_key=True, sa_type=LogNumber)
    tx: int | None = Field(
        default=None,
        nullable=False,
        sa_type=LogNumber,
        sa_column_kwargs={"server_default": CurrentTransaction()},
    )
    subject: str
    subject_id: UUID
    kind: str
    at: datetime = Field(sa_type=Instant)
    actor: str
    rings: bool = False
    changes: dict[str, Any] = Field(sa_type=JSONValue)
    state: dict[str, Any] = Field(sa_type=JSONValue)


class Log(SQLModel, table=True):
    """One row: the life of the log that cursors belong to."""

    epoch: str = Field(primary_key=True)


_SAME = tuple(name for name in EventState.__dataclass_fields__ if name not in ("entity", "tags"))


def _columns(state: EventState) -> dict[str, Any]:
    entity = state.entity
    return {name: getattr(state, name) for name in _SAME} | {
        "entity_type": entity and entity.type,
        "entity_id": entity and entity.id,
        "tags": list(state.tags),
    }
