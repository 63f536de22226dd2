"""Options of SELECT and MULTI_SELECT fields have labels, which forms show."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import LOG_EVENT, Client
from tests.event_type_client import (
    ADD_FIELD,
    CREATE,
    SCHEMA,
    UPDATE_FIELD,
    change_event_type,
    codes_and_paths,
    define_event_type,
    fetch_refusal,
    field_input,
    predicate_input,
    rule_input,
)

CHOICES = """query ($id: ID!) { eventType(by: {id: $id}) {
  version fields { id name options choices { value label } }
  versions { nodes { number definition } } } }"""
CAUSES = [{"value": "eq", "label": "Equipment failure"}, {"value": "weather"}]


async def fetch_fields(client: Client, event_type: Any) -> list[tuple[Any, Any]]:
    fetched = await client.execute_field(CHOICES, id=event_type["id"])
    return [
        (
            field["options"],
            field["choices"] and [(each["value"], each["label"]) for each in field["choices"]],
        )
        for field in fetched["fields"]
    ]


async def test_choices_are_options_with_labels(client: Client) -> None:
    event_type = await define_event_type(
        client,
        field_input("cause", "SELECT", choices=CAUSES),
        field_input("causes", "MULTI_SELECT", choices=CAUSES),
        field_input("plain", "SELECT", options=["a"]),
        field_input("note"),
    )
    await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("more", "SELECT", choices=CAUSES)
    )

    labelled = (["eq", "weather"], [("eq", "Equipment failure"), ("weather", "weather")])
    assert await fetch_fields(client, event_type) == [
        labelled,
        labelled,
        (["a"], [("a", "a")]),
        (None, None),
        labelled,
    ]
    refused = await client.execute_field(
        LOG_EVENT, input={"type": "gauge", "fields": {"cause": "x", "causes": ["eq", "x"]}}
    )
    assert [(error["path"], error["message"]) for error in refused["userErrors"]] == [
        (
            ["input", "fields", *path],
            "Invalid value 'x': expected one of 'eq', 'weather'.",
        )
        for path in (["cause"], ["causes", "1"])
    ]
    event = await client.log_event(type="gauge", fields={"cause": "eq", "causes": ["weather"]})
    assert event["fields"] == {"cause": "eq", "causes": ["weather"]}
    [listed] = (
        await client.execute_field(
            "{ events { nodes { eventType { fields { choices { value label } } } } } }"
        )
    )["nodes"]
    choices = [
        {"value": "eq", "label": "Equipment failure"},
        {"value": "weather", "label": "weather"},
    ]
    assert [each["choices"] for each in listed["eventType"]["fields"]] == [
        choices,
        choices,
        [{"value": "a", "label": "a"}],
        None,
        choices,
    ]


async def test_labels_can_be_changed_while_a_rule_uses_the_value(client: Client) -> None:
    event_type = await define_event_type(
        client,
        field_input("cause", "SELECT", choices=CAUSES),
        field_input("detail"),
        conditionalRules=[rule_input("SHOW", "detail", predicate_input("cause", "EQ", "eq"))],
    )
    id = event_type["fields"][0]["id"]
    renamed = [{"value": "eq", "label": "Equipment"}, {"value": "weather", "label": "Weather"}]

    changed = await change_event_type(client, UPDATE_FIELD, input={"id": id, "choices": renamed})
    after_labels = (await fetch_fields(client, event_type))[0]
    await change_event_type(
        client, UPDATE_FIELD, input={"id": id, "options": ["weather", "new", "eq"]}
    )
    after_options = (await fetch_fields(client, event_type))[0]
    await change_event_type(client, UPDATE_FIELD, input={"id": id, "choices": None})
    after_null = (await fetch_fields(client, event_type))[0]
    refused = await fetch_refusal(
        client, UPDATE_FIELD, input={"id": id, "choices": [{"value": "new"}]}
    )

    assert changed["version"] == 2
    assert after_labels == (["eq", "weather"], [("eq", "Equipment"), ("weather", "Weather")])
    assert after_options == (
        ["weather", "new", "eq"],
        [("weather", "Weather"), ("new", "new"), ("eq", "Equipment")],
    )
    assert after_null[1] == [(name, name) for name in ("weather", "new", "eq")]
    assert refused == [("IN_USE", "input.choices")]
    fetched = await client.execute_field(CHOICES, id=event_type["id"])
    by_number = {each["number"]: each["definition"] for each in fetched["versions"]["nodes"]}
    assert by_number[2]["fields"][0]["choices"] == renamed
    assert "options" not in by_number[2]["fields"][0]
    assert by_number[4]["fields"][0]["options"] == ["weather", "new", "eq"]


BOTH: dict[str, Any] = {"options": ["a"], "choices": [{"value": "a"}]}


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        (BOTH, "choices"),
        ({"choices": []}, "options"),
        ({"choices": [{"value": ""}]}, "choices.0"),
        ({"choices": [{"value": "a"}, {"value": "a"}]}, "choices"),
        ({"choices": [{"value": "a"}, {"value": "b", "label": "x\ny"}]}, "choices.1.label"),
        ({"choices": [{"value": "a", "label": ""}]}, "choices.0.label"),
        ({"choices": [{"value": "a", "label": "x" * 256}]}, "choices.0.label"),
    ],
)
async def test_invalid_choices_are_rejected_at_their_place(
    client: Client, attributes: dict[str, Any], path: str
) -> None:
    event_type = await define_event_type(client, field_input("s", "SELECT", options=["a"]))
    invalid = field_input("t", "SELECT", **attributes)
    id = event_type["fields"][0]["id"]

    created = await fetch_refusal(client, CREATE, input={"name": "Other", "fields": [invalid]})
    added = await fetch_refusal(client, ADD_FIELD, id=event_type["id"], field=invalid)
    updated = await fetch_refusal(client, UPDATE_FIELD, input={"id": id} | attributes)

    assert created == [("INVALID_INPUT", f"input.fields.0.{path}")]
    assert added == [("INVALID_INPUT", f"field.{path}")]
    assert updated == [("INVALID_INPUT", f"input.{path}")]


async def test_choices_of_other_kinds_are_rejected(client: Client) -> None:
    refused = await fetch_refusal(
        client, CREATE, input={"name": "Other", "fields": [field_input("t", choices=CAUSES)]}
    )

    assert codes_and_paths([{"code": code, "path": [path]} for code, path in refused]) == [
        ("INVALID_INPUT", "input.fields.0.options")
    ]


async def test_the_json_schema_has_the_labels_as_titles(client: Client) -> None:
    event_type = await define_event_type(
        client,
        field_input("cause", "SELECT", choices=CAUSES),
        field_input("needed", "SELECT", choices=CAUSES, required=True),
        field_input("causes", "MULTI_SELECT", choices=CAUSES),
    )

    schema = (await client.execute_field(SCHEMA, id=event_type["id"]))["jsonSchema"]

    none = {"const": None, "title": "(none)"}
    labelled = [
        {"const": "eq", "title": "Equipment failure"},
        {"const": "weather", "title": "weather"},
    ]
    properties = schema["properties"]
    assert (properties["cause"]["type"], properties["cause"]["oneOf"]) == (
        ["string", "null"],
        [none, *labelled],
    )
    assert (properties["needed"]["type"], properties["needed"]["oneOf"]) == (
        "string",
        [none, *labelled],
    )
    assert properties["causes"]["items"] == {"type": "string", "oneOf": labelled}
