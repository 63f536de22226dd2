"""The throughput of 1 to 6 servers on one PostgreSQL database, and which processes use the CPU.

Clients read pages of events, log events one per call, and receive events over WebSockets. Every
response and delivery is checked. Clients, servers and PostgreSQL share one machine. Run it with
`make bench-scale-out`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.fanout import FanoutRun
from benchmarks.faults import record_load
from benchmarks.faults_cluster import FaultCluster
from benchmarks.pages import add_option, describe_machine, publish_figures
from benchmarks.processes import (
    KEY,
    PATIENCE_SECONDS,
    ChildProcess,
    execute_command,
    running_postgresql,
)
from benchmarks.writers import LIST, ONE, build_report

READ_TYPE, WRITTEN_TYPE = "read", "written"
READ = """
query ($type: String!) {
  events(first: 20, filter: { types: [$type] }) {
    nodes { id type severity summary source occurredAt tags fields }
    pageInfo { hasNextPage endCursor }
  }
}
"""
COUNT = "query ($type: String!) { events(filter: { types: [$type] }) { totalCount } }"
READ_EVENTS = 2_000
WARM_UP_SECONDS = 1.0
# Six servers stay below the 100 connections that PostgreSQL allows by default.
CONNECTIONS_OF_SERVER = "12"
# The smallest number of servers with this share of the highest rate saturates the machine.
SATURATED_SHARE = 0.95
GROUPS = SERVERS, POSTGRESQL, CLIENTS, IDLE = "servers", "PostgreSQL", "clients", "idle"
READS, WRITES, DELIVERIES = "reads", "writes", "deliveries"


@dataclass(frozen=True)
class ScaleMeasurement:
    """`cpu_shares`: of the CPU time of all cores, by group of processes."""

    rate: float
    p99_ms: float
    cpu_shares: dict[str, float]


class CpuMeter:
    """The CPU time of servers, PostgreSQL and clients. The last are this process and its other
    children.
    """

    def __init__(self, postmaster: psutil.Process) -> None:
        self._postmaster = postmaster
        self.servers: list[psutil.Process] = []

    def measure(self, action: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
        """Returns the result of the action, and the shares of the CPU time of all cores."""
        begun, before = time.monotonic(), self._read_seconds()
        result = action()
        seconds, after = time.monotonic() - begun, self._read_seconds()
        available = seconds * (os.cpu_count() or 1)
        return result, {group: (after[group] - before[group]) / available for group in GROUPS}

    def _read_seconds(self) -> dict[str, float]:
        postgresql = [self._postmaster, *self._postmaster.children(recursive=True)]
        this = psutil.Process()
        others = [*self.servers, *postgresql]
        clients = [each for each in (this, *this.children(recursive=True)) if each not in others]
        cores = psutil.cpu_times()
        ended = self._postmaster.cpu_times()  # also of the processes that have ended
        return {
            SERVERS: sum(map(_read_cpu_seconds, self.servers)),
            POSTGRESQL: sum(map(_read_cpu_seconds, postgresql))
            + ended.children_user
            + ended.children_system,
            CLIENTS: sum(map(_read_cpu_seconds, clients)),
            IDLE: cores.idle + cores.iowait,
        }


def _read_cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    seconds: float = times.user + times.system
    return seconds


class ScaleOutRun:
    """The servers that have been started, and the measurements of each load."""

    def __init__(
        self, cluster: FaultCluster, postmaster: psutil.Process, options: argparse.Namespace
    ) -> None:
        self._cluster = cluster
        self._options = options
        self._meter = CpuMeter(postmaster)
        self._urls: list[httpx.URL] = []

    def add_server(self) -> None:
        server = self._cluster.start_server(
            environment={"TOCSIN_DATABASE__CONNECTIONS": CONNECTIONS_OF_SERVER}
        )
        self._urls.append(httpx.URL(server.url))
        self._meter.servers.append(psutil.Process(server.process.pid))

    def log_events_to_read(self) -> None:
        with self._open_client() as http:
            for _ in range(0, READ_EVENTS, 500):
                events = [_build_event(READ_TYPE) for _ in range(500)]
                _execute(http, LIST, input=events)

    def measure_reads(self) -> ScaleMeasurement:
        # So that the plans of statements do not depend on when PostgreSQL analyzes the tables: the
        # events that were written before have a different type.
        execute_command(self._cluster.database_url, "ANALYZE")
        body = json.dumps({"query": READ, "variables": {"type": READ_TYPE}})
        responses = [
            httpx.post(f"{url}/graphql", content=body, headers=_HEADERS, timeout=60)
            for url in self._urls
        ]
        [page] = {response.text for response in responses}  # every server returns the same page
        assert "errors" not in responses[0].json(), page
        return self._measure_requests(body, [page])[0]

    def measure_writes(self) -> ScaleMeasurement:
        variables = {"input": _build_event(WRITTEN_TYPE)}
        body = json.dumps({"query": ONE, "variables": variables})
        with self._open_client() as http:
            length = len(http.post("/graphql", content=body).content)
            before = _execute(http, COUNT, type=WRITTEN_TYPE)["totalCount"]
            measurement, acknowledged = self._measure_requests(body, None, length)
            stored = _execute(http, COUNT, type=WRITTEN_TYPE)["totalCount"] - before
        if stored != acknowledged:
            raise SystemExit(f"{stored} events are stored, of {acknowledged} acknowledged ones.")
        return measurement

    def measure_deliveries(self) -> ScaleMeasurement:
        options = self._options
        with self._open_client() as http:
            run = FanoutRun(http, self._urls, options.sockets)
            with closing(run):
                result, shares = self._meter.measure(
                    lambda: run.measure(options.events, options.bulk, 0)
                )
        return ScaleMeasurement(result.rate, result.late_by(0.99), shares)

    def _open_client(self) -> httpx.Client:
        return httpx.Client(base_url=self._urls[0], headers=_HEADERS, timeout=120)

    def _measure_requests(
        self, body: str, expected: Sequence[str] | None, length: int = 0
    ) -> tuple[ScaleMeasurement, int]:
        """Sends the request on connections to all servers. Also returns the responses."""
        seconds = self._options.seconds
        instructions = {
            "key": KEY,
            "bodies": [body],
            "expected": expected,
            "lengths": [length],
            "connections": self._options.connections // len(self._urls),
            "lead": WARM_UP_SECONDS,
            "seconds": seconds,
        }
        with ExitStack() as stack:
            children = []
            for url in self._urls:
                child = ChildProcess("benchmarks.peers.load", None)
                stack.callback(child.kill)
                children.append((child, instructions | {"host": url.host, "port": url.port}))

            def run() -> list[dict[str, Any]]:
                for child, instructions in children:
                    child.send(instructions)
                return [child.receive(seconds + PATIENCE_SECONDS) for child, _ in children]

            results, shares = self._meter.measure(run)
        if wrong := [each["wrong"] for each in results if each["wrong"]]:
            raise SystemExit(f"Responses are wrong: {wrong}")
        rate = sum(each["rate"] for each in results)
        p99_ms = max(each["p99_ms"] for each in results)
        received = sum(each["right_ever"] for each in results)
        return ScaleMeasurement(rate, p99_ms, shares), received


_HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


def _build_event(type: str) -> dict[str, Any]:
    return {**build_report(), "type": type, "sourceId": None}


def _execute(http: httpx.Client, query: str, **variables: Any) -> Any:
    response = http.post("/graphql", json={"query": query, "variables": variables}).json()
    if "errors" in response:
        raise SystemExit(f"Not executed: {response}")
    [value] = response["data"].values()
    return value


def format_load(load: str, measurements: Sequence[ScaleMeasurement]) -> list[str]:
    """Returns the table of a load, and where it saturates the machine."""
    one_server = measurements[0].rate
    lines = [
        f"| servers | {load}/s | ratio | p99, ms | CPU: servers | PostgreSQL | clients | idle |",
        "|---" * 8 + "|",
    ]
    for number, each in enumerate(measurements, 1):
        shares = " | ".join(f"{each.cpu_shares[group]:.0%}" for group in GROUPS)
        lines.append(
            f"| {number} | {each.rate:,.0f} | {each.rate / one_server:.2f} "
            f"| {each.p99_ms:,.0f} | {shares} |"
        )
    highest = max(each.rate for each in measurements)
    number, saturated = next(
        (number, each)
        for number, each in enumerate(measurements, 1)
        if each.rate >= SATURATED_SHARE * highest
    )
    busy = [group for group in GROUPS if group != IDLE]
    busy.sort(key=saturated.cpu_shares.__getitem__, reverse=True)
    shares = ", ".join(f"{group} {saturated.cpu_shares[group]:.0%}" for group in busy)
    return [
        *lines,
        "",
        f"{SATURATED_SHARE:.0%} of the highest rate is reached with "
        f"{number} {'server' if number == 1 else 'servers'}. "
        f"At this point, the CPU time is used by: {shares}; {saturated.cpu_shares[IDLE]:.0%} is "
        "idle.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=6, help="Of a load of requests.")
    parser.add_argument("--connections", type=int, default=60, help="To all servers together.")
    parser.add_argument("--sockets", type=int, default=480, help="To all servers together.")
    parser.add_argument("--events", type=int, default=600, help="Delivered to subscribers.")
    parser.add_argument("--bulk", type=int, default=20, help="Events logged per call.")
    add_option(parser)
    options = parser.parse_args()
    measured: dict[str, list[ScaleMeasurement]] = {READS: [], WRITES: [], DELIVERIES: []}
    loads: list[float] = []
    ended = threading.Event()
    threading.Thread(target=record_load, args=(loads, ended), daemon=True).start()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgresql(Path(folder) / "postgresql") as postgresql,
        FaultCluster(postgresql("scale_out"), postgresql) as cluster,
    ):
        run = ScaleOutRun(cluster, postgresql.postmaster, options)
        for number in range(1, options.servers + 1):
            run.add_server()
            if number == 1:
                run.log_events_to_read()
            measured[READS].append(run.measure_reads())
            measured[WRITES].append(run.measure_writes())
            measured[DELIVERIES].append(run.measure_deliveries())
            print(f"{number} of {options.servers} servers measured.", file=sys.stderr)
        errors = cluster.read_logged_errors()
    ended.set()
    if errors:
        sys.exit("\n".join(["The servers logged errors:", *errors]))
    lines = [
        describe_machine(loads),
        f"Requests on {options.connections} connections for {options.seconds:g} s, and "
        f"{options.sockets} WebSocket connections that receive {options.events} events, "
        f"{options.bulk} per call.",
    ]
    for load, measurements in measured.items():
        lines += ["", *format_load(load, measurements)]
    publish_figures("scale-out", lines, options.into)


if __name__ == "__main__":
    main()
