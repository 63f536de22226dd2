"""EventType.jsonSchema in both drafts, and EventType.uiSchema."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import Client
from tests.event_type_client import (
    ADD_FIELD,
    change_event_type,
    define_event_type,
    field_input,
    predicate_input,
    rule_input,
)

SCHEMAS = """query ($id: ID!, $version: Int) { eventType(by: {id: $id}) {
  default: jsonSchema(version: $version)
  none: jsonSchema(version: $version, draft: null)
  draft2020: jsonSchema(version: $version, draft: DRAFT_2020_12)
  draft07: jsonSchema(version: $version, draft: DRAFT_07)
  uiSchema(version: $version) } }"""


async def fetch_schemas(client: Client, event_type: Any, version: int | None = None) -> Any:
    return await client.execute_field(SCHEMAS, id=event_type["id"], version=version)


async def test_the_drafts_differ_only_in_the_name_of_the_draft(client: Client) -> None:
    event_type = await define_event_type(
        client,
        field_input("volume", "NUMBER", minimum=0, unit="mcf"),
        field_input("causes", "MULTI_SELECT", options=["x", "y"]),
        field_input("note", "LONG_TEXT", required=True, pattern="^a."),
        conditionalRules=[rule_input("SHOW", "note", predicate_input("causes", "CONTAINS", "x"))],
    )

    schemas = await fetch_schemas(client, event_type)

    draft07, draft2020 = schemas["draft07"], schemas["draft2020"]
    assert draft07["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert draft2020["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert draft07 | {"$schema": None} == draft2020 | {"$schema": None}
    assert schemas["default"] == schemas["none"] == draft2020


async def test_the_schema_names_label_unit_and_format(client: Client) -> None:
    event_type = await define_event_type(
        client,
        field_input("volume", "NUMBER", label="Volume", unit="mcf"),
        field_input("mail", "EMAIL"),
        field_input("link", "URL"),
        field_input("day", "DATE"),
        field_input("at", "DATETIME"),
        field_input("note"),
    )

    properties = (await fetch_schemas(client, event_type))["draft07"]["properties"]

    assert (properties["volume"]["title"], properties["volume"]["x-unit"]) == ("Volume", "mcf")
    assert {name: each.get("format") for name, each in properties.items()} == {
        "volume": None,
        "mail": "email",
        "link": "uri",
        "day": "date",
        "at": "date-time",
        "note": None,
    }
    assert "x-unit" not in properties["note"]


async def test_the_ui_schema_has_order_labels_help_texts_units_and_widgets(client: Client) -> None:
    event_type = await define_event_type(
        client,
        field_input("volume", "NUMBER", label="Volume", unit="mcf", helpText="Gas flared."),
        field_input("mail", "EMAIL", label="Contact"),
        field_input("link", "URL"),
        field_input("note", "LONG_TEXT"),
        field_input("wells", "INTEGER"),
        field_input("cause", "SELECT", options=["x", "y"]),
    )
    added = field_input("at", "DATETIME", label="Time")
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=added)

    latest = (await fetch_schemas(client, event_type))["uiSchema"]
    first = (await fetch_schemas(client, event_type, version=1))["uiSchema"]

    expected = {
        "volume": {"ui:title": "Volume (mcf)", "ui:description": "Gas flared."},
        "mail": {"ui:title": "Contact", "ui:widget": "email"},
        "link": {"ui:title": "link", "ui:widget": "uri"},
        "note": {"ui:title": "note", "ui:widget": "textarea"},
        "wells": {"ui:title": "wells", "ui:options": {"inputType": "number"}},
        "cause": {"ui:title": "cause", "ui:enumOrder": ["x", "y"]},
    }
    assert first == {"ui:order": [*expected, "*"]} | expected
    assert (
        latest
        == {
            "ui:order": [*expected, "at", "*"],
            "at": {"ui:title": "Time", "ui:widget": "date-time"},
        }
        | expected
    )


async def test_the_schemas_of_a_deleted_type_are_those_of_its_last_version(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    schemas = await fetch_schemas(client, event_type)

    payload = await client.execute_field(
        "mutation ($id: ID!) { deleteEventType(id: $id) { eventType { uiSchema "
        "draft07: jsonSchema(draft: DRAFT_07) } } }",
        id=event_type["id"],
    )

    assert payload["eventType"] == {name: schemas[name] for name in ("uiSchema", "draft07")}


@pytest.mark.parametrize("field", ["jsonSchema", "uiSchema"])
async def test_an_unknown_version_is_an_error(client: Client, field: str) -> None:
    event_type = await define_event_type(client)

    error = await client.expect_error(
        f"query ($id: ID!) {{ eventType(by: {{id: $id}}) {{ {field}(version: 2) }} }}",
        id=event_type["id"],
    )

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": ["version"]}
