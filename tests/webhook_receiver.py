"""A real HTTP server on 127.0.0.1 that receives the messages of channels."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn

from tests.client import TIMEOUT_SECONDS


@dataclass(frozen=True)
class ReceivedRequest:
    path: str
    headers: dict[str, str]
    body: str

    @property
    def message(self) -> Any:
        return json.loads(self.body)

    @property
    def summary(self) -> str:
        return str(self.message["data"]["event"]["summary"])


@dataclass(frozen=True)
class Response:
    """`release`: the response is sent after the event is set."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    release: asyncio.Event | None = None


Respond = Callable[[ReceivedRequest], Response]


class WebhookReceiver:
    """`respond` decides about the response to each request; by default, all have status 200."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.respond: Respond = lambda _: Response()
        self.port = 0
        self._received = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def summaries(self) -> list[str]:
        return [request.summary for request in self.requests]

    async def wait_for(self, count: int) -> list[ReceivedRequest]:
        """Waits until at least so many requests have arrived, and returns all of them."""
        async with asyncio.timeout(TIMEOUT_SECONDS), self._received:
            await self._received.wait_for(lambda: len(self.requests) >= count)
        return list(self.requests)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition on the requests that have arrived."""
        async with asyncio.timeout(TIMEOUT_SECONDS), self._received:
            await self._received.wait_for(condition)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path = scope["path"] + (f"?{scope['query_string'].decode()}" * bool(scope["query_string"]))
        request = ReceivedRequest(path, headers, body.decode())
        response = self.respond(request)
        async with self._received:
            self.requests.append(request)
            self._received.notify_all()
        if response.release is not None:
            await response.release.wait()
        length = (b"content-length", str(len(response.body)).encode())
        start = {"status": response.status, "headers": [*response.headers, length]}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": response.body})


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves Ctrl-C to pytest."""
        yield


@contextlib.asynccontextmanager
async def receive_webhooks(port: int = 0) -> AsyncIterator[WebhookReceiver]:
    """Starts a receiver, on a free port unless the port is given."""
    receiver = WebhookReceiver()
    config = uvicorn.Config(
        receiver, port=port, lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        if serving.done():
            await serving
        await asyncio.sleep(0.005)
    receiver.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.should_exit = True
        await serving
