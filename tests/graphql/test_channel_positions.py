"""Where channels continue: after pruning, a failover, a restore and faults of others."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col

from app.domain.access.caller import Permission
from app.services.change_log.pruning import count_prunable_entries, prune_entries
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.migrate import start_new_epoch
from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import Serve
from tests.factories import create_api_key
from tests.graphql.test_deliveries import (
    CHANNEL,
    REDELIVER,
    create_channel,
    list_actions,
    log_notification,
    wait_for_deliveries,
)
from tests.webhook_receiver import receive_webhooks

REPORTS = """
query ($source: String!) {
  events(filter: {source: $source}) {
    nodes { summary content severity notification alertKey status }
  }
}
"""
SOON = timedelta(seconds=1)


async def wait_for_action(client: Client, id: str, action: str, count: int = 1) -> list[str]:
    """Waits for audit entries of a channel, and returns the actions of all."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (actions := await list_actions(client, id)).count(action) < count:
            await asyncio.sleep(0.05)
    return actions


async def set_channel(database: Database, id: str, **values: Any) -> None:
    statement = update(tables.Channel).where(col(tables.Channel.id) == UUID(id)).values(**values)
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(statement)


async def test_pruning_keeps_what_an_enabled_channel_has_not_read(
    serve: Serve, database_url: str, database: Database
) -> None:
    others_key = await create_api_key(database, *Permission, organization="others")
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            channel_id, _ = await create_channel(client, receiver.url)
        # Without keys, a server delivers nothing, but logs events.
        async with serve(database_url, secrets_keys=None) as client:
            await log_notification(client, "waiting")
            await client.as_key(others_key).log_event(summary="of others")
            before = datetime.now(UTC) + SOON
            counted = await count_prunable_entries(database, before)
            removed = await prune_entries(database, before)
            again = await prune_entries(database, before)
            await log_notification(client, "later")
        async with serve(database_url) as client:
            channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 2)
            actions = await list_actions(client, channel_id)

    assert (counted, removed, again) == (1, 1, 0)
    assert sorted(receiver.summaries) == ["later", "waiting"]
    assert (actions, channel["lastError"]) == (["CREATED"], None)


