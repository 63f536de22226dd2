"""An event as a value: what a verdict makes, the log keeps and a filter judges."""

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
from app.domain.shared.values import canonical_json, write_instant


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
    """What an event is about."""

    type: str
    id: str


@dataclass(frozen=True)
class EventState:
    """All of an event that its organization can see. Instants are in UTC.

    `last_occurred_at` is None until a duplicate was counted. `summary_given` is false where the
    summary is only the name of the type. `extensions` are the CloudEvents attributes that Tocsin
    does not know, and `payload` what CloudEvents says of the data and `fields` cannot, under the
    same names: `datacontenttype`, `dataschema`, and what is no JSON object as `data` or
    `data_base64`. Both are None where there is nothing to say.
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
    summary_given: bool = True
    extensions: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None

    @property
    def latest(self) -> datetime:
        """When it occurred, or its latest duplicate."""
        return max(self.occurred_at, self.last_occurred_at or self.occurred_at)

    @property
    def acknowledged(self) -> bool:
        return self.acknowledged_at is not None

    def to_json(self) -> dict[str, Any]:
        """As the log keeps it, under the names of the API."""
        said = vars(self)
        return {name: _plain(said[attribute]) for attribute, name in _NAMES}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> EventState:
        """Reads what any version of `to_json` wrote; what came later gets its default."""
        known = {attribute: kept[name] for attribute, name in _NAMES if name in kept}
        return cls(**{name: _read(name, value) for name, value in known.items()})


def changes(before: EventState | None, after: EventState | None) -> dict[str, list[Any]]:
    """{attribute: [before, after]} under the names of the API, without the clockwork.

    None before: it was logged; None after: it was deleted.
    """
    old = {} if before is None else before.to_json()
    new = {} if after is None else after.to_json()
    return {
        name: [old.get(name), new.get(name)]
        for name in old | new
        if name not in ("id", "updatedAt", "version", "summaryGiven")
        and canonical_json(old.get(name)) != canonical_json(new.get(name))
    }


_READERS: dict[str, Callable[[Any], Any]] = {
    "id": UUID,
    "event_type_id": UUID,
    "duplicate_of_id": UUID,
    "severity": Severity,
    "outcome": Outcome,
    "entity": lambda kept: Entity(**kept),
    "tags": tuple,
    "occurred_at": datetime.fromisoformat,
    "last_occurred_at": datetime.fromisoformat,
    "recorded_at": datetime.fromisoformat,
    "updated_at": datetime.fromisoformat,
    "acknowledged_at": datetime.fromisoformat,
}


def _read(name: str, kept: Any) -> Any:
    reader = _READERS.get(name)
    return kept if kept is None or reader is None else reader(kept)


def _plain(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if (own := _WRITERS.get(type(value))) is not None:
        return own(value)
    for kind, writer in _WRITERS.items():  # a driver has a subclass of its own for ids
        if isinstance(value, kind):
            return writer(value)
    return value


_PLAIN = frozenset({str, int, bool, float, dict, NoneType})
_WRITERS: dict[type, Callable[[Any], Any]] = {
    datetime: write_instant,
    UUID: str,
    Severity: lambda severity: severity.value,
    Outcome: lambda outcome: outcome.value,
    Entity: lambda entity: {"type": entity.type, "id": entity.id},
    tuple: list,
}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found.group(1).upper(), name)


_NAMES = tuple((each.name, _camel(each.name)) for each in fields(EventState))
