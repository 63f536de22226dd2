"""Notifications: list, acknowledgement and live subscription."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.client import Client
from tests.conftest import Serve, Statements

BELL = """
query ($filter: EventFilter, $first: Int, $after: String) {
  notifications(filter: $filter, first: $first, after: $after) {
    totalCount unacknowledgedCount
    edges { cursor node { id } }
    nodes { summary }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
ACKNOWLEDGE = """
mutation ($id: ID!, $note: String) {
  acknowledgeEvent(id: $id, note: $note) {
    event { acknowledged acknowledgedAt acknowledgedBy acknowledgementNote version }
    userErrors { code path }
  }
}
"""
UNACKNOWLEDGE = """
mutation ($id: ID!) {
  unacknowledgeEvent(id: $id) {
    event { acknowledged acknowledgedAt acknowledgedBy acknowledgementNote version }
    userErrors { code path }
  }
}
"""
ACKNOWLEDGE_MANY = """
mutation ($filter: EventFilter) {
  acknowledgeEvents(filter: $filter) { acknowledgedCount userErrors { code path } }
}
"""
UPDATE = """
mutation ($input: UpdateEventInput!) { updateEvent(input: $input) { userErrors { code } } }
"""
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }"
ADDED = """
subscription ($filter: EventFilter, $after: String) {
  notificationAdded(filter: $filter, after: $after) { cursor node { summary severity } }
}
"""
HEAD = "{ logHead }"
LOAD_BELL = "{ notifications(first: 100) { nodes { id } } logHead }"
CHANGES = """
query ($after: String) { eventChanges(after: $after, first: 100) { nodes { eventId } } }
"""
LOG_EVENTS = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"


async def log_notifications(client: Client, *summaries: str, **overrides: object) -> list[str]:
    """Logs notifications. Returns their IDs."""
    return [
        (await client.log_event(summary=summary, notification=True, **overrides))["id"]
        for summary in summaries
    ]


async def test_notifications_are_listed_in_the_order_in_which_they_rang(client: Client) -> None:
    await log_notifications(client, "first")
    await log_notifications(client, "back-dated", occurredAt="2020-01-01T00:00:00Z")
    await client.log_event(summary="no notification")

    bell = await client.execute_field(BELL)

    assert [node["summary"] for node in bell["nodes"]] == ["back-dated", "first"]
    assert (bell["totalCount"], bell["unacknowledgedCount"]) == (2, 2)


async def test_pages_of_notifications_are_stable_when_new_ones_arrive(client: Client) -> None:
    await log_notifications(client, "1", "2", "3")
    first = await client.execute_field(BELL, first=2)
    await log_notifications(client, "4")

    second = await client.execute_field(BELL, first=2, after=first["pageInfo"]["endCursor"])

    assert [node["summary"] for node in first["nodes"]] == ["3", "2"]
    assert first["pageInfo"]["hasNextPage"] is True
    assert [node["summary"] for node in second["nodes"]] == ["1"]
    assert second["pageInfo"]["hasNextPage"] is False
    assert second["pageInfo"]["hasPreviousPage"] is True


async def test_an_event_that_becomes_a_notification_rings(client: Client) -> None:
    quiet = await client.log_event(summary="quiet")
    await log_notifications(client, "loud")

    await client.execute_field(UPDATE, input={"id": quiet["id"], "notification": True})

    bell = await client.execute_field(BELL)
    assert [node["summary"] for node in bell["nodes"]] == ["quiet", "loud"]


async def test_an_event_that_is_no_longer_a_notification_is_not_listed(client: Client) -> None:
    [event_id] = await log_notifications(client, "loud")

    await client.execute_field(UPDATE, input={"id": event_id, "notification": False})

    assert (await client.execute_field(BELL))["nodes"] == []


async def test_acknowledging_keeps_the_first_actor_time_and_note(client: Client) -> None:
    [event_id] = await log_notifications(client, "loud")
    first = await client.execute_field(ACKNOWLEDGE, id=event_id, note="on it")

    second = await client.execute_field(ACKNOWLEDGE, id=event_id, note="me too")

    assert first["event"]["acknowledgedBy"] == "administrator"
    assert first["event"]["acknowledgementNote"] == "on it"
    assert first["event"]["version"] == 1
    assert second == first


async def test_counts_distinguish_acknowledged_notifications(client: Client) -> None:
    [event_id, _] = await log_notifications(client, "seen", "unseen")
    await client.execute_field(ACKNOWLEDGE, id=event_id)

    bell = await client.execute_field(BELL)
    unseen = await client.execute_field(BELL, filter={"acknowledged": False})
    seen = await client.execute_field(BELL, filter={"acknowledged": True})

    assert (bell["totalCount"], bell["unacknowledgedCount"]) == (2, 1)
    assert (unseen["totalCount"], unseen["unacknowledgedCount"]) == (1, 1)
    assert (seen["totalCount"], seen["unacknowledgedCount"]) == (1, 0)


@pytest.mark.parametrize(
    ("filter", "summaries"),
    [
        ({"search": "PUMP"}, ["pump 2", "pump 1"]),
        ({"entityId": "w-1"}, ["pump 1"]),
        ({"tags": {"any": ["shift:2"]}}, ["pump 2"]),
        ({"fields": [{"field": "volume", "operator": "GT", "value": 4}]}, ["valve"]),
        ({"or": [{"search": "valve"}, {"entityId": "w-1"}]}, ["valve", "pump 1"]),
        ({"not": {"severities": ["ERROR"]}}, ["valve", "pump 1"]),
        ({"notification": True}, ["valve", "pump 2", "pump 1"]),
        ({"notification": False}, []),
        ({"ids": []}, []),
        ({"occurredAt": {"to": "2020-01-02T00:00:00Z"}}, ["pump 1"]),
    ],
)
async def test_notifications_accept_every_condition_of_an_event_filter(
    client: Client, filter: dict[str, Any], summaries: list[str]
) -> None:
    head = await client.execute_field(HEAD)
    well = {"type": "Well", "id": "w-1"}
    await log_notifications(client, "pump 1", entity=well, occurredAt="2020-01-01T00:00:00Z")
    await log_notifications(client, "pump 2", tags=["shift:2"], severity="error")
    await log_notifications(client, "valve", fields={"volume": 5})
    await client.log_event(summary="pump and valve", entity=well, fields={"volume": 5})

    bell = await client.execute_field(BELL, filter=filter)
    async with client.subscription(ADDED, filter=filter, after=head) as subscription:
        added = await subscription.receive_many(len(summaries))

    assert [node["summary"] for node in bell["nodes"]] == summaries
    assert (bell["totalCount"], bell["unacknowledgedCount"]) == (len(summaries),) * 2
    assert [each["node"]["summary"] for each in added] == summaries[::-1]
    acknowledged = await client.execute_field(ACKNOWLEDGE_MANY, filter=filter)
    assert acknowledged == {"acknowledgedCount": len(summaries), "userErrors": []}
    assert (await client.execute_field(BELL))["unacknowledgedCount"] == 3 - len(summaries)


async def test_an_acknowledgement_can_be_undone(client: Client) -> None:
    [event_id] = await log_notifications(client, "loud")
    await client.execute_field(ACKNOWLEDGE, id=event_id, note="on it")

    payload = await client.execute_field(UNACKNOWLEDGE, id=event_id)

    assert payload["event"] == {
        "acknowledged": False,
        "acknowledgedAt": None,
        "acknowledgedBy": None,
        "acknowledgementNote": None,
        "version": 1,
    }


async def test_a_note_has_a_limit(client: Client) -> None:
    [event_id] = await log_notifications(client, "loud")

    payload = await client.execute_field(ACKNOWLEDGE, id=event_id, note="n" * 1001)

    assert payload["userErrors"] == [{"code": "INVALID_INPUT", "path": ["note"]}]
    assert (await client.execute_field(BELL))["unacknowledgedCount"] == 1


async def test_a_subscriber_receives_an_event_when_it_is_logged(client: Client) -> None:
    head = await client.execute_field(HEAD)

    async with client.subscription(ADDED, after=head) as subscription:
        await log_notifications(client, "a", "b")
        await client.log_event(summary="no notification")
        await log_notifications(client, "c")
        added = await subscription.receive_many(3)

    assert [each["node"]["summary"] for each in added] == ["a", "b", "c"]


async def test_a_subscriber_without_a_cursor_receives_only_new_events(client: Client) -> None:
    await log_notifications(client, "old")

    async with client.subscription(ADDED) as subscription:
        # It is not known when the subscription begins: log events until one is received.
        first = asyncio.create_task(subscription.receive_next())
        while not first.done():
            await log_notifications(client, "new")
            await asyncio.wait({first}, timeout=0.05)

    assert first.result()["node"]["summary"] == "new"


async def test_a_subscriber_receives_only_selected_events(client: Client) -> None:
    head = await client.execute_field(HEAD)

    async with client.subscription(
        ADDED, filter={"severities": ["ERROR"]}, after=head
    ) as subscription:
        await log_notifications(client, "mild", severity="info")
        await log_notifications(client, "grave", severity="red")
        added = await subscription.receive_next()

    assert added["node"] == {"summary": "grave", "severity": "ERROR"}


async def test_a_subscriber_resumes_after_its_last_cursor(client: Client) -> None:
    head = await client.execute_field(HEAD)
    async with client.subscription(ADDED, after=head) as subscription:
        await log_notifications(client, "a")
        last = (await subscription.receive_next())["cursor"]
    await log_notifications(client, "b", "c")

    async with client.subscription(ADDED, after=last) as subscription:
        await log_notifications(client, "d")
        added = await subscription.receive_many(3)

    assert [each["node"]["summary"] for each in added] == ["b", "c", "d"]


async def test_resuming_from_the_first_cursor_of_the_list_misses_and_repeats_nothing(
    client: Client,
) -> None:
    await log_notifications(client, "listed")
    bell = await client.execute_field(BELL)
    await log_notifications(client, "between")

    async with client.subscription(ADDED, after=bell["edges"][0]["cursor"]) as subscription:
        await log_notifications(client, "live")
        added = await subscription.receive_many(2)

    assert [each["node"]["summary"] for each in added] == ["between", "live"]


@pytest.mark.parametrize("executor", ["plan", "graphql-core"])
async def test_log_head_is_read_before_the_other_fields_of_a_query(
    own_client: Client, statements: Statements, executor: str
) -> None:
    if executor == "plan":
        statements.clear()
        await own_client.execute_data(LOAD_BELL)
    else:
        async with own_client.subscription(LOAD_BELL) as socket:
            statements.clear()
            await socket.socket.receive()

    reads = ["list" if "rang_seq DESC" in each else "head" for each in statements]
    assert reads[-1] == "list"
    assert reads.count("list") == 1
    assert "head" in reads


async def test_what_is_logged_while_a_list_is_loaded_is_in_the_list_or_after_log_head(
    client: Client,
) -> None:
    calls = [call for number in range(15) for call in (client.execute_data(LOAD_BELL), number)]

    loaded_or_logged = await asyncio.gather(
        *(log_notifications(client, str(call)) if isinstance(call, int) else call for call in calls)
    )

    bells, ids = loaded_or_logged[::2], {id for [id] in loaded_or_logged[1::2]}
    for bell in bells:
        listed = {node["id"] for node in bell["notifications"]["nodes"]}
        changes = await client.execute_field(CHANGES, after=bell["logHead"])
        assert listed | {node["eventId"] for node in changes["nodes"]} == ids


async def test_a_replay_delivers_the_same_entries_as_a_live_subscription(client: Client) -> None:
    head = await client.execute_field(HEAD)
    errors = {"severities": ["ERROR"]}
    async with client.subscription(ADDED, filter=errors, after=head) as subscription:
        ids = await log_notifications(client, "a", "b", "c", severity="error")
        live = await subscription.receive_many(3)
    await client.execute_field(
        UPDATE, input={"id": ids[0], "severity": "info", "summary": "a, mild now"}
    )
    [late] = await log_notifications(client, "d", severity="info")
    await client.execute_field(UPDATE, input={"id": late, "severity": "error"})
    await client.execute_field(DELETE, id=ids[1])

    async with client.subscription(ADDED, filter=errors, after=head) as subscription:
        await log_notifications(client, "end", severity="error")
        replayed = await subscription.receive_many(3)

    # The filter is evaluated on the entries, so "a" is delivered and "d" is not. The event is
    # returned in its current state; the deleted one is skipped.
    assert [each["cursor"] for each in replayed[:2]] == [live[0]["cursor"], live[2]["cursor"]]
    assert [each["node"]["summary"] for each in replayed] == ["a, mild now", "c", "end"]


async def test_a_server_delivers_events_that_another_server_stored(
    own_client: Client, database_url: str, serve: Serve
) -> None:
    head = await own_client.execute_field(HEAD)

    async with serve(database_url) as other, other.subscription(ADDED, after=head) as subscription:
        await log_notifications(own_client, "from next door")
        added = await subscription.receive_next()

    assert added["node"]["summary"] == "from next door"


async def test_a_slow_subscriber_loses_no_events(database_url: str, serve: Serve) -> None:
    async with serve(database_url, subscriptions={"buffer_messages": 1}) as client:
        head = await client.execute_field(HEAD)
        async with client.subscription(ADDED, after=head) as subscription:
            reports = [{"summary": str(n), "notification": True} for n in range(300)]
            for start in range(0, 300, 100):
                await client.execute_field(LOG_EVENTS, input=reports[start : start + 100])
            added = await subscription.receive_many(300)

    assert [each["node"]["summary"] for each in added] == [str(n) for n in range(300)]
