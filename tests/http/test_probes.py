"""Health checks, request IDs and server logs of requests."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import structlog
from sqlalchemy import text, update
from websockets import Subprotocol
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.services.change_log.feed import Feed
from app.services.runtime.health import HealthMonitor
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import Serve
from tests.factories import make_file_read_only, make_file_writable

LOG_EVENT = "mutation { logEvent(input: {}) { userErrors { code } } }"
READY = {
    "status": "ready",
    "database": "reachable",
    "migrations": "up to date",
}


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def test_a_working_server_is_ready(client: Client) -> None:
    answer = await wait_for_ready(client.as_key(None), 200)

    assert answer == READY | {"changeLogLag": {"entries": 0, "seconds": 0.0}}


async def test_a_database_of_another_version_is_not_ready(
    client: Client, database: Database
) -> None:
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0001'"))

    answer = await wait_for_ready(client, 503)

    why = "The database is not migrated to this version of Tocsin. Run `tocsin migrate`."
    assert answer == READY | {"status": "unready", "migrations": why}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_server_without_its_database_is_not_ready_until_it_is_back(
    client: Client, database_url: str
) -> None:
    name = database_url.split("@/")[1].split("?")[0]
    administration = await asyncpg.connect(database_url.replace(name, "postgres"))
    await administration.execute(f"DROP DATABASE {name} WITH (FORCE)")

    gone = await wait_for_ready(client, 503)
    alive = await client.http.get("/health")
    await administration.execute(f"CREATE DATABASE {name} TEMPLATE template_of_tests")
    await administration.close()
    back = await wait_for_ready(client, 200)

    assert gone["status"] == "unready"
    assert gone.keys() == {"status", "database"}
    assert gone["database"] in (
        "The database does not exist.",
        "The database closed the connection. Try again.",
        "The database cannot be reached.",
    )
    assert alive.status_code == 200
    assert back == READY | {"changeLogLag": {"entries": 0, "seconds": 0.0}}


READ_ONLY = (
    "The database is read-only. Events can be read, but not logged. Allow the server to write to "
    "the file and its directory (SQLite), or connect it to a primary server that accepts writes "
    "(PostgreSQL)."
)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_server_whose_database_file_is_read_only_is_not_ready_until_it_can_write(
    database_url: str, serve: Serve
) -> None:
    make_file_read_only(database_url)

    async with serve(database_url) as client:
        refused = await wait_for_ready(client, 503)
        rejected = await client.expect_error(LOG_EVENT)
        make_file_writable(database_url)
        again = await wait_for_ready(client, 200)
        logged = await client.log_event(summary="after it")

    assert refused == {"status": "unready", "database": READ_ONLY}
    assert rejected["extensions"]["code"] == "UNAVAILABLE"
    assert again == READY | {"changeLogLag": {"entries": 0, "seconds": 0.0}}
    assert logged["summary"] == "after it"


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_server_whose_database_accepts_no_writes_is_not_ready(
    database_url: str, serve: Serve
) -> None:
    name = database_url.split("@/")[1].split("?")[0]
    administration = await asyncpg.connect(database_url)
    await administration.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await administration.close()

    async with serve(database_url) as client:
        refused = await wait_for_ready(client, 503)

    assert refused == {"status": "unready", "database": READ_ONLY}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_file_that_another_process_writes_leaves_the_process_ready(
    database: Database, database_url: str
) -> None:
    monitor = HealthMonitor(database, Feed(database, 10, 1_000_000))
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    with contextlib.closing(other):
        other.execute("BEGIN IMMEDIATE")

        report = await monitor.check_health()

    assert (report.problems, report.is_slow) == ({}, False)


async def test_a_feed_that_lags_is_reported_and_leaves_the_process_ready(
    client: Client, database: Database
) -> None:
    feed = Feed(database, 10, 1_000_000)  # it is at the start of the log, and does not read
    monitor = HealthMonitor(database, feed)
    await client.log_event(summary="unread")
    async with database.write(ALL_ORGANIZATIONS) as session:
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        await session.execute(update(tables.Change).values(at=hour_ago))

    report = await monitor.check_health()

    assert report.is_ready
    assert report.lag is not None
    assert report.lag.entries >= 1
    assert 3600 <= report.lag.seconds < 3600 + TIMEOUT_SECONDS


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_slow_database_is_reported_and_leaves_the_process_ready(
    client: Client, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE alembic_version")
        await asyncio.sleep(1)  # until the last report is no longer used

        response = await client.http.get("/ready")
    await connection.close()

    problem = "The database did not respond within 0.9 seconds."
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "database": problem}


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
async def test_probes_answer_head_requests(client: Client, path: str) -> None:
    response = await client.http.head(path)

    assert (response.status_code, response.content) == (200, b"")
    assert (await client.http.get(path)).status_code == 200


async def test_concurrent_probes_run_one_health_check(
    client: Client, statements: list[str]
) -> None:
    await asyncio.sleep(0)
    statements.clear()

    await asyncio.gather(*(client.http.get("/ready") for _ in range(20)))

    assert sum("alembic_version" in each for each in statements) <= 1


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_response_has_the_request_id_if_it_is_valid(client: Client) -> None:
    ids_by_request = {}
    for request_id in ("order-7/a.b", "", "two words", "x" * 129):
        answer = await client.http.get("/health", headers={"x-request-id": request_id})
        ids_by_request[request_id] = answer.headers["x-request-id"]

    assert ids_by_request.pop("order-7/a.b") == "order-7/a.b"
    assert [len(generated_id) for generated_id in ids_by_request.values()] == [32, 32, 32]
    assert len(set(ids_by_request.values())) == 3


LOG_LONG_LINES = """
import logging
import structlog
from app.telemetry import configure_logs

