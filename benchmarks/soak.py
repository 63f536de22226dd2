"""Transactions of other programs stay open beside writers and subscribers, for ten minutes.

They are in another database of the cluster, in Tocsin's database, and readers of Tocsin's tables.
None of them may delay, lose or repeat a notification, or make a server unready. Run it by
`make soak`; it ends with 1 if a bound is broken. Servers and clients are those of
`benchmarks.faults`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx

from benchmarks.faults import format_tables, record_lateness, record_load
from benchmarks.faults_checks import FaultClient, FaultFigures
from benchmarks.faults_cluster import FaultCluster, await_writes, check_against_log, server_port
from benchmarks.pages import add_option, describe_machine, publish_figures
from benchmarks.processes import ServerProcess, execute_command, running_postgresql

MAX_P99_SECONDS = 1.0
WRITE = "INSERT INTO foreign_note DEFAULT VALUES"
READ = "SELECT count(*) FROM change JOIN event ON event.id = change.subject_id"


class ForeignTransactions(threading.Thread):
    """Transactions of other programs, each open for 1 to `longest` seconds, until `end`."""

    def __init__(self, database_url: str, longest: float, end: float) -> None:
        super().__init__(daemon=True)
        address = urlsplit(database_url)
        name = f"{address.path[1:]}_foreign"
        other_url = address._replace(path=f"/{name}").geturl()
        execute_command(database_url, f"CREATE DATABASE {name}")
        for url in (database_url, other_url):
            execute_command(url, "CREATE TABLE foreign_note (id serial)")
        self._kinds = {
            "that write to a different database": (other_url, "read_committed", WRITE),
            "that write to this database": (database_url, "read_committed", WRITE),
            "that read this database": (database_url, "repeatable_read", READ),
        }
        self._drop = (database_url, f"DROP DATABASE {name} WITH (FORCE)")
        self._longest = longest
        self._end = end
        self.counts: Counter[str] = Counter()
        self.longest_seconds = 0.0
        self.failures: list[str] = []

    def run(self) -> None:
        try:
            asyncio.run(self._run_all())
            execute_command(*self._drop)
        except Exception as error:
            self.failures.append(repr(error))

    async def _run_all(self) -> None:
        # Two of each kind: when one ends, the other one is usually open.
        await asyncio.gather(*(self._run_kind(kind) for kind in self._kinds for _ in range(2)))

    async def _run_kind(self, kind: str) -> None:
        url, isolation, statement = self._kinds[kind]
        connection = await asyncpg.connect(url)
        while (left := self._end - time.monotonic()) > 0:
            seconds = min(random.uniform(1, self._longest), max(left, 1))
            async with connection.transaction(isolation=isolation):
                await connection.execute(statement)
                await connection.execute("SELECT pg_sleep($1)", seconds)
            self.counts[kind] += 1
            self.longest_seconds = max(self.longest_seconds, seconds)
        await connection.close()


def count_unready(servers: list[ServerProcess], end: float, counts: Counter[str]) -> None:
    """Asks every server once a second whether it is ready."""
    with httpx.Client(timeout=30) as http:
        while time.monotonic() < end:
            for server in servers:
                try:
                    counts[str(http.get(f"{server.url}/ready").status_code)] += 1
                except httpx.HTTPError as error:
                    counts[repr(error)] += 1
            time.sleep(1)


def hold_transactions(
    cluster: FaultCluster, figures: FaultFigures, options: argparse.Namespace
) -> float:
    """Returns the p99 of the latency, in seconds."""
    figures.start_fault(
        f"Foreign transactions of 1 to {options.longest} s, {options.writers} writers, "
        f"3 processes, {options.seconds} s"
    )
    servers = [cluster.start_server() for _ in range(3)]
    ports = [server_port(each) for each in servers]
    client = FaultClient(servers[0].url)
    subscribers = cluster.start_subscribers(ports, client.fetch_head(), 12)
    writers = cluster.start_writers(ports, options.writers, pause=options.pause)
    for server in servers:
        await_writes(server, 10)
    begun = time.monotonic()
    end = begun + options.seconds
    foreign = ForeignTransactions(cluster.database_url, options.longest, end)
    foreign.start()
    ready: Counter[str] = Counter()
    count_unready(servers, end, ready)
    foreign.join(options.longest + 60)
    results, received = check_against_log(figures, client, writers, subscribers)
    assert not foreign.is_alive()
    assert not foreign.failures, foreign.failures
    for kind, count in foreign.counts.items():
        figures.record(f"foreign transactions {kind}", count)
    figures.record("longest foreign transaction, s", foreign.longest_seconds)
    figures.record("`/ready`: 200", ready["200"])
    figures.record_expected_zero("`/ready`: any other status", ready.total() - ready["200"])
    figures.record_expected_zero("aborted requests", results["met"].get("cut", 0))
    figures.record("WebSockets resumed", sum(len(each["codes"]) for each in received))
    p99 = record_lateness(figures, "notification latency", received, begun, end)
    for minute in range(options.seconds // 60):
        since = begun + 60 * minute
        record_lateness(figures, f"minute {minute + 1}", received, since, since + 60)
    return p99


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--longest", type=int, default=60, help="Of a foreign transaction, in s.")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--pause", type=float, default=0.5, help="Of a writer, in s.")
    add_option(parser)
    options = parser.parse_args()
    figures = FaultFigures()
    loads: list[float] = []
    ended = threading.Event()
    threading.Thread(target=record_load, args=(loads, ended), daemon=True).start()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgresql(Path(folder) / "postgresql") as postgresql,
        FaultCluster(postgresql("soak"), postgresql) as cluster,
    ):
        p99 = hold_transactions(cluster, figures, options)
        figures.record_logged_errors(cluster.read_logged_errors())
    ended.set()
    lines = [describe_machine(loads), *format_tables({"PostgreSQL": figures})]
    publish_figures("soak", lines, options.into)
    if p99 >= MAX_P99_SECONDS:
        figures.broken.append(f"The p99 of the latency is {p99:.2f} s, not below 1 s.")
    if figures.broken:
        print("\n".join(["", "Broken:", *figures.broken]))
        sys.exit(1)


if __name__ == "__main__":
    main()
