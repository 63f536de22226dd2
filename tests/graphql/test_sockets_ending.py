"""Closing of sockets: by timeouts, by the client, by the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.graphql.plans.plan_executor import PlanExecutor
from app.graphql.shared.context import Context
from app.graphql.transport import operation_responses, transport_ws
from app.graphql.transport.messages import Subscribe
from app.graphql.transport.operation_responses import OperationResponse
from app.services.change_log import subscriptions
from app.services.change_log.broadcast import EncodedBatch, Push
from tests.client import PROTOCOL, TIMEOUT_SECONDS, Client, Socket, Subscription
from tests.conftest import SQLITE, Serve

BELL = """
subscription Bell($after: String) { notificationAdded(after: $after) { node { summary content } } }
"""
LOG_EVENTS = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"
ACKNOWLEDGED = {"type": "connection_ack"}
LARGE = "x" * 100_000


@pytest.fixture
def dialect() -> str:
    """SQLite only: closing a socket does not depend on the database."""
    return SQLITE


class WatchedOperations:
    """Counts the responses of each operation, and records which operations have ended."""

    def __init__(self) -> None:
        self.response_counts: Counter[str] = Counter()
        self.ended: dict[str, asyncio.Event] = {}

    async def answers(
        self, executor: PlanExecutor, context: Context, operation: Subscribe, push: Push
    ) -> AsyncGenerator[OperationResponse, None]:
        def pushed(payloads: EncodedBatch) -> bool:
            was_pushed = push(payloads)
            self.response_counts[operation.id] += len(payloads) if was_pushed else 0
            return was_pushed

        ended = self.ended[operation.id] = asyncio.Event()
        try:
            async with contextlib.aclosing(
                operation_responses.stream_responses(executor, context, operation, pushed)
            ) as answered:
                async for answer in answered:
                    self.response_counts[operation.id] += 1
                    yield answer
        finally:
            ended.set()

    async def wait_for_end(self, id: str) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await self.ended[id].wait()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> WatchedOperations:
    watched = WatchedOperations()
    monkeypatch.setattr(transport_ws, "stream_responses", watched.answers)
    return watched


@contextlib.asynccontextmanager
async def open_connection(client: Client, **overrides: Any) -> AsyncIterator[ClientConnection]:
    address = client.url.replace("http", "ws", 1) + "/graphql"
    # Uncompressed, so that large messages stay large.
    async with connect(
        address, subprotocols=[PROTOCOL], compression=None, **overrides
    ) as connection:
        yield connection


async def initialize_connection(connection: ClientConnection, client: Client) -> None:
    await connection.send(json.dumps({"type": "connection_init", "payload": client.headers}))
    assert json.loads(await connection.recv()) == ACKNOWLEDGED


async def subscribe(connection: ClientConnection, client: Client, id: str) -> None:
    variables = {"after": await client.execute_field("{ logHead }")}
    payload = {"query": BELL, "variables": variables}
    await connection.send(json.dumps({"id": id, "type": "subscribe", "payload": payload}))


async def receive_close(connection: ClientConnection) -> tuple[int, str]:
    """Returns the close code and reason. Pings received before that are not answered."""
    with pytest.raises(ConnectionClosed) as closed:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                await connection.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_a_socket_without_initialisation_in_time_is_closed(
    database_url: str, serve: Serve
) -> None:
    async with (
        serve(database_url, sockets={"init_timeout_seconds": 0.1}) as client,
        open_connection(client) as connection,
    ):
        assert await receive_close(connection) == (4408, "Connection initialisation timeout")


async def test_an_idle_client_that_answers_pings_stays_connected(
    database_url: str, serve: Serve
) -> None:
    async with (
        serve(database_url, sockets={"ping_interval_seconds": 0.02}) as client,
        open_connection(client) as connection,
    ):
        await initialize_connection(connection, client)
        for _ in range(5):
            assert json.loads(await connection.recv()) == {"type": "ping"}
            await connection.send('{"type":"pong"}')
        await Socket(connection).send(id="1", type="subscribe", payload={"query": "{ logHead }"})

        assert (await Socket(connection).receive())["type"] == "next"


async def test_operations_of_an_unresponsive_client_end(
    database_url: str, serve: Serve, watched: WatchedOperations
) -> None:
    short_timeouts = {"ping_interval_seconds": 0.05, "pong_timeout_seconds": 1.5}
    async with (
        serve(database_url, sockets=short_timeouts) as client,
        open_connection(client) as connection,
    ):
        await initialize_connection(connection, client)
        await subscribe(connection, client, "1")

        assert await receive_close(connection) == (4408, "No response to a ping within 1.5 s.")
        await watched.wait_for_end("1")


async def test_operations_of_a_client_that_disconnects_end(
    database_url: str, serve: Serve, watched: WatchedOperations
) -> None:
    async with serve(database_url) as client:
        async with open_connection(client) as connection:
            await initialize_connection(connection, client)
            for id in ("1", "2"):
                await subscribe(connection, client, id)
            await client.log_event(summary="heard by both", notification=True)
            for _ in range(2):
                await connection.recv()

        for id in ("1", "2"):
            await watched.wait_for_end(id)


async def test_operations_of_a_client_whose_connection_breaks_end(
    database_url: str, serve: Serve, watched: WatchedOperations
) -> None:
    async with serve(database_url) as client, open_connection(client) as connection:
        await initialize_connection(connection, client)
        for id in ("1", "2", "3"):
            await subscribe(connection, client, id)
        await client.log_event(summary="heard", notification=True)
        await connection.recv()

        with capture_logs() as logged:
            connection.transport.abort()
            await log_large_notifications(client, 20)
            for id in ("1", "2", "3"):
                await watched.wait_for_end(id)

    assert logged == []


async def test_a_stopping_server_closes_every_socket_with_a_reason(
    database_url: str, serve: Serve, watched: WatchedOperations
) -> None:
    async with AsyncExitStack() as clients:
        async with serve(database_url) as client:
            silent = await clients.enter_async_context(open_connection(client))
            idle, busy = [
                await clients.enter_async_context(open_connection(client)) for _ in range(2)
            ]
            for connection in (idle, busy):
                await initialize_connection(connection, client)
            await subscribe(busy, client, "1")
            await client.log_event(summary="heard", content=LARGE, notification=True)
            while not watched.response_counts["1"]:
                await asyncio.sleep(0.005)
        received = json.loads(await busy.recv())
        codes = [(await receive_close(connection))[0] for connection in (silent, idle, busy)]

    assert received["payload"]["data"]["notificationAdded"]["node"]["content"] == LARGE
    assert codes == [1012, 1012, 1012]
    assert watched.ended["1"].is_set()


def open_small_buffer_socket(client: Client) -> sockets.socket:
    """A connection that buffers a few kilobytes before the sender must wait."""
    narrow = sockets.socket()
    narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    address = urlsplit(client.url)
    narrow.connect((address.hostname, address.port))
    return narrow


async def log_large_notifications(client: Client, count: int) -> list[str]:
    """Logs large notifications. Returns their summaries."""
    summaries = [str(n) for n in range(count)]
    for start in range(0, count, 20):
        few = summaries[start : start + 20]
        reports = [{"summary": each, "content": LARGE, "notification": True} for each in few]
        await client.execute_field(LOG_EVENTS, input=reports)
    return summaries


async def test_a_slow_subscriber_delays_no_others_and_loses_nothing(
    database_url: str, serve: Serve, watched: WatchedOperations
) -> None:
    async with (
        serve(database_url, subscriptions={"buffer_messages": 5}) as client,
        open_connection(client, sock=open_small_buffer_socket(client), max_queue=1) as slow,
        open_connection(client) as quick,
    ):
        for connection, id in ((slow, "slow"), (quick, "quick")):
            await initialize_connection(connection, client)
            await subscribe(connection, client, id)
        logged = asyncio.create_task(log_large_notifications(client, 100))
        received = [
            each["node"]["summary"] for each in await Subscription(Socket(quick)).receive_many(100)
        ]
        summaries = await logged
        responses_meanwhile = watched.response_counts["slow"]
        late = [
            each["node"]["summary"] for each in await Subscription(Socket(slow)).receive_many(100)
        ]

    assert received == summaries
    assert late == summaries
    assert responses_meanwhile < 100


async def test_a_subscriber_that_does_not_read_is_disconnected(
    database_url: str, serve: Serve, watched: WatchedOperations
) -> None:
    short_timeouts = {
        "ping_interval_seconds": 0.2,
        "pong_timeout_seconds": 2,
        "close_timeout_seconds": 0.1,
    }
    async with (
        serve(database_url, sockets=short_timeouts) as client,
        open_connection(client, sock=open_small_buffer_socket(client), max_queue=1) as stuck,
    ):
        await initialize_connection(stuck, client)
        await subscribe(stuck, client, "stuck")
        await log_large_notifications(client, 100)

        await watched.wait_for_end("stuck")
        responses_sent = watched.response_counts["stuck"]
        close = await receive_close(
            stuck
        )  # it reads again, and receives the reason after the buffered messages

    assert responses_sent < 100
    assert close == (4408, "No response to a ping within 2 s.")


@pytest.mark.parametrize(
    ("fault", "code", "expected_message"),
    [
        (
            OSError("the host is gone"),
            1013,
            "The database is temporarily unavailable. Try again.",
        ),
        (KeyError("secret"), 4500, "Internal server error. Reference: "),
    ],
)
async def test_an_error_during_authentication_is_reported_without_its_cause(
    database_url: str,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    code: int,
    expected_message: str,
) -> None:
    async def failing(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(Context, "authenticate", failing)
    async with serve(database_url) as client, open_connection(client) as connection:
        await connection.send('{"type":"connection_init"}')

        closed_by, reason = await receive_close(connection)

    assert closed_by == code
    assert reason.startswith(expected_message)
    assert "secret" not in reason


async def test_an_internal_error_ends_only_its_operation_and_has_a_reference(
    database_url: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any) -> subscriptions.LogSubscription:
        raise KeyError("secret")

    monkeypatch.setattr(subscriptions, "subscribe_to_notifications", failing)
    async with serve(database_url) as client, client.subscription(BELL) as subscription:
        with capture_logs() as logged:
            error = await subscription.receive_error()
        await subscription.socket.send(
            id="1", type="subscribe", payload={"query": "{ __typename }"}
        )
        answer = await subscription.socket.receive()

    [entry] = logged
    assert (
        error["message"]
        == "Internal server error. Report the reference of this error to the operator of the "
        "server."
    )
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert error["extensions"]["reference"] == entry["reference"]
    assert answer["payload"]["data"] == {"__typename": "Query"}
