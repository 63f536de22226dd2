"""logEvent and logEvents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.event_type_client import UNKNOWN_ID
from tests.factories import create_api_key

COUNT = "{ events { totalCount } }"
LOG_EVENTS = """
mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) {
    results { event { id summary } duplicate userErrors { code path } }
    accepted duplicates rejected
    userErrors { code message path }
  }
}
"""


async def test_an_event_is_returned_and_stored_as_reported(client: Client) -> None:
    attributes = {
        "type": "com.acme.disk_full",
        "entity": {"type": "Well", "id": "well-001"},
        "severity": "yellow",
        "summary": "Disk nearly full",
        "content": "97 %\nof /var",
        "source": "/hosts/a",
        "sourceId": "17",
        "subject": "disk",
        "outcome": "FAILURE",
        "occurredAt": "2026-04-10T12:30:00.123456+02:00",
        "fields": {"percent": 97.5, "mounts": ["/var", None], "größe": {"TiB": 1}},
        "tags": ["StudyId:1", "ScenarioId:2", "StudyId:1"],
        "notification": True,
    }

    event = await client.log_event(**attributes)

    assert event == attributes | {
        "id": event["id"],
        "entity": {"type": "Well", "entityId": "well-001"},
        "severity": "WARN",
        "occurredAt": "2026-04-10T10:30:00.123456Z",
        "recordedAt": event["recordedAt"],
        "updatedAt": event["recordedAt"],
        "tags": ["StudyId:1", "ScenarioId:2"],
        "acknowledged": False,
        "acknowledgedAt": None,
        "acknowledgedBy": None,
        "version": 1,
        "eventTypeVersion": None,
        "eventType": None,
    }
    stored = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { summary fields tags occurredAt } }", id=event["id"]
    )
    assert stored == {name: event[name] for name in ("summary", "fields", "tags", "occurredAt")}


async def test_absent_attributes_get_defaults(client: Client) -> None:
    event = await client.log_event()

    assert (event["type"], event["summary"]) == ("notice", "notice")
    assert (event["source"], event["severity"]) == ("administrator", "INFO")
    assert event["occurredAt"] == event["recordedAt"]


@pytest.mark.parametrize(
    ("attributes", "code", "path"),
    [
        ({"summary": "s" * 1001}, "INVALID_INPUT", ["input", "summary"]),
        ({"content": "c" * 100_001}, "INVALID_INPUT", ["input", "content"]),
        ({"content": "a\0b"}, "INVALID_INPUT", ["input", "content"]),
        ({"summary": "\ud800"}, "INVALID_INPUT", ["input", "summary"]),
        ({"type": ""}, "INVALID_INPUT", ["input", "type"]),
        ({"type": "a\nb"}, "INVALID_INPUT", ["input", "type"]),
        ({"eventTypeId": "no-id"}, "INVALID_INPUT", ["input", "eventTypeId"]),
        ({"eventTypeId": UNKNOWN_ID}, "NOT_FOUND", ["input", "eventTypeId"]),
        ({"entity": {"type": "Well", "id": ""}}, "INVALID_INPUT", ["input", "entity", "id"]),
        ({"tags": ["t"] * 101}, "INVALID_INPUT", ["input", "tags"]),
        ({"tags": ["fine", ""]}, "INVALID_INPUT", ["input", "tags", "1"]),
        ({"fields": [1]}, "INVALID_INPUT", ["input", "fields"]),
        ({"fields": {"a": ["\0"]}}, "INVALID_INPUT", ["input", "fields", "a", "0"]),
        ({"fields": {"a": "x" * 65_536}}, "INVALID_INPUT", ["input", "fields"]),
        ({"fields": {"a": 10**400}}, "INVALID_INPUT", ["input", "fields", "a"]),
    ],
)
async def test_an_invalid_report_is_rejected_with_its_path_and_nothing_is_stored(
    client: Client, attributes: dict[str, Any], code: str, path: list[str]
) -> None:
    payload = await client.execute_field(LOG_EVENT, input=attributes)

    assert payload["event"] is None
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [(code, path)]
    assert await client.execute_field(COUNT) == {"totalCount": 0}


async def test_all_errors_are_returned_together(client: Client) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=6)).isoformat()

    payload = await client.execute_field(
        LOG_EVENT, input={"summary": "s" * 1001, "occurredAt": later, "tags": [""], "fields": 1}
    )

    assert [error["path"][1] for error in payload["userErrors"]] == [
        *("summary", "tags", "occurredAt", "fields")
    ]
    assert "1,001" in payload["userErrors"][0]["message"]
    assert "1,000" in payload["userErrors"][0]["message"]


async def test_each_report_of_a_list_has_its_own_result(client: Client) -> None:
    reports = [
        {"summary": "first", "source": "/a", "sourceId": "1"},
        {"tags": [""]},
        {"summary": "first", "source": "/a", "sourceId": "1"},
        {"summary": "other", "source": "/a", "sourceId": "1"},
        {"summary": "last"},
    ]

    payload = await client.execute_field(LOG_EVENTS, input=reports)

    results = payload["results"]
    assert (payload["accepted"], payload["duplicates"], payload["rejected"]) == (2, 1, 2)
    assert [result["duplicate"] for result in results] == [False, False, True, False, False]
    assert results[2]["event"] == results[0]["event"]
    assert results[1]["userErrors"] == [
        {"code": "INVALID_INPUT", "path": ["input", "1", "tags", "0"]}
    ]
    assert results[3]["userErrors"] == [{"code": "CONFLICT", "path": ["input", "3", "sourceId"]}]
    assert await client.execute_field(COUNT) == {"totalCount": 2}


async def test_a_list_that_is_too_long_is_rejected_as_a_whole(client: Client) -> None:
    payload = await client.execute_field(LOG_EVENTS, input=[{}] * 501)

    assert payload["results"] == []
    assert payload["userErrors"] == [
        {
            "code": "INVALID_INPUT",
            "message": "The call has 501 events; at most 500 are allowed. Split the events into "
            "several calls.",
            "path": ["input"],
        }
    ]
    assert await client.execute_field(COUNT) == {"totalCount": 0}


async def test_a_list_of_500_is_stored(client: Client) -> None:
    payload = await client.execute_field(
        LOG_EVENTS, input=[{"summary": str(n)} for n in range(500)]
    )

    assert [result["event"]["summary"] for result in payload["results"]] == [
        str(n) for n in range(500)
    ]
    assert await client.execute_field(COUNT) == {"totalCount": 500}


async def test_a_replay_returns_the_first_event(client: Client) -> None:
    first = await client.log_event(summary="once", sourceId="9")

    replay = await client.execute_field(LOG_EVENT, input={"summary": "once", "sourceId": "9"})

    assert replay["duplicate"] is True
    assert replay["event"] == first
    assert await client.execute_field(COUNT) == {"totalCount": 1}


async def test_a_replay_of_a_deleted_event_stores_nothing(client: Client) -> None:
    first = await client.log_event(summary="once", sourceId="9")
    await client.execute_field(
        "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }", id=first["id"]
    )

    replay = await client.execute_field(LOG_EVENT, input={"summary": "once", "sourceId": "9"})

    assert (replay["duplicate"], replay["event"], replay["userErrors"]) == (True, None, [])
    assert await client.execute_field(COUNT) == {"totalCount": 0}


async def test_the_same_source_id_with_different_content_is_a_conflict(client: Client) -> None:
    await client.log_event(summary="once", sourceId="9")

    second = await client.execute_field(LOG_EVENT, input={"summary": "twice", "sourceId": "9"})

    assert second["event"] is None
    assert [(error["code"], error["path"]) for error in second["userErrors"]] == [
        ("CONFLICT", ["input", "sourceId"])
    ]
    assert await client.execute_field(COUNT) == {"totalCount": 1}


async def test_a_replay_returns_no_event_without_event_read(
    own_client: Client, database: Database
) -> None:
    reporter = own_client.as_key(await create_api_key(database, Permission.EVENT_CREATE))
    report = {"summary": "once", "source": "/a", "sourceId": "9"}
    await own_client.log_event(**report)

    replay = await reporter.execute_field(LOG_EVENT, input=report)

    assert (replay["duplicate"], replay["event"]) == (True, None)


@pytest.mark.parametrize("literal", ["1e400", "-1e400"])
async def test_an_infinite_number_literal_is_rejected(client: Client, literal: str) -> None:
    mutation = "mutation { logEvent(input: {fields: {a: NUMBER}}) { userErrors { code path } } }"

    payload = await client.execute_field(mutation.replace("NUMBER", literal))

    assert payload["userErrors"] == [{"code": "INVALID_INPUT", "path": ["input", "fields", "a"]}]


@pytest.mark.parametrize(
    "instant",
    [
        *("2026-04-10", "2026-04-10T10:30:00", "2026-02-30T10:30:00Z", "10:30", 7),
        *("2026-04-10T10:30:00+00:60", "2026-04-10T10:30:00+24:00", "0001-01-01T00:00:00+01:00"),
    ],
)
async def test_an_instant_without_offset_or_off_the_calendar_is_an_error(
    client: Client, instant: object
) -> None:
    error = await client.expect_error(LOG_EVENT, input={"occurredAt": instant})

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "at .occurredAt" in error["message"]
    assert "timedelta" not in error["message"]
    assert await client.execute_field(COUNT) == {"totalCount": 0}


async def test_a_rejected_report_has_its_own_errors(
    client: Client,
) -> None:
    reports = [{"sourceId": "x", "summary": "s" * 1001}, {"sourceId": "x", "summary": "fine"}]

    payload = await client.execute_field(LOG_EVENTS, input=reports)

    refused, accepted = payload["results"]
    assert refused["userErrors"] == [{"code": "INVALID_INPUT", "path": ["input", "0", "summary"]}]
    assert accepted["event"]["summary"] == "fine"


async def test_an_absent_variable_omits_its_value(client: Client) -> None:
    payload = await client.execute_field(
        """mutation ($x: String) {
             logEvent(input: {fields: {a: $x, b: {c: $x}, d: [1, $x]}}) { event { fields } } }"""
    )

    assert payload["event"]["fields"] == {"b": {}, "d": [1, None]}


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z"])
async def test_an_event_in_the_distant_past_is_delivered_and_read(
    client: Client, instant: str
) -> None:
    head = await client.execute_field("{ logHead }")
    added = """subscription ($after: String) {
                 notificationAdded(after: $after) { node { occurredAt } } }"""

    async with client.subscription(added, after=head) as subscription:
        await client.log_event(occurredAt=instant, notification=True)
        message = await subscription.receive_next()

    assert message == {"node": {"occurredAt": instant}}
    assert await client.execute_field("{ events { nodes { occurredAt } } }") == {
        "nodes": [{"occurredAt": instant}]
    }


async def test_a_typed_variable_inside_json_keeps_its_value(client: Client) -> None:
    payload = await client.execute_field(
        """mutation ($at: DateTime, $how: Outcome, $n: [Int]) {
             logEvent(input: {fields: {at: $at, how: [$how], n: $n}}) { event { fields } } }""",
        at="2026-04-10T12:30:00+02:00",
        how="FAILURE",
        n=[1, 2],
    )

    assert payload["event"]["fields"] == {
        "at": "2026-04-10T10:30:00.000000Z",
        "how": ["FAILURE"],
        "n": [1, 2],
    }


async def test_a_document_with_several_operations_requires_a_name(client: Client) -> None:
    both = """mutation a { logEvent(input: {summary: "a"}) { duplicate } }
              mutation b { logEvent(input: {summary: "b"}) { duplicate } }"""

    error = await client.expect_error(both)
    named = await client.http.post("/graphql", json={"query": both, "operationName": "b"})

    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert named.json()["data"] == {"logEvent": {"duplicate": False}}
    assert await client.execute_field("{ events { nodes { summary } } }") == {
        "nodes": [{"summary": "b"}]
    }
