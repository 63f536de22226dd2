"""Subscribers in one process, for `benchmarks.faults`: four groups, and stuck ones that do not
read.

A subscriber whose socket ends resumes after its last cursor, at any of the servers, until it
receives the event `end`. The process reads lines of JSON that say when to cut a socket and when to
finish. It prints the IDs that each subscriber received, in order, to be compared with the change
log.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from typing import Any

from benchmarks.frames import PONG, ClosedError, Socket
from benchmarks.processes import KEY

HOST = "127.0.0.1"
PAUSE_SECONDS = 0.02
STUCK_BUFFER_BYTES = 4096
STILL_OPEN_SECONDS = 10
END = "end"
RINGS = """
subscription ($filter: EventFilter, $after: String) {
  received: notificationAdded(filter: $filter, after: $after) { cursor node { %s } }
}
"""
CHANGES = """
subscription ($filter: EventFilter, $after: String) {
  received: eventChanged(filter: $filter, after: $after) { cursor kind at node: event { %s } }
}
"""
GROUPS: list[tuple[str, dict[str, Any]]] = [
    (RINGS % "id summary", {}),
    (RINGS % "id summary severity source content", {"severities": ["ERROR", "WARN"]}),
    (CHANGES % "id summary type content", {"types": ["even"]}),
    (
        CHANGES % "id summary type severity source content entity { type entityId }",
        {"entity": {"type": "Well", "id": "well-1"}},
    ),
]


def is_expected(group: int, number: int) -> bool:
    """Whether the group's filter selects the event of this number."""
    return (True, number % 4 < 2, number % 2 == 0, number // 2 % 2 == 1)[group]


class Subscriber:
    def __init__(self, instructions: dict[str, Any], group: int) -> None:
        self._told = instructions
        self._group = group
        self._after = instructions["after"]
        self._open: Socket | None = None
        self._over = False
        self._late: list[tuple[float, float]] = []
        self._ids: list[str] = []
        self._codes: list[int | None] = []
        self._failure: str | None = None

    def run(self) -> None:
        while not self._over:
            try:
                self._follow()
            except ClosedError as closed:
                self._codes.append(closed.code)
                self._over = self._over or not self._told["resume"]
            except ConnectionError:
                time.sleep(PAUSE_SECONDS)
            except (Exception, SystemExit) as error:
                self._failure = repr(error)
                self._over = True

    def cut_connection(self) -> bool:
        """Cuts the socket. Returns whether there was one that had not been cut."""
        connection, self._open = self._open, None
        if connection is None:
            return False
        try:
            connection.cut()
        except OSError:
            return False
        return True

    def finish(self) -> None:
        """Continues until the event `end`, which has been logged, is received."""

    def summarize(self) -> dict[str, Any]:
        return {
            "group": self._group,
            "ids": self._ids,
            "late": self._late,
            "codes": self._codes,
            "failure": self._failure,
        }

    def _follow(self) -> None:
        connection = Socket((HOST, random.choice(self._told["ports"])))
        try:
            connection.start_subscription(*_build_messages(self._group, self._after))
            self._open = connection
            while not self._over:
                for message in connection.receive():
                    self._receive(connection, message)
        finally:
            self._open = None
            connection.close()

    def _receive(self, connection: Socket, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            connection.send(PONG)
            return
        if message["type"] != "next" or "errors" in message["payload"]:
            raise ValueError(f"Not an event: {message}")
        received = message["payload"]["data"]["received"]
        self._after = received["cursor"]
        if received["node"]["summary"] == END:
            self._over = True
            return
        self._ids.append(received["node"]["id"])
        now = time.monotonic()
        self._late.append((now, now - float(received["node"]["summary"].split()[1])))


class StuckSubscriber:
    """Does not read after it has subscribed, until it finishes; then it reads how the socket
    ended.
    """

    def __init__(self, instructions: dict[str, Any], group: int) -> None:
        self._address = (HOST, instructions["ports"][0])
        self._messages = _build_messages(group, instructions["after"])
        self._reads_on = threading.Event()
        self._how = "failed"

    def run(self) -> None:
        connection = Socket(self._address, STUCK_BUFFER_BYTES)
        connection.start_subscription(*self._messages)
        self._reads_on.wait()
        connection.socket.settimeout(STILL_OPEN_SECONDS)
        try:
            while True:
                connection.receive()
        except ClosedError as closed:
            self._how = f"closed with {closed.code}" if closed.code else "connection reset"
        except TimeoutError:
            self._how = "still open"

    def finish(self) -> None:
        self._reads_on.set()

    def summarize(self) -> str:
        return self._how


def _build_messages(group: int, after: str) -> tuple[dict[str, Any], dict[str, Any]]:
    query, filter = GROUPS[group]
    payload = {"query": query, "variables": {"filter": filter, "after": after}}
    return {"authorization": f"Bearer {KEY}"}, payload


def main() -> None:
    instructions = json.loads(sys.stdin.readline())
    kind = StuckSubscriber if instructions["stuck"] else Subscriber
    groups = range(
        1 if instructions["stuck"] else 0, len(GROUPS)
    )  # the messages of the first group are short
    following: list[Any] = [
        kind(instructions, groups[number % len(groups)])
        for number in range(instructions["subscribers"])
    ]
    threads = [threading.Thread(target=each.run, daemon=True) for each in following]
    for thread in threads:
        thread.start()
    for line in sys.stdin:
        instructions = json.loads(line)
        if instructions["do"] == "cut":
            while not random.choice(following).cut_connection():
                time.sleep(PAUSE_SECONDS)
            print(json.dumps("cut"), flush=True)
        else:
            break
    for each in following:
        each.finish()
    until = time.monotonic() + instructions["patience"]
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    print(json.dumps([each.summarize() for each in following]), flush=True)


if __name__ == "__main__":
    main()
