"""Many subscribers in one process, for `benchmarks.fanout`: raw sockets, every message parsed.

Reads lines of JSON that say what to open and what to expect. Prints a line when everything was
received: the number of messages, the time, the latency of each, and a digest of the IDs per group.
"""

from __future__ import annotations

import hashlib
import json
import select
import sys
import time
from array import array
from datetime import UTC, datetime
from typing import Any

from benchmarks.frames import PONG, Socket


class Subscriber(Socket):
    """One socket with one subscription."""

    def __init__(self, address: tuple[str, int], group: int) -> None:
        super().__init__(address)
        self.group = group
        self.ids: list[str] = []
        self.warm = False


class SubscriberGroup:
    def __init__(self, instructions: dict[str, Any]) -> None:
        addresses = [(host, port) for host, port in instructions["addresses"]]
        self._poll = select.epoll()
        self._by_number: dict[int, Subscriber] = {}
        for number in range(instructions["each"]):
            address = addresses[number % len(addresses)]
            for group, payload in enumerate(instructions["groups"]):
                subscriber = Subscriber(address, group)
                subscriber.start_subscription(instructions["init"], payload)
                self._by_number[subscriber.socket.fileno()] = subscriber
                self._poll.register(subscriber.socket, select.EPOLLIN)
        self._late = array("d")

    def warm_up(self) -> None:
        """Waits until each subscriber has received an event, so that all subscriptions have
        started.
        """
        left = len(self._by_number)
        while left:
            for number, _ in self._poll.poll():
                subscriber = self._by_number[number]
                self._receive(subscriber)
                if subscriber.ids and not subscriber.warm:
                    subscriber.warm = True
                    left -= 1

    def measure(self, expected: list[int], patience: float) -> dict[str, Any]:
        """Waits until each subscriber has received the events of its group, or until the
        timeout.
        """
        self._late = array("d")
        left = sum(expected[each.group] for each in self._by_number.values())
        remaining = left
        begun, busy = time.monotonic(), time.process_time()
        last = begun
        while left > 0 and time.monotonic() < begun + patience:
            for number, _ in self._poll.poll(1):
                left -= self._receive(self._by_number[number])
                last = time.monotonic()
        digests: dict[int, set[str]] = {}
        for each in self._by_number.values():
            digests.setdefault(each.group, set()).add(digest_ids(each.ids))
            each.ids = []
        late = sorted(self._late)
        return {
            "missing": left,
            "deliveries": remaining - left,
            "last": last,
            "busy": time.process_time() - busy,
            "late": late[:: max(1, len(late) // 2000)],
            "digests": {group: sorted(ids) for group, ids in digests.items()},
        }

    def _receive(self, subscriber: Subscriber) -> int:
        """Parses received messages. Messages of the warm-up are not counted afterwards."""
        messages = subscriber.receive()
        now, date = time.monotonic(), datetime.now(UTC)
        received = 0
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
            if recorded_at := node.get("recordedAt"):
                late = (date - datetime.fromisoformat(recorded_at)).total_seconds()
            else:
                late = now - float(sent)
            self._late.append(late)
            received += 1
        return received


def digest_ids(ids: list[str]) -> str:
    return hashlib.sha256(" ".join(ids).encode()).hexdigest()


def main() -> None:
    clients = SubscriberGroup(json.loads(sys.stdin.readline()))
    print(json.dumps("opened"), flush=True)
    clients.warm_up()
    for each in clients._by_number.values():
        each.ids = []
    print(json.dumps("warm"), flush=True)
    for line in sys.stdin:
        instructions = json.loads(line)
        print(json.dumps("listening"), flush=True)
        print(
            json.dumps(clients.measure(instructions["expected"], instructions["patience"])),
            flush=True,
        )


if __name__ == "__main__":
    main()
