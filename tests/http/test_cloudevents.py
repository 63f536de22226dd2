"""Responses to CloudEvents that are sent to the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from app.domain.access.caller import Permission
from app.domain.shared.limits import Limits
from app.http.cloudevent_messages import EVENT_MEDIA_TYPE, PATH
from app.store.engine.database import Database
from tests.client import TIMEOUT_SECONDS, Client
from tests.cloudevent_client import (
    cloud_event,
    count_rows,
    fetch_by_source,
    parse_refusal,
    post_cloud_events,
    send_binary,
    send_structured,
)
from tests.conftest import Serve
from tests.event_type_client import define_event_type, field_input
from tests.factories import create_api_key, make_file_read_only
from tests.graphql.test_duplicates import create_rule as make_duplication_rule
from tests.graphql.test_guard_rules import create_published_rule


def expected_result(event_id: str | None, **overrides: Any) -> dict[str, Any]:
    """Returns the result of the first event."""
    return {
        "id": "1",
        "source": "/wells",
        "status": 202,
        "duplicate": False,
        "event": event_id,
        "warnings": [],
        "errors": [],
    } | overrides


async def test_an_accepted_event_is_stored_and_returned(client: Client) -> None:
    answer = await send_structured(client, cloud_event(data={"depth": 3}))

    event = await fetch_by_source(client)
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"results": [expected_result(event["id"])]}
    assert (event["type"], event["fields"]) == ("note", {"depth": 3})


async def test_a_binary_event_is_stored_and_returned(client: Client) -> None:
    answer = await send_binary(
        client,
        b'{"depth": 3}',
        content_type="application/json",
        ce_subject="%22w%22%20%E2%82%AC",
        ce_severitynumber="17",
        ce_planningtags='["StudyId:1", "night"]',
        ce_time="2026-04-10T12:00:00Z",
    )

    event = await fetch_by_source(client)
    assert answer.status_code == 202
    assert answer.json() == {"results": [expected_result(event["id"])]}
    assert (event["subject"], event["severity"]) == ('"w" €', "ERROR")
    assert (event["tags"], event["fields"]) == (["StudyId:1", "night"], {"depth": 3})
    assert event["occurredAt"] == "2026-04-10T12:00:00.000000Z"


async def test_a_binary_event_can_be_a_notification(client: Client) -> None:
    in_binary = await send_binary(client, ce_notification="true")
    in_structured = await send_structured(client, cloud_event(notification=True))

    assert (in_binary.status_code, in_structured.status_code) == (202, 202)
    assert in_structured.json()["results"][0]["duplicate"]
    assert (await client.execute_field("{ notifications { totalCount } }")) == {"totalCount": 1}


async def test_events_open_and_resolve_the_condition_of_their_alert_key(
    own_client: Client, database: Database
) -> None:
    acme = own_client.as_key(await create_api_key(database, *Permission, organization="acme"))
    statuses = "{ events { nodes { id status resolvedAt occurrences cloudEvent } } }"
    over = cloud_event(alertkey="disk", resolved=True, time="2026-04-10T12:00:00Z")

    first = await send_binary(own_client, ce_alertkey="disk", ce_notification="true")
    batch = await send_structured(
        own_client, [cloud_event(id="2", alertkey="disk"), over | {"id": "3"}, over | {"id": "4"}]
    )
    second = await send_structured(own_client, cloud_event(id="5", alertkey="disk"))
    in_binary = await send_binary(own_client, ce_id="6", ce_alertkey="disk", ce_resolved="true")

    ids = [answer.json()["results"][0]["event"] for answer in (first, second)]
    results = batch.json()["results"]
    assert [answer.status_code for answer in (first, batch, second, in_binary)] == [202] * 4
    assert [(each["event"], each["duplicate"]) for each in results] == [
        (ids[0], True),
        (ids[0], True),
        (None, True),
    ]
    assert [(each["code"], each["path"]) for each in results[2]["warnings"]] == [
        ("NOT_FOUND", ["alertkey"])
    ]
    assert in_binary.json()["results"][0]["event"] == ids[1]
    events = (await own_client.execute_field(statuses))["nodes"]
    assert [(each["id"], each["status"], each["occurrences"]) for each in events] == [
        (ids[1], "RESOLVED", 1),
        (ids[0], "RESOLVED", 2),
    ]

    await send_structured(acme, [each["cloudEvent"] for each in events])

    copies = (await acme.execute_field(statuses))["nodes"]
    assert [(each["status"], each["resolvedAt"], each["occurrences"]) for each in copies] == [
        ("RESOLVED", each["resolvedAt"], 1) for each in events
    ]
    for copy, event in zip(copies, events, strict=True):
        assert copy["cloudEvent"] | {"recordedtime": ""} == event["cloudEvent"] | {
            "recordedtime": ""
        }
    assert (await acme.execute_field("{ notifications { totalCount } }")) == {"totalCount": 0}


async def test_a_recovery_of_another_system_resolves_and_an_exported_event_does_not(
    client: Client,
) -> None:
    time = "2026-04-10T12:00:00.000000Z"
    over = cloud_event(alertkey="disk", resolved=True, time=time)
    statuses = "{ events { totalCount nodes { status } } }"

    await send_structured(client, cloud_event(id="2", alertkey="disk", notification=True))
    invalid = await send_structured(client, over | {"id": "3", "alertkey": "k" * 256})
    exported = await send_structured(client, over | {"id": "4", "tocsinresolvedtime": time})
    before = await client.execute_field(statuses)
    recovered = await send_structured(client, over | {"id": "5", "resolvedtime": time})
    after = await client.execute_field(statuses)

    codes = [each.status_code for each in (invalid, exported, recovered)]
    assert codes == [400, 202, 202]
    [error] = invalid.json()["errors"]
    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["alertkey"])
    assert exported.json()["results"][0]["duplicate"] is False
    assert sorted(each["status"] for each in before["nodes"]) == ["OPEN", "RESOLVED"]
    assert recovered.json()["results"][0]["duplicate"] is True
    assert [each["status"] for each in after["nodes"]] == ["RESOLVED", "RESOLVED"]


async def test_a_binary_event_without_specversion_is_rejected(
    own_client: Client, database: Database
) -> None:
    before = await count_rows(database)

    answer = await post_cloud_events(
        own_client, b"{}", content_type="application/json", ce_id="1", ce_type="note"
    )

    assert parse_refusal(answer) == (
        400,
        [("INVALID_INPUT", "specversion"), ("INVALID_INPUT", "source")],
    )
    assert (
        answer.json()["detail"]
        == "The attribute specversion is required. 1 more error is listed in `errors`."
    )
    assert await count_rows(database) == before


async def test_results_of_a_batch_are_in_the_order_of_its_events(client: Client) -> None:
    answer = await send_structured(client, [cloud_event(id=str(number)) for number in range(500)])

    results = answer.json()["results"]
    assert answer.status_code == 202
    assert [each["id"] for each in results] == [str(number) for number in range(500)]
    assert len({UUID(each["event"]) for each in results}) == 500
    assert (await fetch_by_source(client, "499"))["id"] == results[499]["event"]


async def test_a_batch_with_rejected_events_stores_the_others(
    own_client: Client, database: Database
) -> None:
    before = await count_rows(database)

    answer = await send_structured(
        own_client,
        [
            cloud_event(),
            cloud_event(id="2", source="not a uri"),
            None,
            cloud_event(data={"other": "content"}),
            {"id": ["x"], "source": "\ud800"},
            cloud_event(id="3"),
        ],
    )

    first, second, no_attributes, conflict, odd, last = answer.json()["results"]
    assert answer.status_code == 207
    assert answer.headers["content-type"] == "application/json"
    assert first == expected_result((await fetch_by_source(own_client))["id"])
    assert (second["id"], second["source"], second["status"]) == ("2", "not a uri", 400)
    [error] = second["errors"]
    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["source"])
    assert (no_attributes["id"], no_attributes["source"], no_attributes["status"]) == (
        None,
        None,
        400,
    )
    assert (conflict["status"], conflict["errors"][0]["code"]) == (409, "CONFLICT")
    assert (odd["id"], odd["source"], odd["event"]) == (None, "\ud800", None)
    assert last["event"] == (await fetch_by_source(own_client, "3"))["id"]
    assert await count_rows(database) == [count + 2 for count in before]


async def test_a_batch_may_have_500_events(own_client: Client, database: Database) -> None:
    before = await count_rows(database)

    empty = await send_structured(own_client, [])
    refusals = await send_structured(own_client, [1, cloud_event(type="")])
    longer = await send_structured(
        own_client, [cloud_event(id=str(number)) for number in range(501)]
    )

    assert (empty.status_code, empty.json()) == (202, {"results": []})
    assert refusals.status_code == 207
    assert [each["status"] for each in refusals.json()["results"]] == [400, 400]
    assert parse_refusal(longer) == (413, [("BAD_USER_INPUT", "")])
    assert longer.json()["detail"] == (
        "The batch has 501 events; the maximum is 500. Send smaller batches."
    )
    assert await count_rows(database) == before


async def test_an_event_that_is_sent_again_is_a_duplicate(
    own_client: Client, database: Database
) -> None:
    event = cloud_event(data={"depth": 3})
    [first] = (await send_structured(own_client, event)).json()["results"]
    before = await count_rows(database)

    again = await send_structured(own_client, event)
    in_binary = await send_binary(own_client, b'{"depth": 3}', content_type="application/json")

    assert (again.status_code, in_binary.status_code) == (202, 202)
    assert again.json() == {"results": [expected_result(first["event"], duplicate=True)]}
    assert in_binary.json() == again.json()
    assert await count_rows(database) == before


async def test_other_content_under_the_same_id_is_a_conflict(
    own_client: Client, database: Database
) -> None:
    await send_structured(own_client, cloud_event())
    before = await count_rows(database)

    answer = await send_structured(own_client, cloud_event(type="other"))

    assert parse_refusal(answer) == (409, [("CONFLICT", "id")])
    assert await count_rows(database) == before


async def test_the_event_id_is_returned_to_its_creator_and_to_callers_with_event_read(
    own_client: Client, database: Database
) -> None:
    sender = own_client.as_key(await create_api_key(database, Permission.EVENT_CREATE))

    first = await send_structured(sender, cloud_event())
    again = await send_structured(sender, cloud_event())
    reader = await send_structured(own_client, cloud_event())

    event_id = (await fetch_by_source(own_client))["id"]
    assert first.json() == {"results": [expected_result(event_id)]}
    assert again.json() == {"results": [expected_result(None, duplicate=True)]}
    assert reader.json() == {"results": [expected_result(event_id, duplicate=True)]}


async def test_without_a_key_the_body_is_not_read(own_client: Client, database: Database) -> None:
    before = await count_rows(database)

    for stranger in (own_client.as_key(None), own_client.as_key("wrong")):
        for event in (cloud_event(), [], "no event", [cloud_event()] * 501):
            answer = await send_structured(stranger, event)

            assert parse_refusal(answer) == (401, [("UNAUTHENTICATED", "")])
            assert answer.headers["www-authenticate"] == "Bearer"
    assert await count_rows(database) == before


async def test_sending_needs_event_create(own_client: Client, database: Database) -> None:
    others = set(Permission) - {Permission.EVENT_CREATE}
    reader = own_client.as_key(await create_api_key(database, *others))
    before = await count_rows(database)

    answer = await send_structured(reader, cloud_event())
    in_acme = await send_structured(own_client, cloud_event(), data_partition_id="nowhere")

    assert parse_refusal(answer) == (403, [("FORBIDDEN", "")])
    assert answer.json()["detail"] == "POST /cloudevents requires the permission EVENT_CREATE."
    assert parse_refusal(in_acme) == (403, [("FORBIDDEN", "")])
    assert await count_rows(database) == before


async def test_the_data_partition_selects_the_organization(
    own_client: Client, database: Database
) -> None:
    await create_api_key(database, organization="other")
    other = own_client.as_key(own_client.key, data_partition_id="other")

    answer = await send_structured(own_client, cloud_event(), data_partition_id="other")

    assert answer.json()["results"][0]["event"] == (await fetch_by_source(other))["id"]
    assert await fetch_by_source(own_client) is None


async def test_errors_of_the_event_type_are_returned_for_the_data(
    own_client: Client, database: Database
) -> None:
    await define_event_type(
        own_client, field_input("depth", "NUMBER", required=True), field_input("note")
    )
    before = await count_rows(database)

    answer = await send_structured(
        own_client, cloud_event(type="gauge", data={"note": 1, "other": 2})
    )

    status, errors = parse_refusal(answer)
    assert status == 422
    assert sorted(errors) == [
        ("FIELD_INVALID", "data.note"),
        ("FIELD_REQUIRED", "data.depth"),
        ("FIELD_UNKNOWN", "data.other"),
    ]
    assert await count_rows(database) == before


async def test_errors_of_rules_and_closed_types_are_returned(
    own_client: Client, database: Database
) -> None:
    await define_event_type(
        own_client, field_input("depth"), type="closed", name="Closed", state="DRAFT"
    )
    await create_published_rule(own_client, "event.severity != 'ERROR'")
    await create_published_rule(
        own_client, "event.severity != 'WARN'", name="warns", enforcement="WARN"
    )
    await make_duplication_rule(own_client, action="REJECT", fingerprint=["type"])
    warned = await send_structured(own_client, cloud_event(severitynumber=13))
    before = await count_rows(database)

    closed = await send_structured(own_client, cloud_event(id="2", type="closed"))
    guarded = await send_structured(
        own_client, cloud_event(id="3", type="grave", severitynumber=17)
    )
    repeated = await send_structured(own_client, cloud_event(id="4"))

    [results] = warned.json()["results"]
    assert (warned.status_code, results["event"]) == (
        202,
        (await fetch_by_source(own_client))["id"],
    )
    assert [each["code"] for each in results["warnings"]] == ["GUARD_REJECTED"]
    assert parse_refusal(closed) == (422, [("EVENT_TYPE_CLOSED", "type")])
    assert parse_refusal(guarded) == (422, [("GUARD_REJECTED", "")])
    assert parse_refusal(repeated) == (409, [("DUPLICATE", "")])
    assert await count_rows(database) == before


async def test_all_errors_of_a_malformed_event_are_returned(
    own_client: Client, database: Database
) -> None:
    before = await count_rows(database)

    answer = await send_structured(
        own_client, {"specversion": "1.0", "source": "", "comExample": 1}
    )

    status, errors = parse_refusal(answer)
    assert status == 400
    assert {path for _, path in errors} == {"id", "source", "type", "comExample"}
    assert {code for code, _ in errors} == {"INVALID_INPUT"}
    assert answer.json()["title"] == "Bad Request"
    assert await count_rows(database) == before


async def test_events_can_only_be_sent_by_post(client: Client) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        answer = await client.http.request(method, PATH)

        assert (method, parse_refusal(answer)) == (method, (405, [("BAD_USER_INPUT", "")]))
        assert answer.headers["allow"] == "POST"

    head, odd = [await client.http.request(method, PATH) for method in ("HEAD", "PROPFIND")]
    assert (head.status_code, head.headers["allow"]) == (405, "POST")
    assert odd.status_code == 405


async def test_an_event_of_64_kilobytes_is_accepted_in_every_mode(client: Client) -> None:
    size = len(json.dumps(cloud_event(data={"text": ""})))
    event = cloud_event(data={"text": "x" * (65_536 - size)})
    data = json.dumps(event["data"]).encode()

    answers = [
        await send_structured(client, event),
        await send_structured(client, [event | {"id": "2"}]),
        await send_binary(client, data, ce_id="3", content_type="application/json"),
    ]

    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert len((await fetch_by_source(client, "3"))["fields"]["text"]) == 65_536 - size


async def test_a_json_string_is_not_parsed_again(client: Client) -> None:
    await send_structured(client, cloud_event(data='{"depth": 3}'))
    await send_binary(client, b'"{\\"depth\\": 3}"', ce_id="2", content_type="application/json")

    events = [await fetch_by_source(client, "1"), await fetch_by_source(client, "2")]

    assert [event["cloudEvent"]["data"] for event in events] == ['{"depth": 3}'] * 2
    assert [event["fields"] for event in events] == [{}, {}]


@pytest.fixture
async def strict(database_url: str, serve: Serve) -> AsyncIterator[Client]:
    """Administrator of a server that accepts bodies of at most 1,000 bytes."""
    async with serve(database_url, limits=Limits(body_bytes=1_000)) as client:
        yield client


async def test_a_body_may_be_as_long_as_the_limit(strict: Client, database: Database) -> None:
    body = json.dumps(cloud_event()).encode().ljust(1_000)

    longest = await post_cloud_events(strict, body, content_type=EVENT_MEDIA_TYPE)
    before = await count_rows(database)
    longer = await post_cloud_events(strict, body + b" ", content_type=EVENT_MEDIA_TYPE)

    assert longest.status_code == 202
    assert parse_refusal(longer) == (413, [("BAD_USER_INPUT", "")])
    assert longer.json()["detail"] == ("The request body is too large; the maximum is 1,000 bytes.")
    assert await count_rows(database) == before


async def test_a_body_with_too_large_a_content_length_is_rejected_immediately(
    strict: Client,
) -> None:
    head = b"Content-Length: 1001\r\nExpect: 100-continue\r\n"

    answer = await send_raw(strict, head, b"")

    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_body_without_a_length_is_read_up_to_the_limit(
    strict: Client, database: Database
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in json.dumps(cloud_event()):
            yield byte.encode()

    whole = await post_cloud_events(strict, chunks(), content_type=EVENT_MEDIA_TYPE)
    before = await count_rows(database)
    endless = b"64\r\n" + b" " * 100 + b"\r\n"
    answer = await send_raw(strict, b"Transfer-Encoding: chunked\r\n", endless * 11)

    assert whole.status_code == 202
    assert answer.startswith(b"HTTP/1.1 413")
    assert await count_rows(database) == before


async def send_raw(client: Client, head: bytes, body: bytes) -> bytes:
    """Sends a possibly incomplete message. Returns the first line of the response."""
    address = urlsplit(client.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    start = f"POST {PATH} HTTP/1.1\r\nHost: tocsin\r\nAuthorization: Bearer {client.key}\r\n"
    writer.write(
        start.encode() + f"Content-Type: {EVENT_MEDIA_TYPE}\r\n".encode() + head + b"\r\n" + body
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        line = await reader.readline()
    writer.close()
    return line


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_read_only_file_results_in_503_with_retry_after(
    database_url: str, serve: Serve
) -> None:
    make_file_read_only(database_url)

    async with serve(database_url) as client:
        answer = await send_structured(client, cloud_event())
        nothing_stored = await fetch_by_source(client)

    assert parse_refusal(answer) == (503, [("UNAVAILABLE", "")])
    assert answer.headers["retry-after"] == "5"
    assert nothing_stored is None


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_an_unreachable_database_results_in_503_with_retry_after(
    own_client: Client, database_url: str
) -> None:
    name = database_url.split("@/")[1].split("?")[0]
    administration = await asyncpg.connect(database_url.replace(name, "postgres"))
    await administration.execute(f"DROP DATABASE {name} WITH (FORCE)")

    answer = await send_structured(own_client, cloud_event())
    await administration.execute(f"CREATE DATABASE {name} TEMPLATE template_of_tests")
    again = await send_structured(own_client, cloud_event())
    await administration.close()

    assert parse_refusal(answer) == (503, [("UNAVAILABLE", "")])
    assert answer.headers["retry-after"] == "5"
    assert (again.status_code, again.json()["results"][0]["duplicate"]) == (202, False)


async def test_an_unexpected_error_is_returned_with_a_reference_only(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("SELECT secret FROM api_key")

    monkeypatch.setattr("app.services.events.cloudevents.ingest_cloud_events", broken)

    answer = await send_structured(client, cloud_event())

    assert parse_refusal(answer) == (500, [("INTERNAL_SERVER_ERROR", "")])
    assert (
        answer.json()["detail"]
        == "Internal server error. Report the reference of this error to the operator of the "
        "server."
    )
    assert len(answer.json()["reference"]) == 32
