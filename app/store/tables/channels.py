"""Channels of organizations, and the deliveries to their addresses."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Text, false, text
from sqlmodel import Field

from app.domain.channels.channels import ChannelKind, ChannelTrigger, DeliveryState
from app.store.tables.columns import JSONValue, LogNumber, UTCDateTime
from app.store.tables.organizations import LeasedRow, OrganizationOwned, enum_column


class Channel(LeasedRow, table=True):
    """A process delivers to a channel while it holds the lease.

    `url`: scheme, host and port of the address. `secrets`: the address, the request headers and the
    signing secrets, encrypted. `tx` and `seq`: the position up to which the change log of
    `log_identity` has become deliveries. `last_number`: the greatest number of a delivery.
    `has_gap`: whether later entries were pruned, which is not reported yet. `failing_since`: when
    the deliveries began to fail; None if the last one succeeded.
    """

    __table_args__ = (Index(None, "organization_id", "id"),)

    name: str
    kind: ChannelKind = Field(sa_type=enum_column(ChannelKind))
    url: str
    secrets: str = Field(sa_type=Text)
    filter: dict[str, Any] | None = Field(default=None, sa_type=JSONValue)
    triggers: list[str] = Field(sa_type=JSONValue)
    enabled: bool = True
    log_identity: str
    tx: int = Field(sa_type=LogNumber)
    seq: int = Field(sa_type=LogNumber)
    has_gap: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    last_number: int = Field(default=0, sa_type=BigInteger)
    last_error: str | None = None
    failing_since: datetime | None = Field(default=None, sa_type=UTCDateTime)
    created_at: datetime = Field(sa_type=UTCDateTime)
    updated_at: datetime = Field(sa_type=UTCDateTime)

    def values_in_log(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind.value,
            "url": self.url,
            "filter": self.filter,
            "triggers": self.triggers,
            "enabled": self.enabled,
        }


_IS_PENDING = text("state = 'PENDING'")


class Delivery(OrganizationOwned, table=True):
    """A message to a channel. `number` is its order in the channel.

    `order_key`: deliveries with the same key are attempted in order. `tx` and `seq`: the position
    of the change; None for a test. `hold_until`: until then, a failing delivery holds back later
    ones with the same key; None before its first attempt. `not_before`: the receiver asked for no
    attempt until then. A delivery is repeated until `expires_at`.
    """

    __table_args__ = (
        Index(None, "channel_id", "number", unique=True),
        Index(None, "channel_id", "webhook_id", unique=True),
        Index(
            "ix_delivery_due",
            "channel_id",
            "next_attempt_at",
            sqlite_where=_IS_PENDING,
            postgresql_where=_IS_PENDING,
        ),
        Index(
            "ix_delivery_order",
            "channel_id",
            "order_key",
            "number",
            sqlite_where=_IS_PENDING,
            postgresql_where=_IS_PENDING,
        ),
        Index(None, "state", "last_attempt_at"),
    )

    id: UUID = Field(primary_key=True)
    channel_id: UUID
    number: int = Field(sa_type=BigInteger)
    trigger: ChannelTrigger = Field(sa_type=enum_column(ChannelTrigger))
    webhook_id: str
    event_id: UUID | None = None
    order_key: str
    tx: int | None = Field(default=None, sa_type=LogNumber)
    seq: int | None = Field(default=None, sa_type=LogNumber)
    body: str = Field(sa_type=Text)
    state: DeliveryState = Field(sa_type=enum_column(DeliveryState))
    attempts: int = 0
    created_at: datetime = Field(sa_type=UTCDateTime)
    expires_at: datetime = Field(sa_type=UTCDateTime)
    hold_until: datetime | None = Field(default=None, sa_type=UTCDateTime)
    not_before: datetime | None = Field(default=None, sa_type=UTCDateTime)
    last_attempt_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    next_attempt_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    response_status: int | None = None
    error: str | None = None
