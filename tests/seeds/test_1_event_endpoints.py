"""Seed 1, the event endpoints: its examples, in the words of the API."""

from __future__ import annotations

from typing import Any

from tests.client import LOG_EVENT, Client

CREATE = """
mutation ($input: CreateEventTypeInput!) {
  createEventType(input: $input) {
    eventType { id type name description category state fields { name kind required options } }
    userErrors { code message path }
  }
}
"""
# POST /event-types, as given; it needs to be published to take events.
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
# POST /events, as given but for the type's id.
EVENT: dict[str, Any] = {
    "entity": {"id": "well-001", "type": "Well"},
    "occurredAt": "2026-04-10T10:30:00Z",
    "fields": {"volume_mcf": 150, "duration_hours": 4, "cause": "equipment_malfunction"},
}


async def create(client: Client, definition: dict[str, Any]) -> Any:
    payload = await client.ask(CREATE, input=definition)
    assert payload["userErrors"] == []
    return payload["eventType"]


async def test_post_event_types(client: Client) -> None:
    made = await create(client, FLARING_INCIDENT)

    assert made == {
        "id": made["id"],
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
    made = await create(client, FLARING_INCIDENT)

    listed = await client.ask("{ eventTypes { nodes { id } } }")
    found = await client.ask(
        "query ($id: ID!) { eventType(by: {id: $id}) { name } }", id=made["id"]
    )

    assert listed == {"nodes": [{"id": made["id"]}]}
    assert found == {"name": "Flaring Incident"}


async def test_post_events_on_a_type_that_has_its_three_fields(client: Client) -> None:
    volume, _ = FLARING_INCIDENT["fields"]
    fields = [
        volume,
        {"name": "duration_hours", "kind": "NUMBER"},
        {"name": "cause", "kind": "SELECT", "options": ["equipment_malfunction", "weather"]},
    ]
    made = await create(client, FLARING_INCIDENT | {"fields": fields})

    event = await client.log(eventTypeId=made["id"], **EVENT)

    assert event["type"] == "flaring.flaring_incident"
    assert event["entity"] == {"type": "Well", "entityId": "well-001"}
    assert event["occurredAt"] == "2026-04-10T10:30:00.000000Z"
    assert event["fields"] == EVENT["fields"]
    assert event["summary"] == "Flaring Incident"
    assert event["eventType"] == {"id": made["id"], "type": made["type"], "version": 1}


async def test_post_events_against_the_type_as_given(client: Client) -> None:
    made = await create(client, FLARING_INCIDENT)

    payload = await client.ask(LOG_EVENT, input={"eventTypeId": made["id"]} | EVENT)

    assert payload["event"] is None
    assert {(error["code"], error["path"][-1]) for error in payload["userErrors"]} == {
        ("FIELD_UNKNOWN", "duration_hours"),
        ("FIELD_INVALID", "cause"),
    }
    assert await client.ask("{ events { totalCount } }") == {"totalCount": 0}


async def test_get_events_by_entity(client: Client) -> None:
    await client.log(summary="at the well", **EVENT)
    await client.log(summary="elsewhere")

    listed = await client.ask(
        '{ events(filter: {entityId: "well-001"}, first: 50) { nodes { summary } } }'
    )

    assert listed == {"nodes": [{"summary": "at the well"}]}


async def test_get_one_event_and_patch_it(client: Client) -> None:
    event = await client.log(summary="before", **EVENT)

    await client.ask(
        """mutation ($id: ID!) { updateEvent(input: {id: $id, fields: {duration_hours: 5}}) {
             userErrors { code } } }""",
        id=event["id"],
    )

    found = await client.ask("query ($id: ID!) { event(id: $id) { fields } }", id=event["id"])
    assert found["fields"] == EVENT["fields"] | {"duration_hours": 5}
