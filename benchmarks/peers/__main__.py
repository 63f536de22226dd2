"""`make bench-peers`: builds the data, compares the responses, measures, and writes the page.

A complete run is stored in `results/` by its number of events. `docs/performance.md` and its
picture are written from the stored runs. A partial run (`--only`) prints its results and stores
nothing.
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
from benchmarks.peers.deployments import Deployment, create_deployments
from benchmarks.peers.documents import OPERATIONS
from benchmarks.peers.machine import describe_machine
from benchmarks.peers.servers import KINDS, POSTGRESQL, SQLITE, US, install_node_peers
from benchmarks.peers.turns import measure_tasks, page_depth

DATABASES = (SQLITE, POSTGRESQL)


def main() -> None:
    options = _parse_arguments()
    chosen = {each.strip() for each in options.only.split(",") if each.strip()}
    names = [kind.name for kind in KINDS]
    known = {*OPERATIONS, *DATABASES, *names}
    if chosen - known:
        raise SystemExit(f"Unknown name in --only: expected {', '.join(sorted(known))}.")
    install_node_peers()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(1)
    )  # otherwise the servers would keep running
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as logs:
        run = run_benchmark(
            Path(folder),
            logs,
            options,
            _select_names(OPERATIONS, chosen),
            _select_names(DATABASES, chosen),
            _select_names(tuple(names), chosen),
        )
        logs.flush()
        if errors := (Path(folder) / "log").read_text():
            print(f"\nThe end of the servers' standard error:\n{errors[-2000:]}")
    if chosen:
        return
    results.FOLDER.mkdir(exist_ok=True)
    (results.FOLDER / f"{options.events}.json").write_text(json.dumps(run, indent=1) + "\n")
    page.write_page()
    print("\nWritten: docs/performance.md")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--events", type=int, default=200_000, help="20000, 200000 or 2000000")
    parser.add_argument("--seconds", type=float, default=1.5, help="per turn")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each server")
    parser.add_argument(
        "--only",
        default="",
        help="operations, databases and servers, separated by commas; nothing is stored",
    )
    return parser.parse_args()


def _select_names(known: tuple[str, ...], chosen: set[str]) -> list[str]:
    """Returns the chosen names of one kind, or all of them if none is chosen."""
    return [each for each in known if each in chosen] or list(known)


def run_benchmark(
    folder: Path,
    logs: Any,
    options: argparse.Namespace,
    operations: list[str],
    databases: list[str],
    names: list[str],
) -> dict[str, Any]:
    begun, load = time.monotonic(), os.getloadavg()[0]
    print(
        f"{options.events:,} events, {options.rounds} rounds of {options.seconds:g} s", flush=True
    )
    with create_deployments(folder, databases, options.events, names, logs) as made:
        built = {deployment.database: round(seconds, 1) for deployment, seconds in made}
        print(f"Built the data in {built} seconds.\n", flush=True)
        deployments = [deployment for deployment, _ in made]
        facts = describe_machine(deployments, install_node_peers())
        before = measure_memory(deployments)
        measured = measure_tasks(
            deployments, operations, options.seconds, options.rounds, options.events
        )
        after = measure_memory(deployments)
        in_process = None
        if SQLITE in databases and "log" in operations and US in names:
            in_process = _measure_in_process(deployments, options.seconds * options.rounds)
            print(f"In process, 32 per transaction: {in_process:,.0f} events/s on SQLite")
    print(f"Tocsin's memory, MB: before {before}, after {after}")
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "events": options.events,
        "deep": page_depth(options.events),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "machine": facts,
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "built_seconds": built,
        "memory_mb": {"before": before, "after": after},
        "in_process": in_process,
        "measured": measured,
        "lasted_seconds": round(time.monotonic() - begun),
    }


def measure_memory(deployments: list[Deployment]) -> dict[str, float]:
    return {
        deployment.database: round(server.memory_mb, 1)
        for deployment in deployments
        for server in deployment.servers
        if server.name == US
    }


def _measure_in_process(deployments: list[Deployment], seconds: float) -> float:
    [url] = [deployment.database_url for deployment in deployments if deployment.database == SQLITE]
    command = [sys.executable, "-m", "benchmarks.peers.in_process", url, str(seconds)]
    return float(json.loads(subprocess.check_output(command, text=True)))


if __name__ == "__main__":
    main()
