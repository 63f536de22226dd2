"""The change log: history of an event, queries and subscriptions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.domain.events.severity import Severity
from app.domain.events.state import EventState
from app.graphql.schema import build_schema
from app.graphql.types.event_change import list_changed_fields
from app.services.change_log import history
from app.store.change_log.changes import REPORT
from tests.client import Client
from tests.conftest import Statements

HISTORY = """
query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
  event(id: $id) {
    history(first: $first, after: $after, last: $last, before: $before) {
      nodes { cursor kind actor eventId transition changes changedFields event { id } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""
CHANGES = """
query (
  $filter: EventFilter, $changes: EventChangeFilter, $eventId: ID, $first: Int, $after: String
) {
  eventChanges(
    filter: $filter, changes: $changes, eventId: $eventId, first: $first, after: $after
  ) {
    edges { cursor node { cursor } }
    nodes { kind eventId transition changes event { summary } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
CHANGED = """
subscription ($filter: EventFilter, $after: String) {
  eventChanged(filter: $filter, after: $after) {
    cursor kind eventId transition changes event { severity }
  }
}
"""
UPDATE = (
    "mutation ($input: UpdateEventInput!) { updateEvent(input: $input) { userErrors { code } } }"
)
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }"
ACKNOWLEDGE = 'mutation ($id: ID!) { acknowledgeEvent(id: $id, note: "n") { userErrors { code } } }'
ACKNOWLEDGE_ALL = """
mutation ($filter: EventFilter, $upTo: String, $note: String) {
  acknowledgeEvents(filter: $filter, upTo: $upTo, note: $note) {
    acknowledgedCount events { summary acknowledgedBy } userErrors { code path }
  }
}
"""


async def log_event_lifecycle(client: Client) -> str:
    """Logs an event, updates, acknowledges and deletes it."""
    event = await client.log_event(summary="before", severity="error", fields={"a": 1})
    event_id: str = event["id"]
    await client.execute_field(
        UPDATE, input={"id": event_id, "summary": "after", "severity": "info"}
    )
    await client.execute_field(ACKNOWLEDGE, id=event_id)
    await client.execute_field(DELETE, id=event_id)
    return event_id


async def test_the_history_of_an_event_contains_its_changes(client: Client) -> None:
    event = await client.log_event(summary="before", fields={"a": 1})
    await client.execute_field(
        UPDATE, input={"id": event["id"], "summary": "after", "fields": {"b": 2}}
    )
    await client.execute_field(ACKNOWLEDGE, id=event["id"])

    history = (await client.execute_field(HISTORY, id=event["id"]))["history"]

    logged, updated, acknowledged = history["nodes"]
    assert (logged["kind"], updated["kind"], acknowledged["kind"]) == (
        *("LOGGED", "UPDATED", "ACKNOWLEDGED"),
    )
    assert logged["changes"]["summary"] == [None, "before"]
    assert "content" not in logged["changes"]
    assert updated["changes"] == {
        "summary": ["before", "after"],
        "fields": [{"a": 1}, {"a": 1, "b": 2}],
    }
    assert acknowledged["changes"]["acknowledgedBy"] == [None, "administrator"]
    assert {node["actor"] for node in history["nodes"]} == {"administrator"}
    assert {node["event"]["id"] for node in history["nodes"]} == {event["id"]}


async def test_a_history_is_paged(client: Client) -> None:
    event = await client.log_event(summary="0")
    for n in range(1, 5):
        await client.execute_field(UPDATE, input={"id": event["id"], "summary": str(n)})
    first = (await client.execute_field(HISTORY, id=event["id"], first=3))["history"]

    second = (
        await client.execute_field(
            HISTORY, id=event["id"], first=3, after=first["pageInfo"]["endCursor"]
        )
    )["history"]

    summaries = [node["changes"]["summary"][1] for node in first["nodes"] + second["nodes"]]
    assert summaries == ["0", "1", "2", "3", "4"]
    assert first["pageInfo"]["hasNextPage"] is True
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (
        *(False, True),
    )


async def test_a_history_is_read_newest_first(client: Client) -> None:
    event = await client.log_event(summary="0")
    for n in range(1, 5):
        await client.execute_field(UPDATE, input={"id": event["id"], "summary": str(n)})
    newest = (await client.execute_field(HISTORY, id=event["id"], last=2))["history"]

    older = (
        await client.execute_field(
            HISTORY, id=event["id"], last=2, before=newest["pageInfo"]["startCursor"]
        )
    )["history"]

    assert [node["changes"]["summary"][1] for node in newest["nodes"]] == ["3", "4"]
    assert [node["changes"]["summary"][1] for node in older["nodes"]] == ["1", "2"]
    assert [
        (page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"])
        for page in (newest, older)
    ] == [(True, False), (True, True)]


@pytest.mark.parametrize("events", [2, 20])
async def test_the_histories_of_a_page_are_read_by_one_statement(
    own_client: Client, statements: Statements, events: int
) -> None:
    for n in range(events):
        await own_client.log_event(summary=str(n))
    statements.clear()

    page = await own_client.execute_field(
        "{ events(first: 50) { nodes { history(first: 5) { nodes { kind } } } } }"
    )

    assert [node["history"]["nodes"] for node in page["nodes"]] == [[{"kind": "LOGGED"}]] * events
    assert sum("row_number()" in each for each in statements) == 1


async def test_the_change_log_contains_deleted_events(client: Client) -> None:
    event_id = await log_event_lifecycle(client)
    await client.log_event(summary="other")

    log = await client.execute_field(CHANGES, eventId=event_id)

    assert [node["kind"] for node in log["nodes"]] == [
        *("LOGGED", "UPDATED", "ACKNOWLEDGED", "DELETED")
    ]
    assert {node["eventId"] for node in log["nodes"]} == {event_id}
    assert {node["event"] for node in log["nodes"]} == {None}
    assert log["nodes"][3]["changes"]["summary"] == ["after", None]


async def test_a_filter_matches_the_state_before_or_after_a_change(client: Client) -> None:
    await log_event_lifecycle(client)

    errors = await client.execute_field(CHANGES, filter={"severities": ["ERROR"]})
    mild = await client.execute_field(CHANGES, filter={"severities": ["INFO"]})

    assert [node["kind"] for node in errors["nodes"]] == ["LOGGED", "UPDATED"]
    assert [node["kind"] for node in mild["nodes"]] == ["UPDATED", "ACKNOWLEDGED", "DELETED"]


async def test_the_change_log_is_filtered_by_kind_actor_time_and_event(client: Client) -> None:
    first_id = await log_event_lifecycle(client)
    second_id = await log_event_lifecycle(client)
    log = await client.execute_field("{ eventChanges { nodes { at kind eventId } } }")
    middle = log["nodes"][4]["at"]

    async def list_changes(**conditions: Any) -> list[tuple[str, str]]:
        page = await client.execute_field(CHANGES, changes=conditions)
        return [(node["kind"], node["eventId"]) for node in page["nodes"]]

    assert await list_changes(kinds=["DELETED"]) == [
        *(("DELETED", first_id), ("DELETED", second_id))
    ]
    assert len(await list_changes(actors=["administrator", "unknown"])) == 8
    assert await list_changes(actors=["unknown"]) == []
    assert {event_id for _, event_id in await list_changes(at={"to": middle})} == {first_id}
    assert await list_changes(kinds=["LOGGED"], at={"from": middle}) == [("LOGGED", second_id)]
    assert len(await list_changes(eventIds=[second_id])) == 4
    assert await list_changes(kinds=[]) == []
    both = await client.execute_field(CHANGES, changes={"eventIds": [first_id]}, eventId=second_id)
    assert both["nodes"] == []


async def test_a_page_with_few_matching_changes_continues_after_the_examined_entries(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "WINDOW_SIZE", 3)
    monkeypatch.setattr(history, "MAX_BATCHES", 3)
    for n in range(7):
        await client.log_event(summary=str(n))
    event_id = await log_event_lifecycle(client)
    selected: dict[str, Any] = {"changes": {"kinds": ["DELETED"]}}
    first = await client.execute_field(CHANGES, **selected)

    second = await client.execute_field(CHANGES, **selected, after=first["pageInfo"]["endCursor"])

    assert (first["nodes"], first["pageInfo"]["hasNextPage"]) == ([], True)
    assert [node["eventId"] for node in second["nodes"]] == [event_id]
    assert second["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"eventIds": ["7"]}, ["changes", "eventIds", "0"]),
        ({"actors": ["a\0"]}, ["changes", "actors", "0"]),
        ({"actors": ["a"] * 101}, ["changes", "actors"]),
    ],
)
async def test_an_invalid_condition_on_changes_is_rejected_with_its_place(
    client: Client, changes: dict[str, Any], place: list[str]
) -> None:
    error = await client.expect_error(CHANGES, changes=changes)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": place}


async def test_the_change_log_is_paged_with_a_filter_that_matches_few_entries(
    client: Client,
) -> None:
    for n in range(12):
        await client.log_event(summary=str(n), severity="error" if n % 5 == 0 else "info")
    selected: dict[str, Any] = {"filter": {"severities": ["ERROR"]}, "first": 2}
    first = await client.execute_field(CHANGES, **selected)

    second = await client.execute_field(CHANGES, **selected, after=first["pageInfo"]["endCursor"])

    summaries = [node["changes"]["summary"][1] for node in first["nodes"] + second["nodes"]]
    assert summaries == ["0", "5", "10"]
    assert [page["pageInfo"]["hasNextPage"] for page in (first, second)] == [True, False]


async def test_a_subscriber_receives_every_change_and_can_resume(client: Client) -> None:
    head = await client.execute_field("{ logHead }")
    async with client.subscription(CHANGED, after=head) as subscription:
        event_id = await log_event_lifecycle(client)
        live = await subscription.receive_many(4)

    async with client.subscription(CHANGED, after=live[1]["cursor"]) as subscription:
        replayed = await subscription.receive_many(2)

    assert [each["kind"] for each in live] == ["LOGGED", "UPDATED", "ACKNOWLEDGED", "DELETED"]
    assert {each["eventId"] for each in live} == {event_id}
    assert [each["cursor"] for each in replayed] == [each["cursor"] for each in live[2:]]
    assert [each["changes"] for each in replayed] == [each["changes"] for each in live[2:]]


async def test_a_subscriber_receives_changes_that_leave_its_filter(client: Client) -> None:
    head = await client.execute_field("{ logHead }")

    async with client.subscription(
        CHANGED, filter={"severities": ["ERROR"]}, after=head
    ) as subscription:
        await log_event_lifecycle(client)
        await client.log_event(summary="end", severity="error")
        changes = await subscription.receive_many(3)

    assert [(each["kind"], each["transition"]) for each in changes] == [
        *(("LOGGED", "ENTERED"), ("UPDATED", "LEFT"), ("LOGGED", "ENTERED"))
    ]


async def test_an_entry_contains_the_transition_of_its_event_relative_to_the_filter(
    client: Client,
) -> None:
    head = await client.execute_field("{ logHead }")
    await log_event_lifecycle(client)
    async with client.subscription(CHANGED, after=head) as subscription:
        of_all_events = await subscription.receive_many(4)
    async with client.subscription(
        CHANGED, filter={"severities": ["INFO"]}, after=head
    ) as subscription:
        of_mild_events = await subscription.receive_many(3)

    listed = await client.execute_field(CHANGES, filter={"severities": ["INFO"]}, after=head)

    assert [each["transition"] for each in of_all_events] == [
        *("ENTERED", "CHANGED", "CHANGED", "LEFT")
    ]
    assert [each["transition"] for each in of_mild_events] == ["ENTERED", "CHANGED", "LEFT"]
    assert [node["transition"] for node in listed["nodes"]] == ["ENTERED", "CHANGED", "LEFT"]


async def test_an_entry_names_the_changed_fields_of_the_event(client: Client) -> None:
    event = await client.log_event(summary="before")
    update = {"id": event["id"], "summary": "after", "fields": {"b": 2}}
    await client.execute_field(UPDATE, input=update)
    await client.execute_field(ACKNOWLEDGE, id=event["id"])

    history = (await client.execute_field(HISTORY, id=event["id"]))["history"]

    logged, updated, acknowledged = (set(node["changedFields"]) for node in history["nodes"])
    assert logged >= {"type", "severity", "summary", "source", "recordedAt", "version"}
    assert updated == {"summary", "fields", "fieldValues", "updatedAt", "version"}
    assert acknowledged == {
        *("acknowledged", "acknowledgedAt", "acknowledgedBy", "acknowledgementNote")
    }


def test_every_changed_field_is_a_field_of_the_event() -> None:
    event_type: Any = build_schema().graphql_schema.type_map["Event"]
    now = datetime.now(UTC)
    state = EventState(UUID(int=1), "t", Severity.INFO, "s", "/s", now, now, now)

    names = list_changed_fields({**state.to_json(), "correlations": [], REPORT: {}})

    assert set(names) - set(event_type.fields) == {"summaryGiven"}  # never a change


async def test_an_update_leaves_a_filter_by_update_time(client: Client) -> None:
    """Live, in a replay and in a list, by its time before the update, which is not a change."""
    head = await client.execute_field("{ logHead }")
    event_id = (await client.log_event(summary="0"))["id"]
    event = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { updatedAt } }", id=event_id
    )
    end = datetime.fromisoformat(event["updatedAt"]) + timedelta(microseconds=1)
    selected = {"filter": {"updatedAt": {"to": end.isoformat()}}, "after": head}
    async with client.subscription(CHANGED, **selected) as subscription:
        live = await subscription.receive_many(1)
        for n in ("1", "2"):
            await client.execute_field(UPDATE, input={"id": event_id, "summary": n})
        live += await subscription.receive_many(1)

    async with client.subscription(CHANGED, **selected) as subscription:
        replayed = await subscription.receive_many(2)
    listed = await client.execute_field(CHANGES, **selected)

    for entries in (live, replayed, listed["nodes"]):
        assert [entry["kind"] for entry in entries] == ["LOGGED", "UPDATED"]
        assert "updatedAt" not in entries[0]["changes"]
        assert entries[1]["changes"] == {"summary": ["0", "1"]}


async def test_an_event_is_found_by_its_source_id(client: Client) -> None:
    event = await client.log_event(source="/a", sourceId="7")
    find = "query ($s: String!, $i: String!) { eventBySource(source: $s, sourceId: $i) { id } }"

    assert await client.execute_field(find, s="/a", i="7") == {"id": event["id"]}
    assert await client.execute_field(find, s="/b", i="7") is None
    error = await client.expect_error(find, s="/a\0", i="7")
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": ["source"]}


async def test_an_entity_lists_its_events(client: Client) -> None:
    await client.log_event(summary="its", entity={"type": "Well", "id": "1"})
    await client.log_event(summary="other's", entity={"type": "Pump", "id": "1"})

    entity = await client.execute_field(
        """{ entity(type: "Well", id: "1") { type entityId events { nodes { summary } } } }"""
    )

    assert entity == {"type": "Well", "entityId": "1", "events": {"nodes": [{"summary": "its"}]}}


async def test_notifications_are_acknowledged_by_filter(client: Client) -> None:
    for summary, severity in (("a", "error"), ("b", "info"), ("c", "error")):
        await client.log_event(summary=summary, severity=severity, notification=True)
    await client.log_event(summary="no notification", severity="error")

    done = await client.execute_field(
        ACKNOWLEDGE_ALL, filter={"severities": ["ERROR"]}, note="seen"
    )

    assert done == {
        "acknowledgedCount": 2,
        "events": [
            {"summary": "c", "acknowledgedBy": "administrator"},
            {"summary": "a", "acknowledgedBy": "administrator"},
        ],
        "userErrors": [],
    }
    assert await client.execute_field("{ notifications { unacknowledgedCount } }") == {
        "unacknowledgedCount": 1
    }
    again = await client.execute_field(ACKNOWLEDGE_ALL, filter={"severities": ["ERROR"]})
    assert again["acknowledgedCount"] == 0


async def test_notifications_after_the_cursor_stay_unacknowledged(client: Client) -> None:
    await client.log_event(summary="seen", notification=True)
    bell = await client.execute_field("{ notifications { edges { cursor } } }")
    await client.log_event(summary="unseen", notification=True)

    done = await client.execute_field(ACKNOWLEDGE_ALL, upTo=bell["edges"][0]["cursor"])

    assert [event["summary"] for event in done["events"]] == ["seen"]
    left = await client.execute_field(
        "{ notifications(filter: {acknowledged: false}) { nodes { summary } } }"
    )
    assert left == {"nodes": [{"summary": "unseen"}]}


async def test_more_than_a_batch_is_acknowledged_and_100_are_returned(client: Client) -> None:
    log_events = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"
    for _ in range(3):
        await client.execute_field(log_events, input=[{"notification": True}] * 250)

    done = await client.execute_field(ACKNOWLEDGE_ALL)

    assert (done["acknowledgedCount"], len(done["events"])) == (750, 100)
    assert await client.execute_field("{ notifications { unacknowledgedCount } }") == {
        "unacknowledgedCount": 0
    }


@pytest.mark.parametrize("filter", [None, {"acknowledged": True}])
async def test_an_invalid_cursor_acknowledges_nothing(
    client: Client, filter: dict[str, Any] | None
) -> None:
    await client.log_event(notification=True)

    error = await client.expect_error(ACKNOWLEDGE_ALL, filter=filter, upTo="nothing")

    assert error["extensions"] == {"code": "INVALID_CURSOR", "path": ["upTo"]}
    assert await client.execute_field("{ notifications { unacknowledgedCount } }") == {
        "unacknowledgedCount": 1
    }
