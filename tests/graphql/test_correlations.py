"""Queries of correlations."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import Client
from tests.conftest import Statements
from tests.factories import create_api_key

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


async def log_events(client: Client, names: str) -> list[str]:
    """Logs an event per letter. Returns their IDs."""
    logged = await client.execute_field(LOG_EVENTS, input=[{"summary": name} for name in names])
    return [result["event"]["id"] for result in logged["results"]]


async def correlate_events(client: Client, id: str, *others: str, relation: str = "RELATED") -> Any:
    payload = await client.execute_field(CORRELATE, id=id, others=others, relation=relation)
    assert payload["userErrors"] == []
    return payload["event"]


async def fetch_correlations(client: Client, id: str, depth: int = 1) -> list[tuple[str, int, str]]:
    """Returns (relation, depth, summary) of all correlated events."""
    connection = (await client.execute_field(CORRELATIONS, id=id, depth=depth, first=100))[
        "correlations"
    ]
    assert connection["totalCount"] == len(connection["nodes"])
    return [
        (node["relation"], node["depth"], node["event"]["summary"]) for node in connection["nodes"]
    ]


async def test_a_correlation_has_its_creator_and_time(client: Client) -> None:
    a, b = await log_events(client, "ab")

    await correlate_events(client, a, b)

    [node] = (await client.execute_field(CORRELATIONS, id=a))["correlations"]["nodes"]
    assert (node["createdBy"], node["event"]) == ("administrator", {"id": b, "summary": "b"})
    assert node["createdAt"].endswith("Z")


async def test_a_path_of_causes_is_a_cause_and_any_other_is_related(client: Client) -> None:
    a, b, c, d, e = await log_events(client, "abcde")
    await correlate_events(client, a, b, relation="CAUSED_BY")
    await correlate_events(client, b, c, relation="CAUSED_BY")
    await correlate_events(client, b, d, relation="CAUSE_OF")
    await correlate_events(client, c, e)

    assert await fetch_correlations(client, a, depth=5) == [
        ("CAUSED_BY", 1, "b"),
        ("CAUSED_BY", 2, "c"),
        ("RELATED", 2, "d"),
        ("RELATED", 3, "e"),
    ]
    assert await fetch_correlations(client, c, depth=2) == [
        ("CAUSE_OF", 1, "b"),
        ("RELATED", 1, "e"),
        ("CAUSE_OF", 2, "a"),
        ("CAUSE_OF", 2, "d"),
    ]


async def test_each_event_is_returned_once_at_its_least_depth(client: Client) -> None:
    a, b, c, d = await log_events(client, "abcd")
    await correlate_events(client, a, b, c)
    await correlate_events(client, b, c, d)
    await correlate_events(client, c, d, relation="CAUSED_BY")
    await correlate_events(client, d, a)

    assert await fetch_correlations(client, a, depth=5) == [
        *(("RELATED", 1, "b"), ("RELATED", 1, "c"), ("RELATED", 1, "d"))
    ]
    assert await fetch_correlations(client, a, depth=1) == await fetch_correlations(
        client, a, depth=2
    )


@pytest.mark.parametrize("depth", [1, 3])
async def test_correlations_are_paged(client: Client, depth: int) -> None:
    a, *others = await log_events(client, "abcdefg")
    for other in reversed(others):
        await correlate_events(client, a, other)
    summaries: list[str] = []
    after = None

    for expected in (4, 2):
        page = (await client.execute_field(CORRELATIONS, id=a, depth=depth, first=4, after=after))[
            "correlations"
        ]
        summaries += [node["event"]["summary"] for node in page["nodes"]]
        assert (len(page["nodes"]), page["totalCount"]) == (expected, 6)
        assert page["pageInfo"] == {
            "hasNextPage": expected == 4,
            "hasPreviousPage": after is not None,
            "startCursor": page["edges"][0]["cursor"],
            "endCursor": page["edges"][-1]["cursor"],
        }
        after = page["pageInfo"]["endCursor"]

    assert summaries == list("gfedcb")
    end = (await client.execute_field(CORRELATIONS, id=a, depth=depth, after=after))["correlations"]
    assert (end["nodes"], end["totalCount"], end["pageInfo"]["hasNextPage"]) == ([], 6, False)


async def test_a_page_can_begin_at_a_deeper_level(client: Client) -> None:
    a, b, c, d = await log_events(client, "abcd")
    await correlate_events(client, c, d)
    await correlate_events(client, b, c)
    await correlate_events(client, a, b)
    first = (await client.execute_field(CORRELATIONS, id=a, depth=3, first=2))["correlations"]

    cursor = first["pageInfo"]["endCursor"]
    second = (await client.execute_field(CORRELATIONS, id=a, depth=3, after=cursor))["correlations"]
    nearer = (await client.execute_field(CORRELATIONS, id=a, after=cursor))["correlations"]

    assert [node["event"]["summary"] for node in first["nodes"]] == ["b", "c"]
    assert [node["event"]["summary"] for node in second["nodes"]] == ["d"]
    assert (nearer["nodes"], nearer["totalCount"]) == ([], 1)


async def test_links_of_one_call_are_ordered_by_id(client: Client) -> None:
    a, *others = await log_events(client, "abcdefghij")

    await correlate_events(client, a, *reversed(others))

    connection = (await client.execute_field(CORRELATIONS, id=a))["correlations"]["nodes"]
    assert [node["event"]["id"] for node in connection] == sorted(others, key=UUID)


@pytest.mark.parametrize("depth", [1, 2])
async def test_a_cursor_of_another_list_is_invalid(
    own_client: Client, database: Database, depth: int
) -> None:
    a, b = await log_events(own_client, "ab")
    await correlate_events(own_client, a, b)
    foreign = own_client.as_key(
        await create_api_key(
            database,
            Permission.EVENT_READ,
            Permission.EVENT_CREATE,
            Permission.EVENT_UPDATE,
            organization="acme",
        )
    )
    c, d = await log_events(foreign, "cd")
    await correlate_events(foreign, c, d)
    page = await foreign.execute_field(CORRELATIONS, id=c)
    listed = await own_client.execute_field("{ events { pageInfo { endCursor } } }")

    for cursor in (
        "nothing",
        page["correlations"]["pageInfo"]["endCursor"],
        listed["pageInfo"]["endCursor"],
    ):
        error = await own_client.expect_error(CORRELATIONS, id=a, depth=depth, after=cursor)
        assert error["extensions"] == {"code": "INVALID_CURSOR", "path": ["after"]}


@pytest.mark.parametrize("depth", [-1, 0, 6])
async def test_depth_is_from_1_to_5(client: Client, depth: int) -> None:
    [a] = await log_events(client, "a")

    error = await client.expect_error(CORRELATIONS, id=a, depth=depth)

    assert error["message"] == f"Invalid depth {depth}: expected 1 to 5."
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": ["depth"]}


async def test_below_a_list_only_direct_links_are_available(client: Client) -> None:
    a, b, c, _ = await log_events(client, "abcd")
    await correlate_events(client, a, b, relation="CAUSED_BY")
    await correlate_events(client, b, c)
    await correlate_events(client, a, c)

    answer = await client.execute(IN_A_LIST, depth=2)
    first = await client.execute_field(IN_A_LIST, first=1)
    cursor = first["nodes"][0]["correlations"]["pageInfo"]["endCursor"]
    second = await client.execute_field(IN_A_LIST, first=1, after=cursor)

    assert answer["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "path": ["depth"]}
    assert answer["data"] is None
    assert [_summarize_node(node) for node in first["nodes"]] == [
        ("a", 2, [("CAUSED_BY", "b")], True),
        ("b", 2, [("CAUSE_OF", "a")], True),
        ("c", 2, [("RELATED", "b")], True),
        ("d", 0, [], False),
    ]
    # A cursor is a time of creation, which is valid in the list of any event.
    assert [_summarize_node(node) for node in second["nodes"]] == [
        ("a", 2, [("RELATED", "c")], False),
        ("b", 2, [("RELATED", "c")], False),
        ("c", 2, [("RELATED", "b")], True),
        ("d", 0, [], False),
    ]


async def test_correlations_of_correlated_events_are_below_a_list(client: Client) -> None:
    a, b = await log_events(client, "ab")
    await correlate_events(client, a, b)
    nested = """query ($id: ID!, $depth: Int) { event(id: $id) { correlations(depth: 5) {
        nodes { event { correlations(depth: $depth) { nodes { event { summary } } } } } } } }"""

    payload = await client.execute_field(nested, id=a, depth=1)
    error = await client.expect_error(nested, id=a, depth=2)

    [node] = payload["correlations"]["nodes"]
    assert node["event"]["correlations"]["nodes"] == [{"event": {"summary": "a"}}]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_traversal_takes_a_statement_per_level_and_one_for_the_page(
    own_client: Client, statements: Statements
) -> None:
    ids = await log_events(own_client, "abcdefgh")
    for near, far in pairwise(ids):
        await correlate_events(own_client, near, far)
    statements.clear()

    assert len(await fetch_correlations(own_client, ids[0], depth=4)) == 4

    reads = [each for each in statements if each.startswith(("SELECT", "WITH"))]
    # The event; four levels; the events of the page.
    assert len(reads) == 6


async def test_at_most_1_000_events_are_returned(client: Client) -> None:
    [hub] = await log_events(client, "a")
    for count in (500, 500, 1):
        ids = await log_events(client, "b" * count)
        for start in range(0, count, 100):
            await correlate_events(client, hub, *ids[start : start + 100])
    [beyond] = await log_events(client, "c")
    await correlate_events(client, ids[0], beyond)

    for depth in (1, 5):
        page = (await client.execute_field(CORRELATIONS, id=hub, depth=depth, first=100))[
            "correlations"
        ]
        assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (1000, True)
    around = (await client.execute_field(CORRELATIONS, id=beyond, depth=5, first=100))[
        "correlations"
    ]
    assert [node["depth"] for node in around["nodes"][:3]] == [1, 2, 3]
    assert around["totalCount"] == 1000


async def test_correlations_require_event_read(own_client: Client, database: Database) -> None:
    a, b = await log_events(own_client, "ab")
    updater = own_client.as_key(await create_api_key(database, Permission.EVENT_UPDATE))

    answer = await updater.execute(CORRELATE, id=a, others=[b])

    [error] = answer["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert error["message"] == "Event.correlations requires the permission EVENT_READ."
    assert await fetch_correlations(own_client, a) == [("RELATED", 1, "b")]


def _summarize_node(node: Any) -> tuple[str, int, list[tuple[str, str]], bool]:
    connection = node["correlations"]
    summaries = [(each["relation"], each["event"]["summary"]) for each in connection["nodes"]]
    return (
        node["summary"],
        connection["totalCount"],
        summaries,
        connection["pageInfo"]["hasNextPage"],
    )
