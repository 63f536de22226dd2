"""The change log and its followers: no entry is missed or delivered twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.change_log import feed, history, pruning, subscriptions
from app.services.change_log.feed import Feed
from app.services.change_log.feed_filters import FeedFilter
from app.services.change_log.notifications import NOTIFICATION_LIST, NotificationPageRequest
from app.services.events import events
from app.services.events.reports import ReportCall, process_reports
from app.services.shared.readers import ListPage
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LOG_START, Entry, LogPosition
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.wake import DataVersionPoller, NotificationListener, WakeSignal
from app.store.migrate import migrate_database
from app.store.reading.pages import PageRequest
from tests.client import TIMEOUT_SECONDS
from tests.conftest import Statements
from tests.factories import admin_caller, admin_command, notification_draft

ALL = EventFilter()
BUFFER_BYTES = 1024 * 1024


async def fetch_bell(
    database: Database, caller: Caller, page: PageRequest
) -> ListPage[tables.Event]:
    request = NotificationPageRequest(ALL, page)
    return await NOTIFICATION_LIST.fetch_page(database, caller, request)


@contextlib.asynccontextmanager
async def run_feed(database: Database, buffer_entries: int = 100) -> AsyncIterator[Feed]:
    async with Feed(database, buffer_entries, BUFFER_BYTES) as running:
        yield running


async def iterate_entries(
    running: Feed, selection: FeedFilter, after: LogPosition
) -> AsyncGenerator[Entry, None]:
    """Yields the followed entries one by one."""
    async with contextlib.aclosing(running.follow_entries(selection, after)) as followed:
        async for batch in followed:
            for entry in batch:
                yield entry


def follow_organization(
    running: Feed, command: CommandContext, after: LogPosition
) -> AsyncGenerator[Entry, None]:
    return iterate_entries(running, FeedFilter(command.actor.organization_id), after)


async def take_summaries(entries: AsyncIterator[Entry], count: int) -> list[str]:
    """Returns the summaries of the next entries."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        return [(await anext(entries)).state.summary for _ in range(count)]


async def fetch_added_summaries(
    database: Database, running: Feed, after: str, count: int
) -> list[str]:
    """Returns the summaries of the next notifications after the cursor."""
    caller = await admin_caller(database)
    following = await subscriptions.subscribe_to_notifications(database, caller, ALL, after)
    summaries = iterate_entries(running, following.feed_filter, following.after)
    async with contextlib.aclosing(summaries):
        return await take_summaries(summaries, count)


async def test_a_late_commit_is_not_missed_when_resuming_from_a_list(
    database: Database, database_url: str
) -> None:
    caller, command = await admin_caller(database), await admin_command(database)
    late_process = Database(database_url)
    async with run_feed(database) as running:
        async with late_process.write(caller.organization_id) as session:
            await process_reports(session, [ReportCall(command, [notification_draft("late")])])
            if "postgresql" in database_url:  # on SQLite no other transaction commits meanwhile
                await events.log_events(database, command, [notification_draft("early")])
            bell = await fetch_bell(database, caller, PageRequest(20))
            head = await feed.fetch_log_head(database, caller)
        cursor = bell.encode_row_cursor(bell.rows[0]) if bell.rows else head
        await events.log_events(database, command, [notification_draft("end")])

        seen = [row.summary for row in bell.rows]
        after_list = await fetch_added_summaries(database, running, cursor, 3 if bell.rows else 2)
        after_head = await fetch_added_summaries(database, running, head, len(after_list))
    await late_process.close()

    assert "late" not in seen
    # After an open transaction, a subscription may repeat a listed event, but it skips none.
    assert after_list == ["late", *seen, "end"]
    assert after_head == after_list


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_live_follower_does_not_miss_a_late_commit(
    database: Database, database_url: str, background_statements: Statements
) -> None:
    command = await admin_command(database)
    late_process = Database(database_url)
    async with run_feed(database) as running:
        entries = follow_organization(running, command, await fetch_log_head(database))
        received = asyncio.create_task(take_summaries(entries, 2))
        async with late_process.write(command.actor.organization_id) as session:
            await process_reports(session, [ReportCall(command, [notification_draft("late")])])
            await events.log_events(database, command, [notification_draft("early")])
            background_statements.clear()
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while sum("FROM change" in each for each in background_statements) < 2:
                    await asyncio.sleep(0.01)  # the reader has read at most "early"
        order = await received
        await entries.aclose()
    await late_process.close()

    assert order == ["late", "early"]


