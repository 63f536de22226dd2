"""Values under names that an event type does not define: refused, kept or dropped."""

from __future__ import annotations

from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.cloudevent_client import cloud_event, fetch_by_source, send_structured
from tests.event_type_client import (
    CHECK,
    SCHEMA,
    UPDATE,
    UPDATE_EVENT,
    change_event_type,
    codes_and_paths,
    define_event_type,
    fetch_all_rows,
    field_input,
    predicate_input,
    rule_input,
)

FIND = """query ($filter: EventFilter) {
  events(filter: $filter) { nodes { id fields fieldValues { name } cloudEvent } } }"""
SENT = {"volume": 5, "weather": "rain", "labels": {"host": "a"}}


async def define_gauge(client: Client, additional_fields: str | None, **more: Any) -> Any:
    fields = [field_input("volume", "INTEGER"), field_input("note")]
    return await define_event_type(client, *fields, additionalFields=additional_fields, **more)


async def log_gauge(client: Client, **fields: Any) -> Any:
    return await client.execute_field(LOG_EVENT, input={"type": "gauge", "fields": fields})


async def test_a_type_refuses_additional_fields_by_default(client: Client) -> None:
    event_type = await define_event_type(client, field_input("volume", "INTEGER"))

    payload = await log_gauge(client, **SENT)

    assert event_type["additionalFields"] == "REFUSE"
    assert codes_and_paths(payload["userErrors"]) == [
        ("FIELD_UNKNOWN", "input.fields.weather"),
        ("FIELD_UNKNOWN", "input.fields.labels"),
    ]


async def test_kept_values_are_stored_as_sent_and_found_by_filters(client: Client) -> None:
    await define_gauge(client, "KEEP")

    payload = await log_gauge(client, **SENT)
    await log_gauge(client, volume=5, weather="sun")
    rainy = {"fields": [{"field": "weather", "operator": "EQ", "value": "rain"}]}
    [event] = (await client.execute_field(FIND, filter=rainy))["nodes"]

    assert (payload["warnings"], payload["userErrors"]) == ([], [])
    assert event["id"] == payload["event"]["id"]
    assert event["fields"] == event["cloudEvent"]["data"] == SENT
    assert event["fieldValues"] == [{"name": "volume"}]


async def test_defined_fields_are_validated_whatever_happens_to_additional_ones(
    client: Client,
) -> None:
    for additional_fields in ("KEEP", "DROP"):
        await define_gauge(client, additional_fields, type=additional_fields)

        payload = await client.execute_field(
            LOG_EVENT, input={"type": additional_fields, "fields": SENT | {"volume": "x"}}
        )

        errors = codes_and_paths(payload["userErrors"])
        assert errors == [("FIELD_INVALID", "input.fields.volume")]


async def test_dropped_values_are_not_stored_and_cause_warnings(client: Client) -> None:
    await define_gauge(client, "DROP")

    checked = await client.execute_field(CHECK, input={"type": "gauge", "fields": SENT})
    payload = await log_gauge(client, **SENT)

    assert checked["accepted"]
    assert payload["event"]["fields"] == {"volume": 5}
    for warnings in (checked["warnings"], payload["warnings"]):
        assert codes_and_paths(warnings) == [
            ("FIELD_UNKNOWN", "input.fields.weather"),
            ("FIELD_UNKNOWN", "input.fields.labels"),
        ]
    assert payload["warnings"][0]["message"] == (
        "Field 'weather' was dropped: the event type has no such field."
    )


async def test_dropped_values_do_not_count_toward_limits_and_warnings_are_limited(
    client: Client,
) -> None:
    await define_gauge(client, "DROP")
    many = {f"f{number:03}": "x" * 1_000 for number in range(102)}

    payload = await log_gauge(client, volume=5, **many)

    assert payload["event"]["fields"] == {"volume": 5}
    assert [warning["path"][2:] for warning in payload["warnings"]] == [
        *([f"f{number:03}"] for number in range(100)),
        [],
    ]
    assert payload["warnings"][-1]["message"] == (
        "2 more fields were dropped: the event type has no such field."
    )


