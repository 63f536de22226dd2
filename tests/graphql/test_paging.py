"""Pages during concurrent writes: unchanged events are returned exactly once, and none twice.

With each page, an insertion, an update and a deletion run concurrently.
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
KEPT, TO_DELETE, SIZE = 24, 24, 5
Page = Callable[[dict[str, Any]], Awaitable[Any]]


def random_events(chance: Random, number: int) -> list[dict[str, Any]]:
    """Events on all days of a month, some of them at the same instant."""
    return [
        {
            "summary": f"event {n}",
            "occurredAt": f"2026-04-{chance.randrange(1, 29):02}T10:00:00Z",
            "notification": True,
        }
        for n in range(number)
    ]


class ConcurrentWriter:
    """Writes concurrently: logs new events, updates some of the stored ones and deletes others.

    Every second event is deleted, so that gaps appear before and after the page.
    """

    def __init__(self, client: Client, ids: list[str], chance: Random) -> None:
        self.client = client
        self.chance = chance
        self.kept = ids[::2]
        self.to_delete = ids[1::2]
        chance.shuffle(self.to_delete)
        self.new: list[str] = []

    async def write(self) -> None:
        await asyncio.gather(self._log(), self._update(), self._delete())

    async def _log(self) -> None:
        results = await self.client.execute_field(LOG_EVENTS, input=random_events(self.chance, 3))
        self.new += [result["event"]["id"] for result in results["results"]]

    async def _update(self) -> None:
        changed = {"summary": f"changed {self.chance.random()}", "severity": "error"}
        await self.client.execute_field(
            UPDATE, input={"id": self.chance.choice(self.kept)} | changed
        )

    async def _delete(self) -> None:
        to_delete = self.to_delete or self.new
        if to_delete:
            await self.client.execute_field(DELETE, id=to_delete.pop())


@pytest.fixture
async def writer(client: Client) -> ConcurrentWriter:
    chance = Random(7)
    results = await client.execute_field(LOG_EVENTS, input=random_events(chance, KEPT + TO_DELETE))
    return ConcurrentWriter(
        client, [result["event"]["id"] for result in results["results"]], chance
    )


async def read_all_pages(
    writer: ConcurrentWriter, ask: Page, *, backwards: bool = False
) -> list[list[Any]]:
    """Returns the nodes of all pages in the order in which they were read."""
    size, cursor, more, end = ("first", "after", "hasNextPage", "endCursor")
    if backwards:
        size, cursor, more, end = ("last", "before", "hasPreviousPage", "startCursor")
    read = []
    arguments: dict[str, Any] = {size: SIZE}
    while True:
        page, _ = await asyncio.gather(ask(arguments), writer.write())
        read.append(page["nodes"])
        if not page["pageInfo"][more]:
            return read
        arguments = {size: SIZE, cursor: page["pageInfo"][end]}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize(
    ("field", "attribute"), [("OCCURRED_AT", "occurredAt"), ("RECORDED_AT", "recordedAt")]
)
async def test_events_are_returned_once_in_order(
    client: Client,
    writer: ConcurrentWriter,
    field: str,
    attribute: str,
    direction: str,
    backwards: bool,
) -> None:
    order = {"field": field, "direction": direction}

    read = await read_all_pages(
        writer,
        lambda arguments: client.execute_field(EVENTS, orderBy=order, **arguments),
        backwards=backwards,
    )

    nodes = [node for page in (reversed(read) if backwards else read) for node in page]
    ids = [node["id"] for node in nodes]
    assert len(ids) == len(set(ids))
    assert sorted(set(ids) & set(writer.kept)) == sorted(writer.kept)
    keys = [(node[attribute], node["id"]) for node in nodes]
    assert keys == sorted(keys, reverse=direction == "DESC")


async def test_events_that_a_filter_selects_are_returned_once(
    client: Client, writer: ConcurrentWriter
) -> None:
    filter = {"search": "event", "or": [{"notification": True}, {"severities": ["ERROR"]}]}
    untouched = writer.kept[::2]
    writer.kept = writer.kept[1::2]  # an update removes the word

    read = await read_all_pages(
        writer, lambda arguments: client.execute_field(EVENTS, filter=filter, **arguments)
    )

    ids = [node["id"] for page in read for node in page]
    assert len(ids) == len(set(ids))
    assert set(untouched) <= set(ids)


async def test_notifications_are_returned_once_in_order(
    client: Client, writer: ConcurrentWriter
) -> None:
    read = await read_all_pages(
        writer,
        lambda arguments: client.execute_field(
            BELL.replace("{ summary }", "{ id recordedAt }"), **arguments
        ),
    )

    nodes = [node for page in read for node in page]
    ids = [node["id"] for node in nodes]
    assert len(ids) == len(set(ids))
    assert sorted(set(ids) & set(writer.kept)) == sorted(writer.kept)
    rang = [node["recordedAt"] for node in nodes]
    assert rang == sorted(rang, reverse=True)


@pytest.mark.parametrize("filter", [None, {"search": "event"}])
async def test_the_change_log_is_returned_once_and_completely(
    client: Client, writer: ConcurrentWriter, filter: dict[str, Any] | None
) -> None:
    """Writes while it is read, and stops after the last write."""
    before = await read_change_log(client, filter)
    entries: list[Any] = []
    arguments: dict[str, Any] = {"first": SIZE}
    for turn in range(200):
        request = client.execute_field(CHANGES, filter=filter, **arguments)
        page, _ = await asyncio.gather(request, writer.write() if turn < 6 else asyncio.sleep(0))
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


async def test_a_history_is_returned_once_and_completely_while_it_grows(
    client: Client, writer: ConcurrentWriter
) -> None:
    changed = writer.kept[0]
    writer.kept = [changed]
    for n in range(12):
        await client.execute_field(UPDATE, input={"id": changed, "summary": f"before {n}"})
    summaries: list[Any] = []
    after = None
    for turn in range(50):
        request = client.execute_field(HISTORY, id=changed, first=3, after=after)
        event, _ = await asyncio.gather(request, writer.write() if turn < 5 else asyncio.sleep(0))
        page = event["history"]
        summaries += [node["changes"]["summary"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"] or after
        if turn >= 5 and not page["pageInfo"]["hasNextPage"]:
            break

    # Each entry starts with the state after the previous one.
    assert [after for _, after in summaries[1:13]] == [f"before {n}" for n in range(12)]
    assert [before for before, _ in summaries[1:]] == [after for _, after in summaries[:-1]]
    assert len(summaries) == 1 + 12 + 5
