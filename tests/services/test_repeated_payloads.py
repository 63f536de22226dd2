"""Payloads without any ID: a retry is logged once, and an equal payload of later is a new event."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import Limits
from app.domain.sources.sources import SourceKind, SourceMapping
from app.services.auth.access import Access
from app.services.sources import receiving
from app.services.sources.sources import create_source
from app.store import tables
from app.store.engine.database import Database
from tests.factories import NOON, admin_caller
from tests.source_payloads import pagerduty_event

MAPPINGS = {
    SourceKind.PAGERDUTY: None,
    SourceKind.JSON: SourceMapping("body.title", occurred_at="body.?timestamp"),
}


@dataclass
class Sender:
    """Sends payloads that arrive at a time after noon."""

    access: Access
    source: tables.Source
    limits: Limits = field(default_factory=Limits)

    async def trigger(self, seconds: float, timestamp: datetime | None = None) -> tuple[bool, str]:
        """Returns whether an event was stored, and the deduplication key, which may be empty."""
        time = {} if timestamp is None else {"timestamp": timestamp.isoformat()}
        if self.source.kind is SourceKind.JSON:
            return await self.send(seconds, {"title": "Backup failed"} | time)
        return await self.send(
            seconds, pagerduty_event("trigger", None, {"summary": "Backup failed"} | time)
        )

    async def send(self, seconds: float, payload: dict[str, Any]) -> tuple[bool, str]:
        command = receiving.build_command(self.source, self.limits, {})
        command = replace(command, now=NOON + timedelta(seconds=seconds))
        body = json.dumps(payload).encode()
        received = await receiving.receive_payload(
            self.access, command, self.source, payload, body, {}
        )
        [result] = received.results
        assert not result.is_rejected, result.problems
        assert result.event is None or received.deduplication_key == result.event.alert_key
        return result.stored, received.deduplication_key or ""


@pytest.fixture(params=MAPPINGS)
async def sender(database: Database, request: pytest.FixtureRequest) -> Sender:
    kind = request.param
    command = CommandContext(await admin_caller(database), NOON)
    arguments = ("monitor", kind, MAPPINGS[kind])
    created = await create_source(database, command, *arguments, enabled=True)
    assert created.source is not None
    return Sender(Access(database), created.source)


async def test_a_retry_is_logged_once_and_the_payload_of_the_next_night_is_a_new_event(
    sender: Sender,
) -> None:
    night = 24 * 3_600

    results = [await sender.trigger(seconds) for seconds in (59, 61, 119, 121, night, night + 5)]
    stored, keys = zip(*results, strict=True)

    assert stored == (True, False, False, True, True, False)
    assert keys[0] == keys[1] == keys[2]
    assert keys[4] == keys[5]
    is_pagerduty = sender.source.kind is SourceKind.PAGERDUTY
    assert len(set(keys)) == (3 if is_pagerduty else 1)


async def test_a_payload_with_a_time_is_logged_once_whenever_it_is_sent(sender: Sender) -> None:
    results = [await sender.trigger(seconds, NOON) for seconds in (0, 5, 3_600)]
    later = await sender.trigger(3_600, NOON + timedelta(minutes=1))

    assert [stored for stored, _ in results] == [True, False, False]
    assert len({key for _, key in results}) == 1
    assert later[0]


async def test_with_a_period_of_zero_each_payload_without_a_time_is_a_new_event(
    sender: Sender,
) -> None:
    sender.limits = replace(sender.limits, repeated_payload_seconds=0)

    results = [await sender.trigger(seconds) for seconds in (0, 1)]

    assert [stored for stored, _ in results] == [True, True]


@pytest.mark.parametrize("sender", [SourceKind.PAGERDUTY], indirect=True)
async def test_a_retry_after_the_resolution_of_a_trigger_opens_no_event(sender: Sender) -> None:
    _, key = await sender.trigger(59)
    await sender.send(60, pagerduty_event("resolve", key))

    retry = await sender.trigger(61)

    assert retry == (False, key)
