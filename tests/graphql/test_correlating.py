"""Mutations of correlations."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import Client
from tests.factories import create_api_key
from tests.graphql.test_correlations import (
    CORRELATE,
    correlate_events,
    fetch_correlations,
    log_events,
)

UNCORRELATE = """
mutation ($id: ID!, $others: [ID!]!, $relation: Relation) {
  uncorrelateEvents(eventId: $id, relatedIds: $others, relation: $relation) {
    event { correlations { nodes { relation event { summary } } } }
    userErrors { code message path }
  }
}
"""
HISTORY = """
query ($id: ID!) {
  event(id: $id) { version history { nodes { kind actor changes event { id } } } }
}
"""
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }"
UNKNOWN_ID = "018f0000-0000-7000-8000-000000000000"


async def fetch_refusal(
    client: Client, id: str, *others: str, relation: str = "RELATED"
) -> list[Any]:
    payload = await client.execute_field(CORRELATE, id=id, others=others, relation=relation)
    assert payload["event"] is None
    return [(error["code"], error["path"]) for error in payload["userErrors"]]


async def fetch_change_kinds(client: Client, id: str) -> list[str]:
    return [
        node["kind"] for node in (await client.execute_field(HISTORY, id=id))["history"]["nodes"]
    ]


async def test_related_is_symmetric_and_stored_once(client: Client) -> None:
    a, b = await log_events(client, "ab")

    await correlate_events(client, b, a)
    await correlate_events(client, a, b)

    assert await fetch_correlations(client, a) == [("RELATED", 1, "b")]
    assert await fetch_correlations(client, b) == [("RELATED", 1, "a")]
    assert (
        await fetch_change_kinds(client, a)
        == await fetch_change_kinds(client, b)
        == ["LOGGED", "CORRELATED"]
    )


@pytest.mark.parametrize(
    ("relation", "back"), [("CAUSED_BY", "CAUSE_OF"), ("CAUSE_OF", "CAUSED_BY")]
)
async def test_a_cause_is_returned_for_both_events(
    client: Client, relation: str, back: str
) -> None:
    a, b = await log_events(client, "ab")

    await correlate_events(client, a, b, relation=relation)
    await correlate_events(client, b, a, relation=back)

    assert await fetch_correlations(client, a) == [(relation, 1, "b")]
    assert await fetch_correlations(client, b) == [(back, 1, "a")]
    assert await fetch_change_kinds(client, a) == ["LOGGED", "CORRELATED"]


async def test_correlating_changes_neither_version_nor_update_time(client: Client) -> None:
    event = await client.log_event(summary="a")
    [b] = await log_events(client, "b")

    after = await correlate_events(client, event["id"], b)

    assert after == {
        "id": event["id"],
        "version": 1,
        "updatedAt": event["updatedAt"],
        "correlations": {"totalCount": 1},
    }


async def test_the_default_relation_is_related_and_no_ids_change_nothing(client: Client) -> None:
    a, b = await log_events(client, "ab")

    await client.execute_field(CORRELATE, id=a, others=[b], relation=None)
    await correlate_events(client, a)
    payload = await client.execute_field(UNCORRELATE, id=b, others=[])

    assert payload["userErrors"] == []
    assert await fetch_correlations(client, a) == [("RELATED", 1, "b")]
    assert await fetch_change_kinds(client, a) == ["LOGGED", "CORRELATED"]


async def test_a_repeated_id_is_linked_once(client: Client) -> None:
    a, b = await log_events(client, "ab")

    await correlate_events(client, a, b, b)

    [_, change] = (await client.execute_field(HISTORY, id=a))["history"]["nodes"]
    assert change["changes"] == {"correlations": [[], [{"eventId": b, "relation": "RELATED"}]]}


async def test_the_change_log_has_the_links_of_both_events(client: Client) -> None:
    a, b, c = await log_events(client, "abc")
    await correlate_events(client, a, b)
    head = await client.execute_field("{ logHead }")

    await correlate_events(client, a, b, c, relation="CAUSED_BY")
    await client.execute_field(UNCORRELATE, id=b, others=[a])

    change = (await client.execute_field(HISTORY, id=a))["history"]["nodes"][2:]
    causes = [{"eventId": each, "relation": "CAUSED_BY"} for each in (b, c)]
    both = [{"eventId": b, "relation": each} for each in ("RELATED", "CAUSED_BY")]
    assert [(node["kind"], node["actor"], node["event"]) for node in change] == [
        ("CORRELATED", "administrator", {"id": a}),
        ("UNCORRELATED", "administrator", {"id": a}),
    ]
    assert [node["changes"] for node in change] == [
        {"correlations": [[], causes]},
        {"correlations": [both, []]},
    ]
    follow = """subscription ($after: String) {
        eventChanged(after: $after, filter: {search: "c"}) { kind eventId changes } }"""
    effect = [{"eventId": a, "relation": "CAUSE_OF"}]
    async with client.subscription(follow, after=head) as subscription:
        assert await subscription.receive_next() == {
            "kind": "CORRELATED",
            "eventId": c,
            "changes": {"correlations": [[], effect]},
        }
    log = await client.execute_field(
        "query ($id: ID!) { eventChanges(eventId: $id) { nodes { changes } } }", id=c
    )
    assert log["nodes"][1] == {"changes": {"correlations": [[], effect]}}


async def test_correlating_a_notification_delivers_no_new_notification(client: Client) -> None:
    head = await client.execute_field("{ logHead }")
    event = await client.log_event(summary="rang", notification=True)
    [b] = await log_events(client, "b")

    await correlate_events(client, event["id"], b)
    await client.log_event(summary="later", notification=True)

    follow = """subscription ($after: String) {
        notificationAdded(after: $after) { node { summary } } }"""
    async with client.subscription(follow, after=head) as subscription:
        rung = await subscription.receive_many(2)
    assert [each["node"]["summary"] for each in rung] == ["rang", "later"]


async def test_uncorrelating_with_a_relation_deletes_only_that_link(client: Client) -> None:
    a, b = await log_events(client, "ab")
    await correlate_events(client, a, b)
    await correlate_events(client, a, b, relation="CAUSED_BY")

    wrong = await client.execute_field(UNCORRELATE, id=a, others=[b], relation="CAUSE_OF")
    assert wrong["event"]["correlations"]["nodes"] == [
        {"relation": "CAUSED_BY", "event": {"summary": "b"}}
    ]
    right = await client.execute_field(UNCORRELATE, id=b, others=[a], relation="CAUSE_OF")

    assert right["userErrors"] == []
    assert await fetch_correlations(client, a) == [("RELATED", 1, "b")]
    assert await fetch_change_kinds(client, a) == [
        "LOGGED",
        "CORRELATED",
        "CORRELATED",
        "UNCORRELATED",
    ]


@pytest.mark.parametrize("relation", ["RELATED", "CAUSED_BY", "CAUSE_OF"])
async def test_a_rejected_call_creates_no_links(client: Client, relation: str) -> None:
    a, b = await log_events(client, "ab")

    assert await fetch_refusal(client, a, b, a, relation=relation) == [
        ("INVALID_INPUT", ["relatedIds", "1"])
    ]
    assert await fetch_refusal(client, a, b, UNKNOWN_ID, "no-id", relation=relation) == [
        ("INVALID_INPUT", ["relatedIds", "2"])
    ]
    assert await fetch_refusal(
        client, UNKNOWN_ID, b, b, UNKNOWN_ID[:-1] + "1", relation=relation
    ) == [
        ("NOT_FOUND", ["eventId"]),
        ("NOT_FOUND", ["relatedIds", "2"]),
    ]
    assert await fetch_refusal(client, a, *[b] * 101, relation=relation) == [
        ("INVALID_INPUT", ["relatedIds"])
    ]
    assert await fetch_correlations(client, a) == []
    assert await fetch_change_kinds(client, a) == await fetch_change_kinds(client, b) == ["LOGGED"]


async def test_the_error_for_too_many_ids_contains_the_limit(client: Client) -> None:
    a, b = await log_events(client, "ab")

    payload = await client.execute_field(CORRELATE, id=a, others=[b] * 101)

    [error] = payload["userErrors"]
    assert error["message"] == "At most 100 IDs are allowed; relatedIds has 101."


async def test_uncorrelating_rejects_the_same_input_as_correlating(client: Client) -> None:
    a, b = await log_events(client, "ab")
    await correlate_events(client, a, b)

    for others, code, path in (
        ([b, a], "INVALID_INPUT", ["relatedIds", "1"]),
        ([b, UNKNOWN_ID], "NOT_FOUND", ["relatedIds", "1"]),
        ([b, "no-id"], "INVALID_INPUT", ["relatedIds", "1"]),
        ([b] * 101, "INVALID_INPUT", ["relatedIds"]),
    ):
        payload = await client.execute_field(UNCORRELATE, id=a, others=others)
        assert payload["event"] is None
        assert [(each["code"], each["path"]) for each in payload["userErrors"]] == [(code, path)]

    assert await fetch_correlations(client, a) == [("RELATED", 1, "b")]


async def test_a_cycle_of_causes_is_rejected_with_its_path(client: Client) -> None:
    a, b, c, d = await log_events(client, "abcd")
    await correlate_events(client, a, b, relation="CAUSED_BY")
    await correlate_events(client, b, c, relation="CAUSED_BY")

    payload = await client.execute_field(CORRELATE, id=c, others=[d, a], relation="CAUSED_BY")
    backwards = await client.execute_field(CORRELATE, id=a, others=[d, c], relation="CAUSE_OF")

    named = (
        "The link would make an event its own cause. "
        f"In this cycle each event is caused by the next: {c}, {a}, {b}, {c}."
    )
    assert (
        payload["userErrors"]
        == backwards["userErrors"]
        == [{"code": "CYCLE", "message": named, "path": ["relatedIds", "1"]}]
    )
    assert await fetch_correlations(client, d) == []
    assert await fetch_correlations(client, c) == [("CAUSE_OF", 1, "b")]
    assert await fetch_change_kinds(client, d) == ["LOGGED"]


async def test_related_events_may_form_a_cycle_and_be_causes(
    client: Client,
) -> None:
    a, b, c = await log_events(client, "abc")
    await correlate_events(client, a, b, c)
    await correlate_events(client, b, c)

    await correlate_events(client, a, b, relation="CAUSED_BY")

    assert await fetch_correlations(client, a) == [("RELATED", 1, "c"), ("CAUSED_BY", 1, "b")]
    assert await fetch_correlations(client, b, depth=5) == [
        *(("RELATED", 1, "c"), ("CAUSE_OF", 1, "a")),
    ]


async def test_deleting_an_event_deletes_its_links(client: Client) -> None:
    a, b, c = await log_events(client, "abc")
    await correlate_events(client, b, a, c)

    await client.execute_field(DELETE, id=b)

    assert await fetch_correlations(client, a, depth=5) == []
    assert await fetch_refusal(client, a, b) == [("NOT_FOUND", ["relatedIds", "0"])]


async def test_an_event_of_another_organization_is_not_found(
    own_client: Client, database: Database
) -> None:
    everything = (Permission.EVENT_READ, Permission.EVENT_CREATE, Permission.EVENT_UPDATE)
    foreign = own_client.as_key(await create_api_key(database, *everything, organization="acme"))
    a, b = await log_events(own_client, "ab")
    [c] = await log_events(foreign, "c")

    for relation in ("RELATED", "CAUSED_BY", "CAUSE_OF"):
        assert await fetch_refusal(own_client, a, b, c, relation=relation) == [
            ("NOT_FOUND", ["relatedIds", "1"])
        ]
        assert await fetch_refusal(foreign, a, c, relation=relation) == [("NOT_FOUND", ["eventId"])]
    stranger = await foreign.execute_field(UNCORRELATE, id=a, others=[b])

    assert [each["code"] for each in stranger["userErrors"]] == ["NOT_FOUND", "NOT_FOUND"]
    assert await fetch_correlations(own_client, a) == await fetch_correlations(foreign, c) == []


async def test_deleting_an_event_is_logged_for_its_correlated_events(client: Client) -> None:
    effect, cause = [await client.log_event(summary=each) for each in ("effect", "cause")]
    await client.execute_field(
        """mutation ($event: ID!, $cause: ID!) {
             correlateEvents(eventId: $event, relatedIds: [$cause], relation: CAUSED_BY) {
               userErrors { code } } }""",
        event=effect["id"],
        cause=cause["id"],
    )

    await client.execute_field(
        "mutation ($id: ID!) { deleteEvent(id: $id) { event { id } } }", id=cause["id"]
    )

    event = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { history { nodes { kind changes } } } }",
        id=effect["id"],
    )
    change = event["history"]["nodes"][-1]
    assert change["kind"] == "UNCORRELATED"
    assert change["changes"] == {
        "correlations": [[{"eventId": cause["id"], "relation": "CAUSED_BY"}], []]
    }
