"""replaceEventType and checkEventType: a whole definition, saved as one version or not at all."""

from __future__ import annotations

from typing import Any

from app.store.engine.database import Database
from tests.client import Client
from tests.event_type_client import (
    TYPE,
    UNKNOWN_ID,
    codes_and_paths,
    define_event_type,
    fetch_all_rows,
    field_input,
    predicate_input,
    rule_input,
)

REPLACE = f"""mutation ($input: ReplaceEventTypeInput!) {{
  replaceEventType(input: $input) {{
    eventType {{ {TYPE} }} userErrors {{ code message path }}
  }} }}"""
CHECK = """query ($id: ID, $definition: CreateEventTypeInput!) {
  checkEventType(id: $id, definition: $definition) {
    summary jsonSchema uiSchema userErrors { code message path }
  } }"""
VERSIONS = """query ($id: ID!) { eventType(by: {id: $id}) {
  version versions { nodes { number summary definition } } } }"""
CREATE_GUARD_RULE = """mutation ($input: CreateGuardRuleInput!) {
  createGuardRule(input: $input) { userErrors { message } } }"""


async def replace(client: Client, event_type: Any, **definition: Any) -> Any:
    value = {"name": "Gauge"} | definition
    return await client.execute_field(REPLACE, input={"id": event_type["id"], "definition": value})


async def test_a_definition_is_replaced_in_one_version_and_parts_keep_their_ids(
    client: Client,
) -> None:
    before = await define_event_type(
        client,
        field_input("volume", "NUMBER"),
        field_input("cause", "SELECT", options=["weather", "other"]),
        field_input("note"),
        conditionalRules=[rule_input("SHOW", "note", predicate_input("volume"))],
    )
    ids = {each["name"]: each["id"] for each in before["fields"]}
    details = field_input("details", "LONG_TEXT")
    cause = field_input("cause", "SELECT", options=["weather", "equipment"], required=True)

    payload = await replace(
        client,
        before,
        name="Flare",
        description="Gas that is burned.",
        fields=[details, cause, field_input("volume", "NUMBER", unit="mcf")],
    )

    after = payload["eventType"]
    assert payload["userErrors"] == []
    assert (after["version"], after["type"], after["state"]) == (2, "gauge", "PUBLISHED")
    assert (after["name"], after["category"]) == ("Flare", "general")
    assert [(each["name"], each["position"]) for each in after["fields"]] == [
        ("details", 0),
        ("cause", 1),
        ("volume", 2),
    ]
    assert after["fields"][1]["id"] == ids["cause"]
    assert after["fields"][2]["id"] == ids["volume"]
    assert after["fields"][1]["options"] == ["weather", "equipment"]
    assert after["conditionalRules"] == []


async def test_options_and_choices_together_are_an_error_of_a_check(client: Client) -> None:
    field = field_input("cause", "SELECT", options=["a"], choices=[{"value": "a", "label": "A"}])

    check = await client.execute_field(CHECK, definition={"name": "Gauge", "fields": [field]})

    assert codes_and_paths(check["userErrors"]) == [
        ("INVALID_INPUT", "definition.fields.0.choices")
    ]
    assert [check[name] for name in ("summary", "jsonSchema", "uiSchema")] == [None] * 3


async def test_an_earlier_version_is_restored_from_its_definition(client: Client) -> None:
    before = await define_event_type(
        client,
        field_input("volume", "NUMBER"),
        field_input("note"),
        conditionalRules=[
            rule_input("SHOW", "note", predicate_input("volume", "GT", 5)),
        ],
    )
    assert (await replace(client, before))["userErrors"] == []
    versions = await client.execute_field(VERSIONS, id=before["id"])
    first = versions["versions"]["nodes"][1]["definition"]

    payload = await replace(client, before, **first)

    assert payload["userErrors"] == []
    versions = await client.execute_field(VERSIONS, id=before["id"])
    assert versions["version"] == 3
    assert versions["versions"]["nodes"][0]["definition"] == first


async def test_the_same_definition_creates_no_version(client: Client) -> None:
    event_type = await define_event_type(
        client,
        field_input("cause", "SELECT", choices=[{"value": "a", "label": "A"}, {"value": "b"}]),
        conditionalRules=[rule_input("SHOW", "cause", {"all": []})],
    )
    versions = await client.execute_field(VERSIONS, id=event_type["id"])
    definition = versions["versions"]["nodes"][0]["definition"]

    payload = await replace(client, event_type, **definition)
    checked = await client.execute_field(CHECK, id=event_type["id"], definition=definition)

    assert payload["userErrors"] == []
    assert payload["eventType"]["version"] == 1
    assert checked["summary"] is None


