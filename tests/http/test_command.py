"""The command `tocsin`, run as a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from socket import gaierror
from urllib.parse import unquote

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from app.domain.shared.messages import format_count
from app.store.engine.database_errors import describe_failure
from app.store.engine.dialect import display_address, parse_database_url
from tests.client import TIMEOUT_SECONDS, Client
from tests.command_forks import CommandFork, run_in_fork, start_fork

COMMAND = str(Path(sys.executable).parent / "tocsin")
Process = asyncio.subprocess.Process | CommandFork
COUNT = "{ events { totalCount } }"


def command_environment(**overrides: str) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")
    }
    defaults = {"requests__query_timeout_seconds": str(TIMEOUT_SECONDS), "drain_seconds": "0"}
    overrides = defaults | overrides
    return inherited | {f"TOCSIN_{name.upper()}": value for name, value in overrides.items()}


async def run_command(folder: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Runs the command. Returns its exit code, standard output and standard error."""
    if arguments == ("serve",):
        arguments = ("serve", "--port", "0")  # the default port may be in use
    environment = command_environment(**settings)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        if "--workers" not in arguments:
            return await run_in_fork(folder, arguments, environment)
        process = await asyncio.create_subprocess_exec(
            COMMAND,
            *arguments,
            cwd=folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate()
        finally:
            await end_process(process)
    return process.returncode or 0, out.decode(), err.decode()


@contextlib.asynccontextmanager
async def start_server(
    folder: Path, port: int, *arguments: str, log_file: str = "", **settings: str
) -> AsyncIterator[tuple[Process, str]]:
    """Runs `tocsin serve`. Yields the process and its output until it responds.

    The server logs are written to the file, or to those of the tests.
    """
    command = ("serve", "--port", str(port), *arguments)
    async with contextlib.AsyncExitStack() as stack:
        stderr = stack.enter_context((folder / log_file).open("wb")) if log_file else None
        process: Process
        if "--workers" in arguments:  # processes that import what their parent has imported
            process = await asyncio.create_subprocess_exec(
                COMMAND,
                *command,
                cwd=folder,
                env=command_environment(**settings),
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
            stack.push_async_callback(end_process, process)
        else:
            process = await stack.enter_async_context(
                start_fork(
                    folder,
                    command,
                    command_environment(**settings),
                    err=None if stderr is None else stderr.fileno(),
                )
            )
        yield process, await read_until_it_answers(process, port)


async def read_until_it_answers(process: Process, port: int) -> str:
    assert process.stdout is not None
    printed = ""
    async with asyncio.timeout(TIMEOUT_SECONDS), Client(f"http://127.0.0.1:{port}") as probe:
        while "Tocsin is running at" not in printed:
            line = (await process.stdout.readline()).decode()
            assert line, f"ended with exit status {await process.wait()}"
            printed += line
        while True:
            with contextlib.suppress(Exception):
                if (await probe.http.get("/health")).status_code == 200:
                    return printed
            await asyncio.sleep(0.05)


async def end_process(process: Process) -> None:
    """Kills the process if it is still running."""
    if process.returncode is None:
        process.kill()
        await process.wait()


@pytest.fixture
def port() -> int:
    return find_free_port()


def find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_an_empty_directory_gets_a_database_and_the_link_is_printed_once(
    tmp_path: Path, port: int
) -> None:
    async with start_server(tmp_path, port) as (process, first):
        link = re.search(r"http://127\.0\.0\.1:\d+/graphql#key=(\S+)", first)
        assert link is not None
        async with Client(f"http://127.0.0.1:{port}", unquote(link[1])) as administrator:
            await administrator.log_event(summary="kept")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    async with (
        start_server(tmp_path, port) as (_, second),
        Client(f"http://127.0.0.1:{port}", unquote(link[1])) as administrator,
    ):
        counted = await administrator.execute_field(COUNT)

    assert link[0].startswith(f"http://127.0.0.1:{port}/")
    assert (tmp_path / "tocsin.db").exists()
    assert "key" not in second
    assert counted == {"totalCount": 1}


async def test_the_bootstrap_key_can_be_set_and_is_not_printed(tmp_path: Path, port: int) -> None:
    async with (
        start_server(tmp_path, port, bootstrap_key="a key/of my+own") as (_, printed),
        Client(f"http://127.0.0.1:{port}", "a key/of my+own") as administrator,
    ):
        counted = await administrator.execute_field(COUNT)

    assert printed == (
        f"Console: http://127.0.0.1:{port}/\nTocsin is running at http://127.0.0.1:{port}/graphql\n"
    )
    assert counted == {"totalCount": 0}


async def test_the_server_logs_tell_when_a_server_starts_and_stops(
    tmp_path: Path, port: int
) -> None:
    async with start_server(tmp_path, port, log_file="logs", bootstrap_key="k" * 32) as (
        process,
        _,
    ):
        process.send_signal(signal.SIGTERM)
        ended = await process.wait()

    logs = (tmp_path / "logs").read_text()
    started, stopped = [json.loads(line) for line in logs.splitlines()]
    assert ended == 0
    assert (started["event"], started["version"]) == ("server_started", version("tocsin"))
    assert (stopped["event"], stopped["level"]) == ("server_stopped", "info")


async def test_clients_resume_after_sigterm_closes_sockets_and_streams(
    tmp_path: Path, port: int
) -> None:
    bell = "subscription { notificationAdded { cursor } }"
    events = {"accept": "text/event-stream"}
    async with (
        start_server(tmp_path, port, bootstrap_key="k") as (process, _),
        Client(f"http://127.0.0.1:{port}", "k") as client,
        client.subscription(bell) as received,
        client.http.stream("POST", "/graphql", json={"query": bell}, headers=events) as stream,
    ):
        process.send_signal(signal.SIGTERM)
        await received.socket.connection.wait_closed()
        lines = [line async for line in stream.aiter_lines()]
        ended = await process.wait()

    assert received.socket.connection.close_code == 1012
    assert lines == [":", ""]  # not even `complete`
    assert ended == 0


async def test_concurrent_starts_create_one_database_and_one_key(
    database_url: str, tmp_path: Path
) -> None:
    empty = await create_empty_database(database_url, tmp_path)

    answers = await asyncio.gather(
        *(run_command(tmp_path, "migrate", database_url=empty) for _ in range(4))
    )

    assert [code for code, _, _ in answers] == [0, 0, 0, 0]
    assert sum("(shown only once)" in out for _, out, _ in answers) == 1


@pytest.mark.parametrize(
    ("url", "expected_message"),
    [
        ("mysql://a/b", "TOCSIN_DATABASE_URL: The database 'mysql' is not supported. Use "),
        ("no url", "TOCSIN_DATABASE_URL: The value is not a database URL. Use "),
        ("sqlite://", "TOCSIN_DATABASE_URL: The URL of a SQLite database must name a file"),
        (
            "sqlite:////nowhere/at/all.db",
            "The database file cannot be opened: its directory does not exist. Database: "
            "/nowhere/at/all.db",
        ),
        (
            "sqlite:////proc",
            "The database file cannot be opened: the path is a directory. Database: /proc",
        ),
        (
            "sqlite:////proc/tocsin.db",
            "The database file cannot be opened: "
            + (
                "the file does not exist, and was not created"
                if os.geteuid() == 0
                else "the server has no permission to create files in the directory of the "
                "database file"
            )
            + ". Database: /proc/tocsin.db",
        ),
        (
            "postgresql://nobody:hush@127.0.0.1:1/none",
            "The database at 127.0.0.1:1 cannot be reached: Connection refused.",
        ),
        (
            "postgresql://nobody:hush@localhost:1/none",
            "The database at localhost:1 cannot be reached: Connection refused.",
        ),
        (
            "postgresql://nobody:hush@/none?host=/nowhere",
            "The database at /nowhere:5432 cannot be reached: No such file or directory.",
        ),
    ],
)
async def test_a_database_that_cannot_be_opened_is_reported_in_one_line(
    tmp_path: Path, url: str, expected_message: str
) -> None:
    code, out, err = await run_command(tmp_path, "serve", database_url=url)

    assert (code, out) == (1, "")
    assert err.startswith(expected_message)
    assert "hush" not in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("secret", "short", "The secret for tokens has 5 bytes; at least 32 are required."),
        ("jwks_url", "id/keys", "The JWKS URL for tokens must be an https:// or http:// URL."),
        (
            "leeway_seconds",
            "4000",
            "Invalid leeway of 4,000 seconds for access tokens: expected 0 to 3,600 seconds.",
        ),
    ],
)
async def test_an_unusable_setting_for_tokens_is_named(
    tmp_path: Path, name: str, value: str, error: str
) -> None:
    answer = await run_command(tmp_path, "serve", **{f"jwt_{name}": value})

    assert answer == (2, "", f"TOCSIN_JWT_{name.upper()}: {error}\n")


