"""Ingests rows of tables: parses them as drafts, and names the column of each problem."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.archives.reading import ParsedEvent
from app.archives.rows import RowParser
from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem, invalid_input
from app.services.events.events import LogDrafts, log_parsed_events
from app.services.events.reports import EventResult
from app.store.engine.database import Database


@dataclass(frozen=True)
class RowIngester:
    parser: RowParser
    log: LogDrafts

    async def __call__(
        self, database: Database, command: CommandContext, events: Sequence[ParsedEvent]
    ) -> list[EventResult]:
        parsed = [self._parse(event) for event in events]
        results = await log_parsed_events(database, command, parsed, self.log)
        return [
            result
            if isinstance(parsed_event, list)
            else replace(
                result,
                warnings=tuple(map(self._locate, result.warnings)),
                problems=tuple(map(self._locate, result.problems)),
            )
            for parsed_event, result in zip(parsed, results, strict=True)
        ]

    def _parse(self, event: ParsedEvent) -> EventDraft | list[Problem]:
        row: Any = event.value
        if not isinstance(row, dict):
            return [invalid_input("A row must be a JSON object.")]
        # A row without an ID is recognized again by its place and its content.
        content = json.dumps(row, sort_keys=True).encode()
        digest = hashlib.sha256(content).hexdigest()[:32]
        return self.parser.parse(row, f"{event.location.replace(' ', '-')}-{digest}")

    def _locate(self, problem: Problem) -> Problem:
        if not problem.path:
            return problem
        return replace(problem, path=(self.parser.find_column(problem.path),))


def format_row_problem(location: str, problem: Problem) -> str:
    column = f", column {problem.path[0]!r}" if problem.path else ""
    return f"{location}{column}: {problem.message}"
