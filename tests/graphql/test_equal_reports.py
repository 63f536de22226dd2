"""Reports with equal values in different notations are replays and duplicates of each other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import Client
from tests.event_type_client import (
    CHECK,
    REMOVE_FIELD,
    change_event_type,
    codes_and_paths,
    define_event_type,
    field_input,
)
from tests.graphql.test_duplicates import CREATE, LOG, count_events, create_rule, log_event

FIELDS = (
    field_input("started", "DATETIME"),
    field_input("colors", "MULTI_SELECT", options=["red", "green", "blue"]),
)
LOG_MANY = """mutation ($input: [LogEventInput!]!) { logEvents(input: $input) {
  duplicates results { duplicate userErrors { code path } } } }"""
INGEST = """mutation ($events: [JSON!]!) { ingestCloudEvents(events: $events) {
  accepted duplicates rejected results { userErrors { code message } } } }"""
# Each pair has equal values.
EQUAL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an instant": (
        {"fields": {"started": "2026-04-10T12:00:00Z"}},
        {"fields": {"started": "2026-04-10T14:00:00.000+02:00"}},
    ),
    "a set": ({"fields": {"colors": ["red", "blue"]}}, {"fields": {"colors": ["blue", "red"]}}),
    "tags": ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
}


@pytest.mark.parametrize("kind", EQUAL)
async def test_an_equal_report_with_the_same_source_id_is_a_replay(
    client: Client, kind: str
) -> None:
    await define_event_type(client, *FIELDS)
    first, again = (
        {"type": "gauge", "source": "/a", "sourceId": "1"} | each for each in EQUAL[kind]
    )

    logged = await client.execute_field(LOG, input=first)
    replayed = await client.execute_field(LOG, input=again)
    together = await client.execute_field(LOG_MANY, input=[again, first, again])
    checked = await client.execute_field(CHECK, input=again)

    assert (replayed["userErrors"], replayed["duplicate"]) == ([], True)
    assert replayed["event"]["id"] == logged["event"]["id"]
    assert together["duplicates"] == 3
    assert checked["userErrors"] == []
    assert await count_events(client) == 1


@pytest.mark.parametrize("kind", EQUAL)
async def test_equal_reports_of_one_call_are_replays(client: Client, kind: str) -> None:
    await define_event_type(client, *FIELDS)
    report = {"type": "gauge", "source": "/a", "sourceId": "1"}

    payload = await client.execute_field(LOG_MANY, input=[report | each for each in EQUAL[kind]])

    assert [each["duplicate"] for each in payload["results"]] == [False, True]
    assert await count_events(client) == 1


@pytest.mark.parametrize("kind", EQUAL)
async def test_an_event_with_equal_values_is_a_duplicate(client: Client, kind: str) -> None:
    await define_event_type(client, *FIELDS)
    await create_rule(
        client, action="COUNT", fingerprint=["fields.started", "fields.colors", "tags"]
    )
    first, again = ({"type": "gauge"} | each for each in EQUAL[kind])

    logged = await log_event(client, **first)
    repeated = await log_event(client, **again)

    assert (repeated["userErrors"], repeated["duplicate"]) == ([], True)
    assert repeated["event"]["id"] == logged["event"]["id"]
    assert repeated["event"]["occurrences"] == 2


async def test_the_order_of_a_list_that_is_no_set_makes_another_report(client: Client) -> None:
    await create_rule(client, action="REJECT", fingerprint=["fields.route"])
    report: dict[str, Any] = {"sourceId": "1", "fields": {"route": ["a", "b"]}}
    await log_event(client, **report)

    other: dict[str, Any] = {"fields": {"route": ["b", "a"]}}
    replayed = await log_event(client, **report | other)
    stored = await log_event(client, **other)

    assert error_codes(replayed) == ["CONFLICT"]
    assert (stored["userErrors"], stored["duplicate"]) == ([], False)


def error_codes(payload: Any) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


async def test_a_report_with_defaults_is_a_replay_of_one_without_them(client: Client) -> None:
    bare = {"sourceId": "1", "occurredAt": "2026-04-10T12:00:00Z"}
    defaults = {"type": "notice", "notification": False, "acknowledged": False, "tags": []}
    logged = await client.execute_field(
        "mutation ($input: LogEventInput!) { logEvent(input: $input) { event { source } } }",
        input=bare,
    )
    defaults |= {"source": logged["event"]["source"], "severity": " ", "fields": {"a": None}}

    replayed = await client.execute_field(LOG, input=bare | defaults)

    assert (replayed["userErrors"], replayed["duplicate"]) == ([], True)


async def test_a_replay_in_any_order_is_recognized_after_its_field_was_removed(
    client: Client,
) -> None:
    event_type = await define_event_type(client, *FIELDS)
    report = {"type": "gauge", "source": "/a", "sourceId": "1"}
    colors = [["red", "green"], ["green", "red"]]
    await client.execute_field(LOG, input=report | {"fields": {"colors": colors[0]}})
    field_id = next(each["id"] for each in event_type["fields"] if each["name"] == "colors")
    await change_event_type(client, REMOVE_FIELD, id=field_id)

    replays = [
        await client.execute_field(LOG, input=report | {"fields": {"colors": each}})
        for each in colors
    ]

    assert [(each["userErrors"], each["duplicate"]) for each in replays] == [([], True)] * 2


async def test_an_equal_cloudevent_is_a_replay(client: Client) -> None:
    await define_event_type(client, *FIELDS)
    cloud_event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "gauge"}
    first, again = (each["fields"] for each in EQUAL["a set"])

    payload = await client.execute_field(
        INGEST, events=[cloud_event | {"data": first}, cloud_event | {"data": again}]
    )

    assert (payload["accepted"], payload["duplicates"]) == (1, 1)


SOURCE_KEYS: dict[str, tuple[str, Any]] = {
    "a nested path": ("labels.colors", lambda colors: {"labels": {"colors": colors, "n": 1}}),
    "a key with a dot": ("labels.colors", lambda colors: {"labels.colors": colors}),
    "another name": ("colours", lambda colors: {"colours": colors}),
    "the name of the field": ("labels.colors", lambda colors: {"colors": colors}),
}


@pytest.mark.parametrize("kind", SOURCE_KEYS)
async def test_a_set_that_a_source_key_reads_is_a_replay_in_any_order(
    client: Client, kind: str
) -> None:
    source_key, build_data = SOURCE_KEYS[kind]
    options = ["red", "green", "blue"]
    await define_event_type(
        client,
        field_input("colors", "MULTI_SELECT", options=options, sourceKey=source_key),
        additionalFields="DROP",
    )
    cloud_event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "gauge"}
    first, again, other = (
        cloud_event | {"data": build_data(colors) | {"route": route}}
        for colors, route in (
            (["red", "blue"], ["a", "b"]),
            (["blue", "red"], ["a", "b"]),
            (["blue", "red"], ["b", "a"]),
        )
    )
    await client.execute_field(INGEST, events=[first])

    replayed = await client.execute_field(INGEST, events=[again])
    rerouted = await client.execute_field(INGEST, events=[other])

    assert (replayed["accepted"], replayed["duplicates"], replayed["rejected"]) == (0, 1, 0)
    assert [error_codes(each) for each in rerouted["results"]] == [["CONFLICT"]]
    assert await count_events(client) == 1


NESTED = {
    "a nested object": {"labels": {"host": "db-1"}},
    "a key with a dot": {"labels.host": "db-1"},
    "the key first": {"labels.host": "db-1", "labels": {"host": "other"}},
}


@pytest.mark.parametrize("kind", NESTED)
async def test_a_fingerprint_finds_a_nested_value(client: Client, kind: str) -> None:
    await create_rule(client, action="REJECT", fingerprint=["type", "fields.labels.host"])
    await log_event(client, type="down", fields={"labels": {"host": "db-1", "pid": 1}})

    same = await log_event(client, type="down", fields=NESTED[kind])
    other = await log_event(client, type="down", fields={"labels": {"host": "db-2"}})
    absent = await log_event(client, type="up", fields={"labels": {"pid": 1}})

    assert error_codes(same) == ["DUPLICATE"]
    assert (other["userErrors"], absent["userErrors"]) == ([], [])


async def test_a_path_that_a_registered_type_does_not_have_is_refused(client: Client) -> None:
    event_type = await define_event_type(client, *FIELDS)

    payload = await client.execute_field(
        CREATE,
        input={
            "name": "nested",
            "eventTypeId": event_type["id"],
            "fingerprint": ["fields.started", "fields.labels.host"],
            "window": "PT15M",
            "action": "COUNT",
        },
    )

    assert payload["duplicationRule"] is None
    assert codes_and_paths(payload["userErrors"]) == [("INVALID_INPUT", "input.fingerprint.1")]
