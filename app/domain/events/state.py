"""The attributes of events: an event as it is reported, its state, and how each attribute is used.

Validation turns a draft into a state, which the change log stores and filters read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import Enum, Flag, auto
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from app.domain.events.field_values import Keys, normalize_fields, normalize_sets
from app.domain.events.predicates import FieldIndex, index_fields
from app.domain.events.severity import Outcome, Severity
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem
from app.domain.shared.values import (
    canonical_json,
    format_instant,
    parse_id,
    to_camel_case,
    validate_name,
    validate_text,
    validate_type_name,
)

DEFAULT_TYPE = "notice"
RESOLUTION_ATTRIBUTES = ("source", "source_id", "alert_key", "resolved", "occurred_at", "summary")


class EventChangeKind(Enum):
    LOGGED = "LOGGED"
    UPDATED = "UPDATED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    UNACKNOWLEDGED = "UNACKNOWLEDGED"
    RESOLVED = "RESOLVED"
    REOPENED = "REOPENED"
    RANG = "RANG"
    CORRELATED = "CORRELATED"
    UNCORRELATED = "UNCORRELATED"
    DUPLICATED = "DUPLICATED"
    DELETED = "DELETED"


class ListTransition(Enum):
    """How a change moved an event relative to the filter of a list."""

    ENTERED = "ENTERED"
    CHANGED = "CHANGED"
    LEFT = "LEFT"


class EventStatus(Enum):
    """Status of an event that somebody has to handle. RESOLVED wins over ACKNOWLEDGED."""

    OPEN = "OPEN"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"


@dataclass(frozen=True)
class Entity:
    """The entity that an event is about."""

    type: str
    id: str


class SourceIdentity(NamedTuple):
    """Source of an event, and the ID that the producer gave the event within it."""

    source: str
    source_id: str


class AlertKey(NamedTuple):
    """A condition of a source. At most one unresolved event has it."""

    source: str
    alert_key: str


@dataclass(frozen=True)
class EventDraft:
    """A report before validation.

    Omitted attributes are None. `event_type_id` is the text that was sent: if it is invalid, that
    is one of the problems of the report. `fields` is any JSON value. `extensions` and `payload` are
    valid already, in the form of the same attributes of an event. `severity_level` is set if the
    format of the report defines the severity. `severity_text`, if set, is its text instead of
    `severity`. With `is_cloud_event`, `fields` and `payload` are the data as it was sent, not yet
    interpreted by the event type. With `has_field_names`, the data has the names of the fields, as
    that of outgoing events. `type_version` is set if a Tocsin server validated the event by a
    registered type. With `resolved`, the report logs no event, but resolves that of its alert key,
    and uses only RESOLUTION_ATTRIBUTES. With `resolved_at`, the event was resolved before it was
    exported: it is stored as resolved, and is neither a duplicate nor an original. With
    `state_digest`, the report is the state of an alert, which its sender repeats: it changes
    nothing if it equals the last report of the unresolved event, or any earlier one with a time,
    also of an event that was resolved by a later report. `started_at` is the start of an occurrence
    if the sender repeats it in each report of the occurrence and in its resolution: no report of an
    occurrence that the sender has resolved is stored. `sent_at` is the time by the clock of the
    sender if that is ahead; `occurred_at` is then the time of the server.
    """

    event_type_id: str | None = None
    type: str | None = None
    entity: Entity | None = None
    severity: str | None = None
    summary: str | None = None
    content: str | None = None
    source: str | None = None
    source_id: str | None = None
    subject: str | None = None
    outcome: Outcome | None = None
    occurred_at: datetime | None = None
    fields: Any = None
    tags: tuple[str, ...] | None = None
    notification: bool | None = None
    acknowledged: bool | None = None
    alert_key: str | None = None
    resolved: bool | None = None
    resolved_at: datetime | None = None
    extensions: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None
    severity_level: Severity | None = None
    severity_text: str | None = None
    is_cloud_event: bool = False
    has_field_names: bool = False
    type_version: int | None = None
    state_digest: str | None = None
    started_at: datetime | None = None
    sent_at: datetime | None = None

    @property
    def type_id(self) -> UUID | None:
        """The ID of the event type. None if the draft has none, or one that is not valid."""
        return None if self.event_type_id is None else parse_id(self.event_type_id)

    @property
    def dated_digest(self) -> str | None:
        """The digest of the occurrence, or of the state of an alert that has a time of its own.

        A report with an equal one belongs to the same occurrence, or is the same report, sent
        again. None for other reports.
        """
        if self.started_at is not None:
            values = [self.alert_key, format_instant(self.started_at)]
            return hashlib.sha256(canonical_json(values)).hexdigest()
        return None if self.occurred_at is None else self.state_digest

    def digest(self, set_paths: Collection[Keys] = ()) -> str | None:
        """Returns the SHA-256 of the draft, equal for equal reports, to identify replays.

        The source and the source ID are left out: both are the key of a receipt. `set_paths` are
        the keys of the lists in `fields` that are sets. None if fields are nested so deeply, or
        numbers so long, that the draft is never accepted.
        """
        try:
            return _hash_values(self._normalized_attributes(set_paths), exact=True)
        except (RecursionError, ValueError):
            return None

    def first_version_digest(self) -> str | None:
        """Returns the digest as version 1 computed it: by notation and doubles, with the key."""
        try:
            return _hash_values(self._digested_attributes(), exact=False)
        except (RecursionError, ValueError):
            return None

    def _digested_attributes(self) -> dict[str, Any]:
        attributes = vars(self)
        if self.sent_at is not None:
            attributes = attributes | {"occurred_at": self.sent_at}
        if self.resolved:
            attributes = {name: attributes[name] for name in RESOLUTION_ATTRIBUTES}
        return {
            name: value
            for name, value in attributes.items()
            if value is not None and name not in _NOT_DIGESTED
        }

    def _normalized_attributes(self, set_paths: Collection[Keys]) -> dict[str, Any]:
        values = self._digested_attributes()
        if "severity" in values and not values["severity"].strip():
            del values["severity"]
        if "event_type_id" in values:
            values["event_type_id"] = values["event_type_id"].lower()
        if "tags" in values:
            values["tags"] = tuple(sorted(set(values["tags"])))
        if isinstance(custom_values := values.get("fields"), dict):
            values["fields"] = normalize_fields(normalize_sets(custom_values, set_paths), ())
        return {
            name: value
            for name, value in values.items()
            if name not in _KEY_OF_RECEIPT and value != _DIGEST_DEFAULTS.get(name)
        }


@dataclass(frozen=True)
class EventState:
    """The attributes of an event that its organization can see. Instants are in UTC.

    `last_occurred_at` is None until a duplicate is counted. `summary_given` is false if the summary
    is the default. `extensions`: CloudEvents attributes that Tocsin does not
    define. `payload`: `datacontenttype`, `dataschema`, and data that is not a JSON object, as
    `data` or `data_base64`. Both are None if empty. `silenced_by_id`: the silence that suppresses
    the notification; None if none does, and once the event has notified.
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
    alert_key: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    resolution_note: str | None = None
    silenced_by_id: UUID | None = None
    version: int = 1
    severity_text: str | None = None
    summary_given: bool = True
    extensions: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None

    @property
    def entity_type(self) -> str | None:
        return None if self.entity is None else self.entity.type

    @property
    def entity_id(self) -> str | None:
        return None if self.entity is None else self.entity.id

    @property
    def latest_occurrence(self) -> datetime:
        """The time of the event or of its latest counted duplicate, whichever is later."""
        return max(self.occurred_at, self.last_occurred_at or self.occurred_at)

    @property
    def acknowledged(self) -> bool:
        return self.acknowledged_at is not None

    @property
    def status(self) -> EventStatus | None:
        """The status, as the database computes it too. None if no one has to handle it."""
        if not self.notification and self.alert_key is None:
            return None
        if self.resolved_at is not None:
            return EventStatus.RESOLVED
        return EventStatus.ACKNOWLEDGED if self.acknowledged else EventStatus.OPEN

    @cached_property
    def field_index(self) -> FieldIndex:
        """The values of `fields` that filters find."""
        return index_fields(self.fields)

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON form that the change log stores, under API names."""
        attributes = vars(self)
        state = {name: attributes[attribute] for attribute, name in _JSON_NAMES}
        for name, format_value in _JSON_FORMATTERS:
            if (value := state[name]) is not None:
                state[name] = format_value(value)
        return state

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
        return cls(**{name: _parse_attribute(name, value) for name, value in attributes.items()})


class Use(Flag):
    """Use of an attribute.

    REPORTED: producers can set it, and an event gets it from its draft; an omitted one has the
    default of `EventState`, unless the validation of reports replaces it. UPDATABLE: `updateEvent`
    can change it. NULLABLE: it can be null, and null clears it in an update. FINGERPRINT,
    EXPRESSION: the fingerprints and expressions of rules can use it. EXTENSION: it is an extension
    attribute of a CloudEvent, under its name in lower case; false is written only if NULLABLE.
    """

    REPORTED = auto()
    UPDATABLE = auto()
    NULLABLE = auto()
    FINGERPRINT = auto()
    EXPRESSION = auto()
    EXTENSION = auto()


_UNUSED = Use(0)


class Comparison(Enum):
    """How a condition of a filter compares an attribute: with a value, a list, or a time range."""

    EQUALS = auto()
    ONE_OF = auto()
    WITHIN = auto()


@dataclass(frozen=True)
class Attribute:
    """How an attribute of `EventState` is used.

    `type`: type of its values. `condition`: condition of `EventFilter` that compares it, if not of
    the same name. `cloud_event`: CloudEvents attribute that contains it, if not of the same name.
    `validate`: returns the problems of a reported value.
    """

    name: str
    type: type[Any]
    uses: Use = _UNUSED
    comparison: Comparison | None = None
    condition: str | None = None
    cloud_event: str | None = None
    validate: Callable[[Any, Limits, str], list[Problem]] | None = None

    @property
    def api_name(self) -> str:
        return to_camel_case(self.name)

    @property
    def cloud_event_name(self) -> str:
        return self.cloud_event or self.name.replace("_", "")


def _validate_name(value: str | None, limits: Limits, *path: str) -> list[Problem]:
    return validate_name(value, limits.name_characters, *path)


def _validate_summary(value: str | None, limits: Limits, *path: str) -> list[Problem]:
    return validate_text(value, limits.summary_characters, *path)


def _validate_content(value: str | None, limits: Limits, *path: str) -> list[Problem]:
    return validate_text(value, limits.content_characters, *path)


_EQUALS, _ONE_OF, _WITHIN = Comparison.EQUALS, Comparison.ONE_OF, Comparison.WITHIN
_REPORTED, _CHANGED, _NULLABLE = Use.REPORTED, Use.REPORTED | Use.UPDATABLE, Use.NULLABLE
_RULES, _EXPRESSION, _EXTENSION = Use.FINGERPRINT | Use.EXPRESSION, Use.EXPRESSION, Use.EXTENSION
_SOURCE_ID = _REPORTED | _NULLABLE | _EXPRESSION
_ALERT_KEY = _REPORTED | _NULLABLE | _EXTENSION

# The mappings between the representations of an event are derived from this table.
ATTRIBUTES = (
    Attribute("id", UUID, _UNUSED, _ONE_OF, "ids"),
    Attribute("type", str, _REPORTED | _RULES, validate=validate_type_name),
    Attribute("event_type_id", UUID, _UNUSED, _EQUALS),
    Attribute("event_type_version", int, Use.UPDATABLE),
    Attribute("category", str, _EXPRESSION, _EQUALS),
    Attribute("entity", Entity, _CHANGED | _NULLABLE | Use.FINGERPRINT),
    Attribute("entity_type", str, _UNUSED, _EQUALS),
    Attribute("entity_id", str, _UNUSED, _EQUALS),
    Attribute("severity", Severity, _CHANGED | _RULES, _ONE_OF, "severities", "severitytext"),
    Attribute("severity_text", str),
    Attribute("summary", str, _CHANGED | _RULES | _EXTENSION, validate=_validate_summary),
    Attribute("summary_given", bool),
    Attribute("content", str, _CHANGED | _NULLABLE | _RULES, validate=_validate_content),
    Attribute("source", str, _REPORTED | _RULES, _EQUALS, validate=_validate_name),
    Attribute("source_id", str, _SOURCE_ID, _ONE_OF, "source_ids", "id", _validate_name),
    Attribute("subject", str, _REPORTED | _NULLABLE | _RULES, _EQUALS, validate=_validate_name),
    Attribute("outcome", Outcome, _CHANGED | _NULLABLE | _RULES | _EXTENSION, _EQUALS),
    Attribute("occurred_at", datetime, _CHANGED | _EXPRESSION, _WITHIN, cloud_event="time"),
    Attribute("last_occurred_at", datetime),
    Attribute("latest_occurrence", datetime, _UNUSED, _WITHIN, "last_occurred_at"),
    Attribute("recorded_at", datetime, _EXPRESSION, _WITHIN),
    Attribute("updated_at", datetime, _UNUSED, _WITHIN),
    Attribute("fields", dict, _CHANGED | _NULLABLE | Use.FINGERPRINT, cloud_event="data"),
    Attribute("tags", tuple, _CHANGED | _NULLABLE | _RULES, cloud_event="planningtags"),
    Attribute("notification", bool, _CHANGED | _EXPRESSION | _EXTENSION, _EQUALS),
    Attribute("duplicate_of_id", UUID),
    Attribute("occurrences", int),
    Attribute("acknowledged", bool, _EXPRESSION),
    Attribute("acknowledged_at", datetime),
    Attribute("acknowledged_by", str),
    Attribute("acknowledgement_note", str),
    Attribute("alert_key", str, _ALERT_KEY, _EQUALS, validate=_validate_name),
    Attribute("status", EventStatus, _UNUSED, _ONE_OF, "statuses"),
    Attribute("resolved_at", datetime, _EXTENSION | _NULLABLE, cloud_event="tocsinresolvedtime"),
    Attribute("resolved_by", str),
    Attribute("resolution_note", str),
    Attribute("silenced_by_id", UUID, _UNUSED, _EQUALS, "silenced_by"),
    Attribute("version", int),
    Attribute("extensions", dict, _REPORTED | _NULLABLE),
    Attribute("payload", dict, _REPORTED | _NULLABLE, cloud_event="data"),
)


def attributes_with(use: Use) -> tuple[Attribute, ...]:
    """Returns the attributes that have this use."""
    return tuple(attribute for attribute in ATTRIBUTES if use in attribute.uses)


def diff_states(before: EventState | None, after: EventState | None) -> dict[str, list[Any]]:
    """Returns {attribute: [before, after]} under API names.

    `before` is None if the event was logged, `after` if it was deleted. Of the bookkeeping
    attributes, it contains only `updatedAt`: filters read the state before the change.
    """
    old = {} if before is None else vars(before)
    new = {} if after is None else vars(after)
    changes = {}
    for attribute, name in _COMPARED_NAMES:
        values = old.get(attribute), new.get(attribute)
        if values[0] is values[1]:  # most are: comparing the others as JSON takes longer
            continue
        format_value = _FORMATTERS_BY_NAME.get(name)
        pair = [
            value if value is None or format_value is None else format_value(value)
            for value in values
        ]
        old_json, new_json = (canonical_json(value, exact=True) for value in pair)
        if old_json != new_json:
            changes[name] = pair
    return changes


_NAMES_OF_STORED_EVENTS = frozenset(
    {"id", "recordedAt", "updatedAt", "version", "occurrences", "summaryGiven"}
)
_ENUMS = {attribute.type for attribute in ATTRIBUTES if issubclass(attribute.type, Enum)}
_PARSERS_BY_TYPE: dict[type, Callable[[Any], Any]] = {
    **{enum: enum for enum in _ENUMS},
    UUID: UUID,
    Entity: lambda stored: Entity(**stored),
    tuple: tuple,
    datetime: datetime.fromisoformat,
}
_PARSERS = {
    attribute.name: _PARSERS_BY_TYPE[attribute.type]
    for attribute in ATTRIBUTES
    if attribute.type in _PARSERS_BY_TYPE
}


def _parse_attribute(name: str, value: Any) -> Any:
    parser = _PARSERS.get(name)
    return value if value is None or parser is None else parser(value)


_FORMATTERS: dict[type, Callable[[Any], Any]] = {
    datetime: format_instant,
    UUID: str,
    **dict.fromkeys(_ENUMS, lambda member: member.value),
    Entity: lambda entity: {"type": entity.type, "id": entity.id},
    tuple: list,
}
# An event that is resolved meanwhile is still the same report.
_NOT_DIGESTED = frozenset(
    {
        *("severity_level", "severity_text", "is_cloud_event", "has_field_names", "type_version"),
        *("resolved_at", "state_digest", "started_at", "sent_at"),
    }
)
_KEY_OF_RECEIPT = frozenset({"source", "source_id"})
# Stored digests contain instants and entities in these forms.
_DIGEST_FORMATTERS = _FORMATTERS | {
    datetime: lambda instant: instant.astimezone(UTC).isoformat(),
    Entity: lambda entity: [entity.type, entity.id],
}


_DIGEST_DEFAULTS = {
    "type": DEFAULT_TYPE,
    "fields": {},
    "tags": (),
    "notification": False,
    "acknowledged": False,
}


def _hash_values(values: Mapping[str, Any], *, exact: bool) -> str:
    formatted = {
        name: value
        if (formatter := _DIGEST_FORMATTERS.get(type(value))) is None
        else formatter(value)
        for name, value in values.items()
    }
    return hashlib.sha256(canonical_json(formatted, exact=exact)).hexdigest()


_JSON_NAMES = tuple(
    (attribute.name, to_camel_case(attribute.name)) for attribute in fields(EventState)
)
# By API name, of the attributes whose values are not JSON.
_JSON_FORMATTERS = tuple(
    (attribute.api_name, _FORMATTERS[attribute.type])
    for attribute in ATTRIBUTES
    if attribute.type in _FORMATTERS and attribute.name in EventState.__dataclass_fields__
)
_FORMATTERS_BY_NAME = dict(_JSON_FORMATTERS)
_COMPARED_NAMES = tuple(
    names for names in _JSON_NAMES if names[0] not in ("id", "version", "summary_given")
)
