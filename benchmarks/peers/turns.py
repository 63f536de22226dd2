"""The measuring: answers are compared, then the servers take turns, round by round."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from benchmarks.peers import answers
from benchmarks.peers.data import PATTERNS
from benchmarks.peers.documents import BULK, PAGE, READS, Asked
from benchmarks.peers.servers import US, Running
from benchmarks.peers.stands import Stand
from benchmarks.processes import KEY, Child

CONNECTIONS = 32
BULK_CONNECTIONS = 2
LEAD_SECONDS = 0.4
DEEP = 100_000
DEEPER = 1_000_000


@dataclass
class Measured:
    """What a server has done of one operation, a turn for each round."""

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

    def take(self, told: dict[str, Any], cpu_seconds: float) -> None:
        """`cpu_seconds`: what the server's process has used for all of the turn's answers."""
        # A bulk call is told in events.
        each = BULK if self.operation.startswith("bulk") else 1
        if told["right_ever"]:
            self.cpu_us.append(round(1e6 * cpu_seconds / told["right_ever"] / each, 1))
        self.rates.append(round(told["rate"] * each, 1))
        for name in ("p50_ms", "p99_ms"):
            getattr(self, name).append(told[name] and round(told[name], 3))
        for kind, count in told["wrong"].items():
            self.wrong[kind] = self.wrong.get(kind, 0) + count
        self.server_busy.append(round(cpu_seconds / told["lasted"], 3))
        self.client_busy.append(round(told["client_busy"], 3))


@dataclass(frozen=True)
class Task:
    server: Running
    asked: Asked
    texts: tuple[str, ...]
    measured: Measured


def depth_of(events: int) -> int:
    """How deep the deep page lies: a million, or 100,000, where there are so many events."""
    copies = events - PATTERNS
    return next((depth for depth in (DEEPER, DEEP) if depth < copies), max(copies * 9 // 10, PAGE))


def measure(
    stands: list[Stand], operations: list[str], seconds: float, rounds: int, events: int
) -> list[dict[str, Any]]:
    """Reads first, so that writes change no answer; databases one after the other."""
    load = Child("benchmarks.peers.load", None)
    measured = []
    try:
        for operation in operations:
            for stand in stands:
                asked = tasks(stand, operation, depth_of(events))
                for _ in range(rounds):
                    for task in asked:
                        turn(load, stand, task, seconds)
                measured += [asdict(task.measured) for task in asked]
                _tell(asked)
    finally:
        load.kill()
    return measured


def tasks(stand: Stand, operation: str, depth: int) -> list[Task]:
    """What each server is asked, once all have answered the same."""
    asking: list[Task] = []
    read: dict[str, list[Any]] = {}
    for server in stand.servers:
        if operation not in server.operations:
            continue
        asked = stand.asked(server, operation, depth)
        texts = stand.texts(server, asked)
        read[server.name] = [_compared(operation, answers.read(200, text)) for text in texts]
        measured = Measured(stand.database, operation, server.name, bytes=len(texts[0].encode()))
        asking.append(Task(server, asked, tuple(texts), measured))
    if asking:
        answers.compare(f"{operation}, {stand.database}", read)
    return asking


def _compared(operation: str, data: Any) -> Any:
    """Without what is given out anew each time."""
    if operation in READS:
        return data
    if operation == "log":
        return data["logEvent"]["event"] | {"id": None}
    return len(data["logEvents"]["results"])


def turn(load: Child, stand: Stand, task: Task, seconds: float) -> int:
    """The number of right answers."""
    operation = task.measured.operation
    writes, bulk = operation not in READS, operation.startswith("bulk")
    url = httpx.URL(task.server.url)
    before = stand.events() if writes else 0
    used = task.server.cpu_seconds
    load.tell(
        {
            "host": url.host,
            "port": url.port,
            "key": KEY,
            "bodies": task.asked.bodies,
            "expected": None if writes else task.texts,
            "lengths": [len(text.encode()) for text in task.texts],
            "connections": BULK_CONNECTIONS if bulk else CONNECTIONS,
            "lead": 0 if bulk else LEAD_SECONDS,
            "seconds": seconds,
        }
    )
    told = load.hear()
    task.measured.take(told, task.server.cpu_seconds - used)
    if writes:
        acknowledged = told["right_ever"] * (BULK if bulk else 1)
        stored = stand.events() - before
        if stored < acknowledged:
            raise SystemExit(f"{task.server.name}: {acknowledged} acknowledged, {stored} stored.")
    return int(told["right_ever"])


def _tell(tasks: list[Task]) -> None:
    for task in tasks:
        each = task.measured
        ours = [t.measured for t in tasks if t.server.name == US]
        told = f"x{sum(ours[0].rates) / sum(each.rates):.2f}" if ours and sum(each.rates) else ""
        rates = " ".join(f"{rate:,.0f}" for rate in each.rates)
        wrong = f"  WRONG {each.wrong}" if each.wrong else ""
        print(
            f"{each.operation:12} {each.database:10} {each.server:16} {rates:>20}/s"
            f"  {told:8} p99 {each.p99_ms[-1] or 0:.1f} ms  "
            f"CPU {' '.join(f'{cpu:,.0f}' for cpu in each.cpu_us)} us{wrong}",
            flush=True,
        )
