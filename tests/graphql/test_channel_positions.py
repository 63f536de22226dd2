"""Where channels continue: after pruning, a failover, a restore and faults of others."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from app.domain.access.caller import Permission
from app.services.change_log.pruning import count_prunable_entries, prune_entries
from app.services.channels.deliveries import LeasedChannel, LeaseLostError
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.migrate import start_new_epoch
from tests.client import TIMEOUT_SECONDS
from tests.conftest import Serve
from tests.factories import create_api_key
from tests.graphql.test_deliveries import (
    CHANNEL,
    REDELIVER,
    RESOLVE,
    TEST,
    UPDATE,
    UPDATE_EVENT,
    create_channel,
    list_actions,
    log_notification,
    wait_for_action,
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
CHANNELS = """
{ channels { nodes { id triggers filter cursor lagSeconds lastError failingSince } } }
"""
SOON = timedelta(seconds=1)


async def set_channel(database: Database, id: str, **values: Any) -> None:
    statement = update(tables.Channel).where(col(tables.Channel.id) == UUID(id)).values(**values)
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(statement)


async def get_channel(database: Database, id: str) -> tables.Channel:
    async with database.read(ALL_ORGANIZATIONS) as session:
        return await session.get_one(tables.Channel, UUID(id))


async def get_changes(database: Database, event_id: str) -> list[tables.Change]:
    statement = select(tables.Change).where(col(tables.Change.subject_id) == UUID(event_id))
    async with database.read(ALL_ORGANIZATIONS) as session:
        return [*await session.scalars(statement)]


async def set_change(database: Database, event_id: str, **values: Any) -> None:
    table = tables.Change
    statement = update(table).where(col(table.subject_id) == UUID(event_id)).values(**values)
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
        # A user has changed it since, and no server has delivered.
        now = datetime.now(UTC)
        values = head._asdict() | {"log_identity": f"{epoch}.other", "updated_at": now}
        await set_channel(database, channel_id, **values)
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
            at = datetime.now(UTC) - timedelta(seconds=age)
            await set_change(database, event["id"], at=at)
        channel = await client.execute_field(CHANNEL, id=channel_id)
        await set_channel(database, channel_id, enabled=False)
        disabled = await client.execute_field(CHANNEL, id=channel_id)

    assert 200 <= channel["lagSeconds"] < 300
    assert disabled["lagSeconds"] == 0


async def test_metrics_show_failing_channels_and_the_largest_lag(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver, serve(database_url) as client:
        channel_id, _ = await create_channel(client, receiver.url)
        idle = (await client.http.get("/metrics")).text
    async with serve(database_url, secrets_keys=None) as client:
        event = await client.log_event(notification=True)
        long_ago = datetime.now(UTC) - timedelta(seconds=500)
        for id in (channel_id, event["id"]):
            await set_change(database, id, at=long_ago)
        await set_channel(database, channel_id, failing_since=long_ago)
    # Another server, which counts when it starts.
    async with serve(database_url, secrets_keys=None) as client, asyncio.timeout(TIMEOUT_SECONDS):
        while "tocsin_failing_channels 1.0" not in (
            text := (await client.http.get("/metrics")).text
        ):
            await asyncio.sleep(0.1)

    [lag] = [line for line in text.splitlines() if line.startswith("tocsin_channel_lag_seconds ")]
    assert 500 <= float(lag.split()[1]) < 500 + TIMEOUT_SECONDS
    assert "\ntocsin_failing_channels " in idle
    assert "\ntocsin_channel_lag_seconds " in idle


async def test_a_change_by_a_user_is_not_overwritten_by_a_server_that_has_read_the_channel_before(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with serve(database_url) as client:
        channel_id, _ = await create_channel(client, "http://127.0.0.1:65535/")
    async with serve(database_url, secrets_keys=None) as client:
        cursor = await client.execute_field("{ logHead }")
        await log_notification(client, "to be repeated")
        await set_channel(database, channel_id, lease_holder="server")
        server = LeasedChannel(database, await get_channel(database, channel_id), "server")
        await client.execute_field(REDELIVER, channel=channel_id, after=cursor)
        changed = await get_channel(database, channel_id)

        with pytest.raises(LeaseLostError):
            await server.skip_to_head("The change log was replaced.")
        with pytest.raises(LeaseLostError):
            await server.rewind(timedelta(minutes=15))
        with pytest.raises(LeaseLostError):
            await server.report_gap("Entries were pruned.")

        kept = await get_channel(database, channel_id)
        reports = await client.execute_field(REPORTS, source=f"/channels/{channel_id}")
        actions = await list_actions(client, channel_id)

    assert kept.to_columns() == changed.to_columns()
    assert (reports, actions) == ({"nodes": []}, ["CREATED"])


async def test_a_channel_that_cannot_be_read_shows_why_and_stops_no_other_one(
    serve: Serve, database_url: str, database: Database
) -> None:
    filter = {"missing": ["ALERT_KEY"]}
    stored: list[dict[str, Any]] = [
        {"triggers": ["UNKNOWN", "NOTIFICATION_ADDED"]},
        {"filter": {"severities": 1}},
    ]
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            *bad_ids, good_id = [
                (await create_channel(client, receiver.url, filter=filter))[0] for _ in range(3)
            ]
        for bad_id, values in zip(bad_ids, stored, strict=True):
            await set_channel(database, bad_id, **values)
        async with serve(database_url, secrets_keys=None) as client:
            event = await log_notification(client, "disk full")
            at = datetime.now(UTC) - timedelta(seconds=100)
            await set_change(database, event["id"], at=at)
            waiting = await client.execute_field(CHANNELS)
        async with serve(database_url) as client:
            await wait_for_deliveries(client, good_id, "DELIVERED", 1)
            failing = [await wait_for_action(client, id, "DELIVERIES_FAILING") for id in bad_ids]
            during = await client.execute_field(CHANNELS)
            [renamed, repaired, other] = [
                await client.execute_field(UPDATE, input=input)
                for input in (
                    {"id": bad_ids[0], "name": "renamed"},
                    {"id": bad_ids[0], "triggers": ["EVENT_CHANGED"]},
                    {"id": bad_ids[1], "filter": filter},
                )
            ]
            for bad_id in bad_ids:
                await wait_for_deliveries(client, bad_id, "DELIVERED", 1)
                await wait_for_action(client, bad_id, "DELIVERIES_RECOVERED")

    lags = [each["lagSeconds"] for each in waiting["nodes"]]
    assert [100 <= lag < 200 for lag in lags] == [True, True, True]
    by_id = {each["id"]: each for each in during["nodes"]}
    assert [by_id[id]["lastError"] for id in (*bad_ids, good_id)] == [
        "The stored triggers cannot be read: 'UNKNOWN'",
        "The stored filter cannot be read: TypeError('1 is not a list')",
        None,
    ]
    assert [by_id[id]["failingSince"] is None for id in (*bad_ids, good_id)] == [False, False, True]
    assert by_id[bad_ids[0]]["triggers"] == ["NOTIFICATION_ADDED"]
    assert failing == [["CREATED", "DELIVERIES_FAILING"]] * 2
    assert [each["userErrors"] for each in (renamed, repaired, other)] == [[], [], []]
    assert receiver.summaries == ["disk full"] * 3


async def test_a_test_message_does_not_end_the_outage_of_a_channel_that_cannot_be_read(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            channel_id, _ = await create_channel(client, receiver.url)
        await set_channel(database, channel_id, triggers=["UNKNOWN"])
        async with serve(database_url) as client:
            during = await wait_for_action(client, channel_id, "DELIVERIES_FAILING")
            tested = await client.execute_field(TEST, id=channel_id)
            channel = await client.execute_field(CHANNEL, id=channel_id)
            actions = await list_actions(client, channel_id)

    assert tested["delivery"]["state"] == "DELIVERED"
    assert channel["failingSince"] is not None
    assert actions == during == ["CREATED", "DELIVERIES_FAILING"]


async def test_the_lag_counts_the_resolution_of_what_was_delivered_and_no_longer_matches(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            channel_id, _ = await create_channel(
                client, receiver.url, filter={"severities": ["ERROR"]}
            )
            event = await log_notification(client, "disk full", severity="error")
            await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
        async with serve(database_url, secrets_keys=None) as client:
            input = {"id": event["id"], "severity": "info"}
            await client.execute_field(UPDATE_EVENT, input=input)
            before = await client.execute_field(CHANNEL, id=channel_id)
            await client.execute_field(RESOLVE, id=event["id"])
            at = datetime.now(UTC) - timedelta(seconds=100)
            await set_change(database, event["id"], at=at)
            waiting = await client.execute_field(CHANNEL, id=channel_id)

    assert before["lagSeconds"] == 0
    assert 100 <= waiting["lagSeconds"] < 200


async def test_a_channel_that_cannot_read_an_entry_is_failing_until_it_can(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            channel_id, _ = await create_channel(client, receiver.url)
        async with serve(database_url, secrets_keys=None) as client:
            event = await log_notification(client, "disk full")
        [change] = await get_changes(database, event["id"])
        await set_change(database, event["id"], state=change.state | {"severity": "UNKNOWN"})
        async with serve(database_url) as client:
            during = await wait_for_action(client, channel_id, "DELIVERIES_FAILING")
            channel = await client.execute_field(CHANNEL, id=channel_id)
            await set_change(database, event["id"], state=change.state)
            after = await wait_for_action(client, channel_id, "DELIVERIES_RECOVERED")
            repaired = await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
            reports = await client.execute_field(REPORTS, source=f"/channels/{channel_id}")

    assert during == ["CREATED", "DELIVERIES_FAILING"]
    assert after == [*during, "DELIVERIES_RECOVERED"]
    assert channel["lastError"] == "Internal error. See the server logs."
    assert (channel["failingSince"] is None, repaired["failingSince"]) == (False, None)
    assert [each["status"] for each in reports["nodes"]] == ["RESOLVED"]
    assert receiver.summaries == ["disk full"]
