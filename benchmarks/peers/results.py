"""What was measured, as it is kept: a whole run for each number of events."""

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
        """The median of the rounds: answers, or events of a bulk call, in a second."""
        row = self.row(database, operation, server)
        return None if row is None else float(median(row["rates"]))

    def ratio(self, database: str, operation: str, server: str) -> float | None:
        """Tocsin's rate to the other's; None where one of them was not measured or gave nothing."""
        ours, theirs = (self.rate(database, operation, name) for name in (US, server))
        return ours / theirs if ours is not None and theirs else None

    def cpu_us(self, database: str, operation: str, server: str) -> float | None:
        """What an answer, or an event of a bulk call, has cost the server's process."""
        row = self.row(database, operation, server)
        return float(median(row["cpu_us"])) if row and row["cpu_us"] else None

    def wrong_answers(self) -> list[str]:
        return [
            f"{row['server']} on {row['database']}, {row['operation']}: "
            + ", ".join(f"{count:,} {kind}" for kind, count in row["wrong"].items())
            for row in self.results["measured"]
            if row["wrong"]
        ]


def load_runs() -> list[BenchmarkRun]:
    """All that are kept, the smallest first."""
    files = FOLDER.glob("*.json")
    return sorted(
        (BenchmarkRun(json.loads(file.read_text())) for file in files), key=lambda run: run.events
    )
