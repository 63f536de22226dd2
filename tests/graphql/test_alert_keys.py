"""Alert keys: repeats of an unresolved event, and reports that resolve it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app.domain.access.caller import Permission
from app.services.events.alert_keys import remove_unused_keys
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client
from tests.factories import create_api_key

RESULT = """
event { id status alertKey severity occurrences resolvedAt resolvedBy resolutionNote }
duplicate warnings { code path } userErrors { code path }
"""
LOG = f"mutation ($input: LogEventInput!) {{ logEvent(input: $input) {{ {RESULT} }} }}"
LOG_MESSAGE = """
mutation ($input: LogEventInput!) {
  logEvent(input: $input) { event { id } duplicate warnings { code path message } }
}
"""
LOG_MANY = f"""
mutation ($input: [LogEventInput!]!) {{
  logEvents(input: $input) {{ accepted duplicates rejected results {{ {RESULT} }} }}
}}
"""
CHECK = """
query ($input: LogEventInput!) {
  checkEvent(input: $input) { accepted duplicateOf { id } userErrors { code path } }
}
"""
LIST = """
query ($filter: EventFilter) { events(filter: $filter) { totalCount nodes { id status } } }
"""
OPEN_KEYS = """
{ events(first: 100, filter: { statuses: [OPEN, ACKNOWLEDGED] }) { nodes { alertKey } } }
"""
RESOLVE = "mutation ($id: ID!) { resolveEvent(id: $id) { userErrors { code } } }"
REOPEN = """
mutation ($id: ID!) {
  reopenEvent(id: $id) { event { id status } userErrors { code path message } }
}
"""
MOVE = """
mutation ($id: ID!, $at: DateTime!) {
  updateEvent(input: { id: $id, occurredAt: $at }) { userErrors { code } }
}
"""
NOTIFY = """
mutation ($id: ID!) { updateEvent(input: { id: $id, notification: true }) { userErrors { code } } }
"""
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }"
HISTORY = "query ($id: ID!) { event(id: $id) { history { nodes { kind actor } } } }"
ADDED = """
subscription ($after: String) { notificationAdded(after: $after) { node { id } } }
"""
HEAD = "{ logHead }"
DISK = {"source": "/host-1", "alertKey": "disk-full", "type": "disk"}
OVER = {"source": "/host-1", "alertKey": "disk-full", "resolved": True}
TYPE = """
mutation {
  createEventType(input: { name: "Disk", type: "disk", state: PUBLISHED, fields: [
    { name: "path", kind: TEXT, required: true }
  ] }) { eventType { id } userErrors { code } }
}
"""
ARCHIVE = """
mutation ($id: ID!) { transitionEventType(id: $id, to: ARCHIVED) { userErrors { code } } }
"""
RULE = """
mutation {
  createDuplicationRule(input: {
    name: "r", fingerprint: ["type"], window: "PT1H", action: REJECT
  }) { userErrors { code } }
}
"""
NOTHING = {"code": "NOT_FOUND", "path": ["input", "alertKey"]}


async def log(client: Client, report: dict[str, Any], **more: Any) -> Any:
    payload = await client.execute_field(LOG, input=report | more)
    assert payload["userErrors"] == []
    return payload


async def list_events(client: Client, **filter: Any) -> list[Any]:
    return list((await client.execute_field(LIST, filter=filter))["nodes"])


async def test_a_report_with_the_key_of_an_unresolved_event_is_a_repeat_of_it(
    client: Client,
) -> None:
    first = await log(client, DISK, severity="warn", occurredAt="2026-01-01T00:00:00Z")

    repeat = await log(client, DISK, severity="error")
    other_key = await log(client, DISK, alertKey="disk-slow")
    other_source = await log(client, DISK, source="/host-2")

    assert (first["duplicate"], repeat["duplicate"]) == (False, True)
    assert (first["event"]["status"], first["event"]["alertKey"]) == ("OPEN", "disk-full")
    assert repeat["event"] == first["event"] | {"severity": "ERROR", "occurrences": 2}
    assert [each["duplicate"] for each in (other_key, other_source)] == [False, False]
    assert len(await list_events(client, alertKey="disk-full")) == 2
    assert len(await list_events(client, statuses=["OPEN"])) == 3
    assert await list_events(client, missing=["ALERT_KEY"]) == []


async def test_a_reported_resolution_resolves_the_event_and_the_next_report_is_a_new_event(
    client: Client,
) -> None:
    first = (await log(client, DISK))["event"]

    over = await log(client, OVER, summary="90 % free", occurredAt="2026-04-10T00:00:00Z")
    again = await log(client, DISK)

    assert over == {
        "event": first
        | {
            "status": "RESOLVED",
            "resolvedAt": "2026-04-10T00:00:00.000000Z",
            "resolvedBy": "administrator",
            "resolutionNote": "90 % free",
        },
        "duplicate": True,
        "warnings": [],
        "userErrors": [],
    }
    assert again["duplicate"] is False
    assert again["event"]["id"] != first["id"]
    history = (await client.execute_field(HISTORY, id=first["id"]))["history"]["nodes"]
    assert [node["kind"] for node in history] == ["LOGGED", "RESOLVED"]


async def test_a_list_of_reports_opens_and_resolves_in_its_order(client: Client) -> None:
    before = (await log(client, DISK))["event"]["id"]

    reply = await client.execute_field(LOG_MANY, input=[OVER, DISK, DISK, OVER, DISK, OVER, OVER])

    assert (reply["accepted"], reply["duplicates"], reply["rejected"]) == (2, 5, 0)
    ids = [result["event"] and result["event"]["id"] for result in reply["results"]]
    assert ids[0] == before
    assert ids[1] == ids[2] == ids[3]
    assert ids[4] == ids[5]
    assert ids[6] is None
    assert len({before, ids[1], ids[4]}) == 3
    assert [event["status"] for event in await list_events(client)] == ["RESOLVED"] * 3


async def test_a_report_that_arrives_after_its_resolution_is_stored_as_resolved(
    client: Client,
) -> None:
    head = await client.execute_field(HEAD)
    over = await log(client, OVER, occurredAt="2026-04-10T12:00:00Z", summary="90 % free")

    late = await log(client, DISK, occurredAt="2026-04-10T12:00:00Z", notification=True)
    later = await log(client, DISK, occurredAt="2026-04-10T12:00:01Z", notification=True)

    assert (over["event"], over["duplicate"], over["warnings"]) == (None, True, [NOTHING])
    assert (late["event"]["status"], late["duplicate"]) == ("RESOLVED", False)
    assert late["event"]["resolvedAt"] == "2026-04-10T12:00:00.000000Z"
    assert (late["event"]["resolvedBy"], late["event"]["resolutionNote"]) == (
        "administrator",
        "90 % free",
    )
    assert (later["event"]["status"], later["duplicate"]) == ("OPEN", False)
    async with client.subscription(ADDED, after=head) as subscription:
        assert await subscription.receive_next() == {"node": {"id": later["event"]["id"]}}


@pytest.mark.parametrize("at", [None, "2026-04-10T12:00:00Z"])
async def test_a_resolution_resolves_an_earlier_report_with_and_without_a_time(
    client: Client, at: str | None
) -> None:
    first = (await log(client, DISK, occurredAt=at))["event"]["id"]
    second = (await log(client, DISK, alertKey="disk-slow", occurredAt=at))["event"]["id"]

    undated = await log(client, OVER)
    dated = await log(client, OVER, alertKey="disk-slow", occurredAt="2026-04-10T12:00:00Z")

    assert (undated["event"]["id"], undated["event"]["status"]) == (first, "RESOLVED")
    assert (dated["event"]["id"], dated["event"]["status"]) == (second, "RESOLVED")
    assert (undated["warnings"], dated["warnings"]) == ([], [])


@pytest.mark.parametrize(
    ("resolved_at", "occurred_at"),
    [
        (None, None),
        (None, "2026-04-10T12:00:00Z"),
        ("2026-04-10T12:00:00Z", None),
        ("2026-04-10T12:00:00Z", "2026-04-10T12:00:01Z"),
    ],
)
async def test_a_report_is_open_unless_a_resolution_with_a_time_is_not_earlier_than_its_own(
    client: Client, resolved_at: str | None, occurred_at: str | None
) -> None:
    over = await log(client, OVER, occurredAt=resolved_at)

    firing = await log(client, DISK, occurredAt=occurred_at)

    assert over["warnings"] == [NOTHING]
    assert (firing["event"]["status"], firing["duplicate"]) == ("OPEN", False)


async def test_a_resolution_of_a_clock_that_is_ahead_is_remembered_as_of_its_arrival(
    client: Client,
) -> None:
    ahead = [datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (200, 100)]
    resolved_at, occurred_at = [at.isoformat() for at in ahead]
    first = (await log(client, DISK, source="/host-2"))["event"]["id"]

    over = await log(client, OVER, source="/host-2", occurredAt=resolved_at)
    await log(client, OVER, occurredAt=resolved_at)
    firing = await log(client, DISK, occurredAt=occurred_at)

    assert over["event"]["id"] == first
    assert datetime.fromisoformat(over["event"]["resolvedAt"]) < ahead[1]
    assert firing["event"]["status"] == "OPEN"


async def test_an_earlier_resolution_does_not_replace_a_later_one_that_is_remembered(
    client: Client,
) -> None:
    await log(client, OVER, occurredAt="2026-04-10T12:05:00Z", summary="second")
    await log(client, OVER, occurredAt="2026-04-10T12:00:00Z", summary="first")

    late = await log(client, DISK, occurredAt="2026-04-10T12:03:00Z")

    assert (late["event"]["status"], late["event"]["resolutionNote"]) == ("RESOLVED", "second")


async def test_a_resolution_of_an_earlier_time_leaves_an_alert_open_that_occurred_later(
    client: Client,
) -> None:
    first = (await log(client, DISK, occurredAt="2026-04-10T12:00:00Z"))["event"]
    await log(client, DISK, occurredAt="2026-04-10T12:10:00Z")

    late = await client.execute_field(
        LOG_MESSAGE, input=OVER | {"occurredAt": "2026-04-10T12:05:00Z"}
    )
    still_open = await list_events(client)
    equal = await log(client, OVER, occurredAt="2026-04-10T12:10:00Z")

    message = (
        f"There is nothing to resolve: event {first['id']} occurred again at "
        "2026-04-10T12:10:00.000000Z, after the reported resolution. Report the resolution with a "
        "later occurredAt, or without one."
    )
    warning = {"code": "NOT_FOUND", "path": ["input", "alertKey"], "message": message}
    assert late == {"event": None, "duplicate": True, "warnings": [warning]}
    assert still_open == [{"id": first["id"], "status": "OPEN"}]
    assert (equal["event"]["id"], equal["event"]["status"]) == (first["id"], "RESOLVED")


async def test_a_late_resolution_is_compared_with_the_reports_that_had_a_time_in_any_order(
    client: Client,
) -> None:
    minutes = [f"2026-04-10T12:{number}0:00Z" for number in range(3)]
    late, between, end = [OVER | {"occurredAt": at} for at in minutes]
    dated, later = [DISK | {"occurredAt": at} for at in minutes[::2]]
    cases: dict[str, tuple[list[dict[str, Any]], str]] = {
        "undated, later": ([DISK, later, between], "OPEN"),
        "undated, later, earlier": ([DISK, later, dated, between], "OPEN"),
        "undated, later, ended": ([DISK, later, end], "RESOLVED"),
        "dated, undated": ([dated, DISK, between], "RESOLVED"),
        "dated, undated, late": ([dated | {"occurredAt": minutes[1]}, DISK, late], "OPEN"),
        "dated, undated, later": ([dated, DISK, later, between], "OPEN"),
    }
    steps = max(len(reports) for reports, _ in cases.values())

    # In one transaction, and each in one of its own.
    for name, (reports, _) in cases.items():
        batch = [each | {"source": "/batch", "alertKey": name} for each in reports]
        await client.execute_field(LOG_MANY, input=batch)
    for step in range(steps):
        reports_of_step = [
            reports[step] | {"alertKey": name}
            for name, (reports, _) in cases.items()
            if step < len(reports)
        ]
        await client.execute_field(LOG_MANY, input=reports_of_step)

    for name, (_, status) in cases.items():
        events = await list_events(client, alertKey=name)
        assert [event["status"] for event in events] == [status] * 2, name


async def test_the_time_of_reports_still_counts_when_an_event_was_changed_and_reopened(
    client: Client,
) -> None:
    event_id = (await log(client, DISK, occurredAt="2026-04-10T12:10:00Z"))["event"]["id"]
    await client.execute_field(MOVE, id=event_id, at="2026-04-10T11:00:00Z")
    await client.execute_field(RESOLVE, id=event_id)
    await client.execute_field(REOPEN, id=event_id)

    late = await log(client, OVER, occurredAt="2026-04-10T12:05:00Z")
    over = await log(client, OVER, occurredAt="2026-04-10T12:15:00Z")

    assert (late["event"], late["warnings"]) == (None, [NOTHING])
    assert (over["event"]["id"], over["event"]["status"]) == (event_id, "RESOLVED")


async def test_a_late_resolution_leaves_an_alert_open_that_an_older_version_has_stored(
    own_client: Client, database: Database
) -> None:
    await log(own_client, DISK, occurredAt="2026-04-10T12:10:00Z")
    undated = (await log(own_client, DISK, source="/host-2"))["event"]["id"]
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(update(tables.Event).values(reported_at=None))
    at = {"occurredAt": "2026-04-10T12:05:00Z"}

    late = await log(own_client, OVER, **at)
    over = await log(own_client, OVER, source="/host-2", **at)

    assert (late["event"], late["warnings"]) == (None, [NOTHING])
    assert (over["event"]["id"], over["event"]["status"]) == (undated, "RESOLVED")


async def test_alerts_are_open_in_the_end_if_their_last_report_by_time_is_not_a_resolution(
    client: Client,
) -> None:
    times = [f"2026-04-10T12:0{number}:00Z" for number in range(4)]
    orders = list(itertools.permutations(range(4)))
    alternating: list[list[dict[str, Any]]] = [[DISK, OVER, DISK, OVER], [OVER, DISK, OVER, DISK]]

    for step in range(4):
        reports = [
            kinds[order[step]] | {"alertKey": f"{order} {end}", "occurredAt": times[order[step]]}
            for order in orders
            for end, kinds in zip(("resolved", "open"), alternating, strict=True)
        ]
        reply = await client.execute_field(LOG_MANY, input=reports)
        assert reply["rejected"] == 0

    nodes = (await client.execute_field(OPEN_KEYS))["nodes"]
    assert sorted(node["alertKey"] for node in nodes) == sorted(f"{each} open" for each in orders)


async def test_a_resolution_of_a_clock_that_is_ahead_resolves_what_the_same_clock_reported(
    client: Client,
) -> None:
    ahead = [datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (100, 200)]
    occurred_at, resolved_at = [at.isoformat() for at in ahead]
    first = (await log(client, DISK, occurredAt=occurred_at))["event"]["id"]

    over = await log(client, OVER, occurredAt=resolved_at)

    assert (over["event"]["id"], over["event"]["status"]) == (first, "RESOLVED")


async def test_a_resolution_with_a_time_that_is_sent_again_leaves_a_newer_or_reopened_alert_open(
    client: Client,
) -> None:
    reopened = (await log(client, DISK, source="/host-2"))["event"]["id"]
    end = OVER | {"occurredAt": "2026-04-10T12:00:00Z"}
    await log(client, DISK)
    for source in ("/host-1", "/host-2"):
        await log(client, end, source=source)
    newer = (await log(client, DISK))["event"]["id"]
    await client.execute_field(REOPEN, id=reopened)

    again = [await log(client, end, source=source) for source in ("/host-1", "/host-2")]
    opened = await list_events(client, statuses=["OPEN"])
    over = await log(client, end, occurredAt="2026-04-10T12:00:01Z")

    assert [each["warnings"] for each in again] == [[NOTHING], [NOTHING]]
    assert sorted(event["id"] for event in opened) == sorted([newer, reopened])
    assert (over["event"]["id"], over["event"]["status"]) == (newer, "RESOLVED")


async def test_a_resolution_needs_no_fields_and_no_open_type_and_ignores_duplication_rules(
    client: Client,
) -> None:
    definition = await client.execute_field(TYPE)
    await client.execute_field(RULE)
    first = (await log(client, DISK, fields={"path": "/var"}))["event"]["id"]
    other = (await log(client, DISK, fields={"path": "/tmp"}, alertKey="tmp"))["event"]["id"]
    await client.execute_data(ARCHIVE, id=definition["eventType"]["id"])

    unused = {"type": "disk", "eventTypeId": "none", "fields": 1, "tags": [""], "severity": "?"}
    over = await log(client, OVER | unused, content="x" * 100_000, entity={"type": "", "id": ""})

    assert (over["event"]["id"], over["event"]["status"]) == (first, "RESOLVED")
    assert [event["id"] for event in await list_events(client, statuses=["OPEN"])] == [other]


async def test_a_repeated_resolution_with_its_source_id_is_a_replay(client: Client) -> None:
    first = (await log(client, DISK, sourceId="1", resolved=False))["event"]["id"]
    replay = await log(client, DISK, sourceId="1")
    over = await log(client, OVER, sourceId="2")
    again = (await log(client, DISK, sourceId="3"))["event"]

    replayed = await log(client, OVER, sourceId="2")

    assert replay["event"]["id"] == over["event"]["id"] == replayed["event"]["id"] == first
    assert [event["id"] for event in await list_events(client, statuses=["OPEN"])] == [again["id"]]


async def test_a_repeated_resolution_of_nothing_does_not_resolve_a_later_event(
    client: Client,
) -> None:
    over = await log(client, OVER, sourceId="1")
    later = (await log(client, DISK))["event"]

    replayed = await log(client, OVER, sourceId="1")

    assert (over["event"], over["duplicate"], over["warnings"]) == (None, True, [NOTHING])
    assert (replayed["event"], replayed["duplicate"]) == (None, True)
    assert await list_events(client) == [{"id": later["id"], "status": "OPEN"}]


async def test_an_event_is_not_reopened_beside_an_unresolved_one_with_its_key(
    client: Client,
) -> None:
    first = (await log(client, DISK))["event"]["id"]
    await client.execute_field(RESOLVE, id=first)
    second = (await log(client, DISK))["event"]["id"]

    refused = await client.execute_field(REOPEN, id=first)
    await client.execute_field(DELETE, id=second)
    reopened = await client.execute_field(REOPEN, id=first)

    [error] = refused["userErrors"]
    assert (refused["event"], error["code"], error["path"]) == (None, "CONFLICT", ["id"])
    assert second in error["message"]
    assert reopened == {"event": {"id": first, "status": "OPEN"}, "userErrors": []}
    assert (await log(client, DISK))["event"]["id"] == first


@pytest.mark.parametrize(
    ("report", "path"),
    [
        ({"resolved": True}, ["input", "alertKey"]),
        ({"alertKey": ""}, ["input", "alertKey"]),
        ({"alertKey": "x" * 256}, ["input", "alertKey"]),
        ({"resolved": True, "alertKey": "a", "summary": "x" * 1_001}, ["input", "summary"]),
        ({"resolved": True, "alertKey": "a", "source": ""}, ["input", "source"]),
        ({"resolved": True, "alertKey": "a", "sourceId": ""}, ["input", "sourceId"]),
        (
            {"resolved": True, "alertKey": "a", "occurredAt": "9999-01-01T00:00:00Z"},
            ["input", "occurredAt"],
        ),
    ],
)
async def test_an_invalid_alert_key_or_resolution_is_rejected(
    client: Client, report: dict[str, Any], path: list[str]
) -> None:
    payload = await client.execute_field(LOG, input=report)

    assert payload["userErrors"] == [{"code": "INVALID_INPUT", "path": path}]
    assert (payload["event"], await list_events(client)) == (None, [])


async def test_a_dry_run_finds_the_unresolved_event_and_stores_nothing(client: Client) -> None:
    first = (await log(client, DISK))["event"]

    repeat = await client.execute_field(CHECK, input=DISK)
    over = await client.execute_field(CHECK, input=OVER)
    nothing = await client.execute_field(CHECK, input=OVER | {"alertKey": "disk-slow"})

    assert repeat == {"accepted": True, "duplicateOf": {"id": first["id"]}, "userErrors": []}
    assert over == repeat
    assert nothing == {"accepted": True, "duplicateOf": None, "userErrors": []}
    assert await list_events(client) == [{"id": first["id"], "status": "OPEN"}]


async def test_without_event_update_a_resolution_reaches_only_what_the_caller_reported(
    own_client: Client, database: Database
) -> None:
    reporter, other = [
        own_client.as_key(await create_api_key(database, Permission.EVENT_CREATE)) for _ in "ab"
    ]
    event_id = (await log(reporter, DISK))["event"]["id"]
    missed = await log(other, OVER)
    untouched = await list_events(own_client)

    late = await log(own_client, DISK, source="/host-2", occurredAt="2026-01-01T00:00:00Z")
    await log(other, OVER, source="/host-3")
    not_hidden = await log(own_client, DISK, source="/host-3", occurredAt="2026-01-01T00:00:00Z")
    own = await log(reporter, OVER)

    assert (missed["event"], missed["warnings"]) == (None, [NOTHING])
    assert untouched == [{"id": event_id, "status": "OPEN"}]
    assert late["event"]["status"] == not_hidden["event"]["status"] == "OPEN"
    assert (own["warnings"], own["duplicate"]) == ([], True)
    resolved = await list_events(own_client, statuses=["RESOLVED"])
    assert [event["id"] for event in resolved] == [event_id]


async def test_a_late_report_is_resolved_by_the_latest_resolution_that_applies_to_it(
    own_client: Client, database: Database
) -> None:
    one, other = [
        own_client.as_key(await create_api_key(database, Permission.EVENT_CREATE)) for _ in "ab"
    ]
    await log(one, OVER, occurredAt="2026-04-10T12:05:00Z", summary="of one")
    await log(own_client, OVER, occurredAt="2026-04-10T12:03:00Z", summary="of all")
    await log(other, OVER, occurredAt="2026-04-10T12:09:00Z", summary="of the other")

    await log(one, DISK, occurredAt="2026-04-10T12:04:00Z")
    await log(one, DISK, occurredAt="2026-04-10T12:03:00Z")
    await log(own_client, DISK, occurredAt="2026-04-10T12:03:00Z")
    await log(other, DISK, occurredAt="2026-04-10T12:09:00Z")
    resolved = await list_events(own_client)
    await log(own_client, DISK, occurredAt="2026-04-10T12:04:00Z")

    by_time = "query { events { nodes { status resolutionNote } } }"
    events = (await own_client.execute_field(by_time))["nodes"]
    assert [event["status"] for event in resolved] == ["RESOLVED"] * 4
    assert events == [
        {"status": "RESOLVED", "resolutionNote": "of the other"},
        {"status": "OPEN", "resolutionNote": None},
        {"status": "RESOLVED", "resolutionNote": "of one"},
        {"status": "RESOLVED", "resolutionNote": "of all"},
        {"status": "RESOLVED", "resolutionNote": "of one"},
    ]


async def test_a_reopened_event_is_resolved_without_event_update_only_by_its_reporter(
    own_client: Client, database: Database
) -> None:
    reporter, other = [
        own_client.as_key(await create_api_key(database, Permission.EVENT_CREATE)) for _ in "ab"
    ]
    first = (await log(reporter, DISK))["event"]["id"]
    await log(reporter, OVER)
    second = (await log(other, DISK))["event"]["id"]
    await own_client.execute_field(DELETE, id=second)
    await own_client.execute_field(REOPEN, id=first)

    by_other = await log(other, OVER)
    open_events = await list_events(own_client)
    by_reporter = await log(reporter, OVER)

    assert (by_other["warnings"], by_reporter["warnings"]) == ([NOTHING], [])
    assert open_events == [{"id": first, "status": "OPEN"}]
    assert await list_events(own_client) == [{"id": first, "status": "RESOLVED"}]


async def test_equal_alert_keys_of_two_organizations_are_independent(
    own_client: Client, database: Database
) -> None:
    foreign_client = own_client.as_key(
        await create_api_key(database, *Permission, organization="other")
    )
    own = (await log(own_client, DISK))["event"]["id"]

    missed = await log(foreign_client, OVER)
    foreign = await log(foreign_client, DISK)
    over = await log(foreign_client, OVER)

    assert (missed["event"], missed["warnings"]) == (None, [NOTHING])
    assert (foreign["duplicate"], over["event"]["id"]) == (False, foreign["event"]["id"])
    assert await list_events(own_client) == [{"id": own, "status": "OPEN"}]
    assert await list_events(foreign_client) == [
        {"id": foreign["event"]["id"], "status": "RESOLVED"}
    ]


async def test_a_resolved_event_that_becomes_a_notification_does_not_notify_until_it_is_reopened(
    client: Client,
) -> None:
    event_id = (await log(client, DISK))["event"]["id"]
    await log(client, OVER)
    head = await client.execute_field(HEAD)

    await client.execute_field(NOTIFY, id=event_id)
    before = await client.execute_field("{ notifications { totalCount } }")
    await client.execute_field(REOPEN, id=event_id)

    after = await client.execute_field("{ notifications { totalCount } }")
    assert (before["totalCount"], after["totalCount"]) == (0, 1)
    async with client.subscription(ADDED, after=head) as subscription:
        assert await subscription.receive_next() == {"node": {"id": event_id}}
        other = await client.log_event(notification=True)
        assert await subscription.receive_next() == {"node": {"id": other["id"]}}


async def test_resolutions_no_longer_apply_after_a_day_and_events_keep_their_keys(
    own_client: Client, database: Database
) -> None:
    await log(own_client, OVER, occurredAt="2026-04-10T12:00:00Z")
    first = (await log(own_client, DISK, source="/host-2"))["event"]["id"]

    early = await remove_unused_keys(database, datetime.now(UTC) + timedelta(hours=23, minutes=59))
    removed = await remove_unused_keys(database, datetime.now(UTC) + timedelta(hours=24, minutes=1))

    late = await log(own_client, DISK, occurredAt="2026-04-10T12:00:00Z")
    repeat = await log(own_client, DISK, source="/host-2")
    assert (early, removed) == (0, 2)
    assert late["event"]["status"] == "OPEN"
    assert (repeat["event"]["id"], repeat["duplicate"]) == (first, True)
