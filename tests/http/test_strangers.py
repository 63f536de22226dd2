"""The server requests no URLs from input, and suggests no names in errors."""

from __future__ import annotations

import asyncio

import pytest

from tests.client import Client
from tests.cloudevent_client import cloud_event, fetch_by_source, send_binary, send_structured
from tests.conftest import SQLITE


@pytest.fixture
def dialect() -> str:
    """SQLite only: these tests do not depend on the database."""
    return SQLITE


async def test_a_url_in_an_event_is_never_requested(client: Client) -> None:
    calls: list[str] = []
    trap = await asyncio.start_server(lambda *_: calls.append("called"), "127.0.0.1", 0)
    port = trap.sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{port}/schema.json"

    async with trap:
        structured = await send_structured(client, cloud_event(dataschema=address, source=address))
        binary = await send_binary(client, ce_id="2", ce_dataschema=address)
        stored = await fetch_by_source(client, source=address)
        await client.execute_field(
            "mutation ($s: String!) { logEvent(input: {source: $s, fields: "
            "{schema: {_ref: $s}}}) { duplicate } }",
            s=address,
        )

    assert (structured.status_code, binary.status_code) == (202, 202)
    assert stored["source"] == address
    assert calls == []


async def test_a_misspelled_name_has_no_suggestion(client: Client) -> None:
    misspelled = {
        "{ even { id } }": '"event"',
        "{ eventz { totalCount } }": "events",
        '{ event(idd: "1") { id } }': '"id"',
        "{ events(filter: {typez: []}) { totalCount } }": "types",
        "{ events(filter: {severities: [ERRORR]}) { totalCount } }": '"ERROR"',
        "query ($a: EventFilterr) { events(filter: $a) { totalCount } }": '"EventFilter"',
        "{ events { ...on Eventt { id } } }": '"Event"',
        "{ __typename @skipp(if: true) }": '"skip"',
    }

    for query, right in misspelled.items():
        messages = [each["message"] for each in (await client.execute(query))["errors"]]

        assert messages, query
        assert [each for each in messages if "Did you mean" in each or right in each] == [], query
