"""Correlations as a client makes them and takes them away."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import Client
from tests.graphql.test_correlations import CORRELATE, correlate, seen, some
from tests.worlds import a_key

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
NOBODY = "018f0000-0000-7000-8000-000000000000"


async def refused(client: Client, id: str, *others: str, relation: str = "RELATED") -> list[Any]:
    payload = await client.ask(CORRELATE, id=id, others=others, relation=relation)
    assert payload["event"] is None
    return [(error["code"], error["path"]) for error in payload["userErrors"]]


async def kinds(client: Client, id: str) -> list[str]:
    return [node["kind"] for node in (await client.ask(HISTORY, id=id))["history"]["nodes"]]


async def test_related_goes_both_ways_and_is_kept_once(client: Client) -> None:
    a, b = await some(client, "ab")

    await correlate(client, b, a)
    await correlate(client, a, b)

    assert await seen(client, a) == [("RELATED", 1, "b")]
    assert await seen(client, b) == [("RELATED", 1, "a")]
    assert await kinds(client, a) == await kinds(client, b) == ["LOGGED", "CORRELATED"]


@pytest.mark.parametrize(
    ("relation", "back"), [("CAUSED_BY", "CAUSE_OF"), ("CAUSE_OF", "CAUSED_BY")]
)
async def test_a_cause_is_seen_from_both_ends(client: Client, relation: str, back: str) -> None:
    a, b = await some(client, "ab")

    await correlate(client, a, b, relation=relation)
    await correlate(client, b, a, relation=back)

    assert await seen(client, a) == [(relation, 1, "b")]
    assert await seen(client, b) == [(back, 1, "a")]
    assert await kinds(client, a) == ["LOGGED", "CORRELATED"]


async def test_correlating_leaves_version_and_update_time_alone(client: Client) -> None:
    event = await client.log(summary="a")
    [b] = await some(client, "b")

    after = await correlate(client, event["id"], b)

    assert after == {
        "id": event["id"],
        "version": 1,
        "updatedAt": event["updatedAt"],
        "correlations": {"totalCount": 1},
    }


async def test_no_relation_means_related_and_no_others_nothing(client: Client) -> None:
    a, b = await some(client, "ab")

    await client.ask(CORRELATE, id=a, others=[b], relation=None)
    await correlate(client, a)
    nothing = await client.ask(UNCORRELATE, id=b, others=[])

    assert nothing["userErrors"] == []
    assert await seen(client, a) == [("RELATED", 1, "b")]
    assert await kinds(client, a) == ["LOGGED", "CORRELATED"]


async def test_an_id_given_twice_is_linked_once(client: Client) -> None:
    a, b = await some(client, "ab")

    await correlate(client, a, b, b)

    [_, change] = (await client.ask(HISTORY, id=a))["history"]["nodes"]
    assert change["changes"] == {"correlations": [[], [{"eventId": b, "relation": "RELATED"}]]}


async def test_both_events_tell_of_their_links(client: Client) -> None:
    a, b, c = await some(client, "abc")
    await correlate(client, a, b)
    head = await client.ask("{ logHead }")

    await correlate(client, a, b, c, relation="CAUSED_BY")
    await client.ask(UNCORRELATE, id=b, others=[a])

    told = (await client.ask(HISTORY, id=a))["history"]["nodes"][2:]
    causes = [{"eventId": each, "relation": "CAUSED_BY"} for each in (b, c)]
    both = [{"eventId": b, "relation": each} for each in ("RELATED", "CAUSED_BY")]
    assert [(node["kind"], node["actor"], node["event"]) for node in told] == [
        ("CORRELATED", "administrator", {"id": a}),
        ("UNCORRELATED", "administrator", {"id": a}),
    ]
    assert [node["changes"] for node in told] == [
        {"correlations": [[], causes]},
        {"correlations": [both, []]},
    ]
    follow = """subscription ($after: String) {
        eventChanged(after: $after, filter: {search: "c"}) { kind eventId changes } }"""
    effect = [{"eventId": a, "relation": "CAUSE_OF"}]
    async with client.subscription(follow, after=head) as heard:
        assert await heard.next() == {
            "kind": "CORRELATED",
            "eventId": c,
            "changes": {"correlations": [[], effect]},
        }
    log = await client.ask(
        "query ($id: ID!) { eventChanges(eventId: $id) { nodes { changes } } }", id=c
    )
    assert log["nodes"][1] == {"changes": {"correlations": [[], effect]}}


async def test_correlating_a_notification_does_not_ring_again(client: Client) -> None:
    head = await client.ask("{ logHead }")
    event = await client.log(summary="rang", notification=True)
    [b] = await some(client, "b")

    await correlate(client, event["id"], b)
    await client.log(summary="later", notification=True)

    follow = """subscription ($after: String) {
        notificationAdded(after: $after) { node { summary } } }"""
    async with client.subscription(follow, after=head) as heard:
        rung = await heard.take(2)
    assert [each["node"]["summary"] for each in rung] == ["rang", "later"]


async def test_uncorrelating_with_a_relation_takes_that_alone(client: Client) -> None:
    a, b = await some(client, "ab")
    await correlate(client, a, b)
    await correlate(client, a, b, relation="CAUSED_BY")

    wrong = await client.ask(UNCORRELATE, id=a, others=[b], relation="CAUSE_OF")
    assert wrong["event"]["correlations"]["nodes"] == [
        {"relation": "CAUSED_BY", "event": {"summary": "b"}}
    ]
    right = await client.ask(UNCORRELATE, id=b, others=[a], relation="CAUSE_OF")

    assert right["userErrors"] == []
    assert await seen(client, a) == [("RELATED", 1, "b")]
    assert await kinds(client, a) == ["LOGGED", "CORRELATED", "CORRELATED", "UNCORRELATED"]


@pytest.mark.parametrize("relation", ["RELATED", "CAUSED_BY", "CAUSE_OF"])
async def test_a_refused_call_links_nothing(client: Client, relation: str) -> None:
    a, b = await some(client, "ab")

    assert await refused(client, a, b, a, relation=relation) == [
        ("INVALID_INPUT", ["relatedIds", "1"])
    ]
    assert await refused(client, a, b, NOBODY, "no-id", relation=relation) == [
        ("INVALID_INPUT", ["relatedIds", "2"])
    ]
    assert await refused(client, NOBODY, b, b, NOBODY[:-1] + "1", relation=relation) == [
        ("NOT_FOUND", ["eventId"]),
        ("NOT_FOUND", ["relatedIds", "2"]),
    ]
    assert await refused(client, a, *[b] * 101, relation=relation) == [
        ("INVALID_INPUT", ["relatedIds"])
    ]
    assert await seen(client, a) == []
    assert await kinds(client, a) == await kinds(client, b) == ["LOGGED"]


async def test_the_refusal_of_too_many_names_the_limit(client: Client) -> None:
    a, b = await some(client, "ab")

    payload = await client.ask(CORRELATE, id=a, others=[b] * 101)

    [error] = payload["userErrors"]
    assert error["message"] == "There are 101 ids; at most 100 a call."


async def test_uncorrelating_refuses_what_correlating_refuses(client: Client) -> None:
    a, b = await some(client, "ab")
    await correlate(client, a, b)

    for others, code, path in (
        ([b, a], "INVALID_INPUT", ["relatedIds", "1"]),
        ([b, NOBODY], "NOT_FOUND", ["relatedIds", "1"]),
        ([b, "no-id"], "INVALID_INPUT", ["relatedIds", "1"]),
        ([b] * 101, "INVALID_INPUT", ["relatedIds"]),
    ):
        payload = await client.ask(UNCORRELATE, id=a, others=others)
        assert payload["event"] is None
        assert [(each["code"], each["path"]) for each in payload["userErrors"]] == [(code, path)]

    assert await seen(client, a) == [("RELATED", 1, "b")]


async def test_a_cycle_of_causes_is_refused_and_named(client: Client) -> None:
    a, b, c, d = await some(client, "abcd")
    await correlate(client, a, b, relation="CAUSED_BY")
    await correlate(client, b, c, relation="CAUSED_BY")

    payload = await client.ask(CORRELATE, id=c, others=[d, a], relation="CAUSED_BY")
    backwards = await client.ask(CORRELATE, id=a, others=[d, c], relation="CAUSE_OF")

    named = f"An event would be its own cause, each caused by the next: {c}, {a}, {b}, {c}."
    assert (
        payload["userErrors"]
        == backwards["userErrors"]
        == [{"code": "CYCLE", "message": named, "path": ["relatedIds", "1"]}]
    )
    assert await seen(client, d) == []
    assert await seen(client, c) == [("CAUSE_OF", 1, "b")]
    assert await kinds(client, d) == ["LOGGED"]


async def test_related_events_may_form_a_circle_and_one_may_be_a_cause_as_well(
    client: Client,
) -> None:
    a, b, c = await some(client, "abc")
    await correlate(client, a, b, c)
    await correlate(client, b, c)

    await correlate(client, a, b, relation="CAUSED_BY")

    assert await seen(client, a) == [("RELATED", 1, "c"), ("CAUSED_BY", 1, "b")]
    assert await seen(client, b, depth=5) == [
        *(("RELATED", 1, "c"), ("CAUSE_OF", 1, "a")),
    ]


async def test_a_deleted_event_takes_its_links_with_it(client: Client) -> None:
    a, b, c = await some(client, "abc")
    await correlate(client, b, a, c)

    await client.ask(DELETE, id=b)

    assert await seen(client, a, depth=5) == []
    assert await refused(client, a, b) == [("NOT_FOUND", ["relatedIds", "0"])]


async def test_another_organization_s_event_is_not_there(
    own_client: Client, database: Database
) -> None:
    everything = (Permission.EVENT_READ, Permission.EVENT_CREATE, Permission.EVENT_UPDATE)
    foreign = own_client.as_key(await a_key(database, *everything, organization="acme"))
    a, b = await some(own_client, "ab")
    [c] = await some(foreign, "c")

    for relation in ("RELATED", "CAUSED_BY", "CAUSE_OF"):
        assert await refused(own_client, a, b, c, relation=relation) == [
            ("NOT_FOUND", ["relatedIds", "1"])
        ]
        assert await refused(foreign, a, c, relation=relation) == [("NOT_FOUND", ["eventId"])]
    stranger = await foreign.ask(UNCORRELATE, id=a, others=[b])

    assert [each["code"] for each in stranger["userErrors"]] == ["NOT_FOUND", "NOT_FOUND"]
    assert await seen(own_client, a) == await seen(foreign, c) == []


async def test_who_loses_a_neighbour_tells_so(client: Client) -> None:
    effect, cause = [await client.log(summary=each) for each in ("effect", "cause")]
    await client.ask(
        """mutation ($event: ID!, $cause: ID!) {
             correlateEvents(eventId: $event, relatedIds: [$cause], relation: CAUSED_BY) {
               userErrors { code } } }""",
        event=effect["id"],
        cause=cause["id"],
    )

    await client.ask(
        "mutation ($id: ID!) { deleteEvent(id: $id) { event { id } } }", id=cause["id"]
    )

    event = await client.ask(
        "query ($id: ID!) { event(id: $id) { history { nodes { kind changes } } } }",
        id=effect["id"],
    )
    told = event["history"]["nodes"][-1]
    assert told["kind"] == "UNCORRELATED"
    assert told["changes"] == {
        "correlations": [[{"eventId": cause["id"], "relation": "CAUSED_BY"}], []]
    }
