"""Sources, from which other systems send payloads, and the payloads that were rejected."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text
from sqlmodel import Field

from app.domain.sources.sources import SourceKind
from app.store.tables.columns import JSONValue, UTCDateTime
from app.store.tables.organizations import AuditedRow, OrganizationOwned, enum_column


class Source(AuditedRow, table=True):
    """Only the SHA-256 of its token is stored; `prefix` is the start of it, for the lookup."""

    __table_args__ = (Index(None, "organization_id", "id"),)

    name: str
    kind: SourceKind = Field(sa_type=enum_column(SourceKind))
    mapping: dict[str, Any] | None = Field(default=None, sa_type=JSONValue)
    enabled: bool = True
    prefix: str = Field(index=True)
    digest: str
    last_received_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    created_at: datetime = Field(sa_type=UTCDateTime)
    updated_at: datetime = Field(sa_type=UTCDateTime)

    def values_in_log(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind.value,
            "mapping": self.mapping,
            "enabled": self.enabled,
        }


class RejectedPayload(OrganizationOwned, table=True):
    """A payload that was rejected. `body`: the beginning of it, without credentials."""

    __tablename__ = "rejected_payload"
    __table_args__ = (Index(None, "source_id", "id"),)

    id: UUID = Field(primary_key=True)
    source_id: UUID = Field(foreign_key="source.id", ondelete="CASCADE")
    at: datetime = Field(sa_type=UTCDateTime)
    error: str
    body: str = Field(sa_type=Text)
