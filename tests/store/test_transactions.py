"""Traps of both databases: lost updates, instants, durability, and isolation of organizations."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import types
from collections.abc import Coroutine, Generator, Set
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import StatementError
from sqlmodel import col

from app.domain.access.caller import Permission
from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.services.events import events
from app.services.events.reports import ReportCall, process_reports
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import parse_database_url
from app.store.migrate import UnusableDatabaseError, migrate_database
from app.store.writing.inserts import insert_rows
from tests.client import TIMEOUT_SECONDS
from tests.factories import NOON, admin_caller, admin_command, create_api_key
from tests.services.test_correlating_at_once import wait_for_blocked_locks


async def test_concurrent_writers_of_several_processes_lose_no_update(database_url: str) -> None:
    processes = [Database(database_url) for _ in range(4)]
    command = await admin_command(processes[0])
    [report] = await events.log_events(processes[0], command, [EventDraft()])
    assert report.event is not None
    event_id = report.event.id

    await asyncio.gather(
        *(
            events.update_event(processes[n % 4], command, event_id, {"fields": {f"f{n}": n}})
            for n in range(40)
        )
    )

    async with processes[0].read(ALL_ORGANIZATIONS) as session:
        event = await session.get_one(tables.Event, event_id)
    for process in processes:
        await process.close()
    assert event.fields == {f"f{n}": n for n in range(40)}
    assert event.version == 41


async def test_a_naive_instant_is_rejected_before_it_is_stored(database: Database) -> None:
    command = await admin_command(database)
    naive = EventDraft(occurred_at=datetime(2026, 4, 10, 10, 30))  # noqa: DTZ001 - a naive instant is the input

    with pytest.raises((StatementError, TypeError)):
        await events.log_events(database, command, [naive])

    async with database.read(ALL_ORGANIZATIONS) as session:
        assert (await session.scalars(select(func.count()).select_from(tables.Event))).one() == 0


async def test_an_instant_column_rejects_a_naive_instant(database: Database) -> None:
    with pytest.raises(StatementError, match="has no UTC offset"):
        async with database.write(ALL_ORGANIZATIONS) as session:
            await session.execute(
                update(tables.Organization).values(created_at=datetime(2026, 4, 10))  # noqa: DTZ001
            )


async def test_an_instant_is_returned_in_utc_unchanged(database: Database) -> None:
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(update(tables.Organization).values(created_at=NOON))

    async with database.read(ALL_ORGANIZATIONS) as session:
        stored_at = (await session.scalars(select(col(tables.Organization.created_at)))).one()
    assert (stored_at, stored_at.utcoffset()) == (NOON, NOON.utcoffset())


@pytest.mark.parametrize(
    "instant", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
async def test_the_first_and_the_last_instant_can_be_stored(
    database: Database, instant: datetime
) -> None:
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(update(tables.Organization).values(created_at=instant))

    async with database.read(ALL_ORGANIZATIONS) as session:
        stored_at = (await session.scalars(select(col(tables.Organization.created_at)))).one()
    assert stored_at == instant


async def test_values_and_tags_that_an_update_changes_are_saved(database: Database) -> None:
    command = await admin_command(database)
    draft = EventDraft(fields={"deep": {"list": [1]}, "kept": True}, tags=("a", "b"))
    [report] = await events.log_events(database, command, [draft])
    assert report.event is not None

    changed = {"fields": {"deep": {"list": [1, 2]}}, "tags": ("b", "c")}
    await events.update_event(database, command, report.event.id, changed)

    async with database.read(ALL_ORGANIZATIONS) as session:
        event = await session.get_one(tables.Event, report.event.id)
        tags = await session.scalars(select(col(tables.EventTag.tag)))
    assert event.fields == {"deep": {"list": [1, 2]}, "kept": True}
    assert event.tags == ["b", "c"]
    assert sorted(tags) == ["b", "c"]


async def test_a_failed_transaction_stores_nothing(database: Database) -> None:
    command = await admin_command(database)

    with pytest.raises(ZeroDivisionError):
        async with database.write(command.actor.organization_id) as session:
            await process_reports(session, [ReportCall(command, [EventDraft(notification=True)])])
            raise ZeroDivisionError

    async with database.read(ALL_ORGANIZATIONS) as session:
        for table in (tables.Event, tables.Change):
            logged = select(func.count()).select_from(table)
            if table is tables.Change:
                logged = logged.where(col(tables.Change.subject) == "event")
            assert (await session.scalars(logged)).one() == 0


async def test_a_writer_s_commit_survives_a_power_cut(database: Database) -> None:
    durable = {"sqlite": ("PRAGMA synchronous", 2), "postgresql": ("SHOW synchronous_commit", "on")}
    async with database.write(ALL_ORGANIZATIONS) as session:
        query, expected = durable[session.get_bind().dialect.name]

        assert (await session.execute(text(query))).scalar_one() == expected


@pytest.mark.parametrize("writes", [False, True], ids=["read", "write"])
async def test_a_session_cancelled_at_any_point_leaves_no_failed_connection(
    database: Database, writes: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The client of a subscription may be lost while the subscription reads where it starts."""

    async def use_session() -> None:
        open_session = database.write if writes else database.read
        async with open_session(ALL_ORGANIZATIONS) as session:
            await session.execute(select(tables.Organization))
            if writes:
                await session.execute(update(tables.Organization).values(created_at=NOON))

    cancellations = 0
    await use_session()
    while await is_cancelled_at(use_session(), {cancellations + 1}):
        cancellations += 1
        await use_session()  # so that the pool has an open connection

    assert cancellations >= 3
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == []
    assert database.connections_in_use == 0


