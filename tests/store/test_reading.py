"""Rows read without a session: read-only, current, and without blocking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import col

from app.store import tables
from app.store.engine import reader_limiter
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.database_errors import unavailable_reason
from app.store.engine.sqlite_reader import THREADS, SQLiteReader
from app.store.engine.timeouts import STATEMENT_TIMEOUT_MS
from tests.client import TIMEOUT_SECONDS

NAMES = "SELECT name FROM organization"
LONG = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
SELECT max(i) FROM n
"""
CONNECTIONS = 8  # a third of those of a process
ENDLESS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT (i + 1) % 1000 FROM n)
SELECT count(*) FROM n
"""


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


async def fetch_committed_rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    """Reads with a connection of another pool."""
    async with database.read(ALL_ORGANIZATIONS) as session:
        return [tuple(row) for row in await session.execute(text(statement))]


async def rename_organizations(database: Database, name: str) -> None:
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(update(tables.Organization).values(name=name))


async def test_rows_are_tuples_in_the_driver_s_own_terms(database: Database) -> None:
    table = tables.ApiKey
    async with database.read(ALL_ORGANIZATIONS) as session:
        bind = session.get_bind()
        key = (await session.scalars(select(table))).one()
    statement = select(col(table.name), col(table.every_organization), col(table.created_at))
    compiled: Any = statement.where(col(table.id) == key.id).compile(dialect=bind.dialect)
    is_sqlite = bind.dialect.name == "sqlite"

    [(name, every_organization, at)] = await database.row_reader.fetch_rows(
        str(compiled), [key.id.hex if is_sqlite else key.id]
    )

    assert (name, every_organization) == ("administrator", 1 if is_sqlite else True)
    assert at == (
        key.created_at.isoformat(timespec="microseconds") if is_sqlite else key.created_at
    )


async def test_a_read_returns_only_committed_data(
    database: Database,
) -> None:
    before = await database.row_reader.fetch_rows(NAMES, [])

    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(update(tables.Organization).values(name="Wells"))
        meanwhile = await database.row_reader.fetch_rows(NAMES, [])
    after = await database.row_reader.fetch_rows(NAMES, [])

    assert [list(map(tuple, each)) for each in (before, meanwhile, after)] == [
        [("Default",)],
        [("Default",)],
        [("Wells",)],
    ]


async def test_nothing_can_be_written(database: Database) -> None:
    with pytest.raises(DBAPIError) as refused:
        await database.row_reader.fetch_rows("UPDATE organization SET name = 'Wells'", [])

    assert unavailable_reason(refused.value) == "The database is read-only."
    assert [tuple(row) for row in await database.row_reader.fetch_rows(NAMES, [])] == [("Default",)]


async def test_a_long_read_does_not_block_the_event_loop(database: Database) -> None:
    reading = asyncio.create_task(database.row_reader.fetch_rows(LONG, []))

    await wait_until(lambda: database.connections_in_use == 1)
    short = await database.row_reader.fetch_rows(NAMES, [])

    assert [tuple(row) for row in short] == [("Default",)]
    assert [tuple(row) for row in await reading] == [(300_000,)]
    assert database.connections_in_use == 0


async def test_a_cancelled_read_releases_its_connection(database: Database) -> None:
    size = THREADS if isinstance(database.row_reader, SQLiteReader) else CONNECTIONS
    for _ in range(2):
        reading = [
            asyncio.create_task(database.row_reader.fetch_rows(ENDLESS, [])) for _ in range(size)
        ]
        await wait_until(lambda: database.connections_in_use == size)
        for each in reading:
            each.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    assert [tuple(row) for row in await database.row_reader.fetch_rows(LONG, [])] == [(300_000,)]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_cancelled_read_is_also_cancelled_in_the_server(database: Database) -> None:
    reading = [
        asyncio.create_task(database.row_reader.fetch_rows(ENDLESS, [])) for _ in range(CONNECTIONS)
    ]
    await wait_until(lambda: database.connections_in_use == CONNECTIONS)
    running = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND state = 'active' AND query LIKE '%RECURSIVE%n(i)%' "
        "AND pid <> pg_backend_pid()"
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):  # a connection is in use before its statement runs
        while await fetch_committed_rows(database, running) == [(0,)]:
            await asyncio.sleep(0.01)

    for each in reading:
        each.cancel()
    await asyncio.gather(*reading, return_exceptions=True)

    async with asyncio.timeout(
        STATEMENT_TIMEOUT_MS / 3000
    ):  # the statement timeout would end it later
        while (await fetch_committed_rows(database, running)) != [(0,)]:
            await asyncio.sleep(0.01)


async def test_a_read_without_a_free_connection_fails_after_a_timeout(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = THREADS if isinstance(database.row_reader, SQLiteReader) else CONNECTIONS
    reading = [
        asyncio.create_task(database.row_reader.fetch_rows(ENDLESS, [])) for _ in range(size)
    ]
    await wait_until(lambda: database.connections_in_use == size)
    monkeypatch.setattr(reader_limiter, "ACQUIRE_TIMEOUT_SECONDS", 0.0)

    with pytest.raises(PoolTimeout) as refused:
        await database.row_reader.fetch_rows(ENDLESS, [])

    assert unavailable_reason(refused.value) is not None
    for each in reading:
        each.cancel()
    await asyncio.gather(*reading, return_exceptions=True)


async def test_an_invalid_statement_does_not_affect_the_connection(database: Database) -> None:
    for wrong in ("SELECT 1 FROM nowhere", "SELEC"):
        with pytest.raises(DBAPIError) as refused:
            await database.row_reader.fetch_rows(wrong, [])
        assert unavailable_reason(refused.value) is None

    assert [tuple(row) for row in await database.row_reader.fetch_rows(NAMES, [])] == [("Default",)]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_lost_connection_is_replaced(database: Database) -> None:
    own = "SELECT pg_backend_pid()"
    [[before]] = await database.row_reader.fetch_rows(own, [])

    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(text(f"SELECT pg_terminate_backend({before})"))
    [[after]] = await database.row_reader.fetch_rows(own, [])

    assert after != before


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_connections_are_reused_and_their_number_is_bounded(
    database: Database,
) -> None:
    own = "SELECT pg_backend_pid() FROM pg_sleep(0.01)"

    one_by_one = {(await database.row_reader.fetch_rows(own, []))[0][0] for _ in range(3)}
    at_once = await asyncio.gather(*(database.row_reader.fetch_rows(own, []) for _ in range(40)))

    assert len(one_by_one) == 1
    assert len({each[0][0] for each in at_once}) == CONNECTIONS


async def test_a_missing_database_is_unavailable(database_url: str) -> None:
    missing = database_url.replace("tocsin.db", "nobody.db").replace("/test_", f"/{uuid4().hex}")
    database = Database(missing)

    with pytest.raises((DBAPIError, OSError)) as refused:
        await database.row_reader.fetch_rows(NAMES, [])
    await database.close()

    assert unavailable_reason(refused.value) in (
        "The database file cannot be opened.",
        "The database does not exist.",
    )


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_statements_that_scan_texts_never_run_on_the_event_loop(database: Database) -> None:
    reader = database.row_reader
    assert isinstance(reader, SQLiteReader)

    rows = await database.row_reader.fetch_rows("SELECT instr('abc', 'c')", [], scans_texts=True)

    assert rows == [(3,)]
    assert (reader._loop_connection, len(reader._thread_connections)) == (None, 1)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_slow_statement_runs_in_a_thread_the_next_time(database: Database) -> None:
    reader = database.row_reader
    assert isinstance(reader, SQLiteReader)
    await database.row_reader.fetch_rows(LONG, [])
    await database.row_reader.fetch_rows(NAMES, [])

    is_slow = [each in reader._slow_statements for each in (LONG, NAMES)]

    assert is_slow == [True, False]


def test_a_connection_that_the_server_closes_is_reported_as_closed() -> None:
    ending = asyncpg.InternalClientError(
        "cannot switch to state 15; another operation (2) is in progress"
    )

    assert unavailable_reason(DBAPIError("BEGIN", None, ending)) == (
        "The database closed the connection. Try again."
    )
