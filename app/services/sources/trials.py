"""Trials: what a sample of a payload would become. Nothing is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from app.domain.events.state import EventDraft
from app.domain.intake.intake import Accepted, CommandContext, Rejected, Resolution
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import format_instant
from app.domain.sources.payloads import parse_payload, with_source
from app.domain.sources.reports import Acknowledgement, UnreadablePayloadError, map_severities
from app.domain.sources.sources import SourceKind, SourceMapping, validate_mapping
from app.services.events.validation import load_definitions
from app.services.sources.sources import require_creating
from app.store.engine.database import Database

_NO_SOURCE = UUID(int=0)


@dataclass(frozen=True)
class SourceTrialResult:
    """The events that the payload would become, as JSON, and the problems of the others."""

    events: tuple[dict[str, Any], ...] = ()
    problems: tuple[Problem, ...] = ()


async def try_source(
    database: Database,
    command: CommandContext,
    kind: SourceKind,
    mapping: SourceMapping | None,
    payload: Any,
    headers: Mapping[str, str],
) -> SourceTrialResult:
    """Parses and validates a payload by the current event types and guard rules.

    It is not compared with stored events. Raises RequestError FORBIDDEN without EVENT_CREATE.
    """
    require_creating(command.actor)
    command = replace(command, severity_map=map_severities(command.severity_map))
    if problems := validate_mapping(kind, mapping, command.limits):
        return SourceTrialResult(problems=tuple(problems))
    # Too many events are refused before they are mapped.
    limits = replace(command.limits, payload_events=command.limits.events_per_trial)
    arguments = (kind, mapping, payload, headers, command.now, limits)
    try:
        parsed = await asyncio.to_thread(parse_payload, *arguments)
    except UnreadablePayloadError as error:
        return SourceTrialResult(problems=(invalid_input(str(error), "body"),))
    reports = with_source(parsed, _NO_SOURCE).reports
    drafts = [report for report in reports if isinstance(report, EventDraft)]
    async with database.read(command.actor.organization_id) as session:
        definitions = await load_definitions(session, command, drafts)
    events: list[dict[str, Any]] = []
    problems = []
    for index, report in enumerate(reports):
        if isinstance(report, list):
            problems += report
            continue
        if isinstance(report, Acknowledgement):
            events.append({"alertKey": report.alert_key, "acknowledged": True})
            continue
        match definitions.validate(report, command):
            case Accepted(event=event):
                events.append(event.to_report_json())
            case Resolution(key=key, at=at):
                resolution = {"alertKey": key.alert_key, "resolved": True}
                events.append(resolution | {"resolvedAt": format_instant(at)})
            case Rejected(problems=rejections):
                problems += [each.prepend_path("events", str(index)) for each in rejections]
    return SourceTrialResult(tuple(events), tuple(problems))
