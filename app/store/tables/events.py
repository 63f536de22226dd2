"""Events, and beside them what they are found and known again by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy import inspect as sql_inspect
from sqlmodel import Field

from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventState
from app.store.tables.columns import CodePoints, Instant, JSONValue, LogNumber, Words
from app.store.tables.owners import Owned, name_of


class Event(Owned, table=True):
    """`rang_tx`, `rang_seq`: the place in the log of the entry that made it a notification."""

    __table_args__ = (
        Index(None, "organization_id", "occurred_at", "id"),
        Index(None, "organization_id", "recorded_at", "id"),
        Index(None, "organization_id", "type", "occurred_at", "id"),
        Index(None, "organization_id", "category", "occurred_at", "id"),
        Index(None, "organization_id", "severity", "occurred_at", "id"),
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
        Index(
            "ix_event_bell_unacknowledged",
            "organization_id",
            "rang_tx",
            "rang_seq",
            sqlite_where=text("rang_seq IS NOT NULL AND acknowledged_at IS NULL"),
            postgresql_where=text("rang_seq IS NOT NULL AND acknowledged_at IS NULL"),
        ),
        Index(
            "ix_event_duplicate_of_id",
            "duplicate_of_id",
            sqlite_where=text("duplicate_of_id IS NOT NULL"),
            postgresql_where=text("duplicate_of_id IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    type: str = Field(sa_type=CodePoints)
    event_type_id: UUID | None = Field(default=None, foreign_key="event_type.id", index=True)
    event_type_version: int | None = None
    category: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    severity: Severity = Field(sa_type=name_of(Severity))
    summary: str
    summary_given: bool = True
    content: str | None = None
    source: str
    source_id: str | None = None
    subject: str | None = None
    outcome: Outcome | None = Field(default=None, sa_type=name_of(Outcome))
    occurred_at: datetime = Field(sa_type=Instant)
    recorded_at: datetime = Field(sa_type=Instant)
    updated_at: datetime = Field(sa_type=Instant)
    fields: dict[str, Any] = Field(sa_type=JSONValue)
    tags: list[str] = Field(sa_type=JSONValue)
    extensions: dict[str, Any] | None = Field(default=None, sa_type=JSONValue)
    payload: dict[str, Any] | None = Field(default=None, sa_type=JSONValue)
    duplicate_of_id: UUID | None = Field(default=None, foreign_key="event.id", ondelete="SET NULL")
    occurrences: int = 1
    last_occurred_at: datetime | None = Field(default=None, sa_type=Instant)
    notification: bool = False
    acknowledged_at: datetime | None = Field(default=None, sa_type=Instant)
    acknowledged_by: str | None = None
    acknowledgement_note: str | None = None
    version: int = 1
    rang_tx: int | None = Field(default=None, sa_type=LogNumber)
    rang_seq: int | None = Field(default=None, sa_type=LogNumber)

    @classmethod
    def from_domain(
        cls,
        state: EventState,
        organization_id: UUID,
        rang: tuple[int, int] | tuple[None, None] = (None, None),
    ) -> Event:
        tx, seq = rang
        owner = {"organization_id": organization_id, "rang_tx": tx, "rang_seq": seq}
        return cls.as_read(_columns(state) | owner)

    @classmethod
    def as_read(cls, columns: Mapping[str, Any]) -> Event:
        """Of all its columns: to check each value would take a tenth of a millisecond."""
        row: Event = _maker(cls)()
        vars(row).update(columns)
        return row

    def columns(self) -> dict[str, Any]:
        return {name: each for name, each in vars(self).items() if name != "_sa_instance_state"}

    def take(self, state: EventState) -> None:
        """Becomes this state."""
        for name, value in _columns(state).items():
            if getattr(self, name) is not value:
                setattr(self, name, value)

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


class EventValue(Owned, table=True):
    """What `domain.predicates` compares of an event: each field, and each element of a list.

    Ordinal 0 is the value itself, all empty where it is no scalar; elements follow from 1. A text
    is cut in two, of which an index takes the first: compared as a pair they are the text.
    """

    __tablename__ = "event_value"
    __table_args__ = (
        Index(None, "organization_id", "field", "number", "event_id"),
        Index(None, "organization_id", "field", "head", "event_id"),
    )

    event_id: UUID = Field(primary_key=True, foreign_key="event.id", ondelete="CASCADE")
    field: str = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    number: float | None = None
    head: str | None = Field(default=None, sa_type=CodePoints)
    tail: str | None = Field(default=None, sa_type=CodePoints)
    truth: bool | None = None


class EventWords(Owned, table=True):
    """The words that an event is found by. SQLite keeps `event_search`, its FTS5, by triggers."""

    __tablename__ = "event_words"
    __table_args__ = (
        Index("ix_event_words_words", "words", postgresql_using="gin"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=LogNumber)
    event_id: UUID = Field(foreign_key="event.id", ondelete="CASCADE", unique=True)
    words: Any = Field(sa_type=Words)


class Receipt(Owned, table=True):
    """That a report was accepted under the producer's own id; it outlives its event."""

    organization_id: UUID = Field(primary_key=True, foreign_key="organization.id")
    source: str = Field(primary_key=True)
    source_id: str = Field(primary_key=True)
    digest: str
    event_id: UUID


@cache
def _maker(kind: type[Event]) -> Callable[[], Any]:
    made: Callable[[], Any] = sql_inspect(kind).class_manager.new_instance
    return made


_SAME = tuple(name for name in EventState.__dataclass_fields__ if name not in ("entity", "tags"))


def _columns(state: EventState) -> dict[str, Any]:
    entity = state.entity
    return {name: getattr(state, name) for name in _SAME} | {
        "entity_type": entity and entity.type,
        "entity_id": entity and entity.id,
        "tags": list(state.tags),
    }
