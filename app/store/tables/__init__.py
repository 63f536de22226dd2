"""The tables of the database."""

from app.store.tables.channels import Channel, Delivery
from app.store.tables.event_types import ConditionalRule, EventField, EventType, EventTypeVersion
from app.store.tables.events import (
    AlertKey,
    AlertReport,
    Event,
    EventCount,
    EventTag,
    EventValue,
    EventWords,
    Receipt,
)
from app.store.tables.log import Change, Log, ReadMark
from app.store.tables.organizations import (
    METADATA,
    ApiKey,
    AuditedRow,
    LeasedRow,
    Organization,
    OrganizationOwned,
    StoredRow,
    owned_tables,
)
from app.store.tables.retention import RetentionPolicy
from app.store.tables.rules import *  # noqa: F403 (so that a rule is added in one module)
from app.store.tables.silences import Silence
from app.store.tables.sources import RejectedPayload, Source

__all__ = [
    "METADATA",
    "AlertKey",
    "AlertReport",
    "ApiKey",
    "AuditedRow",
    "Change",
    "Channel",
    "ConditionalRule",
    "Delivery",
    "Event",
    "EventCount",
    "EventField",
    "EventTag",
    "EventType",
    "EventTypeVersion",
    "EventValue",
    "EventWords",
    "LeasedRow",
    "Log",
    "Organization",
    "OrganizationOwned",
    "ReadMark",
    "Receipt",
    "RejectedPayload",
    "RetentionPolicy",
    "Silence",
    "Source",
    "StoredRow",
    "owned_tables",
]
