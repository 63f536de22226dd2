"""Two servers deliver to the channels of a database, and the one that works is killed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.faults_cluster import find_free_port
from tests.client import ADMINISTRATOR, Client
from tests.conftest import SECRETS_KEY
from tests.graphql.test_deliveries import create_channel, log_notification, wait_for_deliveries
from tests.http.test_command import create_empty_database, start_server
from tests.webhook_receiver import Response, receive_webhooks

COUNT = 40
TAKEOVER_SECONDS = 15
MARGIN_SECONDS = 10  # for a busy machine


async def test_another_server_delivers_the_rest_after_one_is_killed(
    database_url: str, tmp_path: Path
) -> None:
    settings = {
        "database_url": await create_empty_database(database_url, tmp_path),
        "bootstrap_key": ADMINISTRATOR,
        "secrets_keys": SECRETS_KEY,
        "channel_networks": "127.0.0.0/8",
        "channels__max_retry_seconds": "0.1",
    }
    ports = find_free_port(), find_free_port()
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receive_webhooks())
        release = asyncio.Event()
        # The first server can deliver ten, and waits for the next responses when it is killed.
        receiver.respond = lambda _: Response(
            release=release if len(receiver.requests) >= 10 else None
        )
        killed, _ = await stack.enter_async_context(start_server(tmp_path, ports[0], **settings))
        client = await stack.enter_async_context(Client(f"http://127.0.0.1:{ports[0]}"))
        channel_id, _ = await create_channel(client, receiver.url)
        for number in range(COUNT):
            await log_notification(client, str(number), entity=str(number % 4))
        await receiver.wait_for(11)
        await stack.enter_async_context(start_server(tmp_path, ports[1], **settings))
        other = await stack.enter_async_context(Client(f"http://127.0.0.1:{ports[1]}"))

        killed.kill()
        await killed.wait()
        release.set()
        async with asyncio.timeout(TAKEOVER_SECONDS + MARGIN_SECONDS):
            await receiver.wait_for(len(receiver.requests) + 1)
        channel = await wait_for_deliveries(other, channel_id, "DELIVERED", COUNT)

    delivered = {each["webhookId"] for each in channel["deliveries"]["nodes"]}
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    summaries = list(dict.fromkeys(receiver.summaries))
    assert {*ids} == delivered
    assert len(delivered) == COUNT
    for entity in range(4):
        order = [int(each) for each in summaries if int(each) % 4 == entity]
        assert order == sorted(order)
