"""The change log."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from app.store.tables.columns import CurrentTransaction, JSONValue, LogNumber, UTCDateTime
from app.store.tables.organizations import OrganizationOwned


class Change(OrganizationOwned, table=True):
    """An entry of the change log. (tx, seq) is its position; positions are in commit order."""

    __table_args__ = (
        Index("ix_change_place", "tx", "seq", unique=True),
        Index("ix_change_place_of_organization", "organization_id", "tx", "seq"),
        Index("ix_change_place_of_subject", "subject_id", "tx", "seq"),
        Index(
            "ix_change_rings",
            "organization_id",
            "tx",
            "seq",
            sqlite_where=text("notifies"),
            postgresql_where=text("notifies"),
        ),
        Index(
            "ix_change_audit",
            "organization_id",
            "tx",
            "seq",
            sqlite_where=text("subject <> 'event'"),
            postgresql_where=text("subject <> 'event'"),
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
    at: datetime = Field(sa_type=UTCDateTime)
    actor: str
    notifies: bool = False
    changes: dict[str, Any] = Field(sa_type=JSONValue)
    state: dict[str, Any] = Field(sa_type=JSONValue)


class ReadMark(OrganizationOwned, table=True):
    """The position up to which a user or an API key has read the notifications.

    `log_identity`: of the change log that the position belongs to.
    """

    __tablename__ = "read_mark"

    organization_id: UUID = Field(primary_key=True, foreign_key="organization.id")
    reader: str = Field(primary_key=True)
    log_identity: str
    tx: int = Field(sa_type=LogNumber)
    seq: int = Field(sa_type=LogNumber)
    changed_at: datetime = Field(sa_type=UTCDateTime, index=True)


class Log(SQLModel, table=True):
    """One row: the epoch of the change log, to which cursors belong, and its pruned position.

    Of the entries up to the pruned position, those older than `begins_at` were removed.
    `oldest_revision`: servers whose newest migration is this one or a later one can use the
    database.
    """

    epoch: str = Field(primary_key=True)
    pruned_tx: int = Field(default=0, sa_type=LogNumber, sa_column_kwargs={"server_default": "0"})
    pruned_seq: int = Field(default=0, sa_type=LogNumber, sa_column_kwargs={"server_default": "0"})
    begins_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    oldest_revision: str | None = None
