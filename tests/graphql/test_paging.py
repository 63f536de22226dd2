"""Pages while others write: what was there all the time comes exactly once, nothing comes twice.

With each page an insertion, an update and a deletion are on their way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from tests.client import Client
from tests.graphql.test_history import CHANGES, DELETE, HISTORY, UPDATE
from tests.graphql.test_notifications import BELL

EVENTS = """
query (
  $filter: EventFilter, $orderBy: EventOrder, $first: Int, $after: String, $last: Int,
  $before: String
) {
  events(
    filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before
  ) {
    nodes { id occurredAt recordedAt }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
LOG_EVENTS = """
mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { results { event { id } } } }
"""
LASTING, PASSING, SIZE = 24, 24, 5
Page = Callable[[dict[str, Any]], Awaitable[Any]]


def random_events(chance: Random, number: int) -> list[dict[str, Any]]:
    """Events of all days of a month, some of them at the same instant."""
    return [
        {
            "summary": f"event {n}",
            "occurredAt": f"2026-04-{chance.randrange(1, 29):02}T10:00:00Z",
            "notification": True,
        }
        for n in range(number)
    ]


class ConcurrentWriter:
    """Who writes meanwhile: new events, updates of those that last, deletions of those that pass.

    Every other event passes, so that gaps open before and behind the page.
    """

    def __init__(self, client: Client, ids: list[str], chance: Random) -> None:
        self.client = client
        self.chance = chance
        self.lasting = ids[::2]
        self.passing = ids[1::2]
        chance.shuffle(self.passing)
        self.new: list[str] = []

    async def write(self) -> None:
        await asyncio.gather(self._log(), self._update(), self._delete())

    async def _log(self) -> None:
        results = await self.client.execute_field(LOG_EVENTS, input=random_events(self.chance, 3))
        self.new += [result["event"]["id"] for result in results["results"]]

    async def _update(self) -> None:
        changed = {"summary": f"changed {self.chance.random()}", "severity": "error"}
        await self.client.execute_field(
            UPDATE, input={"id": self.chance.choice(self.lasting)} | changed
        )

    async def _delete(self) -> None:
        passing = self.passing or self.new
        if passing:
            await self.client.execute_field(DELETE, id=passing.pop())


@pytest.fixture
async def others(client: Client) -> ConcurrentWriter:
    chance = Random(7)
    results = await client.execute_field(LOG_EVENTS, input=random_events(chance, LASTING + PASSING))
    return ConcurrentWriter(
        client, [result["event"]["id"] for result in results["results"]], chance
    )


async def read_all_pages(
    others: ConcurrentWriter, ask: Page, *, backwards: bool = False
) -> list[list[Any]]:
    """The nodes of all pages, in the order in which they were read."""
    size, cursor, more, end = ("first", "after", "hasNextPage", "endCursor")
    if backwards:
        size, cursor, more, end = ("last", "before", "hasPreviousPage", "startCursor")
    read = []
    arguments: dict[str, Any] = {size: SIZE}
    while True:
        page, _ = await asyncio.gather(ask(arguments), others.write())
        read.append(page["nodes"])
        if not page["pageInfo"][more]:
            return read
        arguments = {size: SIZE, cursor: page["pageInfo"][end]}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize(
    ("field", "attribute"), [("OCCURRED_AT", "occurredAt"), ("RECORDED_AT", "recordedAt")]
)
async def test_events_come_once_in_their_order(
    client: Client,
    others: ConcurrentWriter,
    field: str,
    attribute: str,
    direction: str,
    backwards: bool,
) -> None:
    order = {"field": field, "direction": direction}

    read = await read_all_pages(
        others,
        lambda arguments: client.execute_field(EVENTS, orderBy=order, **arguments),
        backwards=backwards,
    )

    nodes = [node for page in (reversed(read) if backwards else read) for node in page]
    ids = [node["id"] for node in nodes]
    assert len(ids) == len(set(ids))
    assert sorted(set(ids) & set(others.lasting)) == sorted(others.lasting)
    keys = [(node[attribute], node["id"]) for node in nodes]
    assert keys == sorted(keys, reverse=direction == "DESC")


async def test_events_that_a_filter_selects_come_once(
    client: Client, others: ConcurrentWriter
) -> None:
    filter = {"search": "event", "or": [{"notification": True}, {"severities": ["ERROR"]}]}
    untouched = others.lasting[::2]
    others.lasting = others.lasting[1::2]  # an update takes the word away

    read = await read_all_pages(
        others, lambda arguments: client.execute_field(EVENTS, filter=filter, **arguments)
    )

    ids = [node["id"] for page in read for node in page]
    assert len(ids) == len(set(ids))
    assert set(untouched) <= set(ids)


async def test_the_bell_comes_once_in_the_order_it_rang(
    client: Client, others: ConcurrentWriter
) -> None:
    read = await read_all_pages(
        others,
        lambda arguments: client.execute_field(
            BELL.replace("{ summary }", "{ id recordedAt }"), **arguments
        ),
    )

    nodes = [node for page in read for node in page]
    ids = [node["id"] for node in nodes]
    assert len(ids) == len(set(ids))
    assert sorted(set(ids) & set(others.lasting)) == sorted(others.lasting)
    rang = [node["recordedAt"] for node in nodes]
    assert rang == sorted(rang, reverse=True)


@pytest.mark.parametrize("filter", [None, {"search": "event"}])
async def test_the_log_comes_once_and_whole(
    client: Client, others: ConcurrentWriter, filter: dict[str, Any] | None
) -> None:
    """It goes on while it is read, and ends once nobody writes."""
    before = await read_change_log(client, filter)
    entries: list[Any] = []
    arguments: dict[str, Any] = {"first": SIZE}
    for turn in range(200):
        request = client.execute_field(CHANGES, filter=filter, **arguments)
        page, _ = await asyncio.gather(request, others.write() if turn < 6 else asyncio.sleep(0))
        entries += page["edges"]
        arguments = {"first": SIZE, "after": page["pageInfo"]["endCursor"]}
        if turn >= 6 and not page["pageInfo"]["hasNextPage"]:
            break

    read = [entry["cursor"] for entry in entries]
    assert len(read) == len(set(read))
    assert read[: len(before)] == before
    assert read == await read_change_log(client, filter)


async def read_change_log(client: Client, filter: dict[str, Any] | None) -> list[str]:
    cursors: list[str] = []
    after = None
    while True:
        page = await client.execute_field(CHANGES, filter=filter, first=100, after=after)
        cursors += [edge["cursor"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return cursors


async def test_a_history_comes_once_and_whole_while_it_goes_on(
    client: Client, others: ConcurrentWriter
) -> None:
    changed = others.lasting[0]
    others.lasting = [changed]
    for n in range(12):
        await client.execute_field(UPDATE, input={"id": changed, "summary": f"before {n}"})
    summaries: list[Any] = []
    after = None
    for turn in range(50):
        request = client.execute_field(HISTORY, id=changed, first=3, after=after)
        event, _ = await asyncio.gather(request, others.write() if turn < 5 else asyncio.sleep(0))
        page = event["history"]
        summaries += [node["changes"]["summary"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"] or after
        if turn >= 5 and not page["pageInfo"]["hasNextPage"]:
            break

    # Each entry begins where the one before it ended.
    assert [after for _, after in summaries[1:13]] == [f"before {n}" for n in range(12)]
    assert [before for before, _ in summaries[1:]] == [after for _, after in summaries[:-1]]
    assert len(summaries) == 1 + 12 + 5
