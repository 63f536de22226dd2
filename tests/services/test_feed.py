"""The log and those who follow it: nothing is missed, nothing comes twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from app.domain.events.filters import EventFilter
from app.domain.intake.intake import Desk
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.change_log import feed, notifications, subscriptions
from app.services.change_log.feed import Feed
from app.services.change_log.feed_filters import Selection
from app.services.events import events
from app.services.events.reports import Call, log_in
from app.store.change_log import changes
from app.store.change_log.changes import START, Entry, Place
from app.store.engine.database import EVERYWHERE, Database
from app.store.engine.wake import DataVersion, ListenNotify, Wake
from app.store.migrate import migrate
from app.store.reading.pages import PageRequest
from tests.client import PATIENCE_SECONDS
from tests.conftest import Statements
from tests.worlds import a_desk, administrator, ring

ALL = EventFilter()
BUFFER_BYTES = 1024 * 1024


@contextlib.asynccontextmanager
async def following(database: Database, buffer_entries: int = 100) -> AsyncIterator[Feed]:
    async with Feed(database, buffer_entries, BUFFER_BYTES) as running:
        yield running


async def each_of(running: Feed, selection: Selection, after: Place) -> AsyncGenerator[Entry, None]:
    """What is followed, one by one."""
    async with contextlib.aclosing(running.follow(selection, after)) as followed:
        async for batch in followed:
            for entry in batch:
                yield entry


def all_of(running: Feed, desk: Desk, after: Place) -> AsyncGenerator[Entry, None]:
    return each_of(running, Selection(desk.reporter.organization_id), after)


async def take(entries: AsyncIterator[Entry], count: int) -> list[str]:
    """The summaries of the next entries."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [(await anext(entries)).state.summary for _ in range(count)]


async def added(database: Database, running: Feed, after: str, count: int) -> list[str]:
    """The summaries of the next notifications after the cursor."""
    caller = await administrator(database)
    following = await subscriptions.notifications_added(database, caller, ALL, after)
    heard = each_of(running, following.selection, following.after)
    async with contextlib.aclosing(heard):
        return await take(heard, count)


async def test_what_commits_late_is_not_missed_by_who_resumes_from_a_list(
    database: Database, database_url: str
) -> None:
    caller, desk = await administrator(database), await a_desk(database)
    late_process = Database(database_url)
    async with following(database) as running:
        async with late_process.write(caller.organization_id) as session:
            await log_in(session, [Call(desk, [ring("late")])])
            if "postgresql" in database_url:  # on SQLite nobody else commits meanwhile
                await events.log_events(database, desk, [ring("early")])
            bell = await notifications.page(database, caller, ALL, PageRequest(20))
            head = await feed.log_head(database, caller)
        cursor = bell.rows[0][0] if bell.rows else head
        await events.log_events(database, desk, [ring("end")])

        seen = [row.summary for _, row in bell.rows]
        after_list = await added(database, running, cursor, 3 if bell.rows else 2)
        after_head = await added(database, running, head, len(after_list))
    await late_process.close()

    assert "late" not in seen
    # Past an open transaction a subscription may name a listed event again, and skips none.
    assert after_list == ["late", *seen, "end"]
    assert after_head == after_list


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_live_follower_is_not_passed_by_what_commits_late(
    database: Database, database_url: str, statements: Statements
) -> None:
    desk = await a_desk(database)
    late_process = Database(database_url)
    async with following(database) as running:
        entries = all_of(running, desk, await end_of_log(database))
        heard = asyncio.create_task(take(entries, 2))
        async with late_process.write(desk.reporter.organization_id) as session:
            await log_in(session, [Call(desk, [ring("late")])])
            await events.log_events(database, desk, [ring("early")])
            statements.clear()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while sum("FROM change" in each for each in statements) < 2:
                    await asyncio.sleep(0.01)  # the reader has looked, and seen "early" at most
        order = await heard
        await entries.aclose()
    await late_process.close()

    assert order == ["late", "early"]


async def test_a_live_follower_gets_entries_in_the_order_of_the_log(
    database: Database, database_url: str
) -> None:
    desk = await a_desk(database)
    processes = [Database(database_url) for _ in range(3)]
    async with following(database) as running:
        entries = all_of(running, desk, await end_of_log(database))
        live = asyncio.create_task(take(entries, 120))
        await asyncio.gather(*(write_40(process, desk) for process in processes))
        heard = await live
        await entries.aclose()
    async with database.read(EVERYWHERE) as session:
        logged = [
            entry.state.summary
            for entry in await changes.read_after(session, START, 1000)
            if entry.subject == changes.EVENT
        ]
    for process in processes:
        await process.close()

    assert heard == logged
    assert sorted(heard) == sorted(str(n) for n in range(40) for _ in processes)


