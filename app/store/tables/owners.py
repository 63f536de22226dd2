"""Whose everything is: organizations and their keys. Rows of one carry its id (`Owned`)."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import Enum as EnumColumn
from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from app.store.tables.columns import Instant, JSONValue

# Constraints need names before a later migration can change them on SQLite.
METADATA = SQLModel.metadata
METADATA.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def name_of(enum: type[Enum]) -> Any:
    return EnumColumn(enum, native_enum=False, length=32)


class Organization(SQLModel, table=True):
    """`definitions` counts the changes of its event types and rules: what was read at a number
    still holds while it is the number.
    """

    id: UUID = Field(primary_key=True)
    key: str = Field(unique=True)
    name: str
    definitions: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = Field(sa_type=Instant)


class Owned(SQLModel):
    """What belongs to one organization: `Database` shows it to no other."""

    organization_id: UUID = Field(foreign_key="organization.id")


class ApiKey(Owned, table=True):
    """Of the key itself only its SHA-256 is kept, found by the first characters of that."""

    __tablename__ = "api_key"
    __table_args__ = (Index("ix_api_key_organization_id_id", "organization_id", "id"),)

    id: UUID = Field(primary_key=True)
    name: str
    prefix: str = Field(index=True)
    digest: str
    permissions: list[str] = Field(sa_type=JSONValue)
    every_organization: bool = False
    created_at: datetime = Field(sa_type=Instant)
    expires_at: datetime | None = Field(default=None, sa_type=Instant)
    last_used_at: datetime | None = Field(default=None, sa_type=Instant)
    revoked_at: datetime | None = Field(default=None, sa_type=Instant)
