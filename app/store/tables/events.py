"""Events, their search index, and receipts that identify repeated reports."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Computed, Index, Integer, text
from sqlmodel import Field

from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventState, EventStatus
from app.domain.events.words import WORDS_VERSION
from app.store.tables.columns import CodePoints, JSONValue, LogNumber, UTCDateTime, Words
from app.store.tables.organizations import OrganizationOwned, enum_column

# Without a parameter, so that the partial index serves it. Only for statements on `event_words`.
HAS_OUTDATED_WORDS = text(f"version < {WORDS_VERSION}")


LATEST_OCCURRENCE = (
    "CASE WHEN last_occurred_at > occurred_at THEN last_occurred_at ELSE occurred_at END"
)
_RANK_CASES = " ".join(f"WHEN '{severity.name}' THEN {severity.rank}" for severity in Severity)
SEVERITY_RANK = f"CASE severity {_RANK_CASES} END"
STATUS = (
    "CASE WHEN NOT notification AND alert_key IS NULL THEN NULL "
    "WHEN resolved_at IS NOT NULL THEN 'RESOLVED' "
    "WHEN acknowledged_at IS NOT NULL THEN 'ACKNOWLEDGED' ELSE 'OPEN' END"
)
_HAS_ALERT_KEY = text("alert_key IS NOT NULL")
_IS_UNRESOLVED_ALERT = text("alert_key IS NOT NULL AND resolved_at IS NULL")
_HAS_STATUS = text("status IS NOT NULL")
_IS_OPEN_NOTIFICATION = text("rang_seq IS NOT NULL AND status = 'OPEN'")
_IS_SILENCED = text("silenced_by_id IS NOT NULL")
_IS_SILENCED_AND_OPEN = text("silenced_by_id IS NOT NULL AND status = 'OPEN'")


def _generated_value(expression: str) -> Computed:
    # Virtual on SQLite, which cannot add a stored column; its indexes store the values anyway.
    return Computed(expression, persisted=True)


class Event(OrganizationOwned, table=True):
    """`rang_tx`, `rang_seq`: log position of the last entry that notified of the event; null while
    a silence suppresses the notification.

    Of an event with an alert key, `reporter` is the caller that reported it, and `reported_at` the
    latest time that one of its reports had; null if none had one. `state_digest`: digest of its
    last report, if that is the state of an alert that its sender repeats.

    The database computes `latest_occurrence` and `severity_rank`, by which lists are sorted, and
    `status`, by which they are filtered.
    """

    __table_args__ = (
        Index(None, "organization_id", "occurred_at", "id"),
        Index(None, "organization_id", "recorded_at", "id"),
        Index(None, "organization_id", "latest_occurrence", "id"),
        Index(None, "organization_id", "severity_rank", "id"),
        Index(None, "organization_id", "type", "occurred_at", "id"),
        Index(None, "organization_id", "category", "occurred_at", "id"),
        Index(None, "organization_id", "severity", "occurred_at", "id"),
        Index(None, "organization_id", "entity_id", "occurred_at", "id"),
        Index(None, "organization_id", "source", "occurred_at", "id"),
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
            "ix_event_bell_open",
            "organization_id",
            "rang_tx",
            "rang_seq",
            sqlite_where=_IS_OPEN_NOTIFICATION,
            postgresql_where=_IS_OPEN_NOTIFICATION,
        ),
        Index(
            "ix_event_status",
            "organization_id",
            "status",
            "occurred_at",
            "id",
            sqlite_where=_HAS_STATUS,
            postgresql_where=_HAS_STATUS,
        ),
        Index(
            "ix_event_alert_key",
            "organization_id",
            "alert_key",
            "occurred_at",
            "id",
            sqlite_where=_HAS_ALERT_KEY,
            postgresql_where=_HAS_ALERT_KEY,
        ),
        Index(
            "ix_event_unresolved_alert_key",
            "organization_id",
            "source",
            "alert_key",
            unique=True,
            sqlite_where=_IS_UNRESOLVED_ALERT,
            postgresql_where=_IS_UNRESOLVED_ALERT,
        ),
        Index(
            "ix_event_silenced",
            "organization_id",
            "silenced_by_id",
            "occurred_at",
            "id",
            sqlite_where=_IS_SILENCED,
            postgresql_where=_IS_SILENCED,
        ),
        Index(
            "ix_event_silenced_open",
            "silenced_by_id",
            "id",
            sqlite_where=_IS_SILENCED_AND_OPEN,
            postgresql_where=_IS_SILENCED_AND_OPEN,
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
    severity: Severity = Field(sa_type=enum_column(Severity))
    severity_text: str | None = None
    summary: str
    summary_given: bool = True
    content: str | None = None
    source: str
    source_id: str | None = None
    subject: str | None = None
    outcome: Outcome | None = Field(default=None, sa_type=enum_column(Outcome))
    occurred_at: datetime = Field(sa_type=UTCDateTime)
    recorded_at: datetime = Field(sa_type=UTCDateTime)
    updated_at: datetime = Field(sa_type=UTCDateTime)
    fields: dict[str, Any] = Field(sa_type=JSONValue)
    tags: list[str] = Field(sa_type=JSONValue)
    extensions: dict[str, Any] | None = Field(default=None, sa_type=JSONValue)
    payload: dict[str, Any] | None = Field(default=None, sa_type=JSONValue)
    duplicate_of_id: UUID | None = Field(default=None, foreign_key="event.id", ondelete="SET NULL")
    occurrences: int = 1
    last_occurred_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    notification: bool = False
    acknowledged_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    acknowledged_by: str | None = None
    acknowledgement_note: str | None = None
    alert_key: str | None = Field(default=None, sa_type=CodePoints)
    resolved_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    resolved_by: str | None = None
    resolution_note: str | None = None
    reporter: str | None = None
    reported_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    state_digest: str | None = None
    silenced_by_id: UUID | None = Field(default=None, foreign_key="silence.id")
    version: int = 1
    rang_tx: int | None = Field(default=None, sa_type=LogNumber)
    rang_seq: int | None = Field(default=None, sa_type=LogNumber)
    latest_occurrence: datetime | None = Field(
        default=None, sa_column=Column(UTCDateTime, _generated_value(LATEST_OCCURRENCE))
    )
    severity_rank: int | None = Field(
        default=None, sa_column=Column(Integer, _generated_value(SEVERITY_RANK))
    )
    status: EventStatus | None = Field(
        default=None, sa_column=Column(enum_column(EventStatus), _generated_value(STATUS))
    )

    @staticmethod
    def build_columns(
        state: EventState,
        organization_id: UUID,
        rang: tuple[int, int] | tuple[None, None] = (None, None),
        reporter: str | None = None,
        reported_at: datetime | None = None,
        state_digest: str | None = None,
    ) -> dict[str, Any]:
        """Builds the columns of a new event, without those that the database generates."""
        columns = _state_columns(state)
        columns["organization_id"] = organization_id
        columns["rang_tx"], columns["rang_seq"] = rang
        columns["reporter"] = reporter
        columns["reported_at"] = reported_at
        columns["state_digest"] = state_digest
        return columns

    def update_from(self, state: EventState) -> None:
        """Copies the values of the state that differ."""
        columns = _state_columns(state)
        if columns["tags"] == self.tags:
            del columns["tags"]  # always another list
        for name, value in columns.items():
            if getattr(self, name) is not value:
                setattr(self, name, value)
        if state.silenced_by_id is not None or not state.notification:
            self.rang_tx = self.rang_seq = None

    def set_rang(self, position: tuple[int, int]) -> None:
        """Moves the event up in the list of notifications, to the position of the log entry."""
        # A transaction that began earlier may write later: its entry precedes what is stored.
        rang = max(position, (self.rang_tx or 0, self.rang_seq or 0))
        self.rang_tx, self.rang_seq = rang

    def to_domain(self) -> EventState:
        values = {name: getattr(self, name) for name in _SHARED_COLUMNS}
        entity = None
        if self.entity_type is not None and self.entity_id is not None:
            entity = Entity(self.entity_type, self.entity_id)
        return EventState(**values, entity=entity, tags=tuple(self.tags))


class AlertKey(OrganizationOwned, table=True):
    """A condition of a source, and its latest reported resolution, if any.

    `resolver`: the caller to whose reports alone the resolution applies, empty if it applies to
    all. A report with this key locks the row without resolver until the commit. `used_at`: when the
    row was inserted, or the resolution arrived.
    """

    __tablename__ = "alert_key"

    organization_id: UUID = Field(primary_key=True, foreign_key="organization.id")
    source: str = Field(primary_key=True)
    alert_key: str = Field(primary_key=True, sa_type=CodePoints)
    resolver: str = Field(primary_key=True)
    resolved_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    resolved_by: str | None = None
    resolution_note: str | None = None
    used_at: datetime = Field(sa_type=UTCDateTime, index=True)


class AlertReport(OrganizationOwned, table=True):
    """A report of an alert that had a time, by its digest, and the event that it counts for.

    With `started_at` of a draft, the digest is that of the occurrence. It is removed seven days
    after `received_at`, when the report arrived first.
    """

    __tablename__ = "alert_report"

    organization_id: UUID = Field(primary_key=True, foreign_key="organization.id")
    source: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    event_id: UUID
    received_at: datetime = Field(sa_type=UTCDateTime, index=True)


class EventCount(OrganizationOwned, table=True):
    """A part of the number of events with these values; `type` is empty for events of all types.

    `status` is empty for events without a status. Triggers change the counters in the transaction
    that changes the events. A number is the sum over the shards: on PostgreSQL, transactions that
    run at the same time change different shards.
    """

    __tablename__ = "event_count"
    __table_args__ = {"sqlite_with_rowid": False, "postgresql_with": {"fillfactor": 50}}

    organization_id: UUID = Field(primary_key=True, foreign_key="organization.id")
    type: str = Field(primary_key=True, sa_type=CodePoints)
    severity: Severity = Field(sa_column=Column(enum_column(Severity), primary_key=True))
    status: str = Field(primary_key=True)
    notification: bool = Field(primary_key=True)
    shard: int = Field(primary_key=True)
    events: int = Field(sa_type=BigInteger)


class EventTag(OrganizationOwned, table=True):
    """A tag of an event, for search. `Event.tags` has the tags in order."""

    __tablename__ = "event_tag"
    __table_args__ = (Index(None, "organization_id", "tag", "event_id"),)

    event_id: UUID = Field(primary_key=True, foreign_key="event.id", ondelete="CASCADE")
    tag: str = Field(primary_key=True)


class EventValue(OrganizationOwned, table=True):
    """A value for field predicates, by its path: a field, or a member of a nested object.

    Ordinals from 0 down are values of keys, with all columns null if the value is not a scalar;
    elements of lists start at 1. Ordinal 0 is the only value of a path; a path through a list, or
    to several values, starts at -1. A string is split into `head`, which is indexed, and `tail`; as
    a pair they sort like the text. `number` is the nearest double; `exact` orders the numbers that
    share one, from 2^53 on.
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
    exact: str | None = Field(default=None, sa_type=CodePoints)
    head: str | None = Field(default=None, sa_type=CodePoints)
    tail: str | None = Field(default=None, sa_type=CodePoints)
    truth: bool | None = None


