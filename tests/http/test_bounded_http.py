"""Limits on the size and the time of the request line and headers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import SQLITE, Serve

REQUEST_START = b"GET /health HTTP/1.1\r\nHost: tocsin\r\n"
BODY_HEADERS = b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
BELL = "subscription { notificationAdded { cursor } }"


@pytest.fixture
def dialect() -> str:
    """SQLite only: these requests do not reach the database."""
    return SQLITE


@pytest.fixture
async def short_timeouts(serve: Serve, database_url: str) -> AsyncIterator[Client]:
    async with serve(database_url, requests={"headers_timeout_seconds": 0.2}) as client:
        yield client


def server_port(client: Client) -> int:
    return int(client.url.rpartition(":")[2])


async def send_and_read(client: Client, *pieces: bytes) -> bytes:
    """Reads the response until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server_port(client))
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n", b"G", REQUEST_START, REQUEST_START + b"X: " + b"a" * 1_000],
    ids=["nothing", "a line", "a letter", "half a head", "half a header"],
)
async def test_a_client_that_does_not_finish_the_headers_is_disconnected(
    short_timeouts: Client, sent: bytes
) -> None:
    assert await send_and_read(short_timeouts, sent) == b""


async def test_a_client_that_does_not_finish_an_answered_body_is_disconnected(
    short_timeouts: Client,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server_port(short_timeouts))
    writer.write(b"POST /graphql HTTP/1.1\r\nHost: a\r\n" + BODY_HEADERS)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        answer = await reader.readuntil(b"}}]}")
        writer.write(b"{")
        rest = await reader.read()
        writer.transport.abort()

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert rest == b""


@pytest.mark.parametrize(
    "more", [b"X: " + b"a" * 530_000, b"X: a\r\n" * 90_000], ids=["one header", "many headers"]
)
async def test_headers_that_are_too_large_are_answered_with_431(
    client: Client, more: bytes
) -> None:
    pieces = [more[at : at + 1_000] for at in range(0, 530_000, 1_000)]

    answer = await send_and_read(client, REQUEST_START, *pieces)

    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert answer.endswith(b"The request line and headers exceed 524,288 bytes.")


async def test_malformed_headers_are_answered_with_400_and_security_headers(client: Client) -> None:
    answer = await send_and_read(client, b"no request at all\r\n\r\n")

    head, _, message = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nx-content-type-options: nosniff\r\n" in head
    assert message == b"Invalid HTTP request received."


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 6\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 6",
        b"Content-Length: 6\r\nContent-Length: 5",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: xchunked\r\nContent-Length: 6",
    ],
)
async def test_a_body_with_two_lengths_cannot_smuggle_a_request(
    client: Client, lengths: bytes
) -> None:
    smuggled = b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n"

    answer = await send_and_read(
        client, REQUEST_START.replace(b"GET", b"POST") + lengths + b"\r\n\r\n", smuggled
    )

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_subscriber_is_not_disconnected(short_timeouts: Client) -> None:
    headers = {"accept": "text/event-stream"}
    async with (
        short_timeouts.subscription(BELL) as socket,
        short_timeouts.http.stream(
            "POST", "/graphql", json={"query": BELL}, headers=headers
        ) as stream,
        asyncio.timeout(TIMEOUT_SECONDS),
    ):
        assert (
            await send_and_read(short_timeouts) == b""
        )  # the server disconnects other clients meanwhile
        await short_timeouts.log_event(summary="later", notification=True)

        assert (await socket.receive_next())["cursor"]
        lines = stream.aiter_lines()
        while not (await anext(lines)).startswith("data: "):
            pass
