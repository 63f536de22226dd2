"""The rate of `log_events` without a server: 32 events per transaction, on SQLite.

It is the reference for `logEvent` over HTTP, where 32 connections wait at the same time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.services.auth.access import Access, authenticate_credential
from app.services.events.events import log_events
from app.store.engine.database import Database
from benchmarks.peers.documents import build_report
from benchmarks.peers.turns import CONNECTIONS
from benchmarks.processes import KEY


async def measure_rate(database_url: str, seconds: float) -> float:
    database = Database(database_url)
    try:
        caller = await authenticate_credential(Access(database), f"Bearer {KEY}")
        await _log_one_event(database, CommandContext(caller, datetime.now(UTC)))
        stored, begun = 0, time.perf_counter()
        while (taken := time.perf_counter() - begun) < seconds:
            stored += await _log_one_event(database, CommandContext(caller, datetime.now(UTC)))
        return stored / taken
    finally:
        await database.close()


async def _log_one_event(database: Database, command: CommandContext) -> int:
    reports = await log_events(
        database, command, [_build_draft(number) for number in range(CONNECTIONS)]
    )
    assert all(each.stored for each in reports)
    return len(reports)


def _build_draft(number: int) -> EventDraft:
    report: dict[str, Any] = build_report(number)
    del report["sourceId"]
    values = {"tags": tuple(report["tags"]), "source_id": str(uuid4())}
    return EventDraft(**report | values)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure_rate(sys.argv[1], float(sys.argv[2])))))
