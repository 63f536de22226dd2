"""Versions of an event type: each change creates one, and events keep theirs."""

from __future__ import annotations

from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.conftest import Serve
from tests.event_type_client import (
    ADD_FIELD,
    ADD_RULE,
    DELETE_RULE,
    FIND,
    REMOVE_FIELD,
    REORDER,
    SCHEMA,
    TRANSITION,
    UPDATE,
    UPDATE_EVENT,
    UPDATE_FIELD,
    UPDATE_RULE,
    change_event_type,
    codes_and_paths,
    define_event_type,
    fetch_all_rows,
    field_input,
    predicate_input,
    rule_input,
)

VALUES = """query ($id: ID!) { event(id: $id) { eventTypeVersion fields
  fieldValues { name label kind unit value field { id name } } } }"""


async def fetch_json_schema(client: Client, id: str, version: int | None = None) -> Any:
    return (await client.execute_field(SCHEMA, id=id, version=version))["jsonSchema"]


async def test_every_change_creates_the_next_version(client: Client) -> None:
    event_type = await define_event_type(client, *map(field_input, "abc"))
    id, (a, b, c) = event_type["id"], [each["id"] for each in event_type["fields"]]
    seen = [event_type]

    seen.append(await change_event_type(client, UPDATE, input={"id": id, "name": "Meter"}))
    seen.append(await change_event_type(client, ADD_FIELD, id=id, field=field_input("d")))
    seen.append(await change_event_type(client, UPDATE_FIELD, input={"id": a, "required": True}))
    seen.append(
        await change_event_type(
            client, ADD_RULE, id=id, rule=rule_input("SHOW", "b", predicate_input("a"))
        )
    )
    of_rule = seen[-1]["conditionalRules"][0]["id"]
    seen.append(
        await change_event_type(client, UPDATE_RULE, input={"id": of_rule, "enabled": False})
    )
    seen.append(await change_event_type(client, DELETE_RULE, id=of_rule))
    seen.append(await change_event_type(client, REMOVE_FIELD, id=c))
    d = seen[-1]["fields"][-1]["id"]
    seen.append(await change_event_type(client, REORDER, id=id, fieldIds=[d, b, a]))

    assert [each["version"] for each in seen] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [each["updatedAt"] for each in seen] == sorted({each["updatedAt"] for each in seen})
    assert await client.execute_field(FIND, id=id) == seen[-1]


async def test_an_update_without_changes_creates_no_version(
    client: Client, shared_database: Database
) -> None:
    rules = [rule_input("SHOW", "b", predicate_input("a"))]
    event_type = await define_event_type(
        client,
        field_input("a", default="x"),
        field_input("b"),
        field_input("c"),
        conditionalRules=rules,
    )
    id, ids = event_type["id"], [each["id"] for each in event_type["fields"]]
    of_rule = event_type["conditionalRules"][0]
    before = await fetch_all_rows(shared_database, client)

    for mutation, arguments in (
        (UPDATE, {"id": id}),
        (UPDATE, {"id": id, "name": "Gauge", "type": "gauge", "description": None}),
        (UPDATE, {"id": id, "category": "general"}),
        (UPDATE, {"id": id, "category": None}),
        (UPDATE_FIELD, {"id": ids[0]}),
        (UPDATE_FIELD, {"id": ids[0], "label": "a"}),
        (UPDATE_FIELD, {"id": ids[0], "label": None}),
        (UPDATE_FIELD, {"id": ids[0], "kind": "TEXT", "default": "x", "required": False}),
        (UPDATE_FIELD, {"id": ids[0], "options": None, "minimum": None, "unit": None}),
        (UPDATE_RULE, {"id": of_rule["id"]}),
        (UPDATE_RULE, {"id": of_rule["id"], "condition": of_rule["condition"], "enabled": True}),
    ):
        after = await change_event_type(client, mutation, input=arguments)
        assert (arguments, after) == (arguments, event_type)
    assert await change_event_type(client, REORDER, id=id, fieldIds=ids) == event_type

    assert await fetch_all_rows(shared_database, client) == before


async def test_a_transition_creates_no_version(client: Client) -> None:
    event_type = await define_event_type(client)

    moved = [
        await change_event_type(client, TRANSITION, id=event_type["id"], to=to)
        for to in ("DEPRECATED", "ARCHIVED")
    ]

    assert [each["version"] for each in moved] == [1, 1]


async def test_a_rejected_change_creates_no_version(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    await client.execute_field(ADD_FIELD, id=event_type["id"], field=field_input("a"))

    after = await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("b"))

    assert after["version"] == 2


