"""Checks that nothing is lost in faults: killed servers and backends, cut sockets, stuck
clients.

Servers run as `tocsin serve`; writers and subscribers run in their own processes, and everything
they received is compared with the change log. Run it with `make bench-faults`. The exit status is 1
if a number that must be 0 is not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from benchmarks.faults_checks import FaultClient, FaultFigures, check_subscribers, check_writers
from benchmarks.faults_cluster import (
    PATIENCE_SECONDS,
    FaultCluster,
    await_no_sockets,
    await_writes,
    check_against_log,
    find_free_port,
    finish_child,
    read_resident_mb,
    server_port,
)
from benchmarks.pages import add_option, describe_machine, publish_figures
from benchmarks.processes import execute_command, running_postgresql

KILL_BACKENDS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def kill_servers(cluster: FaultCluster, figures: FaultFigures, options: argparse.Namespace) -> None:
    figures.start_fault(f"{options.kills} × `kill -9`, {options.writers} writers")
    port = find_free_port()
    server = cluster.start_server(port)
    writers = cluster.start_writers([port], options.writers)
    seconds = []
    for _ in range(options.kills):
        await_writes(server, 5 * options.writers)
        time.sleep(random.random() / 2)
        begun = time.monotonic()
        server.kill()
        server = cluster.start_server(port)
        await_writes(server, 1)
        seconds.append(time.monotonic() - begun)
    results = finish_child(writers)
    check_writers(figures, results, FaultClient(server.url).read_change_log())
    figures.record("requests without a response, sent again", results["met"].get("sent again", 0))
    figures.record("of these, already stored", results["met"].get("stored already", 0))
    figures.record("longest time until the next write, s", max(seconds))


def cut_sockets(cluster: FaultCluster, figures: FaultFigures, options: argparse.Namespace) -> None:
    figures.start_fault(f"{options.cuts} dropped WebSockets, 8 writers, 3 processes")
    servers = [cluster.start_server() for _ in range(3)]
    ports = [server_port(each) for each in servers]
    client = FaultClient(servers[0].url)
    children = [
        cluster.start_subscribers(ports, client.fetch_head(), options.subscribers // 2)
        for _ in range(2)
    ]
    writers = cluster.start_writers(ports, 8)
    await_writes(servers[0], 50)
    for _ in range(options.cuts):
        child = random.choice(children)
        child.send({"do": "cut"})
        assert child.receive() == "cut"
        time.sleep(random.random() / 4)
    _, received = check_against_log(figures, client, writers, *children)
    figures.record("WebSockets resumed", sum(len(each["codes"]) for each in received))


def hold_stuck_clients(
    cluster: FaultCluster, figures: FaultFigures, options: argparse.Namespace
) -> None:
    figures.start_fault(
        f"{options.stuck} stalled and {options.stuck} healthy subscribers, {options.seconds} s"
    )
    server = cluster.start_server()
    ports = [server_port(server)]
    client = FaultClient(server.url)
    healthy = cluster.start_subscribers(ports, client.fetch_head(), options.stuck)
    writers = cluster.start_writers(ports, 4, pause=0.25, content=50_000)
    await_writes(server, 20)
    alone = time.monotonic()
    time.sleep(options.seconds / 4)
    begun = time.monotonic()
    stuck = cluster.start_subscribers(ports, client.fetch_head(), options.stuck, stuck=True)
    before = read_resident_mb(server)
    most = before
    while time.monotonic() < begun + options.seconds:
        most = max(most, read_resident_mb(server))
        time.sleep(0.25)
    ended = time.monotonic()
    _, received = check_against_log(figures, client, writers, healthy)
    figures.record("memory before, MB", before)
    figures.record("memory growth, MB", most - before)
    record_lateness(figures, "latency of healthy subscribers alone", received, alone, begun)
    record_lateness(figures, "latency beside stalled ones", received, begun, ended)
    await_no_sockets(server)
    figures.record("stalled subscribers disconnected after at most, s", time.monotonic() - begun)
    figures.record("how their connections ended", format_counts(Counter(finish_child(stuck))))


def record_lateness(
    figures: FaultFigures, who: str, received: Any, since: float, until: float
) -> float:
    """Returns the p99 in seconds."""
    late = sorted(late for each in received for at, late in each["late"] if since <= at < until)
    figures.record(f"{who}: p50, ms", 1e3 * late[len(late) // 2])
    p99: float = late[int(len(late) * 0.99)]
    figures.record(f"{who}: p99, ms", 1e3 * p99)
    return p99


def drain_servers(
    cluster: FaultCluster, figures: FaultFigures, options: argparse.Namespace
) -> None:
    figures.start_fault(f"SIGTERM, {options.writers} writers")
    port = find_free_port()
    server = cluster.start_server(port)
    subscribers = cluster.start_subscribers([port], FaultClient(server.url).fetch_head(), 8)
    writers = cluster.start_writers([port], options.writers, until_refused=True)
    await_writes(server, 10 * options.writers)
    begun = time.monotonic()
    server.process.terminate()
    code = server.process.wait(PATIENCE_SECONDS)
    seconds = time.monotonic() - begun
    results = writers.receive()
    client = FaultClient(cluster.start_server(port).url)
    client.log_end_marker()
    received = finish_child(subscribers)
    log = client.read_change_log()
    check_writers(figures, results, log)
    figures.record_expected_zero("aborted requests", results["met"].get("cut", 0))
    check_subscribers(figures, received, log)
    closed = Counter(str(code or "none") for each in received for code in each["codes"])
    figures.record("WebSocket close codes", format_counts(closed))
    figures.record("time until exit, s", seconds)
    figures.record_expected_zero("exit code", code)


def kill_backends(
    cluster: FaultCluster, figures: FaultFigures, options: argparse.Namespace
) -> None:
    if cluster.database_url.startswith("sqlite"):
        return
    figures.start_fault(
        f"{options.backends} × all PostgreSQL backends killed, {options.writers} writers"
    )
    server = cluster.start_server()
    ports = [server_port(server)]
    client = FaultClient(server.url)
    subscribers = cluster.start_subscribers(ports, client.fetch_head(), 8)
    writers = cluster.start_writers(ports, options.writers)
    kills = []
    await_writes(server, 5 * options.writers)
    for _ in range(options.backends):
        execute_command(cluster.database_url, KILL_BACKENDS)
        kills.append(time.monotonic())
        await_writes(server, 10 * options.writers)
    results, _ = check_against_log(figures, client, writers, subscribers)
    met = {name: count for name, count in results["met"].items() if name[:1].isdigit()}
    figures.record("error responses meanwhile", format_counts(Counter(met)))
    figures.record_expected_zero("aborted requests", results["met"].get("cut", 0))
    back = [seconds_until_writing(kill, results["acknowledged"], options.writers) for kill in kills]
    figures.record("longest time until every writer succeeded again, s", max(back))


def crash_database(
    cluster: FaultCluster, figures: FaultFigures, options: argparse.Namespace
) -> None:
    if cluster.cluster is None:
        return
    figures.start_fault(f"PostgreSQL crashed and restarted, {options.writers} writers")
    server = cluster.start_server()
    ports = [server_port(server)]
    client = FaultClient(server.url)
    subscribers = cluster.start_subscribers(ports, client.fetch_head(), 8)
    writers = cluster.start_writers(ports, options.writers)
    await_writes(server, 5 * options.writers)
    cluster.cluster.crash()
    while httpx.get(f"{server.url}/ready").status_code != 503:
        time.sleep(0.05)
    figures.record_expected_zero(
        "failed liveness checks meanwhile", httpx.get(f"{server.url}/health").status_code != 200
    )
    cluster.cluster.start()
    started = time.monotonic()
    await_writes(server, 10 * options.writers)
    results, _ = check_against_log(figures, client, writers, subscribers)
    figures.record_expected_zero("aborted requests", results["met"].get("cut", 0))
    back = seconds_until_writing(started, results["acknowledged"], options.writers)
    figures.record("time from its start until every writer succeeded again, s", back)


def seconds_until_writing(kill: float, acknowledged: list[Any], writers: int) -> float:
    """Returns the time until each writer's first response to an event sent after the kill."""
    first: dict[int, float] = {}
    for number, _, sent, answered in acknowledged:
        if sent > kill:
            writer = number % writers
            first[writer] = min(first.get(writer, answered), answered)
    assert len(first) == writers, "A writer did not recover."
    return max(first.values()) - kill


