"""How things lie in the database."""

from app.store.tables.definitions import ConditionalRule, EventField, EventType, EventTypeVersion
from app.store.tables.events import Event, EventTag, EventValue, EventWords, Receipt
from app.store.tables.log import Change, Log
from app.store.tables.owners import METADATA, ApiKey, Organization, Owned
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
    "Owned",
    "Receipt",
]
