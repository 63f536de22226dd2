"""Versions of an event type: each change makes one, and events keep theirs."""

from __future__ import annotations

from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.conftest import Serve
from tests.definitions import (
    ADD_FIELD,
    ADD_RULE,
    DELETE_RULE,
    FIND,
    MOVE,
    REMOVE_FIELD,
    REORDER,
    SCHEMA,
    UPDATE,
    UPDATE_EVENT,
    UPDATE_FIELD,
    UPDATE_RULE,
    asks,
    define,
    everything,
    field,
    rule,
    shape,
    told,
)

VALUES = """query ($id: ID!) { event(id: $id) { eventTypeVersion fields
  fieldValues { name label kind unit value field { id name } } } }"""


async def schema(client: Client, id: str, version: int | None = None) -> Any:
    return (await client.ask(SCHEMA, id=id, version=version))["jsonSchema"]


async def test_every_change_makes_the_next_version(client: Client) -> None:
    made = await define(client, *map(field, "abc"))
    id, (a, b, c) = made["id"], [each["id"] for each in made["fields"]]
    seen = [made]

    seen.append(await shape(client, UPDATE, input={"id": id, "name": "Meter"}))
    seen.append(await shape(client, ADD_FIELD, id=id, field=field("d")))
    seen.append(await shape(client, UPDATE_FIELD, input={"id": a, "required": True}))
    seen.append(await shape(client, ADD_RULE, id=id, rule=rule("SHOW", "b", asks("a"))))
    of_rule = seen[-1]["conditionalRules"][0]["id"]
    seen.append(await shape(client, UPDATE_RULE, input={"id": of_rule, "enabled": False}))
    seen.append(await shape(client, DELETE_RULE, id=of_rule))
    seen.append(await shape(client, REMOVE_FIELD, id=c))
    d = seen[-1]["fields"][-1]["id"]
    seen.append(await shape(client, REORDER, id=id, fieldIds=[d, b, a]))

    assert [each["version"] for each in seen] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [each["updatedAt"] for each in seen] == sorted({each["updatedAt"] for each in seen})
    assert await client.ask(FIND, id=id) == seen[-1]


