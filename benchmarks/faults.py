"""What is lost when something breaks: killed servers and backends, cut sockets, stuck clients.

Servers are `tocsin serve` by its command line; writers and subscribers sit in processes of their
own, and everything they were told is compared with the log. Run it by `make bench-faults`; it ends
with 1 where something that must be 0 is not.
"""

from __future__ import annotations

import argparse
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

from benchmarks.faults_checks import Asking, Figures, check_subscribers, check_writers
from benchmarks.faults_site import (
    PATIENCE_SECONDS,
    Site,
    await_no_sockets,
    await_writes,
    compared,
    finish,
    free_port,
    port_of,
    resident_mb,
)
from benchmarks.pages import add_option, machine, publish
from benchmarks.processes import command, postgresql

KILL_BACKENDS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def kill_servers(site: Site, figures: Figures, asked: argparse.Namespace) -> None:
    figures.about(f"{asked.kills} × `kill -9`, {asked.writers} writers")
    port = free_port()
    server = site.serve(port)
    writers = site.write([port], asked.writers)
    seconds = []
    for _ in range(asked.kills):
        await_writes(server, 5 * asked.writers)
        time.sleep(random.random() / 2)
        begun = time.monotonic()
        server.kill()
        server = site.serve(port)
        await_writes(server, 1)
        seconds.append(time.monotonic() - begun)
    told = finish(writers)
    check_writers(figures, told, Asking(server.url).log())
    figures.tell("requests without a response, sent again", told["met"].get("sent again", 0))
    figures.tell("of these, already stored", told["met"].get("stored already", 0))
    figures.tell("longest time until the next write, s", max(seconds))


