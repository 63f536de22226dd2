"""Counted duplicates that are more severe than their original, or ask to notify when it did not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import Client, build_log_mutations
from tests.cloudevent_client import cloud_event, send_binary, send_structured
from tests.conftest import Serve
from tests.factories import create_api_key

CREATE_RULE = """mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) { duplicationRule { id } userErrors { code } } }"""
UPDATE_RULE = """mutation ($input: UpdateDuplicationRuleInput!) {
  updateDuplicationRule(input: $input) { userErrors { code } } }"""
MATCH_COUNTS = "{ duplicationRules { nodes { matchCount } } }"
EVENT = """id severity severityText notification acknowledged acknowledgedAt acknowledgedBy
  acknowledgementNote occurrences version recordedAt updatedAt"""
RESULT = f"event {{ {EVENT} }} duplicate userErrors {{ code path }}"
LOG, LOG_MANY, LOG_CONTAINER, INGEST = build_log_mutations(RESULT)
CHECK = """query ($input: LogEventInput!) {
  checkEvent(input: $input) { accepted duplicateOf { id severity } } }"""
UPDATE = """mutation ($input: UpdateEventInput!) {
  updateEvent(input: $input) { event { version } userErrors { code path } } }"""
ACKNOWLEDGE = """mutation ($id: ID!) {
  acknowledgeEvent(id: $id, note: "Seen") { event { acknowledged } userErrors { code } } }"""
ACKNOWLEDGE_UP_TO = """mutation ($upTo: String!) {
  acknowledgeEvents(upTo: $upTo) { acknowledgedCount userErrors { code } } }"""
BELL = "{ notifications { unacknowledgedCount edges { cursor node { id severity } } } }"
HISTORY = """query ($id: ID!) { event(id: $id) {
  history(first: 100) { nodes { kind actor changes } } } }"""
ADDED = """subscription ($filter: EventFilter, $after: String) {
  notificationAdded(filter: $filter, after: $after) {
    cursor node { id severity acknowledged } } }"""
CHANGED = """subscription ($filter: EventFilter, $after: String) {
  eventChanged(filter: $filter, after: $after) { kind eventId changes } }"""
HEAD = "{ logHead }"
NOON = "2026-04-10T12:00:00Z"
LATER = "2026-04-10T12:10:00.000000Z"
# With the source, the type and the time of the events below.
PUMP = {"type": "note", "source": "/wells", "occurredAt": NOON}
WARNING = PUMP | {"severity": "warn", "notification": True}
FAILURE = PUMP | {"severity": "error", "notification": True, "occurredAt": LATER}


async def create_rule(client: Client, *fingerprint: str, **overrides: Any) -> str:
    rule = {"name": "r", "fingerprint": fingerprint or ["type"], "window": "PT1H"}
    payload = await client.execute_field(CREATE_RULE, input=rule | {"action": "COUNT"} | overrides)
    assert payload["userErrors"] == []
    return str(payload["duplicationRule"]["id"])


async def log_event(client: Client, report: dict[str, Any], **overrides: Any) -> Any:
    payload = await client.execute_field(LOG, input=report | overrides)
    assert payload["userErrors"] == []
    return payload["event"]


async def acknowledge(client: Client, event: Any) -> None:
    payload = await client.execute_field(ACKNOWLEDGE, id=event["id"])
    assert payload == {"event": {"acknowledged": True}, "userErrors": []}


async def acknowledge_up_to(client: Client, cursor: str) -> int:
    payload = await client.execute_field(ACKNOWLEDGE_UP_TO, upTo=cursor)
    assert payload["userErrors"] == []
    return int(payload["acknowledgedCount"])


async def fetch_event(client: Client, event: Any) -> Any:
    query = f"query ($id: ID!) {{ event(id: $id) {{ {EVENT} }} }}"
    return await client.execute_field(query, id=event["id"])


async def fetch_changes(client: Client, event: Any) -> list[Any]:
    """The change log entries of the event after the first."""
    history = (await client.execute_field(HISTORY, id=event["id"]))["history"]
    assert history["nodes"][0]["kind"] == "LOGGED"
    return list(history["nodes"][1:])


async def fetch_bell(client: Client) -> tuple[int, list[str]]:
    """The number of unacknowledged notifications, and the IDs of all, newest first."""
    bell = await client.execute_field(BELL)
    return bell["unacknowledgedCount"], [edge["node"]["id"] for edge in bell["edges"]]


async def log_acknowledged_warning(client: Client) -> tuple[Any, Any]:
    """Creates a rule. Returns an acknowledged event, and one of another type that is not."""
    await create_rule(client)
    warning = await log_event(client, WARNING)
    other = await log_event(client, WARNING, type="other")
    await acknowledge(client, warning)
    return warning, other


async def test_a_more_severe_duplicate_of_an_acknowledged_event_notifies_again(
    client: Client,
) -> None:
    warning, other = await log_acknowledged_warning(client)
    seen = await fetch_event(client, warning)
    head = await client.execute_field(HEAD)

    async with client.subscription(ADDED, after=head) as subscription:
        failure = await log_event(
            client, FAILURE, severity="Red", summary="Pump broken", content="Shaft", sourceId="7"
        )
        added = await subscription.receive_next()

    assert failure == warning | {
        "severity": "ERROR",
        "severityText": "Red",
        "occurrences": 2,
        "version": 2,
        "updatedAt": failure["updatedAt"],
    }
    assert failure["updatedAt"] > warning["updatedAt"]
    assert await fetch_event(client, warning) == failure
    assert added["node"] == {"id": warning["id"], "severity": "ERROR", "acknowledged": False}
    assert await fetch_bell(client) == (2, [warning["id"], other["id"]])
    [acknowledged, duplicated] = await fetch_changes(client, warning)
    assert acknowledged["kind"] == "ACKNOWLEDGED"
    assert duplicated == {
        "kind": "DUPLICATED",
        "actor": "administrator",
        "changes": {
            "severity": ["WARN", "ERROR"],
            "severityText": ["warn", "Red"],
            "occurrences": [1, 2],
            "lastOccurredAt": [None, LATER],
            "acknowledgedAt": [seen["acknowledgedAt"], None],
            "acknowledgedBy": ["administrator", None],
            "acknowledgementNote": ["Seen", None],
            "report": {
                "type": "note",
                "severity": "ERROR",
                "severityText": "Red",
                "summary": "Pump broken",
                "content": "Shaft",
                "source": "/wells",
                "sourceId": "7",
                "occurredAt": LATER,
                "fields": {},
                "tags": [],
                "notification": True,
            },
        },
    }
    assert (await client.execute_field(MATCH_COUNTS))["nodes"] == [{"matchCount": 1}]


async def test_a_more_severe_duplicate_that_does_not_notify_only_takes_back_the_acknowledgement(
    client: Client,
) -> None:
    warning, other = await log_acknowledged_warning(client)
    head = await client.execute_field(HEAD)

    failure = await log_event(client, FAILURE, notification=False)

    assert (failure["severity"], failure["acknowledged"], failure["version"]) == ("ERROR", False, 2)
    assert failure["notification"] is True
    assert await fetch_bell(client) == (2, [other["id"], warning["id"]])
    async with client.subscription(ADDED, after=head) as subscription:
        marker = await log_event(client, WARNING, type="marker")
        assert (await subscription.receive_next())["node"]["id"] == marker["id"]


@pytest.mark.parametrize("severity", ["warn", "info", "success", "critical", None])
async def test_a_duplicate_that_is_no_more_severe_leaves_a_notification_alone(
    client: Client, severity: str | None
) -> None:
    warning, other = await log_acknowledged_warning(client)
    seen = await fetch_event(client, warning)

    counted = await log_event(client, FAILURE, severity=severity, summary="Pump still loud")

    assert counted == seen | {"occurrences": 2}
    assert await fetch_bell(client) == (1, [other["id"], warning["id"]])
    [_, duplicated] = await fetch_changes(client, warning)
    assert duplicated["changes"].keys() == {"occurrences", "lastOccurredAt", "report"}
    report = duplicated["changes"]["report"]
    assert (report["summary"], report.get("severityText")) == ("Pump still loud", severity)


@pytest.mark.parametrize("escalate", [True, False])
@pytest.mark.parametrize("severity", ["warn", "success"])
async def test_a_duplicate_that_notifies_makes_an_event_that_did_not_a_notification(
    client: Client, escalate: bool, severity: str
) -> None:
    await create_rule(client, escalate=escalate)
    quiet = await log_event(client, WARNING, notification=False)
    other = await log_event(client, WARNING, type="other")
    head = await client.execute_field(HEAD)

    async with client.subscription(ADDED, after=head) as subscription:
        counted = await log_event(client, WARNING, severity=severity)
        added = await subscription.receive_next()
    await log_event(client, WARNING, severity=severity)

    assert counted == quiet | {"notification": True, "occurrences": 2}
    assert added["node"] == {"id": quiet["id"], "severity": "WARN", "acknowledged": False}
    assert await fetch_bell(client) == (2, [quiet["id"], other["id"]])
    first, second = await fetch_changes(client, quiet)
    assert first["changes"].keys() == {"occurrences", "lastOccurredAt", "notification", "report"}
    assert first["changes"]["notification"] == [False, True]
    assert second["changes"].keys() == {"occurrences", "report"}


async def test_an_event_that_was_taken_off_the_bell_notifies_again(client: Client) -> None:
    await create_rule(client)
    warning = await log_event(client, WARNING)
    await client.execute_field(UPDATE, input={"id": warning["id"], "notification": False})
    assert await fetch_bell(client) == (0, [])

    await log_event(client, WARNING)

    assert await fetch_bell(client) == (1, [warning["id"]])


async def test_a_rule_that_does_not_escalate_only_counts(client: Client) -> None:
    rule_id = await create_rule(client, escalate=False)
    warning = await log_event(client, WARNING)
    other = await log_event(client, WARNING, type="other")
    await acknowledge(client, warning)
    seen = await fetch_event(client, warning)

    counted = await log_event(client, FAILURE)

    assert counted == seen | {"occurrences": 2}
    assert await fetch_bell(client) == (1, [other["id"], warning["id"]])
    [_, duplicated] = await fetch_changes(client, warning)
    assert duplicated["changes"]["report"]["severity"] == "ERROR"

    await client.execute_field(UPDATE_RULE, input={"id": rule_id, "escalate": True})

    assert (await log_event(client, FAILURE))["severity"] == "ERROR"
    assert await fetch_bell(client) == (2, [warning["id"], other["id"]])


async def test_an_escalation_is_a_new_version_of_the_event(client: Client) -> None:
    await create_rule(client)
    warning = await log_event(client, WARNING)
    await log_event(client, FAILURE)
    attributes = {"id": warning["id"], "severity": "info"}

    refused = await client.execute_field(UPDATE, input=attributes | {"ifVersion": 1})
    accepted = await client.execute_field(UPDATE, input=attributes | {"ifVersion": 2})

    assert refused == {
        "event": None,
        "userErrors": [{"code": "CONFLICT", "path": ["input", "ifVersion"]}],
    }
    assert accepted == {"event": {"version": 3}, "userErrors": []}
    # It escalates from the severity that the event has now.
    assert (await log_event(client, WARNING))["severity"] == "WARN"


async def test_duplicates_of_one_list_escalate_step_by_step(client: Client) -> None:
    await create_rule(client)
    severities = ["success", "info", "info", "error", "warn", "error"]
    head = await client.execute_field(HEAD)

    payload = await client.execute_field(
        LOG_MANY, input=[WARNING | {"severity": severity} for severity in severities]
    )
    async with client.subscription(ADDED, after=head) as subscription:
        added = await subscription.receive_many(3)
        marker = await log_event(client, WARNING, type="marker")
        assert (await subscription.receive_next())["node"]["id"] == marker["id"]

    event = payload["results"][0]["event"]
    assert [result["event"] for result in payload["results"]] == [event] * 6
    assert (event["severity"], event["occurrences"], event["version"]) == ("ERROR", 6, 3)
    assert {each["node"]["id"] for each in added} == {event["id"]}
    assert await fetch_bell(client) == (2, [marker["id"], event["id"]])
    # It is listed where it last notified.
    assert await acknowledge_up_to(client, added[1]["cursor"]) == 0
    assert await acknowledge_up_to(client, added[2]["cursor"]) == 1
    entries = (await fetch_changes(client, event))[:5]
    assert [entry["changes"].get("severity") for entry in entries] == [
        *(["SUCCESS", "INFO"], None, ["INFO", "ERROR"], None, None)
    ]
    reported = [entry["changes"]["report"]["severity"] for entry in entries]
    assert reported == ["INFO", "INFO", "ERROR", "WARN", "ERROR"]


async def _log_one(client: Client) -> None:
    await log_event(client, FAILURE)


async def _log_list(client: Client) -> None:
    await client.execute_field(LOG_MANY, input=[FAILURE, PUMP | {"type": "other"}])


async def _ingest(client: Client) -> None:
    payload = await client.execute_field(INGEST, events=[FAILED])
    assert payload["results"][0]["duplicate"] is True


async def _post_one(client: Client) -> None:
    assert (await send_structured(client, FAILED)).status_code == 202


async def _post_batch(client: Client) -> None:
    assert (await send_structured(client, [FAILED])).status_code == 202


async def _post_binary(client: Client) -> None:
    answer = await send_binary(
        client, ce_severitytext="FATAL", ce_notification="true", ce_time=NOON
    )
    assert answer.status_code == 202


FAILED = cloud_event(severitytext="FATAL", notification=True, time=NOON)


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (_log_one, "error"),
        (_log_list, "error"),
        (_ingest, "FATAL"),
        (_post_one, "FATAL"),
        (_post_batch, "FATAL"),
        (_post_binary, "FATAL"),
    ],
)
async def test_every_way_to_report_an_event_escalates(
    client: Client, report: Callable[[Client], Awaitable[None]], text: str
) -> None:
    await create_rule(client)
    warning = await log_event(client, WARNING)
    other = await log_event(client, WARNING, type="third")
    await acknowledge(client, warning)

    await report(client)

    event = await fetch_event(client, warning)
    assert (event["severity"], event["severityText"]) == ("ERROR", text)
    assert (event["acknowledged"], event["occurrences"], event["version"]) == (False, 2, 2)
    assert await fetch_bell(client) == (2, [warning["id"], other["id"]])
    assert [entry["kind"] for entry in await fetch_changes(client, warning)] == [
        "ACKNOWLEDGED",
        "DUPLICATED",
    ]


async def test_container_events_escalate(client: Client) -> None:
    await create_rule(client)
    access = {"eventType": "ACCESS", "timestamp": NOON, "severity": "warn"}
    payload = await client.execute_field(LOG_CONTAINER, event=access)
    await acknowledge(client, payload["event"])

    failed = await client.execute_field(LOG_CONTAINER, event=access | {"severity": "error"})

    assert failed["duplicate"] is True
    assert (failed["event"]["severity"], failed["event"]["acknowledged"]) == ("ERROR", False)


async def test_a_check_and_a_replay_escalate_nothing(client: Client) -> None:
    await create_rule(client)
    warning = await log_event(client, WARNING)
    failure = await log_event(client, FAILURE, sourceId="1")
    await acknowledge(client, warning)
    await client.execute_field(UPDATE, input={"id": warning["id"], "severity": "info"})
    before = await fetch_event(client, warning)

    check = await client.execute_field(CHECK, input=FAILURE)
    replay = await log_event(client, FAILURE, sourceId="1")

    assert check == {"accepted": True, "duplicateOf": {"id": warning["id"], "severity": "INFO"}}
    assert replay == before
    assert await fetch_event(client, warning) == before
    assert failure["severity"] == "ERROR"


async def test_a_reporter_that_may_not_read_escalates_and_sees_nothing(
    own_client: Client, database: Database
) -> None:
    await create_rule(own_client)
    warning = await log_event(own_client, WARNING)
    reporter = own_client.as_key(await create_api_key(database, Permission.EVENT_CREATE))

    payload = await reporter.execute_field(LOG, input=FAILURE)

    assert payload == {"event": None, "duplicate": True, "userErrors": []}
    assert (await fetch_event(own_client, warning))["severity"] == "ERROR"


async def test_filters_of_subscriptions_see_an_escalation(client: Client) -> None:
    await create_rule(client)
    head = await client.execute_field(HEAD)
    warning = await log_event(client, WARNING)
    await log_event(client, FAILURE)

    async def receive(query: str, severity: str, count: int) -> list[Any]:
        filter = {"severities": [severity]}
        async with client.subscription(query, filter=filter, after=head) as subscription:
            return await subscription.receive_many(count)

    errors = await receive(ADDED, "ERROR", 1)
    from_warnings = await receive(CHANGED, "WARN", 2)
    to_errors = await receive(CHANGED, "ERROR", 1)

    assert [each["node"]["id"] for each in errors] == [warning["id"]]
    assert [each["kind"] for each in from_warnings] == ["LOGGED", "DUPLICATED"]
    assert from_warnings[1:] == to_errors
    assert to_errors[0]["changes"]["report"]["severity"] == "ERROR"


async def test_acknowledging_what_was_seen_leaves_what_notified_again(client: Client) -> None:
    await create_rule(client)
    warning = await log_event(client, WARNING)
    await log_event(client, WARNING, type="other")
    seen = (await client.execute_field(BELL))["edges"][0]["cursor"]

    await log_event(client, FAILURE)

    assert await acknowledge_up_to(client, seen) == 1
    assert (await fetch_event(client, warning))["acknowledged"] is False


async def test_flagged_duplicates_keep_their_own_severity_and_notification(client: Client) -> None:
    await create_rule(client, action="FLAG")
    warning = await log_event(client, WARNING)
    await acknowledge(client, warning)
    seen = await fetch_event(client, warning)

    failure = await log_event(client, FAILURE)

    assert (failure["severity"], failure["acknowledged"]) == ("ERROR", False)
    assert await fetch_event(client, warning) == seen
    assert await fetch_bell(client) == (1, [failure["id"], warning["id"]])


async def test_reports_at_once_on_two_servers_end_with_the_highest_severity(
    own_client: Client, database_url: str, serve: Serve
) -> None:
    severities = ["success", "info", "warn", "error"] * 8
    await create_rule(own_client)
    head = await own_client.execute_field(HEAD)

    async with serve(database_url) as elsewhere:
        clients = [own_client, elsewhere]
        events = await asyncio.gather(
            *(
                log_event(clients[number // 4 % 2], WARNING, severity=severity)
                for number, severity in enumerate(severities)
            )
        )
        marker = await log_event(elsewhere, WARNING, type="marker")
    async with own_client.subscription(ADDED, after=head) as subscription:
        added = [await subscription.receive_next()]
        while added[-1]["node"]["id"] != marker["id"]:
            added.append(await subscription.receive_next())

    [event_id] = {event["id"] for event in events}
    event = await fetch_event(own_client, {"id": event_id})
    assert (event["severity"], event["occurrences"]) == ("ERROR", len(severities))
    entries = await fetch_changes(own_client, event)
    reported = Counter(entry["changes"]["report"]["severity"] for entry in entries)
    assert sum(reported.values()) == len(severities) - 1
    escalations = [entry for entry in entries if "severity" in entry["changes"]]
    assert event["version"] == 1 + len(escalations)
    # It notified when it was logged and at each escalation, and is listed where it last did.
    assert [each["node"]["id"] for each in added[:-1]] == [event_id] * (1 + len(escalations))
    assert await fetch_bell(own_client) == (2, [marker["id"], event_id])
    cursors = [head, *(each["cursor"] for each in added)]
    assert await acknowledge_up_to(own_client, cursors[-3]) == 0
    assert await acknowledge_up_to(own_client, cursors[-2]) == 1
    match_counts = (await own_client.execute_field(MATCH_COUNTS))["nodes"]
    assert match_counts == [{"matchCount": len(severities) - 1}]
