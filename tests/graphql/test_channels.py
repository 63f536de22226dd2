"""Channels: creating, changing, deleting, testing and listing them, and their secrets."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook

from app.domain.access.caller import Permission
from app.services.channels.channel_secrets import ChannelSecrets, rotate_encryption
from app.services.channels.encryption import DecryptionError, SecretKeyError, SecretKeys
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client
from tests.conftest import SECRETS_KEY, Serve, Statements
from tests.factories import create_api_key
from tests.webhook_receiver import Response, receive_webhooks

CHANNEL = "id name kind url filter triggers enabled lastError lagSeconds"
PAYLOAD = f"{{ channel {{ {CHANNEL} }} secret userErrors {{ code message path }} }}"
CREATE = f"mutation ($input: CreateChannelInput!) {{ createChannel(input: $input) {PAYLOAD} }}"
UPDATE = f"mutation ($input: UpdateChannelInput!) {{ updateChannel(input: $input) {PAYLOAD} }}"
ROTATE = f"mutation ($id: ID!) {{ rotateChannelSecret(id: $id) {PAYLOAD} }}"
DELETE = """
mutation ($id: ID!) { deleteChannel(id: $id) { channel { id name } userErrors { code path } } }
"""
TEST = """
mutation ($id: ID!) {
  testChannel(id: $id) {
    delivery { trigger state attempts responseStatus error event { id } channel { id } }
    userErrors { code message path }
  }
}
"""
CHANNELS = f"""
query ($first: Int = 20, $after: String) {{
  channels(first: $first, after: $after) {{
    totalCount nodes {{ {CHANNEL} }} pageInfo {{ endCursor hasNextPage }}
  }}
}}
"""
DELIVERIES = """
query ($first: Int, $after: String, $state: DeliveryState) {
  channels {
    nodes {
      id cursor lagSeconds
      deliveries(first: $first, after: $after, state: $state) {
        nodes { id trigger state } pageInfo { endCursor hasNextPage hasPreviousPage }
      }
    }
  }
}
"""
AUDIT = """
query ($id: ID!) {
  auditEntries(filter: {subjectId: $id}) { nodes { action subjectType subjectName changes } }
}
"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"
SECRET_PATH = "/T0KEN-of-the-receiver"
ADDRESS = f"https://hooks.example.com{SECRET_PATH}"
HOOK = {
    "name": "hook",
    "kind": "WEBHOOK",
    "url": ADDRESS,
    "enabled": False,
}
CLOSED = "http://127.0.0.1:65535/"
NEW_KEY = base64.b64encode(b"n" * 32).decode()


async def create_channel(client: Client, **input: Any) -> tuple[Any, str]:
    """Returns the channel and its secret."""
    payload = await client.execute_field(CREATE, input=HOOK | input)
    assert payload["userErrors"] == []
    return payload["channel"], payload["secret"]


