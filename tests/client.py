"""A client as users write them: GraphQL over HTTP, and over the graphql-transport-ws socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ADMINISTRATOR = "administrator-key"
TIMEOUT_SECONDS = 90.0


class Client:
    """Uses one API key; `as_key` returns a client of the same server with another key."""

    def __init__(self, url: str, key: str | None = ADMINISTRATOR, **headers: str) -> None:
        self.url = url
        self.key = key
        credentials = {} if key is None else {"authorization": f"Bearer {key}"}
        self.headers = credentials | {name.replace("_", "-"): headers[name] for name in headers}
        # Idle connections are given up before the server gives them up: it may do so in between.
        limits = httpx.Limits(keepalive_expiry=2)
        self.http = httpx.AsyncClient(
            base_url=url,
            headers=self.headers,
            timeout=TIMEOUT_SECONDS,
            limits=limits,
            verify=False,  # only tests of a proxy use TLS, and reading certificates takes 20 ms
        )
        self.derived_clients: list[Client] = []

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in (self, *self.derived_clients):
            await client.http.aclose()

    def as_key(self, key: str | None, **headers: str) -> Client:
        self.derived_clients.append(Client(self.url, key, **headers))
        return self.derived_clients[-1]

    async def post(self, query: str, **variables: Any) -> httpx.Response:
        # Escaped to ASCII: what UTF-8 cannot carry, a JSON text still can.
        body = json.dumps({"query": query, "variables": variables})
        # No JSON has it; a number that is too large is read as infinity.
        body = body.replace(" Infinity", " 1e400")
        return await self.http.post(
            "/graphql", content=body, headers={"content-type": "application/json"}
        )

    async def execute(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole response: `data`, `errors`, `extensions`."""
        response: dict[str, Any] = (await self.post(query, **variables)).json()
        return response

    async def execute_field(self, query: str, **variables: Any) -> Any:
        """The value of the only root field. Errors fail the test."""
        response = await self.execute(query, **variables)
        assert "errors" not in response, response["errors"]
        [data] = response["data"].values()
        return data

    async def execute_data(self, query: str, **variables: Any) -> Any:
        """The data of all root fields. Errors fail the test."""
        response = await self.execute(query, **variables)
        assert "errors" not in response, response["errors"]
        return response["data"]

    async def expect_error(self, query: str, **variables: Any) -> dict[str, Any]:
        """The only error of the response."""
        [error] = (await self.execute(query, **variables))["errors"]
        return dict(error)

    async def log_event(self, **overrides: Any) -> Any:
        """Logs an event, which must succeed; returns the event."""
        payload = await self.execute_field(LOG_EVENT, input=overrides)
        assert payload["userErrors"] == []
        return payload["event"]

    @contextlib.asynccontextmanager
    async def socket(self, **payload: Any) -> AsyncIterator[Socket]:
        """A socket, initialised with the key unless the payload says otherwise."""
        address = self.url.replace("http", "ws", 1) + "/graphql"
        context = None
        if address.startswith("wss:"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # as above
        async with connect(address, subprotocols=[PROTOCOL], ssl=context) as connection:
            socket = Socket(connection)
            await socket.send(type="connection_init", payload=self.headers | payload)
            yield socket

    @contextlib.asynccontextmanager
    async def subscription(self, query: str, **variables: Any) -> AsyncIterator[Subscription]:
        """A subscription that starts here, not when the server has read the message."""
        if query.lstrip().startswith("subscription") and "after" not in variables:
            head = await self.execute("{ logHead }")
            if "errors" not in head and "$after" in query:
                variables["after"] = head["data"]["logHead"]
            elif "errors" not in head and not re.search("after|SummaryChanged", query):
                query = _start_after(query, head["data"]["logHead"])
        async with self.socket() as socket:
            assert (await socket.receive())["type"] == "connection_ack"
            await socket.send(
                id="1", type="subscribe", payload={"query": query, "variables": variables}
            )
            yield Subscription(socket)


def _start_after(query: str, cursor: str) -> str:
    """Adds the argument `after` to the subscription's root field."""
    first_argument = rf'\1(after: "{cursor}", '
    started, count = re.subn(r"^(\s*subscription[^{]*\{\s*\w+)\s*\(", first_argument, query)
    if not count:
        only_argument = rf'\1(after: "{cursor}")'
        started, count = re.subn(r"^(\s*subscription[^{]*\{\s*\w+)", only_argument, query)
    assert count == 1, query
    return started


class Socket:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        """The next message. Pings are answered on the way, as every client does."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                message: dict[str, Any] = json.loads(await self.connection.recv())
                if message["type"] != "ping":
                    return message
                await self.send(type="pong")

    async def receive_close(self) -> tuple[int, str]:
        """The code and the reason of a close. No other message may be received before it."""
        try:
            message = await self.receive()
        except ConnectionClosed as error:
            close = error.rcvd
        else:
            raise AssertionError(message)
        assert close is not None
        return close.code, close.reason


class Subscription:
    def __init__(self, socket: Socket) -> None:
        self.socket = socket

    async def receive_next(self) -> Any:
        """The data of the root field in the next message."""
        message = await self.socket.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        [data] = message["payload"]["data"].values()
        return data

    async def receive_many(self, count: int) -> list[Any]:
        return [await self.receive_next() for _ in range(count)]

    async def receive_error(self) -> dict[str, Any]:
        """The error that the subscription ended with."""
        message = await self.socket.receive()
        payload = message["payload"]
        [error] = payload if message["type"] == "error" else payload["errors"]
        return dict(error)


ONE_NODE = {"cost": {"requested": 1, "limit": 2_000}}  # what the answers tell beside the data
PROTOCOL: Any = "graphql-transport-ws"


def build_log_mutations(result: str) -> tuple[str, str, str, str]:
    """Mutations that log an event, several events, a container event and CloudEvents.

    `result`: the selected fields of each result.
    """
    return (
        f"mutation ($input: LogEventInput!) {{ logEvent(input: $input) {{ {result} }} }}",
        f"""mutation ($input: [LogEventInput!]!) {{
  logEvents(input: $input) {{ results {{ {result} }} }} }}""",
        f"""mutation ($event: ContainerEventInput!) {{
  logContainerEvent(containerId: "c", event: $event) {{ {result} }} }}""",
        f"""mutation ($events: [JSON!]!) {{
  ingestCloudEvents(events: $events) {{ results {{ {result} }} }} }}""",
    )


LOG_EVENT = """
mutation ($input: LogEventInput!) {
  logEvent(input: $input) {
    event {
      id type severity summary content source sourceId subject outcome occurredAt recordedAt
      updatedAt fields tags notification acknowledged acknowledgedAt acknowledgedBy version
      eventTypeVersion entity { type entityId } eventType { id type version }
    }
    duplicate
    warnings { code message path }
    userErrors { code message path }
  }
}
"""
