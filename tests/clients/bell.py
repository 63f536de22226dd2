"""Queries over HTTP and notifications over a WebSocket, with gql."""

import asyncio
import random
from collections.abc import AsyncGenerator
from typing import Any

from gql import Client, gql
from gql.transport.exceptions import TransportConnectionFailed
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


async def follow_bell(url: str, key: str, after: str) -> AsyncGenerator[dict[str, Any], None]:
    """Yields each notification after the cursor once, in order."""
    retries = 0
    while True:
        try:
            async with socket_client(url, key) as session:
                request = gql(BELL)
                request.variable_values = {"after": after}
                async for result in session.subscribe(request):
                    entry = result["notificationAdded"]
                    after, retries = entry["cursor"], 0
                    yield entry
        except TransportConnectionFailed as error:
            close = getattr(error.__cause__, "rcvd", None)
            if close and 4400 <= close.code < 4500 and close.code != 4408:
                raise  # A retry would fail again. After 4403, sign in first.
            await asyncio.sleep(min(0.1 * 2 ** min(retries, 7), 10) * random.uniform(0.5, 1))
            retries += 1
