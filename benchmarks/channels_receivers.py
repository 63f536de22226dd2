"""Receivers of webhooks in one process, for `benchmarks.channels`: an HTTP server on 127.0.0.1.

The last part of a path is the number of a receiver. The process reads lines of JSON: the first says
how slow receivers are. Each further one says which receivers are dead and slow from now on, or asks
for all messages, or how many a source has that are missing. Each is answered by a line.

{"slow_seconds": 0.1}
{"dead": [0, 1], "slow": [5]}
{"do": "count_missing", "source": "faults", "receivers": [0], "source_ids": ["1", "2"]}
{"do": "list"}
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import uvicorn

HOST = "127.0.0.1"


class Receivers:
    """Dead receivers with an even number refuse messages, the others never answer.

    `received`: receiver, webhook-id, source, source ID and summary of the event, and time."""

    def __init__(self, slow_seconds: float) -> None:
        self.received: list[tuple[int, str, str, str | None, str, float]] = []
        self._slow_seconds = slow_seconds
        self._dead: set[int] = set()
        self._slow: set[int] = set()
        self._revived = asyncio.Event()

    def behave(self, dead: list[int], slow: list[int]) -> None:
        self._revived.set()
        self._revived = asyncio.Event()
        self._dead, self._slow = {*dead}, {*slow}

    def count_missing(self, source: str, receivers: list[int], source_ids: list[str]) -> int:
        received = {(each[0], each[3]) for each in self.received if each[2] == source}
        return len({(each, id) for each in receivers for id in source_ids} - received)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return  # the server was killed
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status = await self._handle(int(scope["path"].rpartition("/")[2]), json.loads(body))
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    async def _handle(self, number: int, message: dict[str, Any]) -> int:
        if number in self._dead:
            if number % 2:
                await asyncio.wait({asyncio.create_task(self._revived.wait())})
            return 503
        event = message["data"]["event"]
        values = (message["id"], event["source"], event.get("sourceId"), event["summary"])
        self.received.append((number, *values, time.monotonic()))
        if number in self._slow:
            await asyncio.sleep(self._slow_seconds)
        return 204


async def main() -> None:
    receivers = Receivers(json.loads(sys.stdin.readline())["slow_seconds"])
    config = uvicorn.Config(receivers, HOST, 0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(json.dumps({"port": server.servers[0].sockets[0].getsockname()[1]}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        instructions: dict[str, Any] = json.loads(line)
        answer: Any = None
        match instructions.pop("do", None):
            case "count_missing":
                answer = receivers.count_missing(**instructions)
            case "list":
                answer = receivers.received
            case _:
                receivers.behave(**instructions)
        print(json.dumps(answer), flush=True)
    server.should_exit = True
    receivers.behave([], [])
    await serving


if __name__ == "__main__":
    asyncio.run(main())