async def test_a_definition_with_errors_is_rejected_as_a_whole(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client, field_input("volume", "NUMBER"))
    rule = {
        "name": "plausible",
        "eventTypeId": event_type["id"],
        "expression": "event.fields.volume < 500",
        "message": "Too much.",
    }
    assert (await client.execute_field(CREATE_GUARD_RULE, input=rule))["userErrors"] == []
    definition: dict[str, Any] = {
        "fields": [field_input("note"), field_input("note"), field_input("cause", "SELECT")],
        "conditionalRules": [rule_input("SHOW", "gone", {"all": []})],
    }
    rows = await fetch_all_rows(shared_database, client)

    payload = await replace(client, event_type, **definition)
    checked = await client.execute_field(
        CHECK, id=event_type["id"], definition={"name": "Gauge"} | definition
    )

    assert payload["eventType"] is None
    assert sorted(codes_and_paths(payload["userErrors"])) == [
        ("INVALID_INPUT", "input.definition.conditionalRules.0.targets.0"),
        ("INVALID_INPUT", "input.definition.fields.1.name"),
        ("INVALID_INPUT", "input.definition.fields.2.options"),
        ("IN_USE", "input.definition.fields"),
    ]
    assert [error["path"] for error in checked["userErrors"]] == [
        error["path"][1:] for error in payload["userErrors"]
    ]
    assert (checked["summary"], checked["jsonSchema"]) == (None, None)
    assert await fetch_all_rows(shared_database, client) == rows


async def test_a_definition_is_checked_without_being_saved(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client, field_input("volume", "NUMBER"))
    fields = [field_input("volume", "NUMBER", unit="mcf"), field_input("crew")]
    rows = await fetch_all_rows(shared_database, client)

    checked = await client.execute_field(
        CHECK, id=event_type["id"], definition={"name": "Gauge", "fields": fields}
    )
    new = await client.execute_field(CHECK, definition={"name": "New", "fields": fields})
    taken = await client.execute_field(CHECK, definition={"name": "New", "type": "gauge"})
    unknown = await client.execute_field(CHECK, id=UNKNOWN_ID, definition={"name": "New"})

    assert checked["userErrors"] == []
    assert (
        checked["summary"]
        == "Added field 'crew' (TEXT). Changed field 'volume': unit from none to 'mcf'."
    )
    assert list(checked["jsonSchema"]["properties"]) == ["volume", "crew"]
    assert checked["uiSchema"]["ui:order"][:2] == ["volume", "crew"]
    assert new["summary"] == "Created with 2 fields and 0 conditional rules."
    assert codes_and_paths(taken["userErrors"]) == [("ALREADY_EXISTS", "definition.type")]
    assert codes_and_paths(unknown["userErrors"]) == [("NOT_FOUND", "id")]
    assert await fetch_all_rows(shared_database, client) == rows


async def test_a_type_with_events_keeps_its_type_name(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client)
    await client.log_event(type="gauge")
    rows = await fetch_all_rows(shared_database, client)

    payload = await replace(client, event_type, type="meter")
    checked = await client.execute_field(
        CHECK, id=event_type["id"], definition={"name": "Gauge", "type": "meter"}
    )

    assert codes_and_paths(payload["userErrors"]) == [("IN_USE", "input.type")]
    assert codes_and_paths(checked["userErrors"]) == [("IN_USE", "definition.type")]
    assert await fetch_all_rows(shared_database, client) == rows


async def test_a_definition_based_on_an_older_version_is_rejected(client: Client) -> None:
    event_type = await define_event_type(client)
    assert (await replace(client, event_type, name="Meter"))["userErrors"] == []

    payload = await client.execute_field(
        REPLACE,
        input={"id": event_type["id"], "ifVersion": 1, "definition": {"name": "Old"}},
    )

    assert codes_and_paths(payload["userErrors"]) == [("CONFLICT", "input.ifVersion")]
    stored = await client.execute_field(VERSIONS, id=event_type["id"])
    assert stored["version"] == 2
    assert stored["versions"]["nodes"][0]["definition"]["name"] == "Meter"
