"""Parses payloads by the kind of their source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.events.state import EventDraft
from app.domain.shared.limits import Limits
from app.domain.sources.alerts import parse_alerts
from app.domain.sources.mapped import map_payload
from app.domain.sources.pagerduty import parse_pagerduty_event
from app.domain.sources.reports import ParsedPayload, UnreadablePayloadError
from app.domain.sources.sources import SourceKind, SourceMapping, format_source_uri


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
    """Sets the source of the events: the URI reference of the address that they were sent to."""
    uri = format_source_uri(source_id)
    reports = (
        replace(report, source=uri) if isinstance(report, EventDraft) else report
        for report in parsed.reports
    )
    return replace(parsed, reports=tuple(reports))
