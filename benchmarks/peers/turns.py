"""Measurement: responses are compared, then the servers take turns in rounds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from benchmarks.peers import answers
from benchmarks.peers.data import PATTERNS
from benchmarks.peers.deployments import Deployment
from benchmarks.peers.documents import (
    BULK,
    COMPARED_WRITES,
    PAGE,
    READS,
    STATE_CHANGE,
    PeerOperation,
)
from benchmarks.peers.servers import NAIVE, US, RunningPeer
from benchmarks.processes import KEY, ChildProcess

CONNECTIONS = 32
BULK_CONNECTIONS = 2
BULK_TURN = 3  # times as long as other turns, for as many responses as a measurement needs
LEAD_SECONDS = 0.4
DEEP = 100_000
DEEPER = 1_000_000


@dataclass
class TaskMeasurement:
    """The measurements of a server for one operation, with one turn per round."""

    database: str
    operation: str
    server: str
    rates: list[float] = field(default_factory=list)
    p50_ms: list[float | None] = field(default_factory=list)
    p99_ms: list[float | None] = field(default_factory=list)
    wrong: dict[str, int] = field(default_factory=dict)
    cpu_us: list[float] = field(default_factory=list)
    server_busy: list[float] = field(default_factory=list)
    client_busy: list[float] = field(default_factory=list)
    bytes: int = 0

    def add_turn(self, result: dict[str, Any], cpu_seconds: float) -> None:
        """Adds a turn. `cpu_seconds` is the CPU time of the server process for all responses of
        the turn.
        """
        # A bulk call counts as its events.
        each = BULK if self.operation.startswith("bulk") else 1
        if result["right_ever"]:
            self.cpu_us.append(round(1e6 * cpu_seconds / result["right_ever"] / each, 1))
        self.rates.append(round(result["rate"] * each, 1))
        for name in ("p50_ms", "p99_ms"):
            getattr(self, name).append(result[name] and round(result[name], 3))
        for kind, count in result["wrong"].items():
            self.wrong[kind] = self.wrong.get(kind, 0) + count
        self.server_busy.append(round(cpu_seconds / result["lasted"], 3))
        self.client_busy.append(round(result["client_busy"], 3))


@dataclass(frozen=True)
class BenchmarkTask:
    """`stored_rows`: the number of rows by table that the server stores for an event or a change of
    its state, beginning with the table that has one.
    """

    server: RunningPeer
    request: PeerOperation
    texts: tuple[str, ...]
    measured: TaskMeasurement
    stored_rows: dict[str, int]


def page_depth(events: int) -> int:
    """Returns the depth of the deep page: a million, or 100,000, if there are enough events."""
    copies = events - PATTERNS
    return next((depth for depth in (DEEPER, DEEP) if depth < copies), max(copies * 9 // 10, PAGE))


def measure_tasks(
    deployments: list[Deployment], operations: list[str], seconds: float, rounds: int, events: int
) -> list[dict[str, Any]]:
    """Measures reads first, so that writes change no response: all of them in each round, so that
    they can be compared with each other.
    """
    load = ChildProcess("benchmarks.peers.load", None)
    measured = []
    reads = [operation for operation in operations if operation in READS]
    others = [operation for operation in operations if operation not in READS]
    try:
        for group in (reads, *([operation] for operation in others)):
            turns = [
                (deployment, build_tasks(deployment, operation, page_depth(events)))
                for operation in group
                for deployment in deployments
            ]
            for _ in range(rounds):
                for deployment, tasks in turns:
                    for task in tasks:
                        run_turn(load, deployment, task, seconds)
            for _, tasks in turns:
                measured += [asdict(task.measured) for task in tasks]
                _print_results(tasks)
    finally:
        load.kill()
    return measured


def build_tasks(deployment: Deployment, operation: str, depth: int) -> list[BenchmarkTask]:
    """Returns a task for each server. Raises DifferentAnswersError if two servers respond
    differently, or store different rows.
    """
    tasks: list[BenchmarkTask] = []
    read: dict[str, list[Any]] = {}
    stored: dict[str, list[Any]] = {}
    for server in deployment.servers:
        if operation not in server.operations:
            continue
        request = deployment.build_operation(server, operation, depth)
        texts = deployment.format_requests(server, request)
        read[server.name] = [
            _select_compared(operation, answers.read_answer(200, text)) for text in texts
        ]
        measured = TaskMeasurement(
            deployment.database, operation, server.name, bytes=len(texts[0].encode())
        )
        stored_rows = {} if operation in READS else {"event": 1}
        if operation == STATE_CHANGE:
            stored_rows = {"change": 1}
        if operation in COMPARED_WRITES and server.name != NAIVE:
            rows = deployment.read_newest_rows()
            stored[server.name] = [rows]
            stored_rows = {table: len(each) for table, each in rows.items()}
        tasks.append(BenchmarkTask(server, request, tuple(texts), measured, stored_rows))
    for compared in (read, stored):
        if compared:
            answers.compare_answers(f"{operation}, {deployment.database}", compared)
    return tasks


def _select_compared(operation: str, data: Any) -> Any:
    """Returns the part of the data that is equal on every server: without generated IDs."""
    if operation in READS or operation == STATE_CHANGE:
        return data
    if operation == "log":
        return data["logEvent"]["event"] | {"id": None}
    return len(data["logEvents"]["results"])


def run_turn(
    load: ChildProcess, deployment: Deployment, task: BenchmarkTask, seconds: float
) -> int:
    """Returns the number of correct responses."""
    operation = task.measured.operation
    bulk = operation.startswith("bulk")
    url = httpx.URL(task.server.url)
    if operation == STATE_CHANGE:
        deployment.execute(task.server, task.server.document("unacknowledge all"), {})
    before = deployment.count_rows(task.stored_rows)
    used = task.server.cpu_seconds
    load.send(
        {
            "host": url.host,
            "port": url.port,
            "key": KEY,
            "bodies": task.request.bodies,
            "expected": None if task.stored_rows else task.texts,
            "lengths": [len(text.encode()) for text in task.texts],
            "connections": BULK_CONNECTIONS if bulk else CONNECTIONS,
            "lead": LEAD_SECONDS,
            "seconds": seconds * BULK_TURN if bulk else seconds,
        }
    )
    result = load.receive()
    task.measured.add_turn(result, task.server.cpu_seconds - used)
    if task.stored_rows:
        acknowledged = result["right_ever"] * (BULK if bulk else 1)
        after = deployment.count_rows(task.stored_rows)
        added = {table: after[table] - before[table] for table in after}
        stored = next(iter(added.values()))
        if stored < acknowledged or any(
            added[table] != stored * rows for table, rows in task.stored_rows.items()
        ):
            raise SystemExit(f"{task.server.name}: {acknowledged} acknowledged, stored {added}.")
    return int(result["right_ever"])


def _print_results(tasks: list[BenchmarkTask]) -> None:
    for task in tasks:
        each = task.measured
        own_measurements = [t.measured for t in tasks if t.server.name == US]
        result = (
            f"x{sum(own_measurements[0].rates) / sum(each.rates):.2f}"
            if own_measurements and sum(each.rates)
            else ""
        )
        rates = " ".join(f"{rate:,.0f}" for rate in each.rates)
        wrong = f"  WRONG {each.wrong}" if each.wrong else ""
        print(
            f"{each.operation:12} {each.database:10} {each.server:16} {rates:>20}/s"
            f"  {result:8} p99 {each.p99_ms[-1] or 0:.1f} ms  "
            f"CPU {' '.join(f'{cpu:,.0f}' for cpu in each.cpu_us)} us{wrong}",
            flush=True,
        )
