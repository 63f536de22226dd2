"""The cost of filters by the path of a custom field: `python -m benchmarks.field_filters`.

Fills a database of each kind with events (`--events`, default 200,000) and prints, for a page of 20
events of each filter, the time of the statement and the indexes that its plan reads: the execution
time that EXPLAIN ANALYZE states on PostgreSQL, and the CPU time on SQLite. It is the shortest time
of 10 runs, which depends least on other load. `--plans` prints the plans, too.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import SecretStr

from app.database_setup import prepare_database
from app.domain.access.caller import Caller
from app.domain.events.predicates import PredicateOperator as Operator
from app.domain.events.severity import Severity
from app.domain.events.state import EventState
from app.settings import Settings
from app.store import tables
from app.store.engine.database import Database
from app.store.writing import search_index
from app.store.writing.inserts import insert_rows
from benchmarks.processes import running_postgresql
from tests.client import ADMINISTRATOR
from tests.factories import admin_caller
from tests.store.test_indexes import (
    IndexedDatabase,
    capture_statements,
    fetch_page_with,
    field_filter,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 2_000
RUNS = 10
_EXECUTION_TIME = re.compile(r"Execution Time: ([\d.]+) ms")
FILTERS: dict[str, tuple[str, Operator, Any]] = {
    "`cause` EQ, 1 in 500": ("cause", Operator.EQ, "cause 290"),
    "`labels.host` EQ, 1 in 500": ("labels.host", Operator.EQ, "host 290"),
    "`commits.author` EQ, 1 in 500, in a list": ("commits.author", Operator.EQ, "author 290"),
    "`labels.load` GTE, 1 in 100": ("labels.load", Operator.GTE, 990),
    "`labels.side` EQ, half": ("labels.side", Operator.EQ, "left"),
    "`labels.rare` EXISTS, 1 in 1,000": ("labels.rare", Operator.EXISTS, None),
    "`labels.rare` NOT_EXISTS, nearly all": ("labels.rare", Operator.NOT_EXISTS, None),
}


def build_event(number: int) -> EventState:
    at = START + timedelta(minutes=number)
    # The values of two fields are independent of each other and of the time.
    host, author, load = (number * factor % 1_000_003 for factor in (7, 11, 13))
    return EventState(
        id=UUID(int=number + 1),
        type=f"type.{number % 50}",
        event_type_id=None,
        event_type_version=None,
        category=None,
        severity=Severity.INFO,
        summary=f"Event {number}",
        content=None,
        source=f"/hosts/{number % 50}",
        source_id=str(number),
        subject=None,
        outcome=None,
        occurred_at=at,
        recorded_at=at,
        updated_at=at,
        fields={
            "cause": f"cause {author % 500}",
            "labels": {
                "host": f"host {host % 500}",
                "load": load % 1_000,
                "side": "left" if load % 2 else "right",
            }
            | ({"rare": True} if host % 1_000 == 0 else {}),
            "commits": [{"author": f"author {author % 500}"}, {"author": "robot"}],
        },
    )


async def fill_database(database: Database, owner: UUID, count: int) -> None:
    for start in range(0, count, BATCH):
        states = [build_event(number) for number in range(start, min(start + BATCH, count))]
        rows = [tables.Event.build_columns(state, owner) for state in states]
        async with database.write(owner, writes_log=False) as session:
            await insert_rows(
                session, (tables.Event, rows), *search_index.build_index_rows(owner, states)
            )


async def measure_postgresql(url: str, statement: str, parameters: Any) -> tuple[float, str]:
    """Returns the shortest execution time of the statement in ms, and its plan."""
    connection = await asyncpg.connect(url)
    try:
        plans = []
        for _ in range(RUNS):
            rows = await connection.fetch(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}", *parameters)
            plans.append("\n".join(row[0] for row in rows))
    finally:
        await connection.close()
    return min(float(_EXECUTION_TIME.findall(plan)[0]) for plan in plans), plans[-1]


async def measure_sqlite(url: str, statement: str, parameters: Any) -> tuple[float, str]:
    """Returns the shortest CPU time of the statement in ms, and its plan."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        times = []
        for _ in range(RUNS):
            begun = time.process_time()
            connection.execute(statement, parameters).fetchall()
            times.append((time.process_time() - begun) * 1e3)
        explained = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
    finally:
        connection.close()
    return min(times), "\n".join(row[-1] for row in explained)


async def measure_filters(
    url: str, count: int, measure: Callable[..., Any], *, show_plans: bool
) -> dict[str, tuple[float, str]]:
    await prepare_database(Settings(database_url=url, bootstrap_key=SecretStr(ADMINISTRATOR)))
    database = Database(url)
    try:
        caller: Caller = await admin_caller(database)
        begun = time.perf_counter()
        await fill_database(database, caller.organization_id, count)
        print(f"{url.partition(':')[0]}: {count:,} events in {time.perf_counter() - begun:.0f} s")
        await _analyze(url)
        world = IndexedDatabase(database, caller, url.partition(":")[0])
        measured = {}
        for name, condition in FILTERS.items():
            with capture_statements(database) as captured:
                await fetch_page_with(**field_filter(*condition))(world)
            statement, parameters = captured[-1]
            duration, plan = await measure(url, statement, parameters)
            indexes = sorted(set(re.findall(r"\bix_event\w+", plan)))
            measured[name] = duration, ", ".join(indexes)
            if show_plans:
                print(f"\n{name}\n{plan}")
        return measured
    finally:
        await database.close()


async def _analyze(url: str) -> None:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute("ANALYZE")
        connection.commit()
        connection.close()
    else:
        server = await asyncpg.connect(url)
        await server.execute("VACUUM ANALYZE")
        await server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--plans", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments = {"show_plans": options.plans}
        sqlite_url = f"sqlite:///{folder}/tocsin.db"
        on_sqlite = asyncio.run(
            measure_filters(sqlite_url, options.events, measure_sqlite, **arguments)
        )
        with running_postgresql(Path(folder) / "postgresql") as create:
            url = create("filters")
            on_postgresql = asyncio.run(
                measure_filters(url, options.events, measure_postgresql, **arguments)
            )
    print("\n| filter | PostgreSQL, ms | indexes | SQLite, ms | indexes |\n|---|---|---|---|---|")
    for name in FILTERS:
        cells = (
            f"{duration:.2f} | {index}"
            for duration, index in (on_postgresql[name], on_sqlite[name])
        )
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
