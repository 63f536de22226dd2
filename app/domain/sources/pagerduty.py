"""Events of the PagerDuty Events API, version 2, which many systems can send.

`dedup_key` is the alert key of an event.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.domain.events.state import EventDraft
from app.domain.shared.limits import Limits
from app.domain.shared.messages import quote_value
from app.domain.shared.values import canonical_json, format_instant
from app.domain.sources.reports import (
    Acknowledgement,
    ParsedPayload,
    SourceReport,
    UnreadablePayloadError,
    fit_fields,
    limit_time,
    mark_as_state,
    read_entity,
    read_text,
    read_time,
    require_object,
    shorten,
)

ROUTING_KEY = "routing_key"
EVENT_TYPE = "pagerduty.alert"
_ACTIONS = ("trigger", "acknowledge", "resolve")
_PAYLOAD_FIELDS = ("source", "component", "group", "class", "custom_details")
_EVENT_FIELDS = ("client", "client_url", "links", "images")


def parse_pagerduty_event(value: Any, now: datetime, limits: Limits) -> ParsedPayload:
    """Parses an event. Raises UnreadablePayloadError."""
    event = require_object(value)
    action = event.get("event_action")
    if action not in _ACTIONS:
        raise UnreadablePayloadError(
            f"Invalid event_action {quote_value(action)}: expected trigger, acknowledge or resolve."
        )
    payload = event.get("payload") or {}
    if not isinstance(payload, dict):
        raise UnreadablePayloadError("payload must be a JSON object.")
    key = event.get("dedup_key")
    if key is not None and not isinstance(key, str):
        raise UnreadablePayloadError("dedup_key must be a string.")
    if not key and action != "trigger":
        raise UnreadablePayloadError(f"dedup_key is required: it identifies the event to {action}.")
    source_id = earlier_key = None
    if not key:
        key, earlier_key = _compute_deduplication_keys(event, payload, now, limits)
        source_id = key  # so that it is logged once, even if it is resolved meanwhile
    report: SourceReport
    if action == "acknowledge":
        report = Acknowledgement(key)
    elif action == "resolve":
        occurred_at = read_time(payload.get("timestamp"))
        draft = EventDraft(alert_key=key, resolved=True, occurred_at=occurred_at)
        report = limit_time(draft, now)
    else:
        report = replace(_parse_trigger(event, payload, key, now, limits), source_id=source_id)
    return ParsedPayload((report,), key, earlier_key)


def _parse_trigger(
    event: dict[str, Any], payload: dict[str, Any], key: str, now: datetime, limits: Limits
) -> EventDraft:
    summary = read_text(payload.get("summary"))
    if summary is None:
        raise UnreadablePayloadError("payload.summary is required: a string that is not blank.")
    stored = [(payload, name) for name in _PAYLOAD_FIELDS] + [
        (event, name) for name in _EVENT_FIELDS
    ]
    draft = EventDraft(
        type=EVENT_TYPE,
        entity=read_entity("system", payload.get("source"), limits),
        severity=read_text(payload.get("severity")),
        summary=shorten(summary, limits.summary_characters),
        occurred_at=read_time(payload.get("timestamp")),
        fields=fit_fields(
            {name: part[name] for part, name in stored if part.get(name) not in (None, "")}, limits
        ),
        notification=True,
        alert_key=key,
    )
    return mark_as_state(draft, now)


def _compute_deduplication_keys(
    event: dict[str, Any], payload: dict[str, Any], now: datetime, limits: Limits
) -> tuple[str, str | None]:
    """Returns the key of an event without one, and that of an equal one which it may repeat.

    An event without a timestamp may be a new one although its content is equal: its key is that of
    a period of time, and the second one that of the previous period.
    """
    content = {name: value for name, value in event.items() if name != ROUTING_KEY}
    if read_time(payload.get("timestamp")) is not None:
        return _hash_content(content), None
    if not limits.repeated_payload_seconds:
        return _hash_content([content, format_instant(now)]), None
    period = int(now.timestamp() // limits.repeated_payload_seconds)
    return _hash_content([content, period]), _hash_content([content, period - 1])


def _hash_content(content: Any) -> str:
    return hashlib.sha256(canonical_json(content)).hexdigest()[:32]
