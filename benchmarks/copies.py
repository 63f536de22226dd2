"""`tocsin copy` of 200,000 events to PostgreSQL and back, killed once on each way, and resumed.

The command compares the number and the checksum of the rows of every table. At the end, the first
and the last database, both of SQLite, must have the same rows. Run it by `make soak`; it ends with
1 if they differ, or if `tocsin verify` finds a problem.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import asyncpg

from app.store.database_copy import TableProgress, copy_database
from app.store.engine.dialect import parse_database_url
from benchmarks.faults import format_tables, record_load
from benchmarks.faults_checks import FaultFigures
from benchmarks.pages import add_option, describe_machine, publish_figures
from benchmarks.peers.data import build_data
from benchmarks.processes import KEY, running_postgresql

COMMAND = (sys.executable, "-c", "from app.cli import main; main()")
COPIED_EVENTS = "SELECT rows FROM copy_progress WHERE name = 'event'"
PATIENCE_SECONDS = 3600


class ResumedCopy(NamedTuple):
    """`kept`: the events that the killed command had copied, which were not copied again."""

    totals: dict[str, int]
    kept: int
    killed_seconds: float
    copy_seconds: float
    verification_seconds: float


def copy_in_two_runs(source: str, target: str, kill_after: int) -> ResumedCopy:
    """Kills the command once it has copied this number of events, and resumes the copy."""
    begun = time.monotonic()
    command = subprocess.Popen([*COMMAND, "copy", "--from", source, "--to", target])
    try:
        while count_copied(target) < kill_after:
            if command.poll() is not None or time.monotonic() > begun + PATIENCE_SECONDS:
                raise SystemExit("The command did not copy the events.")
            time.sleep(0.1)
    finally:
        command.kill()
        command.wait()
    killed = time.monotonic()
    kept, verified_from = 0, killed

    def report(progress: TableProgress) -> None:
        nonlocal kept, verified_from
        if progress.table == "event" and not progress.verifying and kept == 0:
            kept = progress.rows
        if not progress.verifying:
            verified_from = time.monotonic()

    totals = asyncio.run(
        copy_database(parse_database_url(source), parse_database_url(target), report)
    )
    ended = time.monotonic()
    return ResumedCopy(totals, kept, killed - begun, verified_from - killed, ended - verified_from)


def count_copied(target: str) -> int:
    """The number of events in the target of a copy; 0 before it has tables."""
    if target.startswith("sqlite"):
        file = target.removeprefix("sqlite:///")
        with (
            contextlib.suppress(sqlite3.OperationalError),
            contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection,
        ):
            [(count,)] = connection.execute(COPIED_EVENTS).fetchall()
            return int(count)
        return 0

    async def read() -> int:
        connection = await asyncpg.connect(target)
        try:
            return int(await connection.fetchval(COPIED_EVENTS))
        except asyncpg.UndefinedTableError:
            return 0
        finally:
            await connection.close()

    return asyncio.run(read())


def count_differences(first: str, last: str, tables: list[str]) -> int:
    """The number of rows that only one of two databases of SQLite has."""
    count = 0
    with contextlib.closing(sqlite3.connect(first)) as connection:
        connection.execute("ATTACH ? AS last", [last])
        for table in tables:
            for one, other in (("main", "last"), ("last", "main")):
                [(rows,)] = connection.execute(
                    f'SELECT count(*) FROM (SELECT * FROM {one}."{table}" '
                    f'EXCEPT SELECT * FROM {other}."{table}")'
                )
                count += rows
    return count


def measure_copy(source: str, target: str, events: int) -> tuple[FaultFigures, dict[str, int]]:
    figures = FaultFigures()
    figures.start_fault(f"{events:,} events, `kill -9` in the middle")
    copy = copy_in_two_runs(source, target, events // 2)
    if not events // 2 <= copy.kept < events or copy.totals["event"] != events:
        raise SystemExit(f"The command was not resumed: {copy}")
    begun = time.monotonic()
    verification = subprocess.run(
        [*COMMAND, "verify"], env=os.environ | {"TOCSIN_DATABASE_URL": target}, check=False
    )
    verified = time.monotonic()
    seconds = copy.killed_seconds + copy.copy_seconds
    figures.record("rows of all tables", sum(copy.totals.values()))
    figures.record("events that the killed run had copied", copy.kept)
    figures.record("both runs until all rows were copied, s", seconds)
    figures.record("events copied per second", events / seconds)
    figures.record("comparison of counts and checksums, s", copy.verification_seconds)
    figures.record("`tocsin verify` of the copy, s", verified - begun)
    figures.record_expected_zero("exit code of `tocsin verify`", verification.returncode)
    return figures, copy.totals


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200_000)
    add_option(parser)
    options = parser.parse_args()
    loads: list[float] = []
    ended = threading.Event()
    threading.Thread(target=record_load, args=(loads, ended), daemon=True).start()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgresql(Path(folder) / "postgresql") as postgresql,
    ):
        first, last = f"{folder}/first.db", f"{folder}/last.db"
        middle = postgresql("copies")
        build_data(f"sqlite:///{first}", KEY, options.events)
        there, totals = measure_copy(f"sqlite:///{first}", middle, options.events)
        back, _ = measure_copy(middle, f"sqlite:///{last}", options.events)
        differences = count_differences(first, last, list(totals))
    back.record_expected_zero("rows that differ from those of the first database", differences)
    ended.set()
    results = {"SQLite to PostgreSQL": there, "PostgreSQL to SQLite": back}
    publish_figures("copies", [describe_machine(loads), *format_tables(results)], options.into)
    if broken := [f"{name}: {each}" for name, one in results.items() for each in one.broken]:
        print("\n".join(["", "Broken:", *broken]))
        sys.exit(1)


if __name__ == "__main__":
    main()
