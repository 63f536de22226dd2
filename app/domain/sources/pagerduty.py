"""Events of the PagerDuty Events API, version 2, which many systems can send.

`dedup_key` is the alert key of an event.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from app.domain.events.state import EventDraft
from app.domain.shared.limits import Limits
from app.domain.shared.messages import quote_value
from app.domain.shared.values import canonical_json
from app.domain.sources.reports import (
    Acknowledgement,
    ParsedPayload,
    SourceReport,
    UnreadablePayloadError,
    fit_fields,
    limit_time,
    mark_as_state,
    read_entity,
    read_severity,
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
    if not key:
        key = _compute_deduplication_key(event)
    report: SourceReport
    if action == "acknowledge":
        report = Acknowledgement(key)
    elif action == "resolve":
        occurred_at = read_time(payload.get("timestamp"))
        draft = EventDraft(alert_key=key, resolved=True, occurred_at=occurred_at)
        report = limit_time(draft, now)
    else:
        report = _parse_trigger(event, payload, key, now, limits)
    return ParsedPayload((report,), key)


def _parse_trigger(
    event: dict[str, Any], payload: dict[str, Any], key: str, now: datetime, limits: Limits
) -> SourceReport:
    summary = read_text(payload.get("summary"))
    if summary is None:
        raise UnreadablePayloadError("payload.summary is required: a string that is not blank.")
    stored = [(payload, name) for name in _PAYLOAD_FIELDS] + [
        (event, name) for name in _EVENT_FIELDS
    ]
    draft = EventDraft(
        type=EVENT_TYPE,
        entity=read_entity("system", payload.get("source"), limits),
        **read_severity(read_text(payload.get("severity"))),
        summary=shorten(summary, limits.summary_characters),
        occurred_at=read_time(payload.get("timestamp")),
        fields=fit_fields(
            {name: part[name] for part, name in stored if part.get(name) not in (None, "")}, limits
        ),
        notification=True,
        alert_key=key,
    )
    return mark_as_state(draft, now)


def _compute_deduplication_key(event: dict[str, Any]) -> str:
    """Returns the key of an event without one: the same for a repetition of the event."""
    content = {name: value for name, value in event.items() if name != ROUTING_KEY}
    return hashlib.sha256(canonical_json(content)).hexdigest()[:32]
