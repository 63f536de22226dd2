"""A server process with graceful shutdown: complete requests are answered.

On SIGTERM, `/ready` fails, and for TOCSIN_DRAIN_SECONDS everything is served as before, because
load balancers need this time to notice. Then it stops accepting connections. Sockets are closed
with 1012 after their mutations were answered. For a short time, requests on open connections are
still answered with `Connection: close`, so that keep-alive clients are not disconnected between two
requests.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from app.graphql.transport.sse import EventStream
from app.graphql.transport.transport_ws import WebSocketConnection
from app.graphql.transport.websocket_protocol import BufferedWebSocketProtocol
from app.main import create_app
from app.serving.bounded_http import BoundedHttpProtocol
from app.settings import Settings

KEEP_ALIVE_DRAIN_SECONDS = 0.5
TICK_SECONDS = 0.1
INCOMPLETE_REQUEST_SECONDS = 2.0
MUTATION_DRAIN_SECONDS = 3.0
GRACEFUL_SHUTDOWN_SECONDS = 5
GC_THRESHOLD = 10_000  # allocations minus deallocations that trigger a garbage collection

log = structlog.get_logger(__name__)


class DrainingApp:
    """The application. While it drains, its state says so, and responses close the connection."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.startup_error: Exception | None = None

    def announce_stop(self) -> None:
        """Makes `/ready` fail. Requests are served as before."""
        self._app.state.stopping = True

    async def drain(self) -> None:
        self._app.state.draining = True
        listeners: set[WebSocketConnection | EventStream] = self._app.state.listeners
        tasks = [asyncio.create_task(listener.drain()) for listener in listeners]
        if tasks:
            await asyncio.wait(tasks, timeout=MUTATION_DRAIN_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run_lifespan(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        startup_failed = False

        async def send_without_traceback(message: Message) -> None:
            nonlocal startup_failed
            if message["type"] == "lifespan.startup.failed":
                startup_failed = True
                # uvicorn would log the traceback, but `run_server` raises the error.
                message = {"type": message["type"]}
            await send(message)

        try:
            await self._app(scope, receive, send_without_traceback)
        except Exception as error:
            if startup_failed:
                self.startup_error = error
            raise


class DrainingServer(uvicorn.Server):
    """A server with graceful shutdown. uvicorn waits for incomplete requests without a limit of
    their own, and disconnects keep-alive clients between requests.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        app: DrainingApp,
        settings: Settings,
        on_started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._app = app
        self._settings = settings
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Modules and the schema are permanent: scanning them took a fifth of the time of a server
        # that logs events, and a full collection blocked all requests for 0.1 s.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        log.info("server_started", version=version("tocsin"))
        self._on_started()

    async def main_loop(self) -> None:
        await super().main_loop()
        self._app.announce_stop()
        started_at = time.monotonic()
        ticks = 0
        # A second Ctrl-C sets `force_exit`.
        while not self.force_exit and time.monotonic() - started_at < self._settings.drain_seconds:
            await asyncio.sleep(TICK_SECONDS)
            ticks += 1
            await self.on_tick(ticks)  # updates the header Date

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        draining = asyncio.gather(self._app.drain(), self._drain_keep_alive())
        while not (draining.done() or self.force_exit):
            await asyncio.wait([draining], timeout=TICK_SECONDS)
        closing = asyncio.create_task(self._close_incomplete_requests())
        await super().shutdown()
        closing.cancel()
        log.info("server_stopped")

    async def _drain_keep_alive(self) -> None:
        if any(self._http_connections()):
            await asyncio.sleep(KEEP_ALIVE_DRAIN_SECONDS)

    def _http_connections(self) -> Iterator[Any]:
        """The HTTP connections, without WebSockets. `cycle` is their current request."""
        connections = self.server_state.connections
        return (connection for connection in connections if hasattr(connection, "cycle"))

    async def _close_incomplete_requests(self) -> None:
        await asyncio.sleep(INCOMPLETE_REQUEST_SECONDS)
        for connection in list(self._http_connections()):
            if connection.cycle is not None and connection.cycle.more_body:
                connection.transport.close()


def run_server(
    settings: Settings,
    listeners: list[socket.socket],
    on_started: Callable[[], None] = lambda: None,
) -> None:
    """Serves until SIGTERM or SIGINT, then drains and exits with code 0.

    Raises the error that prevents the start, for example one of the database.
    """
    # uvicorn drains and then raises the signal again.
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: sys.exit(0))
    app = DrainingApp(create_app(settings))
    config = uvicorn.Config(
        app,
        log_config=None,
        server_header=False,
        access_log=False,  # app/http/request_middleware.py logs requests
        proxy_headers=settings.trusted_proxies is not None,
        forwarded_allow_ips=settings.trusted_proxies,
        http=BoundedHttpProtocol.with_limits(settings.requests),
        ws=BufferedWebSocketProtocol,
        ws_max_size=settings.sockets.message_bytes,
        timeout_keep_alive=settings.requests.keep_alive_seconds,
        ws_ping_interval=None,  # app/graphql/transport sends pings
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    try:
        DrainingServer(config, app, settings, on_started).run(sockets=listeners)
    except SystemExit:
        if app.startup_error is not None:
            raise app.startup_error from None
        raise