async def test_a_port_in_use_is_an_error_and_no_database_is_created(
    tmp_path: Path, port: int
) -> None:
    with socket.create_server(("127.0.0.1", port)):
        code, out, err = await run_command(tmp_path, "serve", "--port", str(port))

    assert (code, out) == (1, "")
    assert err == (
        f"Cannot listen on 127.0.0.1:{port}: Address already in use. Choose a different address "
        "with --host, or a different port with --port.\n"
    )
    assert list(tmp_path.iterdir()) == []


async def test_an_address_that_cannot_be_used_is_an_error_with_its_cause(tmp_path: Path) -> None:
    port = await run_command(tmp_path, "serve", "--port", "99999")
    host = await run_command(tmp_path, "serve", "--host", "192.0.2.1", "--port", "0")

    assert port[:2] == (2, "")
    assert "65535" in port[2]
    assert host == (
        1,
        "",
        "Cannot listen on 192.0.2.1:0: Cannot assign requested address. Choose a different "
        "address with --host, or a different port with --port.\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_unspecified_ipv6_address_takes_both_families_and_prints_a_link(
    tmp_path: Path, port: int, workers: str
) -> None:
    options = ["--host", "::", "--workers", workers]
    async with start_server(tmp_path, port, *options) as (_, printed):
        link = re.search(r"http://(\S+)/graphql#key=(\S+)", printed)
        assert link is not None
        counted = []
        for host in (link[1], f"127.0.0.1:{port}", f"[::1]:{port}"):
            async with Client(f"http://{host}", unquote(link[2])) as administrator:
                counted.append(await administrator.execute_field(COUNT))

    assert printed.endswith(f"Tocsin is running at http://{link[1]}/graphql\n")
    assert counted == [{"totalCount": 0}] * 3


