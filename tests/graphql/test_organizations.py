"""Creation of organizations by callers that act in all of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import Client
from tests.factories import create_api_key

CREATE = """mutation ($key: String!, $name: String!) { createOrganization(key: $key, name: $name) {
  organization { id key name } userErrors { code message path } } }"""
CREATE_KEY = """mutation { createApiKey(input: {name: "desk", permissions: [EVENT_READ]}) {
  secret userErrors { code } } }"""
KEYS = "{ viewer { organizations { key } } }"


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def list_organization_keys(client: Client) -> list[str]:
    payload = (await client.execute_field(KEYS))["organizations"]
    return [each["key"] for each in payload]


async def test_a_new_organization_is_selected_by_its_key_and_has_its_own_api_keys(
    client: Client,
) -> None:
    payload = await client.execute_field(CREATE, key="acme", name="Acme Inc.")

    organization = payload["organization"]
    in_acme = client.as_key("administrator-key", data_partition_id="acme")
    secret = (await in_acme.execute_field(CREATE_KEY))["secret"]
    own = await client.as_key(secret).execute_field("{ organization { id key name } }")
    assert payload["userErrors"] == []
    assert (organization["key"], organization["name"]) == ("acme", "Acme Inc.")
    assert own == organization
    assert await list_organization_keys(client) == ["acme", "default"]


REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"key": ""}, "INVALID_INPUT", "key must not be empty.", "key"),
    (
        {"key": "x" * 256},
        "INVALID_INPUT",
        "At most 255 characters are allowed; key has 256.",
        "key",
    ),
    *(
        (
            {"key": key},
            "INVALID_INPUT",
            "key must consist of visible ASCII characters without spaces, and must not be '*'.",
            "key",
        )
        for key in (" acme", "a b", "büro", "*")
    ),
    ({"name": ""}, "INVALID_INPUT", "name must not be empty.", "name"),
    (
        {"name": "a\0"},
        "INVALID_INPUT",
        "Character 2 is U+0000, which is not allowed. Remove the character.",
        "name",
    ),
    (
        {"key": "default"},
        "ALREADY_EXISTS",
        "An organization with the key 'default' already exists.",
        "key",
    ),
]


async def test_an_invalid_organization_is_rejected_with_the_reason(client: Client) -> None:
    for attributes, code, message, path in REFUSED:
        payload = await client.execute_field(CREATE, **{"key": "acme", "name": "Acme"} | attributes)

        assert payload["organization"] is None
        assert payload["userErrors"] == [{"code": code, "message": message, "path": [path]}]
    assert await list_organization_keys(client) == ["default"]


async def test_an_organization_created_concurrently_exists_once(client: Client) -> None:
    payloads = await asyncio.gather(
        *(client.execute_field(CREATE, key="acme", name="Acme") for _ in range(5))
    )

    codes = [error["code"] for each in payloads for error in each["userErrors"]]
    assert codes == ["ALREADY_EXISTS"] * 4
    assert await list_organization_keys(client) == ["acme", "default"]


async def test_only_a_global_caller_can_create_organizations(
    client: Client, database: Database
) -> None:
    manager = client.as_key(await create_api_key(database, *Permission))

    taken = await manager.expect_error(CREATE, key="default", name="Acme")
    free = await manager.expect_error(CREATE, key="acme", name="Acme")

    assert taken["extensions"] == {"code": "FORBIDDEN"}
    assert free["message"] == taken["message"]
    assert await list_organization_keys(client) == ["default"]


async def test_a_global_caller_also_needs_the_permission(
    client: Client, database: Database
) -> None:
    reader = client.as_key(
        await create_api_key(database, Permission.EVENT_READ, every_organization=True)
    )

    error = await reader.expect_error(CREATE, key="acme", name="Acme")

    assert error["message"] == (
        "Mutation.createOrganization requires the permission ORGANIZATION_MANAGE."
    )
    assert await list_organization_keys(client) == ["default"]


RENAME = """mutation ($name: String!) { updateOrganization(name: $name) {
  organization { key name } userErrors { code message path } } }"""
AUDIT = """{ auditEntries(filter: {subjectTypes: ["Organization"], actions: [UPDATED]}) {
  nodes { actor subjectName changes } } }"""


async def test_an_organization_is_renamed_with_an_audit_entry(client: Client) -> None:
    renamed = await client.execute_field(RENAME, name="Permian")
    again = await client.execute_field(RENAME, name="Permian")

    organization = await client.execute_field("{ organization { key name } }")
    audit = await client.execute_field(AUDIT)
    assert renamed == {"organization": organization, "userErrors": []}
    assert again == renamed
    assert organization == {"key": "default", "name": "Permian"}
    assert audit["nodes"] == [
        {
            "actor": "administrator",
            "subjectName": "Permian",
            "changes": {"name": ["Default", "Permian"]},
        }
    ]


async def test_an_invalid_name_of_an_organization_is_rejected(client: Client) -> None:
    payload = await client.execute_field(RENAME, name="x" * 256)

    message = "At most 255 characters are allowed; name has 256."
    error = {"code": "INVALID_INPUT", "message": message, "path": ["name"]}
    assert payload == {"organization": None, "userErrors": [error]}
    assert await client.execute_field("{ organization { name } }") == {"name": "Default"}
    assert (await client.execute_field(AUDIT))["nodes"] == []


async def test_renaming_an_organization_requires_organization_manage(
    client: Client, database: Database
) -> None:
    everything_else = set(Permission) - {Permission.ORGANIZATION_MANAGE}
    caller = client.as_key(await create_api_key(database, *everything_else))

    error = await caller.expect_error(RENAME, name="Permian")

    assert error["extensions"]["code"] == "FORBIDDEN"
    assert await client.execute_field("{ organization { name } }") == {"name": "Default"}
