"""Many subscribers in one process, for `benchmarks.fanout`: raw sockets, every message parsed.

It is told by lines of JSON what to open and what to expect, and prints a line when all of it has
come: how many messages, when, how late each was, and a digest of the ids that a group heard.
"""

from __future__ import annotations

import hashlib
import json
import select
import sys
import time
from array import array
from typing import Any

from benchmarks.frames import PONG, Connection


class Subscriber(Connection):
    """One socket with one subscription."""

    def __init__(self, address: tuple[str, int], group: int) -> None:
        super().__init__(address)
        self.group = group
        self.ids: list[str] = []
        self.warm = False


class Clients:
    def __init__(self, told: dict[str, Any]) -> None:
        address = (told["host"], told["port"])
        self._poll = select.epoll()
        self._by_number: dict[int, Subscriber] = {}
        for _ in range(told["each"]):
            for group, payload in enumerate(told["groups"]):
                subscriber = Subscriber(address, group)
                subscriber.begin(told["init"], payload)
                self._by_number[subscriber.socket.fileno()] = subscriber
                self._poll.register(subscriber.socket, select.EPOLLIN)
        self._late = array("d")

    def warm_up(self) -> None:
        """Until each has heard something, so that all subscriptions are there."""
        left = len(self._by_number)
        while left:
            for number, _ in self._poll.poll():
                subscriber = self._by_number[number]
                self._hear(subscriber)
                if subscriber.ids and not subscriber.warm:
                    subscriber.warm = True
                    left -= 1

    def measure(self, expected: list[int], patience: float) -> dict[str, Any]:
        """Until each has heard as many as its group should, or patience ends."""
        self._late = array("d")
        left = sum(expected[each.group] for each in self._by_number.values())
        wanted = left
        begun, busy = time.monotonic(), time.process_time()
        last = begun
        while left > 0 and time.monotonic() < begun + patience:
            for number, _ in self._poll.poll(1):
                left -= self._hear(self._by_number[number])
                last = time.monotonic()
        digests: dict[int, set[str]] = {}
        for each in self._by_number.values():
            digests.setdefault(each.group, set()).add(digest(each.ids))
            each.ids = []
        late = sorted(self._late)
        return {
            "missing": left,
            "deliveries": wanted - left,
            "last": last,
            "busy": time.process_time() - busy,
            "late": late[:: max(1, len(late) // 2000)],
            "digests": {group: sorted(found) for group, found in digests.items()},
        }

    def _hear(self, subscriber: Subscriber) -> int:
        """Parses what has come; the warming-up is not counted once it is over."""
        messages = subscriber.receive()
        now = time.monotonic()
        heard = 0
        for message in messages:
            if message["type"] == "ping":
                subscriber.send(PONG)
                continue
            if message["type"] != "next" or "errors" in message["payload"]:
                raise SystemExit(f"Not an event: {message}")
            node = message["payload"]["data"]["notificationAdded"]["node"]
            sent = node["summary"]
            if sent == "warm":
                if not subscriber.warm:
                    subscriber.ids.append(node["id"])
                continue
            subscriber.ids.append(node["id"])
            self._late.append(now - float(sent))
            heard += 1
        return heard


def digest(ids: list[str]) -> str:
    return hashlib.sha256(" ".join(ids).encode()).hexdigest()


def main() -> None:
    clients = Clients(json.loads(sys.stdin.readline()))
    print(json.dumps("opened"), flush=True)
    clients.warm_up()
    for each in clients._by_number.values():
        each.ids = []
    print(json.dumps("warm"), flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        print(json.dumps("listening"), flush=True)
        print(json.dumps(clients.measure(told["expected"], told["patience"])), flush=True)


if __name__ == "__main__":
    main()
