"""The time from the commit of an event on one server to its subscribers on another server.

Two servers share a PostgreSQL database. One of them logs 1,000 events a second. The subscribers of
the other run in their own processes, and compare the time at which each message arrives with
`recordedAt` of its event. Run it with `make bench-fanout`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx

from benchmarks.fanout import FanoutMeasurement, FanoutRun
from benchmarks.pages import add_option, describe_machine, publish_figures
from benchmarks.processes import (
    KEY,
    TOCSIN,
    build_environment,
    running_postgresql,
    running_server,
)

RATE = 1_000  # events per second
SUBSCRIBERS = 8


def measure(folder: Path, bulks: list[int], seconds: float) -> dict[int, FanoutMeasurement]:
    """Returns the measurement of each number of events per call."""
    with ExitStack() as stack:
        cluster = stack.enter_context(running_postgresql(folder))
        environment = build_environment(cluster("latency"))
        writing, following = (
            stack.enter_context(running_server([*TOCSIN, "0"], environment)) for _ in range(2)
        )
        headers = {"authorization": f"Bearer {KEY}"}
        http = stack.enter_context(httpx.Client(base_url=writing, headers=headers, timeout=120))
        run = FanoutRun(http, [httpx.URL(following)], SUBSCRIBERS, since_recorded=True)
        stack.callback(run.close)
        count = int(RATE * seconds)
        return {bulk: run.measure(count, bulk, bulk / RATE) for bulk in bulks}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--bulk", type=int, nargs="+", default=[10, 20, 50])
    add_option(parser)
    options = parser.parse_args()
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), options.bulk, options.seconds)
    loads.append(os.getloadavg()[0])
    lines = ["| events per call | events/s | p50, ms | p99, ms |", "|---|---|---|---|"]
    for bulk, each in measured.items():
        rate = RATE * options.seconds / each.seconds
        lines.append(
            f"| {bulk} | {rate:,.0f} | {each.late_by(0.5):.1f} | {each.late_by(0.99):.1f} |"
        )
    publish_figures("two servers", [describe_machine(loads), "", *lines], options.into)


if __name__ == "__main__":
    main()
