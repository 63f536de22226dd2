"""updateEvent with eventTypeVersion: an event is moved to a newer version of its event type."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import Client
from tests.event_type_client import (
    ADD_FIELD,
    ADD_RULE,
    REMOVE_FIELD,
    UPDATE,
    UPDATE_FIELD,
    change_event_type,
    define_event_type,
    fetch_all_rows,
    field_input,
    predicate_input,
    rule_input,
)

MOVE = """mutation ($input: UpdateEventInput!) {
  updateEvent(input: $input) {
    event { version eventTypeVersion category fields fieldValues { name field { id } } }
    warnings { code path } userErrors { code message path }
  } }"""
VALUES = "query ($id: ID!) { event(id: $id) { fieldValues { name field { id } } } }"


async def move(client: Client, event: Any, version: int | None, **more: Any) -> Any:
    values = {"id": event["id"], "eventTypeVersion": version, **more}
    return await client.execute_field(MOVE, input=values)


async def fetch_refusals(client: Client, input: Any) -> list[tuple[str, str, str]]:
    payload = await client.execute_field(MOVE, input=input)
    assert payload["event"] is None
    return [
        (error["code"], ".".join(error["path"]), error["message"])
        for error in payload["userErrors"]
    ]


async def test_a_field_that_a_later_version_added_can_be_filled_in(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    event = await client.log_event(type="gauge", fields={"a": "x"})
    await change_event_type(client, UPDATE, input={"id": event_type["id"], "category": "tanks"})
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("crew"))
    values = {"id": event["id"], "fields": {"crew": "night"}}

    refusals = await fetch_refusals(client, values)
    payload = await client.execute_field(MOVE, input=values | {"eventTypeVersion": 3})

    assert refusals == [
        (
            "FIELD_UNKNOWN",
            "input.fields.crew",
            "Unknown field 'crew': event type 'gauge' version 1 has no such field. Version 3 added "
            "it: to move the event to that version, set eventTypeVersion to 3.",
        )
    ]
    assert payload["userErrors"] == []
    moved = payload["event"]
    assert (moved["version"], moved["eventTypeVersion"], moved["category"]) == (2, 3, "tanks")
    assert moved["fields"] == {"a": "x", "crew": "night"}
    assert [each["name"] for each in moved["fieldValues"]] == ["a", "crew"]


async def test_an_event_can_be_moved_to_a_version_between_its_own_and_the_latest(
    client: Client,
) -> None:
    event_type = await define_event_type(client, field_input("a"))
    event = await client.log_event(type="gauge", fields={"a": "x"})
    for name in ("b", "c"):
        await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input(name))
    await change_event_type(client, UPDATE, input={"id": event_type["id"], "category": "tanks"})

    payload = await move(client, event, 2, fields={"b": "y"})
    refusals = await fetch_refusals(client, {"id": event["id"], "fields": {"c": "z", "d": "z"}})

    moved = payload["event"]
    assert (moved["eventTypeVersion"], moved["category"]) == (2, "general")
    assert refusals == [
        (
            "FIELD_UNKNOWN",
            "input.fields.c",
            "Unknown field 'c': event type 'gauge' version 2 has no such field. Version 3 added "
            "it: to move the event to that version, set eventTypeVersion to 3.",
        ),
        (
            "FIELD_UNKNOWN",
            "input.fields.d",
            "Unknown field 'd': the event type has no such field.",
        ),
    ]


async def test_a_name_that_only_a_later_version_keeps_is_refused_with_that_version(
    client: Client,
) -> None:
    event_type = await define_event_type(client, field_input("a"))
    event = await client.log_event(type="gauge", fields={"a": "x"})
    keep = {"id": event_type["id"], "additionalFields": "KEEP"}
    await change_event_type(client, UPDATE, input=keep)
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("b"))
    values = {"id": event["id"], "fields": {"b": "y", "crew": "night"}}

    refusals = await fetch_refusals(client, values)
    payload = await client.execute_field(MOVE, input=values | {"eventTypeVersion": 3})

    reason = "event type 'gauge' version 1 has no such field. Version 3"
    how = "to move the event to that version, set eventTypeVersion to 3."
    code = "FIELD_UNKNOWN"
    assert refusals == [
        (code, "input.fields.b", f"Unknown field 'b': {reason} added it: {how}"),
        (
            code,
            "input.fields.crew",
            f"Unknown field 'crew': {reason} keeps additional fields: {how}",
        ),
    ]
    assert payload["userErrors"] == []
    assert payload["event"]["fields"] == {"a": "x", "b": "y", "crew": "night"}


async def test_a_name_that_a_later_version_drops_is_refused_without_advice_to_move(
    client: Client,
) -> None:
    event_type = await define_event_type(client, field_input("a"))
    event = await client.log_event(type="gauge", fields={"a": "x"})
    drop = {"id": event_type["id"], "additionalFields": "DROP"}
    await change_event_type(client, UPDATE, input=drop)

    refusals = await fetch_refusals(client, {"id": event["id"], "fields": {"crew": "night"}})

    message = "Unknown field 'crew': the event type has no such field."
    assert refusals == [("FIELD_UNKNOWN", "input.fields.crew", message)]


async def test_the_values_are_validated_against_the_newer_version(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client, field_input("a", "NUMBER"), field_input("b"))
    a, b = (each["id"] for each in event_type["fields"])
    event = await client.log_event(type="gauge", fields={"a": 99, "b": "kept"})
    await change_event_type(client, UPDATE_FIELD, input={"id": a, "maximum": 5})
    await change_event_type(client, REMOVE_FIELD, id=b)
    await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("c", required=True)
    )
    before = await fetch_all_rows(shared_database, client)

    refusals = await fetch_refusals(client, {"id": event["id"], "eventTypeVersion": 4})
    unchanged = await fetch_all_rows(shared_database, client)
    moved = await move(client, event, 4, fields={"a": 5, "b": None, "c": "new"})

    assert sorted(refusals) == [
        (
            "FIELD_INVALID",
            "input.fields.a",
            "Invalid value 99: expected a number that is at most 5.",
        ),
        ("FIELD_REQUIRED", "input.fields.c", "Field 'c' is required."),
        (
            "FIELD_UNKNOWN",
            "input.fields.b",
            "Unknown field 'b': the event has a value for it from version 1 of event type 'gauge', "
            "but version 4 has no such field. Set the field to null to remove its value.",
        ),
    ]
    assert unchanged == before
    assert moved["userErrors"] == []
    assert moved["event"]["fields"] == {"a": 5, "c": "new"}


async def test_a_stored_value_is_not_of_a_later_field_with_the_same_name(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"), field_input("b"))
    event = await client.log_event(type="gauge", fields={"b": "x"})
    await change_event_type(client, REMOVE_FIELD, id=event_type["fields"][1]["id"])
    await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("b", "NUMBER")
    )
    values = {"id": event["id"], "eventTypeVersion": 2}

    of_stored = await fetch_refusals(client, values)
    of_stored_beside_sent = await fetch_refusals(client, values | {"fields": {"a": "y"}})
    of_sent = await fetch_refusals(client, values | {"fields": {"b": 1}})

    code_and_path = ("FIELD_UNKNOWN", "input.fields.b")
    assert of_stored == [
        (
            *code_and_path,
            "Unknown field 'b': the event has a value for it from version 1 of event type 'gauge', "
            "but version 2 has no such field. Set the field to null to remove its value.",
        )
    ]
    assert of_stored_beside_sent == of_stored
    assert of_sent == [
        (
            *code_and_path,
            "Unknown field 'b': event type 'gauge' version 2 has no such field. Version 3 added "
            "it: to move the event to that version, set eventTypeVersion to 3.",
        )
    ]


async def test_only_fields_that_the_newer_version_adds_or_shows_get_their_default(
    client: Client,
) -> None:
    event_type = await define_event_type(
        client, field_input("a", default="unset"), field_input("b")
    )
    event = await client.log_event(type="gauge", fields={"b": "y"})
    await client.execute_field(MOVE, input={"id": event["id"], "fields": {"a": None}})
    added = field_input("c", default="new", required=True)
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=added)

    payload = await move(client, event, 2)

    assert payload["userErrors"] == []
    assert payload["event"]["fields"] == {"b": "y", "c": "new"}


async def test_the_rules_of_the_newer_version_hide_fields(client: Client) -> None:
    event_type = await define_event_type(client, *map(field_input, "ab"))
    event = await client.log_event(type="gauge", fields={"a": "x", "b": "y"})
    rule = rule_input("HIDE", "b", predicate_input("a"))
    await change_event_type(client, ADD_RULE, id=event_type["id"], rule=rule)

    payload = await move(client, event, 2)

    assert payload["event"]["fields"] == {"a": "x"}
    assert payload["warnings"] == [{"code": "FIELD_HIDDEN", "path": ["input", "fields", "b"]}]


async def test_a_guard_rule_over_a_newer_field_applies_from_that_version_on(
    client: Client,
) -> None:
    event_type = await define_event_type(client, field_input("a"))
    event = await client.log_event(type="gauge", fields={"a": "x"})
    added = field_input("crew", default="night")
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=added)
    rule = {
        "eventTypeId": event_type["id"],
        "name": "day only",
        "expression": "event.fields.crew == 'day'",
        "message": "Only the day crew.",
    }
    created = await client.execute_field(
        """mutation ($input: CreateGuardRuleInput!) { createGuardRule(input: $input) {
        guardRule { id } userErrors { message } } }""",
        input=rule,
    )
    await client.execute_field(
        "mutation ($id: ID!) { publishGuardRule(id: $id) { userErrors { message } } }",
        id=created["guardRule"]["id"],
    )

    refused = await move(client, event, 2)
    in_version_1 = await client.execute_field(MOVE, input={"id": event["id"], "summary": "s"})
    moved = await move(client, event, 2, fields={"crew": "day"})

    assert [error["code"] for error in refused["userErrors"]] == ["GUARD_REJECTED"]
    assert (in_version_1["userErrors"], moved["userErrors"]) == ([], [])


@pytest.mark.parametrize("version", [1, 2, 4, 0, -1, 2**31 - 1, -(2**31)])
async def test_a_version_that_is_not_newer_or_does_not_exist_is_rejected(
    client: Client, shared_database: Database, version: int
) -> None:
    event_type = await define_event_type(client, field_input("a"))
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("b"))
    event = await client.log_event(type="gauge")
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("c"))
    before = await fetch_all_rows(shared_database, client)

    refusals = await fetch_refusals(client, {"id": event["id"], "eventTypeVersion": version})

    assert refusals == [
        (
            "INVALID_INPUT",
            "input.eventTypeVersion",
            f"The event cannot be moved to version {version} of event type 'gauge': it has version "
            "2, and the latest version is 3. Use a version from 3 to 3, or omit eventTypeVersion.",
        )
    ]
    assert await fetch_all_rows(shared_database, client) == before


async def test_an_event_of_the_latest_version_cannot_be_moved(client: Client) -> None:
    await define_event_type(client, field_input("a"))
    event = await client.log_event(type="gauge")

    refusals = await fetch_refusals(client, {"id": event["id"], "eventTypeVersion": 2})

    assert refusals == [
        (
            "INVALID_INPUT",
            "input.eventTypeVersion",
            "The event cannot be moved to version 2 of event type 'gauge': it has version 1, and "
            "the latest version is 1. Omit eventTypeVersion.",
        )
    ]


async def test_a_free_form_event_and_null_are_rejected(client: Client) -> None:
    await define_event_type(client, field_input("a"))
    free, typed = [await client.log_event(type=type) for type in ("free", "gauge")]

    refusals = [
        await fetch_refusals(client, {"id": free["id"], "eventTypeVersion": 1}),
        await fetch_refusals(client, {"id": typed["id"], "eventTypeVersion": None}),
    ]

    path = "input.eventTypeVersion"
    assert refusals == [
        [
            (
                "INVALID_INPUT",
                path,
                "The event is free-form: it has no event type. Omit eventTypeVersion.",
            )
        ],
        [
            (
                "INVALID_INPUT",
                path,
                "eventTypeVersion must not be null. Omit it to keep the current value.",
            )
        ],
    ]


async def test_the_change_log_has_both_versions(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    event = await client.log_event(type="gauge")
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("b"))

    await move(client, event, 2, fields={"b": "y"})

    history = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { history { nodes { kind changes } } } }", id=event["id"]
    )
    assert history["history"]["nodes"][-1] == {
        "kind": "UPDATED",
        "changes": {"eventTypeVersion": [1, 2], "fields": [{}, {"b": "y"}]},
    }


async def test_a_later_field_of_the_same_name_is_not_the_field_of_an_older_value(
    client: Client,
) -> None:
    event_type = await define_event_type(client, field_input("a"), field_input("kept"))
    a, kept = (each["id"] for each in event_type["fields"])
    event = await client.log_event(type="gauge", fields={"a": "x", "kept": "k"})
    await change_event_type(client, REMOVE_FIELD, id=a)
    again = await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("a", "NUMBER")
    )
    [new_a] = [each["id"] for each in again["fields"] if each["name"] == "a"]
    later = await client.log_event(type="gauge", fields={"a": 1})

    payloads = [await client.execute_field(VALUES, id=each["id"]) for each in (event, later)]
    moved = await move(client, event, 3, fields={"a": 2})

    assert payloads == [
        {"fieldValues": [{"name": "a", "field": None}, {"name": "kept", "field": {"id": kept}}]},
        {"fieldValues": [{"name": "a", "field": {"id": new_a}}]},
    ]
    assert moved["event"]["fieldValues"] == [
        {"name": "kept", "field": {"id": kept}},
        {"name": "a", "field": {"id": new_a}},
    ]


async def test_concurrent_moves_and_changes_of_the_type_keep_events_valid(
    client: Client,
) -> None:
    """A move sees the type before or after a change, never in between."""
    event_type = await define_event_type(client, field_input("a"))
    events = [await client.log_event(type="gauge", sourceId=str(n)) for n in range(8)]
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("b"))
    changes = [
        client.execute_field(ADD_FIELD, id=event_type["id"], field=field_input(f"f{n}"))
        for n in range(4)
    ]

    moves = await asyncio.gather(*(move(client, event, 2) for event in events), *changes)

    assert [each["userErrors"] for each in moves] == [[]] * 12
    assert [each["event"]["eventTypeVersion"] for each in moves[:8]] == [2] * 8
