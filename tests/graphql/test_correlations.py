"""Correlations as a client reads them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import Client
from tests.conftest import Statements
from tests.worlds import a_key

CORRELATE = """
mutation ($id: ID!, $others: [ID!]!, $relation: Relation) {
  correlateEvents(eventId: $id, relatedIds: $others, relation: $relation) {
    event { id version updatedAt correlations { totalCount } }
    userErrors { code message path }
  }
}
"""
CORRELATIONS = """
query ($id: ID!, $depth: Int, $first: Int, $after: String) {
  event(id: $id) {
    correlations(depth: $depth, first: $first, after: $after) {
      totalCount
      edges { cursor node { depth } }
      nodes { relation depth createdAt createdBy event { id summary } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""
IN_A_LIST = """
query ($depth: Int, $first: Int, $after: String) {
  events(orderBy: {field: RECORDED_AT, direction: ASC}) {
    nodes {
      summary
      correlations(depth: $depth, first: $first, after: $after) {
        totalCount nodes { relation event { summary } } pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""
LOG_EVENTS = """
mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { results { event { id } } } }
"""


async def some(client: Client, names: str) -> list[str]:
    """An event for each letter: their ids."""
    logged = await client.ask(LOG_EVENTS, input=[{"summary": name} for name in names])
    return [result["event"]["id"] for result in logged["results"]]


async def correlate(client: Client, id: str, *others: str, relation: str = "RELATED") -> Any:
    payload = await client.ask(CORRELATE, id=id, others=others, relation=relation)
    assert payload["userErrors"] == []
    return payload["event"]


async def seen(client: Client, id: str, depth: int = 1) -> list[tuple[str, int, str]]:
    """(relation, depth, summary) of all that the event is correlated with."""
    found = (await client.ask(CORRELATIONS, id=id, depth=depth, first=100))["correlations"]
    assert found["totalCount"] == len(found["nodes"])
    return [(node["relation"], node["depth"], node["event"]["summary"]) for node in found["nodes"]]


async def test_a_correlation_says_who_made_it_and_when(client: Client) -> None:
    a, b = await some(client, "ab")

    await correlate(client, a, b)

    [node] = (await client.ask(CORRELATIONS, id=a))["correlations"]["nodes"]
    assert (node["createdBy"], node["event"]) == ("administrator", {"id": b, "summary": "b"})
    assert node["createdAt"].endswith("Z")


async def test_a_way_of_causes_stays_one_and_any_other_is_related(client: Client) -> None:
    a, b, c, d, e = await some(client, "abcde")
    await correlate(client, a, b, relation="CAUSED_BY")
    await correlate(client, b, c, relation="CAUSED_BY")
    await correlate(client, b, d, relation="CAUSE_OF")
    await correlate(client, c, e)

    assert await seen(client, a, depth=5) == [
        ("CAUSED_BY", 1, "b"),
        ("CAUSED_BY", 2, "c"),
        ("RELATED", 2, "d"),
        ("RELATED", 3, "e"),
    ]
    assert await seen(client, c, depth=2) == [
        ("CAUSE_OF", 1, "b"),
        ("RELATED", 1, "e"),
        ("CAUSE_OF", 2, "a"),
        ("CAUSE_OF", 2, "d"),
    ]


async def test_each_event_is_told_once_at_its_least_depth(client: Client) -> None:
    a, b, c, d = await some(client, "abcd")
    await correlate(client, a, b, c)
    await correlate(client, b, c, d)
    await correlate(client, c, d, relation="CAUSED_BY")
    await correlate(client, d, a)

    assert await seen(client, a, depth=5) == [
        *(("RELATED", 1, "b"), ("RELATED", 1, "c"), ("RELATED", 1, "d"))
    ]
    assert await seen(client, a, depth=1) == await seen(client, a, depth=2)


@pytest.mark.parametrize("depth", [1, 3])
async def test_correlations_are_paged(client: Client, depth: int) -> None:
    a, *others = await some(client, "abcdefg")
    for other in reversed(others):
        await correlate(client, a, other)
    told: list[str] = []
    after = None

    for expected in (4, 2):
        page = (await client.ask(CORRELATIONS, id=a, depth=depth, first=4, after=after))[
            "correlations"
        ]
        told += [node["event"]["summary"] for node in page["nodes"]]
        assert (len(page["nodes"]), page["totalCount"]) == (expected, 6)
        assert page["pageInfo"] == {
            "hasNextPage": expected == 4,
            "hasPreviousPage": after is not None,
            "startCursor": page["edges"][0]["cursor"],
            "endCursor": page["edges"][-1]["cursor"],
        }
        after = page["pageInfo"]["endCursor"]

    assert told == list("gfedcb")
    end = (await client.ask(CORRELATIONS, id=a, depth=depth, after=after))["correlations"]
    assert (end["nodes"], end["totalCount"], end["pageInfo"]["hasNextPage"]) == ([], 6, False)


async def test_a_page_that_begins_at_a_deeper_level_goes_on_there(client: Client) -> None:
    a, b, c, d = await some(client, "abcd")
    await correlate(client, c, d)
    await correlate(client, b, c)
    await correlate(client, a, b)
    first = (await client.ask(CORRELATIONS, id=a, depth=3, first=2))["correlations"]

    cursor = first["pageInfo"]["endCursor"]
    second = (await client.ask(CORRELATIONS, id=a, depth=3, after=cursor))["correlations"]
    nearer = (await client.ask(CORRELATIONS, id=a, after=cursor))["correlations"]

    assert [node["event"]["summary"] for node in first["nodes"]] == ["b", "c"]
    assert [node["event"]["summary"] for node in second["nodes"]] == ["d"]
    assert (nearer["nodes"], nearer["totalCount"]) == ([], 1)


async def test_links_of_one_call_are_in_order_of_ids(client: Client) -> None:
    a, *others = await some(client, "abcdefghij")

    await correlate(client, a, *reversed(others))

    found = (await client.ask(CORRELATIONS, id=a))["correlations"]["nodes"]
    assert [node["event"]["id"] for node in found] == sorted(others, key=UUID)


@pytest.mark.parametrize("depth", [1, 2])
async def test_a_cursor_of_something_else_is_no_cursor(
    own_client: Client, database: Database, depth: int
) -> None:
    a, b = await some(own_client, "ab")
    await correlate(own_client, a, b)
    foreign = own_client.as_key(
        await a_key(
            database,
            Permission.EVENT_READ,
            Permission.EVENT_CREATE,
            Permission.EVENT_UPDATE,
            organization="acme",
        )
    )
    c, d = await some(foreign, "cd")
    await correlate(foreign, c, d)
    page = await foreign.ask(CORRELATIONS, id=c)
    listed = await own_client.ask("{ events { pageInfo { endCursor } } }")

    for cursor in (
        "nothing",
        page["correlations"]["pageInfo"]["endCursor"],
        listed["pageInfo"]["endCursor"],
    ):
        error = await own_client.error(CORRELATIONS, id=a, depth=depth, after=cursor)
        assert error["extensions"] == {"code": "INVALID_CURSOR", "argument": ["after"]}


@pytest.mark.parametrize("depth", [-1, 0, 6])
async def test_depth_is_from_1_to_5(client: Client, depth: int) -> None:
    [a] = await some(client, "a")

    error = await client.error(CORRELATIONS, id=a, depth=depth)

    assert error["message"] == "depth must be from 1 to 5."
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": ["depth"]}


async def test_below_a_list_only_direct_links_are_told(client: Client) -> None:
    a, b, c, _ = await some(client, "abcd")
    await correlate(client, a, b, relation="CAUSED_BY")
    await correlate(client, b, c)
    await correlate(client, a, c)

    answer = await client.answer(IN_A_LIST, depth=2)
    first = await client.ask(IN_A_LIST, first=1)
    cursor = first["nodes"][0]["correlations"]["pageInfo"]["endCursor"]
    second = await client.ask(IN_A_LIST, first=1, after=cursor)

    assert answer["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "argument": ["depth"]}
    assert answer["data"] is None
    assert [_listed(node) for node in first["nodes"]] == [
        ("a", 2, [("CAUSED_BY", "b")], True),
        ("b", 2, [("CAUSE_OF", "a")], True),
        ("c", 2, [("RELATED", "b")], True),
        ("d", 0, [], False),
    ]
    # A cursor is a place in time, whichever event's list it is of.
    assert [_listed(node) for node in second["nodes"]] == [
        ("a", 2, [("RELATED", "c")], False),
        ("b", 2, [("RELATED", "c")], False),
        ("c", 2, [("RELATED", "b")], True),
        ("d", 0, [], False),
    ]


async def test_what_correlations_lead_to_is_below_a_list_as_well(client: Client) -> None:
    a, b = await some(client, "ab")
    await correlate(client, a, b)
    nested = """query ($id: ID!, $depth: Int) { event(id: $id) { correlations(depth: 5) {
        nodes { event { correlations(depth: $depth) { nodes { event { summary } } } } } } } }"""

    found = await client.ask(nested, id=a, depth=1)
    error = await client.error(nested, id=a, depth=2)

    [node] = found["correlations"]["nodes"]
    assert node["event"]["correlations"]["nodes"] == [{"event": {"summary": "a"}}]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_walk_costs_a_statement_a_level_and_one_for_the_page(
    own_client: Client, statements: Statements
) -> None:
    ids = await some(own_client, "abcdefgh")
    for near, far in pairwise(ids):
        await correlate(own_client, near, far)
    statements.clear()

    assert len(await seen(own_client, ids[0], depth=4)) == 4

    reads = [each for each in statements if each.startswith(("SELECT", "WITH"))]
    # The event; four levels; the events of the page.
    assert len([each for each in reads if "FROM change " not in " ".join(each.split())]) == 6


async def test_at_most_1_000_events_are_told(client: Client) -> None:
    [hub] = await some(client, "a")
    for count in (500, 500, 1):
        ids = await some(client, "b" * count)
        for start in range(0, count, 100):
            await correlate(client, hub, *ids[start : start + 100])
    [beyond] = await some(client, "c")
    await correlate(client, ids[0], beyond)

    for depth in (1, 5):
        page = (await client.ask(CORRELATIONS, id=hub, depth=depth, first=100))["correlations"]
        assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (1000, True)
    around = (await client.ask(CORRELATIONS, id=beyond, depth=5, first=100))["correlations"]
    assert [node["depth"] for node in around["nodes"][:3]] == [1, 2, 3]
    assert around["totalCount"] == 1000


async def test_without_event_read_no_correlation_is_shown(
    own_client: Client, database: Database
) -> None:
    a, b = await some(own_client, "ab")
    updater = own_client.as_key(await a_key(database, Permission.EVENT_UPDATE))

    answer = await updater.answer(CORRELATE, id=a, others=[b])

    [error] = answer["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert error["message"] == "Event.correlations needs the permission EVENT_READ."
    assert await seen(own_client, a) == [("RELATED", 1, "b")]


def _listed(node: Any) -> tuple[str, int, list[tuple[str, str]], bool]:
    found = node["correlations"]
    told = [(each["relation"], each["event"]["summary"]) for each in found["nodes"]]
    return node["summary"], found["totalCount"], told, found["pageInfo"]["hasNextPage"]
