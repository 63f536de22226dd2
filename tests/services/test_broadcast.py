"""Answers for many: made once, handed to all, late for the slow and poorer for nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from random import Random

import pytest

from app.services.change_log.broadcast import Broadcast, Rendered, Texts
from app.services.change_log.feed import Feed
from app.services.change_log.feed_filters import Selection
from app.services.events import events
from app.store.change_log import changes
from app.store.change_log.changes import START, Entry, Place
from app.store.engine.database import EVERYWHERE, Database
from tests.client import PATIENCE_SECONDS
from tests.worlds import a_desk, ring

Answers = AsyncGenerator[list[Rendered], None]


class Rendering:
    """Makes an answer of an entry's summary, and counts."""

    def __init__(self, width: int = 1) -> None:
        self.made: Counter[str] = Counter()
        self._width = width

    async def render(self, entries: Sequence[Entry]) -> list[Rendered]:
        self.made.update(entry.state.summary for entry in entries)
        return [(each.place, each.state.summary.ljust(self._width)) for each in entries]


async def take(answers: Answers, count: int) -> list[str]:
    """At least so many, as they come."""
    taken: list[str] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(taken) < count:
            taken += [text.strip() for _, text in await anext(answers)]
    return taken


async def joined(broadcast: Broadcast, count: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(broadcast.subscribers) < count:
            await asyncio.sleep(0)


@pytest.fixture
async def feed(database: Database) -> AsyncGenerator[Feed, None]:
    async with Feed(database, buffer_entries=10, buffer_bytes=1000) as running:
        yield running


@pytest.fixture
async def everything(database: Database) -> Selection:
    return Selection((await a_desk(database)).reporter.organization_id)


async def test_twenty_who_follow_the_same_cost_one_answer_for_an_entry(
    database: Database, feed: Feed, everything: Selection
) -> None:
    desk, rendering = await a_desk(database), Rendering()
    broadcast = feed.broadcast("same", everything, rendering.render)
    many = [broadcast.follow(feed.read_up_to) for _ in range(20)]
    heard = [asyncio.create_task(take(answers, 3)) for answers in many]
    await joined(broadcast, 20)

    await events.log_events(database, desk, [ring(summary) for summary in "abc"])

    assert await asyncio.gather(*heard) == [["a", "b", "c"]] * 20
    assert rendering.made == {"a": 1, "b": 1, "c": 1}
    for answers in many:
        await answers.aclose()


async def test_the_last_who_leaves_ends_it(
    database: Database, feed: Feed, everything: Selection
) -> None:
    broadcast = feed.broadcast("same", everything, Rendering().render)
    two = [broadcast.follow(feed.read_up_to) for _ in range(2)]
    heard = [asyncio.create_task(take(answers, 1)) for answers in two]
    await joined(broadcast, 2)
    await events.log_events(database, await a_desk(database), [ring("heard")])
    await asyncio.gather(*heard)

    await two[0].aclose()
    still_there = feed.broadcasts == {"same": broadcast}
    await two[1].aclose()

    assert still_there
    assert feed.broadcasts == {}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while feed.followers:
            await asyncio.sleep(0)


async def test_who_is_slow_is_late_and_never_poorer_while_others_go_on(
    database: Database, feed: Feed, everything: Selection
) -> None:
    desk = await a_desk(database)
    broadcast = feed.broadcast("same", everything, Rendering(width=300).render)
    slow, quick = [broadcast.follow(feed.read_up_to) for _ in range(2)]
    both = asyncio.gather(take(slow, 1), take(quick, 1))
    await joined(broadcast, 2)
    await events.log_events(database, desk, [ring("first")])
    await both

    heard, held = [], []
    for n in range(8):
        await events.log_events(database, desk, [ring(str(n))])
        heard += await take(quick, 1)
        held.append(max(each.held_bytes for each in broadcast.subscribers))
    late = await take(slow, 8)
    [_] = await events.log_events(database, desk, [ring("last")])
    joined_again = [await take(each, 1) for each in (slow, quick)]

    assert heard == [str(n) for n in range(8)]
    assert held == [600, 900, 900, 900, 900, 900, 900, 900]  # a fourth would be beyond 1,000
    assert late == heard
    assert joined_again == [["last"], ["last"]]
    for answers in (slow, quick):
        await answers.aclose()


class Pushed:
    """Takes what is pushed, while it is open."""

    def __init__(self) -> None:
        self.open = True
        self.texts: list[str] = []

    def push(self, texts: Texts) -> bool:
        if self.open:
            self.texts += [each.decode() for each in texts]
        return self.open


async def test_who_waits_is_pushed_what_comes_and_queues_what_cannot_be_pushed(
    database: Database, feed: Feed, everything: Selection
) -> None:
    desk, pushed = await a_desk(database), Pushed()
    broadcast = feed.broadcast("same", everything, Rendering().render)
    pushing, quiet = broadcast.follow(feed.read_up_to, pushed.push), broadcast.follow(START)
    waiting = asyncio.create_task(take(pushing, 2))

    for summary in "abcd":
        pushed.open = summary in "ad"
        await joined(broadcast, 1)
        await events.log_events(database, desk, [ring(summary)])
        await take(quiet, 1)
    queued = await waiting

    # `d` could have been pushed, but `b` and `c` had not been taken before it.
    assert pushed.texts == ["a"]
    assert queued == ["b", "c"]
    assert await take(pushing, 1) == ["d"]
    for answers in (pushing, quiet):
        await answers.aclose()


async def test_who_was_pushed_to_goes_on_behind_it_when_it_was_too_slow(
    database: Database, feed: Feed, everything: Selection
) -> None:
    desk, pushed = await a_desk(database), Pushed()
    broadcast = feed.broadcast("same", everything, Rendering(width=300).render)
    slow, quick = broadcast.follow(feed.read_up_to, pushed.push), broadcast.follow(START)
    first = asyncio.create_task(take(slow, 1))
    await joined(broadcast, 1)

    await events.log_events(database, desk, [ring("pushed")])
    await take(quick, 1)
    pushed.open = False
    heard = []
    for n in range(8):
        await events.log_events(database, desk, [ring(str(n))])
        heard += await take(quick, 1)
    late = await first + await take(slow, 7)

    assert [each.strip() for each in pushed.texts] == ["pushed"]
    assert late == heard == [str(n) for n in range(8)]
    for answers in (slow, quick):
        await answers.aclose()


async def test_who_has_left_is_pushed_nothing_more(feed: Feed, everything: Selection) -> None:
    pushed = Pushed()
    broadcast = feed.broadcast("same", everything, Rendering().render)
    leaving = asyncio.create_task(take(broadcast.follow(feed.read_up_to, pushed.push), 1))
    await joined(broadcast, 1)
    [subscriber] = broadcast.subscribers

    leaving.cancel()
    await asyncio.wait({leaving})
    # Whoever was handing out may still know it.
    subscriber.offer([(Place(10**6, 1), "late")], Texts([b"late"]))

    assert pushed.texts == []
    assert broadcast.subscribers == set()


async def test_a_failure_ends_it_for_all_and_the_next_begin_anew(
    database: Database, feed: Feed, everything: Selection
) -> None:
    async def failing(_: Sequence[Entry]) -> list[Rendered]:
        raise KeyError("secret")

    broadcast = feed.broadcast("same", everything, failing)
    heard = [asyncio.create_task(take(broadcast.follow(feed.read_up_to), 1)) for _ in range(3)]
    await joined(broadcast, 3)
    before = feed.read_up_to

    await events.log_events(database, await a_desk(database), [ring("lost")])
    failures = await asyncio.gather(*heard, return_exceptions=True)
    anew = feed.broadcast("same", everything, Rendering().render).follow(before)

    assert [type(each) for each in failures] == [KeyError] * 3
    assert await take(anew, 1) == ["lost"]
    await anew.aclose()


async def test_what_a_late_one_reads_from_the_log_is_bounded_by_bytes(
    database: Database, feed: Feed, everything: Selection
) -> None:
    desk = await a_desk(database)
    drafts = [ring(str(n), content="x" * 600) for n in range(5)]
    await events.log_events(database, desk, drafts)
    async with database.read(EVERYWHERE) as session:
        end = await changes.head(session)

    batches = [
        [entry.state.summary for entry in batch]
        async for batch in feed.stored(everything, START, end)
    ]

    assert batches == [["0"], ["1"], ["2"], ["3"], ["4"]]


async def test_who_comes_goes_and_resumes_during_writes_hears_everything_once_in_order(
    database: Database, database_url: str, feed: Feed, everything: Selection
) -> None:
    desk = await a_desk(database)
    writers = [Database(database_url) for _ in range(3)]
    rendering = Rendering()

    async def write(process: Database, name: int) -> None:
        for n in range(40):
            await events.log_events(process, desk, [ring(f"{name}.{n}")])

    async def come_and_go(seed: int) -> list[str]:
        random, after, heard = Random(seed), begun, list[str]()
        while len(heard) < 120:
            broadcast = feed.broadcast("same", everything, rendering.render)
            async with contextlib.aclosing(broadcast.follow(after)) as answers:
                for _ in range(random.randrange(1, 6)):
                    for place, text in await anext(answers):
                        after = place
                        heard.append(text)
                        await asyncio.sleep(0)
                    if len(heard) >= 120:
                        break
        return heard

    begun: Place = feed.read_up_to
    async with asyncio.timeout(PATIENCE_SECONDS):
        *heard, _ = await asyncio.gather(
            *(come_and_go(seed) for seed in range(8)),
            asyncio.gather(*(write(each, name) for name, each in enumerate(writers))),
        )
    async with database.read(EVERYWHERE) as session:
        logged = [
            entry.state.summary
            for entry in await changes.read_after(session, begun, 1000)
            if entry.subject == changes.EVENT
        ]
    for process in writers:
        await process.close()

    assert len(logged) == 120
    assert heard == [logged] * 8
    assert feed.broadcasts == {}