async def test_clients_with_ipv4_keep_their_addresses_beside_ipv6(
    tmp_path: Path, port: int
) -> None:
    """As IPv6 addresses they would be one network, and share the limit of failed attempts."""
    limits = {"failed_auth__free_attempts": "1", "failed_auth__max_delayed_requests": "0"}
    url = f"http://127.0.0.1:{port}"
    async with start_server(tmp_path, port, "--host", "::", **limits):
        statuses = [await guess_key(url, f"127.0.0.{number}") for number in (2, 2, 3)]

    assert statuses == [401, 429, 401]


async def guess_key(url: str, address: str, **headers: str) -> int:
    """Sends a wrong key from a local address. Returns the status of the response."""
    transport = httpx.AsyncHTTPTransport(verify=False, local_address=address)
    async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT_SECONDS) as client:
        credentials = {"authorization": "Bearer wrong"}
        response = await client.post(f"{url}/graphql", json={}, headers=credentials | headers)
    return response.status_code


@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_an_ipv6_address_is_printed_as_a_link(tmp_path: Path, port: int, host: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "serve", "--host", host, "--port", str(port)),
        cwd=tmp_path,
        env=command_environment(bootstrap_key="k"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT_SECONDS):
            printed = (await process.stdout.readline()).decode()
    finally:
        await end_process(process)

    assert printed == f"Console: http://[::1]:{port}/\n"