async def test_a_channel_is_created_listed_changed_and_deleted_with_audit_entries(
    own_client: Client, database: Database
) -> None:
    client = own_client
    headers = {"authorization": "Bearer of-the-receiver"}
    filter = {"severities": ["ERROR"]}
    created, secret = await create_channel(client, headers=headers, filter=filter)
    other, _ = await create_channel(client, name="other", triggers=["EVENT_CHANGED"])

    listed = await client.execute_field(CHANNELS)
    page = await client.execute_field(CHANNELS, first=1)
    second = await client.execute_field(CHANNELS, after=page["pageInfo"]["endCursor"])
    node = await client.execute_field(NODE, id=created["id"])
    changes = {"id": created["id"], "name": "renamed", "filter": None, "headers": {}}
    changed = await client.execute_field(UPDATE, input=changes)
    moved = await client.execute_field(
        UPDATE, input={"id": created["id"], "url": f"https://other.example{SECRET_PATH}"}
    )
    deleted = await client.execute_field(DELETE, id=created["id"])
    left = await client.execute_field(CHANNELS)
    entries = (await client.execute_field(AUDIT, id=created["id"]))["nodes"][::-1]

    assert created == {
        "id": created["id"],
        "name": "hook",
        "kind": "WEBHOOK",
        "url": "https://hooks.example.com",
        "filter": filter,
        "triggers": ["NOTIFICATION_ADDED", "EVENT_RESOLVED"],
        "enabled": False,
        "lastError": None,
        "lagSeconds": 0,
    }
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert (listed["totalCount"], listed["nodes"]) == (2, [created, other])
    assert second["nodes"] == [other]
    assert node == {"__typename": "Channel", "id": created["id"]}
    assert changed["channel"] == created | {"name": "renamed", "filter": None}
    assert changed["secret"] is None
    assert moved["channel"]["url"] == "https://other.example"
    assert deleted == {"channel": {"id": created["id"], "name": "renamed"}, "userErrors": []}
    assert left["nodes"] == [other]
    values = {
        "name": "hook",
        "kind": "WEBHOOK",
        "url": "https://hooks.example.com",
        "filter": filter,
        "triggers": ["NOTIFICATION_ADDED", "EVENT_RESOLVED"],
        "enabled": False,
    }
    last = values | {"name": "renamed", "filter": None, "url": "https://other.example"}
    assert [(each["action"], each["changes"]) for each in entries] == [
        ("CREATED", {name: [None, value] for name, value in values.items()}),
        (
            "UPDATED",
            {
                "name": ["hook", "renamed"],
                "filter": [filter, None],
                "headers": [None, "changed"],
            },
        ),
        (
            "UPDATED",
            {
                "url": ["https://hooks.example.com", "https://other.example"],
                "address": [None, "changed"],
            },
        ),
        (
            "DELETED",
            {name: [value, None] for name, value in last.items() if value is not None},
        ),
    ]
    assert {each["subjectType"] for each in entries} == {"Channel"}
    async with database.read(ALL_ORGANIZATIONS) as session:
        [row] = await session.scalars(select(tables.Channel))
        log = await session.scalars(select(tables.Change))
        stored = json.dumps([str(row.to_columns()), *(str(each.to_columns()) for each in log)])
    for text in (SECRET_PATH, "of-the-receiver", secret):
        assert text not in stored


async def test_invalid_channels_are_rejected_and_not_stored(client: Client) -> None:
    invalid: list[tuple[dict[str, Any], list[str], str]] = [
        ({"name": ""}, ["name"], "name must not be empty."),
        ({"url": "ftp://example.com"}, ["url"], "Invalid scheme 'ftp'. Use http or https."),
        (
            {"url": "https://user:password@example.com"},
            ["url"],
            "The URL must not contain a user name or a password. Use headers instead.",
        ),
        (
            {"url": "https://example.com:22/"},
            ["url"],
            "Port 22 is not allowed. Use port 80, 443, or 1,024 to 65,535.",
        ),
        *(
            (
                {"url": f"https://{host}/"},
                ["url"],
                f"{shown} is not public. The operator of the server can allow the address with "
                "TOCSIN_CHANNEL_NETWORKS, for example 10.0.0.0/8.",
            )
            for host, shown in (
                ("10.0.0.1", "10.0.0.1"),
                ("169.254.169.254", "169.254.169.254"),
                ("[::1]", "::1"),
                ("[::ffff:10.0.0.1]", "::ffff:10.0.0.1"),
            )
        ),
        (
            {"headers": {"host": "a"}},
            ["headers", "host"],
            "The header 'host' is set by Tocsin and must not be given.",
        ),
        (
            {"headers": ["a"]},
            ["headers"],
            "headers must be a JSON object of names and strings.",
        ),
        ({"triggers": []}, ["triggers"], "A channel must have at least one trigger."),
        (
            {"triggers": ["TEST"]},
            ["triggers", "0"],
            "TEST is not a trigger of a channel: use testChannel.",
        ),
    ]
    channel, _ = await create_channel(client)

    for input, path, message in invalid:
        error = {"code": "INVALID_INPUT", "message": message, "path": ["input", *path]}
        created = await client.execute_field(CREATE, input=HOOK | input)
        changed = await client.execute_field(UPDATE, input={"id": channel["id"]} | input)
        assert created == {"channel": None, "secret": None, "userErrors": [error]}
        assert changed == {"channel": None, "secret": None, "userErrors": [error]}
    for name in ("name", "url", "headers", "triggers", "enabled"):
        changed = await client.execute_field(UPDATE, input={"id": channel["id"], name: None})
        assert [error["path"] for error in changed["userErrors"]] == [["input", name]]
    filter_error = await client.expect_error(CREATE, input=HOOK | {"filter": {"ids": ["x"]}})

    assert filter_error["extensions"]["code"] == "BAD_USER_INPUT"
    assert (await client.execute_field(CHANNELS))["nodes"] == [channel]


