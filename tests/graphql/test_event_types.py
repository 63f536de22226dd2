"""Event types: creation, validation of events, and queries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import LOG_EVENT, Client

CREATE = """
mutation ($input: CreateEventTypeInput!) {
  createEventType(input: $input) {
    eventType {
      id type name description category state version
      fields {
        id name label kind required position helpText unit options minimum maximum minLength
        maxLength pattern default eventType { id }
      }
    }
    userErrors { code message path }
  }
}
"""
COUNT = "{ eventTypes { totalCount } }"
FIELDS = [
    {"name": "volume_mcf", "kind": "NUMBER", "required": True, "unit": "mcf", "minimum": 0},
    {"name": "cause", "kind": "SELECT", "options": ["equipment", "weather"], "label": "Cause"},
]


async def test_an_event_type_is_created_as_defined(client: Client) -> None:
    payload = await client.execute_field(
        CREATE, input={"name": "Flaring Incident", "category": "flaring", "fields": FIELDS}
    )

    event_type = payload["eventType"]
    volume, cause = event_type["fields"]
    assert payload["userErrors"] == []
    assert (event_type["type"], event_type["state"], event_type["version"]) == (
        *("flaring.flaring_incident", "DRAFT", 1),
    )
    assert (volume["name"], volume["label"], volume["position"]) == ("volume_mcf", "volume_mcf", 0)
    assert (volume["required"], volume["unit"], volume["minimum"]) == (True, "mcf", 0.0)
    assert (cause["label"], cause["required"], cause["position"]) == ("Cause", False, 1)
    assert cause["options"] == ["equipment", "weather"]
    assert cause["eventType"] == {"id": event_type["id"]}


async def test_an_existing_type_cannot_be_created_again(client: Client) -> None:
    await client.execute_field(CREATE, input={"name": "Gauge", "type": "com.acme.gauge"})

    payload = await client.execute_field(CREATE, input={"name": "Other", "type": "com.acme.gauge"})

    assert payload["eventType"] is None
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("ALREADY_EXISTS", ["input", "type"])
    ]
    assert await client.execute_field(COUNT) == {"totalCount": 1}


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ({"name": "9volume", "kind": "TEXT"}, ["name"]),
        ({"name": "if", "kind": "TEXT"}, ["name"]),
        ({"name": "a" * 64, "kind": "TEXT"}, ["name"]),
        ({"name": "a", "kind": "SELECT"}, ["options"]),
        ({"name": "a", "kind": "SELECT", "options": []}, ["options"]),
        ({"name": "a", "kind": "SELECT", "options": ["x", "x"]}, ["options"]),
        ({"name": "a", "kind": "TEXT", "options": ["x"]}, ["options"]),
        ({"name": "a", "kind": "TEXT", "minimum": 1}, ["minimum"]),
        ({"name": "a", "kind": "NUMBER", "minLength": 1}, ["minLength"]),
        ({"name": "a", "kind": "NUMBER", "minimum": 2, "maximum": 1}, ["minimum"]),
        ({"name": "a", "kind": "NUMBER", "maximum": 2**53}, ["maximum"]),
        ({"name": "a", "kind": "INTEGER", "minimum": -1e300}, ["minimum"]),
        ({"name": "a", "kind": "TEXT", "minLength": 2, "maxLength": 1}, ["minLength"]),
        ({"name": "a", "kind": "TEXT", "minLength": -1}, ["minLength"]),
        ({"name": "a", "kind": "TEXT", "pattern": "("}, ["pattern"]),
        ({"name": "a", "kind": "TEXT", "pattern": "(?=x)"}, ["pattern"]),
        ({"name": "a", "kind": "NUMBER", "default": "x"}, ["default"]),
        ({"name": "a", "kind": "SELECT", "options": ["x"], "default": "y"}, ["default"]),
    ],
)
async def test_an_invalid_field_is_rejected_with_its_path(
    client: Client, field: dict[str, Any], place: list[str]
) -> None:
    payload = await client.execute_field(CREATE, input={"name": "Gauge", "fields": [field]})

    assert payload["eventType"] is None
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("INVALID_INPUT", ["input", "fields", "0", *place])
    ]
    assert await client.execute_field(COUNT) == {"totalCount": 0}


async def test_a_bound_that_a_double_would_round_is_rejected(client: Client) -> None:
    payload = await client.execute_field(
        """mutation { createEventType(input: {
             name: "Gauge", fields: [{name: "a", kind: INTEGER, maximum: 9007199254740993}]
           }) { eventType { id } userErrors { code path } } }"""
    )

    assert payload == {
        "eventType": None,
        "userErrors": [{"code": "INVALID_INPUT", "path": ["input", "fields", "0", "maximum"]}],
    }
    assert await client.execute_field(COUNT) == {"totalCount": 0}


async def test_a_repeated_field_name_is_rejected(client: Client) -> None:
    twice = [{"name": "a", "kind": "TEXT"}, {"name": "a", "kind": "NUMBER"}]

    payload = await client.execute_field(CREATE, input={"name": "Gauge", "fields": twice})

    assert [error["path"] for error in payload["userErrors"]] == [["input", "fields", "1", "name"]]


async def test_an_event_type_has_at_most_200_fields(client: Client) -> None:
    fields = [{"name": f"f{n}", "kind": "TEXT"} for n in range(201)]

    payload = await client.execute_field(CREATE, input={"name": "Gauge", "fields": fields})

    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("LIMIT_REACHED", ["input", "fields"])
    ]
    assert "200" in payload["userErrors"][0]["message"]


@pytest.mark.parametrize("state", ["DEPRECATED", "ARCHIVED"])
async def test_a_new_event_type_is_draft_or_published(client: Client, state: str) -> None:
    payload = await client.execute_field(CREATE, input={"name": "Gauge", "state": state})

    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("INVALID_INPUT", ["input", "state"])
    ]


async def test_a_draft_rejects_events(client: Client) -> None:
    await client.execute_field(CREATE, input={"name": "Gauge", "type": "gauge"})

    payload = await client.execute_field(LOG_EVENT, input={"type": "gauge"})

    assert payload["event"] is None
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("EVENT_TYPE_CLOSED", ["input", "type"])
    ]


VALUES = [
    ("TEXT", {}, "any", 7),
    ("LONG_TEXT", {"maxLength": 3}, "abc", "abcd"),
    ("TEXT", {"pattern": "^a+$"}, "aa", "b"),
    ("NUMBER", {"minimum": 0.5}, 0.5, 0.4),
    ("INTEGER", {"maximum": 7}, 7.0, 6.5),
    ("INTEGER", {"maximum": 2**53 - 1}, 2**53 - 1, 2**53),
    ("INTEGER", {}, 2**53 + 1, str(2**53 + 1)),
    ("BOOLEAN", {}, False, "false"),
    ("DATE", {}, "2026-02-28", "2026-02-30"),
    ("DATETIME", {}, "2026-04-10T10:30:00+02:00", "2026-04-10 10:30:00Z"),
    ("SELECT", {"options": ["x", "y"]}, "y", "z"),
    ("MULTI_SELECT", {"options": ["x", "y"]}, ["y", "x"], ["x", "x"]),
    ("URL", {}, "https://example.com/a?b#c", "example.com"),
    ("EMAIL", {}, "ada@example.com", "ada at example.com"),
]


@pytest.mark.parametrize(("kind", "more", "good", "bad"), VALUES)
async def test_a_value_must_have_the_kind_of_its_field(
    client: Client, kind: str, more: dict[str, Any], good: Any, bad: Any
) -> None:
    field = {"name": "a", "kind": kind} | more
    await client.execute_field(
        CREATE, input={"name": "G", "type": "g", "state": "PUBLISHED", "fields": [field]}
    )

    accepted = await client.log_event(type="g", fields={"a": good})
    refused = await client.execute_field(LOG_EVENT, input={"type": "g", "fields": {"a": bad}})

    assert accepted["fields"] == {"a": good}
    assert accepted["eventTypeVersion"] == 1
    assert [error["code"] for error in refused["userErrors"]] == ["FIELD_INVALID"]
    assert refused["userErrors"][0]["path"][:3] == ["input", "fields", "a"]


async def test_all_invalid_values_are_reported(client: Client) -> None:
    await client.execute_field(
        CREATE, input={"name": "G", "type": "g", "state": "PUBLISHED", "fields": FIELDS}
    )

    payload = await client.execute_field(
        LOG_EVENT, input={"type": "g", "fields": {"cause": "bad luck", "depth": 1}}
    )

    assert {(error["code"], *error["path"]) for error in payload["userErrors"]} == {
        ("FIELD_REQUIRED", "input", "fields", "volume_mcf"),
        ("FIELD_INVALID", "input", "fields", "cause"),
        ("FIELD_UNKNOWN", "input", "fields", "depth"),
    }


async def test_an_update_is_validated_by_the_event_s_type(client: Client) -> None:
    await client.execute_field(
        CREATE, input={"name": "G", "type": "g", "state": "PUBLISHED", "fields": FIELDS}
    )
    event = await client.log_event(type="g", fields={"volume_mcf": 1, "cause": "weather"})

    payload = await client.execute_field(
        """mutation ($input: UpdateEventInput!) { updateEvent(input: $input) {
             event { id } userErrors { code path } } }""",
        input={"id": event["id"], "fields": {"volume_mcf": None, "cause": "equipment"}},
    )

    assert payload == {
        "event": None,
        "userErrors": [{"code": "FIELD_REQUIRED", "path": ["input", "fields", "volume_mcf"]}],
    }


async def test_event_types_are_found_by_id_and_by_type(client: Client) -> None:
    event_type = (await client.execute_field(CREATE, input={"name": "Gauge", "type": "gauge"}))[
        "eventType"
    ]
    find = "query ($by: EventTypeBy!) { eventType(by: $by) { name } }"

    assert await client.execute_field(find, by={"id": event_type["id"]}) == {"name": "Gauge"}
    assert await client.execute_field(find, by={"type": "gauge"}) == {"name": "Gauge"}
    assert await client.execute_field(find, by={"type": "gaug"}) is None


@pytest.mark.parametrize("by", [{}, {"id": None}, {"id": "1", "type": "gauge"}])
async def test_either_id_or_type_must_be_given(client: Client, by: dict[str, Any]) -> None:
    error = await client.expect_error(
        "query ($by: EventTypeBy!) { eventType(by: $by) { name } }", by=by
    )

    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_event_types_are_paged_in_order_of_creation(client: Client) -> None:
    for name in ("b", "a", "c"):
        await client.execute_field(CREATE, input={"name": name})
    page = """query ($after: String) { eventTypes(first: 2, after: $after) {
                totalCount nodes { name } pageInfo { hasNextPage endCursor } } }"""
    first = await client.execute_field(page)

    second = await client.execute_field(page, after=first["pageInfo"]["endCursor"])

    assert [node["name"] for node in first["nodes"]] == ["b", "a"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (3, True)
    assert [node["name"] for node in second["nodes"]] == ["c"]
    assert second["pageInfo"]["hasNextPage"] is False


async def test_an_absent_field_gets_its_default(client: Client) -> None:
    fields = [
        {"name": "a", "kind": "NUMBER", "required": True, "default": 7},
        {"name": "b", "kind": "MULTI_SELECT", "options": ["x", "y"], "default": ["y"]},
        {"name": "c", "kind": "TEXT"},
    ]
    await client.execute_field(
        CREATE, input={"name": "G", "type": "g", "state": "PUBLISHED", "fields": fields}
    )

    filled = await client.log_event(type="g")
    event = await client.log_event(type="g", fields={"a": 1, "b": []})

    assert filled["fields"] == {"a": 7, "b": ["y"]}
    assert event["fields"] == {"a": 1, "b": []}


@pytest.mark.parametrize("literal", ["9223372036854775808", "1.0", "-0.0", '"1.0"', '"007"'])
async def test_a_default_is_returned_unchanged(client: Client, literal: str) -> None:
    kind = "TEXT" if '"' in literal else "NUMBER"

    mutation = """mutation {
      createEventType(input: {name: "G", type: "g", state: PUBLISHED, fields: [
        {name: "a", kind: KIND, default: DEFAULT}
      ]}) { eventType { fields { default } } }
    }"""

    response = await client.post(mutation.replace("KIND", kind).replace("DEFAULT", literal))
    logged = await client.post('mutation { logEvent(input: {type: "g"}) { event { fields } } }')

    assert f'"default":{literal}}}' in response.text.replace(" ", "")
    assert f'"a":{literal}}}' in logged.text.replace(" ", "")


async def test_a_pattern_that_is_too_slow_is_rejected(client: Client) -> None:
    slow = "(?:[ab]{0,300}a[ab]{0,300}b){30}c"

    payload = await client.execute_field(
        CREATE, input={"name": "G", "fields": [{"name": "a", "kind": "TEXT", "pattern": slow}]}
    )

    assert payload["eventType"] is None
    assert payload["userErrors"][0]["path"] == ["input", "fields", "0", "pattern"]
    assert "262,144" in payload["userErrors"][0]["message"]