async def test_a_change_that_changes_nothing_makes_no_version(
    own_client: Client, database: Database
) -> None:
    rules = [rule("SHOW", "b", asks("a"))]
    made = await define(
        own_client, field("a", default="x"), field("b"), field("c"), conditionalRules=rules
    )
    id, ids = made["id"], [each["id"] for each in made["fields"]]
    of_rule = made["conditionalRules"][0]
    before = await everything(database)

    for mutation, given in (
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
        after = await shape(own_client, mutation, input=given)
        assert (given, after) == (given, made)
    assert await shape(own_client, REORDER, id=id, fieldIds=ids) == made

    assert await everything(database) == before


async def test_a_transition_makes_no_version(client: Client) -> None:
    made = await define(client)

    moved = [await shape(client, MOVE, id=made["id"], to=to) for to in ("DEPRECATED", "ARCHIVED")]

    assert [each["version"] for each in moved] == [1, 1]


async def test_a_refused_change_makes_no_version(client: Client) -> None:
    made = await define(client, field("a"))
    await client.ask(ADD_FIELD, id=made["id"], field=field("a"))

    after = await shape(client, ADD_FIELD, id=made["id"], field=field("b"))

    assert after["version"] == 2


async def test_the_schema_of_every_version_stays_readable(client: Client) -> None:
    made = await define(client, field("a"))
    id = made["id"]
    seen = [await schema(client, id)]
    seen.append(
        await schema(client, (await shape(client, ADD_FIELD, id=id, field=field("b")))["id"])
    )
    await shape(client, ADD_RULE, id=id, rule=rule("SHOW", "b", asks("a", "EQ", "x")))
    seen.append(await schema(client, id))
    await shape(client, UPDATE_FIELD, input={"id": made["fields"][0]["id"], "required": True})
    seen.append(await schema(client, id))

    again = [await schema(client, id, version) for version in (1, 2, 3, 4)]

    assert again == seen
    assert [list(each["properties"]) for each in seen] == [["a"], *[["a", "b"]] * 3]
    assert [each["required"] for each in seen] == [[], [], [], ["a"]]
    assert ["allOf" in each for each in seen] == [False, False, True, True]


async def test_versions_are_read_from_the_database_as_they_were_written(
    own_client: Client, database_url: str, serve: Serve
) -> None:
    made = await define(own_client, field("a"), conditionalRules=[rule("HIDE", "a", {"any": []})])
    await shape(
        own_client, ADD_FIELD, id=made["id"], field=field("b", "SELECT", options=["é", "ü"])
    )
    seen = [await schema(own_client, made["id"], version) for version in (1, 2)]
    forget_what_this_process_knows()

    async with serve(database_url) as later:
        again = [await schema(later, made["id"], version) for version in (1, 2)]

    assert again == seen


def forget_what_this_process_knows() -> None:
    from app.services.definitions import event_types

    event_types._known_forms.clear()


@pytest.mark.parametrize("version", [0, -1, 2, 2**31 - 1, -(2**31)])
async def test_a_version_that_there_is_not_is_an_error(client: Client, version: int) -> None:
    made = await define(client)

    error = await client.error(SCHEMA, id=made["id"], version=version)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": ["version"]}
    assert error["message"] == f"gauge has no version {version}; its latest is 1."


async def test_a_version_that_is_no_int_is_an_error(client: Client) -> None:
    made = await define(client)

    error = await client.error(SCHEMA, id=made["id"], version=2**31)

    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_an_event_is_updated_by_the_version_that_it_was_checked_against(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client, field("a", "NUMBER"), field("b"))
    event = await own_client.log(type="gauge", fields={"a": 1, "b": "x"})
    await shape(own_client, ADD_FIELD, id=made["id"], field=field("c", required=True))
    await shape(own_client, UPDATE_FIELD, input={"id": made["fields"][0]["id"], "maximum": 5})
    await shape(own_client, REMOVE_FIELD, id=made["fields"][1]["id"])

    updated = await own_client.ask(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"a": 99, "b": "y"}}
    )
    before = await everything(database)
    unknown = await own_client.ask(UPDATE_EVENT, input={"id": event["id"], "fields": {"c": "new"}})
    late = await own_client.ask(LOG_EVENT, input={"type": "gauge", "fields": {"a": 99, "b": "y"}})

    assert updated == {
        "event": {"version": 2, "fields": {"a": 99, "b": "y"}, "eventTypeVersion": 1},
        "warnings": [],
        "userErrors": [],
    }
    assert told(unknown["userErrors"]) == [("FIELD_UNKNOWN", "input.fields.c")]
    assert sorted(told(late["userErrors"])) == [
        ("FIELD_INVALID", "input.fields.a"),
        ("FIELD_REQUIRED", "input.fields.c"),
        ("FIELD_UNKNOWN", "input.fields.b"),
    ]
    assert await everything(database) == before


async def test_an_update_is_judged_by_the_rules_of_the_event_s_own_version(client: Client) -> None:
    made = await define(client, *map(field, "ab"))
    event = await client.log(type="gauge", fields={"a": "x", "b": "y"})
    await shape(client, ADD_RULE, id=made["id"], rule=rule("HIDE", "b", asks("a")))

    updated = await client.ask(UPDATE_EVENT, input={"id": event["id"], "fields": {"a": "z"}})
    later = await client.log(type="gauge", fields={"a": "x", "b": "y"})

    assert updated["warnings"] == []
    assert updated["event"]["fields"] == {"a": "z", "b": "y"}
    assert (later["fields"], later["eventTypeVersion"]) == ({"a": "x"}, 2)


async def test_values_lie_beside_the_definitions_of_the_event_s_own_version(
    client: Client,
) -> None:
    made = await define(
        client,
        field("volume", "NUMBER", label="Volume", unit="mcf"),
        field("cause", "SELECT", options=["x"], label="Cause"),
        field("note"),
        field("empty"),
    )
    event = await client.log(type="gauge", fields={"note": "n", "cause": "x", "volume": 2.5})
    volume, cause, note, _ = (each["id"] for each in made["fields"])
    await shape(
        client, UPDATE_FIELD, input={"id": volume, "label": "Amount", "unit": "m3", "minimum": 0}
    )
    await shape(client, REMOVE_FIELD, id=cause)

    found = await client.ask(VALUES, id=event["id"])

    assert found["eventTypeVersion"] == 1
    assert found["fieldValues"] == [
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
    event = await client.log(type="free", fields={"a": 1})

    found = await client.ask(VALUES, id=event["id"])

    assert found == {"eventTypeVersion": None, "fields": {"a": 1}, "fieldValues": []}
