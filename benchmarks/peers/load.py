"""Load from one process: 32 connections, each sends the next request as soon as it has a
response.

Every response is checked. A read must equal, byte for byte, the response that was compared with
those of the other servers. A write must have status 200, no errors, and the length of the first
one. Others are counted separately. Each write has its own source IDs. The process reads and writes
lines of JSON.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from collections import Counter
from itertools import count, cycle
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PART = 1 << 18
PATIENCE_SECONDS = 60
FEW = 10  # responses per connection
# A part of the source IDs in a request, replaced in each by another number of the same length.
UNIQUE = "0" * 19
_numbers = count(time.time_ns())


def number_request(request: bytes) -> bytes:
    """Returns the request with source IDs that no other request has."""
    return request.replace(UNIQUE.encode(), b"%d" % next(_numbers))


class LoadConnection:
    """One request at a time, on a persistent HTTP/1.1 connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = 0
        self.sent_at = 0.0
        self._come = b""

    def send_request(self, number: int, request: bytes, now: float) -> None:
        self.number, self.sent_at = number, now
        self.socket.sendall(request)

    def read_response(self) -> tuple[bytes, bytes] | None:
        """Returns the status line and the body once they are complete, otherwise two empty
        values.
        """
        try:
            part = self.socket.recv(_PART)
        except ConnectionError:
            part = b""
        if not part:
            return b"", b""
        self._come = self._come + part if self._come else part
        end = self._come.find(b"\r\n\r\n")
        if end < 0:
            return None
        instructions = _LENGTH.search(self._come, 0, end + 2)
        if instructions is None:
            raise SystemExit(f"A response without content-length: {self._come[:end]!r}")
        if len(self._come) < end + 4 + int(instructions[1]):
            return None
        status, body = self._come[:12], self._come[end + 4 :]
        self._come = b""
        return status, body


class LoadTurn:
    """The turn of one server with one operation."""

    def __init__(self, instructions: dict[str, Any]) -> None:
        head = (
            f"POST /graphql HTTP/1.1\r\nhost: {instructions['host']}:{instructions['port']}\r\n"
            f"authorization: Bearer {instructions['key']}\r\naccept: application/json\r\n"
            "content-type: application/json\r\ncontent-length: "
        )
        self._requests = [
            f"{head}{len(body.encode())}\r\n\r\n{body}".encode() for body in instructions["bodies"]
        ]
        expected = instructions["expected"]
        self._expected = None if expected is None else [each.encode() for each in expected]
        self._lengths: list[int] = instructions["lengths"]
        self._numbers = cycle(range(len(self._requests)))
        self._address = (instructions["host"], instructions["port"])
        self._wanted: int = instructions["connections"]
        self._connections: dict[int, LoadConnection] = {}
        self._poll = select.epoll()
        self._counted: Counter[str] = Counter()
        self._taken: dict[bool, list[float]] = {True: [], False: []}

    def run(self, lead: float, seconds: float) -> dict[str, Any]:
        """Counts responses for the given seconds after the warm-up, and waits for pending ones."""
        begin = time.perf_counter() + lead
        end = begin + seconds
        for _ in range(self._wanted):
            self._open_connections()
        under_way = len(self._connections)
        busy = time.process_time()
        while under_way:
            ready = self._poll.poll(PATIENCE_SECONDS)
            if not ready:
                self._counted["unanswered"] += under_way
                break
            for number, _ in ready:
                connection = self._connections[number]
                answer = connection.read_response()
                if answer is None:
                    continue
                now = time.perf_counter()
                self._count_response(connection, *answer, now, begin <= now < end)
                if now < end and answer[0]:
                    self._send_next(connection, now)
                    continue
                # Closed now, because the server would close it while others are pending.
                connection.socket.close()
                if now < end:
                    self._open_connections()
                else:
                    under_way -= 1
        busy = time.process_time() - busy
        last = time.perf_counter()
        for connection in self._connections.values():
            connection.socket.close()
        self._poll.close()
        lasted = last - begin + lead
        return self._summarize(seconds, busy / lasted, lasted)

    def _open_connections(self) -> None:
        connection = LoadConnection(self._address)
        number = connection.socket.fileno()
        self._connections[number] = connection
        self._poll.register(number, select.EPOLLIN)
        self._send_next(connection, time.perf_counter())

    def _send_next(self, connection: LoadConnection, now: float) -> None:
        number = next(self._numbers)
        connection.send_request(number, number_request(self._requests[number]), now)

    def _count_response(
        self, connection: LoadConnection, status: bytes, body: bytes, now: float, counts: bool
    ) -> None:
        if not status:
            kind = "cut"
        elif status != b"HTTP/1.1 200":
            kind = "other status"
        elif self._expected is not None:
            kind = "right" if body == self._expected[connection.number] else "other body"
        elif b'"errors":' in body:
            kind = "errors"
        else:
            kind = "right" if len(body) == self._lengths[connection.number] else "other length"
        self._counted[f"{kind}, ever"] += 1
        if counts:
            self._counted[kind] += 1
        if kind == "right":
            self._taken[counts].append(1e3 * (now - connection.sent_at))

    def _summarize(self, seconds: float, busy: float, lasted: float) -> dict[str, Any]:
        right, ever = self._counted.pop("right", 0), self._counted.pop("right, ever", 0)
        # A few responses come in bursts of all connections: measure from the first request.
        few = right < FEW * self._wanted
        taken = sorted(self._taken[True] + (self._taken[False] if few else []))
        return {
            "right": right,
            "right_ever": ever,
            "wrong": {
                kind.removesuffix(", ever"): count
                for kind, count in self._counted.items()
                if kind.endswith(", ever") or kind == "unanswered"
            },
            "rate": ever / lasted if few else right / seconds,
            "p50_ms": taken[len(taken) // 2] if taken else None,
            "p99_ms": taken[int(len(taken) * 0.99)] if taken else None,
            "client_busy": busy,
            "lasted": lasted,
        }


def main() -> None:
    for line in sys.stdin:
        instructions = json.loads(line)
        if instructions is None:
            continue
        print(
            json.dumps(LoadTurn(instructions).run(instructions["lead"], instructions["seconds"])),
            flush=True,
        )


if __name__ == "__main__":
    main()