async def test_operations_on_unknown_channels_are_rejected(client: Client) -> None:
    id = str(uuid4())
    error = {"code": "NOT_FOUND", "message": f"There is no channel {id}."}

    updated = await client.execute_field(UPDATE, input={"id": id, "name": "a"})
    rotated = await client.execute_field(ROTATE, id=id)
    tested = await client.execute_field(TEST, id=id)
    deleted = await client.execute_field(DELETE, id=id)
    channel = await client.execute_field("query ($id: ID!) { channel(id: $id) { id } }", id=id)

    assert updated["userErrors"] == [error | {"path": ["input", "id"]}]
    assert rotated["userErrors"] == [error | {"path": ["id"]}]
    assert tested == {"delivery": None, "userErrors": [error | {"path": ["id"]}]}
    assert deleted["userErrors"] == [{"code": "NOT_FOUND", "path": ["id"]}]
    assert channel is None


async def test_headers_are_not_sent_to_another_host_by_who_does_not_know_them(
    client: Client,
) -> None:
    channel, _ = await create_channel(client, headers={"authorization": "secret"})
    attempts = {"id": channel["id"], "url": "https://attacker.example/"}

    moved = await client.execute_field(UPDATE, input=attempts)
    same_host = await client.execute_field(
        UPDATE, input={"id": channel["id"], "url": "https://hooks.example.com/new"}
    )
    with_headers = await client.execute_field(UPDATE, input=attempts | {"headers": {}})

    [error] = moved["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["input", "headers"])
    assert same_host["userErrors"] == []
    assert with_headers["channel"]["url"] == "https://attacker.example"


async def test_the_number_of_channels_is_limited(serve: Serve, database_url: str) -> None:
    async with serve(database_url, limits={"channels": 1}) as client:
        channel, _ = await create_channel(client)

        second = await client.execute_field(CREATE, input=HOOK)

        assert second["userErrors"] == [
            {
                "code": "LIMIT_REACHED",
                "message": "The organization has the maximum number of channels, 1. Delete one of "
                "them first.",
                "path": ["input"],
            }
        ]
        assert (await client.execute_field(CHANNELS))["nodes"] == [channel]


async def test_without_keys_no_channel_is_created(serve: Serve, database_url: str) -> None:
    async with serve(database_url, secrets_keys=None) as client:
        error = await client.expect_error(CREATE, input=HOOK)

        assert error["extensions"]["code"] == "UNAVAILABLE"
        assert "TOCSIN_SECRETS_KEYS is not set" in error["message"]
        problems = (
            "{ webhook: channelProblem(kind: WEBHOOK) apprise: channelProblem(kind: APPRISE) }"
        )
        assert await client.execute_data(problems) == {
            "webhook": error["message"],
            "apprise": error["message"],
        }
        assert (await client.execute_field(CHANNELS))["totalCount"] == 0


async def test_without_keys_a_channel_can_be_changed_except_its_secrets(
    serve: Serve, database_url: str
) -> None:
    secret_inputs: list[dict[str, Any]] = [{"url": "https://other.example"}, {"headers": {}}]
    async with serve(database_url) as client:
        channel, _ = await create_channel(client)
    async with serve(database_url, secrets_keys=None) as client:
        disabled = {"id": channel["id"], "name": "renamed", "enabled": False}
        changed = await client.execute_field(UPDATE, input=disabled)
        errors = [
            await client.expect_error(UPDATE, input={"id": channel["id"]} | secrets)
            for secrets in secret_inputs
        ]

        [stored] = (await client.execute_field(CHANNELS))["nodes"]

    assert changed["userErrors"] == []
    assert (stored["name"], stored["enabled"], stored["url"]) == ("renamed", False, channel["url"])
    assert [error["extensions"]["code"] for error in errors] == ["UNAVAILABLE"] * 2


async def test_a_channel_requires_the_permission_to_read_events(
    own_client: Client, database: Database
) -> None:
    channel, _ = await create_channel(own_client)
    manager = own_client.as_key(await create_api_key(database, Permission.CHANNEL_MANAGE))

    errors = [
        await manager.expect_error(CREATE, input=HOOK),
        await manager.expect_error(UPDATE, input={"id": channel["id"], "name": "other"}),
    ]

    assert [(error["extensions"]["code"], error["message"]) for error in errors] == [
        ("FORBIDDEN", "A channel sends events, which requires the permission EVENT_READ.")
    ] * 2
    assert (await own_client.execute_field(CHANNELS))["nodes"] == [channel]


async def test_a_test_message_is_sent_once_and_its_result_returned(client: Client) -> None:
    async with receive_webhooks() as receiver:
        channel, secret = await create_channel(client, url=receiver.url)
        good = await client.execute_field(TEST, id=channel["id"])
        receiver.respond = lambda _: Response(500, b"no")
        bad = await client.execute_field(TEST, id=channel["id"])

    [first, second] = receiver.requests
    message = Webhook(secret).verify(first.body, first.headers)
    assert message["type"] == "tocsin.channel.test"
    assert message["data"] == {"channel": {"id": channel["id"], "name": "hook"}}
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    delivery = {
        "trigger": "TEST",
        "state": "DELIVERED",
        "attempts": 1,
        "responseStatus": 200,
        "error": None,
        "event": None,
        "channel": {"id": channel["id"]},
    }
    failure = {
        "state": "FAILED",
        "responseStatus": 500,
        "error": "The response has the status 500: no",
    }
    assert good == {"delivery": delivery, "userErrors": []}
    assert bad == {"delivery": delivery | failure, "userErrors": []}


async def test_for_a_day_messages_have_signatures_by_both_secrets(client: Client) -> None:
    async with receive_webhooks() as receiver:
        channel, old_secret = await create_channel(client, url=receiver.url)
        rotated = await client.execute_field(ROTATE, id=channel["id"])
        await client.execute_field(TEST, id=channel["id"])
    [action] = [
        each["action"]
        for each in (await client.execute_field(AUDIT, id=channel["id"]))["nodes"]
        if each["action"] != "CREATED"
    ]

    [request] = receiver.requests
    for secret in (old_secret, rotated["secret"]):
        Webhook(secret).verify(request.body, request.headers)
    assert (rotated["secret"] == old_secret, action) == (False, "ROTATED")
    now = datetime.now(UTC)
    secrets = ChannelSecrets("https://example.com", {}, old_secret).rotate(now)
    assert len(secrets.signing_secrets(now + timedelta(hours=23, minutes=59))) == 2
    assert secrets.signing_secrets(now + timedelta(days=1)) == [secrets.signing_secret]


async def test_deliveries_of_all_channels_are_read_by_one_statement(
    own_client: Client, statements: Statements
) -> None:
    channels = [(await create_channel(own_client, url=CLOSED))[0] for _ in range(3)]
    for channel in channels:
        for _ in range(3):
            await own_client.execute_field(TEST, id=channel["id"])

    statements.clear()
    page = await own_client.execute_field(DELIVERIES, first=2)
    count = len([each for each in statements if "delivery" in each])
    first = page["nodes"][0]
    cursor = first["deliveries"]["pageInfo"]["endCursor"]
    rest = (await own_client.execute_field(DELIVERIES, first=2, after=cursor))["nodes"][0]
    pending = (await own_client.execute_field(DELIVERIES, state="PENDING"))["nodes"]
    failed = (await own_client.execute_field(DELIVERIES, state="FAILED"))["nodes"]

    assert count == 2  # pages, and the progress of the channels
    assert [len(each["deliveries"]["nodes"]) for each in page["nodes"]] == [2, 2, 2]
    assert first["deliveries"]["pageInfo"] == {
        "endCursor": cursor,
        "hasNextPage": True,
        "hasPreviousPage": False,
    }
    assert [len(each["deliveries"]["nodes"]) for each in failed] == [3, 3, 3]
    assert [len(each["deliveries"]["nodes"]) for each in pending] == [0, 0, 0]
    ids = [each["id"] for each in (*first["deliveries"]["nodes"], *rest["deliveries"]["nodes"])]
    assert ids == [each["id"] for each in failed[0]["deliveries"]["nodes"]]


async def test_secrets_are_bound_to_their_row_and_keys_can_be_replaced(
    own_client: Client, database: Database
) -> None:
    await create_channel(own_client)
    await create_channel(own_client)
    old, new = SecretKeys([SECRETS_KEY]), SecretKeys([NEW_KEY])
    async with database.read(ALL_ORGANIZATIONS) as session:
        [first, second] = await session.scalars(select(tables.Channel))
    text = old.decrypt(first.secrets, first.organization_id, first.id)

    changed = await rotate_encryption(database, SecretKeys([NEW_KEY, SECRETS_KEY]))
    again = await rotate_encryption(database, SecretKeys([NEW_KEY, SECRETS_KEY]))

    assert (changed, again) == (2, 0)
    async with database.read(ALL_ORGANIZATIONS) as session:
        row = await session.get_one(tables.Channel, first.id)
    assert new.decrypt(row.secrets, row.organization_id, row.id) == text
    for organization_id, row_id in (
        (first.organization_id, second.id),
        (uuid4(), first.id),
    ):
        with pytest.raises(DecryptionError):
            old.decrypt(first.secrets, organization_id, row_id)
    with pytest.raises(DecryptionError):
        old.decrypt(row.secrets, row.organization_id, row.id)
    with pytest.raises(DecryptionError):
        await rotate_encryption(database, old)


@pytest.mark.parametrize("key", ["", "short", base64.b64encode(b"a" * 31).decode(), "ü" * 44])
def test_a_key_must_be_32_bytes_in_base64(key: str) -> None:
    with pytest.raises(SecretKeyError, match="Key 2 must be 32 bytes in Base64"):
        SecretKeys([SECRETS_KEY, key])


HAS_ADDRESS = """
query ($id: ID!, $url: String!, $headers: JSON) {
  channel(id: $id) { hasAddress(url: $url, headers: $headers) }
}
"""


async def test_a_channel_is_compared_with_a_whole_address_and_all_headers(client: Client) -> None:
    headers = {"authorization": "Bearer of-the-receiver"}
    channel, _ = await create_channel(client, headers=headers)

    async def compare(url: str, **variables: Any) -> Any:
        compared = await client.execute_field(HAS_ADDRESS, id=channel["id"], url=url, **variables)
        return compared["hasAddress"]

    assert await compare(ADDRESS, headers=headers) is True
    assert await compare(ADDRESS) is False
    assert await compare(ADDRESS, headers=headers | {"x-a": "1"}) is False
    assert await compare(ADDRESS + "/", headers=headers) is False
    assert await compare("https://hooks.example.com", headers=headers) is False
    error = await client.expect_error(HAS_ADDRESS, id=channel["id"], url=ADDRESS, headers=["x"])
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"] == "headers must be a JSON object of names and strings."


async def test_the_address_of_a_channel_cannot_be_guessed(client: Client) -> None:
    channel, _ = await create_channel(client)
    other, _ = await create_channel(client)
    for guess in range(30):
        url = f"https://hooks.example.com/{guess}"
        compared = await client.execute_field(HAS_ADDRESS, id=channel["id"], url=url)
        assert compared == {"hasAddress": False}

    refused = await client.expect_error(HAS_ADDRESS, id=channel["id"], url=ADDRESS)
    compared = await client.execute_field(HAS_ADDRESS, id=other["id"], url=ADDRESS)

    assert refused["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert refused["message"] == (
        "The channel was compared with 30 addresses that it does not have. Retry in 60 s."
    )
    assert compared == {"hasAddress": True}
