"""The state of an event, as validation creates it, the change log stores it and filters read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

from app.domain.events.severity import Outcome, Severity
from app.domain.shared.values import canonical_json, format_instant


class EventChangeKind(Enum):
    LOGGED = "LOGGED"
    UPDATED = "UPDATED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    UNACKNOWLEDGED = "UNACKNOWLEDGED"
    CORRELATED = "CORRELATED"
    UNCORRELATED = "UNCORRELATED"
    DUPLICATED = "DUPLICATED"
    DELETED = "DELETED"


@dataclass(frozen=True)
class Entity:
    """The entity that an event is about."""

    type: str
    id: str


@dataclass(frozen=True)
class EventState:
    """The attributes of an event that its organization can see. Instants are in UTC.

    `last_occurred_at` is None until a duplicate is counted. `summary_given` is false if the summary
    is the default. `extensions`: CloudEvents attributes that Tocsin does not
    define. `payload`: `datacontenttype`, `dataschema`, and data that is not a JSON object, as
    `data` or `data_base64`. Both are None if empty.
    """

    id: UUID
    type: str
    severity: Severity
    summary: str
    source: str
    occurred_at: datetime
    recorded_at: datetime
    updated_at: datetime
    event_type_id: UUID | None = None
    event_type_version: int | None = None
    category: str | None = None
    entity: Entity | None = None
    content: str | None = None
    source_id: str | None = None
    subject: str | None = None
    outcome: Outcome | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    duplicate_of_id: UUID | None = None
    occurrences: int = 1
    last_occurred_at: datetime | None = None
    notification: bool = False
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledgement_note: str | None = None
    version: int = 1
    severity_text: str | None = None
    summary_given: bool = True
    extensions: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None

    @property
    def latest_occurrence(self) -> datetime:
        """The time of the event or of its latest counted duplicate, whichever is later."""
        return max(self.occurred_at, self.last_occurred_at or self.occurred_at)

    @property
    def acknowledged(self) -> bool:
        return self.acknowledged_at is not None

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON form that the change log stores, under API names."""
        attributes = vars(self)
        return {name: _to_json_value(attributes[attribute]) for attribute, name in _JSON_NAMES}

    def to_report_json(self) -> dict[str, Any]:
        """Returns the JSON form of a report that is not stored as an event, without nulls."""
        return {
            name: value
            for name, value in self.to_json().items()
            if value is not None and name not in _NAMES_OF_STORED_EVENTS
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> EventState:
        """Reads the result of any version of `to_json`; newer attributes get their defaults."""
        attributes = {attribute: stored[name] for attribute, name in _JSON_NAMES if name in stored}
        return cls(**{name: _from_json_value(name, value) for name, value in attributes.items()})


def diff_states(before: EventState | None, after: EventState | None) -> dict[str, list[Any]]:
    """Returns {attribute: [before, after]} under API names.

    `before` is None if the event was logged, `after` if it was deleted. Of the bookkeeping
    attributes, it contains only `updatedAt`: filters read the state before the change.
    """
    old = {} if before is None else before.to_json()
    new = {} if after is None else after.to_json()
    return {
        name: [old.get(name), new.get(name)]
        for name in old | new
        if name not in ("id", "version", "summaryGiven")
        and canonical_json(old.get(name)) != canonical_json(new.get(name))
    }


_NAMES_OF_STORED_EVENTS = frozenset(
    {"id", "recordedAt", "updatedAt", "version", "occurrences", "summaryGiven"}
)
_PARSERS: dict[str, Callable[[Any], Any]] = {
    "id": UUID,
    "event_type_id": UUID,
    "duplicate_of_id": UUID,
    "severity": Severity,
    "outcome": Outcome,
    "entity": lambda stored: Entity(**stored),
    "tags": tuple,
    "occurred_at": datetime.fromisoformat,
    "last_occurred_at": datetime.fromisoformat,
    "recorded_at": datetime.fromisoformat,
    "updated_at": datetime.fromisoformat,
    "acknowledged_at": datetime.fromisoformat,
}


def _from_json_value(name: str, value: Any) -> Any:
    parser = _PARSERS.get(name)
    return value if value is None or parser is None else parser(value)


def _to_json_value(value: Any) -> Any:
    if type(value) in _JSON_TYPES:
        return value
    if (formatter := _FORMATTERS.get(type(value))) is not None:
        return formatter(value)
    for kind, formatter in _FORMATTERS.items():  # database drivers may return subclasses of UUID
        if isinstance(value, kind):
            return formatter(value)
    return value


_JSON_TYPES = frozenset({str, int, bool, float, dict, NoneType})
_FORMATTERS: dict[type, Callable[[Any], Any]] = {
    datetime: format_instant,
    UUID: str,
    Severity: lambda severity: severity.value,
    Outcome: lambda outcome: outcome.value,
    Entity: lambda entity: {"type": entity.type, "id": entity.id},
    tuple: list,
}


def _to_camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)


_JSON_NAMES = tuple(
    (attribute.name, _to_camel_case(attribute.name)) for attribute in fields(EventState)
)
