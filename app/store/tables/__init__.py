"""How things lie in the database."""

from app.store.tables.definitions import (
    ConditionalRule,
    EventField,
    EventType,
    EventTypeVersion,
)
from app.store.tables.events import Event, EventTag, EventValue, EventWords, Receipt
from app.store.tables.log import Change, Log
from app.store.tables.owners import METADATA, ApiKey, Organization, Owned

__all__ = [
    "METADATA",
    "ApiKey",
    "Change",
    "ConditionalRule",
    "Event",
    "EventField",
    "EventTag",
    "EventType",
    "EventTypeVersion",
    "EventValue",
    "EventWords",
    "Log",
    "Organization",
    "Owned",
    "Receipt",
]