async def test_kept_values_count_toward_the_size_of_fields(client: Client) -> None:
    await define_gauge(client, "KEEP")

    payload = await log_gauge(client, volume=5, text="x" * 70_000)

    assert codes_and_paths(payload["userErrors"]) == [("INVALID_INPUT", "input.fields")]


async def test_hidden_fields_are_dropped_from_types_that_keep_additional_fields(
    client: Client,
) -> None:
    rules = [rule_input("SHOW", "note", predicate_input("volume", "GT", 10))]
    await define_gauge(client, "KEEP", conditionalRules=rules)

    payload = await log_gauge(client, volume=5, note="hidden", weather="rain")

    assert payload["event"]["fields"] == {"volume": 5, "weather": "rain"}
    assert codes_and_paths(payload["warnings"]) == [("FIELD_HIDDEN", "input.fields.note")]


@pytest.mark.parametrize(
    ("additional_fields", "stored", "warnings"),
    [
        ("KEEP", SENT, []),
        (
            "DROP",
            {"volume": 5},
            [("FIELD_UNKNOWN", "data", name) for name in ("weather", "labels")],
        ),
    ],
)
async def test_cloud_events_follow_the_event_type(
    client: Client, additional_fields: str, stored: Any, warnings: Any
) -> None:
    await define_gauge(client, additional_fields)

    answer = await send_structured(client, cloud_event(type="gauge", data=SENT))

    assert answer.status_code == 202
    [result] = answer.json()["results"]
    assert [(each["code"], *each["path"]) for each in result["warnings"]] == warnings
    assert (await fetch_by_source(client))["fields"] == stored


async def test_the_json_schema_allows_what_the_server_accepts(client: Client) -> None:
    schemas = {}
    for additional_fields in ("REFUSE", "KEEP", "DROP"):
        event_type = await define_gauge(client, additional_fields, type=additional_fields)
        schemas[additional_fields] = (await client.execute_field(SCHEMA, id=event_type["id"]))[
            "jsonSchema"
        ]
        published = await client.http.get(f"/event-types/{additional_fields}/schema.json")
        assert published.json() == schemas[additional_fields]

    assert schemas["REFUSE"]["additionalProperties"] is False
    assert schemas["KEEP"]["additionalProperties"] is True
    assert "additionalProperties" not in schemas["DROP"]


async def test_updates_follow_the_version_that_an_event_was_validated_against(
    client: Client,
) -> None:
    event_type = await define_gauge(client, "KEEP")
    id = (await log_gauge(client, **SENT))["event"]["id"]
    changed = await change_event_type(
        client, UPDATE, input={"id": event_type["id"], "additionalFields": None}
    )

    updated = await client.execute_field(
        UPDATE_EVENT,
        input={"id": id, "fields": {"weather": "sun", "wind": 3, "labels": None}},
    )
    logged = await log_gauge(client, **SENT)

    assert (changed["additionalFields"], changed["version"]) == ("REFUSE", 2)
    assert updated["userErrors"] == []
    assert updated["event"] == {
        "version": 2,
        "fields": {"volume": 5, "weather": "sun", "wind": 3},
        "eventTypeVersion": 1,
    }
    assert {error["code"] for error in logged["userErrors"]} == {"FIELD_UNKNOWN"}


async def test_an_update_drops_additional_values_with_a_warning(client: Client) -> None:
    await define_gauge(client, "DROP")
    id = (await log_gauge(client, volume=5))["event"]["id"]

    updated = await client.execute_field(
        UPDATE_EVENT, input={"id": id, "fields": {"volume": 6, "wind": 3}}
    )

    assert updated["event"]["fields"] == {"volume": 6}
    assert codes_and_paths(updated["warnings"]) == [("FIELD_UNKNOWN", "input.fields.wind")]


async def test_the_same_additional_fields_create_no_version(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_gauge(client, "DROP")
    before = await fetch_all_rows(shared_database, client)

    after = await change_event_type(
        client, UPDATE, input={"id": event_type["id"], "additionalFields": "DROP"}
    )

    assert after == event_type
    assert await fetch_all_rows(shared_database, client) == before
