"""Concurrent correlations, by several processes and of events that are deleted."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from sqlalchemy import func, select, text
from sqlmodel import col

from app.domain.events.correlations import Relation
from app.domain.events.state import EventDraft
from app.domain.shared.problems import UserErrorCode
from app.services.events import correlations, events
from app.services.shared.row_locks import lock_organization, lock_row
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import TIMEOUT_SECONDS
from tests.factories import admin_command
from tests.services.test_correlations import fetch_links, log_events

RELATED, CAUSED_BY, CAUSE_OF = Relation


async def test_two_concurrent_links_cannot_close_a_cycle_together(database_url: str) -> None:
    processes = [Database(database_url) for _ in range(2)]
    command = await admin_command(processes[0])

    for _ in range(5):
        a, b, c, d = await log_events(processes[0], command, 4)
        await correlations.correlate_events(processes[0], command, a, [b], CAUSED_BY)
        await correlations.correlate_events(processes[0], command, c, [d], CAUSED_BY)
        done = await asyncio.gather(
            correlations.correlate_events(processes[0], command, b, [c], CAUSED_BY),
            correlations.correlate_events(processes[1], command, a, [d], CAUSE_OF),
        )
        refused = [problem.code for report in done for problem in report.problems]
        assert refused == [UserErrorCode.CYCLE]

    assert len(await fetch_links(processes[0])) == 5 * 3
    for process in processes:
        await process.close()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_causal_links_wait_for_each_other_and_reports_do_not_wait(
    database: Database, database_url: str
) -> None:
    command = await admin_command(database)
    a, b, c, d = await log_events(database, command, 4)
    await correlations.correlate_events(database, command, a, [b], CAUSED_BY)
    await correlations.correlate_events(database, command, c, [d], CAUSED_BY)
    holder = Database(database_url)

    with contextlib.suppress(ZeroDivisionError):
        async with holder.write(command.actor.organization_id) as session:
            await lock_organization(session, command.actor.organization_id)
            one = asyncio.create_task(
                correlations.correlate_events(database, command, b, [c], CAUSED_BY)
            )
            other = asyncio.create_task(
                correlations.correlate_events(database, command, d, [a], CAUSED_BY)
            )
            await wait_for_blocked_locks(database, 2)
            [reported] = await events.log_events(database, command, [EventDraft()])
            related = await correlations.correlate_events(database, command, a, [c], RELATED)
            raise ZeroDivisionError
    done = [await one, await other]
    await holder.close()

    assert reported.problems == related.problems == ()
    assert [each.code for report in done for each in report.problems] == [UserErrorCode.CYCLE]


@pytest.mark.parametrize("relation", Relation)
async def test_an_event_that_is_deleted_meanwhile_is_linked_or_not_found(
    database_url: str, relation: Relation
) -> None:
    processes = [Database(database_url) for _ in range(2)]
    command = await admin_command(processes[0])
    [hub] = await log_events(processes[0], command, 1)

    for event_id in await log_events(processes[0], command, 8):
        linked, deleted = await asyncio.gather(
            correlations.correlate_events(processes[0], command, hub, [event_id], relation),
            events.delete_event(processes[1], command, event_id),
        )
        assert deleted.problems == ()
        assert [(each.code, each.path) for each in linked.problems] in (
            *([], [(UserErrorCode.NOT_FOUND, ("relatedIds", "0"))]),
        )

    assert await fetch_links(processes[0]) == set()
    for process in processes:
        await process.close()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_call_that_waited_for_a_deletion_returns_not_found(
    database: Database, database_url: str
) -> None:
    command = await admin_command(database)
    a, b = await log_events(database, command, 2)
    holder = Database(database_url)

    async with holder.write(command.actor.organization_id) as session:
        row = await lock_row(session, tables.Event, b)
        await session.delete(row)
        await session.flush()
        linking = asyncio.create_task(
            correlations.correlate_events(database, command, a, [b], RELATED)
        )
        await wait_for_blocked_locks(database, 1)
    report = await linking
    await holder.close()

    assert [each.code for each in report.problems] == [UserErrorCode.NOT_FOUND]
    assert await fetch_links(database) == set()


async def test_equal_concurrent_links_are_stored_once(database_url: str) -> None:
    processes = [Database(database_url) for _ in range(4)]
    command = await admin_command(processes[0])
    hub, *others = await log_events(processes[0], command, 6)

    reports = await asyncio.gather(
        *(
            correlations.correlate_events(
                processes[n % 4], command, hub, others if n % 2 else others[::-1], CAUSED_BY
            )
            for n in range(12)
        )
    )

    assert [report.problems for report in reports] == [()] * 12
    assert len(await fetch_links(processes[0])) == 5
    async with processes[0].read(ALL_ORGANIZATIONS) as session:
        count_statement = select(func.count()).where(col(tables.Change.kind) == "CORRELATED")
        assert (await session.scalars(count_statement)).one() == 6
    for process in processes:
        await process.close()


async def wait_for_blocked_locks(database: Database, count: int) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            async with database.read(ALL_ORGANIZATIONS) as session:
                if (await session.execute(waiting)).scalar_one() == count:
                    return
            await asyncio.sleep(0.01)
