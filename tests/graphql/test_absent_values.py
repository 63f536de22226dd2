"""Null and blank values of custom fields mean the same by every way in, and in every condition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.archives.command_runner import run_command
from tests.client import LOG_EVENT, Client
from tests.cloudevent_client import cloud_event, fetch_by_source, send_binary, send_structured
from tests.event_type_client import (
    CHECK,
    UPDATE,
    UPDATE_EVENT,
    change_event_type,
    codes_and_paths,
    define_event_type,
    field_input,
    predicate_input,
    rule_input,
)
from tests.graphql.test_duplication_rules import create_rule, log_event

LOG_EVENTS = """mutation ($inputs: [LogEventInput!]!) {
  logEvents(input: $inputs) {
    results { event { fields } warnings { code } userErrors { code path } } } }"""
INGEST = """mutation ($events: [JSON!]!) {
  ingestCloudEvents(events: $events) { results { event { fields } userErrors { code path } } } }"""
LIST = """query ($fields: [FieldPredicate!]) {
  events(filter: {fields: $fields}) { nodes { sourceId } } }"""
CHANGED = """subscription ($fields: [FieldPredicate!]) {
  eventChanged(filter: {fields: $fields}) { event { sourceId } } }"""
FIELDS = [
    field_input("note"),
    field_input("level", "NUMBER", default=1),
    field_input("areas", "MULTI_SELECT", options=["north", "south"]),
    field_input("detail", required=True),
]
WITH_NULLS = {"note": None, "level": None, "areas": None, "detail": "x"}
STORED = {"level": 1, "detail": "x"}
# Values that a required field does not accept, by kind.
BLANKS = [("TEXT", ""), ("TEXT", " \t\n\u00a0"), ("LONG_TEXT", "  "), ("EMAIL", ""), ("DATE", " ")]
LIST_OPTIONS = {"options": ["north", "south"]}


async def test_null_is_absent_by_every_way_in(
    own_client: Client, database_url: str, tmp_path: Path
) -> None:
    await define_event_type(own_client, *FIELDS)
    report = {"type": "gauge", "fields": WITH_NULLS}
    file = tmp_path / "events.ndjson"
    sent = {
        name: cloud_event(id=name, type="gauge", data=WITH_NULLS)
        for name in ("structured", "batched", "ingested", "imported")
    }
    file.write_text(json.dumps(sent["imported"]))

    checked = await own_client.execute_field(CHECK, input=report)
    logged = await own_client.execute_field(LOG_EVENT, input=report)
    [bulk] = (await own_client.execute_field(LOG_EVENTS, inputs=[report]))["results"]
    [ingested] = (await own_client.execute_field(INGEST, events=[sent["ingested"]]))["results"]
    statuses = [
        (await send_structured(own_client, sent["structured"])).status_code,
        (await send_structured(own_client, [sent["batched"]])).status_code,
        (
            await send_binary(
                own_client,
                json.dumps(WITH_NULLS).encode(),
                ce_id="binary",
                ce_type="gauge",
                content_type="application/json",
            )
        ).status_code,
    ]
    imported = await run_command(database_url, "import", file)

    assert (checked["accepted"], checked["warnings"]) == (True, [])
    assert (logged["event"]["fields"], logged["warnings"]) == (STORED, [])
    assert bulk == {"event": {"fields": STORED}, "warnings": [], "userErrors": []}
    assert ingested == {"event": {"fields": STORED}, "userErrors": []}
    assert statuses == [202, 202, 202]
    assert imported.code == 0, imported
    for name in (*sent, "binary"):
        event = await fetch_by_source(own_client, name)
        assert (name, event["fields"], event["cloudEvent"]["data"]) == (name, STORED, STORED)


async def test_null_removes_a_field_by_an_update_and_its_default_is_not_applied_again(
    client: Client,
) -> None:
    await define_event_type(client, *FIELDS)
    event = await client.log_event(type="gauge", fields={"note": "n", "detail": "x"})
    values = {"note": None, "level": None, "areas": None}

    updated = await client.execute_field(UPDATE_EVENT, input={"id": event["id"], "fields": values})
    refused = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"detail": None}}
    )

    assert updated["event"]["fields"] == {"detail": "x"}
    assert codes_and_paths(refused["userErrors"]) == [("FIELD_REQUIRED", "input.fields.detail")]


@pytest.mark.parametrize("additional_fields", ["REFUSE", "DROP", "KEEP"])
async def test_null_under_an_unknown_name_is_absent_by_every_way_in(
    own_client: Client, database_url: str, tmp_path: Path, additional_fields: str
) -> None:
    event_type = await define_event_type(
        own_client, *FIELDS, additionalFields=additional_fields, type="gauge"
    )
    values = {"detail": "x", "unknown": None}
    stored = {"level": 1, "detail": "x"}
    report = {"type": "gauge", "fields": values}
    events, rows = tmp_path / "events.ndjson", tmp_path / "rows.ndjson"
    events.write_text(json.dumps(cloud_event(id="imported", type="gauge", data=values)))
    rows.write_text(json.dumps({"sourceId": "row", "source": "/wells"} | report))

    checked = await own_client.execute_field(CHECK, input=report)
    logged = await own_client.execute_field(LOG_EVENT, input=report)
    [bulk] = (await own_client.execute_field(LOG_EVENTS, inputs=[report]))["results"]
    sent = await send_structured(own_client, cloud_event(id="sent", type="gauge", data=values))
    updated = await own_client.execute_field(
        UPDATE_EVENT, input={"id": logged["event"]["id"], "fields": {"unknown": None}}
    )
    newer = await change_event_type(
        own_client, UPDATE, input={"id": event_type["id"], "description": "Newer"}
    )
    move = {"eventTypeVersion": newer["version"], "fields": {"unknown": None}}
    moved = await own_client.execute_field(UPDATE_EVENT, input={"id": logged["event"]["id"]} | move)
    imports = [
        await run_command(database_url, "import", events),
        await run_command(database_url, "import", "--format", "ndjson", rows),
    ]

    assert (checked["accepted"], checked["warnings"]) == (True, [])
    assert (logged["event"]["fields"], logged["warnings"]) == (stored, [])
    assert bulk == {"event": {"fields": stored}, "warnings": [], "userErrors": []}
    assert (sent.status_code, sent.json()["results"][0]["warnings"]) == (202, [])
    for change in (updated, moved):
        assert (change["event"]["fields"], change["warnings"]) == (stored, [])
    assert [(each.code, each.err) for each in imports] == [(0, []), (0, [])]
    for name in ("sent", "imported", "row"):
        event = await fetch_by_source(own_client, name)
        assert (name, event["fields"], event["cloudEvent"]["data"]) == (name, stored, stored)


async def test_nested_nulls_of_kept_values_stay(client: Client) -> None:
    await define_event_type(client, *FIELDS, additionalFields="KEEP")

    logged = await client.log_event(
        type="gauge", fields={"detail": "x", "labels": {"host": None}, "list": [None]}
    )

    assert logged["fields"] == STORED | {"labels": {"host": None}, "list": [None]}


async def test_free_form_data_keeps_null_and_blanks(client: Client) -> None:
    values: dict[str, Any] = {"a": None, "b": "", "c": [], "d": {"e": None}}

    logged = await client.log_event(type="free", fields=values)
    await send_structured(client, cloud_event(data=values))

    assert logged["fields"] == values
    event = await fetch_by_source(client)
    assert (event["fields"], event["cloudEvent"]["data"]) == (values, values)


@pytest.mark.parametrize(
    ("kind", "value"), [*BLANKS, ("SELECT", ""), ("MULTI_SELECT", []), ("TEXT", None)]
)
async def test_a_blank_value_does_not_satisfy_a_requirement(
    client: Client, kind: str, value: Any
) -> None:
    options = LIST_OPTIONS if "SELECT" in kind else {}
    await define_event_type(
        client,
        field_input("always", kind, required=True, **options),
        field_input("shown", kind, required=True, **options),
        field_input("demanded", kind, **options),
        field_input("trigger", "BOOLEAN"),
        conditionalRules=[
            rule_input("SHOW", "shown", predicate_input("trigger")),
            rule_input("REQUIRE", "demanded", predicate_input("trigger")),
        ],
    )
    names = ("always", "shown", "demanded")
    report = {"type": "gauge", "fields": dict.fromkeys(names, value) | {"trigger": True}}

    checked = await client.execute_field(CHECK, input=report)
    logged = await client.execute_field(LOG_EVENT, input=report)
    refused = await send_structured(client, cloud_event(type="gauge", data=report["fields"]))

    expected = [("FIELD_REQUIRED", f"input.fields.{name}") for name in names]
    assert sorted(codes_and_paths(checked["userErrors"])) == sorted(expected)
    assert logged["userErrors"] == checked["userErrors"]
    assert refused.status_code == 422
    assert {error["code"] for error in refused.json()["errors"]} == {"FIELD_REQUIRED"}
    assert (await client.execute_field("{ events { totalCount } }"))["totalCount"] == 0


async def test_an_update_cannot_blank_a_required_field(client: Client) -> None:
    await define_event_type(client, *FIELDS)
    event = await client.log_event(type="gauge", fields={"detail": "x", "note": "n"})

    blanked = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"detail": " "}}
    )
    optional = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"note": " ", "areas": []}}
    )

    assert codes_and_paths(blanked["userErrors"]) == [("FIELD_REQUIRED", "input.fields.detail")]
    assert optional["event"]["fields"] == {"level": 1, "detail": "x", "note": " ", "areas": []}


async def test_a_blank_default_of_a_required_field_is_rejected(client: Client) -> None:
    payload = await client.execute_field(
        """mutation ($input: CreateEventTypeInput!) {
          createEventType(input: $input) { userErrors { code message path } } }""",
        input={"name": "Gauge", "fields": [field_input("a", required=True, default=" ")]},
    )

    [error] = payload["userErrors"]
    assert codes_and_paths([error]) == [("INVALID_INPUT", "input.fields.0.default")]
    assert error["message"] == "Invalid value ' ': expected a string that is not blank."


@pytest.mark.parametrize("value", [None, "", " \n\u3000"])
async def test_a_blank_value_does_not_exist_in_a_conditional_rule(
    client: Client, value: Any
) -> None:
    await define_event_type(
        client,
        field_input("a"),
        field_input("b"),
        field_input("c"),
        conditionalRules=[
            rule_input("SHOW", "b", predicate_input("a")),
            rule_input("SHOW", "c", predicate_input("a", "NOT_EXISTS")),
        ],
    )

    values = {"a": value, "b": "1", "c": "2"}
    logged = await client.log_event(type="gauge", fields=values)

    stored = {"c": "2"} if value is None else {"a": value, "c": "2"}
    assert logged["fields"] == stored


async def test_blank_values_do_not_exist_in_filters_and_subscriptions(client: Client) -> None:
    values: dict[str, dict[str, Any]] = {
        "absent": {},
        "null": {"f": None},
        "empty": {"f": ""},
        "blank": {"f": " \t\u00a0\u3000"},
        "long blank": {"f": "\u2003" * 300},
        "empty list": {"f": []},
        "text": {"f": " a "},
        "long text": {"f": " " * 250 + "a"},
        "zero": {"f": 0},
        "false": {"f": False},
        "list": {"f": [""]},
        "object": {"f": {}},
    }
    existing = {"text", "long text", "zero", "false", "list", "object"}
    exists, missing = {"field": "f", "operator": "EXISTS"}, {"field": "f", "operator": "NOT_EXISTS"}

    async with (
        client.subscription(CHANGED, fields=[exists]) as feed,
        client.subscription(CHANGED, fields=[missing]) as counterpart,
    ):
        for name, fields in values.items():
            await client.log_event(type="free", source="/a", sourceId=name, fields=fields)
        heard = await feed.receive_many(len(existing))
        heard_missing = await counterpart.receive_many(len(values) - len(existing))

    found = [await _list_ids(client, predicate) for predicate in (exists, missing)]
    assert found == [existing, values.keys() - existing]
    assert [each["event"]["sourceId"] for each in heard] == [n for n in values if n in existing]
    assert {each["event"]["sourceId"] for each in heard_missing} == values.keys() - existing
    # A blank string is a value, an empty list is not.
    equal = await _list_ids(client, {"field": "f", "operator": "EQ", "value": ""})
    unequal = await _list_ids(client, {"field": "f", "operator": "NE", "value": ""})
    assert (equal, unequal) == (
        {"empty", "list"},  # an element of the list is empty
        existing - {"list"} | {"blank", "long blank"},
    )


async def _list_ids(client: Client, predicate: dict[str, Any]) -> set[str]:
    listed = await client.execute_field(LIST, fields=[predicate])
    return {node["sourceId"] for node in listed["nodes"]}


async def test_null_and_absent_have_the_same_fingerprint_in_a_registered_type(
    client: Client,
) -> None:
    event_type = await define_event_type(client, *FIELDS)
    await create_rule(
        client, "fields.note", "fields.detail", eventTypeId=event_type["id"], action="COUNT"
    )

    first = await log_event(client, type="gauge", fields={"detail": "x"})
    again = await log_event(client, type="gauge", fields={"detail": "x", "note": None})
    blank = await log_event(client, type="gauge", fields={"detail": "x", "note": ""})

    assert [each["duplicate"] for each in (first, again, blank)] == [False, True, False]
