"""Alerts of senders whose clocks are ahead: an alarm that is not over stays open and notifies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.domain.access.caller import Caller, Permission
from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import UserErrorCode
from app.domain.shared.values import format_instant
from app.domain.sources.alerts import parse_alerts
from app.domain.sources.pagerduty import parse_pagerduty_event
from app.domain.sources.reports import map_severities
from app.domain.sources.sources import SourceKind
from app.services.events import events, status_changes
from app.services.events.reports import EventResult
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.factories import NOON, admin_caller
from tests.source_payloads import ALERT, alertmanager_payload, pagerduty_event, resolve_alert

SOURCE = "/sources/monitor"


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@dataclass
class Monitor:
    """A source. Its payloads arrive at a time in minutes after noon, by the clock of the server."""

    database: Database
    operator: Caller
    caller: Caller

    async def log(self, minutes: float, draft: EventDraft, caller: Caller) -> EventResult:
        command = CommandContext(caller, at(minutes), severity_map=map_severities({}))
        draft = replace(draft, source=SOURCE)
        [result] = await events.log_events(self.database, command, [draft])
        assert not result.is_rejected, result.problems
        return result

    async def send(self, minutes: float, payload: dict[str, Any]) -> EventResult:
        command = CommandContext(self.caller, at(minutes))
        if "alerts" in payload:
            kind = SourceKind.ALERTMANAGER
            parsed = parse_alerts(kind, payload, command.now, command.limits)
        else:
            parsed = parse_pagerduty_event(payload, command.now, command.limits)
        [report] = parsed.reports
        assert isinstance(report, EventDraft)
        return await self.log(minutes, report, self.caller)

    async def trigger(self, minutes: float, timestamp: float | None = None) -> EventResult:
        return await self._send_pagerduty("trigger", minutes, timestamp)

    async def resolve(self, minutes: float, timestamp: float | None = None) -> EventResult:
        return await self._send_pagerduty("resolve", minutes, timestamp)

    async def _send_pagerduty(
        self, action: str, minutes: float, timestamp: float | None
    ) -> EventResult:
        payload = {"summary": "Full"}
        if timestamp is not None:
            payload["timestamp"] = format_instant(at(timestamp))
        return await self.send(minutes, pagerduty_event(action, "disk", payload))

    async def fire(self, minutes: float, starts: float, ends: float | None = None) -> EventResult:
        """Sends an alert of Alertmanager, which is resolved if it ends."""
        alert = ALERT | {"startsAt": format_instant(at(starts)), "fingerprint": "disk"}
        if ends is not None:
            alert = resolve_alert(alert, format_instant(at(ends)))
        return await self.send(minutes, alertmanager_payload(alert))

    async def resolve_as_operator(self, minutes: float, occurred_at: float | None = None) -> None:
        time = None if occurred_at is None else at(occurred_at)
        draft = EventDraft(alert_key="disk", resolved=True, occurred_at=time)
        await self.log(minutes, draft, self.operator)

    async def list_statuses(self) -> list[str]:
        table = tables.Event
        async with self.database.read(ALL_ORGANIZATIONS) as session:
            rows = await session.scalars(select(table).order_by(col(table.id)))
            return ["OPEN" if each.resolved_at is None else "RESOLVED" for each in rows]


@pytest.fixture
async def monitor(database: Database) -> Monitor:
    operator = await admin_caller(database)
    caller = Caller(
        "monitor",
        operator.organization_id,
        frozenset({Permission.EVENT_CREATE}),
        credential_id=uuid4(),
    )
    return Monitor(database, operator, caller)


async def test_a_resolution_by_a_right_clock_resolves_what_a_clock_that_is_ahead_has_reported(
    monitor: Monitor,
) -> None:
    await monitor.trigger(0, timestamp=2)

    await monitor.resolve(0.5, timestamp=0.5)
    again = await monitor.trigger(1, timestamp=2)

    assert await monitor.list_statuses() == ["RESOLVED"]
    assert not again.stored


async def test_a_resolution_that_arrives_late_leaves_a_later_report_open(monitor: Monitor) -> None:
    await monitor.trigger(0, timestamp=0)
    await monitor.trigger(2, timestamp=2)

    await monitor.resolve(3, timestamp=1)

    assert await monitor.list_statuses() == ["OPEN"]


@pytest.mark.parametrize("timestamp", [2, None])
async def test_a_resolution_of_a_clock_that_is_ahead_hides_no_alert_of_a_right_clock(
    monitor: Monitor, timestamp: float | None
) -> None:
    await monitor.trigger(0, timestamp=4)
    await monitor.resolve(0.5, timestamp=4.5)

    new = await monitor.trigger(2, timestamp=timestamp)
    again = await monitor.resolve(2.5, timestamp=4.5)
    statuses = await monitor.list_statuses()
    await monitor.resolve(3, timestamp=3)

    assert new.stored
    assert [each.code for each in again.warnings] == [UserErrorCode.NOT_FOUND]
    assert statuses == ["RESOLVED", "OPEN"]
    assert await monitor.list_statuses() == ["RESOLVED", "RESOLVED"]


async def test_a_resolution_of_a_clock_that_is_hours_ahead_is_recognized_when_it_is_sent_again(
    monitor: Monitor,
) -> None:
    await monitor.trigger(0, timestamp=120)
    await monitor.resolve(1, timestamp=121)
    await monitor.trigger(2, timestamp=122)

    await monitor.resolve(3, timestamp=121)

    assert await monitor.list_statuses() == ["RESOLVED", "OPEN"]


@pytest.mark.parametrize("occurred_at", [None, 2])
async def test_an_alert_that_its_sender_repeats_is_logged_again_after_an_operator_resolved_it(
    monitor: Monitor, occurred_at: float | None
) -> None:
    await monitor.fire(0, starts=0)
    await monitor.resolve_as_operator(2, occurred_at)

    repeated = await monitor.fire(4, starts=0)

    assert repeated.stored
    assert await monitor.list_statuses() == ["RESOLVED", "OPEN"]


async def test_a_resolution_without_a_time_by_another_caller_is_not_remembered(
    monitor: Monitor,
) -> None:
    await monitor.trigger(0, timestamp=0)
    await monitor.resolve_as_operator(2)

    repeated = await monitor.trigger(4, timestamp=0)

    assert repeated.stored
    assert await monitor.list_statuses() == ["RESOLVED", "OPEN"]


@pytest.mark.parametrize("deletes", [False, True])
async def test_a_resolution_resolves_the_event_that_replaced_one_that_a_person_resolved_or_deleted(
    monitor: Monitor, deletes: bool
) -> None:
    first = await monitor.fire(0, starts=1)
    assert first.event is not None
    command = CommandContext(monitor.operator, at(10))
    if deletes:
        await events.delete_event(monitor.database, command, first.event.id)
    else:
        await status_changes.resolve_event(monitor.database, command, first.event.id, None)

    repeated = await monitor.fire(240, starts=1)
    await monitor.fire(250, starts=1, ends=251)

    assert repeated.stored
    assert set(await monitor.list_statuses()) == {"RESOLVED"}


async def test_a_resolution_that_ends_ahead_leaves_the_next_alert_open_when_it_is_sent_again(
    monitor: Monitor,
) -> None:
    await monitor.fire(0, starts=-1)
    await monitor.fire(2, starts=-1, ends=3)
    await monitor.fire(2.5, starts=2.4)

    await monitor.fire(2.6, starts=-1, ends=3)

    assert await monitor.list_statuses() == ["RESOLVED", "OPEN"]


@pytest.mark.parametrize("ahead", [0, 600])
async def test_an_alert_that_its_sender_resolved_fires_again_with_the_same_start(
    monitor: Monitor, ahead: float
) -> None:
    start, end = ahead, ahead + 5
    await monitor.fire(0, start)
    await monitor.fire(6, start, end)

    late = await monitor.fire(6.4, start)
    again = await monitor.fire(6.5, start)
    repeated = await monitor.fire(250, start)
    statuses = await monitor.list_statuses()
    await monitor.fire(300, start, 299 + ahead)
    late_again = await monitor.fire(300.4, start)

    assert [each.stored for each in (late, again, repeated, late_again)] == [
        *(False, True, False, False)
    ]
    assert [each.code for each in late.warnings] == [UserErrorCode.DUPLICATE]
    assert again.warnings == repeated.warnings == ()
    assert statuses == ["RESOLVED", "OPEN"]
    assert await monitor.list_statuses() == ["RESOLVED", "RESOLVED"]


async def test_the_old_end_of_an_alert_that_fires_again_leaves_it_open(monitor: Monitor) -> None:
    await monitor.fire(0, starts=0)
    await monitor.fire(6, starts=0, ends=5)
    await monitor.fire(20, starts=0)

    old_end = await monitor.fire(21, starts=0, ends=5)

    assert [each.code for each in old_end.warnings] == [UserErrorCode.NOT_FOUND]
    assert await monitor.list_statuses() == ["RESOLVED", "OPEN"]


async def test_an_old_alert_changes_nothing_while_a_newer_one_with_its_key_is_open(
    monitor: Monitor,
) -> None:
    await monitor.fire(0, starts=0)
    await monitor.fire(6, starts=0, ends=5)
    await monitor.fire(20, starts=19)

    old = await monitor.fire(40, starts=0)

    assert [each.code for each in old.warnings] == [UserErrorCode.DUPLICATE]
    assert await monitor.list_statuses() == ["RESOLVED", "OPEN"]
