"""Two servers apply the retention policies of a database, and the one that works is killed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update
from sqlmodel import col

from app.services.events.bulk_changes import BATCH_SIZE
from app.services.retention.application import LEASE_TIME
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from benchmarks.faults_cluster import find_free_port
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS, Client
from tests.graphql.test_retention import (
    AUDIT,
    LOG_EVENTS,
    OLD,
    create_policy,
    list_summaries,
    make_old,
)
from tests.http.test_command import start_server

COUNT = BATCH_SIZE + 100


async def list_applications(client: Client) -> list[Any]:
    entries = (await client.execute_field(AUDIT, actions=["RETENTION_APPLIED"]))["nodes"]
    return [each["changes"]["deletedEvents"][1] for each in entries]


async def wait_for_applications(client: Client, count: int) -> list[Any]:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(applications := await list_applications(client)) < count:
            await asyncio.sleep(0.05)
    return applications


async def test_another_server_deletes_the_rest_after_one_is_killed(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    # The first server pauses for a thousand times as long as its first transaction takes.
    settings = {"database_url": database_url, "bootstrap_key": ADMINISTRATOR}
    slow = settings | {"retention__max_time_percent": "0.1", "retention__interval_seconds": "1"}
    fast = settings | {"retention__max_time_percent": "100", "retention__interval_seconds": "1"}
    ports = find_free_port(), find_free_port()
    async with AsyncExitStack() as stack:
        killed, _ = await stack.enter_async_context(start_server(tmp_path, ports[0], **slow))
        client = await stack.enter_async_context(Client(f"http://127.0.0.1:{ports[0]}"))
        events = [{"summary": "expired", "type": "old.a"} for _ in range(COUNT)]
        events += [{"summary": "other type", "type": "kept"}] * 3
        for start in range(0, len(events), 200):
            await client.execute_field(LOG_EVENTS, input=events[start : start + 200])
        await make_old(database, "expired", "other type")
        await client.log_event(summary="new", type="old.a")
        await create_policy(client, filter={"types": ["old.*"]})
        first = await wait_for_applications(client, 1)

        killed.kill()
        await killed.wait()
        table = tables.RetentionPolicy
        async with database.read(ALL_ORGANIZATIONS) as session:
            [policy] = await session.scalars(select(table))
            remaining = await session.scalar(select(func.count()).select_from(tables.Event))
        await stack.enter_async_context(start_server(tmp_path, ports[1], **fast))
        other = await stack.enter_async_context(Client(f"http://127.0.0.1:{ports[1]}"))
        # The lease ends sooner than after its two minutes.
        async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
            await session.execute(update(table).values(leased_until=OLD))
        applications = await wait_for_applications(other, 2)
        summaries = await list_summaries(other)
        is_deletion = col(tables.Change.kind) == "DELETED"
        async with database.read(ALL_ORGANIZATIONS) as session:
            statement = select(col(tables.Change.actor), func.count()).where(is_deletion)
            deletions = (await session.execute(statement.group_by(tables.Change.actor))).all()

    # The rest that makes no whole transaction is deleted first.
    assert first == [COUNT - BATCH_SIZE]
    assert remaining == BATCH_SIZE + 4
    assert policy.last_applied_at is None
    assert policy.leased_until is not None
    assert policy.leased_until <= datetime.now(UTC) + LEASE_TIME
    assert applications == [BATCH_SIZE, COUNT - BATCH_SIZE]  # the newest first
    assert summaries == ["other type"] * 3 + ["new"]
    assert [tuple(each) for each in deletions] == [("retention policy all", COUNT)]
