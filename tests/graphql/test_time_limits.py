"""Time limits of operations, and the errors of cancelled ones."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from app.domain.shared.limits import RequestLimits
from app.store.engine.database import ALL_ORGANIZATIONS, Database, track_commits
from tests.client import LOG_EVENT, TIMEOUT_SECONDS, Client
from tests.cloudevent_client import cloud_event, count_rows, send_structured
from tests.conftest import POSTGRESQL, SQLITE, Serve

# Any wait for a database takes longer than 1e-06 s.
NO_TIME = {"query_timeout_seconds": 1e-6, "mutation_timeout_seconds": 1e-6}
QUERY = "{ eventChanges { nodes { kind } } }"
PLANNED = "{ events { nodes { id } } }"  # on SQLite, a plan reads it before the timeout can fire
BELL = "subscription { notificationAdded { node { summary } } }"
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.mark.parametrize(
    ("query", "dialect"),
    [(QUERY, SQLITE), (QUERY, POSTGRESQL), (PLANNED, POSTGRESQL)],
    indirect=["dialect"],
)
async def test_a_query_over_its_time_limit_is_cancelled(
    serve: Serve, database_url: str, query: str
) -> None:
    async with serve(database_url, requests=NO_TIME) as client:
        over_http = await client.post(query)
        async with client.subscription(query) as subscription:
            over_socket = await subscription.receive_error()
        afterwards = await send_structured(client, cloud_event())

    error = {
        "message": "The query took longer than 1e-06 s and was cancelled. Request less data.",
        "extensions": {"code": "LIMIT_EXCEEDED"},
    }
    assert over_http.status_code == 200
    assert over_http.json() == {
        "data": None,
        "errors": [error],
        "extensions": {"cost": {"requested": 21, "limit": 2_000}},
    }
    assert over_socket == error
    assert afterwards.status_code == 202


async def test_a_mutation_cancelled_before_its_commit_changes_nothing(
    serve: Serve, database_url: str, database: Database
) -> None:
    before = await count_rows(database)
    async with serve(database_url, requests=NO_TIME) as client:
        over_http = await client.expect_error(LOG_EVENT, input={"summary": "a"})
        async with client.subscription(LOG_EVENT, input={"summary": "b"}) as subscription:
            over_socket = await subscription.receive_error()

    assert over_http == over_socket
    assert over_http["extensions"] == {"code": "LIMIT_EXCEEDED"}
    assert over_http["message"] == (
        "The mutation took longer than 1e-06 s and was cancelled. Nothing was changed."
    )
    assert await count_rows(database) == before


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_mutation_cancelled_after_its_commit_may_have_changed_data(
    serve: Serve, database_url: str, database: Database
) -> None:
    """PostgreSQL only, because a table lock there can block the reads of the response but not
    the writes.
    """
    mutation = """mutation { logEvent(input: {source: "/a", sourceId: "1"}) {
      event { correlations { totalCount } } duplicate } }"""
    async with (
        serve(database_url, requests={"mutation_timeout_seconds": 5}) as client,
        database.write(ALL_ORGANIZATIONS) as session,
    ):
        await session.execute(text("LOCK TABLE correlation IN ACCESS EXCLUSIVE MODE"))
        error = await client.expect_error(mutation)
    async with serve(database_url) as client:
        again = await client.execute_field(mutation)

    assert error["extensions"] == {"code": "LIMIT_EXCEEDED"}
    assert error["message"] == (
        "The mutation took longer than 5 s and was cancelled. Its changes may have been saved: "
        "check the data before you retry. Events that have a sourceId can safely be logged again."
    )
    assert again["duplicate"] is True


async def test_a_subscription_may_last_longer_than_a_query(serve: Serve, database_url: str) -> None:
    query_seconds = 3  # a subscription must begin within this time, on a busy machine too
    async with (
        serve(database_url, requests={"query_timeout_seconds": query_seconds}) as client,
        client.subscription(BELL) as subscription,
    ):
        for number in range(5):
            await send_structured(client, cloud_event(id=str(number), notification=True))
            await asyncio.sleep(query_seconds / 4)
        await subscription.receive_many(5)


async def test_a_commit_is_tracked_from_its_start(database: Database) -> None:
    with track_commits() as undone, pytest.raises(ValueError, match="no"):
        async with database.write(ALL_ORGANIZATIONS):
            raise ValueError("no")
    with track_commits() as read:
        async with database.read(ALL_ORGANIZATIONS):
            pass
    with track_commits() as written:
        async with database.write(ALL_ORGANIZATIONS):
            before = written.started

    assert (undone.started, read.started, before, written.started) == (False, False, False, True)


async def test_cancelling_a_request_cancels_its_statement(
    database: Database,
) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), database.read(ALL_ORGANIZATIONS) as session:
                await session.execute(text(ENDLESS))

    assert database.connections_in_use == 0
    async with database.read(ALL_ORGANIZATIONS) as session:
        assert (await session.execute(text("SELECT 1"))).scalar() == 1


@pytest.mark.parametrize("path", ["/graphql", "/cloudevents"])
async def test_a_request_body_that_does_not_arrive_in_time_is_rejected(
    serve: Serve, sqlite_template: Path, tmp_path: Path, path: str
) -> None:
    database_url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'tocsin.db')}"
    async with serve(database_url, requests={"body_timeout_seconds": 0.2}) as client:
        answer = await send_partial_request(client, path)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert b"The request body was not received within 0.2 s." in body
    assert b"LIMIT_EXCEEDED" in body


async def send_partial_request(client: Client, path: str) -> bytes:
    """Sends a request without its body. Returns the whole response until the connection closes."""
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {client.headers['authorization']}"
        "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        answer = await reader.read()
    writer.close()
    return answer


def test_the_default_time_limits() -> None:
    limits = RequestLimits()

    assert (
        limits.query_timeout_seconds,
        limits.mutation_timeout_seconds,
        limits.body_timeout_seconds,
    ) == (5, 60, 10)
