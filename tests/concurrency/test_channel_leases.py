"""A server that has lost the lease of a channel stores nothing more, and locked rows delay no other
channel.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from app.domain.access.audit import AuditAction
from app.domain.channels.attempts import AttemptResult
from app.domain.shared.limits import ChannelLimits
from app.services.channels.deliveries import ChannelHealth, LeasedChannel, LeaseLostError
from app.services.shared import leases
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.conftest import SQLITE, Serve
from tests.graphql.test_deliveries import create_channel, log_notification, wait_for_deliveries
from tests.webhook_receiver import Response, receive_webhooks

GONE = AttemptResult(datetime.now(UTC), 410, "The response has the status 410")
WORK: dict[str, Callable[[LeasedChannel, tables.Delivery], Awaitable[object]]] = {
    "deliveries": lambda channel, _: channel.add_deliveries([], changes.LOG_START),
    "results": lambda channel, delivery: channel.record_results(
        [(delivery, GONE)],
        ChannelLimits(),
        ChannelHealth(GONE.error, GONE.at, AuditAction.DELIVERIES_FAILING),
    ),
    "head": lambda channel, _: channel.skip_to_head("restored"),
    "gap": lambda channel, _: channel.report_gap("pruned"),
    "rewinding": lambda channel, _: channel.rewind(timedelta(minutes=15)),
}


async def take_lease(database: Database, channel_id: str, holder: str) -> tables.Channel:
    table = tables.Channel
    is_channel = col(table.id) == UUID(channel_id)
    lease = {"lease_holder": holder, "leased_until": datetime.now(UTC) + timedelta(minutes=1)}
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(update(table).where(is_channel).values(**lease))
    async with database.read(ALL_ORGANIZATIONS) as session:
        return (await session.scalars(select(table).where(is_channel))).one()


async def read_all(database: Database) -> list[object]:
    """Returns everything that a worker writes."""
    names = ("channel", "delivery", "event", "change", "alert_key")
    rows: list[object] = []
    async with database.read(ALL_ORGANIZATIONS) as session:
        for name in names:
            rows += (await session.execute(tables.METADATA.tables[name].select())).all()
    return rows


async def test_a_server_whose_lease_was_taken_stores_nothing(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(500)
        async with serve(database_url) as client:
            channel_id, _ = await create_channel(client, receiver.url)
            await log_notification(client, "disk full")
            await receiver.wait_for(1)
            await wait_for_deliveries(client, channel_id, "PENDING", 1)
    row = await take_lease(database, channel_id, "first")
    first = LeasedChannel(database, row, "first")
    async with database.read(ALL_ORGANIZATIONS) as session:
        delivery = (await session.scalars(select(tables.Delivery))).one()

    held = await first.add_deliveries([], changes.LogPosition(row.tx, row.seq))
    await take_lease(database, channel_id, "second")
    before = await read_all(database)
    for name, work in WORK.items():
        with pytest.raises(LeaseLostError):
            await work(first, delivery)
        assert await read_all(database) == before, name

    assert held == []


async def test_work_on_a_channel_extends_its_lease(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with serve(database_url) as client:
        channel_id, _ = await create_channel(client, "http://127.0.0.1:65535/")
    row = await take_lease(database, channel_id, "first")
    soon = datetime.now(UTC) + timedelta(seconds=1)
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(update(tables.Channel).values(leased_until=soon))

    await LeasedChannel(database, row, "first").add_deliveries([], changes.LOG_START)

    async with database.read(ALL_ORGANIZATIONS) as session:
        extended = (await session.scalars(select(col(tables.Channel.leased_until)))).one()
    assert extended is not None
    assert extended > soon


async def test_a_delivery_that_is_held_back_is_not_looked_for_again_and_again(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(503, headers=((b"retry-after", b"600"),))
        async with serve(database_url, channels={"hold_seconds": 300}) as client:
            channel_id, _ = await create_channel(client, receiver.url)
            await log_notification(client, "first", entity="a")
            await log_notification(client, "held", entity="a")
            await receiver.wait_for(1)
            await wait_for_deliveries(client, channel_id, "PENDING", 2)
    channel = LeasedChannel(database, await take_lease(database, channel_id, "x"), "x")
    now = datetime.now(UTC)

    due, next_time = await channel.load_due(10, 10)

    assert due == []
    assert next_time is not None
    assert now + timedelta(seconds=200) < next_time <= now + timedelta(seconds=300)


async def test_a_long_queue_of_an_entity_does_not_hide_others(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(release=asyncio.Event())
        async with serve(database_url) as client:
            channel_id, _ = await create_channel(client, receiver.url)
            for number in range(6):
                await log_notification(client, f"pump {number}", entity="pump")
            await log_notification(client, "valve", entity="valve")
            await wait_for_deliveries(client, channel_id, "PENDING", 7)
    channel = LeasedChannel(database, await take_lease(database, channel_id, "x"), "x")

    due, _ = await channel.load_due(5, 3)

    summaries = [json.loads(each.body)["data"]["event"]["summary"] for each in due]
    assert summaries == ["pump 0", "pump 1", "pump 2", "valve"]


async def test_a_locked_row_delays_the_lease_of_no_other_one(
    serve: Serve, database_url: str, database: Database, dialect: str
) -> None:
    async with serve(database_url) as client:
        ids = [UUID((await create_channel(client, "http://127.0.0.1:65535/"))[0]) for _ in "ab"]
    table = tables.Channel
    statement = select(table).where(col(table.id) == ids[0]).with_for_update()
    holder, lease_time = str(uuid4()), timedelta(seconds=10)

    async def take() -> set[UUID]:
        is_free = [leases.is_free(table)]
        return await leases.take_leases(
            database, ALL_ORGANIZATIONS, table, is_free, holder, lease_time
        )

    if dialect == SQLITE:  # has one lock for all rows, so no row can be locked
        assert await take() == {*ids}
        return
    async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
        await session.execute(statement)
        taken = await take()
    later = await take()

    assert (taken, later) == ({ids[1]}, {ids[0]})
