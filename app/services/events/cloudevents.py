"""CloudEvents, taken in: every door that receives them hands them over here, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.domain.events.cloudevents import in_cloud_events_words
from app.domain.intake.cloudevent_reading import read_cloud_event
from app.domain.intake.intake import Desk, Draft
from app.domain.shared.problems import Problem
from app.services.events.events import log_events
from app.services.events.reports import Report
from app.store.engine.database import Database


async def ingest(database: Database, desk: Desk, events: Sequence[object]) -> list[Report]:
    """Logs CloudEvents in JSON format, as `log_events` does; answers one by one, in order.

    A malformed one is refused alone. Paths name CloudEvents attributes: `("data", "volume")`.
    """
    read = []
    for event in events:
        read.append(read_cloud_event(event, desk.limits))
        await asyncio.sleep(0)  # others are served between two of them
    drafts = [each for each in read if isinstance(each, Draft)]
    reports = iter(await log_events(database, desk, drafts) if drafts else ())
    return [
        _told(next(reports)) if isinstance(each, Draft) else Report(problems=tuple(each))
        for each in read
    ]


def _told(report: Report) -> Report:
    return replace(report, warnings=_renamed(report.warnings), problems=_renamed(report.problems))


def _renamed(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(in_cloud_events_words(problem) for problem in problems)
