"""Retention policies of organizations."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Index
from sqlmodel import Field

from app.domain.access.retention import RetentionPolicy as Policy
from app.domain.access.retention import RetentionTarget
from app.domain.shared.durations import format_duration
from app.store.tables.columns import JSONValue, UTCDateTime
from app.store.tables.organizations import LeasedRow, enum_column


class RetentionPolicy(LeasedRow, table=True):
    """A process applies a policy while it holds the lease.

    `filter` is null for the target HISTORY.
    """

    __tablename__ = "retention_policy"
    __table_args__ = (Index(None, "organization_id", "id"),)

    name: str
    target: RetentionTarget = Field(sa_type=enum_column(RetentionTarget))
    filter: dict[str, Any] | None = Field(default=None, sa_type=JSONValue)
    keep_for_us: int = Field(sa_type=BigInteger)
    created_at: datetime = Field(sa_type=UTCDateTime)
    updated_at: datetime = Field(sa_type=UTCDateTime)
    last_applied_at: datetime | None = Field(default=None, sa_type=UTCDateTime)

    @property
    def keep_for(self) -> timedelta:
        return timedelta(microseconds=self.keep_for_us)

    def to_domain(self) -> Policy:
        return Policy(self.name, self.target, self.filter, self.keep_for)

    def values_in_log(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "target": self.target.value,
            "filter": self.filter,
            "keepFor": format_duration(self.keep_for),
        }
