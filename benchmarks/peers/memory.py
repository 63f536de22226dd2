"""`make bench-memory`: the resident memory of Tocsin while it runs all operations in turn, for
minutes.

Responses are checked as in `make bench-peers`; a wrong one ends the run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.deployments import Deployment, create_deployments
from benchmarks.peers.servers import POSTGRESQL, SQLITE, US
from benchmarks.peers.turns import build_tasks, page_depth, run_turn
from benchmarks.processes import ChildProcess

OPERATIONS = ("list", "nested", "single", "count", "log", "bulk")
SECONDS = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.memory")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=10.0, help="of load, on each database")
    options = parser.parse_args()
    load = ChildProcess("benchmarks.peers.load", None)
    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "log").open("w") as logs,
        create_deployments(Path(folder), [SQLITE, POSTGRESQL], options.events, [US], logs) as built,
    ):
        try:
            for deployment, _ in built:
                print(f"\n{deployment.database}\nminutes      MB    answers    events", flush=True)
                for minutes, answers in run_load(load, deployment, options.events, options.minutes):
                    [server] = deployment.servers
                    [events] = deployment.count_rows(["event"]).values()
                    line = f"{server.memory_mb:8.1f} {answers:10,} {events:9,}"
                    print(f"{minutes:7.1f} {line}", flush=True)
        finally:
            load.kill()


def run_load(
    load: ChildProcess, deployment: Deployment, events: int, minutes: float
) -> Iterator[tuple[float, int]]:
    """Yields the minutes of load so far and the responses, before the first and after each
    round.
    """
    seconds, answers = 0.0, 0
    yield 0.0, 0
    while seconds < 60 * minutes:
        for operation in OPERATIONS:
            for task in build_tasks(deployment, operation, page_depth(events)):
                begun = time.monotonic()
                answers += run_turn(load, deployment, task, SECONDS)
                seconds += time.monotonic() - begun
                if task.measured.wrong:
                    raise SystemExit(f"{operation}: {task.measured.wrong}")
        yield seconds / 60, answers


if __name__ == "__main__":
    main()
