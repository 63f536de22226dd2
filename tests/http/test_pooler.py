"""PgBouncer in transaction mode: works with the URL of the database, and is rejected without it.

PgBouncer is the package of Debian; `.ci/run` installs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text

from app.domain.shared.limits import DatabaseLimits
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import display_address, parse_database_url
from app.store.engine.pooler_checks import has_transaction_pooler
from tests.client import Client
from tests.conftest import Serve
from tests.http.test_command import create_empty_database, find_free_port, run_command, start_server
from tests.http.test_workers import HEAD, log_events, read_notifications
from tests.pooler import run_pooler
from tests.postgresql_server import execute

SETTING = "SELECT current_setting('{}')"
# Of a connection for writes, and of the row reader.
SESSION_SETTINGS = [["30s", "5s", "1min", "off"], ["30s", "5s", "0", "on"]]


@pytest.fixture(params=["postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def pooler_message(url: str) -> str:
    address = url.split("@")[1].split("/")[0]
    return (
        f"The database at {address} is behind a connection pooler: the transactions of a "
        "connection run in different sessions. Set TOCSIN_DATABASE_DIRECT_URL to the URL of the "
        "database server itself, without the pooler.\n"
    )


async def fetch_session_settings(url: str) -> list[list[str]]:
    names = (
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "default_transaction_read_only",
    )
    statement = f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}"
    database = Database(url)
    try:
        async with database.write(ALL_ORGANIZATIONS) as session:
            [written] = (await session.execute(text(statement))).all()
        [read] = await database.row_reader.fetch_rows(statement, [])
    finally:
        await database.close()
    return [list(written), list(read)]


@pytest.fixture
async def pooler_url(database_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """The pooler has fewer connections than the servers: every transaction may use a different
    one.
    """
    async with run_pooler(database_url, tmp_path, default_pool_size="4") as url:
        yield url


async def test_several_servers_work_through_the_pooler(
    database_url: str, pooler_url: str, tmp_path: Path
) -> None:
    empty = await create_empty_database(database_url, tmp_path)
    settings = {"database_url": pooler_url, "database_direct_url": empty, "bootstrap_key": "k"}
    port = find_free_port()
    async with start_server(tmp_path, port, "--workers", "2", **settings) as (_, _printed):
        async with Client(f"http://127.0.0.1:{port}", "k") as client:
            head = await client.execute_field(HEAD)
        readers = [asyncio.create_task(read_notifications(port, head, 80)) for _ in range(4)]
        await asyncio.gather(
            *(log_events(port, range(first, first + 10)) for first in range(0, 80, 10))
        )
        received = await asyncio.gather(*readers)
        code, out, err = await run_command(tmp_path, "keys", "list", **settings)

    assert [sorted(each) for each in received] == [[f"{number:02}" for number in range(80)]] * 4
    assert received == [received[0]] * 4
    assert code == 0, err
    assert "administrator" in out


async def test_servers_are_detected_although_they_use_the_pooler(
    database_url: str, pooler_url: str, tmp_path: Path
) -> None:
    settings = {"database_url": pooler_url, "database_direct_url": database_url}
    async with start_server(tmp_path, find_free_port(), **settings):
        code, _, err = await run_command(tmp_path, "migrate", "--new-epoch", **settings)

    assert code == 1
    assert err.startswith("Servers are using the database")


async def test_every_transaction_has_the_timeouts(database_url: str, pooler_url: str) -> None:
    database = Database(pooler_url, database_url)
    try:
        async with database.read(ALL_ORGANIZATIONS) as session:
            read = [
                await session.scalar(text(SETTING.format(name)))
                for name in ("statement_timeout", "transaction_isolation", "transaction_read_only")
            ]
        async with database.write(ALL_ORGANIZATIONS) as session:
            written = await session.scalar(text(SETTING.format("lock_timeout")))
        [[row]] = await database.row_reader.fetch_rows(SETTING.format("statement_timeout"), [])
        [[read_only]] = await database.row_reader.fetch_rows(
            SETTING.format("transaction_read_only"), []
        )
    finally:
        await database.close()

    assert read == ["30s", "repeatable read", "on"]
    assert (written, row, read_only) == ("5s", "30s", "on")


async def test_concurrent_reads_and_writes_return_their_own_results(
    database_url: str, pooler_url: str
) -> None:
    database = Database(pooler_url, database_url, DatabaseLimits(connections=20))

    async def read_by_reader(number: int) -> int:
        [[value]] = await database.row_reader.fetch_rows("SELECT $1::int", [number])
        return int(value)

    async def read_by_session(number: int) -> int:
        async with database.read(ALL_ORGANIZATIONS) as session:
            return int((await session.execute(text("SELECT :n + 0"), {"n": number})).scalar_one())

    try:
        values = await asyncio.gather(
            *(read(number) for number in range(200) for read in (read_by_reader, read_by_session))
        )
    finally:
        await database.close()

    assert values == [number for number in range(200) for _ in range(2)]


async def test_a_server_responds_through_the_pooler(
    database_url: str, pooler_url: str, serve: Serve
) -> None:
    async with serve(pooler_url, database_direct_url=database_url) as client:
        await client.log_event(summary="kept")
        counted = await client.execute_field("{ events { totalCount } }")
        ready = await client.http.get("/ready")

    assert (counted, ready.status_code) == ({"totalCount": 1}, 200)


@pytest.mark.parametrize("command", ["serve", "migrate", "migrate --new-epoch", "prune", "export"])
async def test_a_pooler_without_direct_url_is_rejected_with_the_reason(
    pooler_url: str, tmp_path: Path, command: str
) -> None:
    arguments = (
        ["prune", "--before", "2026-01-01", "--yes"] if command == "prune" else command.split()
    )
    code, out, err = await run_command(tmp_path, *arguments, database_url=pooler_url)

    assert (code, out, err) == (1, "", pooler_message(pooler_url))


async def test_the_direct_url_must_not_be_of_a_pooler(
    database_url: str, pooler_url: str, tmp_path: Path
) -> None:
    code, out, err = await run_command(
        tmp_path, "migrate", database_url=database_url, database_direct_url=pooler_url
    )

    assert (code, out, err) == (1, "", pooler_message(pooler_url))


@pytest.mark.parametrize("round_robin", ["0", "1"])
@pytest.mark.parametrize("idle_sessions", [1, 2, 3, 4])
async def test_a_pooler_is_detected_whichever_of_its_sessions_it_uses(
    database_url: str, tmp_path: Path, round_robin: str, idle_sessions: int
) -> None:
    async with run_pooler(database_url, tmp_path, server_round_robin=round_robin) as url:
        connections = [await asyncpg.connect(url) for _ in range(idle_sessions)]
        transactions = [connection.transaction() for connection in connections]
        for transaction in transactions:
            await transaction.start()  # at the same time, so that each needs its own session
        for transaction, connection in zip(transactions, connections, strict=True):
            await transaction.rollback()
            await connection.close()
        detected = [await has_transaction_pooler(parse_database_url(url)) for _ in range(3)]

    assert detected == [True] * 3


async def test_a_pooler_in_session_mode_needs_no_direct_url_and_no_settings(
    database_url: str, tmp_path: Path
) -> None:
    async with run_pooler(database_url, tmp_path, pool_mode="session") as url:
        async with (
            start_server(tmp_path, port := find_free_port(), database_url=url),
            Client(f"http://127.0.0.1:{port}") as client,
        ):
            counted = await client.execute_field("{ events { totalCount } }")
        settings = await fetch_session_settings(url)

    assert counted == {"totalCount": 0}
    assert settings == await fetch_session_settings(database_url) == SESSION_SETTINGS


async def test_settings_apply_although_a_pooler_ignores_startup_parameters(
    database_url: str, tmp_path: Path
) -> None:
    ignored = (
        "default_transaction_read_only,idle_in_transaction_session_timeout,lock_timeout,"
        "statement_timeout"
    )
    options = {"ignore_startup_parameters": ignored, "pool_mode": "session"}
    async with run_pooler(database_url, tmp_path, **options) as url:
        settings = await fetch_session_settings(url)

    assert settings == SESSION_SETTINGS


@pytest.mark.parametrize(
    ("url", "direct_url"),
    [
        ("postgresql://db.example/events", "sqlite:///tocsin.db"),
        ("sqlite:///tocsin.db", "postgresql://db.example/events"),
    ],
)
async def test_the_direct_url_is_only_for_postgresql(
    tmp_path: Path, url: str, direct_url: str
) -> None:
    code, _, err = await run_command(
        tmp_path, "serve", database_url=url, database_direct_url=direct_url
    )

    assert code == 2
    assert err == (
        "TOCSIN_DATABASE_DIRECT_URL: Both this setting and TOCSIN_DATABASE_URL must be "
        "PostgreSQL URLs.\n"
    )


@pytest.mark.parametrize(
    ("url", "direct_url", "message"),
    [
        (
            "&foo=1",
            "",
            "TOCSIN_DATABASE_URL: The parameter 'foo' is not supported: remove this parameter.\n",
        ),
        (
            "",
            "&foo=1",
            "TOCSIN_DATABASE_DIRECT_URL: The parameter 'foo' is not supported: remove this "
            "parameter.\n",
        ),
    ],
)
async def test_an_invalid_url_is_named_by_its_own_variable(
    database_url: str, tmp_path: Path, url: str, direct_url: str, message: str
) -> None:
    _, out, err = await run_command(
        tmp_path,
        "migrate",
        database_url=database_url + url,
        database_direct_url=database_url + direct_url,
    )

    assert (out, err) == ("", message)


@pytest.mark.parametrize("command", ["migrate", "migrate --new-epoch", "keys list", "serve"])
async def test_a_direct_url_of_another_database_is_an_error_and_nothing_is_created(
    postgresql: str, pooler_url: str, tmp_path: Path, command: str
) -> None:
    name = f"test_{uuid4().hex}"
    await execute(postgresql, f"CREATE DATABASE {name}")
    other = postgresql.format(name)
    code, out, err = await run_command(
        tmp_path, *command.split(), database_url=pooler_url, database_direct_url=other
    )
    connection = await asyncpg.connect(other)
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    await execute(postgresql, f"DROP DATABASE {name}")

    assert (code, out, tables) == (1, "", 0)
    addresses = [display_address(parse_database_url(url)) for url in (pooler_url, other)]
    assert err == (
        f"TOCSIN_DATABASE_URL ({addresses[0]}) and TOCSIN_DATABASE_DIRECT_URL ({addresses[1]}) "
        "point to different databases. Set both to the same database: the first through the "
        "pooler, the second directly.\n"
    )


async def test_an_unreachable_direct_url_is_named_by_its_address(
    pooler_url: str, tmp_path: Path
) -> None:
    direct_url = "postgresql://me@127.0.0.1:1/events"
    code, _, err = await run_command(
        tmp_path, "serve", database_url=pooler_url, database_direct_url=direct_url
    )

    assert code == 1
    assert err == "The database at 127.0.0.1:1 cannot be reached: Connection refused.\n"
