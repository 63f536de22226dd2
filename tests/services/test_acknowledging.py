"""Bulk changes of the status: in batches, and retried after a deadlock on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select, select, text, update
from sqlmodel import col

from app.domain.events.filters import EventFilter
from app.domain.events.state import AlertKey
from app.domain.rules.duplicates import DuplicateAction
from app.domain.shared.problems import UserErrorCode
from app.services.change_log import notifications
from app.services.change_log.notifications import NotificationPageRequest
from app.services.events import events, status_changes
from app.services.events.bulk_changes import BATCH_SIZE
from app.services.rules import duplication_rules
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
async def test_a_conflict_that_ends_before_the_retry_after_a_deadlock_is_not_reported(
    database: Database, database_url: str
) -> None:
    command = await admin_command(database)
    attributes = {"name": "r", "fingerprint": ("subject",), "window": timedelta(hours=1)}
    rule = attributes | {"action": DuplicateAction.FLAG}
    await duplication_rules.create_rule(database, command, None, rule, enabled=True)
    alert = replace(
        notification_draft("alert", subject="alert"), source="/host-1", alert_key="disk"
    )
    ids = []
    for number, draft in enumerate([alert, notification_draft("other", subject="x"), alert]):
        [report] = await events.log_events(
            database, command, [replace(draft, source_id=str(number))]
        )
        assert report.event is not None
        ids.append(report.event.id)
        if number < 2:
            await status_changes.resolve_event(database, command, ids[-1], None)
    old, other, unresolved = ids
    holder = Database(database_url)

    async with holder.write(ALL_ORGANIZATIONS) as session:
        # The transaction that detects a deadlock first is rolled back: this one detects it later.
        await session.execute(text("SET LOCAL deadlock_timeout = '1min'"))
        first_event = select(tables.FirstEvent).where(col(tables.FirstEvent.event_id) == other)
        await session.execute(first_event.with_for_update())
        reopening = asyncio.create_task(
            status_changes.reopen_events(database, command, EventFilter(), [old, other])
        )
        await wait_for_blocked_locks(database, 1)
        await session.execute(_lock_statement(other))  # which the reopening locked
        resolved = update(tables.Event).where(col(tables.Event.id) == unresolved)
        await session.execute(resolved.values(resolved_at=command.now))
    reopened = await reopening
    await holder.close()

    assert (reopened.changed_count, reopened.problems) == (2, ())
    assert {row.id for row in reopened.rows} == {old, other}


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
