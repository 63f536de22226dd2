"""The tables of the database."""

from app.store.tables.event_types import ConditionalRule, EventField, EventType, EventTypeVersion
from app.store.tables.events import Event, EventTag, EventValue, EventWords, Receipt
from app.store.tables.log import Change, Log
from app.store.tables.organizations import (
    METADATA,
    ApiKey,
    Organization,
    OrganizationOwned,
    owned_tables,
)
from app.store.tables.rules import (
    RULE_TABLES,
    Correlation,
    DuplicationRule,
    Fingerprint,
    First,
    GuardRule,
    GuardRuleVersion,
    RuleTable,
    ScopedRule,
)

__all__ = [
    "METADATA",
    "RULE_TABLES",
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
    "RuleTable",
    "ScopedRule",
    "owned_tables",
]
