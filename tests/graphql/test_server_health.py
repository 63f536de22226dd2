"""The health of the server, for administrators."""

from __future__ import annotations

from importlib.metadata import version

from tests.client import Client
from tests.conftest import SQLITE

HEALTH = "{ serverHealth { version database problems lagEntries lagSeconds subscribers } }"
CREATE_KEY = """mutation { createApiKey(
  input: { name: "manager", permissions: [ORGANIZATION_MANAGE] }
) { secret } }"""
CHANGES = "subscription { eventChanged { cursor } }"


async def test_the_health_of_the_server_is_read(client: Client, dialect: str) -> None:
    health = await client.execute_field(HEALTH)

    name, number = health["database"].split()
    assert name == ("SQLite" if dialect == SQLITE else "PostgreSQL")
    assert number[0].isdigit()
    assert health["version"] == version("tocsin")
    assert health["problems"] == []
    assert health["lagEntries"] >= 0
    assert health["lagSeconds"] >= 0


async def test_subscribers_of_all_organizations_are_counted_for_operators_only(
    own_client: Client,
) -> None:
    key = (await own_client.execute_field(CREATE_KEY))["secret"]
    before = await own_client.execute_field(HEALTH)

    async with own_client.subscription(CHANGES) as subscription:
        await own_client.log_event(summary="Pump stopped")
        await subscription.receive_next()
        during = await own_client.execute_field(HEALTH)
        restricted = await own_client.as_key(key).execute_field(HEALTH)

    assert (before["subscribers"], during["subscribers"]) == (0, 1)
    assert restricted["subscribers"] is None
