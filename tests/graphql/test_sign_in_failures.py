"""Failed authentication: audit entries of known keys, server logs and the metric."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import col
from structlog.testing import capture_logs

from app.domain.access.caller import Permission
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client
from tests.conftest import Serve
from tests.factories import create_api_key
from tests.graphql.test_audit_entries import CREATE_KEY, REVOKE, list_entries

NAME = "{ viewer { name } }"


async def create_revoked_key(client: Client) -> tuple[str, str]:
    """Returns ID and secret."""
    granted = {"name": "desk", "permissions": ["EVENT_READ"]}
    created = await client.execute_field(CREATE_KEY, input=granted)
    await client.execute_field(REVOKE, id=created["apiKey"]["id"])
    return created["apiKey"]["id"], created["secret"]


async def list_failures(client: Client) -> list[Any]:
    return await list_entries(client, actions=["SIGN_IN_FAILED"])


async def test_the_use_of_a_revoked_key_is_recorded_once_a_minute_by_all_servers(
    own_client: Client, database: Database, database_url: str, serve: Serve
) -> None:
    key_id, secret = await create_revoked_key(own_client)

    async with serve(database_url) as second:
        callers = [own_client.as_key(secret), second.as_key(secret)] * 5
        responses = await asyncio.gather(*(each.post(NAME) for each in callers))
    [failure] = await list_failures(own_client)
    async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
        statement = update(tables.ApiKey).where(col(tables.ApiKey.name) == "desk")
        minute_ago = datetime.now(UTC) - timedelta(minutes=1)
        await session.execute(statement.values(sign_in_failed_at=minute_ago))
    await own_client.as_key(secret).post(NAME)

    assert [each.status_code for each in responses] == [401] * 10
    assert (failure["subjectType"], failure["subjectId"], failure["actor"]) == (
        *("ApiKey", key_id, "desk"),
    )
    assert failure["changes"] == {"reason": [None, "REVOKED"]}
    assert len(await list_failures(own_client)) == 2


async def test_the_use_of_an_expired_key_is_recorded(
    own_client: Client, database: Database
) -> None:
    expires_at = datetime(2026, 1, 1, tzinfo=UTC)
    secret = await create_api_key(database, Permission.EVENT_READ, expires_at=expires_at)

    response = await own_client.as_key(secret).post(NAME)

    [failure] = await list_failures(own_client)
    assert response.status_code == 401
    assert (failure["subjectName"], failure["changes"]) == (
        "key of default",
        {"reason": [None, "EXPIRED"]},
    )


async def test_unknown_credentials_are_logged_and_counted_but_not_recorded(
    own_client: Client,
) -> None:
    _, revoked = await create_revoked_key(own_client)
    before = await count_failures(own_client)

    with capture_logs() as logs:
        for secret in ("tocsin_unknown", None, "a.b.c", revoked):
            await own_client.as_key(secret).post(NAME)

    failures = [each for each in logs if each["event"] == "authentication_failed"]
    assert [(each["reason"], each["address"]) for each in failures] == [
        *[("invalid", "127.0.0.1")] * 3,
        ("inactive", "127.0.0.1"),
    ]
    assert failures[3]["cause"] == "The API key was revoked."
    assert revoked not in str(logs)
    assert len(await list_failures(own_client)) == 1
    after = await count_failures(own_client)
    assert {reason: after[reason] - before.get(reason, 0) for reason in after} == {
        "invalid": 3,
        "inactive": 1,
    }


async def count_failures(client: Client) -> dict[str, int]:
    lines = (await client.http.get("/metrics")).text
    pattern = r'^tocsin_failed_authentications_total{reason="(\w+)"} (\d+)'
    return {
        reason: int(count)
        for reason, count in re.findall(pattern, lines, re.MULTILINE)
        if reason != "throttled"
    }
