"""The tables of the database."""

from app.store.tables.event_types import ConditionalRule, EventField, EventType, EventTypeVersion
from app.store.tables.events import Event, EventTag, EventValue, EventWords, Receipt
from app.store.tables.log import Change, Log
from app.store.tables.organizations import METADATA, ApiKey, Organization, OrganizationOwned
from app.store.tables.rules import (
    Correlation,
    DuplicationRule,
    Fingerprint,
    First,
    GuardRule,
    GuardRuleVersion,
)

__all__ = [
    "METADATA",
    "ApiKey",
    "Change",
    "ConditionalRule",
    "Correlation",
    "DuplicationRule",
    "Event",
    "EventField",
    "EventTag",
    "EventType",
    "EventTypeVersion",
    "EventValue",
    "EventWords",
    "Fingerprint",
    "First",
    "GuardRule",
    "GuardRuleVersion",
    "Log",
    "Organization",
    "OrganizationOwned",
    "Receipt",
]
