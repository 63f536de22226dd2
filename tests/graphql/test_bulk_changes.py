"""Mutations that change many events: acknowledgeEvents, unacknowledgeEvents and deleteEvents."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from app.services.events.bulk_changes import BATCH_SIZE
from tests.client import Client
from tests.conftest import Serve, Statements

ACKNOWLEDGE = """
mutation (
  $ids: [ID!], $filter: EventFilter, $upTo: String, $note: String
  $notificationsOnly: Boolean! = true
) {
  acknowledgeEvents(
    ids: $ids, filter: $filter, upTo: $upTo, note: $note, notificationsOnly: $notificationsOnly
  ) {
    acknowledgedCount remainingCount events { id } userErrors { code message path }
  }
}
"""
UNACKNOWLEDGE = """
mutation ($ids: [ID!], $filter: EventFilter) {
  unacknowledgeEvents(ids: $ids, filter: $filter) {
    changedCount remainingCount userErrors { code message path }
  }
}
"""
RESOLVE = """
mutation ($ids: [ID!]) { resolveEvents(ids: $ids) { changedCount userErrors { code } } }
"""
DELETE = """
mutation ($filter: EventFilter!, $expectedCount: Int!, $recordedBefore: DateTime) {
  deleteEvents(
    filter: $filter, expectedCount: $expectedCount, recordedBefore: $recordedBefore
  ) { changedCount remainingCount userErrors { code message path } }
}
"""
LOG_EVENTS = """
mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) { accepted results { event { id } } }
}
"""
EVENT = """
query ($id: ID!) {
  event(id: $id) {
    acknowledged acknowledgedBy acknowledgementNote duplicateOf { id }
    correlations { totalCount }
    history { nodes { kind changes } }
  }
}
"""
CHANGES = """
query ($filter: EventFilter) {
  eventChanges(filter: $filter, first: 100) { nodes { kind eventId } }
}
"""
CHANGED = """
subscription ($after: String) { eventChanged(after: $after) { kind eventId } }
"""
HEAD = "{ logHead }"
COUNT = "query ($filter: EventFilter) { events(filter: $filter) { totalCount } }"


async def log_events(client: Client, count: int, **attributes: Any) -> list[str]:
    """Logs events; their IDs."""
    ids: list[str] = []
    for start in range(0, count, 500):
        reports = [attributes] * min(500, count - start)
        logged = await client.execute_field(LOG_EVENTS, input=reports)
        ids += [result["event"]["id"] for result in logged["results"]]
    return ids


async def count_events(client: Client, **filter: Any) -> int:
    return int((await client.execute_field(COUNT, filter=filter))["totalCount"])


async def list_kinds(client: Client, **filter: Any) -> list[tuple[str, str]]:
    changes = await client.execute_field(CHANGES, filter=filter)
    return [(node["kind"], node["eventId"]) for node in changes["nodes"]]


def succeeded(count: int, remaining: int = 0) -> dict[str, Any]:
    return {"changedCount": count, "remainingCount": remaining, "userErrors": []}


async def test_events_are_acknowledged_by_id_whether_they_are_notifications_or_not(
    client: Client,
) -> None:
    [event] = await log_events(client, 1)
    [notification] = await log_events(client, 1, notification=True)
    [other] = await log_events(client, 1, notification=True)

    payload = await client.execute_field(ACKNOWLEDGE, ids=[event, notification, event], note="ok")

    assert payload == {
        "acknowledgedCount": 2,
        "remainingCount": 0,
        "events": [{"id": notification}, {"id": event}],
        "userErrors": [],
    }
    acknowledged = await client.execute_field(EVENT, id=event)
    assert acknowledged["acknowledgementNote"] == "ok"
    assert [node["kind"] for node in acknowledged["history"]["nodes"]] == ["LOGGED", "ACKNOWLEDGED"]
    assert not (await client.execute_field(EVENT, id=other))["acknowledged"]


async def test_acknowledging_events_again_keeps_the_first_note_and_counts_nothing(
    client: Client,
) -> None:
    ids = await log_events(client, 2)
    await client.execute_field(ACKNOWLEDGE, ids=ids[:1], note="first")

    payload = await client.execute_field(ACKNOWLEDGE, ids=ids, note="second")
    repeated = await client.execute_field(ACKNOWLEDGE, ids=ids, note="third")

    assert payload["acknowledgedCount"] == 1
    assert (repeated["acknowledgedCount"], repeated["events"]) == (0, [])
    notes = [(await client.execute_field(EVENT, id=id))["acknowledgementNote"] for id in ids]
    assert notes == ["first", "second"]


async def test_an_unknown_id_is_an_error_and_the_other_events_are_changed(client: Client) -> None:
    [known] = await log_events(client, 1)
    unknown = str(uuid4())

    acknowledged = await client.execute_field(ACKNOWLEDGE, ids=[unknown, known])
    unacknowledged = await client.execute_field(UNACKNOWLEDGE, ids=[unknown, known])

    expected = [
        {"code": "NOT_FOUND", "message": f"There is no event {unknown}.", "path": ["ids", "0"]}
    ]
    assert (acknowledged["acknowledgedCount"], acknowledged["userErrors"]) == (1, expected)
    assert (unacknowledged["changedCount"], unacknowledged["userErrors"]) == (1, expected)


async def test_an_empty_list_of_ids_selects_nothing(client: Client) -> None:
    await log_events(client, 1, notification=True)

    acknowledged = await client.execute_field(ACKNOWLEDGE, ids=[])
    unacknowledged = await client.execute_field(UNACKNOWLEDGE, ids=[])

    assert acknowledged["acknowledgedCount"] == 0
    assert unacknowledged == succeeded(0)


@pytest.mark.parametrize(
    ("mutation", "arguments", "path"),
    [
        (ACKNOWLEDGE, {"ids": [], "filter": {}}, ["ids"]),
        (ACKNOWLEDGE, {"ids": [], "upTo": "x"}, ["upTo"]),
        (ACKNOWLEDGE, {"ids": ["x"]}, ["ids", "0"]),
        (UNACKNOWLEDGE, {"ids": [], "filter": {}}, ["ids"]),
        (UNACKNOWLEDGE, {}, ["ids"]),
        (UNACKNOWLEDGE, {"ids": [str(uuid4()), "x"]}, ["ids", "1"]),
    ],
)
async def test_a_wrong_selection_is_rejected_and_changes_nothing(
    client: Client, mutation: str, arguments: dict[str, Any], path: list[str]
) -> None:
    await log_events(client, 1, notification=True)
    await log_events(client, 1, acknowledged=True)

    payload = await client.execute_field(mutation, **arguments)

    [error] = payload["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID_INPUT", path)
    assert await count_events(client, acknowledged=True) == 1


async def test_problems_are_listed_in_the_order_of_the_arguments(client: Client) -> None:
    payload = await client.execute_field(ACKNOWLEDGE, ids=["x", "y"], filter={}, upTo="x")
    too_many = await client.execute_field(ACKNOWLEDGE, ids=["x"] * 10_001, filter={}, upTo="x")

    assert [error["path"] for error in payload["userErrors"]] == [
        ["ids"],
        ["ids", "0"],
        ["ids", "1"],
        ["upTo"],
    ]
    assert [error["message"] for error in too_many["userErrors"]] == [
        "Use either ids or filter, not both.",
        "The call has 10,001 IDs; at most 10,000 are allowed. Split the IDs into several calls.",
        "Use either ids or upTo, not both.",
    ]


async def test_acknowledgements_are_removed_by_filter_and_live(client: Client) -> None:
    ids = await log_events(client, 2, source="/a", acknowledged=True)
    await log_events(client, 1, source="/a")
    await log_events(client, 1, source="/b", acknowledged=True)
    head = await client.execute_field(HEAD)

    async with client.subscription(CHANGED, after=head) as changed:
        payload = await client.execute_field(UNACKNOWLEDGE, filter={"source": "/a"})
        live = await changed.receive_many(2)
    repeated = await client.execute_field(UNACKNOWLEDGE, filter={"source": "/a"})

    assert payload == succeeded(2)
    assert repeated == succeeded(0)
    assert [(change["kind"], change["eventId"]) for change in live] == [
        ("UNACKNOWLEDGED", id) for id in ids
    ]
    assert await count_events(client, acknowledged=True) == 1


async def test_events_are_deleted_with_a_log_entry_each(client: Client) -> None:
    ids = await log_events(client, 3, source="/a")
    [other] = await log_events(client, 1, source="/b")
    head = await client.execute_field(HEAD)

    async with client.subscription(CHANGED, after=head) as changed:
        payload = await client.execute_field(DELETE, filter={"source": "/a"}, expectedCount=3)
        live = await changed.receive_many(3)

    assert payload == succeeded(3)
    assert [(change["kind"], change["eventId"]) for change in live] == [
        ("DELETED", id) for id in ids
    ]
    assert await list_kinds(client, source="/a") == [
        *(("LOGGED", id) for id in ids),
        *(("DELETED", id) for id in ids),
    ]
    assert await client.execute_field(EVENT, id=ids[0]) is None
    assert await client.execute_field(EVENT, id=other) is not None


async def test_a_number_other_than_the_expected_one_is_a_conflict_and_deletes_nothing(
    client: Client,
) -> None:
    await log_events(client, 3)

    for expected_count in (2, 4, 0, -1):
        payload = await client.execute_field(
            DELETE,
            filter={},
            expectedCount=expected_count,
            recordedBefore="2999-01-01T00:00:00Z",
        )

        assert payload == {
            "changedCount": 0,
            "remainingCount": 0,
            "userErrors": [
                {
                    "code": "CONFLICT",
                    "message": "The filter selects 3 events recorded before "
                    f"2999-01-01T00:00:00.000000Z, not {expected_count}. Nothing was deleted. "
                    "Verify the filter, and count the events again.",
                    "path": ["expectedCount"],
                }
            ],
        }
    assert await count_events(client) == 3


async def test_events_recorded_since_a_time_are_neither_counted_nor_deleted(
    client: Client,
) -> None:
    await log_events(client, 2)
    later = await client.log_event(summary="later")

    payload = await client.execute_field(
        DELETE, filter={}, expectedCount=2, recordedBefore=later["recordedAt"]
    )

    assert payload == succeeded(2)
    assert await count_events(client) == 1


async def test_deleted_originals_leave_their_duplicates_and_linked_events(client: Client) -> None:
    await client.execute_field(
        """mutation { createDuplicationRule(input: {
             name: "r", fingerprint: ["subject"], window: "P1D", action: FLAG
           }) { userErrors { code } } }"""
    )
    originals = [(await client.log_event(subject=subject, source="/a"))["id"] for subject in "xy"]
    # One duplicate is deleted with its original, the other one stays.
    deleted = (await client.log_event(subject="x", source="/a"))["id"]
    duplicate = (await client.log_event(subject="y", source="/b"))["id"]
    linked = (await client.log_event(source="/b"))["id"]
    await client.execute_field(
        """mutation ($id: ID!, $others: [ID!]!) {
             correlateEvents(eventId: $id, relatedIds: $others, relation: CAUSED_BY) {
               userErrors { code } } }""",
        id=originals[0],
        others=[originals[1], linked],
    )

    payload = await client.execute_field(DELETE, filter={"source": "/a"}, expectedCount=3)

    assert payload == succeeded(3)
    remaining = await client.execute_field(EVENT, id=duplicate)
    assert remaining["duplicateOf"] is None
    assert remaining["history"]["nodes"][1:] == [
        {"kind": "UPDATED", "changes": {"duplicateOfId": [originals[1], None]}}
    ]
    unlinked = await client.execute_field(EVENT, id=linked)
    assert unlinked["correlations"]["totalCount"] == 0
    assert [node["kind"] for node in unlinked["history"]["nodes"]] == [
        *("LOGGED", "CORRELATED", "UNCORRELATED")
    ]
    assert [each for each in await list_kinds(client, source="/a") if each[0] == "DELETED"] == [
        ("DELETED", id) for id in (*originals, deleted)
    ]
    # The next report is an original again.
    again = await client.log_event(subject="x", source="/c")
    assert (await client.execute_field(EVENT, id=again["id"]))["duplicateOf"] is None


async def test_a_call_changes_at_most_the_limit_and_counts_what_remains(
    database_url: str, serve: Serve
) -> None:
    async with serve(database_url, limits={"events_per_bulk_change": 3}) as client:
        ids = await log_events(client, 5, notification=True)
        before = {"recordedBefore": "2999-01-01T00:00:00Z"}

        acknowledged = [await client.execute_field(ACKNOWLEDGE) for _ in range(3)]
        unacknowledged = [await client.execute_field(UNACKNOWLEDGE, filter={}) for _ in range(2)]
        too_many = await client.execute_field(ACKNOWLEDGE, ids=ids[:4])
        deleted = [
            await client.execute_field(DELETE, filter={}, expectedCount=count, **before)
            for count in (5, 2)
        ]

        counts = [(each["acknowledgedCount"], each["remainingCount"]) for each in acknowledged]
        assert counts == [(3, 2), (2, 0), (0, 0)]
        assert [each["id"] for each in acknowledged[0]["events"]] == ids[2::-1]
        assert unacknowledged == [succeeded(3, remaining=2), succeeded(2)]
        assert too_many["userErrors"] == [
            {
                "code": "INVALID_INPUT",
                "message": "The call has 4 IDs; at most 3 are allowed. Split the IDs into several "
                "calls.",
                "path": ["ids"],
            }
        ]
        assert deleted == [succeeded(3, remaining=2), succeeded(2)]
        assert await count_events(client) == 0


async def test_batches_are_transactions_of_their_own_without_a_statement_per_event(
    own_client: Client, statements: Statements
) -> None:
    numbers = []
    for count in (2, BATCH_SIZE, BATCH_SIZE + 1):
        ids = await log_events(own_client, count, source=f"/{count}", tags=["a"])
        filter = {"source": f"/{count}"}
        statements.clear()
        await own_client.execute_field(ACKNOWLEDGE, ids=ids)
        await own_client.execute_field(UNACKNOWLEDGE, filter=filter)
        await own_client.execute_field(RESOLVE, ids=ids)
        payload = await own_client.execute_field(DELETE, filter=filter, expectedCount=count)
        assert payload == succeeded(count)
        numbers.append(_count_by_command(statements))

    # The same statements for 2 and for 500 events, and those of each batch again for 501.
    assert numbers[0] == numbers[1]
    assert [number["UPDATE event"] for number in numbers] == [3, 3, 6]
    assert [number["UPDATE first_event"] for number in numbers] == [1, 1, 2]
    assert [number["DELETE FROM event"] for number in numbers] == [1, 1, 2]


def _count_by_command(statements: Statements) -> dict[str, int]:
    commands = (
        *("SELECT event.", "INSERT", "WITH"),
        *("UPDATE event", "UPDATE first_event", "DELETE FROM event"),
    )
    return {
        command: sum(statement.startswith(command) for statement in statements)
        for command in commands
    }


async def test_without_notifications_only_all_events_of_the_filter_are_acknowledged(
    client: Client,
) -> None:
    plain = await log_events(client, 2, type="test.load")
    rung = await log_events(client, 1, type="test.load", notification=True)
    await log_events(client, 1, type="other")
    await client.execute_field(ACKNOWLEDGE, ids=plain[:1])

    payload = await client.execute_field(
        ACKNOWLEDGE, filter={"types": ["test.load"]}, note="n", notificationsOnly=False
    )

    assert (payload["acknowledgedCount"], payload["userErrors"]) == (2, [])
    assert sorted(event["id"] for event in payload["events"]) == sorted([plain[1], *rung])
    assert await count_events(client, types=["other"], acknowledged=False) == 1


@pytest.mark.parametrize(
    ("arguments", "path"), [({}, "filter"), ({"filter": {}, "upTo": "cursor"}, "upTo")]
)
async def test_acknowledging_all_events_needs_a_filter_and_allows_no_cursor(
    client: Client, arguments: dict[str, Any], path: str
) -> None:
    await log_events(client, 1, type="test.load", notification=True)

    payload = await client.execute_field(ACKNOWLEDGE, notificationsOnly=False, **arguments)

    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("INVALID_INPUT", [path])
    ]
    assert await count_events(client, acknowledged=True) == 0