async def test_a_live_follower_receives_entries_in_the_order_of_the_change_log(
    database: Database, database_url: str
) -> None:
    command = await admin_command(database)
    processes = [Database(database_url) for _ in range(3)]
    async with run_feed(database) as running:
        entries = follow_organization(running, command, await fetch_log_head(database))
        live = asyncio.create_task(take_summaries(entries, 120))
        await asyncio.gather(*(log_40_events(process, command) for process in processes))
        received = await live
        await entries.aclose()
    async with database.read(ALL_ORGANIZATIONS) as session:
        logged = [
            entry.state.summary
            for entry in await changes.fetch_entries_after(session, LOG_START, 1000)
            if entry.subject == changes.EVENT
        ]
    for process in processes:
        await process.close()

    assert received == logged
    assert sorted(received) == sorted(str(n) for n in range(40) for _ in processes)


async def test_a_signal_from_another_process_wakes_the_reader(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.engine.wake.POLL_SECONDS", 3600)
    await receive_from_other_process(database, database_url)


async def test_without_a_signal_the_reader_polls(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(_wake: WakeSignal) -> None:
        await asyncio.Event().wait()

    for kind in (DataVersionPoller, NotificationListener):
        monkeypatch.setattr(kind, "_listen", deaf)
    await receive_from_other_process(database, database_url)


async def receive_from_other_process(database: Database, database_url: str) -> None:
    command = await admin_command(database)
    other = Database(database_url)
    # The sender of a signal must be running, as the feed of every process is.
    async with run_feed(database) as running, run_feed(other):
        entries = follow_organization(running, command, await fetch_log_head(database))
        for summary in ("first", "second"):
            await events.log_events(other, command, [notification_draft(summary)])
            assert await take_summaries(entries, 1) == [summary]
        await entries.aclose()
    await other.close()


async def test_a_follower_whose_buffer_overflows_reads_the_change_log(database: Database) -> None:
    command = await admin_command(database)
    async with run_feed(database, buffer_entries=2) as running:
        entries = follow_organization(running, command, await fetch_log_head(database))
        await events.log_events(database, command, [notification_draft("first")])
        first = await take_summaries(entries, 1)
        for n in range(20):
            await events.log_events(database, command, [notification_draft(str(n))])
        rest = await take_summaries(entries, 20)
        await entries.aclose()

    assert first == ["first"]
    assert rest == [str(n) for n in range(20)]


async def test_a_follower_behind_pruned_entries_receives_cursor_expired(
    database: Database,
) -> None:
    command = await admin_command(database)
    await events.log_events(database, command, [notification_draft("first")])
    behind = await fetch_log_head(database)
    await events.log_events(database, command, [notification_draft("pruned")])
    await pruning.prune_entries(database, datetime.now(UTC) + timedelta(hours=1))
    await events.log_events(database, command, [notification_draft("last")])

    async with run_feed(database) as running:
        followed = follow_organization(running, command, behind)
        with pytest.raises(RequestError) as expired:
            await take_summaries(followed, 1)

    assert (expired.value.code, expired.value.path) == (ErrorCode.CURSOR_EXPIRED, ("after",))


async def test_the_buffer_of_a_follower_is_bounded(database: Database) -> None:
    command = await admin_command(database)
    async with run_feed(database, buffer_entries=5) as running:
        entries = follow_organization(running, command, await fetch_log_head(database))
        await events.log_events(database, command, [notification_draft("first")])
        await take_summaries(entries, 1)
        [follower] = running.followers
        await events.log_events(database, command, [notification_draft(str(n)) for n in range(50)])
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not follower.overflowed:
                await asyncio.sleep(0)
        waiting = await follower.wait_for_batch()
        await entries.aclose()

    assert waiting == []
    assert running.followers == set()


async def test_one_reader_serves_all_followers(
    database: Database, background_statements: Statements
) -> None:
    command = await admin_command(database)
    async with run_feed(database) as running:
        head = await fetch_log_head(database)
        followers = [follow_organization(running, command, head) for _ in range(20)]
        receiving = [asyncio.create_task(take_summaries(entries, 3)) for entries in followers]
        while len(running.followers) < 20:
            await asyncio.sleep(0)
        background_statements.clear()
        await events.log_events(
            database, command, [notification_draft(summary) for summary in "abc"]
        )
        answers = await asyncio.gather(*receiving)
        read = [each for each in background_statements if "FROM change" in each]
        for entries in followers:
            await entries.aclose()

    assert answers == [["a", "b", "c"]] * 20
    assert 0 < len(read) < 20


async def test_a_cursor_of_another_epoch_is_expired(database: Database) -> None:
    caller = await admin_caller(database)
    async with database.read(ALL_ORGANIZATIONS) as session:
        snapshot = await changes.fetch_snapshot(session)
    old = replace(snapshot, epoch="another epoch")
    cursor = changes.encode_log_cursor(caller.organization_id, old, LOG_START, complete=True)

    with pytest.raises(RequestError) as refused:
        await fetch_bell(database, caller, PageRequest(20, after=cursor))

    assert refused.value.code is ErrorCode.CURSOR_EXPIRED
    assert refused.value.path == ("after",)


async def fetch_log_head(database: Database) -> changes.LogPosition:
    async with database.read(ALL_ORGANIZATIONS) as session:
        return await changes.fetch_head(session)


async def log_40_events(process: Database, command: CommandContext) -> None:
    for n in range(40):
        await events.log_events(process, command, [notification_draft(str(n))])


async def test_a_cursor_beyond_the_end_of_the_change_log_is_expired(database: Database) -> None:
    caller = await admin_caller(database)
    async with database.read(ALL_ORGANIZATIONS) as session:
        snapshot = await changes.fetch_snapshot(session)
    beyond = changes.LogPosition(0, snapshot.last_seq + 1)
    cursor = changes.encode_log_cursor(caller.organization_id, snapshot, beyond, complete=True)

    with pytest.raises(RequestError) as refused:
        await fetch_bell(database, caller, PageRequest(20, after=cursor))

    assert refused.value.code is ErrorCode.CURSOR_EXPIRED


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_restored_dump_begins_a_new_epoch(database: Database, database_url: str) -> None:
    caller, command = await admin_caller(database), await admin_command(database)
    await events.log_events(
        database, command, [notification_draft("old 1"), notification_draft("old 2")]
    )
    old = await feed.fetch_log_head(database, caller)
    async with database.write(
        ALL_ORGANIZATIONS
    ) as session:  # as if transaction numbers had restarted since
        await session.execute(text("UPDATE change SET tx = tx + 1000000"))
        await session.execute(text("UPDATE event SET rang_tx = rang_tx + 1000000"))

    await migrate_database(database.url)

    await events.log_events(database, command, [notification_draft("new")])
    bell = await fetch_bell(database, caller, PageRequest(20))
    assert [row.summary for row in bell.rows] == ["new", "old 2", "old 1"]
    with pytest.raises(RequestError) as refused:
        await fetch_bell(database, caller, PageRequest(20, after=old))
    assert refused.value.code is ErrorCode.CURSOR_EXPIRED
    async with run_feed(database) as running:
        assert await fetch_added_summaries(
            database, running, bell.encode_row_cursor(bell.rows[2]), 2
        ) == [
            "old 2",
            "new",
        ]

    request = PageRequest(20, after=bell.encode_row_cursor(bell.rows[2]))
    page = await history.fetch_page(database, caller, request)
    assert [entry.state.summary for _, entry in page.entries] == ["old 2", "new"]


async def test_late_subscribers_receive_the_current_state_of_events(database: Database) -> None:
    command = await admin_command(database)
    async with run_feed(database) as running:
        received = follow_organization(running, command, await fetch_log_head(database))
        [_] = await events.log_events(database, command, [notification_draft("first")])
        assert (await take_summaries(received, 1)) == ["first"]
        [gone, changed] = await events.log_events(
            database, command, [notification_draft("gone"), notification_draft("before")]
        )
        assert gone.event is not None
        assert changed.event is not None
        await events.delete_event(database, command, gone.event.id)
        await events.update_event(database, command, changed.event.id, {"summary": "after"})
        end = await fetch_log_head(database)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while running.read_position < end:
                await asyncio.sleep(0.01)

        logged = [await anext(received) for _ in range(2)]
        await received.aclose()

    assert [each.state.summary for each in logged] == ["gone", "before"]
    assert [each.event and each.event.summary for each in logged] == [None, "after"]


async def test_a_feed_without_followers_reads_no_entries(
    database: Database, background_statements: Statements
) -> None:
    command = await admin_command(database)
    async with run_feed(database) as running:
        await events.log_events(database, command, [notification_draft("unheard")])
        end = await fetch_log_head(database)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while running.read_position < end:
                await asyncio.sleep(0.01)

    assert [each for each in background_statements if "JOIN event" in each] == []
