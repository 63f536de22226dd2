"""Keys, permissions and organizations."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.domain.access.caller import Permission
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.tables import ApiKey
from tests.client import Client
from tests.factories import create_api_key

VIEWER = "{ viewer { name organization { key } organizations { key } permissions } }"
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer wrong", "Bearer administrator-ke", "Basic administrator-key"],
)
async def test_requests_without_a_valid_key_are_rejected(
    client: Client, authorization: str
) -> None:
    headers = {"authorization": authorization}

    answer = await client.http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_a_key_with_only_the_digest_prefix_of_another_is_rejected(
    client: Client, database: Database
) -> None:
    secret = await create_api_key(database, Permission.EVENT_READ)
    async with database.write(ALL_ORGANIZATIONS) as session:
        key = (
            await session.scalars(select(ApiKey).where(col(ApiKey.name) != "administrator"))
        ).one()
        key.digest = key.digest[:-1] + ("0" if key.digest[-1] != "0" else "1")

    answer = await client.as_key(secret).post("{ __typename }")

    assert key.digest.startswith(key.prefix)
    assert answer.status_code == 401


@pytest.mark.parametrize("payload", [{}, {"authorization": "Bearer wrong"}, {"authorization": 7}])
async def test_a_socket_without_a_valid_key_is_closed_with_4403(
    client: Client, payload: dict[str, Any]
) -> None:
    async with client.as_key(None).socket(**payload) as socket:
        code, _ = await socket.receive_close()

    assert code == 4403


async def test_the_administrator_has_all_permissions_in_all_organizations(
    client: Client, database: Database
) -> None:
    await create_api_key(database, organization="acme")

    viewer = await client.execute_field(VIEWER)

    assert viewer == {
        "name": "administrator",
        "organization": {"key": "default"},
        "organizations": [{"key": "acme"}, {"key": "default"}],
        "permissions": [permission.value for permission in Permission],
    }


@pytest.mark.parametrize("header", ["data_partition_id", "slb_data_partition_id"])
async def test_a_header_selects_the_organization(
    client: Client, database: Database, header: str
) -> None:
    await create_api_key(database, organization="acme")

    viewer = await client.as_key("administrator-key", **{header: "acme"}).execute_field(VIEWER)

    assert viewer["organization"] == {"key": "acme"}


@pytest.mark.parametrize("organization", ["default", "nowhere", ""])
async def test_foreign_and_unknown_organizations_are_rejected_with_the_same_error(
    client: Client, database: Database, organization: str
) -> None:
    key = await create_api_key(database, Permission.EVENT_READ, organization="acme")

    answer = await client.as_key(key, data_partition_id=organization).post(VIEWER)

    assert answer.status_code == 403
    assert answer.json()["errors"] == [
        {
            "message": f"The API key has no access to the organization {organization!r}. Name a "
            "different organization in the header data-partition-id.",
            "extensions": {"code": "FORBIDDEN"},
        }
    ]


async def test_a_key_can_select_its_own_organization(client: Client, database: Database) -> None:
    key = await create_api_key(database, Permission.EVENT_READ, organization="acme")

    viewer = await client.as_key(key, data_partition_id="acme").execute_field(VIEWER)

    assert viewer["organization"] == {"key": "acme"}
    assert viewer["organizations"] == [{"key": "acme"}]
    assert viewer["permissions"] == ["EVENT_READ"]


async def test_a_key_of_another_organization_finds_nothing(
    client: Client, database: Database
) -> None:
    event = await client.log_event(
        summary="secret", notification=True, sourceId="1", entity={"type": "Well", "id": "1"}
    )
    made = await client.execute_field(
        """mutation { createEventType(input: {name: "Gauge", type: "gauge", fields: [
             {name: "a", kind: TEXT}]}) { eventType { id fields { id } } } }"""
    )
    event_type = made["eventType"]
    own = await client.execute_field("{ organization { id } }")
    cursor = (await client.execute_field("{ events { pageInfo { endCursor } } }"))["pageInfo"][
        "endCursor"
    ]
    head = await client.execute_field("{ logHead }")
    key = await create_api_key(database, *Permission, organization="acme")
    stranger = client.as_key(key)

    for foreign in (event["id"], event_type["id"], event_type["fields"][0]["id"], own["id"]):
        assert await client.execute_field(NODE, id=foreign) is not None
        assert await stranger.execute_field(NODE, id=foreign) is None
    assert (
        await stranger.execute_field("query ($id: ID!) { event(id: $id) { id } }", id=event["id"])
        is None
    )
    assert await stranger.execute_field("{ events { totalCount nodes { id } } }") == {
        "totalCount": 0,
        "nodes": [],
    }
    assert await stranger.execute_field("{ notifications { totalCount unacknowledgedCount } }") == {
        "totalCount": 0,
        "unacknowledgedCount": 0,
    }
    assert await stranger.execute_field("{ eventTypes { totalCount } }") == {"totalCount": 0}
    assert await stranger.execute_field('{ eventType(by: {type: "gauge"}) { id } }') is None
    assert await stranger.execute_field('{ organization(key: "default") { id } }') is None
    for mutation in ("deleteEvent", "acknowledgeEvent", "unacknowledgeEvent"):
        payload = await stranger.execute_field(
            f"mutation ($id: ID!) {{ {mutation}(id: $id) {{ userErrors {{ code }} }} }}",
            id=event["id"],
        )
        assert payload == {"userErrors": [{"code": "NOT_FOUND"}]}
    for query in ("events", "notifications"):
        error = await stranger.expect_error(
            f"query ($after: String) {{ {query}(after: $after) {{ nodes {{ id }} }} }}",
            after=cursor if query == "events" else head,
        )
        assert error["extensions"]["code"] == "INVALID_CURSOR"


async def test_two_organizations_can_use_the_same_names(client: Client, database: Database) -> None:
    await client.log_event(summary="ours", source="/a", sourceId="1")
    stranger = client.as_key(await create_api_key(database, *Permission, organization="acme"))

    theirs = await stranger.log_event(summary="theirs", source="/a", sourceId="1")

    assert theirs["summary"] == "theirs"
    assert await client.execute_field("{ events { nodes { summary } } }") == {
        "nodes": [{"summary": "ours"}]
    }


async def test_a_subscriber_of_another_organization_receives_nothing(
    client: Client, database: Database
) -> None:
    stranger = client.as_key(await create_api_key(database, *Permission, organization="acme"))
    head = await stranger.execute_field("{ logHead }")
    added = (
        "subscription ($after: String) { notificationAdded(after: $after) { node { summary } } }"
    )

    async with stranger.subscription(added, after=head) as subscription:
        await client.log_event(summary="ours", notification=True)
        await stranger.log_event(summary="theirs", notification=True)
        first = await subscription.receive_next()

    assert first == {"node": {"summary": "theirs"}}


async def test_events_of_an_organization_are_readable_only_when_it_is_selected(
    client: Client, database: Database
) -> None:
    await create_api_key(database, organization="acme")
    await client.log_event(summary="default's")

    answer = await client.execute(
        "{ viewer { organizations { key events { nodes { summary } } } } }"
    )
    own = await client.as_key("administrator-key", data_partition_id="acme").execute_field(
        "{ organization { key events { totalCount } } }"
    )

    assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN"}
    assert "default's" not in json.dumps(answer)
    assert own == {"key": "acme", "events": {"totalCount": 0}}


@pytest.mark.parametrize("organization", ["\0", "\ud800", "x" * 300])
async def test_a_socket_for_an_invalid_organization_is_rejected(
    client: Client, organization: str
) -> None:
    async with client.socket(**{"data-partition-id": organization}) as socket:
        code, _ = await socket.receive_close()

    assert code == 4403


async def test_event_update_alone_cannot_read_event_types(
    client: Client, database: Database
) -> None:
    event = await client.log_event()
    updater = client.as_key(await create_api_key(database, Permission.EVENT_UPDATE))

    error = await updater.expect_error(
        "mutation ($id: ID!) { acknowledgeEvent(id: $id) { event { eventType { name } } } }",
        id=event["id"],
    )

    assert error["extensions"]["code"] == "FORBIDDEN"
