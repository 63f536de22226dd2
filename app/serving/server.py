"""One server process, and how it ends: what was asked is answered, what was half asked is let go.

On SIGTERM it takes no connection any more. Sockets are closed with 1012, when the mutations that
came over them are answered. Requests that come in on open connections are answered for a moment
still, each with `Connection: close`, so that a client which keeps its connection is not cut between
two requests.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from app.graphql.transport.frames import Frames
from app.graphql.transport.sse import Stream
from app.graphql.transport.transport_ws import Socket
from app.main import create_app
from app.serving.bounded_http import Heads
from app.settings import Settings

LINGER_SECONDS = 0.5
HALF_SENT_SECONDS = 2.0
MUTATION_SECONDS = 3.0
GRACE_SECONDS = 5
GARBAGE = 10_000  # objects more, before cycles are looked for

log = structlog.get_logger(__name__)


class Draining:
    """The application, until it drains: then every answer says that the connection ends."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.begun = False

    async def begin(self) -> None:
        self.begun = True
        listeners: set[Socket | Stream] = self._app.state.listeners
        ending = [asyncio.create_task(each.drain()) for each in listeners]
        if ending:
            await asyncio.wait(ending, timeout=MUTATION_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if self.begun and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, told if scope["type"] == "http" else send)


class DrainingServer(uvicorn.Server):
    """uvicorn waits for half a request as long as for a whole one, and cuts between two."""

    def __init__(self, config: uvicorn.Config, draining: Draining) -> None:
        super().__init__(config)
        self._draining = draining

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Modules and the schema stay: looked through again and again, they took a fifth of the time
        # of a server that logs events, and a full collection made everybody wait for 0.1 s.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        await asyncio.gather(self._draining.begin(), self._linger())
        letting_go = asyncio.create_task(self._let_go_of_the_half_sent())
        await super().shutdown()
        letting_go.cancel()

    async def _linger(self) -> None:
        if any(self._http()):
            await asyncio.sleep(LINGER_SECONDS)

    def _http(self) -> Iterator[Any]:
        """The connections that are not sockets; `cycle` is the request that they are at."""
        return (each for each in self.server_state.connections if hasattr(each, "cycle"))

    async def _let_go_of_the_half_sent(self) -> None:
        await asyncio.sleep(HALF_SENT_SECONDS)
        for connection in list(self._http()):
            if connection.cycle is not None and connection.cycle.more_body:
                connection.transport.close()


def run(settings: Settings, listening: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT; then it ends with 0, drained."""
    # uvicorn drains, and then raises the signal that ended it once more.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: sys.exit(0))
    draining = Draining(create_app(settings))
    config = uvicorn.Config(
        draining,
        log_config=None,
        server_header=False,
        access_log=False,  # app/http/requests.py has one; this one is written to nobody, and costs
        proxy_headers=settings.trusted_proxies is not None,
        forwarded_allow_ips=settings.trusted_proxies,
        http=Heads.within(settings.requests),
        ws=Frames,
        ws_max_size=settings.sockets.message_bytes,
        ws_ping_interval=None,  # app/graphql/protocols has pings, and a code that clients resume at
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    DrainingServer(config, draining).run(sockets=[listening])
