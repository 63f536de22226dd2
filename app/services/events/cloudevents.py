"""Ingests CloudEvents. Every API that receives them calls this."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.domain.events.cloudevents import translate_problem_path
from app.domain.events.state import EventDraft
from app.domain.intake.cloudevent_parsing import parse_cloud_event
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem
from app.services.events.events import LogDrafts, log_events, log_parsed_events
from app.services.events.reports import EventResult
from app.store.engine.database import Database


async def ingest_cloud_events(
    database: Database,
    command: CommandContext,
    events: Sequence[object],
    log: LogDrafts = log_events,
) -> list[EventResult]:
    """Logs CloudEvents in JSON format as `log_events` does. Results are in the order of the events.

    A malformed event does not stop the others. Paths name CloudEvents attributes: `("data",
    "volume")`.
    """
    parsed_events = []
    for event in events:
        parsed_events.append(parse_cloud_event(event, command.limits))
        await asyncio.sleep(0)  # let other requests run between two events
    results = await log_parsed_events(database, command, parsed_events, log)
    return [
        _with_attribute_paths(result) if isinstance(each, EventDraft) else result
        for each, result in zip(parsed_events, results, strict=True)
    ]


def _with_attribute_paths(result: EventResult) -> EventResult:
    return replace(
        result,
        warnings=_translate_paths(result.warnings),
        problems=_translate_paths(result.problems),
    )


def _translate_paths(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(translate_problem_path(problem) for problem in problems)
