"""The cost of a request apart from its operation: `python -m benchmarks.overhead`.

32 persistent connections send requests to one server process with default settings, on its own
core. Prints requests per second, and CPU time of the server per request, which depends less on
other load.

- bare: uvicorn with an application that reads the body and returns a constant
- health: the probe, which is the cost of every request, without a credential
- empty: a document that is not a string, which is rejected after authentication
- head, event: `{ logHead }`, and one event by its ID
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn
import uvloop

from benchmarks.processes import KEY, TOCSIN, ServerProcess, build_environment, running_postgresql

CONNECTIONS = 32
SECONDS = 3.0
ROUNDS = 2
TICKS = os.sysconf("SC_CLK_TCK")
BARE = (sys.executable, "-m", "benchmarks.overhead", "bare")


class RequestProtocol(asyncio.Protocol):
    """Sends the next request as soon as the previous one is answered."""

    def __init__(self, request: bytes, status: bytes) -> None:
        self._request, self._status = request, status
        self.answers = 0
        self._have = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request)

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
        self._transport.write(self._request)


async def measure_request_rate(url: str, request: bytes, status: int, seconds: float) -> float:
    """Returns responses per second."""
    address: Any = urlsplit(url)
    loop = asyncio.get_running_loop()
    asking = [
        await loop.create_connection(
            lambda: RequestProtocol(request, str(status).encode()), address.hostname, address.port
        )
        for _ in range(CONNECTIONS)
    ]
    begun, before = time.perf_counter(), sum(each.answers for _, each in asking)
    await asyncio.sleep(seconds)
    answers = sum(each.answers for _, each in asking) - before
    taken = time.perf_counter() - begun
    for transport, _ in asking:
        transport.abort()
    return answers / taken


def build_post(query: object) -> bytes:
    body = json.dumps({"query": query}).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nAuthorization: Bearer {KEY}\r\nUser-Agent: overhead\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def log_one_event(url: str) -> str:
    log = 'mutation { logEvent(input: {summary: "one"}) { event { id } } }'
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = httpx.post(f"{url}/graphql", json={"query": log}, headers=headers).json()
    return str(answer["data"]["logEvent"]["event"]["id"])


def read_cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure_server(server: ServerProcess, request: bytes, status: int) -> tuple[float, float]:
    """Returns responses per second, and microseconds of CPU time per response."""
    uvloop.run(measure_request_rate(server.url, request, status, 0.5))
    before = read_cpu_seconds(server.process.pid)
    begun = time.perf_counter()
    rate = uvloop.run(measure_request_rate(server.url, request, status, SECONDS))
    spent = read_cpu_seconds(server.process.pid) - before
    return rate, spent / (rate * (time.perf_counter() - begun)) * 1e6


@contextmanager
def pinned_to_core(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    yield
    os.sched_setaffinity(0, before)


def print_overhead(name: str, url: str | None) -> None:
    with ExitStack() as stack:
        with pinned_to_core(0):
            command = BARE if url is None else (*TOCSIN, "0")
            server = ServerProcess(command, build_environment(url or ""))
            stack.callback(server.stop)
        cases = {"bare": (build_post("{ logHead }"), 200)}
        if url is not None:
            cases = {
                "health": (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
                "empty": (build_post(0), 400),
                "head": (build_post("{ logHead }"), 200),
                "event": (
                    build_post(f'{{ event(id: "{log_one_event(server.url)}") {{ id }} }}'),
                    200,
                ),
            }
        for case, (request, status) in cases.items():
            figures = [measure_server(server, request, status) for _ in range(ROUNDS)]
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


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, pinned_to_core(1):
        print_overhead("", None)
        print_overhead("SQLite", f"sqlite:///{folder}/tocsin.db")
        with running_postgresql(Path(folder) / "postgresql") as created:
            print_overhead("PostgreSQL", created("overhead"))


if __name__ == "__main__":
    serve_bare_app() if sys.argv[1:] == ["bare"] else main()
