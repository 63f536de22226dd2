"""Organizations and their API keys, and the base class of their rows, `OrganizationOwned`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Enum as EnumColumn
from sqlalchemy import Index
from sqlalchemy import inspect as sql_inspect
from sqlmodel import Field, SQLModel

from app.domain.shared.values import format_instant
from app.store.tables.columns import JSONValue, UTCDateTime

# Constraints need names before a later migration can change them on SQLite.
METADATA = SQLModel.metadata
METADATA.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def enum_column(enum: type[Enum]) -> Any:
    return EnumColumn(enum, native_enum=False, length=32)


class StoredRow(SQLModel):
    """A row of a table, which readers build from the columns that the driver returns."""

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> Self:
        """Builds a row from all of its columns, without validation, which takes 0.1 ms."""
        row: Self = _instance_factory(cls)()
        vars(row).update(columns)
        return row

    def to_columns(self) -> dict[str, Any]:
        """Returns the values of the columns that are set."""
        values = vars(self)
        return {name: values[name] for name in type(self).model_fields if name in values}


class Organization(StoredRow, table=True):
    """`definitions` is a version that counts the changes of the configuration.

    Cached event types, rules and silences are valid as long as the version is the same. Each
    mutation of an event type, a rule, a silence, a retention policy or the name raises it by 1.
    """

    id: UUID = Field(primary_key=True)
    key: str = Field(unique=True)
    name: str
    definitions: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = Field(sa_type=UTCDateTime)

    def values_in_log(self) -> dict[str, Any]:
        """Returns the values that an audit entry about the organization contains."""
        return {"key": self.key, "name": self.name}


class OrganizationOwned(StoredRow):
    """A row of one organization. `Database` hides it from other organizations."""

    organization_id: UUID = Field(foreign_key="organization.id")


@cache
def _instance_factory(table: type[StoredRow]) -> Callable[[], Any]:
    new_instance: Callable[[], Any] = sql_inspect(table).class_manager.new_instance
    return new_instance


def owned_tables(
    base: type[OrganizationOwned] = OrganizationOwned,
) -> Iterator[type[OrganizationOwned]]:
    """Yields every table whose rows belong to an organization."""
    for subclass in base.__subclasses__():
        if hasattr(subclass, "__table__"):
            yield subclass
        yield from owned_tables(subclass)


class AuditedRow(OrganizationOwned):
    """A row whose changes have audit entries."""

    id: UUID = Field(primary_key=True)

    def values_in_log(self) -> dict[str, Any]:
        """Returns the values that audit entries contain, by name in the API, without secrets."""
        raise NotImplementedError


class LeasedRow(AuditedRow):
    """A row that one process at a time works on: `lease_holder`, until `leased_until`."""

    lease_holder: str | None = None
    leased_until: datetime | None = Field(default=None, sa_type=UTCDateTime)


class ApiKey(AuditedRow, table=True):
    """An API key. Only its SHA-256 is stored; `prefix` is the start of it, for the lookup.

    `created_by` is None if the key was created before this was stored. `sign_in_failed_at`: when
    its use after it had become inactive was last recorded.
    """

    __tablename__ = "api_key"
    __table_args__ = (Index("ix_api_key_organization_id_id", "organization_id", "id"),)

    name: str
    prefix: str = Field(index=True)
    digest: str
    permissions: list[str] = Field(sa_type=JSONValue)
    every_organization: bool = False
    created_at: datetime = Field(sa_type=UTCDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    created_by: str | None = None
    sign_in_failed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)

    def values_in_log(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "permissions": self.permissions,
            "everyOrganization": self.every_organization,
            "expiresAt": self.expires_at and format_instant(self.expires_at),
            "revokedAt": self.revoked_at and format_instant(self.revoked_at),
        }
