"""The cost of a request apart from its operation: `python -m benchmarks.overhead [CASE ...]`.

32 persistent connections send requests to one server process with default settings, on its own
core. Prints requests per second, and CPU time of the server per request, which depends less on
other load: the least of ROUNDS rounds of at least REQUESTS requests.

- bare: uvicorn with an application that reads the body and returns a constant
- health: the probe, which is the cost of every request, without a credential
- empty: a document that is not a string, which is rejected after authentication
- head: `{ logHead }`
- event: the query "one event" of `benchmarks.peers`, of EVENTS different events in turn
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn
import uvloop

from benchmarks.peers.documents import tocsin_document
from benchmarks.processes import (
    KEY,
    PATIENCE_SECONDS,
    TOCSIN,
    ServerProcess,
    build_environment,
    running_postgresql,
)

CONNECTIONS = 32
REQUESTS = 20_000
EVENTS = 50
ROUNDS = 3
TICKS = os.sysconf("SC_CLK_TCK")
BARE = (sys.executable, "-m", "benchmarks.overhead", "serve-bare")


class RequestProtocol(asyncio.Protocol):
    """Sends the next request as soon as the previous one is answered."""

    def __init__(self, requests: Iterator[bytes], status: bytes) -> None:
        self._requests, self._status = requests, status
        self.answers = 0
        self._have = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._have += data
        head, end, body = self._have.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        if head.split(b" ", 2)[1] != self._status or (self._status == b"200" and b"errors" in body):
            raise SystemExit(f"unexpected response: {self._have!r}")
        self.answers += 1
        self._have = b""
        self._transport.write(next(self._requests))


async def send_requests(
    server: ServerProcess, requests: Sequence[bytes], status: int, count: int
) -> tuple[float, float]:
    """Returns responses per second, and microseconds of the server's CPU time per response."""
    address: Any = urlsplit(server.url)
    loop = asyncio.get_running_loop()
    in_turn = cycle(requests)
    asking = [
        await loop.create_connection(
            lambda: RequestProtocol(in_turn, str(status).encode()), address.hostname, address.port
        )
        for _ in range(CONNECTIONS)
    ]
    begun, before = time.perf_counter(), sum(each.answers for _, each in asking)
    used = read_cpu_seconds(server.process.pid)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (answers := sum(each.answers for _, each in asking) - before) < count:
            await asyncio.sleep(0.05)
    taken, used = time.perf_counter() - begun, read_cpu_seconds(server.process.pid) - used
    for transport, _ in asking:
        transport.abort()
    return answers / taken, used / answers * 1e6


def build_post(query: object, **more: object) -> bytes:
    body = json.dumps({"query": query, **more}).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nAuthorization: Bearer {KEY}\r\nUser-Agent: overhead\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def build_event_posts(url: str) -> list[bytes]:
    """Logs events, and builds the query of each of them."""
    log = """mutation ($input: [LogEventInput!]!) {
      logEvents(input: $input) { results { event { id } } } }"""
    answer = httpx.post(
        f"{url}/graphql",
        json={"query": log, "variables": {"input": [{"summary": "one"}] * EVENTS}},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=PATIENCE_SECONDS,
    ).json()
    document = tocsin_document("single").strip()
    return [
        build_post(document, operationName="single", variables={"id": each["event"]["id"]})
        for each in answer["data"]["logEvents"]["results"]
    ]


def read_cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def pinned_to_core(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    yield
    os.sched_setaffinity(0, before)


def print_overhead(name: str, url: str | None, selected: Sequence[str]) -> None:
    with ExitStack() as stack:
        with pinned_to_core(0):
            command = BARE if url is None else (*TOCSIN, "0")
            server = ServerProcess(command, build_environment(url or ""))
            stack.callback(server.stop)
        cases = {"bare": ([build_post("{ logHead }")], 200)}
        if url is not None:
            cases = {
                "health": ([b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"], 200),
                "empty": ([build_post(0)], 400),
                "head": ([build_post("{ logHead }")], 200),
                "event": (build_event_posts(server.url), 200),
            }
        for case, (requests, status) in cases.items():
            if selected and case not in selected:
                continue
            uvloop.run(send_requests(server, requests, status, REQUESTS // 10))
            figures = [
                uvloop.run(send_requests(server, requests, status, REQUESTS)) for _ in range(ROUNDS)
            ]
            rate, spent = max(each for each, _ in figures), min(each for _, each in figures)
            print(f"{name:12}{case:10}{rate:10,.0f} /s{spent:10,.0f} us", flush=True)


async def bare_app(scope: dict[str, object], receive: object, send: object) -> None:
    assert callable(receive)
    assert callable(send)
    if scope["type"] != "http":
        return
    json.loads((await receive())["body"])
    headers = [(b"content-type", b"application/json"), (b"content-length", b"25")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"data":{"logHead":"ab"}}'})


def serve_bare_app() -> None:
    config = uvicorn.Config(bare_app, log_config=None, lifespan="off")
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"bare is running at http://127.0.0.1:{listening.getsockname()[1]}/graphql", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


def main(selected: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, pinned_to_core(1):
        print_overhead("", None, selected)
        print_overhead("SQLite", f"sqlite:///{folder}/tocsin.db", selected)
        with running_postgresql(Path(folder) / "postgresql") as created:
            print_overhead("PostgreSQL", created("overhead"), selected)


if __name__ == "__main__":
    serve_bare_app() if sys.argv[1:] == ["serve-bare"] else main(sys.argv[1:])
