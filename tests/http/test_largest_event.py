"""An event at all limits at once, by every API, and one that exceeds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.domain.shared.limits import Limits, SocketLimits
from tests.archives.command_runner import run_command
from tests.client import Client
from tests.cloudevent_client import fetch_by_source, send_binary, send_structured

LIMITS = Limits()
# The largest character: four bytes in UTF-8, twelve if escaped in JSON.
WIDE = "\N{BELL}"
LOG = """mutation ($input: LogEventInput!) { logEvent(input: $input) {
  userErrors { code message path } } }"""
INGEST = """mutation ($events: [JSON!]!) { ingestCloudEvents(events: $events) {
  accepted results { userErrors { message path } } userErrors { message } } }"""
READ = """query ($source: String!, $id: String!) { eventBySource(source: $source, sourceId: $id) {
  type entity { type entityId } summary content subject tags fields cloudEvent } }"""


def wide_text(length: int, distinct: str = "") -> str:
    return distinct + WIDE * (length - len(distinct))


def deep_fields() -> dict[str, Any]:
    """Returns fields of the maximum depth and size."""
    deepest: Any = {}
    for _ in range(LIMITS.fields_depth - 2):
        deepest = {"d": deepest}
    fields = {"deep": deepest, "text": ""}
    left = LIMITS.fields_bytes - len(json.dumps(fields, separators=(",", ":")))
    return fields | {"text": WIDE * (left // 4) + "x" * (left % 4)}


NAME = LIMITS.name_characters
SOURCE = "/" + "s" * (NAME - 1)
TAGS = [wide_text(NAME, f"{n:03}") for n in range(LIMITS.tags_per_event)]
EVENT: dict[str, Any] = {
    "type": wide_text(NAME, "t"),
    "entity": {"type": wide_text(NAME, "e"), "id": wide_text(NAME, "i")},
    "severity": wide_text(NAME),
    "summary": wide_text(LIMITS.summary_characters),
    "content": wide_text(LIMITS.content_characters),
    "source": SOURCE,
    "subject": wide_text(NAME, "s"),
    "fields": deep_fields(),
    "tags": TAGS,
    "sourceId": wide_text(NAME, "n"),
}


def largest_extensions() -> dict[str, str]:
    """Returns the maximum number of extensions, of the maximum size."""
    named = {f"x{n:03}": "" for n in range(LIMITS.extensions_per_event)}
    left = LIMITS.extensions_bytes - len(json.dumps(named, separators=(",", ":")))
    each = left // len(named)
    named = dict.fromkeys(named, WIDE * (each // 4) + "x" * (each % 4))
    return named | {"x000": named["x000"] + "x" * (left - each * len(named))}


def largest_cloud_event(**overrides: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": wide_text(NAME, "c"),
        "source": SOURCE,
        "type": wide_text(NAME, "t"),
        "subject": wide_text(NAME, "s"),
        "time": "2026-04-10T12:00:00.000000Z",
        "severitytext": wide_text(NAME),
        "dataschema": "https://example.com/" + "d" * (LIMITS.dataschema_characters - 20),
        "planningtags": TAGS,
        **largest_extensions(),
        **overrides,
    }


WITH_FIELDS = largest_cloud_event(data=deep_fields())
WITH_PAYLOAD = largest_cloud_event(
    id=wide_text(NAME, "p"),
    datacontenttype="text/plain",
    data=WIDE * ((LIMITS.data_bytes - 2) // 4) + "xx",
)


async def assert_stored(client: Client, event: dict[str, Any]) -> None:
    """Asserts that the stored event equals the logged one."""
    read = (await fetch_by_source(client, event["id"], event["source"]))["cloudEvent"]
    assert {name: read[name] for name in event if name != "severitytext"} == {
        name: event[name] for name in event if name != "severitytext"
    }


async def assert_logged(client: Client) -> None:
    read = await client.execute_field(READ, source=SOURCE, id=EVENT["sourceId"])
    assert read["entity"] == {"type": EVENT["entity"]["type"], "entityId": EVENT["entity"]["id"]}
    for name in ("type", "summary", "content", "subject", "tags", "fields"):
        assert read[name] == EVENT[name], name


async def test_the_largest_event_is_accepted_by_graphql_over_http(client: Client) -> None:
    payload = await client.execute_field(LOG, input=EVENT)
    taken = await client.execute_field(INGEST, events=[WITH_FIELDS, WITH_PAYLOAD])

    assert payload["userErrors"] == []
    assert taken["accepted"] == 2, taken
    await assert_logged(client)
    await assert_stored(client, WITH_FIELDS)
    await assert_stored(client, WITH_PAYLOAD)


async def test_the_largest_event_is_accepted_over_a_socket(client: Client) -> None:
    message = len(json.dumps({"query": LOG, "variables": {"input": EVENT}}))

    requests: list[tuple[str, dict[str, Any]]] = [
        (LOG, {"input": EVENT}),
        (INGEST, {"events": [WITH_FIELDS]}),
        (INGEST, {"events": [WITH_PAYLOAD]}),
    ]
    for query, variables in requests:
        async with client.subscription(query, **variables) as subscription:
            payload = await subscription.receive_next()
            assert payload["userErrors"] == []

    assert 1_700_000 < message < SocketLimits().message_bytes
    await assert_logged(client)
    await assert_stored(client, WITH_FIELDS)
    await assert_stored(client, WITH_PAYLOAD)


async def test_the_largest_event_is_accepted_as_structured_and_batched_cloud_event(
    client: Client,
) -> None:
    structured = await send_structured(client, WITH_FIELDS)
    batched = await send_structured(client, [WITH_FIELDS, WITH_PAYLOAD])

    assert (structured.status_code, batched.status_code) == (202, 202), structured.text
    assert [each["duplicate"] for each in batched.json()["results"]] == [True, False]
    await assert_stored(client, WITH_FIELDS)
    await assert_stored(client, WITH_PAYLOAD)


async def test_the_largest_event_is_accepted_as_binary_cloud_event(client: Client) -> None:
    event = WITH_FIELDS | {"id": wide_text(NAME, "b")}
    headers = {
        f"ce-{name}": quote(
            json.dumps(value, ensure_ascii=False) if name == "planningtags" else value
        )
        for name, value in event.items()
        if name != "data"
    }

    assert sum(map(len, headers.values())) > 350_000

    answer = await send_binary(
        client, json.dumps(event["data"]).encode(), content_type="application/json", **headers
    )

    assert answer.status_code == 202, answer.text
    await assert_stored(client, event)


async def test_the_largest_event_is_accepted_by_import(
    own_client: Client, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("".join(json.dumps(each) + "\n" for each in (WITH_FIELDS, WITH_PAYLOAD)))

    ran = await run_command(database_url, "import", file)

    assert ran.code == 0, ran.err
    await assert_stored(own_client, WITH_FIELDS)
    await assert_stored(own_client, WITH_PAYLOAD)


@pytest.mark.parametrize("path", ["/graphql", "/cloudevents"])
async def test_a_body_over_8_mib_results_in_413(client: Client, path: str) -> None:
    body = b'{"query": "{ logHead }"}'.ljust(LIMITS.body_bytes + 1)

    answer = await client.http.post(
        path, content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 413
    assert "8,388,608 bytes" in answer.text


async def test_exceeding_any_limit_is_rejected_with_the_limit(client: Client) -> None:
    one_more = {
        "type": wide_text(NAME + 1),
        "summary": wide_text(LIMITS.summary_characters + 1),
        "content": wide_text(LIMITS.content_characters + 1),
        "source": SOURCE + "s",
        "sourceId": wide_text(NAME + 1),
        "subject": wide_text(NAME + 1),
        "tags": [*TAGS, "one more"],
        "fields": {"deep": deep_fields()},
    }

    payload = await client.execute_field(LOG, input=EVENT | one_more)
    stored = await client.execute_field("{ events { totalCount } }")

    assert {each["path"][1] for each in payload["userErrors"]} == set(one_more)
    assert {each["code"] for each in payload["userErrors"]} == {"INVALID_INPUT"}
    assert stored == {"totalCount": 0}
