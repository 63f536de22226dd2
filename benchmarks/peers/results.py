"""Stored measurements: a complete run for each number of events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.peers.servers import US

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class BenchmarkRun:
    results: dict[str, Any]

    @property
    def events(self) -> int:
        return int(self.results["events"])

    def row(self, database: str, operation: str, server: str) -> dict[str, Any] | None:
        key = (database, operation, server)
        for row in self.results["measured"]:
            if (row["database"], row["operation"], row["server"]) == key:
                return dict(row)
        return None

    def rate(self, database: str, operation: str, server: str) -> float | None:
        """Returns the median of the rounds: responses, or events of bulk calls, per second."""
        row = self.row(database, operation, server)
        return None if row is None else float(median(row["rates"]))

    def ratio(self, database: str, operation: str, server: str) -> float | None:
        """Returns the ratio of Tocsin's rate to the other's. None if one was not measured or is
        zero.
        """
        own_rate, other_rate = (self.rate(database, operation, name) for name in (US, server))
        return own_rate / other_rate if own_rate is not None and other_rate else None

    def cpu_us(self, database: str, operation: str, server: str) -> float | None:
        """Returns the CPU time of the server process per response, or per event of a bulk call."""
        row = self.row(database, operation, server)
        return float(median(row["cpu_us"])) if row and row["cpu_us"] else None

    def p99_ms(self, database: str, operation: str, server: str) -> float | None:
        row = self.row(database, operation, server)
        return float(median(filter(None, row["p99_ms"]))) if row and any(row["p99_ms"]) else None

    def wrong_answers(self) -> list[str]:
        return [
            f"{row['server']} on {row['database']}, {row['operation']}: "
            + ", ".join(f"{count:,} {kind}" for kind, count in row["wrong"].items())
            for row in self.results["measured"]
            if row["wrong"]
        ]


def load_runs() -> list[BenchmarkRun]:
    """Returns all stored runs, the smallest first."""
    files = FOLDER.glob("*.json")
    return sorted(
        (BenchmarkRun(json.loads(file.read_text())) for file in files), key=lambda run: run.events
    )
