"""Parses payloads by the kind of their source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.events.state import EventDraft
from app.domain.shared.limits import Limits
from app.domain.shared.messages import quote_value
from app.domain.shared.problems import invalid_input
from app.domain.shared.values import canonical_json
from app.domain.sources.alerts import parse_alerts
from app.domain.sources.mapped import map_payload
from app.domain.sources.pagerduty import parse_pagerduty_event
from app.domain.sources.reports import ParsedPayload, SourceReport, UnreadablePayloadError
from app.domain.sources.sources import (
    SourceKind,
    SourceMapping,
    format_alert_key,
    format_source_uri,
    format_truncation_key,
)


@dataclass(frozen=True)
class RepeatablePayload:
    """A payload whose events have source IDs. `earlier_ids`: by index, those that may be stored."""

    parsed: ParsedPayload
    earlier_ids: Mapping[int, str] = field(default_factory=dict)


def parse_payload(
    kind: SourceKind,
    mapping: SourceMapping | None,
    payload: Any,
    headers: Mapping[str, str],
    now: datetime,
    limits: Limits,
) -> ParsedPayload:
    """Parses a payload to reports, without the source of their events.

    Raises UnreadablePayloadError if the payload does not have the format.
    """
    try:
        match kind:
            case SourceKind.ALERTMANAGER | SourceKind.GRAFANA:
                return parse_alerts(kind, payload, now, limits)
            case SourceKind.PAGERDUTY:
                return parse_pagerduty_event(payload, now, limits)
            case SourceKind.JSON:
                if mapping is None:
                    raise UnreadablePayloadError("The source has no mapping.")
                return map_payload(mapping, payload, headers, now, limits)
    except (RecursionError, ValueError) as error:
        raise UnreadablePayloadError(
            "The payload is nested too deeply, or has a number with too many digits."
        ) from error


def with_source(parsed: ParsedPayload, source_id: UUID) -> ParsedPayload:
    """Sets the source of the events: the URI reference of the address that they were sent to.

    Reports with the alert key of Tocsin's own notifications about the source become problems.
    """
    uri = format_source_uri(source_id)
    reserved_keys = (format_alert_key(source_id), format_truncation_key(source_id))
    reports: list[SourceReport] = []
    for report in parsed.reports:
        if not isinstance(report, list) and report.alert_key in reserved_keys:
            message = (
                f"The alert key {quote_value(report.alert_key)} is reserved for Tocsin's own "
                "notifications about this source. Send another one."
            )
            reports.append([invalid_input(message, "alertKey")])
        elif isinstance(report, EventDraft):
            reports.append(replace(report, source=uri))
        else:
            reports.append(report)
    return replace(parsed, reports=tuple(reports))


def identify_repetitions(
    parsed: ParsedPayload, body: bytes, now: datetime, limits: Limits
) -> RepeatablePayload:
    """Gives a source ID to each event without source ID and alert key, so that it is logged once.

    It is computed of the body, of what the mapping has made of it, and of the position in the
    payload. An event without a time may be a new one although its payload is equal: its source ID
    is that of a period of time. The one of the previous period is its earlier ID.
    """
    seconds = limits.repeated_payload_seconds
    period = int(now.timestamp() // seconds) if seconds else 0
    content = hashlib.sha256(body).hexdigest()
    reports: list[SourceReport] = []
    earlier_ids: dict[int, str] = {}
    for index, report in enumerate(parsed.reports):
        if (
            isinstance(report, EventDraft)
            and report.source_id is None
            and report.alert_key is None
            and (seconds or report.occurred_at is not None)
        ):
            digest = report.digest()
            if report.occurred_at is None:
                earlier_ids[index] = _compute_id(content, digest, index, period - 1)
                source_id = _compute_id(content, digest, index, period)
            else:
                source_id = _compute_id(content, digest, index)
            report = replace(report, source_id=source_id)
        reports.append(report)
    return RepeatablePayload(replace(parsed, reports=tuple(reports)), earlier_ids)


def _compute_id(*parts: str | int | None) -> str:
    return hashlib.sha256(canonical_json(parts)).hexdigest()[:32]
