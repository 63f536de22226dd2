"""Source keys that could be confused with names of fields, and outgoing events that are read again.

Producers send data with their own names, outgoing events have the names of the fields.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.archives.command_runner import run_command
from tests.client import ADMINISTRATOR, Client
from tests.cloudevent_client import fetch_by_source, send_structured
from tests.event_type_client import (
    ADD_FIELD,
    CREATE,
    UPDATE_EVENT,
    UPDATE_FIELD,
    change_event_type,
    codes_and_paths,
    define_event_type,
    fetch_all_rows,
    field_input,
)

CREATE_ORGANIZATION = """mutation ($key: String!) {
  createOrganization(key: $key, name: $key) { userErrors { message } } }"""
LOG = """mutation ($input: LogEventInput!) {
  logEvent(input: $input) { event { id cloudEvent } userErrors { code path message } } }"""
EVENT = "query ($id: ID!) { event(id: $id) { fields cloudEvent } }"
# Definitions of which outgoing events would be ambiguous: the sourceKey of `title` is the name of
# another field.
AMBIGUOUS = {
    "a field without a sourceKey": [field_input("name")],
    "a field with a sourceKey": [field_input("name", sourceKey="repository.name")],
    "swapped names": [field_input("name", sourceKey="title")],
}
PUBLIC_URL = "https://events.example/tocsin"


def cloud_event(data: Any, id: str = "1", **attributes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": id, "source": "/a", "type": "gauge", "data": data}
    return event | attributes


async def create_organization(client: Client) -> tuple[str, Client]:
    """Returns another organization of the same server: its key, and a client."""
    key = "other"
    created = await client.execute_field(CREATE_ORGANIZATION, key=key)
    assert created["userErrors"] == []
    return key, client.as_key(ADMINISTRATOR, data_partition_id=key)


@pytest.mark.parametrize("kind", AMBIGUOUS)
async def test_a_source_key_that_is_the_name_of_another_field_is_refused(
    own_client: Client, database: Database, kind: str
) -> None:
    title = field_input("title", sourceKey="name")
    others = AMBIGUOUS[kind]
    event_type = await define_event_type(
        own_client, field_input("title", sourceKey="x"), field_input("name")
    )
    before = await fetch_all_rows(database)

    created = await own_client.execute_field(
        CREATE, input={"name": "Other", "fields": [*others, title]}
    )
    updated = await own_client.execute_field(
        UPDATE_FIELD, input={"id": event_type["fields"][0]["id"], "sourceKey": "name"}
    )
    added = await own_client.execute_field(
        ADD_FIELD, id=event_type["id"], field=field_input("b", sourceKey="name")
    )

    swapped = kind == "swapped names"
    paths = ["input.fields.0.sourceKey"] * swapped + ["input.fields.1.sourceKey"]
    assert codes_and_paths(created["userErrors"]) == [("INVALID_INPUT", path) for path in paths]
    assert created["userErrors"][-1]["message"] == (
        "Invalid sourceKey 'name' of field 'title': the event type has a field of this name, so "
        "an outgoing event could not be read again. Give the field 'name' a different name."
    )
    assert codes_and_paths(updated["userErrors"]) == [("INVALID_INPUT", "input.sourceKey")]
    assert codes_and_paths(added["userErrors"]) == [("INVALID_INPUT", "field.sourceKey")]
    assert await fetch_all_rows(database) == before


async def test_a_new_field_with_the_name_of_a_source_key_is_refused(
    own_client: Client, database: Database
) -> None:
    event_type = await define_event_type(own_client, field_input("title", sourceKey="name"))
    before = await fetch_all_rows(database)

    added = await own_client.execute_field(
        ADD_FIELD, id=event_type["id"], field=field_input("name")
    )

    assert codes_and_paths(added["userErrors"]) == [("IN_USE", "field.name")]
    assert "sourceKey 'name' of field 'title'" in added["userErrors"][0]["message"]
    assert await fetch_all_rows(database) == before


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


async def define_stored_ambiguity(client: Client, database: Database) -> Any:
    """An event type with swapped source keys, as versions before this check could store it."""
    event_type = await define_event_type(
        client, field_input("title", sourceKey="a"), field_input("name", sourceKey="b")
    )
    column = col(tables.EventField.source_key)
    async with database.write(ALL_ORGANIZATIONS) as session:
        for before, after in (("a", "name"), ("b", "title")):
            statement = update(tables.EventField).where(column == before)
            await session.execute(statement.values(source_key=after))
    label = {"id": event_type["fields"][0]["id"], "label": "Title"}
    return await change_event_type(client, UPDATE_FIELD, input=label)


async def test_a_stored_definition_with_swapped_source_keys_reads_producers_and_its_own_events(
    own_client: Client, database: Database
) -> None:
    event_type = await define_stored_ambiguity(own_client, database)
    _, other = await create_organization(own_client)
    await define_stored_ambiguity(other, database)
    by_title = {"id": event_type["fields"][1]["id"], "label": "Name", "sourceKey": "title"}

    changed = await change_event_type(own_client, UPDATE_FIELD, input=by_title)
    await send_structured(own_client, cloud_event({"name": "T", "title": "N"}))
    sent = await fetch_by_source(own_client, "1", "/a")
    partial = await own_client.execute_field(LOG, input={"type": "gauge", "fields": {"name": "N"}})
    for event in (sent["cloudEvent"], partial["event"]["cloudEvent"] | {"id": "2", "source": "/a"}):
        assert (await send_structured(other, event)).status_code == 202

    assert [field["sourceKey"] for field in changed["fields"]] == ["name", "title"]
    assert sent["fields"] == {"title": "T", "name": "N"}
    assert (await fetch_by_source(other, "1", "/a"))["fields"] == {"title": "T", "name": "N"}
    assert (await fetch_by_source(other, "2", "/a"))["fields"] == {"name": "N"}


async def test_a_value_that_was_updated_is_read_from_the_outgoing_event_and_the_export(
    own_client: Client, database_url: str, tmp_path: Path
) -> None:
    fields = [field_input("host", sourceKey="labels.host"), field_input("note")]
    await define_event_type(own_client, *fields, additionalFields="KEEP")
    key, other = await create_organization(own_client)
    await define_event_type(other, *fields, additionalFields="KEEP")
    data = {"labels": {"host": "a"}, "note": "n"}
    await send_structured(own_client, cloud_event(data))
    event = await fetch_by_source(own_client, "1", "/a")
    change = {"id": event["id"], "fields": {"host": "b"}}
    await own_client.execute_field(UPDATE_EVENT, input=change)
    sent = (await own_client.execute_field(EVENT, id=event["id"]))["cloudEvent"]
    file = tmp_path / "events.ndjson"

    answer = await send_structured(other, sent | {"id": "sent"})
    exported = await run_command(database_url, "export", "--output", file, public_url=PUBLIC_URL)
    imported = await run_command(database_url, "import", file, "--organization", key)

    assert exported.code == 0, exported
    assert imported.out == (
        "Imported 1, already present 0, counted as duplicates 0, rejected 0.\n"
    ), imported
    assert json.loads(file.read_text())["dataschema"].startswith(PUBLIC_URL)
    [result] = answer.json()["results"]
    assert (answer.status_code, result["warnings"]) == (202, [])
    for id in ("sent", "1"):
        assert (await fetch_by_source(other, id, "/a"))["fields"] == data | {"host": "b"}


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
async def test_only_the_schema_of_the_type_makes_the_name_of_a_field_come_first(
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