configure_logs()
structlog.get_logger().warning("x" * 20_000)
logging.getLogger("library").warning("y" * 20_000)
"""


def test_each_line_of_the_server_logs_is_one_write_so_that_no_kill_leaves_it_without_its_end() -> (
    None
):
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # keeps writes apart
    with reader, writer:
        program = [sys.executable, "-c", LOG_LONG_LINES]

        subprocess.run(program, stderr=writer.fileno(), check=True, timeout=TIMEOUT_SECONDS)
        writer.close()
        writes = [reader.recv(100_000) for _ in range(3)]

    assert [write[-1:] for write in writes] == [b"\n", b"\n", b""]
    assert [json.loads(write)["event"] for write in writes[:2]] == ["x" * 20_000, "y" * 20_000]


UNPLANNED = "{ events { totalCount nodes { cloudEvent } } }"


async def test_log_lines_of_a_request_have_its_id(
    database_url: str, serve: Serve, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("app.store.reading.projection.count_rows", broken)
    async with serve(database_url, access_log=True) as client:
        headers = {"x-request-id": "request-1"}
        # A document of its own: why it has no plan is logged once, also by servers of other tests.
        query = f"{UNPLANNED} # {uuid4()}"
        await client.http.post("/graphql", headers=headers, json={"query": query})

    lines: list[dict[str, Any]] = [json.loads(line) for line in logged.getvalue().splitlines()]
    of_it = [each for each in lines if each.get("request_id") == "request-1"]
    why, *of_it = of_it
    assert (why["event"], why["reason"]) == ("not_planned", "Event.cloudEvent")
    assert [each["event"] for each in of_it] == ["internal_error", "request"]
    assert of_it[1]["method"] == "POST"
    assert (of_it[1]["path"], of_it[1]["status"]) == ("/graphql", 200)


@pytest.mark.parametrize("path", ["/nowhere", "/graphql"])  # by FastAPI, and past it
async def test_a_socket_that_is_refused_is_in_the_access_log_with_its_request_id(
    database_url: str, serve: Serve, logged: io.StringIO, path: str
) -> None:
    headers = {"x-request-id": "socket-1", "origin": "http://evil.example"}
    async with serve(database_url, access_log=True) as client:
        address = client.url.replace("http", "ws", 1)
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{address}{path}", additional_headers=headers):
                pass

    lines: list[dict[str, Any]] = [json.loads(line) for line in logged.getvalue().splitlines()]
    [line] = [each for each in lines if each.get("method") == "WEBSOCKET"]
    assert refused.value.response.status_code == 403
    assert (line["path"], line["status"], line["request_id"]) == (path, 403, "socket-1")


async def test_an_accepted_socket_has_its_request_id_and_is_in_the_access_log_when_it_is_closed(
    database_url: str, serve: Serve, logged: io.StringIO
) -> None:
    async with serve(database_url, access_log=True) as client:
        address = client.url.replace("http", "ws", 1)
        headers = {"x-request-id": "socket-1", "origin": client.url}
        async with connect(
            f"{address}/graphql",
            subprotocols=[Subprotocol("other")],
            additional_headers=headers,
        ) as socket:
            await socket.wait_closed()

    lines: list[dict[str, Any]] = [json.loads(line) for line in logged.getvalue().splitlines()]
    [line] = [each for each in lines if each.get("method") == "WEBSOCKET"]
    assert socket.response is not None
    assert socket.response.headers["x-request-id"] == "socket-1"
    assert (line["path"], line["request_id"]) == ("/graphql", "socket-1")
    assert line["status"] == socket.close_code


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """The server logs, one JSON object per line."""
    lines = io.StringIO()
    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(lines),
    )
    yield lines
    structlog.configure(**before)


async def wait_for_ready(client: Client, status: int) -> Any:
    """Waits until /ready has the status and the database responds in time. Returns its body."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            answer = await client.http.get("/ready")
            report = answer.json()
            if answer.status_code == status and "did not respond" not in report["database"]:
                return report
            await asyncio.sleep(0.05)
