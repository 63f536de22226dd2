"""Notifications of Alertmanager (webhook, version 4) and of Grafana Alerting.

A notification has a group of alerts. Each is a report: its fingerprint is the alert key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.domain.events.state import EventDraft
from app.domain.shared.limits import Limits
from app.domain.shared.messages import quote_value
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import canonical_json
from app.domain.sources.reports import (
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
    validate_count,
)
from app.domain.sources.sources import SourceKind

_TYPES = {SourceKind.ALERTMANAGER: "alertmanager.alert", SourceKind.GRAFANA: "grafana.alert"}
_STATUSES = ("firing", "resolved")
_ATTRIBUTES = frozenset({"status", "startsAt", "endsAt", "fingerprint"})
_SUMMARIES = ("summary", "title", "message", "description")
_CONTENTS = ("description", "message")


def parse_alerts(kind: SourceKind, value: Any, now: datetime, limits: Limits) -> ParsedPayload:
    """Parses a notification. Raises UnreadablePayloadError."""
    payload = require_object(value)
    alerts = payload.get("alerts")
    if not isinstance(alerts, list):
        raise UnreadablePayloadError(
            "The payload has no list `alerts`: expected the webhook format of "
            f"{kind.value.capitalize()}."
        )
    if kind is SourceKind.ALERTMANAGER and payload.get("version", "4") != "4":
        version = quote_value(payload["version"])
        raise UnreadablePayloadError(f"Unsupported version {version} of the format: expected '4'.")
    validate_count(alerts, limits)
    # Shortened, because each alert gets it.
    url = read_text(payload.get("externalURL"))
    common = {"externalURL": shorten(url, limits.summary_characters)} if url else {}
    reports = (
        _parse_alert(kind, alert, ("alerts", str(index)), common, now, limits)
        for index, alert in enumerate(alerts)
    )
    truncated = payload.get("truncatedAlerts")
    count = truncated if isinstance(truncated, int) and truncated > 0 else 0
    return ParsedPayload(tuple(reports), truncated_count=count)


def _parse_alert(
    kind: SourceKind,
    alert: Any,
    path: tuple[str, ...],
    common: dict[str, Any],
    now: datetime,
    limits: Limits,
) -> SourceReport:
    if problems := list(_find_problems(alert, path)):
        return problems
    labels, annotations = alert.get("labels") or {}, alert.get("annotations") or {}
    alert_key = alert.get("fingerprint") or compute_fingerprint(labels)
    started_at = read_time(alert.get("startsAt"))
    if alert["status"] == "resolved":
        occurred_at = read_time(alert.get("endsAt"))
        draft = EventDraft(
            alert_key=alert_key, resolved=True, occurred_at=occurred_at, started_at=started_at
        )
        return limit_time(draft, now)
    summary = _first_text(annotations, _SUMMARIES) or read_text(labels.get("alertname"))
    content = _first_text(annotations, _CONTENTS)
    # These first: of too many fields, the last ones are left out.
    stored = {"labels": labels, "annotations": annotations, **common}
    others = {
        name: value
        for name, value in alert.items()
        if name not in _ATTRIBUTES and name not in stored and value not in (None, "")
    }
    draft = EventDraft(
        type=_TYPES[kind],
        entity=read_entity("instance", labels.get("instance"), limits),
        severity=read_text(labels.get("severity")),
        summary=shorten(summary or "Alert", limits.summary_characters),
        content=content and shorten(content, limits.content_characters),
        occurred_at=started_at,
        fields=fit_fields(stored | others, limits),
        notification=True,
        alert_key=alert_key,
        started_at=started_at,
    )
    return mark_as_state(draft, now)


def _find_problems(alert: Any, path: tuple[str, ...]) -> Iterator[Problem]:
    if not isinstance(alert, dict):
        yield invalid_input("An alert must be a JSON object.", *path)
        return
    if alert.get("status") not in _STATUSES:
        message = f"Invalid status {quote_value(alert.get('status'))}: expected firing or resolved."
        yield invalid_input(message, *path, "status")
    for name in ("labels", "annotations"):
        values = alert.get(name) or {}
        is_object = isinstance(values, dict)
        if not is_object or not all(isinstance(each, str) for each in values.values()):
            yield invalid_input(f"{name} must be a JSON object of strings.", *path, name)
    fingerprint = alert.get("fingerprint") or ""
    if not isinstance(fingerprint, str):
        yield invalid_input("fingerprint must be a string.", *path, "fingerprint")
    elif not fingerprint and not alert.get("labels"):
        message = "An alert needs a fingerprint, or labels from which it is computed."
        yield invalid_input(message, *path, "fingerprint")


def compute_fingerprint(labels: dict[str, str]) -> str:
    """Returns a fingerprint for an alert without one: versions before 0.19 do not send it."""
    return hashlib.sha256(canonical_json(labels)).hexdigest()[:16]


def _first_text(texts: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((text for name in names if (text := read_text(texts.get(name)))), None)
