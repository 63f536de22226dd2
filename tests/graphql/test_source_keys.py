"""Source keys that could be confused with names of fields, and outgoing events that are read again.

Producers send data with their own names, outgoing events have the names of the fields.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.archives.command_runner import run_command
from tests.client import ADMINISTRATOR, Client
from tests.cloudevent_client import fetch_by_source, send_binary, send_structured
from tests.event_type_client import (
    REMOVE_FIELD,
    UPDATE_EVENT,
    UPDATE_FIELD,
    change_event_type,
    codes_and_paths,
    define_event_type,
    field_input,
    predicate_input,
    rule_input,
)

CREATE_ORGANIZATION = """mutation ($key: String!) {
  createOrganization(key: $key, name: $key) { userErrors { message } } }"""
LOG = """mutation ($input: LogEventInput!) {
  logEvent(input: $input) { event { id cloudEvent } userErrors { code path message } } }"""
MARK: dict[str, Any] = {"tocsintypeversion": 1}
EVENT = "query ($id: ID!) { event(id: $id) { fields cloudEvent } }"
PUBLIC_URL = "https://events.example/tocsin"


def cloud_event(data: Any, id: str = "1", **attributes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": id, "source": "/a", "type": "gauge", "data": data}
    return event | attributes


async def create_organization(client: Client, key: str = "other") -> tuple[str, Client]:
    """Returns another organization of the same server: its key, and a client."""
    created = await client.execute_field(CREATE_ORGANIZATION, key=key)
    assert created["userErrors"] == []
    return key, client.as_key(ADMINISTRATOR, data_partition_id=key)


async def test_a_source_key_may_be_the_name_of_its_own_field_or_lead_into_another_one(
    client: Client,
) -> None:
    await define_event_type(
        client,
        field_input("id", sourceKey="id"),
        field_input("user", sourceKey="user.name"),
        field_input("mail", sourceKey="user.mail"),
    )
    values = {"id": "1", "user": "Ada", "mail": "a@b"}

    await send_structured(client, cloud_event({"id": "1", "user": {"name": "Ada", "mail": "a@b"}}))
    sent = await fetch_by_source(client, "1", "/a")
    await send_structured(client, sent["cloudEvent"] | {"id": "2"})

    assert sent["fields"] == values
    assert (await fetch_by_source(client, "2", "/a"))["fields"] == values


async def test_swapped_source_keys_read_producers_and_outgoing_events(own_client: Client) -> None:
    swapped = [field_input("title", sourceKey="name"), field_input("name", sourceKey="title")]
    await define_event_type(own_client, *swapped)
    _, other = await create_organization(own_client)
    await define_event_type(other, *swapped)

    await send_structured(own_client, cloud_event({"name": "T", "title": "N"}))
    sent = await fetch_by_source(own_client, "1", "/a")
    partial = await own_client.execute_field(LOG, input={"type": "gauge", "fields": {"name": "N"}})
    for event in (sent["cloudEvent"], partial["event"]["cloudEvent"] | {"id": "2", "source": "/a"}):
        assert (await send_structured(other, event)).status_code == 202

    assert sent["fields"] == {"title": "T", "name": "N"}
    assert (await fetch_by_source(other, "1", "/a"))["fields"] == {"title": "T", "name": "N"}
    assert (await fetch_by_source(other, "2", "/a"))["fields"] == {"name": "N"}


async def test_an_outgoing_event_of_older_fields_gives_no_value_to_another_field(
    own_client: Client,
) -> None:
    fields = [field_input("name"), field_input("title", sourceKey="x")]
    event_type = await define_event_type(own_client, *fields, additionalFields="DROP")
    logged = await own_client.execute_field(LOG, input={"type": "gauge", "fields": {"name": "N"}})
    name, title = (field["id"] for field in event_type["fields"])
    await change_event_type(own_client, REMOVE_FIELD, id=name)
    await change_event_type(own_client, UPDATE_FIELD, input={"id": title, "sourceKey": "name"})

    outgoing = logged["event"]["cloudEvent"] | {"id": "2", "source": "/a"}
    answer = await send_structured(own_client, outgoing)

    [result] = answer.json()["results"]
    assert [warning["code"] for warning in result["warnings"]] == ["FIELD_UNKNOWN"]
    assert (await fetch_by_source(own_client, "2", "/a"))["fields"] == {}


@pytest.mark.parametrize("settings", [{}, {"public_url": PUBLIC_URL}])
@pytest.mark.parametrize(
    ("data", "change", "fields"),
    [
        ({"labels": {"host": "a"}}, {"host": "b"}, {"labels": {"host": "a"}, "host": "b"}),
        ({"labels": {"host": "a"}}, {"host": None}, {"labels": {"host": "a"}}),
        ({"labels": {"host": "a"}}, {}, {"labels": {"host": "a"}, "host": "a"}),
    ],
)
async def test_outgoing_events_and_exports_are_read_by_the_names_of_fields(
    own_client: Client,
    database_url: str,
    tmp_path: Path,
    settings: dict[str, str],
    data: dict[str, Any],
    change: dict[str, Any],
    fields: dict[str, Any],
) -> None:
    host = field_input("host", sourceKey="labels.host")
    await define_event_type(own_client, host, additionalFields="KEEP")
    key, other = await create_organization(own_client)
    await define_event_type(other, host, additionalFields="KEEP")
    await send_structured(own_client, cloud_event(data))
    event = await fetch_by_source(own_client, "1", "/a")
    await own_client.execute_field(UPDATE_EVENT, input={"id": event["id"], "fields": change})
    sent = (await own_client.execute_field(EVENT, id=event["id"]))["cloudEvent"]
    file = tmp_path / "events.ndjson"

    answer = await send_structured(other, sent | {"id": "sent"})
    exported = await run_command(database_url, "export", "--output", file, **settings)
    imported = await run_command(database_url, "import", file, "--organization", key)

    assert exported.code == 0, exported
    assert imported.out == (
        "Imported 1, already present 0, counted as duplicates 0, rejected 0.\n"
    ), imported
    assert ("dataschema" in json.loads(file.read_text())) == bool(settings)
    [result] = answer.json()["results"]
    assert (answer.status_code, result["warnings"]) == (202, [])
    for id in ("sent", "1"):
        assert (await fetch_by_source(other, id, "/a"))["fields"] == fields


async def test_every_mode_reads_outgoing_events_as_they_were(own_client: Client) -> None:
    """The events pass through an organization in which their type is not registered."""
    fields = [
        field_input("host", sourceKey="labels.host"),
        field_input("level", "INTEGER", default=5),
        field_input("unit", default="bar"),
    ]
    await define_event_type(own_client, *fields, additionalFields="KEEP")
    _, other = await create_organization(own_client)
    await define_event_type(other, *fields, additionalFields="KEEP")
    _, unregistered = await create_organization(own_client, "unregistered")
    data = {"labels": {"host": "a"}}
    await send_structured(own_client, cloud_event(data))
    event = await fetch_by_source(own_client, "1", "/a")
    removed = {"host": None, "level": None}
    await own_client.execute_field(UPDATE_EVENT, input={"id": event["id"], "fields": removed})
    outgoing = (await own_client.execute_field(EVENT, id=event["id"]))["cloudEvent"]
    other_schema = {"dataschema": "https://producer.example/a.json"}
    passed = await send_structured(unregistered, outgoing | other_schema)
    sent = (await fetch_by_source(unregistered, "1", "/a"))["cloudEvent"]
    attributes = {
        f"ce_{name}": str(value)
        for name, value in sent.items()
        if name not in ("data", "datacontenttype")
    }

    answers = [
        await send_structured(other, sent | {"id": "structured"}),
        await send_structured(other, [sent | {"id": "batched"}, cloud_event(data, "produced")]),
        await send_binary(
            other,
            json.dumps(sent["data"]).encode(),
            content_type=sent["datacontenttype"],
            **attributes | {"ce_id": "binary"},
        ),
    ]

    assert [answer.status_code for answer in (passed, *answers)] == [202] * 4
    changed = {"recordedtime": None}
    assert sent | changed == outgoing | other_schema | changed
    assert sent["tocsintypeversion"] == 1
    for id in ("structured", "batched", "binary"):
        assert (await fetch_by_source(other, id, "/a"))["fields"] == data | {"unit": "bar"}
    produced = await fetch_by_source(other, "produced", "/a")
    assert produced["fields"] == data | {"host": "a", "level": 5, "unit": "bar"}


@pytest.mark.parametrize("mark", [MARK, {}])
async def test_defaults_of_optional_fields_are_applied_to_events_without_a_type_version(
    client: Client, mark: dict[str, Any]
) -> None:
    await define_event_type(
        client,
        field_input("state"),
        field_input("optional", default="o"),
        field_input("required", default="r", required=True),
        field_input("reason", default="because"),
        conditionalRules=[
            rule_input("REQUIRE", "reason", predicate_input("state", "EQ", "down")),
        ],
    )

    for id, data in (("up", {"state": "up"}), ("down", {"state": "down"})):
        answer = await send_structured(client, cloud_event(data, id, **mark))
        assert answer.status_code == 202, answer.json()

    required = {"required": "r"}
    optional = {} if mark else {"optional": "o", "reason": "because"}
    up, down = [(await fetch_by_source(client, id, "/a"))["fields"] for id in ("up", "down")]
    assert up == {"state": "up"} | required | optional
    assert down == {"state": "down", "reason": "because"} | required | optional


async def test_additional_values_at_the_path_of_a_field_do_not_become_its_value(
    own_client: Client,
) -> None:
    host = field_input("host", sourceKey="labels.host")
    await define_event_type(own_client, host, additionalFields="KEEP")
    _, other = await create_organization(own_client)
    await define_event_type(other, host, additionalFields="KEEP")

    for id, value in (("1", 5), ("2", "z")):
        data = {"labels": {"host": value}}
        logged = await own_client.execute_field(LOG, input={"type": "gauge", "fields": data})
        event = logged["event"]["cloudEvent"] | {"id": id, "source": "/a"}
        assert (await send_structured(other, event)).status_code == 202

    for id, value in (("1", 5), ("2", "z")):
        stored = await fetch_by_source(other, id, "/a")
        assert stored["fields"] == {"labels": {"host": value}}


async def test_lists_of_outgoing_events_are_replayed_in_any_order(client: Client) -> None:
    await define_event_type(
        client,
        field_input("parts", "MULTI_SELECT", options=["x", "y"], sourceKey="list.parts"),
        additionalFields="KEEP",
    )
    answers = [
        await send_structured(
            client,
            cloud_event({"list": {"parts": ["x"]}, "parts": parts}, **MARK),
        )
        for parts in (["x", "y"], ["y", "x"])
    ]

    assert [answer.status_code for answer in answers] == [202, 202]
    [stored] = [(await fetch_by_source(client, "1", "/a"))["fields"]]
    assert stored["parts"] == ["x", "y"]


@pytest.mark.parametrize(
    ("mark", "host"),
    [(1, "b"), ("12", "b"), ("v1", "a"), (0, "a"), (True, "a"), ("2147483648", "a")],
)
async def test_only_a_positive_number_as_type_version_lets_fields_be_read_by_their_names(
    client: Client, mark: Any, host: str
) -> None:
    await define_event_type(
        client, field_input("host", sourceKey="labels.host"), additionalFields="KEEP"
    )
    data = {"labels": {"host": "a"}, "host": "b"}

    answer = await send_structured(client, cloud_event(data, tocsintypeversion=mark))

    assert answer.status_code == 202, answer.json()
    assert (await fetch_by_source(client, "1", "/a"))["fields"] == data | {"host": host}


async def test_a_replay_without_the_type_version_is_a_duplicate(client: Client) -> None:
    await define_event_type(client, field_input("host", sourceKey="labels.host"))
    event = cloud_event({"host": "a"})

    answers = [await send_structured(client, each) for each in (event | MARK, event)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert (await fetch_by_source(client, "1", "/a"))["fields"] == {"host": "a"}


async def test_null_at_a_literal_name_does_not_hide_a_nested_value(client: Client) -> None:
    await define_event_type(client, field_input("host", sourceKey="labels.host"))

    answer = await send_structured(
        client, cloud_event({"labels.host": None, "labels": {"host": "a"}})
    )

    assert answer.status_code == 202, answer.json()
    assert (await fetch_by_source(client, "1", "/a"))["fields"] == {"host": "a"}


@pytest.mark.parametrize(
    ("dataschema", "host"),
    [
        ("https://other.example/a/event-types/gauge/schema.json?version=12", "b"),
        ("https://other.example/event-types/gauge/schema.json", "b"),
        ("https://other.example/event-types/pump/schema.json?version=1", "a"),
        ("https://other.example/schema.json?/event-types/gauge/schema.json", "a"),
        ("https://producer.example/gauge.json", "a"),
    ],
)
async def test_only_the_schema_of_the_type_lets_fields_be_read_by_their_names(
    client: Client, dataschema: str, host: str
) -> None:
    await define_event_type(
        client, field_input("host", sourceKey="labels.host"), additionalFields="KEEP"
    )
    data = {"labels": {"host": "a"}, "host": "b"}

    await send_structured(client, cloud_event(data, dataschema=dataschema))

    assert (await fetch_by_source(client, "1", "/a"))["fields"] == data | {"host": host}


@pytest.mark.parametrize("additional_fields", ["REFUSE", "DROP", "KEEP"])
@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({"labels": {}}, {}),
        ({"labels": None}, {}),
        ({"labels": {"x": None}}, {}),
        ({"labels": {"host": None, "x": {"y": None, "z": {}}}}, {}),
        ({"labels": {"host": "a", "x": None}}, {"host": "a"}),
        ({"labels": {"host": "a", "x": {}}}, {"host": "a"}),
        ({"labels": {}, "labels.host": "a"}, {"host": "a"}),
        ({"user": {}}, {}),
        ({"user": {"name": None}}, {}),
        ({"user": {"name": "Ada", "x": None}}, {"user": "Ada"}),
        ({"user": {"name": None, "mail": "a@b"}}, {"mail": "a@b"}),
        ({"user": {"mail": "a@b", "x": None}}, {"mail": "a@b"}),
    ],
)
async def test_an_object_on_a_path_without_another_value_is_absent(
    client: Client, additional_fields: str, data: dict[str, Any], fields: dict[str, Any]
) -> None:
    await define_event_type(
        client,
        field_input("host", sourceKey="labels.host"),
        field_input("user", sourceKey="user.name"),
        field_input("mail", sourceKey="user.mail"),
        additionalFields=additional_fields,
    )

    answer = await send_structured(client, cloud_event(data))

    [result] = answer.json()["results"]
    assert (answer.status_code, result["warnings"], result["errors"]) == (202, [], [])
    kept = {
        name: value
        for name, value in data.items()
        if additional_fields == "KEEP" and name != "user" and value is not None
    }
    assert (await fetch_by_source(client, "1", "/a"))["fields"] == kept | fields


async def test_other_values_beside_a_path_are_refused(own_client: Client) -> None:
    await define_event_type(
        own_client,
        field_input("host", sourceKey="labels.host", required=True),
        field_input("user", sourceKey="user.name"),
    )

    answers = [
        await send_structured(own_client, cloud_event(data))
        for data in (
            {"labels": {"host": "a", "x": ""}},
            {"labels": {"host": "a", "x": []}},
            {"labels": {"host": None}, "user": {"mail": "a@b"}},
        )
    ]

    assert [answer.status_code for answer in answers] == [422] * 3
    assert [codes_and_paths(answer.json()["errors"]) for answer in answers] == [
        [("FIELD_UNKNOWN", "data.labels")],
        [("FIELD_UNKNOWN", "data.labels")],
        [("FIELD_INVALID", "data.user"), ("FIELD_REQUIRED", "data.labels.host")],
    ]
    assert (await own_client.execute_field("{ events { totalCount } }"))["totalCount"] == 0
