"""The live summary of notifications for a thousand subscribers: statements, messages and latency.

One server process on SQLite logs notifications, one per call. The subscribers run in another
process, and parse every message. The server counts the statements that compute summaries: their
number must not depend on the number of subscribers. Run it with `make bench-fanout`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr

from app.database_setup import prepare_database
from app.graphql.transport.websocket_protocol import BufferedWebSocketProtocol
from app.main import create_app
from app.serving.bounded_http import BoundedHttpProtocol
from app.settings import Settings
from app.store.engine.statement_observers import observe_statements
from benchmarks.pages import add_option, describe_machine, publish_figures
from benchmarks.processes import KEY, ChildProcess

INIT = {"authorization": f"Bearer {KEY}"}
LOG = "mutation ($input: LogEventInput!) { logEvent(input: $input) { event { id } } }"
SUMMARY = """
subscription { notificationSummaryChanged { openCount unreadCount bySeverity { severity count } } }
"""
COMPUTATION = "GROUP BY event.severity"  # in the statement that computes a summary
PATIENCE_SECONDS = 300.0


@dataclass
class SummaryMeasurement:
    sockets: int
    computations: int
    messages: int
    seconds: float
    late: list[float]

    def late_by(self, share: float) -> float:
        """Returns the quantile of the time from the last event to the last summary, in ms."""
        return 1e3 * self.late[min(len(self.late) - 1, int(len(self.late) * share))]


async def measure(sockets: int, events: int, interval: float) -> SummaryMeasurement:
    """Logs events at an interval, and waits until all subscribers have their number."""
    computations = 0

    def count(_: object, statement: str) -> None:
        nonlocal computations
        computations += COMPUTATION in statement

    with tempfile.TemporaryDirectory() as folder, observe_statements(count):
        async with serve(f"sqlite:///{folder}/tocsin.db") as url:
            address = httpx.URL(url)
            message = {"host": address.host, "port": address.port, "sockets": sockets}
            clients = ChildProcess(
                "benchmarks.summary_clients",
                message | {"init": INIT, "query": SUMMARY, "expected": events},
            )
            try:
                await receive(clients)  # every subscriber has the first summary
                computations = 0
                begun = time.monotonic()
                async with httpx.AsyncClient(base_url=url, headers=INIT, timeout=120) as http:
                    for number in range(events):
                        await asyncio.sleep(begun + number * interval - time.monotonic())
                        await log_notification(http, number)
                logged = time.monotonic()
                result = await receive(clients)
            finally:
                clients.kill()
    return SummaryMeasurement(
        sockets,
        computations,
        result["messages"],
        max(result["times"]) - begun,
        sorted(at - logged for at in result["times"]),
    )


async def receive(clients: ChildProcess) -> Any:
    return await asyncio.to_thread(clients.receive, PATIENCE_SECONDS)


async def log_notification(http: httpx.AsyncClient, number: int) -> None:
    attributes = {"summary": f"{number}", "severity": ("error", "warn")[number % 2]}
    body = {"query": LOG, "variables": {"input": attributes | {"notification": True}}}
    response = (await http.post("/graphql", json=body)).json()
    if "errors" in response:
        raise SystemExit(f"Not logged: {response}")


@asynccontextmanager
async def serve(database_url: str) -> AsyncIterator[str]:
    """Serves in this process, so that its statements can be counted. Yields the URL."""
    settings = Settings(database_url=database_url, bootstrap_key=SecretStr(KEY))
    await prepare_database(settings)
    config = uvicorn.Config(
        create_app(settings),
        port=0,
        http=BoundedHttpProtocol.with_limits(settings.requests),
        ws=BufferedWebSocketProtocol,
        log_config=None,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


def format_table(measured: list[SummaryMeasurement], events: int) -> list[str]:
    lines = [
        "| subscribers | events | computations | messages for each subscriber | seconds "
        "| last summary after the last event: p50, ms | p99, ms |",
        "|---" * 7 + "|",
    ]
    lines += [
        f"| {each.sockets:,} | {events} | {each.computations} "
        f"| {each.messages / each.sockets:.1f} | {each.seconds:.1f} "
        f"| {each.late_by(0.5):,.0f} | {each.late_by(0.99):,.0f} |"
        for each in measured
    ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sockets", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--interval", type=float, default=0.05)
    add_option(parser)
    options = parser.parse_args()
    loads = [os.getloadavg()[0]]
    measured = []
    for sockets in options.sockets:
        measured.append(asyncio.run(measure(sockets, options.events, options.interval)))
        loads.append(os.getloadavg()[0])
    table = format_table(measured, options.events)
    publish_figures("live summaries", [describe_machine(loads), "", *table], options.into)


if __name__ == "__main__":
    main()
