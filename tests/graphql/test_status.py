"""The status of events: resolving and reopening them, and filtering by status."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.client import Client
from tests.conftest import Serve

EVENT = """id status acknowledged resolvedAt resolvedBy resolutionNote version updatedAt"""
RESOLVE = f"""
mutation ($id: ID!, $note: String) {{
  resolveEvent(id: $id, note: $note) {{ event {{ {EVENT} }} userErrors {{ code path }} }}
}}
"""
REOPEN = f"""
mutation ($id: ID!) {{
  reopenEvent(id: $id) {{ event {{ {EVENT} }} userErrors {{ code path }} }}
}}
"""
RESOLVE_MANY = """
mutation ($ids: [ID!], $filter: EventFilter, $note: String) {
  resolveEvents(ids: $ids, filter: $filter, note: $note) {
    changedCount remainingCount userErrors { code path }
  }
}
"""
REOPEN_MANY = """
mutation ($ids: [ID!], $filter: EventFilter) {
  reopenEvents(ids: $ids, filter: $filter) {
    changedCount remainingCount userErrors { code path }
  }
}
"""
ACKNOWLEDGE = """
mutation ($id: ID!) { acknowledgeEvent(id: $id) { event { status } userErrors { code } } }
"""
READ = f"query ($id: ID!) {{ event(id: $id) {{ {EVENT} }} }}"
LIST = """
query ($filter: EventFilter) { events(filter: $filter) { totalCount nodes { summary status } } }
"""
BELL = """
query ($filter: EventFilter) {
  notifications(filter: $filter) { totalCount nodes { summary status } }
}
"""
SUMMARY = """
{ notificationSummary { openCount unreadCount bySeverity { severity count } } }
"""
HISTORY = """
query ($id: ID!) {
  event(id: $id) { history(first: 100) { nodes { kind actor changes changedFields } } }
}
"""
CHANGED = """
subscription ($filter: EventFilter, $after: String) {
  eventChanged(filter: $filter, after: $after) { kind transition changedFields event { status } }
}
"""
ADDED = """
subscription ($after: String) { notificationAdded(after: $after) { node { summary status } } }
"""
UPDATE = """
mutation ($input: UpdateEventInput!) {
  updateEvent(input: $input) { event { status } userErrors { code } }
}
"""
CREATE_RULE = """
mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) { userErrors { code } }
}
"""
LOG = """
mutation ($input: LogEventInput!) {
  logEvent(input: $input) { event { id occurrences } duplicate userErrors { code } }
}
"""
LOG_MANY = """
mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) { results { event { id status } } }
}
"""
HEAD = "{ logHead }"


async def notify(client: Client, summary: str, **overrides: Any) -> str:
    """Logs a notification. Returns its ID."""
    event = await client.log_event(summary=summary, notification=True, **overrides)
    return str(event["id"])


async def resolve(client: Client, event_id: str, note: str | None = None) -> Any:
    payload = await client.execute_field(RESOLVE, id=event_id, note=note)
    assert payload["userErrors"] == []
    return payload["event"]


async def list_summaries(client: Client, *statuses: str) -> list[str]:
    """The summaries of the events and notifications with one of the statuses, sorted."""
    condition = {"statuses": statuses}
    events = await client.execute_field(LIST, filter=condition)
    bell = await client.execute_field(BELL, filter=condition)
    summaries = sorted(node["summary"] for node in events["nodes"])
    assert summaries == sorted(node["summary"] for node in bell["nodes"])
    assert (events["totalCount"], bell["totalCount"]) == (len(summaries), len(summaries))
    return summaries


async def test_a_notification_is_open_then_acknowledged_then_resolved(client: Client) -> None:
    event_id = await notify(client, "pump")
    logged = await client.execute_field(READ, id=event_id)

    acknowledged = await client.execute_field(ACKNOWLEDGE, id=event_id)
    resolved = await resolve(client, event_id, "Bearing replaced")

    assert logged["status"] == "OPEN"
    assert acknowledged["event"]["status"] == "ACKNOWLEDGED"
    assert resolved == {
        "id": event_id,
        "status": "RESOLVED",
        "acknowledged": True,
        "resolvedAt": resolved["resolvedAt"],
        "resolvedBy": "administrator",
        "resolutionNote": "Bearing replaced",
        "version": 1,
        "updatedAt": logged["updatedAt"],
    }
    assert resolved["resolvedAt"] > logged["updatedAt"]
    assert await client.execute_field(READ, id=event_id) == resolved


async def test_an_event_that_is_no_notification_has_no_status(client: Client) -> None:
    event = await client.log_event(summary="study created")

    resolved = await resolve(client, event["id"])

    assert (resolved["status"], resolved["resolvedBy"]) == (None, "administrator")
    update = {"id": event["id"], "notification": True}
    updated = await client.execute_field(UPDATE, input=update)
    assert updated == {"event": {"status": "RESOLVED"}, "userErrors": []}


@pytest.mark.parametrize("action", ["COUNT", "FLAG"])
async def test_the_result_of_a_report_has_the_status_also_of_duplicates(
    client: Client, action: str
) -> None:
    rule = {"name": "r", "fingerprint": ["subject"], "window": "PT1H", "action": action}
    await client.execute_field(CREATE_RULE, input=rule)
    loud = {"subject": "pump", "notification": True}
    first = await client.execute_field(LOG_MANY, input=[loud, loud, {"notification": False}])
    event_id = first["results"][0]["event"]["id"]

    await client.execute_field(ACKNOWLEDGE, id=event_id)
    later = await client.execute_field(LOG_MANY, input=[loud, loud | {"acknowledged": True}])

    def list_statuses(payload: Any) -> list[str | None]:
        return [result["event"]["status"] for result in payload["results"]]

    assert list_statuses(first) == ["OPEN", "OPEN", None]
    counted, flagged = ["ACKNOWLEDGED", "ACKNOWLEDGED"], ["OPEN", "ACKNOWLEDGED"]
    assert list_statuses(later) == (counted if action == "COUNT" else flagged)


async def test_resolving_again_keeps_the_first_actor_time_and_note(client: Client) -> None:
    event_id = await notify(client, "pump")
    first = await resolve(client, event_id, "fixed")

    second = await resolve(client, event_id, "fixed by me")

    assert second == first
    history = (await client.execute_field(HISTORY, id=event_id))["history"]["nodes"]
    assert [node["kind"] for node in history] == ["LOGGED", "RESOLVED"]


async def test_acknowledging_a_resolved_event_leaves_it_resolved(client: Client) -> None:
    event_id = await notify(client, "pump")
    await resolve(client, event_id)

    acknowledged = await client.execute_field(ACKNOWLEDGE, id=event_id)

    assert acknowledged == {"event": {"status": "RESOLVED"}, "userErrors": []}
    assert (await client.execute_field(READ, id=event_id))["acknowledged"] is True


async def test_reopening_removes_the_resolution_and_keeps_the_acknowledgement(
    client: Client,
) -> None:
    seen, unseen = await notify(client, "seen"), await notify(client, "unseen")
    await client.execute_field(ACKNOWLEDGE, id=seen)
    for event_id in (seen, unseen):
        await resolve(client, event_id, "fixed")

    reopened = [await client.execute_field(REOPEN, id=event_id) for event_id in (seen, unseen)]
    again = await client.execute_field(REOPEN, id=unseen)

    events = [payload["event"] for payload in reopened]
    assert [event["status"] for event in events] == ["ACKNOWLEDGED", "OPEN"]
    for event in events:
        assert [event[name] for name in ("resolvedAt", "resolvedBy", "resolutionNote")] == [
            None
        ] * 3
    assert again == reopened[1]
    history = (await client.execute_field(HISTORY, id=unseen))["history"]["nodes"]
    assert [node["kind"] for node in history] == ["LOGGED", "RESOLVED", "REOPENED"]


async def test_a_reopened_notification_is_delivered_again_and_at_the_top_of_the_list(
    client: Client,
) -> None:
    first = await notify(client, "first")
    await notify(client, "second")
    quiet = await client.log_event(summary="quiet")
    await resolve(client, first)
    await resolve(client, quiet["id"])
    head = await client.execute_field(HEAD)

    await client.execute_field(REOPEN, id=quiet["id"])
    await client.execute_field(REOPEN, id=first)

    async with client.subscription(ADDED, after=head) as subscription:
        added = await subscription.receive_next()
    assert added == {"node": {"summary": "first", "status": "OPEN"}}
    bell = await client.execute_field(BELL)
    assert [node["summary"] for node in bell["nodes"]] == ["first", "second"]


async def test_many_events_are_reopened_and_notify_again(client: Client) -> None:
    for name in ("a", "b"):
        await resolve(client, await notify(client, name, source="/pumps"))
    await resolve(client, await notify(client, "other"))
    quiet = str((await client.log_event(summary="quiet", source="/pumps"))["id"])
    await resolve(client, quiet)
    head = await client.execute_field(HEAD)

    selected = await client.execute_field(REOPEN_MANY, filter={"source": "/pumps"})
    again = await client.execute_field(REOPEN_MANY, filter={"source": "/pumps"})
    chosen = await client.execute_field(REOPEN_MANY, ids=[quiet, str(uuid4())])

    assert selected == {"changedCount": 2, "remainingCount": 0, "userErrors": []}
    assert again == {"changedCount": 0, "remainingCount": 0, "userErrors": []}
    unknown = {"code": "NOT_FOUND", "path": ["ids", "1"]}
    assert chosen == {"changedCount": 1, "remainingCount": 0, "userErrors": [unknown]}
    async with client.subscription(ADDED, after=head) as subscription:
        added = await subscription.receive_many(2)
    assert {each["node"]["summary"] for each in added} == {"a", "b"}
    assert await list_summaries(client, "OPEN") == ["a", "b"]
    assert await list_summaries(client, "RESOLVED") == ["other"]


async def test_of_the_events_with_an_alert_key_only_the_newest_is_reopened(client: Client) -> None:
    alert = {"source": "/pumps", "alertKey": "pump-7"}
    ids = []
    for name in ("first", "second", "third"):
        ids.append(await notify(client, name, **alert))
        await resolve(client, ids[-1])

    reopened = await client.execute_field(REOPEN_MANY, ids=ids)
    refused = await client.execute_field(REOPEN_MANY, filter={"source": "/pumps"})

    conflicts = [{"code": "CONFLICT", "path": ["ids", index]} for index in "01"]
    assert reopened == {"changedCount": 1, "remainingCount": 0, "userErrors": conflicts}
    assert refused == {"changedCount": 0, "remainingCount": 0, "userErrors": []}
    assert await list_summaries(client, "OPEN") == ["third"]
    assert await list_summaries(client, "RESOLVED") == ["first", "second"]


async def test_calls_reopen_the_newest_events_first_and_end_although_some_stay_resolved(
    database_url: str, serve: Serve
) -> None:
    async with serve(database_url, limits={"events_per_bulk_change": 3}) as client:
        await resolve(client, await notify(client, "other"))
        for name in ("first", "second", "third", "fourth"):
            await resolve(client, await notify(client, name, source="/pumps", alertKey="pump-7"))
        for name in ("fifth", "sixth", "seventh"):
            event_id = await notify(client, name, source="/fans", alertKey="fan-1")
            if name != "seventh":
                await resolve(client, event_id)

        reopened = [await client.execute_field(REOPEN_MANY, filter={}) for _ in range(3)]

        counts = [(each["changedCount"], each["remainingCount"]) for each in reopened]
        assert counts == [(1, 2), (1, 0), (0, 0)]
        assert [each["userErrors"] for each in reopened] == [[], [], []]
        assert await list_summaries(client, "OPEN") == ["fourth", "other", "seventh"]


@pytest.mark.parametrize("arguments", [{}, {"ids": [], "filter": {}}])
async def test_events_to_reopen_are_selected_by_ids_or_by_a_filter(
    client: Client, arguments: dict[str, Any]
) -> None:
    await resolve(client, await notify(client, "pump"))

    payload = await client.execute_field(REOPEN_MANY, **arguments)

    assert payload["changedCount"] == 0
    assert [error["code"] for error in payload["userErrors"]] == ["INVALID_INPUT"]
    assert await list_summaries(client, "RESOLVED") == ["pump"]


async def test_the_history_records_who_resolved_an_event_and_what_changed(client: Client) -> None:
    event_id = await notify(client, "pump")
    resolved = await resolve(client, event_id, "fixed")

    history = (await client.execute_field(HISTORY, id=event_id))["history"]["nodes"]

    logged, change = history
    assert "status" in logged["changedFields"]
    assert change == {
        "kind": "RESOLVED",
        "actor": "administrator",
        "changes": {
            "resolvedAt": [None, resolved["resolvedAt"]],
            "resolvedBy": [None, "administrator"],
            "resolutionNote": [None, "fixed"],
        },
        "changedFields": change["changedFields"],
    }
    assert set(change["changedFields"]) == {
        *("status", "resolvedAt", "resolvedBy", "resolutionNote")
    }


async def test_filters_select_by_status_in_lists_and_live(client: Client) -> None:
    head = await client.execute_field(HEAD)
    open_id, seen, solved = [await notify(client, name) for name in ("open", "seen", "solved")]
    quiet = await client.log_event(summary="quiet")
    await client.execute_field(ACKNOWLEDGE, id=seen)
    for event_id in (solved, quiet["id"]):
        await resolve(client, event_id)

    async with client.subscription(
        CHANGED, filter={"statuses": ["OPEN"]}, after=head
    ) as subscription:
        changes = await subscription.receive_many(5)
        await resolve(client, open_id)
        last = await subscription.receive_next()

    assert [(each["kind"], each["transition"]) for each in changes] == [
        *[("LOGGED", "ENTERED")] * 3,
        ("ACKNOWLEDGED", "LEFT"),
        ("RESOLVED", "LEFT"),
    ]
    assert (last["kind"], last["transition"]) == ("RESOLVED", "LEFT")
    assert await list_summaries(client, "OPEN") == []
    assert await list_summaries(client, "ACKNOWLEDGED") == ["seen"]
    assert await list_summaries(client, "RESOLVED") == ["open", "solved"]
    assert await list_summaries(client, "RESOLVED", "ACKNOWLEDGED") == ["open", "seen", "solved"]
    assert await list_summaries(client) == []
    others = await client.execute_field(LIST, filter={"not": {"statuses": ["RESOLVED"]}})
    assert {node["summary"] for node in others["nodes"]} == {"seen", "quiet"}


async def test_a_resolved_notification_is_not_counted_as_open(client: Client) -> None:
    await notify(client, "open", severity="error")
    resolved = await notify(client, "resolved", severity="error")
    before = await client.execute_field(SUMMARY)

    await resolve(client, resolved)
    after = await client.execute_field(SUMMARY)
    await client.execute_field(REOPEN, id=resolved)

    def counted(count: int) -> dict[str, Any]:
        by_severity = [{"severity": "ERROR", "count": count}]
        return {"openCount": count, "unreadCount": count, "bySeverity": by_severity}

    assert before == counted(2)
    assert after == counted(1)
    assert await client.execute_field(SUMMARY) == counted(2)


@pytest.mark.parametrize("action", ["REJECT", "COUNT", "FLAG"])
async def test_what_happens_again_after_it_was_resolved_is_a_new_event(
    client: Client, action: str
) -> None:
    rule = {"name": "r", "fingerprint": ["subject"], "window": "PT1H", "action": action}
    await client.execute_field(CREATE_RULE, input=rule)
    report = {"subject": "pump", "notification": True}
    first = (await client.execute_field(LOG, input=report))["event"]["id"]
    await resolve(client, first)

    again = await client.execute_field(LOG, input=report)
    await client.execute_field(REOPEN, id=first)
    repeat = await client.execute_field(LOG, input=report | {"summary": "repeat"})

    assert again["duplicate"] is False
    assert again["event"]["id"] != first
    assert repeat["duplicate"] is (action != "REJECT")
    assert (await client.execute_field(LIST))["totalCount"] == (3 if action == "FLAG" else 2)


async def test_a_reopened_event_has_duplicates_again(client: Client) -> None:
    rule = {"name": "r", "fingerprint": ["subject"], "window": "PT1H", "action": "COUNT"}
    await client.execute_field(CREATE_RULE, input=rule)
    first = (await client.execute_field(LOG, input={"subject": "pump"}))["event"]
    await resolve(client, first["id"])
    await client.execute_field(REOPEN, id=first["id"])

    repeat = await client.execute_field(LOG, input={"subject": "pump"})

    assert repeat == {
        "event": {"id": first["id"], "occurrences": 2},
        "duplicate": True,
        "userErrors": [],
    }


async def test_events_are_resolved_by_id_or_notifications_by_filter(client: Client) -> None:
    one, two, done = [await notify(client, name) for name in ("one", "two", "done")]
    quiet = (await client.log_event(summary="quiet"))["id"]
    other_quiet = (await client.log_event(summary="quiet, too"))["id"]
    await client.execute_field(ACKNOWLEDGE, id=two)
    first = await resolve(client, done, "before")

    by_id = await client.execute_field(RESOLVE_MANY, ids=[quiet, done, quiet])
    by_filter = await client.execute_field(RESOLVE_MANY, filter={}, note="shift over")

    assert by_id == {"changedCount": 1, "remainingCount": 0, "userErrors": []}
    assert by_filter == {"changedCount": 2, "remainingCount": 0, "userErrors": []}
    events = {id: await client.execute_field(READ, id=id) for id in (one, two, done, other_quiet)}
    assert events[one]["resolutionNote"] == events[two]["resolutionNote"] == "shift over"
    assert events[done] == first
    assert events[other_quiet]["resolvedAt"] is None


async def test_invalid_resolutions_change_nothing(client: Client) -> None:
    event_id, unknown = await notify(client, "pump"), str(uuid4())
    too_long = "x" * 1_001

    payloads = {
        "unknown": await client.execute_field(RESOLVE, id=unknown),
        "unknown to reopen": await client.execute_field(REOPEN, id=unknown),
        "no ID": await client.execute_field(RESOLVE, id="pump"),
        "long note": await client.execute_field(RESOLVE, id=event_id, note=too_long),
        "long note of many": await client.execute_field(RESOLVE_MANY, filter={}, note=too_long),
        "neither": await client.execute_field(RESOLVE_MANY),
        "both": await client.execute_field(RESOLVE_MANY, ids=[event_id], filter={}),
        "unknown of many": await client.execute_field(RESOLVE_MANY, ids=[unknown]),
    }

    assert {name: payload["userErrors"] for name, payload in payloads.items()} == {
        "unknown": [{"code": "NOT_FOUND", "path": ["id"]}],
        "unknown to reopen": [{"code": "NOT_FOUND", "path": ["id"]}],
        "no ID": [{"code": "INVALID_INPUT", "path": ["id"]}],
        "long note": [{"code": "INVALID_INPUT", "path": ["note"]}],
        "long note of many": [{"code": "INVALID_INPUT", "path": ["note"]}],
        "neither": [{"code": "INVALID_INPUT", "path": ["ids"]}],
        "both": [{"code": "INVALID_INPUT", "path": ["ids"]}],
        "unknown of many": [{"code": "NOT_FOUND", "path": ["ids", "0"]}],
    }
    assert (await client.execute_field(READ, id=event_id))["status"] == "OPEN"


async def test_a_filter_has_at_most_100_statuses(client: Client) -> None:
    response = await client.execute(LIST, filter={"statuses": ["OPEN"] * 101})

    [error] = response["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["extensions"]["path"] == ["filter", "statuses"]
    assert "at most 100" in error["message"]
