"""Seed 4, container events: every endpoint and example, with the names of the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import Client

LOG = """
mutation ($id: String!, $event: ContainerEventInput!) {
  logContainerEvent(containerId: $id, event: $event) {
    event { id type entity { type entityId } outcome occurredAt fields }
    userErrors { code path }
  }
}
"""
# The example request.
ACCESS = {"eventType": "ACCESS", "timestamp": "2023-11-18T12:00:00Z", "status": "SUCCESS"}


async def log_container_event(client: Client, container_id: str, **event: Any) -> Any:
    payload = await client.execute_field(LOG, id=container_id, event=event)
    assert payload["userErrors"] == []
    return payload["event"]


async def list_container_events(client: Client, arguments: str) -> list[str]:
    """Returns container and activity of each event of /orgs/{org_id}/container_events, earliest
    first.
    """
    payload = await client.execute_field(
        f"""{{ organization {{ containerEvents({arguments}
              orderBy: {{field: OCCURRED_AT, direction: ASC}}) {{
              nodes {{ type entity {{ entityId }} }} }} }} }}"""
    )
    return [
        f"{each['entity']['entityId']} {each['type'].removeprefix('container.')}"
        for each in payload["containerEvents"]["nodes"]
    ]


async def log_sample_events(client: Client) -> None:
    """Logs an event of each kind, and one that is not a container event."""
    moments = [
        ("c1", "CREATE", "SUCCESS"),
        ("c1", "ACCESS", "SUCCESS"),
        ("c2", "ACCESS", "FAILURE"),
    ]
    moments += [("c2", "BLOCK", "SUCCESS"), ("c1", "EXPIRE", "SUCCESS")]
    for hour, (container_id, activity, status) in enumerate(moments):
        at = f"2023-11-18T{hour:02}:00:00Z"
        await log_container_event(
            client, container_id, eventType=activity, status=status, timestamp=at
        )
    await client.log_event(type="container.access", entity={"type": "Door", "id": "c1"})
    await client.log_event(summary="something else")


async def test_create_a_container_event(client: Client) -> None:
    event = await log_container_event(client, "c1", **ACCESS)

    assert event == {
        "id": event["id"],
        "type": "container.access",
        "entity": {"type": "Container", "entityId": "c1"},
        "outcome": "SUCCESS",
        "occurredAt": "2023-11-18T12:00:00.000000Z",
        "fields": {},
    }


async def test_retrieve_events_for_an_organization(client: Client) -> None:
    await log_sample_events(client)

    payload = await client.execute_field("{ organization { events { totalCount } } }")

    assert payload == {"events": {"totalCount": 7}}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("activity: ACCESS", ["c1 access", "c2 access"]),
        ("activity: BLOCK", ["c2 block"]),
        ("activity: CREATE", ["c1 create"]),
        ("activity: EXPIRE", ["c1 expire"]),
        ("activity: ACCESS, outcome: FAILURE", ["c2 access"]),
        ("", ["c1 create", "c1 access", "c2 access", "c2 block", "c1 expire"]),
        (
            'activity: CREATE, occurredAt: {from: "2023-11-18T00:00:00Z"}',
            ["c1 create"],
        ),
    ],
    ids=["by_access", "by_block", "by_create", "by_expire", "by_fail", "all", "by_create_since"],
)
async def test_retrieve_container_events(
    client: Client, arguments: str, expected: list[str]
) -> None:
    await log_sample_events(client)

    assert await list_container_events(client, arguments) == expected


async def test_retrieve_the_events_of_one_container(client: Client) -> None:
    await log_sample_events(client)

    by_argument = await list_container_events(client, 'containerId: "c2"')
    payload = await client.execute_field(
        '{ organization { container(id: "c2") { entityId events { totalCount } } } }'
    )

    assert by_argument == ["c2 access", "c2 block"]
    assert payload == {"container": {"entityId": "c2", "events": {"totalCount": 2}}}


@pytest.mark.parametrize(
    ("container_id", "attributes", "path"),
    [
        ("", {}, ["containerId"]),
        ("c1", {"timestamp": "9999-01-01T00:00:00Z"}, ["event", "timestamp"]),
        ("c1", {"fields": []}, ["event", "fields"]),
        ("c1", {"sourceId": ""}, ["event", "sourceId"]),
        ("c1", {"source": "a\nb"}, ["event", "source"]),
        ("c1", {"summary": "x" * 1_001}, ["event", "summary"]),
    ],
)
async def test_invalid_input_is_rejected_with_its_path_and_stores_nothing(
    client: Client, container_id: str, attributes: dict[str, Any], path: list[str]
) -> None:
    payload = await client.execute_field(
        LOG, id=container_id, event={"eventType": "ACCESS"} | attributes
    )

    assert payload["event"] is None
    assert [error["path"] for error in payload["userErrors"]] == [path]
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 0}


REPORT = """
mutation ($id: String!, $event: ContainerEventInput!) {
  logContainerEvent(containerId: $id, event: $event) {
    event { id severity summary source sourceId } duplicate userErrors { code path }
  }
}
"""


async def test_a_retry_with_the_same_source_id_makes_one_entry(client: Client) -> None:
    event = {
        "eventType": "DOWNLOAD",
        "status": "SUCCESS",
        "source": "//vault",
        "sourceId": "download-7",
        "severity": "warning",
        "summary": "Ada downloaded the well logs",
    }

    first = await client.execute_field(REPORT, id="c1", event=event)
    again = await client.execute_field(REPORT, id="c1", event=event)
    other = await client.execute_field(REPORT, id="c2", event=event)

    assert first["event"] == {
        "id": first["event"]["id"],
        "severity": "WARN",
        "summary": "Ada downloaded the well logs",
        "source": "//vault",
        "sourceId": "download-7",
    }
    assert again == first | {"duplicate": True}
    assert other["userErrors"] == [{"code": "CONFLICT", "path": ["event", "sourceId"]}]
    assert await list_container_events(client, "") == ["c1 download"]


async def test_without_a_source_id_each_call_makes_an_entry(client: Client) -> None:
    for _ in range(2):
        await log_container_event(client, "c1", eventType="ACCESS")

    assert await list_container_events(client, "") == ["c1 access"] * 2


async def test_every_activity_is_logged_and_listed(client: Client) -> None:
    schema = '{ __type(name: "ContainerActivity") { enumValues { name } } }'
    activities = [each["name"] for each in (await client.execute_field(schema))["enumValues"]]
    assert activities[4:] == ["MODIFY", "DOWNLOAD", "SHARE", "DELETE"]

    for minute, activity in enumerate(activities):
        at = f"2023-11-18T00:{minute:02}:00Z"
        await log_container_event(client, "c1", eventType=activity, timestamp=at)

    for activity in activities:
        listed = await list_container_events(client, f"activity: {activity}")
        assert listed == [f"c1 {activity.lower()}"]
    assert len(await list_container_events(client, "")) == len(activities)


async def test_without_a_key_the_response_is_401(client: Client) -> None:
    answer = await client.as_key(None).post("{ organization { key } }")

    assert answer.status_code == 401
