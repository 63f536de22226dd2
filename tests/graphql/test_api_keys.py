"""API keys: creation, listing, use and revocation."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from app.domain.access.caller import Permission
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import RequestError
from app.services.auth import keys
from app.services.auth.access import Access, authenticate_credential
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LOG_START
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client
from tests.conftest import Serve
from tests.factories import NOON, admin_caller, create_api_key

KEY = "id name permissions createdAt expiresAt lastUsedAt revokedAt"
CREATE = f"""mutation ($input: CreateApiKeyInput!) {{ createApiKey(input: $input) {{
  apiKey {{ {KEY} }} secret userErrors {{ code message path }} }} }}"""
REVOKE = f"""mutation ($id: ID!) {{ revokeApiKey(id: $id) {{
  apiKey {{ {KEY} }} secret userErrors {{ code message path }} }} }}"""
LIST = f"{{ organization {{ apiKeys {{ {KEY} }} }} }}"
NODE = "query ($id: ID!) { node(id: $id) { __typename id ... on ApiKey { name } } }"
MANAGE = Permission.ORGANIZATION_MANAGE
FUTURE = "2999-01-01T00:00:00.000000Z"


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def create_key(client: Client, **overrides: Any) -> tuple[dict[str, Any], str]:
    """Creates a key. Returns it and its secret."""
    key_input = {"name": "desk", "permissions": ["EVENT_READ"]} | overrides
    payload = await client.execute_field(CREATE, input=key_input)
    assert payload["userErrors"] == []
    return payload["apiKey"], payload["secret"]


async def list_keys(client: Client) -> list[dict[str, Any]]:
    payload: list[dict[str, Any]] = (await client.execute_field(LIST))["apiKeys"]
    return payload


async def test_a_key_has_its_permissions_and_its_secret_is_returned_once(client: Client) -> None:
    key, secret = await create_key(
        client, permissions=["EVENT_READ", "EVENT_CREATE"], expiresAt=FUTURE
    )

    viewer = await client.as_key(secret).execute_field(
        "{ viewer { name permissions organization { key } } }"
    )
    shown = await list_keys(client)

    assert secret.startswith("tocsin_")
    assert len(secret) >= len("tocsin_") + 43
    assert key["expiresAt"] == FUTURE
    assert (key["lastUsedAt"], key["revokedAt"]) == (None, None)
    assert viewer == {
        "name": "desk",
        "permissions": ["EVENT_READ", "EVENT_CREATE"],
        "organization": {"key": "default"},
    }
    assert [each["name"] for each in shown] == ["desk", "administrator"]
    assert shown[0] == key
    assert await client.execute_field(NODE, id=key["id"]) == {
        "__typename": "ApiKey",
        "id": key["id"],
        "name": "desk",
    }


async def test_a_key_belongs_to_the_organization_in_which_it_was_created(
    client: Client, database: Database
) -> None:
    await create_api_key(database, organization="acme")
    in_acme = client.as_key("administrator-key", data_partition_id="acme")

    _, secret = await create_key(in_acme, permissions=["EVENT_READ"])

    viewer = await client.as_key(secret).execute_field("{ viewer { organizations { key } } }")
    elsewhere = await client.as_key(secret, data_partition_id="default").post("{ logHead }")
    assert viewer == {"organizations": [{"key": "acme"}]}
    assert elsewhere.status_code == 403
    assert [each["name"] for each in await list_keys(client)] == ["administrator"]


REFUSED: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"name": ""}, "name must not be empty.", ["name"]),
    (
        {"name": "a\nb"},
        "Character 2 is U+000A, which is not allowed. Remove the character.",
        ["name"],
    ),
    ({"name": "x" * 256}, "At most 255 characters are allowed; name has 256.", ["name"]),
    (
        {"name": "ü" * 43},
        "At most 255 characters are allowed; "
        "the name, percent-encoded as an event source, has 258.",
        ["name"],
    ),
    ({"permissions": []}, "An API key must have at least one permission.", ["permissions"]),
    (
        {"expiresAt": "2020-01-01T00:00:00Z"},
        "The expiration time 2020-01-01T00:00:00.000000Z must be in the future.",
        ["expiresAt"],
    ),
    (
        {"permissions": ["EVENT_READ", "EVENT_DELETE"]},
        "You cannot grant EVENT_DELETE, because you do not have this permission.",
        ["permissions", "1"],
    ),
]


async def test_an_invalid_key_is_rejected_with_the_reason(
    client: Client, database: Database
) -> None:
    maker = client.as_key(await create_api_key(database, MANAGE, Permission.EVENT_READ))

    for overrides, message, path in REFUSED:
        key_input = {"name": "desk", "permissions": ["EVENT_READ"]} | overrides
        payload = await maker.execute_field(CREATE, input=key_input)

        [error] = payload["userErrors"]
        assert error == {"code": "INVALID_INPUT", "message": message, "path": ["input", *path]}
        assert (payload["apiKey"], payload["secret"]) == (None, None)
    assert [each["name"] for each in await list_keys(client)] == ["key of default", "administrator"]


async def test_all_errors_are_returned_together(client: Client, database: Database) -> None:
    maker = client.as_key(await create_api_key(database, MANAGE))

    payload = await maker.execute_field(
        CREATE,
        input={"name": "", "permissions": ["EVENT_READ"], "expiresAt": "2020-01-01T00:00:00Z"},
    )

    assert [error["path"][1:] for error in payload["userErrors"]] == [
        ["name"],
        ["expiresAt"],
        ["permissions", "0"],
    ]


async def test_a_key_with_the_longest_name_can_log_events(client: Client) -> None:
    _, secret = await create_key(client, name="ü" * 42, permissions=["EVENT_CREATE", "EVENT_READ"])

    event = await client.as_key(secret).log_event(summary="fits")

    assert event["source"] == "%C3%BC" * 42


async def test_a_revoked_key_is_rejected_and_revoking_it_again_changes_nothing(
    client: Client,
) -> None:
    key, secret = await create_key(client)

    first = await client.execute_field(REVOKE, id=key["id"])
    second = await client.execute_field(REVOKE, id=key["id"])

    refused = await client.as_key(secret).post("{ logHead }")
    assert refused.status_code == 401
    assert refused.json()["errors"] == [
        {"message": "The API key was revoked.", "extensions": {"code": "UNAUTHENTICATED"}}
    ]
    assert first["apiKey"]["revokedAt"] is not None
    assert first["secret"] is None
    assert second == first


async def test_an_expired_key_is_rejected(client: Client, database: Database) -> None:
    ended = await create_api_key(database, Permission.EVENT_READ, expires_at=NOON)

    refused = await client.as_key(ended).post("{ logHead }")

    assert refused.status_code == 401
    assert refused.json()["errors"][0]["message"] == "The API key has expired."


async def test_an_unknown_key_cannot_be_revoked(client: Client) -> None:
    missing = await client.execute_field(REVOKE, id="018f0000-0000-7000-8000-000000000000")
    malformed = await client.execute_field(REVOKE, id="not an id")

    assert [(each["code"], each["path"]) for each in missing["userErrors"]] == [
        ("NOT_FOUND", ["id"])
    ]
    assert [(each["code"], each["path"]) for each in malformed["userErrors"]] == [
        ("INVALID_INPUT", ["id"])
    ]
    assert (missing["apiKey"], malformed["apiKey"]) == (None, None)


async def test_only_a_global_key_can_revoke_a_global_key(
    client: Client, database: Database
) -> None:
    manager = client.as_key(await create_api_key(database, *Permission))
    [administrators] = [
        each for each in await list_keys(manager) if each["name"] == "administrator"
    ]

    error = await manager.expect_error(REVOKE, id=administrators["id"])

    assert error["extensions"]["code"] == "FORBIDDEN"
    assert [each["revokedAt"] for each in await list_keys(client)] == [None, None]


async def test_a_key_can_revoke_itself(client: Client, database: Database) -> None:
    secret = await create_api_key(database, MANAGE)
    own = client.as_key(secret)
    [key] = [each for each in await list_keys(own) if each["name"] == "key of default"]

    payload = await own.execute_field(REVOKE, id=key["id"])

    assert payload["apiKey"]["revokedAt"] is not None
    assert (await own.post(LIST)).status_code == 401


async def test_listing_keys_requires_a_permission(client: Client, database: Database) -> None:
    key, _ = await create_key(client)
    reader = client.as_key(await create_api_key(database, Permission.EVENT_READ))

    assert await reader.execute_field(LIST) == {"apiKeys": None}
    assert await reader.execute_field(NODE, id=key["id"]) is None


async def test_keys_of_an_organization_are_readable_only_when_it_is_selected(
    client: Client, database: Database
) -> None:
    await create_api_key(database, organization="acme")

    answer = await client.execute("{ viewer { organizations { key apiKeys { name } } } }")

    assert answer["data"]["viewer"]["organizations"] == [
        {"key": "acme", "apiKeys": None},
        {"key": "default", "apiKeys": [{"name": "administrator"}]},
    ]
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]


async def test_the_list_ends_with_the_most_recently_expired_keys(
    serve: Serve, database_url: str, database: Database
) -> None:
    limits = {"api_keys_listed": 4}
    later = NOON + timedelta(hours=1)
    for name, ends in [("e1", NOON), ("e2", later), ("v1", None), ("e3", NOON)]:
        async with database.write((await admin_caller(database)).organization_id) as session:
            await keys.insert_key(
                session,
                (await admin_caller(database)).organization_id,
                name,
                frozenset({Permission.EVENT_READ}),
                NOON,
                actor="test",
                expires_at=ends,
            )

    async with serve(database_url, limits=limits) as client:
        shown = await list_keys(client)

    assert [each["name"] for each in shown] == ["v1", "administrator", "e2", "e3"]


async def test_the_limit_of_valid_keys_holds_for_concurrent_requests(
    serve: Serve, database_url: str, database: Database
) -> None:
    await create_api_key(database, expires_at=NOON)
    async with (
        serve(database_url, limits={"api_keys_per_organization": 4}) as one,
        serve(database_url, limits={"api_keys_per_organization": 4}) as other,
    ):
        key_input = {"name": "desk", "permissions": ["EVENT_READ"]}

        answers = await asyncio.gather(
            *(client.execute_field(CREATE, input=key_input) for client in [one, other] * 4)
        )

        accepted = [each["apiKey"] for each in answers if each["apiKey"]]
        refused = [each["userErrors"] for each in answers if not each["apiKey"]]
        await one.execute_field(REVOKE, id=accepted[0]["id"])
        again, _ = await create_key(one)
        valid = [each for each in await list_keys(one) if each["revokedAt"] is None]
    assert len(accepted) == 3  # and the administrator's
    message = "The organization has the maximum of 4 valid API keys. Revoke a key first."
    assert refused == [[{"code": "LIMIT_REACHED", "message": message, "path": ["input"]}]] * 5
    assert again["id"] in [each["id"] for each in valid]
    assert len(valid) == 5  # the expired key is listed, but does not count


async def test_the_last_use_of_a_key_is_written_in_batches_and_not_by_reads(
    serve: Serve, database_url: str, database: Database, statements: list[str]
) -> None:
    async with serve(database_url) as client:
        _, secret = await create_key(client)
        statements.clear()
        before = datetime.now(UTC)
        await asyncio.gather(
            *(client.as_key(secret).execute_field("{ logHead }") for _ in range(5))
        )
        written = [each for each in statements if each.startswith(("UPDATE", "INSERT"))]
        unwritten = [each["lastUsedAt"] for each in await list_keys(client)]
        statements.clear()
    updates = [each for each in statements if each.startswith("UPDATE")]

    async with serve(database_url) as client:
        used = [each["lastUsedAt"] for each in await list_keys(client)]
        statements.clear()
        await client.as_key(secret).execute_field("{ logHead }")
    assert written == []
    assert unwritten == [None, None]
    assert len(updates) == 1  # when the server ended
    for each in used:
        at = datetime.fromisoformat(each)
        assert before - timedelta(minutes=1) <= at <= datetime.now(UTC)
    assert not [each for each in statements if each.startswith("UPDATE")]


async def test_the_creation_and_revocation_of_keys_are_in_the_change_log(
    client: Client, database: Database
) -> None:
    key, _ = await create_key(client, name="desk")
    await client.execute_field(REVOKE, id=key["id"])
    await client.execute_field(REVOKE, id=key["id"])

    async with database.read((await admin_caller(database)).organization_id) as session:
        entries = await changes.fetch_entries_after(session, LOG_START, 100)
    assert [
        (each.kind, each.actor, each.state_json["name"])
        for each in entries
        if str(each.subject_id) == key["id"]
    ] == [("CREATED", "administrator", "desk"), ("REVOKED", "administrator", "desk")]


async def test_a_key_that_was_revoked_meanwhile_creates_no_key(database: Database) -> None:
    caller = await authenticate_credential(
        Access(database), f"Bearer {await create_api_key(database, *Permission)}"
    )
    command = CommandContext(caller, datetime.now(UTC))
    assert caller.credential_id is not None
    await keys.revoke(database, command, caller.credential_id)

    with pytest.raises(RequestError, match="The API key was revoked"):
        await keys.create(database, command, "survivor", [Permission.EVENT_READ], None)

    async with database.read(caller.organization_id) as session:
        names = [each.name for each in await keys.list_keys(session, command.now)]
    assert "survivor" not in names


async def test_a_key_has_its_creator_unless_it_was_created_before_creators_were_stored(
    client: Client, database: Database
) -> None:
    await create_key(client, name="desk")
    await create_key(client, name="old")
    async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
        old = update(tables.ApiKey).where(col(tables.ApiKey.name) == "old")
        await session.execute(old.values(created_by=None))

    keys = (await client.execute_field("{ organization { apiKeys { name createdBy } } }"))[
        "apiKeys"
    ]

    assert {each["name"]: each["createdBy"] for each in keys} == {
        "old": None,
        "desk": "administrator",
        "administrator": "administrator",
    }
