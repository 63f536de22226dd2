"""Locked, read-only or unreachable databases: the cause is reported and nothing partly written."""

from __future__ import annotations

import sqlite3

import asyncpg
import pytest

from tests.client import LOG_EVENT, Client
from tests.conftest import Serve
from tests.factories import make_file_read_only

COUNT = "{ events { totalCount } }"
UPDATE = """
mutation ($id: ID!) { updateEvent(input: {id: $id, summary: "changed"}) { userErrors { code } } }
"""


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def test_health_needs_no_key(client: Client) -> None:
    answer = await client.as_key(None).http.get("/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_subscription_by_post_names_the_supported_transports(client: Client) -> None:
    error = await client.expect_error("subscription { notificationAdded { cursor } }")

    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert "graphql-transport-ws" in error["message"]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_locked_file_is_reported_and_nothing_is_written(
    client: Client, database_url: str
) -> None:
    event = await client.log_event(summary="kept")
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    logged = await client.expect_error(LOG_EVENT, input={})
    other.execute("ROLLBACK")
    other.close()

    assert logged["extensions"]["code"] == "UNAVAILABLE"
    assert logged["message"] == "The database is locked by another process. Try again."
    assert await client.execute_field(COUNT) == {"totalCount": 1}
    assert await client.execute_field(UPDATE, id=event["id"]) == {"userErrors": []}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_locked_row_is_reported_and_nothing_is_written(
    client: Client, database_url: str
) -> None:
    event = await client.log_event(summary="kept")
    other = await asyncpg.connect(database_url)
    holding = other.transaction()
    await holding.start()
    await other.execute("UPDATE event SET summary = 'held'")

    updated = await client.expect_error(UPDATE, id=event["id"])
    await holding.rollback()
    await other.close()

    assert updated["extensions"]["code"] == "UNAVAILABLE"
    assert updated["message"] == "The database is locked by another process. Try again."
    payload = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { summary version } }", id=event["id"]
    )
    assert payload == {"summary": "kept", "version": 1}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_read_only_file_can_be_read_but_not_written(
    database_url: str, serve: Serve
) -> None:
    make_file_read_only(database_url)

    async with serve(database_url) as client:
        refused = await client.post(LOG_EVENT, input={})
        listed = await client.execute_field(COUNT)

    [error] = refused.json()["errors"]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert error["message"] == "The database is read-only."
    assert listed == {"totalCount": 0}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_read_only_database_can_be_read_but_not_written(
    database_url: str, serve: Serve
) -> None:
    name = database_url.split("@/")[1].split("?")[0]
    administration = await asyncpg.connect(database_url)
    await administration.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await administration.close()

    async with serve(database_url) as client:
        error = await client.expect_error(LOG_EVENT, input={})
        listed = await client.execute_field(COUNT)

    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert error["message"] == "The database is read-only."
    assert listed == {"totalCount": 0}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_an_unreachable_database_results_in_503_and_the_server_keeps_running(
    client: Client, database_url: str
) -> None:
    name = database_url.split("@/")[1].split("?")[0]
    administration = await asyncpg.connect(database_url.replace(name, "postgres"))
    await administration.execute(f"DROP DATABASE {name} WITH (FORCE)")

    gone = await client.post(COUNT)
    health = await client.http.get("/health")
    await administration.execute(f"CREATE DATABASE {name} TEMPLATE template_of_tests")
    back = await client.execute_field(COUNT)
    await administration.close()

    assert gone.status_code == 503
    assert gone.headers["retry-after"] == "5"
    assert gone.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    assert health.status_code == 200
    assert back == {"totalCount": 0}


async def test_an_unexpected_error_is_returned_with_a_reference_only(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("SELECT secret FROM api_key")

    monkeypatch.setattr("app.store.reading.projection.count_rows", broken)

    error = await client.expect_error("{ events { totalCount nodes { cloudEvent } } }")

    assert (
        error["message"]
        == "Internal server error. Report the reference of this error to the operator of the "
        "server."
    )
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert len(error["extensions"]["reference"]) == 32