async def test_a_port_in_use_by_one_of_both_families_is_an_error(tmp_path: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        code, out, err = await run_command(tmp_path, "serve", "--host", "::", "--port", str(port))

    assert (code, out) == (1, "")
    assert err.startswith(f"Cannot listen on [::]:{port}: Address already in use")
    assert list(tmp_path.iterdir()) == []


async def test_a_bootstrap_key_for_a_database_with_keys_logs_a_warning(tmp_path: Path) -> None:
    await run_command(tmp_path, "migrate", bootstrap_key="first")

    same = await run_command(tmp_path, "migrate", bootstrap_key="first")
    other = await run_command(tmp_path, "migrate", bootstrap_key="second")

    assert "bootstrap_key_ignored" not in same[2]
    assert "bootstrap_key_ignored" in other[2]
    assert "second" not in other[2]


async def test_a_file_that_is_not_a_database_is_an_error_and_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "tocsin.db"
    file.write_text("dear diary, " * 1000)

    code, _, err = await run_command(tmp_path, "serve")

    assert code == 1
    assert err == (
        "The file is not a SQLite database, or it is damaged. Set TOCSIN_DATABASE_URL to a "
        f"different file, or restore a backup. Database: {file}\n"
    )
    assert file.read_text() == "dear diary, " * 1000


async def test_a_database_of_a_later_version_is_rejected(tmp_path: Path) -> None:
    await run_command(tmp_path, "migrate")
    engine = create_engine(f"sqlite:///{tmp_path}/tocsin.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("UPDATE log SET oldest_revision = '9999'"))
    engine.dispose()

    code, _, err = await run_command(tmp_path, "serve")

    assert code == 1
    assert "a later version of Tocsin has used the database" in err


def _database_error(message: str, sqlstate: str) -> DBAPIError:
    cause = Exception(f"<class 'asyncpg.exceptions.SomeError'>: {message}")
    cause.sqlstate = sqlstate  # type: ignore[attr-defined]
    return DBAPIError("SELECT 1", None, cause)


@pytest.mark.parametrize(
    ("error", "description"),
    [
        (
            _database_error('password authentication failed for user "me"', "28P01"),
            "The database at db.example:5433 cannot be reached: "
            'password authentication failed for user "me".',
        ),
        (TimeoutError(), "The database at db.example:5433 cannot be reached: no response in time."),
        (
            gaierror(-2, "Name or service not known"),
            "The database at db.example:5433 cannot be reached: Name or service not known.",
        ),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 5433), [Errno 1"),
            "The database at db.example:5433 cannot be reached: Connection refused.",
        ),
        (
            _database_error('database "events" does not exist', "3D000"),
            "The database does not exist. Database: postgresql://me@db.example:5433/events",
        ),
        (
            _database_error("permission denied for schema public", "42501"),
            "The database reported an error: permission denied for schema public. "
            "Database: postgresql://me@db.example:5433/events",
        ),
        (ArgumentError("a bug"), None),
    ],
)
def test_a_database_error_is_described_with_the_address_but_without_the_password(
    error: Exception, description: str | None
) -> None:
    url = make_url("postgresql://me:hush@db.example:5433/events")

    assert describe_failure(error, url) == description


def test_a_count_uses_singular_and_plural() -> None:
    counts = [format_count(number, "entry", "entries") for number in (0, 1, 1_000)]

    assert counts == ["0 entries", "1 entry", "1,000 entries"]
    assert format_count(2, "event") == "2 events"


async def test_the_version_is_printed(tmp_path: Path) -> None:
    assert await run_command(tmp_path, "--version") == (0, f"tocsin {version('tocsin')}\n", "")


async def test_the_printed_schema_equals_the_schema_file(tmp_path: Path) -> None:
    code, out, _ = await run_command(tmp_path, "schema")

    assert code == 0
    assert out == (Path(__file__).parents[2] / "schema.graphql").read_text()


async def request_health(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert length is not None
    await reader.readexactly(int(length[1]))


async def test_an_idle_connection_stays_open_for_proxies_until_sigterm(
    tmp_path: Path, port: int
) -> None:
    async with (
        start_server(tmp_path, port, drain_seconds="0", requests__headers_timeout_seconds="4") as (
            process,
            _,
        ),
        asyncio.timeout(TIMEOUT_SECONDS),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await request_health(reader, writer)
        await asyncio.sleep(6)  # longer than the default of uvicorn, and than the headers may take
        await request_health(reader, writer)
        process.send_signal(signal.SIGTERM)
        rest = await reader.read()
        ended = await process.wait()
        writer.close()

    assert (rest, ended) == (b"", 0)


async def test_an_idle_connection_is_closed_after_the_time_of_the_setting(
    tmp_path: Path, port: int
) -> None:
    settings = {"requests__keep_alive_seconds": "1"}
    async with start_server(tmp_path, port, **settings), asyncio.timeout(TIMEOUT_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await request_health(reader, writer)
        rest = await reader.read()
        writer.close()

    assert rest == b""


async def create_empty_database(database_url: str, folder: Path) -> str:
    if database_url.startswith("sqlite"):
        return f"sqlite:///{folder}/empty.db"
    import asyncpg

    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    return database_url


async def create_older_database(database_url: str, folder: Path) -> str:
    """Creates a database that lacks migrations; on PostgreSQL all of them."""
    older = await create_empty_database(database_url, folder)
    if older.startswith("sqlite"):
        engine = create_engine(older)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
            connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
        engine.dispose()
    return older


def missing_tables_message(database_url: str) -> str:
    """Returns the error message for a database that is not migrated."""
    where = display_address(parse_database_url(database_url))
    return f"The database at {where} is not migrated to this version. Run `tocsin migrate` first."