async def test_a_sign_from_another_process_wakes_the_reader(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.engine.wake.POLL_SECONDS", 3600)
    await hear_from_another_process(database, database_url)


async def test_without_any_sign_the_reader_looks_by_itself(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(_wake: Wake) -> None:
        await asyncio.Event().wait()

    for kind in (DataVersion, ListenNotify):
        monkeypatch.setattr(kind, "_listen", deaf)
    await hear_from_another_process(database, database_url)


async def hear_from_another_process(database: Database, database_url: str) -> None:
    desk = await a_desk(database)
    other = Database(database_url)
    # The sender of a sign has to be running, as the feed of every process is.
    async with following(database) as running, following(other):
        entries = all_of(running, desk, await end_of_log(database))
        for summary in ("first", "second"):
            await events.log_events(other, desk, [ring(summary)])
            assert await take(entries, 1) == [summary]
        await entries.aclose()
    await other.close()


async def test_a_follower_whose_buffer_is_overrun_reads_the_log(database: Database) -> None:
    desk = await a_desk(database)
    async with following(database, buffer_entries=2) as running:
        entries = all_of(running, desk, await end_of_log(database))
        await events.log_events(database, desk, [ring("first")])
        first = await take(entries, 1)
        for n in range(20):
            await events.log_events(database, desk, [ring(str(n))])
        rest = await take(entries, 20)
        await entries.aclose()

    assert first == ["first"]
    assert rest == [str(n) for n in range(20)]


async def test_a_follower_s_buffer_is_bounded(database: Database) -> None:
    desk = await a_desk(database)
    async with following(database, buffer_entries=5) as running:
        entries = all_of(running, desk, await end_of_log(database))
        await events.log_events(database, desk, [ring("first")])
        await take(entries, 1)
        [follower] = running.followers
        await events.log_events(database, desk, [ring(str(n)) for n in range(50)])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not follower.overrun:
                await asyncio.sleep(0)
        waiting = follower.waiting
        await entries.aclose()

    assert waiting == 0
    assert running.followers == set()


async def test_one_reader_serves_all_followers(database: Database, statements: Statements) -> None:
    desk = await a_desk(database)
    async with following(database) as running:
        here = await end_of_log(database)
        many = [all_of(running, desk, here) for _ in range(20)]
        heard = [asyncio.create_task(take(entries, 3)) for entries in many]
        while len(running.followers) < 20:
            await asyncio.sleep(0)
        statements.clear()
        await events.log_events(database, desk, [ring(summary) for summary in "abc"])
        answers = await asyncio.gather(*heard)
        read = [each for each in statements if "FROM change" in each]
        for entries in many:
            await entries.aclose()

    assert answers == [["a", "b", "c"]] * 20
    assert 0 < len(read) < 20


async def test_a_cursor_of_another_life_of_the_log_is_expired(database: Database) -> None:
    caller = await administrator(database)
    async with database.read(EVERYWHERE) as session:
        moment = await changes.moment(session)
    old = replace(moment, epoch="another epoch")
    cursor = changes.cursor_of(caller.organization_id, old, START, complete=True)

    with pytest.raises(RequestError) as refused:
        await notifications.page(database, caller, ALL, PageRequest(20, after=cursor))

    assert refused.value.code is ErrorCode.CURSOR_EXPIRED
    assert refused.value.path == ("after",)


async def end_of_log(database: Database) -> changes.Place:
    async with database.read(EVERYWHERE) as session:
        return await changes.head(session)


async def write_40(process: Database, desk: Desk) -> None:
    for n in range(40):
        await events.log_events(process, desk, [ring(str(n))])


async def test_a_cursor_from_beyond_the_log_is_expired(database: Database) -> None:
    caller = await administrator(database)
    async with database.read(EVERYWHERE) as session:
        moment = await changes.moment(session)
    beyond = changes.Place(0, moment.last_seq + 1)
    cursor = changes.cursor_of(caller.organization_id, moment, beyond, complete=True)

    with pytest.raises(RequestError) as refused:
        await notifications.page(database, caller, ALL, PageRequest(20, after=cursor))

    assert refused.value.code is ErrorCode.CURSOR_EXPIRED


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_restored_dump_begins_a_new_life_of_the_log(
    database: Database, database_url: str
) -> None:
    caller, desk = await administrator(database), await a_desk(database)
    await events.log_events(database, desk, [ring("old 1"), ring("old 2")])
    old = await feed.log_head(database, caller)
    async with database.write(EVERYWHERE) as session:  # as if transactions had begun anew since
        await session.execute(text("UPDATE change SET tx = tx + 1000000"))
        await session.execute(text("UPDATE event SET rang_tx = rang_tx + 1000000"))

    await migrate(database.url)

    await events.log_events(database, desk, [ring("new")])
    bell = await notifications.page(database, caller, ALL, PageRequest(20))
    assert [row.summary for _, row in bell.rows] == ["new", "old 2", "old 1"]
    with pytest.raises(RequestError) as refused:
        await notifications.page(database, caller, ALL, PageRequest(20, after=old))
    assert refused.value.code is ErrorCode.CURSOR_EXPIRED
    async with following(database) as running:
        assert await added(database, running, bell.rows[2][0], 2) == ["old 2", "new"]


async def test_who_is_late_finds_events_as_they_are_now(database: Database) -> None:
    desk = await a_desk(database)
    async with following(database) as running:
        heard = all_of(running, desk, await end_of_log(database))
        [_] = await events.log_events(database, desk, [ring("first")])
        assert (await take(heard, 1)) == ["first"]
        [gone, changed] = await events.log_events(database, desk, [ring("gone"), ring("before")])
        assert gone.event is not None
        assert changed.event is not None
        await events.delete_event(database, desk, gone.event.id)
        await events.update_event(database, desk, changed.event.id, {"summary": "after"})
        [follower] = running.followers
        async with asyncio.timeout(PATIENCE_SECONDS):
            while follower.waiting < 4:
                await asyncio.sleep(0.01)

        logged = [await anext(heard) for _ in range(2)]
        await heard.aclose()

    assert [each.state.summary for each in logged] == ["gone", "before"]
    assert [each.event and each.event.summary for each in logged] == [None, "after"]


async def test_a_feed_that_nobody_follows_reads_no_entries(
    database: Database, statements: Statements
) -> None:
    desk = await a_desk(database)
    async with following(database) as running:
        await events.log_events(database, desk, [ring("unheard")])
        end = await end_of_log(database)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while running.read_up_to < end:
                await asyncio.sleep(0.01)

    assert [each for each in statements if "JOIN event" in each] == []