def format_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "none"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--subscribers", type=int, default=24)
    parser.add_argument("--stuck", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--backends", type=int, default=5)
    parser.add_argument("--only", default="", help="The name of a fault, such as hold_stuck.")
    options = parse_options(parser)
    publish_results("faults", options, lambda site_of: measure_faults(site_of, options))


def parse_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parses the options of `publish_results` and those that the parser has."""
    parser.add_argument("--database", default="", help="sqlite or postgresql. Default: both.")
    parser.add_argument(
        "--results", type=Path, help="A file that collects results of several runs."
    )
    add_option(parser)
    return parser.parse_args()


def publish_results(
    title: str,
    options: argparse.Namespace,
    measure: Callable[[Callable[[str], FaultCluster]], FaultFigures],
) -> None:
    """Measures on both databases, and publishes the figures. Exits with 1 if any is broken.

    `measure` gets a function that creates the servers of a new database with a name.
    """
    results: dict[str, FaultFigures] = {}
    loads: list[float] = []
    ended = threading.Event()
    threading.Thread(target=record_load, args=(loads, ended), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        if options.database != "postgresql":
            results["SQLite"] = measure(lambda name: FaultCluster(f"sqlite:///{folder}/{name}.db"))
        if options.database != "sqlite":
            cluster = stack.enter_context(running_postgresql(Path(folder) / "postgresql"))
            results["PostgreSQL"] = measure(lambda name: FaultCluster(cluster(name), cluster))
    ended.set()
    machines = [describe_machine(loads)]
    if options.results is not None:
        results, machines = collect_results(options.results, results, machines)
    publish_figures(title, ["\n\n".join(machines), *format_tables(results)], options.into)
    if broken := [
        f"{name}: {each}" for name, figures in results.items() for each in figures.broken
    ]:
        print("\n".join(["", "Broken:", *broken]))
        sys.exit(1)


def collect_results(
    file: Path, results: dict[str, FaultFigures], machines: list[str]
) -> tuple[dict[str, FaultFigures], list[str]]:
    """Adds the tables to those in the file. Returns the results and machines of all runs."""
    collected: dict[str, FaultFigures] = {}
    if file.exists():
        earlier_tables, earlier_machines = json.loads(file.read_text())
        for name, tables in earlier_tables.items():
            collected[name] = FaultFigures()
            collected[name].tables = tables
        machines = [*earlier_machines, *machines]
    for name, figures in results.items():
        if name in collected:
            figures.tables = collected[name].tables | figures.tables
        collected[name] = figures
    tables_by_name = {name: figures.tables for name, figures in collected.items()}
    file.write_text(json.dumps([tables_by_name, machines]))
    return collected, machines


def measure_faults(
    site_of: Callable[[str], FaultCluster], options: argparse.Namespace
) -> FaultFigures:
    figures = FaultFigures()
    for fault in (
        kill_servers,
        cut_sockets,
        hold_stuck_clients,
        drain_servers,
        kill_backends,
        crash_database,
    ):
        if options.only in fault.__name__:
            with site_of(fault.__name__) as cluster:
                fault(cluster, figures, options)
                figures.record_logged_errors(cluster.read_logged_errors())
            print(f"{fault.__name__} is over.", file=sys.stderr)
    return figures


def record_load(loads: list[float], ended: threading.Event) -> None:
    while True:
        loads.append(os.getloadavg()[0])
        if ended.wait(5):
            return


def format_tables(results: dict[str, FaultFigures]) -> list[str]:
    lines = []
    for fault in dict.fromkeys(fault for each in results.values() for fault in each.tables):
        tables = {name: each.tables.get(fault, {}) for name, each in results.items()}
        lines += ["", f"| {fault} | {' | '.join(tables)} |", "|---" * (len(tables) + 1) + "|"]
        for row in dict.fromkeys(row for table in tables.values() for row in table):
            lines.append(
                f"| {row} | {' | '.join(each.get(row, '–') for each in tables.values())} |"
            )
    return lines


if __name__ == "__main__":
    main()
