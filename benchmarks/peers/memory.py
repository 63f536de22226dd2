"""`make bench-memory`: Tocsin's resident set while it is asked everything in turn, for minutes.

Answers are compared as in `make bench-peers`; what is not right ends the run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.servers import POSTGRESQL, SQLITE, US
from benchmarks.peers.stands import Stand, stands
from benchmarks.peers.turns import depth_of, tasks, turn
from benchmarks.processes import Child

OPERATIONS = ("list", "nested", "single", "count", "log", "bulk")
SECONDS = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.memory")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=10.0, help="of load, on each database")
    asked = parser.parse_args()
    load = Child("benchmarks.peers.load", None)
    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "log").open("w") as logs,
        stands(Path(folder), [SQLITE, POSTGRESQL], asked.events, [US], logs) as made,
    ):
        try:
            for stand, _ in made:
                print(f"\n{stand.database}\nminutes      MB    answers    events", flush=True)
                for minutes, answers in loaded(load, stand, asked.events, asked.minutes):
                    [server] = stand.servers
                    told = f"{server.memory_mb:8.1f} {answers:10,} {stand.events():9,}"
                    print(f"{minutes:7.1f} {told}", flush=True)
        finally:
            load.kill()


def loaded(load: Child, stand: Stand, events: int, minutes: float) -> Iterator[tuple[float, int]]:
    """The minutes of load so far and the answers: before the first and after each round."""
    seconds, answers = 0.0, 0
    yield 0.0, 0
    while seconds < 60 * minutes:
        for operation in OPERATIONS:
            for task in tasks(stand, operation, depth_of(events)):
                begun = time.monotonic()
                answers += turn(load, stand, task, SECONDS)
                seconds += time.monotonic() - begun
                if task.measured.wrong:
                    raise SystemExit(f"{operation}: {task.measured.wrong}")
        yield seconds / 60, answers


if __name__ == "__main__":
    main()