async def test_subscribers_are_notified_of_a_commit_whose_caller_is_cancelled_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifications: list[datetime] = []

    async def store(instant: datetime) -> None:
        monkeypatch.setattr(database.wake, "notify", lambda: notifications.append(instant))
        async with database.write(ALL_ORGANIZATIONS) as session:
            await session.execute(update(tables.Organization).values(created_at=instant))

    await store(NOON)
    committed = 0
    for suspension in itertools.count(1):
        instant = NOON + timedelta(seconds=suspension)
        cancelled = await is_cancelled_at(store(instant), {suspension, suspension + 1})
        async with database.read(ALL_ORGANIZATIONS) as session:
            stored = (await session.scalars(select(col(tables.Organization.created_at)))).one()
        if stored == instant:
            committed += 1
            assert instant in notifications
        if not cancelled:
            break

    assert committed >= 2  # one of them was cancelled


async def is_cancelled_at(work: Coroutine[Any, Any, None], suspensions: Set[int]) -> bool:
    """Cancels the task when its work is suspended for these times (1: the first)."""

    @types.coroutine
    def run_until_suspension() -> Generator[Any, None, None]:
        resume = partial(work.send, None)
        for count in itertools.count(1):
            try:
                waits_for = resume()
            except StopIteration:
                return
            if count in suspensions:
                running = asyncio.current_task()
                assert running is not None
                running.cancel()
            try:
                yield waits_for
                resume = partial(work.send, None)
            except BaseException as error:
                resume = partial(work.throw, error)

    async def run() -> None:
        await run_until_suspension()

    try:
        await asyncio.wait_for(asyncio.create_task(run()), TIMEOUT_SECONDS)
    except asyncio.CancelledError:
        return True
    return False


