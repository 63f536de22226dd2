"""Deliveries per second to a thousand subscribers: Tocsin, plain Strawberry and Node's
graphql-ws.

Each server runs alone, in its own process. The subscribers run in other processes, parse every
message, and compare the received IDs with the change log. Four groups have a filter and a selection
each. Tocsin stores every event durably; the other two keep them in memory. Run it with `make
bench-fanout`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.fanout_clients import digest_ids
from benchmarks.pages import add_option, describe_machine, publish_figures
from benchmarks.processes import KEY, NODE, TOCSIN, ChildProcess, build_environment, running_server

HERE = Path(__file__).parent
LOG = """
mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { results { event { id } } } }
"""
FOLLOW = "subscription ($filter: EventFilter) { notificationAdded(filter: $filter) { %s } }"
ALL = "cursor node { id type severity summary source occurredAt tags entity { type entityId } }"
GROUPS: list[tuple[str, dict[str, Any]]] = [
    ("node { id summary }", {}),
    ("cursor node { id severity summary source }", {"severities": ["ERROR", "WARN"]}),
    ("cursor node { id type summary entity { type entityId } }", {"types": ["even"]}),
    (ALL, {"entity": {"type": "Well", "id": "well-1"}}),
]
PROCESSES = 2
PATIENCE_SECONDS = 300


@dataclass
class FanoutMeasurement:
    deliveries: int
    seconds: float
    late: list[float]
    busiest_client: float

    @property
    def rate(self) -> float:
        return self.deliveries / self.seconds

    def late_by(self, share: float) -> float:
        """Returns the latency quantile in milliseconds, measured from the call that logged the
        event.
        """
        return 1e3 * self.late[min(len(self.late) - 1, int(len(self.late) * share))]


def build_event(number: int, summary: str) -> dict[str, Any]:
    return {
        "type": ("even", "odd")[number % 2],
        "severity": ("error", "warn", "info", "success")[number % 4],
        "summary": summary,
        "source": "fanout",
        "tags": ["StudyId:1", "Well:2"],
        "entity": {"type": "Well", "id": f"well-{number // 2 % 2}"},
        "notification": True,
    }


def is_expected(group: int, number: int) -> bool:
    """Whether the group's filter selects the event of this number."""
    return (True, number % 4 < 2, number % 2 == 0, number // 2 % 2 == 1)[group]


class FanoutRun:
    """The subscribers of servers that share a database, in their own processes.

    Events are logged with the client `http`. The servers have equally many subscribers.
    `since_recorded`: latency is measured from the time in the event, and not from the call.
    """

    def __init__(
        self,
        http: httpx.Client,
        servers: Sequence[httpx.URL],
        sockets: int,
        *,
        since_recorded: bool = False,
    ) -> None:
        self._http = http
        each = sockets // PROCESSES // len(GROUPS)
        more = "node { recordedAt }" if since_recorded else ""
        groups = [
            {"query": FOLLOW % f"{selection} {more}", "variables": {"filter": filter}}
            for selection, filter in GROUPS
        ]
        instructions = {
            "addresses": [(server.host, server.port) for server in servers],
            "init": {"authorization": f"Bearer {KEY}"},
            "each": each,
            "groups": groups,
        }
        self._processes = [
            ChildProcess("benchmarks.fanout_clients", instructions) for _ in range(PROCESSES)
        ]
        self._receive_results("opened")
        while True:  # until all subscribers have received the first events
            self._log_events([build_event(number, "warm") for number in range(4)])
            time.sleep(0.5)
            if all(each.has_message() for each in self._processes):
                break
        self._receive_results("warm")

    def close(self) -> None:
        for process in self._processes:
            process.kill()

    def measure(self, count: int, bulk: int, pause: float) -> FanoutMeasurement:
        """Logs `count` events, `bulk` per call, with a pause between calls."""
        expected = [
            sum(is_expected(group, n) for n in range(count)) for group in range(len(GROUPS))
        ]
        for process in self._processes:
            process.send({"expected": expected, "patience": PATIENCE_SECONDS})
        self._receive_results("listening")
        ids: list[str] = []
        begun = time.monotonic()
        for start in range(0, count, bulk):
            if (early := begun + start / bulk * pause - time.monotonic()) > 0:
                time.sleep(early)
            now = repr(time.monotonic())
            ids += self._log_events(
                [build_event(n, now) for n in range(start, min(start + bulk, count))]
            )
        instructions = self._receive_results()
        for group in range(len(GROUPS)):
            own = digest_ids([id for number, id in enumerate(ids) if is_expected(group, number)])
            for each in instructions:
                if each["missing"] or each["digests"][str(group)] != [own]:
                    raise SystemExit(f"Group {group} did not receive the logged events in order.")
        seconds = max(each["last"] for each in instructions) - begun
        return FanoutMeasurement(
            deliveries=sum(each["deliveries"] for each in instructions),
            seconds=seconds,
            late=sorted(late for each in instructions for late in each["late"]),
            busiest_client=max(each["busy"] for each in instructions) / seconds,
        )

    def _log_events(self, events: Sequence[dict[str, Any]]) -> list[str]:
        body = {"query": LOG, "variables": {"input": events}}
        answer = self._http.post("/graphql", json=body).json()
        assert "errors" not in answer, answer
        return [each["event"]["id"] for each in answer["data"]["logEvents"]["results"]]

    def _receive_results(self, expected: str | None = None) -> list[Any]:
        received = [process.receive(2 * PATIENCE_SECONDS) for process in self._processes]
        assert expected is None or received == [expected] * PROCESSES, received
        return received


def list_servers(database_url: str) -> dict[str, tuple[list[str], dict[str, str]]]:
    return {
        "Tocsin": ([*TOCSIN, "0"], build_environment(database_url)),
        "plain Strawberry": ([sys.executable, "-m", "benchmarks.fanout_strawberry"], {}),
        "Node's graphql-ws": (["node", str(HERE / "fanout_node" / "server.mjs")], {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--events", type=int, default=400)
    parser.add_argument("--bulk", type=int, default=20)
    parser.add_argument("--only", default="")
    add_option(parser)
    options = parser.parse_args()
    install_node()
    loads = [os.getloadavg()[0]]
    measured: dict[str, tuple[FanoutMeasurement, ...]] = {}
    for name in list_servers(""):
        if options.only not in name:
            continue
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            command, environment = list_servers(f"sqlite:///{folder}/tocsin.db")[name]
            url = stack.enter_context(running_server(command, environment))
            headers = {"authorization": f"Bearer {KEY}"}
            http = stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=120))
            fan = FanoutRun(http, [httpx.URL(url)], options.sockets)
            stack.callback(fan.close)
            at_rest = fan.measure(15, 1, 1.0)
            one_by_one = fan.measure(options.events // 4, 1, 0)
            measured[name] = fan.measure(options.events, options.bulk, 0), one_by_one, at_rest
            loads.append(os.getloadavg()[0])
    what = (
        f"{options.sockets:,} WebSocket connections, {options.events} events, "
        f"{options.bulk} per call."
    )
    publish_figures(
        "fan-out", [describe_machine(loads), what, "", *format_table(measured)], options.into
    )


def format_table(measured: dict[str, tuple[FanoutMeasurement, ...]]) -> list[str]:
    lines = [
        "| server | several per call: deliveries/s | Tocsin's ratio | p99, ms "
        "| one per call: deliveries/s | Tocsin's ratio | p99, ms "
        "| one per second: p50, ms | p99, ms |",
        "|---" * 9 + "|",
    ]
    first, first_by_one, _ = next(iter(measured.values()))
    for name, (flood, one_by_one, at_rest) in measured.items():
        lines.append(
            f"| {name} | {flood.rate:,.0f} | {first.rate / flood.rate:.1f} "
            f"| {flood.late_by(0.99):,.0f} | {one_by_one.rate:,.0f} "
            f"| {first_by_one.rate / one_by_one.rate:.1f} | {one_by_one.late_by(0.99):,.0f} "
            f"| {at_rest.late_by(0.5):,.0f} | {at_rest.late_by(0.99):,.0f} |"
        )
    busy = ", ".join(f"{name} {each[0].busiest_client:.0%}" for name, each in measured.items())
    return [*lines, "", f"CPU use of the busier client process, as a share of one core: {busy}."]


def install_node() -> None:
    """Installs the npm packages of the lock file if they are missing."""
    folder = HERE / "fanout_node"
    if not (folder / "node_modules" / ".package-lock.json").exists():
        path = f"{NODE}{os.pathsep}{os.environ['PATH']}"
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(npm, cwd=folder, env=os.environ | {"PATH": path}, check=True)


if __name__ == "__main__":
    main()
