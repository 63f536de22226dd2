"""Queries over HTTP and notifications over a WebSocket, with gql."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from gql import Client, gql
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

BELL = """
subscription Bell($after: String) {
  notificationAdded(after: $after) {
    cursor
    node { id severity summary }
  }
}
"""


def http_client(url: str, key: str) -> Client:
    return Client(transport=HTTPXAsyncTransport(url, headers={"authorization": f"Bearer {key}"}))


def socket_client(url: str, key: str) -> Client:
    address = url.replace("http", "ws", 1)
    credential = {"authorization": f"Bearer {key}"}
    return Client(transport=WebsocketsTransport(address, init_payload=credential))


async def follow_bell(
    url: str, get_token: Callable[[], Awaitable[str]], after: str
) -> AsyncGenerator[dict[str, Any], None]:
    """Yields each notification after the cursor once, in order.

    `get_token` returns a valid access token or API key. It is called for each connection.
    """
    retries = 0
    while True:
        token = await get_token()
        was_accepted = False
        try:
            async with socket_client(url, token) as session:
                was_accepted = True
                request = gql(BELL)
                request.variable_values = {"after": after}
                async for result in session.subscribe(request):
                    entry = result["notificationAdded"]
                    after, retries = entry["cursor"], 0
                    yield entry
        except TransportQueryError as error:
            extensions = error.errors[0]["extensions"] if error.errors else {}
            delay = extensions.get("retryAfterSeconds", 0)
            if extensions.get("code") != "UNAVAILABLE" and not delay:
                raise  # A retry would fail again.
        except (TransportConnectionFailed, TimeoutError) as error:
            delay = 0
            close = getattr(error.__cause__, "rcvd", None)
            has_expired = was_accepted and close and close.code == 4403
            if close and 4400 <= close.code < 4500 and close.code != 4408 and not has_expired:
                raise  # A retry would fail again.
        await asyncio.sleep(delay + min(0.1 * 2 ** min(retries, 7), 10) * random.uniform(0.5, 1))
        retries += 1
