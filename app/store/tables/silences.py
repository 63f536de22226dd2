"""Silences, which suppress notifications."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index
from sqlmodel import Field

from app.domain.events import silences
from app.domain.events.filter_json import filter_from_json
from app.domain.shared.values import format_instant
from app.store.tables.columns import JSONValue, UTCDateTime
from app.store.tables.organizations import AuditedRow


class Silence(AuditedRow, table=True):
    """`silenced_count`: the number of notifications that the silence has suppressed."""

    __table_args__ = (
        Index(None, "organization_id", "id"),
        Index(None, "organization_id", "ends_at"),
    )

    filter: dict[str, Any] = Field(sa_type=JSONValue)
    starts_at: datetime = Field(sa_type=UTCDateTime)
    ends_at: datetime = Field(sa_type=UTCDateTime)
    comment: str
    created_at: datetime = Field(sa_type=UTCDateTime)
    created_by: str
    silenced_count: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"}
    )

    def to_domain(self) -> silences.Silence:
        applies_since_creation = self.starts_at <= self.created_at
        return silences.Silence(
            self.id,
            filter_from_json(self.filter),
            None if applies_since_creation else self.starts_at,
            self.ends_at,
        )

    def values_in_log(self) -> dict[str, Any]:
        return {
            "filter": self.filter,
            "startsAt": format_instant(self.starts_at),
            "endsAt": format_instant(self.ends_at),
            "comment": self.comment,
        }
