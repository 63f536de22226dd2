"""Upgrade of a database from before event types had versions: every type gets version 1, and its
events are validated by that version.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, MetaData, insert, select, update

from app.database_setup import prepare_database
from app.store.alembic_upgrade import alembic_config
from app.store.engine import dialect
from tests.client import Client
from tests.conftest import Serve, build_settings
from tests.event_type_client import (
    ADD_FIELD,
    FIND,
    REMOVE_FIELD,
    SCHEMA,
    UPDATE,
    UPDATE_EVENT,
    change_event_type,
    codes_and_paths,
    define_event_type,
    field_input,
)
from tests.store.empty_database import create_empty_database

# The tables that an older version wrote, in the order in which they can be inserted.
COPIED_TABLES = ("organization", "api_key", "event_type", "event_field", "event", "event_tag")
VALUES = "query ($id: ID!) { event(id: $id) { fieldValues { name field { name } } } }"
VERSIONS = """query ($id: ID!) {
  eventType(by: {id: $id}) { versions { nodes { createdBy summary definition } } } }"""
ALL_PARTS = [
    *("additionalFields", "category", "conditionalRules", "description", "fields", "name", "type")
]
FIELDS = [
    field_input("volume", "NUMBER", label="Volume", minimum=0, default=1.5, required=True),
    field_input("cause", "SELECT", options=["weather", "failure"]),
    field_input("note", maxLength=3, pattern="^[a-z]*$"),
]


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


@pytest.fixture
async def old_url(dialect: str, postgresql: str, tmp_path: Path) -> AsyncIterator[str]:
    """An empty database on the same server."""
    async with create_empty_database(dialect, postgresql, tmp_path) as url:
        yield url


async def copy_to_revision(revision: str, url: str, source_url: str, *more_tables: str) -> None:
    """Copies the rows of the source database into a new database at this revision."""
    copied_tables = (*COPIED_TABLES, *more_tables)
    source = dialect.create_migration_engine(dialect.parse_database_url(source_url))
    old = dialect.create_migration_engine(dialect.parse_database_url(url))
    async with old.begin() as connection:
        metadata = await connection.run_sync(_reflect_tables, revision, copied_tables)
        async with source.begin() as there:
            for name in copied_tables:
                table = metadata.tables[name]
                columns = [column for column in table.columns if column.computed is None]
                rows = [dict(row) for row in (await there.execute(select(*columns))).mappings()]
                if rows:
                    await connection.execute(insert(table), rows)
    await old.dispose()
    await source.dispose()


def _reflect_tables(connection: Connection, revision: str, names: Sequence[str]) -> MetaData:
    command.upgrade(alembic_config(connection), revision)
    metadata = MetaData()
    metadata.reflect(connection, only=names)
    return metadata


@pytest.mark.parametrize("revision", ["0001", "0002"])
async def test_types_and_events_of_an_older_version_can_be_used(
    client: Client, database_url: str, old_url: str, serve: Serve, revision: str
) -> None:
    event_type = await define_event_type(
        client, *FIELDS, name="Flaring Incident", category="flaring"
    )
    await define_event_type(client, type="bare", name="Bare", description="nothing in it")
    event = await client.log_event(type="gauge", fields={"volume": 2, "note": "abc"}, tags=["t"])
    schema = await client.execute_field(SCHEMA, id=event_type["id"])
    await copy_to_revision(revision, old_url, database_url)

    await prepare_database(build_settings(old_url))

    async with serve(old_url) as later:
        payload = await later.execute_field(FIND, id=event_type["id"])
        assert payload == event_type | {"sunsetAt": None, "conditionalRules": []}
        assert await later.execute_field(SCHEMA, id=event_type["id"], version=1) == schema
        await _assert_found_by_words(later)
        await _assert_updated_by_version_1(later, event["id"], event_type["id"])


async def _assert_found_by_words(client: Client) -> None:
    listed = "query ($s: String) { eventTypes(filter: {search: $s}) { nodes { type } } }"
    for words, types in {
        "flar inc": ["gauge"],
        "gau": ["gauge"],
        "noth": ["bare"],
        "general": ["bare"],
        "nope": [],
    }.items():
        nodes = (await client.execute_field(listed, s=words))["nodes"]
        assert (words, [node["type"] for node in nodes]) == (words, types)


async def _assert_updated_by_version_1(client: Client, id: str, type_id: str) -> None:
    after = await change_event_type(
        client, ADD_FIELD, id=type_id, field=field_input("new", required=True)
    )
    values: dict[str, Any] = {"id": id, "fields": {"note": "abcd"}}
    refused = await client.execute_field(UPDATE_EVENT, input=values)
    updated = await client.execute_field(UPDATE_EVENT, input=values | {"fields": {"note": "xyz"}})

    assert (after["version"], [each["name"] for each in after["fields"]]) == (
        *(2, ["volume", "cause", "note", "new"]),
    )
    assert codes_and_paths(refused["userErrors"]) == [("FIELD_INVALID", "input.fields.note")]
    assert updated["event"] == {
        "version": 2,
        "fields": {"volume": 2, "note": "xyz"},
        "eventTypeVersion": 1,
    }
    logged = await client.log_event(type="gauge", fields={"volume": 1, "new": "n"})
    assert logged["eventTypeVersion"] == 2


async def test_a_type_of_an_older_version_is_returned_and_changed_only_as_requested(
    client: Client, database_url: str, old_url: str, serve: Serve
) -> None:
    event_type = await define_event_type(client, *FIELDS)
    await copy_to_revision("0002", old_url, database_url)
    await prepare_database(build_settings(old_url))
    await prepare_database(build_settings(old_url))

    async with serve(old_url) as later:
        same = await change_event_type(
            later,
            "mutation ($id: ID!) { updateEventType(input: {id: $id}) "
            "{ eventType { version } userErrors { code } } }",
            id=event_type["id"],
        )

    assert same == {"version": 1}


async def test_a_field_of_an_older_version_is_known_by_the_version_that_added_it(
    client: Client, database_url: str, old_url: str, serve: Serve
) -> None:
    event_type = await define_event_type(client, field_input("a"), field_input("kept"))
    event = await client.log_event(type="gauge", fields={"a": "x", "kept": "k"})
    await change_event_type(client, REMOVE_FIELD, id=event_type["fields"][0]["id"])
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("a"))
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("b"))
    await copy_to_revision("0014", old_url, database_url, "event_type_version")

    await prepare_database(build_settings(old_url))

    async with serve(old_url) as later:
        values = await later.execute_field(VALUES, id=event["id"])
        refused = await later.execute_field(
            "mutation ($input: UpdateEventInput!) "
            "{ updateEvent(input: $input) { userErrors { message } } }",
            input={"id": event["id"], "fields": {"b": "y"}},
        )
    assert values["fieldValues"] == [
        {"name": "a", "field": None},
        {"name": "kept", "field": {"name": "kept"}},
    ]
    assert refused["userErrors"] == [
        {
            "message": "Unknown field 'b': event type 'gauge' version 1 has no such field. Version "
            "4 added it: to move the event to that version, set eventTypeVersion to 4."
        }
    ]


async def test_versions_without_author_and_settings_are_listed(
    client: Client, database_url: str, old_url: str, serve: Serve
) -> None:
    event_type = await define_event_type(client, field_input("a"), description="d")
    await change_event_type(client, UPDATE, input={"id": event_type["id"], "name": "Meter"})
    await copy_to_revision("0016", old_url, database_url, "event_type_version")
    engine = dialect.create_migration_engine(dialect.parse_database_url(old_url))
    async with engine.begin() as connection:  # as the version before stored them
        await connection.run_sync(_remove_settings)
    await engine.dispose()

    await prepare_database(build_settings(old_url))

    async with serve(old_url) as later:
        await change_event_type(later, UPDATE, input={"id": event_type["id"], "name": "Clock"})
        listed = await later.execute_field(VERSIONS, id=event_type["id"])
    assert [
        (each["createdBy"], each["summary"], sorted(each["definition"]))
        for each in listed["versions"]["nodes"]
    ] == [
        (
            "administrator",
            "Changed name from 'Meter' to 'Clock'.",
            ALL_PARTS,
        ),
        (
            None,
            "Changed the type, name, description or category.",
            ALL_PARTS,
        ),
        (
            None,
            "Created with 1 field and 0 conditional rules.",
            ["additionalFields", "conditionalRules", "fields"],
        ),
    ]


def _remove_settings(connection: Connection) -> None:
    metadata = MetaData()
    metadata.reflect(connection, only=["event_type_version"])
    table = metadata.tables["event_type_version"]
    for row in connection.execute(select(table)).all():
        form = json.loads(row.form) if isinstance(row.form, str) else dict(row.form)
        del form["settings"]
        value = json.dumps(form) if isinstance(row.form, str) else form
        connection.execute(update(table).where(table.c.number == row.number).values(form=value))
