"""Payloads of other systems over HTTP: tokens, repetitions, rejected payloads, and secrecy."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog

from app.domain.access.caller import Permission
from app.services.events import alert_keys
from app.services.events.alert_keys import remove_old_reports
from app.store.engine.database import Database
from tests.client import Client
from tests.conftest import POSTGRESQL, Serve
from tests.factories import create_api_key
from tests.source_payloads import (
    ALERT,
    alertmanager_payload,
    grafana_payload,
    pagerduty_event,
    resolve_alert,
)

CREATE = """
mutation ($input: CreateSourceInput!) {
  createSource(input: $input) { source { id } token url userErrors { code message } }
}
"""
UPDATE = """
mutation ($input: UpdateSourceInput!) { updateSource(input: $input) { userErrors { code } } }
"""
EVENTS = """
{ events(orderBy: {field: RECORDED_AT, direction: ASC}) { nodes {
  type summary severity status alertKey occurrences occurredAt resolvedAt acknowledgedBy
} } }
"""
CHANGES = "{ eventChanges(first: 100) { nodes { kind actor } } }"
REJECTED = """
query ($id: ID!) { source(id: $id) { lastReceivedAt rejected { at error body } } }
"""
NOT_RESOLVED = "There is nothing to resolve"
STARTED, ENDED = "2026-04-10T10:30:00.000000Z", "2026-04-10T11:00:00.000000Z"
MAPPING = {
    "summary": "body.title",
    "alertKey": "body.?id",
    "resolved": "body.?state.orValue('') == 'ok'",
    "sourceId": "body.?delivery",
    "notification": "true",
}


class Sender:
    """Sends payloads to a source with its token in the path."""

    def __init__(self, client: Client, payload: dict[str, Any]) -> None:
        self.client = client.as_key(None)
        self.id, self.token = payload["source"]["id"], payload["token"]
        self.path = f"/sources/{self.id}"
        self.url = payload["url"]

    def at_server(self, client: Client) -> Sender:
        """The same source, at another server."""
        payload = {"source": {"id": self.id}, "token": self.token, "url": self.url}
        return Sender(client, payload)

    async def send(self, payload: Any) -> list[Any]:
        """Returns the results of a payload that is accepted."""
        response = await self.client.http.post(f"{self.path}/{self.token}", json=payload)
        assert response.status_code == 202, response.text
        results: list[Any] = response.json()["results"]
        return results

    async def post(self, content: bytes, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.http.post(
            f"{self.path}/{self.token}", content=content, headers=sent
        )


async def create_sender(client: Client, kind: str, **input: Any) -> Sender:
    payload = await client.execute_field(CREATE, input={"name": "monitor", "kind": kind, **input})
    assert payload["userErrors"] == []
    return Sender(client, payload)


async def list_events(client: Client) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = (await client.execute_field(EVENTS))["nodes"]
    return nodes


async def list_changes(client: Client) -> list[tuple[str, str]]:
    nodes = (await client.execute_field(CHANGES))["nodes"]
    return [(each["kind"], each["actor"]) for each in nodes]


async def list_rejected(client: Client, sender: Sender) -> list[dict[str, Any]]:
    rejected: list[dict[str, Any]] = (await client.execute_field(REJECTED, id=sender.id))[
        "rejected"
    ]
    return rejected


@pytest.mark.parametrize("kind", ["ALERTMANAGER", "GRAFANA"])
async def test_an_alert_fires_and_resolves_once_however_often_it_is_sent(
    client: Client, kind: str
) -> None:
    sender = await create_sender(client, kind)
    firing, resolved = (
        alertmanager_payload(ALERT),
        alertmanager_payload(resolve_alert(ALERT, ENDED)),
    )

    results = [await sender.send(payload) for payload in (firing, firing, resolved, resolved)]
    late = await sender.send(firing)
    events = await list_events(client)
    changes = await list_changes(client)

    assert [(each["duplicate"], bool(each["event"])) for [each] in [*results, late]] == [
        (False, True),
        (True, False),
        (True, False),
        (True, False),
        (True, False),
    ]
    assert events == [
        {
            "type": f"{kind.lower()}.alert",
            "summary": "Disk full",
            "severity": "ERROR",
            "status": "RESOLVED",
            "alertKey": "c0ffee0123456789",
            "occurrences": 1,
            "occurredAt": STARTED,
            "resolvedAt": ENDED,
            "acknowledgedBy": None,
        }
    ]
    assert changes == [("LOGGED", "monitor"), ("RESOLVED", "monitor")]
    [[warning]] = [each["warnings"] for each in results[3]]
    assert (warning["code"], warning["path"]) == ("NOT_FOUND", ["alertKey"])
    assert warning["message"].startswith(NOT_RESOLVED)
    assert late[0]["warnings"] == [
        {
            "code": "DUPLICATE",
            "message": f"This occurrence of {STARTED} has already been reported as resolved at "
            f"{ENDED}. Nothing was stored.",
            "path": ["alertKey"],
        }
    ]


async def test_a_changed_alert_is_a_repeat_and_a_new_occurrence_is_a_new_event(
    client: Client,
) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    worse = ALERT | {"annotations": ALERT["annotations"] | {"value": "1"}}
    again = ALERT | {"startsAt": "2026-04-10T12:00:00Z"}

    for alert in (ALERT, worse, worse, resolve_alert(worse, ENDED), again):
        await sender.send(alertmanager_payload(alert))
    await sender.send(alertmanager_payload(resolve_alert(worse, ENDED)))
    events = await list_events(client)
    changes = await list_changes(client)

    assert [(each["status"], each["occurrences"]) for each in events] == [
        ("RESOLVED", 2),
        ("OPEN", 1),
    ]
    assert [kind for kind, _ in changes] == ["LOGGED", "DUPLICATED", "RESOLVED", "LOGGED"]


async def test_a_repeated_alert_that_a_person_resolved_opens_a_new_event(client: Client) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    [result] = await sender.send(alertmanager_payload(ALERT))
    resolve = "mutation ($id: ID!) { resolveEvent(id: $id) { userErrors { code } } }"
    await client.execute_field(resolve, id=result["event"])

    [repeated] = await sender.send(alertmanager_payload(ALERT))
    [unchanged] = await sender.send(alertmanager_payload(ALERT))
    statuses = [each["status"] for each in await list_events(client)]

    assert (repeated["duplicate"], unchanged["duplicate"]) == (False, True)
    assert statuses == ["RESOLVED", "OPEN"]


async def test_pagerduty_events_trigger_acknowledge_and_resolve(client: Client) -> None:
    sender = await create_sender(client, "PAGERDUTY")
    actions = ["acknowledge", "trigger", "trigger", "acknowledge", "acknowledge", "resolve"]

    responses = [
        await sender.client.http.post(
            "/v2/enqueue", json=pagerduty_event(action, "disk", routing_key=sender.token)
        )
        for action in [*actions, "acknowledge", "trigger"]
    ]
    generated = (await sender.send(pagerduty_event("trigger", None)))[0]
    first, *others = await list_events(client)
    changes = await list_changes(client)

    assert [response.status_code for response in responses] == [202] * 8
    body = responses[1].json()
    assert [body.pop("results")[0]["duplicate"], body] == [
        False,
        {"status": "success", "message": "Event processed", "dedup_key": "disk"},
    ]
    assert responses[0].json()["results"][0]["warnings"][0]["code"] == "NOT_FOUND"
    assert generated["duplicate"] is False
    assert (first["status"], first["acknowledgedBy"]) == ("RESOLVED", "monitor")
    assert [each["status"] for each in others] == ["OPEN", "OPEN"]
    assert [kind for kind, _ in changes] == [
        *("LOGGED", "ACKNOWLEDGED", "RESOLVED"),
        *("LOGGED", "LOGGED"),
    ]


@pytest.mark.parametrize("kind", ["PAGERDUTY", "JSON"])
async def test_what_arrives_after_its_resolution_is_stored_as_resolved_and_sent_again_it_is_not(
    client: Client, kind: str
) -> None:
    mapping = MAPPING | {"occurredAt": "body.?at"}
    sender = await create_sender(client, kind, **({"mapping": mapping} if kind == "JSON" else {}))

    def build(action: str, at: str, summary: str = "Disk full") -> dict[str, Any]:
        if kind == "PAGERDUTY":
            return pagerduty_event(action, "disk", {"summary": summary, "timestamp": at})
        state = "ok" if action == "resolve" else "bad"
        return {"title": summary, "id": "disk", "at": at, "state": state}

    trigger, resolve = build("trigger", STARTED), build("resolve", ENDED)
    results = [(await sender.send(each))[0] for each in (trigger, trigger, resolve, trigger)]
    late = build("trigger", "2026-04-10T10:45:00Z", "Late")
    results += [(await sender.send(each))[0] for each in (late, late)]
    again = build("trigger", "2026-04-10T12:00:00Z", "Again")
    results += [(await sender.send(again))[0]]
    worse = build("trigger", "2026-04-10T12:20:00Z", "Worse")
    end = build("resolve", "2026-04-10T13:00:00Z")
    results += [(await sender.send(each))[0] for each in (worse, end, worse)]
    events = await list_events(client)

    duplicates = [False, True, True, True, False, True, False, True, True, True]
    assert [each["duplicate"] for each in results] == duplicates
    codes = [[warning["code"] for warning in each["warnings"]] for each in results]
    repeated = ["DUPLICATE"]
    assert codes == [[], [], [], repeated, [], repeated, [], [], [], repeated]
    assert [(each["summary"], each["status"], each["resolvedAt"]) for each in events] == [
        ("Disk full", "RESOLVED", ENDED),
        ("Late", "RESOLVED", ENDED),
        ("Again", "RESOLVED", "2026-04-10T13:00:00.000000Z"),
    ]


@pytest.mark.parametrize("kind", ["PAGERDUTY", "JSON"])
async def test_any_report_with_a_time_that_is_sent_again_makes_nothing_twice(
    own_client: Client, database: Database, kind: str
) -> None:
    client = own_client
    mapping = MAPPING | {"occurredAt": "body.?at"}
    sender = await create_sender(client, kind, **({"mapping": mapping} if kind == "JSON" else {}))
    other = await create_sender(client, "PAGERDUTY")

    def build(minute: int, summary: str, action: str = "trigger") -> dict[str, Any]:
        at = f"2026-04-10T10:{minute}:00Z"
        if kind == "PAGERDUTY":
            return pagerduty_event(action, "disk", {"summary": summary, "timestamp": at})
        state = "ok" if action == "resolve" else "bad"
        return {"title": summary, "id": "disk", "at": at, "state": state}

    async def send_each(*payloads: Any) -> list[tuple[bool, int]]:
        """Returns, for each payload, whether it is a duplicate, and the number of warnings."""
        results = [(await sender.send(each))[0] for each in payloads]
        return [(each["duplicate"], len(each["warnings"])) for each in results]

    first, second, third = build(10, "A"), build(20, "B"), build(30, "C")
    firing = await send_each(first, second, third, first, second)
    await send_each(build(40, "over", "resolve"))
    resolved = await send_each(second, first, third)
    again = await send_each(build(50, "D"), first, second)
    await other.send(pagerduty_event("trigger", "disk", {"summary": "Other", "timestamp": STARTED}))
    events = await list_events(client)
    changes = await list_changes(client)

    assert firing == [(False, 0), *[(True, 0)] * 4]
    assert resolved == [(True, 1)] * 3
    assert again == [(False, 0), *[(True, 1)] * 2]
    assert [(each["summary"], each["status"], each["occurrences"]) for each in events] == [
        ("A", "RESOLVED", 3),
        ("D", "OPEN", 1),
        ("Other", "OPEN", 1),
    ]
    assert [kind for kind, _ in changes] == [
        *("LOGGED", "DUPLICATED", "DUPLICATED", "RESOLVED"),
        *("LOGGED", "LOGGED"),
    ]


async def test_a_report_is_recognized_for_seven_days_after_it_arrived_also_while_its_event_is_open(
    own_client: Client, database: Database
) -> None:
    sender = await create_sender(own_client, "PAGERDUTY")

    def build(action: str, key: str, minute: int) -> dict[str, Any]:
        payload = {"summary": str(minute), "timestamp": f"2026-04-10T10:{minute}:00Z"}
        return pagerduty_event(action, key, payload)

    reports = [build("trigger", key, minute) for key in ("open", "over") for minute in (10, 20)]
    for each in (*reports, build("resolve", "over", 30)):
        await sender.send(each)

    now = datetime.now(UTC)
    early = await remove_old_reports(database, now + timedelta(days=6, hours=23))
    again = [(await sender.send(each))[0] for each in reports]
    removed = await remove_old_reports(database, now + timedelta(days=7, hours=1))
    events = await list_events(own_client)

    assert (early, removed) == (0, 4)
    assert [each["duplicate"] for each in again] == [True] * 4
    assert [(each["status"], each["occurrences"]) for each in events] == [
        ("OPEN", 2),
        ("RESOLVED", 2),
    ]


async def test_reports_are_removed_in_short_transactions_until_none_is_left(
    own_client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_keys, "MAX_REMOVED_ROWS", 2)
    sender = await create_sender(own_client, "PAGERDUTY")
    for number in range(7):
        payload = {"summary": "Full", "timestamp": f"2026-04-10T10:0{number}:00Z"}
        for key in ("open", "over"):
            await sender.send(pagerduty_event("trigger", key, payload))
    await sender.send(pagerduty_event("resolve", "over", payload=None))

    removed = await remove_old_reports(database, datetime.now(UTC) + timedelta(days=8))

    assert removed == 14


@pytest.mark.parametrize("kind", ["PAGERDUTY", "JSON"])
async def test_a_report_is_recognized_although_the_clock_of_its_sender_is_ahead(
    client: Client, kind: str
) -> None:
    mapping = MAPPING | {"occurredAt": "body.?at"}
    sender = await create_sender(client, kind, **({"mapping": mapping} if kind == "JSON" else {}))
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    if kind == "PAGERDUTY":
        trigger = pagerduty_event("trigger", "disk", {"summary": "Full", "timestamp": at})
        resolve = pagerduty_event("resolve", "disk", {"timestamp": at})
    else:
        trigger = {"title": "Full", "id": "disk", "at": at, "state": "bad"}
        resolve = trigger | {"state": "ok"}

    results = [(await sender.send(each))[0] for each in (trigger, trigger, resolve, trigger)]
    events = await list_events(client)

    assert [each["duplicate"] for each in results] == [False, True, True, True]
    assert [(each["status"], each["occurrences"]) for each in events] == [("RESOLVED", 1)]


async def test_an_alert_is_repeated_although_the_clock_of_alertmanager_is_ahead(
    client: Client,
) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    starts_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

    for _ in range(2):
        await sender.send(alertmanager_payload(ALERT | {"startsAt": starts_at}))
    events = await list_events(client)

    assert [(each["status"], each["occurrences"]) for each in events] == [("OPEN", 1)]


@pytest.mark.parametrize("ahead", [timedelta(seconds=100), timedelta(hours=1)])
async def test_alerts_that_are_sent_again_change_nothing_although_their_clock_is_ahead(
    client: Client, ahead: timedelta
) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    start = datetime.now(UTC) + ahead

    def build(begins: int, ends: int | None = None, key: str = "f1", **labels: str) -> Any:
        alert = ALERT | {
            "labels": ALERT["labels"] | labels,
            "fingerprint": key,
            "startsAt": (start + timedelta(seconds=begins)).isoformat(),
        }
        if ends is None:
            return alertmanager_payload(alert)
        at = (start + timedelta(seconds=ends)).isoformat()
        return alertmanager_payload(resolve_alert(alert, at))

    first, worse, first_end = build(0), build(0, disk="full"), build(0, 10)
    second, second_end = build(20), build(20, 30)
    sent = (first, worse, first, first_end, first, second, first, first_end, second, second_end)
    results = [(await sender.send(each))[0] for each in sent]
    open_keys = [each["alertKey"] for each in await list_events(client) if each["status"] == "OPEN"]
    # The resolution arrives first.
    results += [(await sender.send(each))[0] for each in (build(0, 10, "f2"), build(0, key="f2"))]
    events = await list_events(client)

    assert open_keys == []
    assert [each["duplicate"] for each in results] == [
        *(False, True, True, True, True),
        *(False, True, True, True, True),
        *(True, True),
    ]
    codes = [[warning["code"] for warning in each["warnings"]] for each in results]
    assert codes == [
        *([], [], [], [], ["DUPLICATE"]),
        *([], ["DUPLICATE"], ["NOT_FOUND"], [], []),
        *(["NOT_FOUND"], ["DUPLICATE"]),
    ]
    assert [(each["status"], each["occurrences"]) for each in events] == [
        ("RESOLVED", 3),
        ("RESOLVED", 1),
    ]


async def test_an_alert_that_begins_when_the_clock_of_its_sender_is_right_again_is_a_new_event(
    client: Client,
) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    now = datetime.now(UTC)
    first = ALERT | {"startsAt": (now + timedelta(minutes=4)).isoformat()}
    over = resolve_alert(first, (now + timedelta(minutes=5)).isoformat())

    for alert in (first, over):
        await sender.send(alertmanager_payload(alert))
    again = ALERT | {"startsAt": datetime.now(UTC).isoformat()}
    [result] = await sender.send(alertmanager_payload(again))
    [repeated] = await sender.send(alertmanager_payload(again))
    statuses = [each["status"] for each in await list_events(client)]

    assert (result["duplicate"], repeated["duplicate"]) == (False, True)
    assert statuses == ["RESOLVED", "OPEN"]


async def test_a_payload_without_any_id_is_logged_once_although_its_clock_is_ahead(
    client: Client,
) -> None:
    mapping = {"summary": "body.title", "occurredAt": "body.at", "sourceId": "body.?id"}
    sender = await create_sender(client, "JSON", mapping=mapping)
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    bodies = [{"title": "a", "at": at}, {"title": "b", "at": at, "id": "7"}]

    results = [(await sender.send(each))[0] for each in bodies * 2]
    events = await list_events(client)

    assert [each["duplicate"] for each in results] == [False, False, True, True]
    assert [each["summary"] for each in events] == ["a", "b"]


async def test_what_is_sent_again_after_a_resolution_without_a_time_is_over(
    client: Client,
) -> None:
    sender = await create_sender(client, "PAGERDUTY")
    times = [f"2026-04-10T10:{minute}:00Z" for minute in (10, 20, 30)]
    first, second, third = [
        pagerduty_event("trigger", "disk", {"summary": at, "timestamp": at}) for at in times
    ]
    over = pagerduty_event("resolve", "disk", payload=None)

    sent = (first, second, over, second, first, third, first, over)
    results = [(await sender.send(each))[0] for each in sent]
    events = await list_events(client)

    assert [each["duplicate"] for each in results] == [
        *(False, True, True, True, True),
        *(False, True, True),
    ]
    assert [(each["summary"], each["status"], each["occurrences"]) for each in events] == [
        (times[0], "RESOLVED", 2),
        (times[2], "RESOLVED", 1),
    ]


@pytest.mark.parametrize("earlier", [0, 5])
async def test_a_resolution_that_is_sent_again_leaves_a_newer_alert_without_a_time_open(
    client: Client, earlier: int
) -> None:
    sender = await create_sender(client, "PAGERDUTY")
    over, again, end = [
        pagerduty_event("resolve", "disk", {"timestamp": f"2026-04-10T10:{minute}:00Z"})
        for minute in (30, 30 - earlier, 40)
    ]
    trigger = pagerduty_event("trigger", "disk")

    results = [(await sender.send(each))[0] for each in (trigger, over, trigger, again)]
    statuses = [each["status"] for each in await list_events(client)]
    await sender.send(end)
    resolved = [each["status"] for each in await list_events(client)]

    assert statuses == ["RESOLVED", "OPEN"]
    assert [warning["code"] for warning in results[3]["warnings"]] == ["NOT_FOUND"]
    assert resolved == ["RESOLVED", "RESOLVED"]


async def test_a_report_with_a_time_that_a_person_resolved_opens_a_new_event_when_it_is_sent_again(
    client: Client,
) -> None:
    sender = await create_sender(client, "PAGERDUTY")
    dated = [
        pagerduty_event(
            "trigger", "disk", {"summary": text, "severity": severity, "timestamp": STARTED}
        )
        for text, severity in (("A", "warning"), ("B", "critical"))
    ]
    [[first], _] = [await sender.send(each) for each in dated]
    resolve = "mutation ($id: ID!) { resolveEvent(id: $id) { userErrors { code } } }"
    await client.execute_field(resolve, id=first["event"])

    results = [(await sender.send(dated[index]))[0] for index in (0, 1, 0)]
    events = await list_events(client)

    assert [each["duplicate"] for each in results] == [False, True, True]
    assert [(each["status"], each["severity"], each["occurrences"]) for each in events] == [
        ("RESOLVED", "ERROR", 2),
        ("OPEN", "ERROR", 2),
    ]


async def test_a_dated_resolution_of_a_slower_clock_resolves_an_undated_trigger(
    client: Client,
) -> None:
    sender = await create_sender(client, "PAGERDUTY")
    earlier = (datetime.now(UTC) - timedelta(seconds=10)).isoformat(timespec="seconds")

    await sender.send(pagerduty_event("trigger", "disk"))
    await sender.send(pagerduty_event("resolve", "disk", {"timestamp": earlier}))
    [event] = await list_events(client)

    assert event["status"] == "RESOLVED"


async def test_a_mapping_logs_resolves_and_recognizes_what_was_sent_again(client: Client) -> None:
    sender = await create_sender(client, "JSON", mapping=MAPPING)
    opening = {"title": "Pump", "id": 7}
    noted = {"title": "Note", "delivery": "d1"}

    results = [
        (await sender.send(body))[0]
        for body in (opening, opening, noted, noted, opening | {"state": "ok"})
    ]
    pair = await sender.send([{"title": "a"}, {"title": "b"}])
    events = await list_events(client)

    assert [each["duplicate"] for each in results] == [False, True, False, True, True]
    assert [each["duplicate"] for each in pair] == [False, False]
    assert [(each["summary"], each["status"], each["occurrences"]) for each in events] == [
        ("Pump", "RESOLVED", 1),
        ("Note", "OPEN", 1),
        ("a", "OPEN", 1),
        ("b", "OPEN", 1),
    ]


async def test_what_is_sent_again_to_another_server_is_logged_once(
    dialect: str, database_url: str, serve: Serve
) -> None:
    mapping = {"summary": "body.title", "occurredAt": "body.?at", "fields": "body"}
    dated, undated = [{"title": "dated", "at": STARTED}] * 2, {"title": "undated"}
    alerts = [ALERT, ALERT | {"fingerprint": "f2"}]
    async with contextlib.AsyncExitStack() as stack:
        client = other = await stack.enter_async_context(serve(database_url))
        if dialect == POSTGRESQL:  # on SQLite, two processes may wait too long for each other
            other = await stack.enter_async_context(serve(database_url))
        mapped = await create_sender(client, "JSON", mapping=mapping)
        pair = await create_sender(client, "ALERTMANAGER")

        async def send_to_both(sender: Sender, *payloads: Any) -> list[list[Any]]:
            """Sends all payloads to both servers at once."""
            senders = (sender, sender.at_server(other))
            return await asyncio.gather(*(each.send(one) for one in payloads for each in senders))

        def of_pair(*alerts: Any) -> list[Any]:
            """The notifications of both servers of a cluster."""
            payload = alertmanager_payload(*alerts)
            return [payload, payload | {"externalURL": "http://replica"}]

        of_dated = await send_to_both(mapped, dated, dated, dated)
        of_undated = await send_to_both(mapped, undated, undated, undated)
        [changed] = await mapped.at_server(other).send(undated | {"value": 1})
        await send_to_both(pair, *of_pair(*alerts))
        await send_to_both(pair, *of_pair(*(resolve_alert(each, ENDED) for each in alerts)))
        await send_to_both(pair, *of_pair(*alerts))
        events = await list_events(client)
        changes = await list_changes(client)

    assert sorted(each["duplicate"] for result in of_dated for each in result) == [
        *[False] * 2,
        *[True] * 10,
    ]
    assert sorted(each["duplicate"] for [each] in of_undated) == [False, *[True] * 5]
    assert changed["duplicate"] is False
    assert [(each["summary"], each["status"], each["occurrences"]) for each in events] == [
        *[("dated", None, 1)] * 2,
        *[("undated", None, 1)] * 2,
        *[("Disk full", "RESOLVED", 1)] * 2,
    ]
    kinds = [kind for kind, _ in changes]
    assert kinds == [*["LOGGED"] * 6, *["RESOLVED"] * 2]


async def test_an_equal_payload_without_a_time_is_a_repetition_for_a_time_that_a_setting_limits(
    serve: Serve, database_url: str
) -> None:
    mapping = {"summary": "body.title", "occurredAt": "body.?at"}
    async with serve(database_url, limits={"repeated_payload_seconds": 0}) as client:
        sender = await create_sender(client, "JSON", mapping=mapping)
        dated = {"title": "dated", "at": STARTED}

        results = [(await sender.send(each))[0] for each in ({"title": "a"}, dated) * 2]

    assert [each["duplicate"] for each in results] == [False, False, False, True]


@pytest.mark.parametrize(
    ("kind", "setting"), [("ALERTMANAGER", "max_alerts"), ("GRAFANA", "Max Alerts")]
)
async def test_alerts_that_the_sender_left_out_raise_one_notification(
    client: Client, kind: str, setting: str
) -> None:
    sender = await create_sender(client, kind)
    contents = '{ events(filter: {types: ["tocsin.source.truncated"]}) { nodes { content } } }'

    for count in (0, -1, "1", None, 1_200, 7):
        await sender.send(alertmanager_payload(ALERT) | {"truncatedAlerts": count})
    alert, truncation = await list_events(client)
    [node] = (await client.execute_field(contents))["nodes"]

    assert alert["occurrences"] == 1
    assert truncation | {"occurredAt": None} == {
        "type": "tocsin.source.truncated",
        "summary": "The sender of the source monitor leaves out alerts",
        "severity": "WARN",
        "status": "OPEN",
        "alertKey": f"source:{sender.id}:truncated",
        "occurrences": 1,
        "occurredAt": None,
        "resolvedAt": None,
        "acknowledgedBy": None,
    }
    assert node["content"].startswith("1,200 of the 1,201 alerts of a notification were not sent")
    assert setting in node["content"]


async def test_the_alert_key_of_the_notification_about_rejected_payloads_is_reserved(
    client: Client,
) -> None:
    sender = await create_sender(client, "PAGERDUTY")
    await sender.post(b"{")
    key = f"source:{sender.id}"
    actions = ("acknowledge", "resolve", "trigger")

    responses = [
        await sender.post(json.dumps(pagerduty_event(action, key)).encode()) for action in actions
    ]
    accepted = await sender.send(pagerduty_event("trigger", f"source:{UUID(int=1)}"))
    events = await list_events(client)

    message = (
        f"The alert key '{key}' is reserved for Tocsin's own notifications about this source. "
        "Send another one."
    )
    assert [(each.status_code, each.json()["errors"]) for each in responses] == [
        (400, [{"code": "INVALID_INPUT", "message": message, "path": ["alertKey"]}])
    ] * 3
    assert accepted[0]["duplicate"] is False
    assert [(each["type"], each["status"], each["occurrences"]) for each in events] == [
        ("tocsin.source.rejected", "OPEN", 1),
        ("pagerduty.alert", "OPEN", 1),
    ]


async def test_a_sender_without_a_token_is_logged_as_a_failed_authentication(
    client: Client,
) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    without_token = pagerduty_event("trigger", "a", routing_key=None)
    with structlog.testing.capture_logs() as logs:
        refused = [
            await sender.client.http.post(sender.path, json=alertmanager_payload(ALERT)),
            await sender.client.http.post("/v2/enqueue", json=without_token),
            await sender.client.http.post(sender.url + "x", json=alertmanager_payload(ALERT)),
        ]

    failures = [each for each in logs if each["event"] == "authentication_failed"]
    assert [each.status_code for each in refused] == [401] * 3
    assert [(each["reason"], each["address"]) for each in failures] == [
        ("invalid", "127.0.0.1")
    ] * 3


async def test_a_throttled_address_is_refused_before_its_event_is_parsed(
    serve: Serve, database_url: str
) -> None:
    failed_auth = {"free_attempts": 1, "max_delayed_requests": 0}
    async with serve(database_url, failed_auth=failed_auth) as client:
        sender = await create_sender(client, "PAGERDUTY")
        enqueue = partial(sender.client.http.post, "/v2/enqueue")
        event = pagerduty_event("trigger", "disk", routing_key=sender.token)

        valid = await enqueue(json=event)
        failed = await enqueue(content=b"{")
        refused = [await enqueue(content=each) for each in (b"{", b'{"routing_key": "unknown"')]
        known = await enqueue(json=event)
        unparsed = await enqueue(content=f'{{"routing_key": "{sender.token}"'.encode())

    assert (valid.status_code, failed.status_code, known.status_code) == (202, 400, 202)
    assert [each.status_code for each in refused] == [429, 429]
    assert {each.json()["code"] for each in refused} == {"LIMIT_EXCEEDED"}
    assert unparsed.status_code == 429


async def test_an_invalid_event_does_not_fail_the_others_of_its_payload(client: Client) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    odd = ALERT | {"status": "odd"}

    partly = await sender.post(json.dumps(alertmanager_payload(odd, ALERT)).encode())
    wholly = await sender.post(json.dumps(alertmanager_payload(odd)).encode())
    rejected = await list_rejected(client, sender)
    types = [each["type"] for each in await list_events(client)]

    assert (partly.status_code, wholly.status_code) == (207, 400)
    statuses = [each["status"] for each in partly.json()["results"]]
    assert statuses == [400, 202]
    assert wholly.json()["errors"] == [
        {
            "code": "INVALID_INPUT",
            "message": "Invalid status 'odd': expected firing or resolved.",
            "path": ["alerts", "0", "status"],
        }
    ]
    assert [each["error"].partition(":")[0] for each in rejected] == [
        "Event 1 of 1 was rejected",
        "Event 1 of 2 was rejected",
    ]
    assert types == ["alertmanager.alert", "tocsin.source.rejected"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        (b"{", {}, 400, "Invalid JSON"),
        (b'{"a": NaN}', {}, 400, "Invalid JSON"),
        (b"\xff", {}, 400, "The JSON is not valid UTF-8."),
        (b"[" * 100_000, {}, 400, "The JSON is nested too deeply."),
        (b"{}", {"content_type": "text/plain"}, 415, "Unsupported media type 'text/plain'"),
        (b"{}", {"content_encoding": "br"}, 415, "Unsupported Content-Encoding 'br'"),
        (b"{}", {"content_encoding": "gzip"}, 400, "The request body is not valid gzip"),
        (b"{}", {"content_type": "application/json"}, 400, "The payload has no list `alerts`"),
    ],
)
async def test_an_unreadable_payload_is_kept_with_its_error_and_logs_only_a_notification(
    client: Client, content: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    sender = await create_sender(client, "ALERTMANAGER")

    response = await sender.post(content, **headers)
    [rejected] = await list_rejected(client, sender)
    [event] = await list_events(client)

    body = response.json()
    assert (response.status_code, body["code"]) == (status, "BAD_USER_INPUT")
    assert response.headers["content-type"] == "application/problem+json"
    assert body["detail"].startswith(message)
    assert rejected["error"] == body["detail"]
    if "content_encoding" not in headers:
        assert rejected["body"] == content.decode(errors="replace")[:65_536]
    assert (event["type"], event["alertKey"], event["status"]) == (
        "tocsin.source.rejected",
        f"source:{sender.id}",
        "OPEN",
    )


async def test_the_last_payloads_are_kept_up_to_a_size_without_the_token_and_notify_once(
    client: Client,
) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    large = b'{"secret": "' + sender.token.encode() + b'", "a": "' + "é".encode() * 40_000 + b'"}'

    for number in range(21):
        await sender.post(f"{{{number}".encode())
    await sender.post(large)
    rejected = await list_rejected(client, sender)
    events = await list_events(client)
    changes = await list_changes(client)

    assert len(rejected) == 20
    assert rejected[0]["body"].startswith('{"secret": "***", "a": "é')
    assert 65_534 <= len(rejected[0]["body"].encode()) <= 65_536
    assert [each["body"] for each in rejected[1:]] == [f"{{{n}" for n in range(20, 1, -1)]
    assert [(each["type"], each["occurrences"]) for each in events] == [
        ("tocsin.source.rejected", 1)
    ]
    assert changes == [("LOGGED", "monitor")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
async def test_a_rejected_payload_is_kept_without_credentials(
    client: Client, encoding: str
) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    body = (
        f'{{"alerts": {{}}, "url": "/{sender.token}/", "routing_key" : "0123\\"456", "key": "k"}}'
    )

    response = await sender.post(
        body.encode(encoding), content_type=f"application/json; charset={encoding[:6]}".rstrip("-")
    )
    [rejected] = await list_rejected(client, sender)

    assert response.status_code == 400
    assert sender.token not in rejected["body"].replace("\N{REPLACEMENT CHARACTER}", "")
    if encoding == "utf-8":
        kept = '{"alerts": {}, "url": "/***/", "routing_key" : "***", "key": "k"}'
        assert rejected["body"] == kept


async def test_the_limits_of_rejected_payloads_and_bodies_are_settings(
    serve: Any, database_url: str
) -> None:
    limits = {"rejected_payloads": 1, "rejected_payload_bytes": 3, "body_bytes": 500}
    async with serve(database_url, limits=limits) as client:
        sender = await create_sender(client, "ALERTMANAGER")

        await sender.post(b"first")
        await sender.post(b"second")
        kept = await list_rejected(client, sender)
        large = await sender.post(b"1" * 501)
        too_large = await list_rejected(client, sender)

    assert [each["body"] for each in kept] == ["sec"]
    assert (large.status_code, large.json()["detail"]) == (
        413,
        "The request body is too large; the maximum is 500 bytes.",
    )
    assert [(each["error"], each["body"]) for each in too_large] == [
        ("The request body is too large; the maximum is 500 bytes.", "")
    ]


async def test_only_the_token_of_the_source_is_accepted_in_either_place(client: Client) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    other = await create_sender(client, "ALERTMANAGER")
    http, payload = sender.client.http, alertmanager_payload(ALERT)
    unknown = sender.path[:-1] + ("0" if sender.path[-1] != "0" else "1")

    accepted = [
        await http.post(sender.url, json=payload),
        await http.post(sender.url + "/", json=payload),
        await http.post(
            sender.path, json=payload, headers={"authorization": f"Bearer {sender.token}"}
        ),
    ]
    refused = [
        await http.post(sender.path, json=payload),
        await http.post(f"{sender.path}/{other.token}", json=payload),
        await http.post(f"{sender.path}/{sender.token[:-1]}", json=payload),
        await http.post(f"{unknown}/{sender.token}", json=payload),
        await http.post(f"/sources/odd/{sender.token}", json=payload),
        await http.post("/v2/enqueue", json=pagerduty_event("trigger", "a", routing_key=None)),
        await http.post("/v2/enqueue", json=[sender.token]),
        await http.post(
            sender.path, json=payload, headers={"authorization": f"Bearer {client.key}"}
        ),
    ]
    key_as_token = client.as_key(sender.token)
    as_key = await key_as_token.post("{ viewer { name } }")
    summaries = [each["summary"] for each in await list_events(client)]

    assert [each.status_code for each in accepted] == [202] * 3
    assert [(each.status_code, each.json()["code"]) for each in refused] == [
        (401, "UNAUTHENTICATED")
    ] * len(refused)
    assert as_key.status_code == 401
    assert summaries == ["Disk full"]


async def test_a_disabled_source_and_another_method_are_refused(client: Client) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    await client.execute_field(UPDATE, input={"id": sender.id, "enabled": False})

    disabled = await sender.post(b"{}")
    methods = [
        await sender.client.http.request(method, sender.url) for method in ("GET", "PUT", "DELETE")
    ]
    wrong_kind = await sender.client.http.post(
        "/v2/enqueue",
        json=pagerduty_event(
            "trigger", "a", routing_key=(other := await create_sender(client, "GRAFANA")).token
        ),
    )

    assert (disabled.status_code, disabled.json()["detail"]) == (403, "The source is disabled.")
    assert [(each.status_code, each.headers["allow"]) for each in methods] == [(405, "POST")] * 3
    assert (wrong_kind.status_code, wrong_kind.json()["detail"]) == (
        400,
        "The source has the kind GRAFANA: /v2/enqueue is for PAGERDUTY only. Send to "
        f"/sources/{other.id}.",
    )
    assert await list_rejected(client, sender) == []
    assert "***" in (await list_rejected(client, other))[0]["body"]


async def test_the_token_in_a_path_is_in_no_log(serve: Any, database_url: str) -> None:
    async with serve(database_url, access_log=True) as client:
        sender = await create_sender(client, "ALERTMANAGER")
        with structlog.testing.capture_logs() as logs:
            accepted = await sender.client.http.post(sender.url, json=alertmanager_payload(ALERT))
            await sender.post(f"{sender.token}".encode())
            await sender.client.http.get(sender.url + "/")
            invalid = await sender.client.http.post(sender.url + "x", json={})
            prefixed = f"/tocsin/{sender.path}"
            unknown = await sender.client.http.post(f"{prefixed}/{sender.token}", json={})

    paths = [each["path"] for each in logs if each["event"] == "request"]
    statuses = (accepted.status_code, invalid.status_code, unknown.status_code)
    assert statuses == (202, 401, 404)
    assert paths == [*[sender.path] * 4, prefixed]
    assert sender.token not in json.dumps(logs, default=str)
    assert sender.token not in invalid.text


async def test_payloads_are_counted_by_kind_and_result(own_client: Client) -> None:
    sender = await create_sender(own_client, "GRAFANA")
    before = (await own_client.http.get("/metrics")).text
    await sender.send(grafana_payload())
    await sender.post(b"{")

    after = (await own_client.http.get("/metrics")).text

    name = "tocsin_source_payloads_total"
    kinds = [
        (kind, result)
        for kind in ("ALERTMANAGER", "GRAFANA", "PAGERDUTY", "JSON")
        for result in ("accepted", "rejected")
    ]
    assert all(f'{name}{{kind="{kind}",result="{result}"}} ' in before for kind, result in kinds)
    counts = {
        (kind, result): read_counter(after, f'{name}{{kind="{kind}",result="{result}"}}')
        - read_counter(before, f'{name}{{kind="{kind}",result="{result}"}}')
        for kind, result in kinds
    }
    assert {key for key, count in counts.items() if count} == {
        ("GRAFANA", "accepted"),
        ("GRAFANA", "rejected"),
    }
    # Tocsin's own notification about the rejected payload does not come from the source.
    events = 'tocsin_events_total{api="sources",result="stored"}'
    assert read_counter(after, events) - read_counter(before, events) == 1


def read_counter(metrics: str, series: str) -> float:
    [line] = [line for line in metrics.splitlines() if line.startswith(series + " ")]
    return float(line.removeprefix(series))


async def test_the_last_payload_of_a_source_has_a_time(client: Client) -> None:
    sender = await create_sender(client, "ALERTMANAGER")
    before = await client.execute_field(REJECTED, id=sender.id)

    await sender.send(alertmanager_payload(ALERT))
    after = await client.execute_field(REJECTED, id=sender.id)

    assert before["lastReceivedAt"] is None
    received_at = datetime.fromisoformat(after["lastReceivedAt"])
    assert abs(datetime.now(UTC) - received_at) < timedelta(minutes=5)


async def test_a_group_may_have_more_alerts_than_a_call(serve: Any, database_url: str) -> None:
    async with serve(database_url, limits={"events_per_call": 3}) as client:
        sender = await create_sender(client, "ALERTMANAGER")
        alerts = [ALERT | {"fingerprint": f"f{number}"} for number in range(7)]

        results = await sender.send(alertmanager_payload(*alerts))
        keys = [each["alertKey"] for each in await list_events(client)]

    assert [each["duplicate"] for each in results] == [False] * 7
    assert keys == [f"f{number}" for number in range(7)]


async def test_the_rate_of_a_source_is_limited(serve: Any, database_url: str) -> None:
    async with serve(database_url, requests={"points_per_minute": 3}) as client:
        sender = await create_sender(client, "ALERTMANAGER")
        alerts = [ALERT | {"fingerprint": f"f{number}"} for number in range(4)]
        payload = json.dumps(alertmanager_payload(*alerts)).encode()

        accepted = await sender.post(payload)
        refused = await sender.post(json.dumps(alertmanager_payload(ALERT)).encode())
        count = (await client.execute_field("{ events { totalCount } }"))["totalCount"]

    assert (accepted.status_code, refused.status_code) == (202, 429)
    assert refused.json()["code"] == "LIMIT_EXCEEDED"
    assert int(refused.headers["retry-after"]) >= 1
    assert count == 4


async def test_requests_that_cannot_be_read_count_for_the_rate_limit(
    serve: Serve, database_url: str, database: Database
) -> None:
    key = await create_api_key(database, Permission.EVENT_CREATE)
    async with serve(database_url, requests={"points_per_minute": 1}) as client:
        sender = await create_sender(client, "ALERTMANAGER")
        reporter = client.as_key(key)

        payloads = [await sender.post(b"{") for _ in range(2)]
        cloud_events = [
            await reporter.http.post(
                "/cloudevents",
                content=b"{",
                headers={"content-type": "application/cloudevents+json"},
            )
            for _ in range(2)
        ]

    for responses in (payloads, cloud_events):
        assert [each.status_code for each in responses] == [400, 429]


async def test_words_of_other_systems_are_severities_and_a_setting_takes_precedence(
    serve: Any, database_url: str
) -> None:
    words = {
        "critical": "ERROR",
        " Fatal ": "ERROR",
        "page": "ERROR",
        "emergency": "ERROR",
        "warning": "WARN",
        "medium": "WARN",
        "none": "INFO",
        "P1": "ERROR",
        "high": "WARN",
        "odd": "INFO",
    }
    alerts = [
        ALERT | {"fingerprint": word, "labels": ALERT["labels"] | {"severity": word}}
        for word in words
    ]
    async with serve(database_url, severity_map="p1=error,high=warn") as client:
        sender = await create_sender(client, "ALERTMANAGER")
        results = await sender.send(alertmanager_payload(*alerts))
        events = await list_events(client)

    assert {each["alertKey"]: each["severity"] for each in events} == words
    warnings = [[warning["code"] for warning in each["warnings"]] for each in results]
    assert warnings == [*[[]] * 9, ["SEVERITY_UNKNOWN"]]
