"""Seed 1, the event endpoints: its examples, with the names of the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import LOG_EVENT, Client

CREATE = """
mutation ($input: CreateEventTypeInput!) {
  createEventType(input: $input) {
    eventType { id type name description category state fields { name kind required options } }
    userErrors { code message path }
  }
}
"""
# POST /event-types, from the seed; the type must be published to accept events.
FLARING_INCIDENT: dict[str, Any] = {
    "name": "Flaring Incident",
    "description": "Unplanned flaring event",
    "category": "flaring",
    "state": "PUBLISHED",
    "fields": [
        {"name": "volume_mcf", "kind": "NUMBER", "required": True},
        {"name": "cause", "kind": "SELECT", "options": ["equipment", "weather", "other"]},
    ],
}
# POST /events, from the seed except for the ID of the type.
EVENT: dict[str, Any] = {
    "entity": {"id": "well-001", "type": "Well"},
    "occurredAt": "2026-04-10T10:30:00Z",
    "fields": {"volume_mcf": 150, "duration_hours": 4, "cause": "equipment_malfunction"},
}


async def create_event_type(client: Client, definition: dict[str, Any]) -> Any:
    payload = await client.execute_field(CREATE, input=definition)
    assert payload["userErrors"] == []
    return payload["eventType"]


async def test_post_event_types(client: Client) -> None:
    event_type = await create_event_type(client, FLARING_INCIDENT)

    assert event_type == {
        "id": event_type["id"],
        "type": "flaring.flaring_incident",
        "name": "Flaring Incident",
        "description": "Unplanned flaring event",
        "category": "flaring",
        "state": "PUBLISHED",
        "fields": [
            {"name": "volume_mcf", "kind": "NUMBER", "required": True, "options": None},
            {
                "name": "cause",
                "kind": "SELECT",
                "required": False,
                "options": ["equipment", "weather", "other"],
            },
        ],
    }


async def test_get_event_types(client: Client) -> None:
    event_type = await create_event_type(client, FLARING_INCIDENT)

    listed = await client.execute_field("{ eventTypes { nodes { id } } }")
    payload = await client.execute_field(
        "query ($id: ID!) { eventType(by: {id: $id}) { name } }", id=event_type["id"]
    )

    assert listed == {"nodes": [{"id": event_type["id"]}]}
    assert payload == {"name": "Flaring Incident"}


async def test_post_events_on_a_type_that_has_its_three_fields(client: Client) -> None:
    volume, _ = FLARING_INCIDENT["fields"]
    fields = [
        volume,
        {"name": "duration_hours", "kind": "NUMBER"},
        {"name": "cause", "kind": "SELECT", "options": ["equipment_malfunction", "weather"]},
    ]
    event_type = await create_event_type(client, FLARING_INCIDENT | {"fields": fields})

    event = await client.log_event(eventTypeId=event_type["id"], **EVENT)

    assert event["type"] == "flaring.flaring_incident"
    assert event["entity"] == {"type": "Well", "entityId": "well-001"}
    assert event["occurredAt"] == "2026-04-10T10:30:00.000000Z"
    assert event["fields"] == EVENT["fields"]
    assert event["summary"] == "Flaring Incident"
    assert event["eventType"] == {"id": event_type["id"], "type": event_type["type"], "version": 1}


async def test_post_events_against_the_type_as_given(client: Client) -> None:
    event_type = await create_event_type(client, FLARING_INCIDENT)

    payload = await client.execute_field(LOG_EVENT, input={"eventTypeId": event_type["id"]} | EVENT)

    assert payload["event"] is None
    assert {(error["code"], error["path"][-1]) for error in payload["userErrors"]} == {
        ("FIELD_UNKNOWN", "duration_hours"),
        ("FIELD_INVALID", "cause"),
    }
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 0}


async def test_get_events_by_entity(client: Client) -> None:
    await client.log_event(summary="at the well", **EVENT)
    await client.log_event(summary="elsewhere")

    listed = await client.execute_field(
        '{ events(filter: {entityId: "well-001"}, first: 50) { nodes { summary } } }'
    )

    assert listed == {"nodes": [{"summary": "at the well"}]}


async def test_get_one_event_and_patch_it(client: Client) -> None:
    event = await client.log_event(summary="before", **EVENT)

    await client.execute_field(
        """mutation ($id: ID!) { updateEvent(input: {id: $id, fields: {duration_hours: 5}}) {
             userErrors { code } } }""",
        id=event["id"],
    )

    payload = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { fields } }", id=event["id"]
    )
    assert payload["fields"] == EVENT["fields"] | {"duration_hours": 5}


LIST = """
query ($filter: EventFilter, $first: Int, $offset: Int) {
  events(filter: $filter, first: $first, offset: $offset) { nodes { summary } }
}
"""


async def list_summaries(client: Client, **parameters: Any) -> list[str]:
    page = await client.execute_field(LIST, **parameters)
    return [node["summary"] for node in page["nodes"]]


async def log_days(client: Client, *days: int) -> None:
    for day in days:
        await client.log_event(summary=str(day), occurredAt=f"2026-04-{day:02}T10:30:00Z")


async def test_get_events_entity_id(client: Client) -> None:
    """GET /events?entity_id=well-001&limit=50"""
    await client.log_event(summary="at the well", **EVENT)
    await client.log_event(
        summary="at another", **EVENT | {"entity": {"id": "well-002", "type": "Well"}}
    )
    await client.log_event(summary="at none")

    assert await list_summaries(client, filter={"entityId": "well-001"}, first=50) == [
        "at the well"
    ]


async def test_get_events_event_type_id(client: Client) -> None:
    event_type = await create_event_type(client, FLARING_INCIDENT)
    other = await create_event_type(client, FLARING_INCIDENT | {"name": "Other"})
    await client.log_event(
        summary="flaring", eventTypeId=event_type["id"], fields={"volume_mcf": 150}
    )
    await client.log_event(summary="other", eventTypeId=other["id"], fields={"volume_mcf": 150})
    await client.log_event(summary="of no type")

    assert await list_summaries(client, filter={"eventTypeId": event_type["id"]}) == ["flaring"]


@pytest.mark.parametrize(
    ("occurred_at", "days"),
    [
        ({"from": "2026-04-02T10:30:00Z"}, ["3", "2"]),
        ({"from": "2026-04-02T12:30:00.000001+02:00"}, ["3"]),
    ],
)
async def test_get_events_from_date(
    client: Client, occurred_at: dict[str, str], days: list[str]
) -> None:
    await log_days(client, 1, 2, 3)

    assert await list_summaries(client, filter={"occurredAt": occurred_at}) == days


async def test_get_events_to_date(client: Client) -> None:
    await log_days(client, 1, 2, 3)

    assert await list_summaries(client, filter={"occurredAt": {"to": "2026-04-03T00:00:00Z"}}) == [
        "2",
        "1",
    ]


async def test_get_events_from_date_to_date(client: Client) -> None:
    await log_days(client, 1, 2, 3)
    day = {"from": "2026-04-02T00:00:00Z", "to": "2026-04-03T00:00:00Z"}

    assert await list_summaries(client, filter={"occurredAt": day}) == ["2"]


async def test_get_events_limit(client: Client) -> None:
    await log_days(client, 1, 2, 3)

    assert await list_summaries(client, first=2) == ["3", "2"]


async def test_get_events_offset(client: Client) -> None:
    await log_days(client, 1, 2, 3, 4)

    assert await list_summaries(client, first=2, offset=1) == ["3", "2"]
    assert await list_summaries(client, first=2, offset=3) == ["1"]
    assert await list_summaries(client, first=2, offset=4) == []