def cut_sockets(site: Site, figures: Figures, asked: argparse.Namespace) -> None:
    figures.about(f"{asked.cuts} dropped WebSockets, 8 writers, 3 processes")
    servers = [site.serve() for _ in range(3)]
    ports = [port_of(each) for each in servers]
    asking = Asking(servers[0].url)
    children = [site.subscribe(ports, asking.head(), asked.subscribers // 2) for _ in range(2)]
    writers = site.write(ports, 8)
    await_writes(servers[0], 50)
    for _ in range(asked.cuts):
        child = random.choice(children)
        child.tell({"do": "cut"})
        assert child.hear() == "cut"
        time.sleep(random.random() / 4)
    _, heard = compared(figures, asking, writers, *children)
    figures.tell("WebSockets resumed", sum(len(each["codes"]) for each in heard))


def hold_stuck(site: Site, figures: Figures, asked: argparse.Namespace) -> None:
    figures.about(f"{asked.stuck} stalled and {asked.stuck} healthy subscribers, {asked.seconds} s")
    server = site.serve()
    ports = [port_of(server)]
    asking = Asking(server.url)
    healthy = site.subscribe(ports, asking.head(), asked.stuck)
    writers = site.write(ports, 4, pause=0.25, content=50_000)
    await_writes(server, 20)
    alone = time.monotonic()
    time.sleep(asked.seconds / 4)
    begun = time.monotonic()
    stuck = site.subscribe(ports, asking.head(), asked.stuck, stuck=True)
    before = resident_mb(server)
    most = before
    while time.monotonic() < begun + asked.seconds:
        most = max(most, resident_mb(server))
        time.sleep(0.25)
    ended = time.monotonic()
    _, heard = compared(figures, asking, writers, healthy)
    figures.tell("memory before, MB", before)
    figures.tell("memory growth, MB", most - before)
    tell_late(figures, "latency of healthy subscribers alone", heard, alone, begun)
    tell_late(figures, "latency beside stalled ones", heard, begun, ended)
    await_no_sockets(server)
    figures.tell("stalled subscribers disconnected after at most, s", time.monotonic() - begun)
    figures.tell("how their connections ended", told_counts(Counter(finish(stuck))))


def tell_late(figures: Figures, who: str, heard: Any, since: float, until: float) -> None:
    late = sorted(late for each in heard for at, late in each["late"] if since <= at < until)
    figures.tell(f"{who}: p50, ms", 1e3 * late[len(late) // 2])
    figures.tell(f"{who}: p99, ms", 1e3 * late[int(len(late) * 0.99)])


def drain(site: Site, figures: Figures, asked: argparse.Namespace) -> None:
    figures.about(f"SIGTERM, {asked.writers} writers")
    port = free_port()
    server = site.serve(port)
    subscribers = site.subscribe([port], Asking(server.url).head(), 8)
    writers = site.write([port], asked.writers, until_refused=True)
    await_writes(server, 10 * asked.writers)
    begun = time.monotonic()
    server.process.terminate()
    code = server.process.wait(PATIENCE_SECONDS)
    seconds = time.monotonic() - begun
    told = writers.hear()
    asking = Asking(site.serve(port).url)
    asking.log_end()
    heard = finish(subscribers)
    log = asking.log()
    check_writers(figures, told, log)
    figures.zero("aborted requests", told["met"].get("cut", 0))
    check_subscribers(figures, heard, log)
    closed = Counter(str(code or "none") for each in heard for code in each["codes"])
    figures.tell("WebSocket close codes", told_counts(closed))
    figures.tell("time until exit, s", seconds)
    figures.zero("exit code", code)


def kill_backends(site: Site, figures: Figures, asked: argparse.Namespace) -> None:
    if site.database_url.startswith("sqlite"):
        return
    figures.about(f"{asked.backends} × all PostgreSQL backends killed, {asked.writers} writers")
    server = site.serve()
    ports = [port_of(server)]
    asking = Asking(server.url)
    subscribers = site.subscribe(ports, asking.head(), 8)
    writers = site.write(ports, asked.writers)
    kills = []
    await_writes(server, 5 * asked.writers)
    for _ in range(asked.backends):
        command(site.database_url, KILL_BACKENDS)
        kills.append(time.monotonic())
        await_writes(server, 10 * asked.writers)
    told, _ = compared(figures, asking, writers, subscribers)
    met = {name: count for name, count in told["met"].items() if name[:1].isdigit()}
    figures.tell("error responses meanwhile", told_counts(Counter(met)))
    figures.zero("aborted requests", told["met"].get("cut", 0))
    back = [back_after(kill, told["acknowledged"], asked.writers) for kill in kills]
    figures.tell("longest time until every writer succeeded again, s", max(back))


def crash_database(site: Site, figures: Figures, asked: argparse.Namespace) -> None:
    if site.cluster is None:
        return
    figures.about(f"PostgreSQL crashed and restarted, {asked.writers} writers")
    server = site.serve()
    ports = [port_of(server)]
    asking = Asking(server.url)
    subscribers = site.subscribe(ports, asking.head(), 8)
    writers = site.write(ports, asked.writers)
    await_writes(server, 5 * asked.writers)
    site.cluster.crash()
    while httpx.get(f"{server.url}/ready").status_code != 503:
        time.sleep(0.05)
    figures.zero(
        "failed liveness checks meanwhile", httpx.get(f"{server.url}/health").status_code != 200
    )
    site.cluster.start()
    started = time.monotonic()
    await_writes(server, 10 * asked.writers)
    told, _ = compared(figures, asking, writers, subscribers)
    figures.zero("aborted requests", told["met"].get("cut", 0))
    back = back_after(started, told["acknowledged"], asked.writers)
    figures.tell("time from its start until every writer succeeded again, s", back)


def back_after(kill: float, acknowledged: list[Any], writers: int) -> float:
    """Until each writer's first answer to what it sent after the kill."""
    first: dict[int, float] = {}
    for number, _, sent, answered in acknowledged:
        if sent > kill:
            writer = number % writers
            first[writer] = min(first.get(writer, answered), answered)
    assert len(first) == writers, "A writer has not come back."
    return max(first.values()) - kill


def told_counts(counts: Counter[str]) -> str:
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
    parser.add_argument("--only", default="", help="A fault by its name, as hold_stuck.")
    parser.add_argument("--database", default="", help="sqlite or postgresql; else both.")
    add_option(parser)
    asked = parser.parse_args()
    told: dict[str, Figures] = {}
    loads: list[float] = []
    ended = threading.Event()
    threading.Thread(target=note_load, args=(loads, ended), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        if asked.database != "postgresql":
            told["SQLite"] = measure(lambda name: Site(f"sqlite:///{folder}/{name}.db"), asked)
        if asked.database != "sqlite":
            cluster = stack.enter_context(postgresql(Path(folder) / "postgresql"))
            told["PostgreSQL"] = measure(lambda name: Site(cluster(name), cluster), asked)
    ended.set()
    publish("faults", [machine(loads), *tables_of(told)], asked.into)
    if broken := [f"{name}: {each}" for name, figures in told.items() for each in figures.broken]:
        print("\n".join(["", "Broken:", *broken]))
        sys.exit(1)


def measure(site_of: Callable[[str], Site], asked: argparse.Namespace) -> Figures:
    figures = Figures()
    for fault in (kill_servers, cut_sockets, hold_stuck, drain, kill_backends, crash_database):
        if asked.only in fault.__name__:
            with site_of(fault.__name__) as site:
                fault(site, figures, asked)
                figures.zero("errors in the server logs", site.errors_logged())
            print(f"{fault.__name__} is over.", file=sys.stderr)
    return figures


def note_load(loads: list[float], ended: threading.Event) -> None:
    while True:
        loads.append(os.getloadavg()[0])
        if ended.wait(5):
            return


def tables_of(told: dict[str, Figures]) -> list[str]:
    lines = []
    for fault in dict.fromkeys(fault for each in told.values() for fault in each.tables):
        tables = {name: each.tables.get(fault, {}) for name, each in told.items()}
        lines += ["", f"| {fault} | {' | '.join(tables)} |", "|---" * (len(tables) + 1) + "|"]
        for row in dict.fromkeys(row for table in tables.values() for row in table):
            lines.append(
                f"| {row} | {' | '.join(each.get(row, '–') for each in tables.values())} |"
            )
    return lines


if __name__ == "__main__":
    main()