class EventWords(OrganizationOwned, table=True):
    """The search words of an event, and the version of the function that extracted them.

    On SQLite, triggers update the FTS5 table `event_search`.
    """

    __tablename__ = "event_words"
    __table_args__ = (
        Index("ix_event_words_words", "words", postgresql_using="gin"),
        Index(
            "ix_event_words_outdated",
            "id",
            sqlite_where=HAS_OUTDATED_WORDS,
            postgresql_where=HAS_OUTDATED_WORDS,
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=LogNumber)
    event_id: UUID = Field(foreign_key="event.id", ondelete="CASCADE", unique=True)
    words: Any = Field(sa_type=Words)
    version: int = Field(default=WORDS_VERSION, sa_column_kwargs={"server_default": "1"})


class Receipt(OrganizationOwned, table=True):
    """Records that a report with this source ID was accepted. It outlives its event.

    The event of a counted duplicate is its original. `version`: that of the function that computed
    the digest. `set_fields`: the lists in the report that it compared as sets, each as a name or as
    a list of nested names.
    """

    organization_id: UUID = Field(primary_key=True, foreign_key="organization.id")
    # In this order, so that the key also finds source IDs without their sources.
    source_id: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    digest: str
    event_id: UUID
    version: int = Field(default=2, sa_column_kwargs={"server_default": "1"})
    set_fields: list[str | list[str]] | None = Field(default=None, sa_type=JSONValue)


_SHARED_COLUMNS = tuple(
    name for name in EventState.__dataclass_fields__ if name not in ("entity", "tags")
)


def _state_columns(state: EventState) -> dict[str, Any]:
    entity, attributes = state.entity, vars(state)
    columns = {name: attributes[name] for name in _SHARED_COLUMNS}
    columns["entity_type"] = entity and entity.type
    columns["entity_id"] = entity and entity.id
    columns["tags"] = list(state.tags)
    return columns