async def test_the_schema_of_every_version_stays_readable(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    id = event_type["id"]
    seen = [await fetch_json_schema(client, id)]
    seen.append(
        await fetch_json_schema(
            client,
            (await change_event_type(client, ADD_FIELD, id=id, field=field_input("b")))["id"],
        )
    )
    await change_event_type(
        client, ADD_RULE, id=id, rule=rule_input("SHOW", "b", predicate_input("a", "EQ", "x"))
    )
    seen.append(await fetch_json_schema(client, id))
    await change_event_type(
        client, UPDATE_FIELD, input={"id": event_type["fields"][0]["id"], "required": True}
    )
    seen.append(await fetch_json_schema(client, id))

    again = [await fetch_json_schema(client, id, version) for version in (1, 2, 3, 4)]

    assert again == seen
    assert [list(each["properties"]) for each in seen] == [["a"], *[["a", "b"]] * 3]
    assert [each["required"] for each in seen] == [[], [], [], ["a"]]
    assert ["allOf" in each for each in seen] == [False, False, True, True]


async def test_stored_versions_do_not_change(
    own_client: Client, database_url: str, serve: Serve
) -> None:
    event_type = await define_event_type(
        own_client, field_input("a"), conditionalRules=[rule_input("HIDE", "a", {"any": []})]
    )
    await change_event_type(
        own_client,
        ADD_FIELD,
        id=event_type["id"],
        field=field_input("b", "SELECT", options=["é", "ü"]),
    )
    seen = [await fetch_json_schema(own_client, event_type["id"], version) for version in (1, 2)]
    clear_process_cache()

    async with serve(database_url) as later:
        again = [await fetch_json_schema(later, event_type["id"], version) for version in (1, 2)]

    assert again == seen


def clear_process_cache() -> None:
    from app.services.definitions import event_types

    event_types.version_cache.clear()


@pytest.mark.parametrize("version", [0, -1, 2, 2**31 - 1, -(2**31)])
async def test_an_unknown_version_is_an_error(client: Client, version: int) -> None:
    event_type = await define_event_type(client)

    error = await client.expect_error(SCHEMA, id=event_type["id"], version=version)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": ["version"]}
    assert error["message"] == (
        f"Event type 'gauge' has no version {version}; its latest version is 1."
    )


async def test_a_version_that_is_not_an_int_is_an_error(client: Client) -> None:
    event_type = await define_event_type(client)

    error = await client.expect_error(SCHEMA, id=event_type["id"], version=2**31)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": ["version"]}


async def test_an_update_is_validated_by_the_event_s_own_version(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client, field_input("a", "NUMBER"), field_input("b"))
    event = await client.log_event(type="gauge", fields={"a": 1, "b": "x"})
    await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("c", required=True)
    )
    await change_event_type(
        client, UPDATE_FIELD, input={"id": event_type["fields"][0]["id"], "maximum": 5}
    )
    await change_event_type(client, REMOVE_FIELD, id=event_type["fields"][1]["id"])

    updated = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"a": 99, "b": "y"}}
    )
    before = await fetch_all_rows(shared_database, client)
    unknown = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"c": "new"}}
    )
    late = await client.execute_field(
        LOG_EVENT, input={"type": "gauge", "fields": {"a": 99, "b": "y"}}
    )

    assert updated == {
        "event": {"version": 2, "fields": {"a": 99, "b": "y"}, "eventTypeVersion": 1},
        "warnings": [],
        "userErrors": [],
    }
    assert codes_and_paths(unknown["userErrors"]) == [("FIELD_UNKNOWN", "input.fields.c")]
    assert sorted(codes_and_paths(late["userErrors"])) == [
        ("FIELD_INVALID", "input.fields.a"),
        ("FIELD_REQUIRED", "input.fields.c"),
        ("FIELD_UNKNOWN", "input.fields.b"),
    ]
    assert await fetch_all_rows(shared_database, client) == before


async def test_an_update_uses_the_rules_of_the_event_s_own_version(client: Client) -> None:
    event_type = await define_event_type(client, *map(field_input, "ab"))
    event = await client.log_event(type="gauge", fields={"a": "x", "b": "y"})
    await change_event_type(
        client, ADD_RULE, id=event_type["id"], rule=rule_input("HIDE", "b", predicate_input("a"))
    )

    updated = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"a": "z"}}
    )
    later = await client.log_event(type="gauge", fields={"a": "x", "b": "y"})

    assert updated["warnings"] == []
    assert updated["event"]["fields"] == {"a": "z", "b": "y"}
    assert (later["fields"], later["eventTypeVersion"]) == ({"a": "x"}, 2)


async def test_field_values_have_the_definitions_of_the_event_s_own_version(
    client: Client,
) -> None:
    event_type = await define_event_type(
        client,
        field_input("volume", "NUMBER", label="Volume", unit="mcf"),
        field_input("cause", "SELECT", options=["x"], label="Cause"),
        field_input("note"),
        field_input("empty"),
    )
    event = await client.log_event(type="gauge", fields={"note": "n", "cause": "x", "volume": 2.5})
    volume, cause, note, _ = (each["id"] for each in event_type["fields"])
    await change_event_type(
        client, UPDATE_FIELD, input={"id": volume, "label": "Amount", "unit": "m3", "minimum": 0}
    )
    await change_event_type(client, REMOVE_FIELD, id=cause)

    payload = await client.execute_field(VALUES, id=event["id"])

    assert payload["eventTypeVersion"] == 1
    assert payload["fieldValues"] == [
        {
            "name": "volume",
            "label": "Volume",
            "kind": "NUMBER",
            "unit": "mcf",
            "value": 2.5,
            "field": {"id": volume, "name": "volume"},
        },
        {
            "name": "cause",
            "label": "Cause",
            "kind": "SELECT",
            "unit": None,
            "value": "x",
            "field": None,
        },
        {
            "name": "note",
            "label": "note",
            "kind": "TEXT",
            "unit": None,
            "value": "n",
            "field": {"id": note, "name": "note"},
        },
    ]


async def test_a_free_form_event_has_no_field_values(client: Client) -> None:
    event = await client.log_event(type="free", fields={"a": 1})

    payload = await client.execute_field(VALUES, id=event["id"])

    assert payload == {"eventTypeVersion": None, "fields": {"a": 1}, "fieldValues": []}
