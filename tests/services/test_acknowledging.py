"""Bulk acknowledgement: in batches, and retried after a deadlock on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select, select, text, update
from sqlmodel import col

from app.domain.events.filters import EventFilter
from app.domain.events.state import AlertKey
from app.domain.shared.problems import UserErrorCode
from app.services.change_log import notifications
from app.services.change_log.notifications import NotificationPageRequest
from app.services.events import events, status_changes
from app.services.events.bulk_changes import BATCH_SIZE
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.reading.pages import PageRequest
from tests.factories import admin_command, notification_draft
from tests.services.test_correlating_at_once import wait_for_blocked_locks


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_an_acknowledgement_is_retried_after_a_deadlock(
    database: Database, database_url: str
) -> None:
    command = await admin_command(database)
    reports = await events.log_events(
        database, command, [notification_draft("low"), notification_draft("high")]
    )
    low, high = sorted(report.event.id for report in reports if report.event)
    holder = Database(database_url)

    async with holder.write(ALL_ORGANIZATIONS) as session:
        # The transaction that detects a deadlock first is rolled back: this one detects it later.
        await session.execute(text("SET LOCAL deadlock_timeout = '1min'"))
        await session.execute(_lock_statement(high))
        acknowledging = asyncio.create_task(
            notifications.acknowledge_events(database, command, EventFilter(), None, None)
        )
        await wait_for_blocked_locks(database, 1)
        await session.execute(_lock_statement(low))  # which the acknowledgement locked
    acknowledged = await acknowledging
    await holder.close()

    assert acknowledged.changed_count == 2
    assert {row.id for row in acknowledged.rows} == {low, high}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_an_alert_that_is_resolved_meanwhile_is_not_acknowledged(
    database: Database, database_url: str
) -> None:
    command = await admin_command(database)
    draft = replace(notification_draft("alert"), source="/host-1", alert_key="disk")
    [report] = await events.log_events(database, command, [draft])
    assert report.event is not None
    holder = Database(database_url)

    async with holder.write(ALL_ORGANIZATIONS) as session:
        resolved = update(tables.Event).where(col(tables.Event.id) == report.event.id)
        await session.execute(resolved.values(resolved_at=command.now))
        acknowledging = asyncio.create_task(
            notifications.acknowledge_alert(database, command, AlertKey("/host-1", "disk"))
        )
        await wait_for_blocked_locks(database, 1)
    result = await acknowledging
    await holder.close()

    assert (result.event, result.duplicate) == (None, True)
    assert [warning.code for warning in result.warnings] == [UserErrorCode.NOT_FOUND]
    async with database.read(ALL_ORGANIZATIONS) as session:
        [row] = await session.scalars(select(tables.Event))
    assert (row.acknowledged_at, row.resolved_at) == (None, command.now)


async def test_several_batches_are_acknowledged_and_the_newest_events_are_returned(
    database: Database,
) -> None:
    command = await admin_command(database)
    rung = [f"{n}" for n in range(BATCH_SIZE + 10)]
    for start in (0, BATCH_SIZE):
        drafts = [notification_draft(each) for each in rung[start : start + BATCH_SIZE]]
        await events.log_events(database, command, drafts)

    acknowledged = await notifications.acknowledge_events(
        database, command, EventFilter(), None, None
    )

    assert acknowledged.changed_count == len(rung)
    assert [row.summary for row in acknowledged.rows] == rung[
        : -status_changes.MAX_RETURNED_EVENTS - 1 : -1
    ]
    request = NotificationPageRequest(EventFilter(acknowledged=False), PageRequest(1))
    bell = await notifications.NOTIFICATION_LIST.fetch_page(database, command.actor, request)
    assert bell.rows == []


def _lock_statement(event_id: UUID) -> Select[Any]:
    return select(tables.Event).where(col(tables.Event.id) == event_id).with_for_update()
