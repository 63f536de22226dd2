"""Seed 1, event type management: every row of its table, with the names of the API."""

from __future__ import annotations

from typing import Any

from tests.client import Client
from tests.event_type_client import (
    ADD_FIELD,
    CREATE,
    DELETE,
    FIND,
    REMOVE_FIELD,
    REORDER,
    TRANSITION,
    UPDATE,
    UPDATE_FIELD,
    change_event_type,
    field_input,
)

# From the seed; `type` of a field is `kind` here.
FLARING_INCIDENT: dict[str, Any] = {
    "name": "Flaring Incident",
    "description": "Unplanned flaring event",
    "category": "flaring",
    "fields": [
        {"name": "volume_mcf", "kind": "NUMBER", "required": True},
        {"name": "cause", "kind": "SELECT", "options": ["equipment", "weather", "other"]},
    ],
}


async def create_flaring_incident(client: Client) -> Any:
    return await change_event_type(client, CREATE, input=FLARING_INCIDENT)


async def test_post_event_types_creates_an_event_type(client: Client) -> None:
    event_type = await create_flaring_incident(client)

    volume, cause = event_type["fields"]
    assert (event_type["name"], event_type["description"], event_type["category"]) == (
        *("Flaring Incident", "Unplanned flaring event", "flaring"),
    )
    assert (event_type["type"], event_type["state"], event_type["version"]) == (
        *("flaring.flaring_incident", "DRAFT", 1),
    )
    assert (volume["name"], volume["kind"], volume["required"]) == ("volume_mcf", "NUMBER", True)
    assert (cause["kind"], cause["options"]) == ("SELECT", ["equipment", "weather", "other"])


async def test_get_event_types_lists_them(client: Client) -> None:
    await create_flaring_incident(client)

    listed = await client.execute_field("{ eventTypes { totalCount nodes { name } } }")

    assert listed == {"totalCount": 1, "nodes": [{"name": "Flaring Incident"}]}


async def test_get_event_types_id_gets_the_details(client: Client) -> None:
    event_type = await create_flaring_incident(client)

    assert await client.execute_field(FIND, id=event_type["id"]) == event_type


async def test_patch_event_types_id_updates_it(client: Client) -> None:
    event_type = await create_flaring_incident(client)

    after = await change_event_type(
        client, UPDATE, input={"id": event_type["id"], "description": "Any flaring"}
    )

    assert (after["description"], after["name"], after["version"]) == (
        *("Any flaring", "Flaring Incident", 2),
    )


async def test_delete_event_types_id_deletes_it(client: Client) -> None:
    event_type = await create_flaring_incident(client)

    await change_event_type(client, DELETE, id=event_type["id"])

    assert await client.execute_field(FIND, id=event_type["id"]) is None


async def test_post_event_types_id_transition_changes_its_state(client: Client) -> None:
    event_type = await create_flaring_incident(client)

    states = [
        (await change_event_type(client, TRANSITION, id=event_type["id"], to=to))["state"]
        for to in ("PUBLISHED", "DEPRECATED", "ARCHIVED")
    ]

    assert states == ["PUBLISHED", "DEPRECATED", "ARCHIVED"]


async def test_post_event_types_id_fields_adds_a_field(client: Client) -> None:
    event_type = await create_flaring_incident(client)

    after = await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("duration_hours", "NUMBER")
    )

    assert [each["name"] for each in after["fields"]] == ["volume_mcf", "cause", "duration_hours"]


async def test_get_event_types_id_fields_lists_them(client: Client) -> None:
    event_type = await create_flaring_incident(client)

    listed = await client.execute_field(
        "query ($id: ID!) { eventType(by: {id: $id}) { fields { name position } } }",
        id=event_type["id"],
    )

    assert listed["fields"] == [
        {"name": "volume_mcf", "position": 0},
        {"name": "cause", "position": 1},
    ]


async def test_patch_event_types_id_fields_fid_updates_a_field(client: Client) -> None:
    event_type = await create_flaring_incident(client)
    cause = event_type["fields"][1]
    options = ["equipment_malfunction", "weather", "other"]

    after = await change_event_type(
        client, UPDATE_FIELD, input={"id": cause["id"], "options": options}
    )

    assert after["fields"][1] == cause | {"options": options}


async def test_delete_event_types_id_fields_fid_removes_a_field(client: Client) -> None:
    event_type = await create_flaring_incident(client)

    after = await change_event_type(client, REMOVE_FIELD, id=event_type["fields"][1]["id"])

    assert [each["name"] for each in after["fields"]] == ["volume_mcf"]


async def test_put_event_types_id_fields_reorder_reorders_them(client: Client) -> None:
    event_type = await create_flaring_incident(client)
    volume, cause = (each["id"] for each in event_type["fields"])

    after = await change_event_type(client, REORDER, id=event_type["id"], fieldIds=[cause, volume])

    assert [each["name"] for each in after["fields"]] == ["cause", "volume_mcf"]
