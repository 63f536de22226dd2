"""Limits of sockets and streams per credential, and of messages per socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from app.domain.access.caller import Permission
from app.domain.shared.limits import SocketLimits
from app.domain.shared.problems import RequestError
from app.graphql.transport.connection_slots import ConnectionSlots
from app.store.engine.database import Database
from tests.client import TIMEOUT_SECONDS, Client, Socket
from tests.conftest import SQLITE, Serve
from tests.factories import create_api_key

BELL = "subscription ($after: String) { notificationAdded(after: $after) { node { summary } } }"
EVENTS = {"accept": "text/event-stream"}
FULL = (
    "This credential has too many WebSocket connections and event streams; the maximum is 2. "
    "Close one of them."
)
PONG = {"type": "pong"}


@pytest.fixture
def dialect() -> str:
    """SQLite only: the limits are counted in memory."""
    return SQLITE


@contextlib.asynccontextmanager
async def open_acknowledged_socket(client: Client) -> AsyncIterator[Socket]:
    async with client.socket() as socket:
        assert await socket.receive() == {"type": "connection_ack"}
        yield socket


@contextlib.asynccontextmanager
async def open_event_stream(client: Client) -> AsyncIterator[httpx.Response]:
    async with client.http.stream(
        "POST", "/graphql", json={"query": BELL}, headers=EVENTS
    ) as answer:
        yield answer


async def receive_refusal(client: Client) -> tuple[int, str]:
    async with client.socket() as socket:
        return await socket.receive_close()


async def test_a_socket_over_the_limit_of_a_credential_is_closed(
    database: Database, database_url: str, serve: Serve
) -> None:
    key = await create_api_key(database, Permission.EVENT_READ)
    async with (
        serve(database_url, sockets={"sockets_per_credential": 2}) as client,
        open_acknowledged_socket(client) as first,
    ):
        async with open_acknowledged_socket(client):
            third = await receive_refusal(client)
            async with open_acknowledged_socket(client.as_key(key)) as of_another:
                await of_another.send(type="ping")
                received = await of_another.receive()
            await first.send(type="ping")
            unhurt = await first.receive()
        async with asyncio.timeout(
            TIMEOUT_SECONDS
        ):  # until the server notices that it disconnected
            while await can_open_socket(client) is False:
                await asyncio.sleep(0.01)

    assert third == (1013, FULL)
    assert (received, unhurt) == (PONG, PONG)


async def can_open_socket(client: Client) -> bool:
    async with client.socket() as socket:
        try:
            return await socket.receive() == {"type": "connection_ack"}
        except ConnectionClosed:
            return False


async def test_event_streams_count_and_one_over_the_limit_is_rejected_with_429(
    database_url: str, serve: Serve
) -> None:
    async with serve(database_url, sockets={"sockets_per_credential": 2}) as client:
        async with open_acknowledged_socket(client), open_event_stream(client) as taken:
            async with open_event_stream(client) as answer:
                body: Any = await answer.aread()
            queried = await client.execute_field("{ __typename }")
            socket = await receive_refusal(client)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while await can_open_socket(client) is False:
                await asyncio.sleep(0.01)

    assert taken.status_code == 200
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert httpx.Response(429, content=body).json() == {
        "errors": [{"message": FULL, "extensions": {"code": "LIMIT_EXCEEDED"}}]
    }
    assert queried == "Query"
    assert socket == (1013, FULL)


def test_a_credential_has_1_000_slots_by_default_and_can_reuse_them() -> None:
    slots = ConnectionSlots(SocketLimits())
    taken = [slots.acquire("a key") for _ in range(1_000)]

    with pytest.raises(RequestError, match="the maximum is 1,000"):
        slots.acquire("a key")
    others = slots.acquire("another key")
    taken.pop().release()
    again = slots.acquire("a key")
    taken.pop()  # like a stream that never started
    once_more = slots.acquire("a key")

    for slot in (*taken, others, again, once_more):
        slot.release()
    assert slots._slots_by_credential == {}


async def test_a_client_over_the_message_rate_is_read_later_but_keeps_receiving(
    database_url: str, serve: Serve
) -> None:
    slow = {"message_burst": 10, "messages_per_second": 0.001, "ping_interval_seconds": 0.5}
    async with (
        serve(database_url, sockets=slow) as client,
        open_acknowledged_socket(client) as socket,
    ):
        head = await client.execute_field("{ logHead }")
        payload = {"query": BELL, "variables": {"after": head}}
        await socket.send(id="1", type="subscribe", payload=payload)
        for _ in range(20):
            await socket.send(type="ping")
        answered = [await socket.receive() for _ in range(8)]  # connection_init counts, too
        await client.log_event(summary="heard", notification=True)
        next_one = await socket.receive()
        socket.connection.transport.abort()  # a close is also a message, and would be read later

    assert answered == [PONG] * 8
    assert next_one["payload"]["data"]["notificationAdded"]["node"] == {"summary": "heard"}


async def test_delayed_messages_are_read_after_the_delay(database_url: str, serve: Serve) -> None:
    slow = {"message_burst": 1, "messages_per_second": 500}
    async with (
        serve(database_url, sockets=slow) as client,
        open_acknowledged_socket(client) as socket,
    ):
        for n in range(20):
            await socket.send(type="ping", payload={"n": n})
        answered = [await socket.receive() for _ in range(20)]

    assert answered == [PONG | {"payload": {"n": n}} for n in range(20)]


async def test_fifty_subscriptions_can_be_started_at_once(database_url: str, serve: Serve) -> None:
    pressed = {"messages_per_second": 0.001}
    async with (
        serve(database_url, sockets=pressed) as client,
        open_acknowledged_socket(client) as socket,
    ):
        head = await client.execute_field("{ logHead }")
        payload = {"query": BELL, "variables": {"after": head}}
        for n in range(50):
            await socket.send(id=str(n), type="subscribe", payload=payload)
        await client.log_event(summary="to all", notification=True)
        received = {(await socket.receive())["id"] for _ in range(50)}

    assert received == {str(n) for n in range(50)}
