"""`make bench-peers`: builds the data, compares the answers, measures, and writes the page.

A whole run is kept in `results/` by its number of events, and `docs/performance.md` with its
picture is written from what is kept. A run of a part (`--only`) prints, and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers import page, results
from benchmarks.peers.documents import READS, WRITES
from benchmarks.peers.machine import machine
from benchmarks.peers.servers import KINDS, POSTGRESQL, SQLITE, US, node
from benchmarks.peers.stands import Stand, stands
from benchmarks.peers.turns import depth_of, measure

DATABASES = (SQLITE, POSTGRESQL)


def main() -> None:
    asked = _asked()
    chosen = {each.strip() for each in asked.only.split(",") if each.strip()}
    names = [kind.name for kind in KINDS]
    known = {*READS, *WRITES, *DATABASES, *names}
    if chosen - known:
        raise SystemExit(f"--only knows {', '.join(sorted(known))}.")
    node()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else the servers would go on
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as logs:
        told = run(
            Path(folder),
            logs,
            asked,
            _some(READS + WRITES, chosen),
            _some(DATABASES, chosen),
            _some(tuple(names), chosen),
        )
        logs.flush()
        if said := (Path(folder) / "log").read_text():
            print(f"\nThe servers have said on standard error, at last:\n{said[-2000:]}")
    if chosen:
        return
    results.FOLDER.mkdir(exist_ok=True)
    (results.FOLDER / f"{asked.events}.json").write_text(json.dumps(told, indent=1) + "\n")
    page.write()
    print("\nWritten: docs/performance.md")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--events", type=int, default=200_000, help="20000, 200000 or 2000000")
    parser.add_argument("--seconds", type=float, default=1.5, help="of one turn")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each server")
    parser.add_argument(
        "--only", default="", help="operations, databases, servers, with commas; nothing is kept"
    )
    return parser.parse_args()


def _some(known: tuple[str, ...], chosen: set[str]) -> list[str]:
    """Those of the kind that are chosen; all where none of the kind is."""
    return [each for each in known if each in chosen] or list(known)


def run(
    folder: Path,
    logs: Any,
    asked: argparse.Namespace,
    operations: list[str],
    databases: list[str],
    names: list[str],
) -> dict[str, Any]:
    begun, load = time.monotonic(), os.getloadavg()[0]
    print(f"{asked.events:,} events, {asked.rounds} rounds of {asked.seconds:g} s", flush=True)
    with stands(folder, databases, asked.events, names, logs) as made:
        built = {stand.database: round(seconds, 1) for stand, seconds in made}
        print(f"The data is there after {built} seconds.\n", flush=True)
        open_stands = [stand for stand, _ in made]
        facts = machine(open_stands, node())
        before = memory(open_stands)
        measured = measure(open_stands, operations, asked.seconds, asked.rounds, asked.events)
        after = memory(open_stands)
        in_process = None
        if SQLITE in databases and "log" in operations and US in names:
            in_process = _in_process(open_stands, asked.seconds * asked.rounds)
            print(f"In process, 32 a transaction: {in_process:,.0f} events/s on SQLite")
    print(f"Tocsin's memory, MB: before {before}, after {after}")
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "events": asked.events,
        "deep": depth_of(asked.events),
        "seconds": asked.seconds,
        "rounds": asked.rounds,
        "machine": facts,
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "built_seconds": built,
        "memory_mb": {"before": before, "after": after},
        "in_process": in_process,
        "measured": measured,
        "lasted_seconds": round(time.monotonic() - begun),
    }


def memory(stands: list[Stand]) -> dict[str, float]:
    return {
        stand.database: round(server.memory_mb, 1)
        for stand in stands
        for server in stand.servers
        if server.name == US
    }


def _in_process(stands: list[Stand], seconds: float) -> float:
    [url] = [stand.database_url for stand in stands if stand.database == SQLITE]
    command = [sys.executable, "-m", "benchmarks.peers.in_process", url, str(seconds)]
    return float(json.loads(subprocess.check_output(command, text=True)))


if __name__ == "__main__":
    main()
