"""Seed 1, event type management: every row of its table, in the words of the API."""

from __future__ import annotations

from typing import Any

from tests.client import Client
from tests.definitions import (
    ADD_FIELD,
    CREATE,
    DELETE,
    FIND,
    MOVE,
    REMOVE_FIELD,
    REORDER,
    UPDATE,
    UPDATE_FIELD,
    field,
    shape,
)

# As given; `type` of a field is `kind` here.
FLARING_INCIDENT: dict[str, Any] = {
    "name": "Flaring Incident",
    "description": "Unplanned flaring event",
    "category": "flaring",
    "fields": [
        {"name": "volume_mcf", "kind": "NUMBER", "required": True},
        {"name": "cause", "kind": "SELECT", "options": ["equipment", "weather", "other"]},
    ],
}


async def flaring_incident(client: Client) -> Any:
    return await shape(client, CREATE, input=FLARING_INCIDENT)


async def test_post_event_types_creates_an_event_type(client: Client) -> None:
    made = await flaring_incident(client)

    volume, cause = made["fields"]
    assert (made["name"], made["description"], made["category"]) == (
        *("Flaring Incident", "Unplanned flaring event", "flaring"),
    )
    assert (made["type"], made["state"], made["version"]) == (
        *("flaring.flaring_incident", "DRAFT", 1),
    )
    assert (volume["name"], volume["kind"], volume["required"]) == ("volume_mcf", "NUMBER", True)
    assert (cause["kind"], cause["options"]) == ("SELECT", ["equipment", "weather", "other"])


async def test_get_event_types_lists_them(client: Client) -> None:
    await flaring_incident(client)

    listed = await client.ask("{ eventTypes { totalCount nodes { name } } }")

    assert listed == {"totalCount": 1, "nodes": [{"name": "Flaring Incident"}]}


async def test_get_event_types_id_gets_the_details(client: Client) -> None:
    made = await flaring_incident(client)

    assert await client.ask(FIND, id=made["id"]) == made


async def test_patch_event_types_id_updates_it(client: Client) -> None:
    made = await flaring_incident(client)

    after = await shape(client, UPDATE, input={"id": made["id"], "description": "Any flaring"})

    assert (after["description"], after["name"], after["version"]) == (
        *("Any flaring", "Flaring Incident", 2),
    )


async def test_delete_event_types_id_deletes_it(client: Client) -> None:
    made = await flaring_incident(client)

    await shape(client, DELETE, id=made["id"])

    assert await client.ask(FIND, id=made["id"]) is None


async def test_post_event_types_id_transition_moves_it_through_its_life(client: Client) -> None:
    made = await flaring_incident(client)

    states = [
        (await shape(client, MOVE, id=made["id"], to=to))["state"]
        for to in ("PUBLISHED", "DEPRECATED", "ARCHIVED")
    ]

    assert states == ["PUBLISHED", "DEPRECATED", "ARCHIVED"]


async def test_post_event_types_id_fields_adds_a_field(client: Client) -> None:
    made = await flaring_incident(client)

    after = await shape(client, ADD_FIELD, id=made["id"], field=field("duration_hours", "NUMBER"))

    assert [each["name"] for each in after["fields"]] == ["volume_mcf", "cause", "duration_hours"]


async def test_get_event_types_id_fields_lists_them(client: Client) -> None:
    made = await flaring_incident(client)

    listed = await client.ask(
        "query ($id: ID!) { eventType(by: {id: $id}) { fields { name position } } }", id=made["id"]
    )

    assert listed["fields"] == [
        {"name": "volume_mcf", "position": 0},
        {"name": "cause", "position": 1},
    ]


async def test_patch_event_types_id_fields_fid_updates_a_field(client: Client) -> None:
    made = await flaring_incident(client)
    cause = made["fields"][1]
    options = ["equipment_malfunction", "weather", "other"]

    after = await shape(client, UPDATE_FIELD, input={"id": cause["id"], "options": options})

    assert after["fields"][1] == cause | {"options": options}


async def test_delete_event_types_id_fields_fid_removes_a_field(client: Client) -> None:
    made = await flaring_incident(client)

    after = await shape(client, REMOVE_FIELD, id=made["fields"][1]["id"])

    assert [each["name"] for each in after["fields"]] == ["volume_mcf"]


async def test_put_event_types_id_fields_reorder_reorders_them(client: Client) -> None:
    made = await flaring_incident(client)
    volume, cause = (each["id"] for each in made["fields"])

    after = await shape(client, REORDER, id=made["id"], fieldIds=[cause, volume])

    assert [each["name"] for each in after["fields"]] == ["cause", "volume_mcf"]
