"""Broadcasts: entries are rendered once for all subscribers, and slow ones lose nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from random import Random

import pytest

from app.services.change_log.broadcast import Broadcast, EncodedBatch, RenderedEntry
from app.services.change_log.feed import Feed
from app.services.change_log.feed_filters import FeedFilter
from app.services.events import events
from app.store.change_log import changes
from app.store.change_log.changes import LOG_START, Entry, LogPosition
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import TIMEOUT_SECONDS
from tests.factories import admin_command, notification_draft

Answers = AsyncGenerator[list[RenderedEntry], None]


class CountingRenderer:
    """Renders the summary of an entry, and counts its calls."""

    def __init__(self, width: int = 1) -> None:
        self.made: Counter[str] = Counter()
        self._width = width

    async def render(self, entries: Sequence[Entry]) -> list[RenderedEntry]:
        self.made.update(entry.state.summary for entry in entries)
        return [(each.position, each.state.summary.ljust(self._width)) for each in entries]


async def take_answers(answers: Answers, count: int) -> list[str]:
    """Returns the next texts, at least the given number."""
    taken: list[str] = []
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(taken) < count:
            taken += [text.strip() for _, text in await anext(answers)]
    return taken


async def wait_for_subscribers(broadcast: Broadcast, count: int) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(broadcast.subscribers) < count:
            await asyncio.sleep(0)


@pytest.fixture
async def feed(database: Database) -> AsyncGenerator[Feed, None]:
    async with Feed(database, buffer_entries=10, buffer_bytes=1000) as running:
        yield running


@pytest.fixture
async def everything(database: Database) -> FeedFilter:
    return FeedFilter((await admin_command(database)).actor.organization_id)


async def test_twenty_subscribers_of_a_broadcast_share_one_rendering_per_entry(
    database: Database, feed: Feed, everything: FeedFilter
) -> None:
    command, rendering = await admin_command(database), CountingRenderer()
    broadcast = feed.get_broadcast("same", everything, rendering.render)
    subscribers = [broadcast.subscribe(feed.read_position) for _ in range(20)]
    receiving = [asyncio.create_task(take_answers(answers, 3)) for answers in subscribers]
    await wait_for_subscribers(broadcast, 20)

    await events.log_events(database, command, [notification_draft(summary) for summary in "abc"])

    assert await asyncio.gather(*receiving) == [["a", "b", "c"]] * 20
    assert rendering.made == {"a": 1, "b": 1, "c": 1}
    for answers in subscribers:
        await answers.aclose()


async def test_a_broadcast_ends_when_its_last_subscriber_leaves(
    database: Database, feed: Feed, everything: FeedFilter
) -> None:
    broadcast = feed.get_broadcast("same", everything, CountingRenderer().render)
    subscribers = [broadcast.subscribe(feed.read_position) for _ in range(2)]
    receiving = [asyncio.create_task(take_answers(answers, 1)) for answers in subscribers]
    await wait_for_subscribers(broadcast, 2)
    await events.log_events(database, await admin_command(database), [notification_draft("heard")])
    await asyncio.gather(*receiving)

    await subscribers[0].aclose()
    is_active = feed.broadcasts == {"same": broadcast}
    await subscribers[1].aclose()

    assert is_active
    assert feed.broadcasts == {}
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while feed.followers:
            await asyncio.sleep(0)


async def test_a_slow_subscriber_falls_behind_but_loses_nothing(
    database: Database, feed: Feed, everything: FeedFilter
) -> None:
    command = await admin_command(database)
    broadcast = feed.get_broadcast("same", everything, CountingRenderer(width=300).render)
    slow, quick = [broadcast.subscribe(feed.read_position) for _ in range(2)]
    subscribers = asyncio.gather(take_answers(slow, 1), take_answers(quick, 1))
    await wait_for_subscribers(broadcast, 2)
    await events.log_events(database, command, [notification_draft("first")])
    await subscribers

    receiving, held = [], []
    for n in range(8):
        await events.log_events(database, command, [notification_draft(str(n))])
        receiving += await take_answers(quick, 1)
        held.append(max(each.buffered_bytes for each in broadcast.subscribers))
    late = await take_answers(slow, 8)
    [_] = await events.log_events(database, command, [notification_draft("last")])
    joined_again = [await take_answers(each, 1) for each in (slow, quick)]

    assert receiving == [str(n) for n in range(8)]
    assert held == [600, 900, 900, 900, 900, 900, 900, 900]  # a fourth would exceed 1,000
    assert late == receiving
    assert joined_again == [["last"], ["last"]]
    for answers in (slow, quick):
        await answers.aclose()


class PushReceiver:
    """Accepts pushed batches while it is open."""

    def __init__(self) -> None:
        self.open = True
        self.texts: list[str] = []

    def push(self, texts: EncodedBatch) -> bool:
        if self.open:
            self.texts += [each.decode() for each in texts]
        return self.open


async def test_entries_are_pushed_to_an_idle_subscriber_or_queued(
    database: Database, feed: Feed, everything: FeedFilter
) -> None:
    command, pushed = await admin_command(database), PushReceiver()
    broadcast = feed.get_broadcast("same", everything, CountingRenderer().render)
    pushing, quiet = (
        broadcast.subscribe(feed.read_position, pushed.push),
        broadcast.subscribe(LOG_START),
    )
    waiting = asyncio.create_task(take_answers(pushing, 2))

    for summary in "abcd":
        pushed.open = summary in "ad"
        await wait_for_subscribers(broadcast, 1)
        await events.log_events(database, command, [notification_draft(summary)])
        await take_answers(quiet, 1)
    queued = await waiting

    # `d` could have been pushed, but `b` and `c` were still queued before it.
    assert pushed.texts == ["a"]
    assert queued == ["b", "c"]
    assert await take_answers(pushing, 1) == ["d"]
    for answers in (pushing, quiet):
        await answers.aclose()


async def test_a_subscriber_that_overflows_resumes_after_the_pushed_entries(
    database: Database, feed: Feed, everything: FeedFilter
) -> None:
    command, pushed = await admin_command(database), PushReceiver()
    broadcast = feed.get_broadcast("same", everything, CountingRenderer(width=300).render)
    slow, quick = (
        broadcast.subscribe(feed.read_position, pushed.push),
        broadcast.subscribe(LOG_START),
    )
    first = asyncio.create_task(take_answers(slow, 1))
    await wait_for_subscribers(broadcast, 1)

    await events.log_events(database, command, [notification_draft("pushed")])
    await take_answers(quick, 1)
    pushed.open = False
    received = []
    for n in range(8):
        await events.log_events(database, command, [notification_draft(str(n))])
        received += await take_answers(quick, 1)
    late = await first + await take_answers(slow, 7)

    assert [each.strip() for each in pushed.texts] == ["pushed"]
    assert late == received == [str(n) for n in range(8)]
    for answers in (slow, quick):
        await answers.aclose()


async def test_nothing_is_pushed_to_a_subscriber_that_left(
    feed: Feed, everything: FeedFilter
) -> None:
    pushed = PushReceiver()
    broadcast = feed.get_broadcast("same", everything, CountingRenderer().render)
    leaving = asyncio.create_task(
        take_answers(broadcast.subscribe(feed.read_position, pushed.push), 1)
    )
    await wait_for_subscribers(broadcast, 1)
    [subscriber] = broadcast.subscribers

    leaving.cancel()
    await asyncio.wait({leaving})
    # The broadcast may still refer to it while it delivers.
    subscriber.push_or_queue([(LogPosition(10**6, 1), "late")], EncodedBatch([b"late"]))

    assert pushed.texts == []
    assert broadcast.subscribers == set()


async def test_a_failure_ends_a_broadcast_for_all_and_the_next_subscriber_starts_a_new_one(
    database: Database, feed: Feed, everything: FeedFilter
) -> None:
    async def failing(_: Sequence[Entry]) -> list[RenderedEntry]:
        raise KeyError("secret")

    broadcast = feed.get_broadcast("same", everything, failing)
    receiving = [
        asyncio.create_task(take_answers(broadcast.subscribe(feed.read_position), 1))
        for _ in range(3)
    ]
    await wait_for_subscribers(broadcast, 3)
    before = feed.read_position

    await events.log_events(database, await admin_command(database), [notification_draft("lost")])
    failures = await asyncio.gather(*receiving, return_exceptions=True)
    restarted = feed.get_broadcast("same", everything, CountingRenderer().render).subscribe(before)

    assert [type(each) for each in failures] == [KeyError] * 3
    assert await take_answers(restarted, 1) == ["lost"]
    await restarted.aclose()


async def test_a_read_of_the_change_log_is_limited_by_bytes(
    database: Database, feed: Feed, everything: FeedFilter
) -> None:
    command = await admin_command(database)
    drafts = [notification_draft(str(n), content="x" * 600) for n in range(5)]
    await events.log_events(database, command, drafts)
    async with database.read(ALL_ORGANIZATIONS) as session:
        end = await changes.fetch_head(session)

    batches = [
        [entry.state.summary for entry in batch]
        async for batch in feed.fetch_stored(everything, LOG_START, end)
    ]

    assert batches == [["0"], ["1"], ["2"], ["3"], ["4"]]


async def test_subscribers_that_reconnect_during_writes_get_every_entry_once_in_order(
    database: Database, database_url: str, feed: Feed, everything: FeedFilter
) -> None:
    command = await admin_command(database)
    writers = [Database(database_url) for _ in range(3)]
    rendering = CountingRenderer()

    async def write(process: Database, name: int) -> None:
        for n in range(40):
            await events.log_events(process, command, [notification_draft(f"{name}.{n}")])

    async def come_and_go(seed: int) -> list[str]:
        random, after, received = Random(seed), begun, list[str]()
        while len(received) < 120:
            broadcast = feed.get_broadcast("same", everything, rendering.render)
            async with contextlib.aclosing(broadcast.subscribe(after)) as answers:
                for _ in range(random.randrange(1, 6)):
                    for position, text in await anext(answers):
                        after = position
                        received.append(text)
                        await asyncio.sleep(0)
                    if len(received) >= 120:
                        break
        return received

    begun: LogPosition = feed.read_position
    async with asyncio.timeout(TIMEOUT_SECONDS):
        *received, _ = await asyncio.gather(
            *(come_and_go(seed) for seed in range(8)),
            asyncio.gather(*(write(each, name) for name, each in enumerate(writers))),
        )
    async with database.read(ALL_ORGANIZATIONS) as session:
        logged = [
            entry.state.summary
            for entry in await changes.fetch_entries_after(session, begun, 1000)
            if entry.subject == changes.EVENT
        ]
    for process in writers:
        await process.close()

    assert len(logged) == 120
    assert received == [logged] * 8
    assert feed.broadcasts == {}
