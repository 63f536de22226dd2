"""What the formats of all sources share: the parsed payload, severities, texts, repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from app.domain.events.severity import Severity, SeverityMap
from app.domain.events.state import Entity, EventDraft
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message
from app.domain.shared.problems import Problem
from app.domain.shared.values import (
    is_blank,
    parse_instant,
    replace_unstorable,
    validate_name,
)

_SEVERITIES = {
    **dict.fromkeys(("critical", "crit", "fatal", "page", "high", "urgent"), Severity.ERROR),
    **dict.fromkeys(("emergency", "emerg", "disaster", "severe", "major"), Severity.ERROR),
    **dict.fromkeys(("medium", "moderate", "minor"), Severity.WARN),
    **dict.fromkeys(("informational", "notice", "low", "none"), Severity.INFO),
}
_ADDRESS_ENDINGS = ("URL", "_url")
_LINK_NAMES = frozenset({"links", "images"})
# A shorter text than this is left out instead of shortened.
_MIN_CHARACTERS = 100
# Alerts have about ten. The labels of an alert are one field.
_MAX_FIELDS = 100
_OMITTED = "omittedFields"


@dataclass(frozen=True)
class Acknowledgement:
    """A report that somebody handles what the unresolved event of an alert key reports."""

    alert_key: str


SourceReport = EventDraft | Acknowledgement | list[Problem]


@dataclass(frozen=True)
class ParsedPayload:
    """The reports of a payload; of one that cannot be read, its problems.

    `deduplication_key`: that of a PagerDuty event. `earlier_key`: the computed one of the previous
    period, which the event has if an equal one has it. `truncated_count`: how many alerts the
    sender left out.
    """

    reports: tuple[SourceReport, ...]
    deduplication_key: str | None = None
    earlier_key: str | None = None
    truncated_count: int = 0


class UnreadablePayloadError(Exception):
    """The payload does not have the format of its source."""


def map_severities(severity_map: SeverityMap) -> SeverityMap:
    """Adds the severity words of alerting systems. Those of TOCSIN_SEVERITY_MAP take precedence."""
    return {**_SEVERITIES, **severity_map}


def require_object(payload: Any) -> dict[str, Any]:
    """Returns the payload if it is a JSON object. Raises UnreadablePayloadError."""
    if not isinstance(payload, dict):
        raise UnreadablePayloadError("The payload must be a JSON object.")
    return payload


def read_text(value: Any) -> str | None:
    """Returns a string that is not blank, otherwise None."""
    return value if isinstance(value, str) and not is_blank(value) else None


def read_entity(entity_type: str, value: Any, limits: Limits) -> Entity | None:
    """Returns the entity with this ID. None if the value is not a valid ID."""
    entity_id = read_text(value)
    is_valid = entity_id is not None and not validate_name(entity_id, limits.name_characters)
    return Entity(entity_type, entity_id) if entity_id is not None and is_valid else None


def shorten(text: str, max_characters: int) -> str:
    """Returns a string that can be stored: an alert must not be lost because of its texts."""
    text = replace_unstorable(text)
    return text if len(text) <= max_characters else f"{text[: max_characters - 1]}…"


def fit_fields(custom_values: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Returns custom fields that can be stored: an alert must not be lost because of its details.

    Of more than 100 fields, the others are left out, and `omittedFields` is their number. If the
    fields are too large, the largest ones become texts of their beginning.
    """
    fields = {
        replace_unstorable(name): _replace_unstorable_texts(value)
        for name, value in islice(custom_values.items(), _MAX_FIELDS)
    }
    if (omitted := len(custom_values) - _MAX_FIELDS) > 0:
        fields[_OMITTED] = omitted
    sizes = {name: _count_bytes(name, value) for name, value in fields.items()}
    remaining = limits.fields_bytes - 1
    # The smallest first: what they leave of their equal share is for the larger ones.
    for index, name in enumerate(sorted(sizes, key=sizes.__getitem__)):
        share = remaining // (len(sizes) - index)
        if sizes[name] > share:
            sizes[name] = _shorten_field(fields, name, share)
        remaining -= sizes[name]
    return fields


def _count_bytes(name: str, value: Any) -> int:
    """Returns the size of a field in the JSON of all fields, with the comma after it."""
    return len(encode_json({name: value}).encode()) - 1


def _shorten_field(fields: dict[str, Any], name: str, max_bytes: int) -> int:
    """Replaces a field by the beginning of its text, or deletes it. Returns its size."""
    value = fields[name]
    text = value if isinstance(value, str) else encode_json(value)
    length = min(len(text) - 1, max_bytes - _count_bytes(name, "…") + 1)
    # At most four times: a character takes at most six bytes.
    while length >= _MIN_CHARACTERS:
        fields[name] = shorten(text, length)
        if (size := _count_bytes(name, fields[name])) <= max_bytes:
            return size
        length //= 2
    del fields[name]
    return 0


def _replace_unstorable_texts(value: Any) -> Any:
    if isinstance(value, str):
        return replace_unstorable(value)
    if isinstance(value, dict):
        return {
            replace_unstorable(name): _replace_unstorable_texts(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_replace_unstorable_texts(each) for each in value]
    return value


def validate_count(items: Sequence[Any], limits: Limits) -> None:
    """Raises UnreadablePayloadError if a payload has too many events."""
    if len(items) > limits.payload_events:
        raise UnreadablePayloadError(
            limit_message(limits.payload_events, "event", "this payload", len(items))
        )


def read_time(value: Any) -> datetime | None:
    """Returns the instant in a string.

    None if there is none. Alertmanager sends the year 1 for an alert that has not ended.
    """
    instant = parse_instant(value) if isinstance(value, str) else None
    return None if instant is None or instant.year == 1 else instant


def limit_time(draft: EventDraft, now: datetime) -> EventDraft:
    """Returns the draft with a time that is at most now: the clock of the sender may be ahead."""
    is_ahead = draft.occurred_at is not None and draft.occurred_at > now
    return replace(draft, occurred_at=now, sent_at=draft.occurred_at) if is_ahead else draft


def mark_as_state(draft: EventDraft, now: datetime) -> EventDraft:
    """Marks the draft as the state of an alert: a repetition of it changes nothing.

    The state has the time by the clock of the sender, and the result one that is at most now. The
    addresses in the fields are not part of the state. They name the server that sent them.
    """
    custom_values = draft.fields
    if isinstance(custom_values, dict):
        custom_values = {
            name: value
            for name, value in custom_values.items()
            if not name.endswith(_ADDRESS_ENDINGS) and name not in _LINK_NAMES
        }
    digest = replace(draft, fields=custom_values).digest()
    return limit_time(replace(draft, state_digest=digest), now)
