"""A client process that logs events on persistent connections, one `logEvent` at a time on each,
or lists.

Reads one line of JSON, and prints the number of stored events and the time in seconds.

{"url": "http://127.0.0.1:8000", "connections": 32, "size": 1, "seconds": 5}
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.processes import KEY

ONE = """mutation ($input: LogEventInput!) {
  logEvent(input: $input) { event { id } userErrors { code message } } }"""
LIST = """mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) { accepted results { event { id } userErrors { code message } } } }"""


def build_report() -> dict[str, Any]:
    return {
        "type": "configuration",
        "severity": "warn",
        "summary": "Configuration updated",
        "content": "System configuration has been updated by admin user",
        "source": "admin-service",
        "sourceId": str(uuid4()),
        "tags": ["a", "b"],
        "fields": {"volume": 150.5, "cause": "equipment", "number": 17},
    }


def build_request(size: int) -> bytes:
    payload: Any = build_report() if size == 1 else [build_report() for _ in range(size)]
    query = ONE if size == 1 else LIST
    return json.dumps({"query": query, "variables": {"input": payload}}).encode()


def count_stored(answer: Any) -> int:
    """Returns the number of stored events. Raises an error if one was rejected."""
    payload = answer["data"].get("logEvent") or answer["data"].get("logEvents")
    results = payload.get("results", [payload])
    assert "errors" not in answer, answer
    assert all(each["event"] and not each["userErrors"] for each in results), results
    return len(results)


async def write_until(instructions: dict[str, Any], end: float) -> int:
    address = urlsplit(instructions["url"])
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**24)
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )
    count = 0
    while time.perf_counter() < end:
        body = build_request(instructions["size"])
        writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
        headers = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = headers.split(b"content-length:")[1].split(b"\r\n")[0]
        count += count_stored(json.loads(await reader.readexactly(int(length))))
    writer.close()
    return count


async def main() -> None:
    instructions = json.loads(sys.stdin.readline())
    begun = time.perf_counter()
    end = begun + instructions["seconds"]
    counts = await asyncio.gather(
        *(write_until(instructions, end) for _ in range(instructions["connections"]))
    )
    taken = time.perf_counter() - begun
    print(json.dumps({"stored": sum(counts), "seconds": taken}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