async def test_twenty_concurrent_equal_reports_are_one_event(database_url: str) -> None:
    processes = [Database(database_url) for _ in range(2)]
    command = await admin_command(processes[0])

    answers = await asyncio.gather(
        *(
            events.log_events(
                processes[n % 2], command, [EventDraft(summary="once", source_id="1")]
            )
            for n in range(20)
        )
    )

    async with processes[0].read(ALL_ORGANIZATIONS) as session:
        stored = (await session.scalars(select(col(tables.Event.id)))).all()
    for process in processes:
        await process.close()
    reports = [report for [report] in answers]
    assert len(stored) == 1
    assert {report.event.id for report in reports if report.event} == set(stored)
    assert sum(report.duplicate for report in reports) == 19


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_concurrent_lists_in_opposite_order_do_not_deadlock(
    database: Database, database_url: str
) -> None:
    command = await admin_command(database)
    a, m, z = (EventDraft(summary="same", source_id=each) for each in "amz")
    holder = Database(database_url)

    with contextlib.suppress(ZeroDivisionError):
        async with holder.write(command.actor.organization_id) as session:
            await process_reports(session, [ReportCall(command, [m])])
            forward = asyncio.create_task(events.log_events(database, command, [a, m, z]))
            backward = asyncio.create_task(events.log_events(database, command, [z, m, a]))
            await wait_for_blocked_locks(database, 2)
            raise ZeroDivisionError
    reports = [*await forward, *await backward]
    await holder.close()

    assert [report.problems for report in reports] == [()] * 6
    assert sum(report.duplicate for report in reports) == 3


@pytest.mark.parametrize("content", [None, b"not a database, " * 1000])
async def test_an_sqlite_file_that_cannot_be_opened_leaves_no_thread(
    tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "folder" / "tocsin.db"
    if content is not None:
        file.parent.mkdir()
        file.write_bytes(content)
    errors: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", errors.append)

    async def fail() -> None:
        with pytest.raises(UnusableDatabaseError):
            await migrate_database(parse_database_url(f"sqlite:///{file}"))

    for _ in range(20):
        await asyncio.to_thread(asyncio.run, fail())
    await asyncio.sleep(0.1)

    assert errors == []


async def test_a_session_reads_only_its_own_organization(database: Database) -> None:
    await create_api_key(database, Permission.EVENT_READ, organization="acme")
    command = await admin_command(database)
    await events.log_events(database, command, [EventDraft(tags=("t",), source_id="1")])
    async with database.read(ALL_ORGANIZATIONS) as session:
        acme = (
            await session.scalars(
                select(col(tables.Organization.id)).where(col(tables.Organization.key) == "acme")
            )
        ).one()

    for table in tables.owned_tables():
        own = select(col(table.organization_id))
        async with database.read(acme) as session:
            assert set(await session.scalars(own)) <= {acme}, table
            counted = select(func.count()).select_from(table)
            assert (await session.scalars(counted)).one() == len((await session.scalars(own)).all())


async def test_a_session_changes_no_row_of_another_organization(database: Database) -> None:
    await create_api_key(database, Permission.EVENT_READ, organization="acme")
    caller = await admin_caller(database)
    await events.log_events(database, CommandContext(caller, NOON), [EventDraft(summary="kept")])
    async with database.read(ALL_ORGANIZATIONS) as session:
        acme = (
            await session.scalars(
                select(col(tables.Organization.id)).where(col(tables.Organization.key) == "acme")
            )
        ).one()

    async with database.write(acme) as session:
        await session.execute(update(tables.Event).values(summary="taken"))
    foreign: dict[str, Any] = {
        "organization_id": caller.organization_id,
        "event_id": acme,
        "tag": "t",
    }
    with pytest.raises(AssertionError, match="another organization"):
        async with database.write(acme) as session:
            await insert_rows(session, (tables.EventTag, [foreign]))
    with pytest.raises(AssertionError, match="another organization"):
        async with database.write(caller.organization_id) as session:
            (await session.scalars(select(tables.Event))).one().organization_id = acme

    async with database.read(ALL_ORGANIZATIONS) as session:
        assert (await session.scalars(select(col(tables.Event.summary)))).all() == ["kept"]


async def test_a_read_session_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"readonly database|read-only transaction"):
        async with database.read(ALL_ORGANIZATIONS) as session:
            await session.execute(update(tables.Log).values(epoch="another"))