async def test_a_channel_reports_what_was_pruned_before_it_was_delivered(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            channel_id, _ = await create_channel(client, receiver.url)
        async with serve(database_url, secrets_keys=None) as client:
            await log_notification(client, "lost")
            now = datetime.now(UTC)
            removed = await prune_entries(database, now + SOON, undelivered_time=timedelta())
            await log_notification(client, "kept")
        async with serve(database_url) as client:
            actions = await wait_for_action(client, channel_id, "DELIVERIES_SKIPPED")
            await receiver.wait_for(1)
            await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
            reports = await client.execute_field(REPORTS, source=f"/channels/{channel_id}")
        async with serve(database_url) as client:
            await log_notification(client, "last")
            await receiver.wait_until(lambda: "last" in receiver.summaries)
            later = await list_actions(client, channel_id)

    report = {
        "summary": "The channel hook has skipped changes",
        "content": "Entries of the change log were pruned before they were delivered. The channel "
        "continues with the oldest entry that exists.",
        "severity": "WARN",
        "notification": True,
        "alertKey": None,
        "status": "OPEN",
    }
    assert removed == 1
    assert actions == later == ["CREATED", "DELIVERIES_SKIPPED"]
    assert reports == {"nodes": [report]}
    assert receiver.summaries == ["kept", "last"]


async def test_a_channel_continues_at_the_end_of_a_restored_change_log(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            channel_id, _ = await create_channel(client, receiver.url)
        async with serve(database_url, secrets_keys=None) as client:
            await log_notification(client, "before the restore")
        await start_new_epoch(database.url)
        async with serve(database_url) as client:
            actions = await wait_for_action(client, channel_id, "DELIVERIES_SKIPPED")
            channel = await client.execute_field(CHANNEL, id=channel_id)
            reports = await client.execute_field(REPORTS, source=f"/channels/{channel_id}")
            await log_notification(client, "after the restore")
            await receiver.wait_for(1)

    assert actions == ["CREATED", "DELIVERIES_SKIPPED"]
    assert channel["lastError"].startswith("The change log was replaced by a restore.")
    [report] = reports["nodes"]
    assert (report["content"], report["severity"]) == (channel["lastError"], "WARN")
    assert receiver.summaries == ["after the restore"]


async def test_what_is_repeated_after_a_restore_is_not_skipped(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            channel_id, _ = await create_channel(client, receiver.url)
        await start_new_epoch(database.url)
        async with serve(database_url, secrets_keys=None) as client:
            cursor = await client.execute_field("{ logHead }")
            await log_notification(client, "after the restore")
            repeated = await client.execute_field(REDELIVER, channel=channel_id, after=cursor)
        async with serve(database_url) as client:
            await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
            actions = await list_actions(client, channel_id)

    assert repeated == {"queuedCount": 0, "userErrors": []}
    assert receiver.summaries == ["after the restore"]
    assert actions == ["CREATED"]


async def test_after_a_failover_a_channel_goes_back_and_repeats_nothing(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            await log_notification(client, "before the channel")
            channel_id, _ = await create_channel(client, receiver.url)
            await log_notification(client, "delivered")
            await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
        async with serve(database_url, secrets_keys=None) as client:
            await log_notification(client, "at a position that was used before")
        # The position was stored by a server that had read entries which the failover has lost.
        async with database.read(ALL_ORGANIZATIONS) as session:
            epoch = (await changes.fetch_snapshot(session)).epoch
            head = await changes.fetch_head(session)
        await set_channel(database, channel_id, log_identity=f"{epoch}.other", **head._asdict())
        async with serve(database_url) as client:
            channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 2)
            actions = await list_actions(client, channel_id)

    assert receiver.summaries == ["delivered", "at a position that was used before"]
    assert (actions, channel["lastError"]) == (["CREATED"], None)


async def test_the_lag_is_that_of_the_oldest_change_that_no_server_delivers(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with serve(database_url) as client:
        channel_id, _ = await create_channel(
            client,
            "http://127.0.0.1:65535/",
            filter={"severities": ["ERROR"], "search": "disk", "sourceIds": ["1", "2"]},
            triggers=["NOTIFICATION_ADDED", "EVENT_RESOLVED"],
        )
    async with serve(database_url, secrets_keys=None) as client:
        for age, attributes in (
            (500, {"severity": "info", "notification": True, "sourceId": "1"}),
            (400, {"severity": "error", "notification": True}),
            (300, {"severity": "error", "notification": False}),
            (200, {"severity": "error", "notification": True, "sourceId": "2"}),
            (100, {"severity": "error", "notification": True}),
        ):
            event = await client.log_event(summary="disk full", **attributes)
            table = tables.Change
            statement = update(table).where(col(table.subject_id) == UUID(event["id"]))
            at = datetime.now(UTC) - timedelta(seconds=age)
            async with database.write(ALL_ORGANIZATIONS) as session:
                await session.execute(statement.values(at=at))
        channel = await client.execute_field(CHANNEL, id=channel_id)
        await set_channel(database, channel_id, enabled=False)
        disabled = await client.execute_field(CHANNEL, id=channel_id)

    assert 200 <= channel["lagSeconds"] < 300
    assert disabled["lagSeconds"] == 0


async def test_a_channel_that_cannot_be_read_stops_no_other_one(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            ids = [(await create_channel(client, receiver.url))[0] for _ in range(3)]
        await set_channel(database, ids[0], triggers=["UNKNOWN"])
        await set_channel(database, ids[1], filter={"severities": 1})
        async with serve(database_url) as client:
            await log_notification(client, "disk full")
            await wait_for_deliveries(client, ids[2], "DELIVERED", 1)

    assert receiver.summaries == ["disk full"]
