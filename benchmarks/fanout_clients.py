"""Many subscribers in one process, for `benchmarks.fanout`: raw sockets, every message parsed.

It is told by lines of JSON what to open and what to expect, and prints a line when all of it has
come: how many messages, when, how late each was, and a digest of the ids that a group heard.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import select
import socket
import struct
import sys
import time
from array import array
from typing import Any

PONG = '{"type":"pong"}'


class Subscriber:
    """One socket with one subscription."""

    def __init__(self, address: tuple[str, int], group: int) -> None:
        self.group = group
        self.socket = socket.create_connection(address)
        self.ids: list[str] = []
        self.warm = False
        self._held = b""
        host = f"{address[0]}:{address[1]}"
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /graphql HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._held:
            self._held += self.socket.recv(65536)
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            raise SystemExit(head.decode())

    def send(self, message: str) -> None:
        self._write(0x81, message.encode())

    def _write(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        size = len(payload)
        head = struct.pack("!BB", kind, 0x80 | size) if size < 126 else b""
        self.socket.sendall((head or struct.pack("!BBH", kind, 0xFE, size)) + mask + masked)

    def receive(self) -> list[Any]:
        """The messages that have come."""
        read = self.socket.recv(1 << 18)
        if not read:
            raise SystemExit("The server has closed a socket.")
        held = self._held + read if self._held else read
        messages, at, size = [], 0, len(held)
        while size - at >= 2:
            length, body = held[at + 1], at + 2
            if length == 126:
                body = at + 4
                length = int.from_bytes(held[at + 2 : body], "big") if size >= body else size
            elif length == 127:
                body = at + 10
                length = int.from_bytes(held[at + 2 : body], "big") if size >= body else size
            if size < body + length:
                break
            if held[at] == 0x89:
                self._write(0x8A, held[body : body + length])
            elif held[at] != 0x81:
                raise SystemExit(f"A frame of an unexpected kind: {held[at : body + length]!r}")
            else:
                messages.append(json.loads(held[body : body + length]))
            at = body + length
        self._held = held[at:]
        return messages


class Clients:
    def __init__(self, told: dict[str, Any]) -> None:
        address = (told["host"], told["port"])
        self._poll = select.epoll()
        self._by_number: dict[int, Subscriber] = {}
        for _ in range(told["each"]):
            for group, payload in enumerate(told["groups"]):
                subscriber = Subscriber(address, group)
                subscriber.send(json.dumps({"type": "connection_init", "payload": told["init"]}))
                acknowledged = subscriber.receive()
                if [each["type"] for each in acknowledged] != ["connection_ack"]:
                    raise SystemExit(f"Not acknowledged: {acknowledged}")
                begin = {"id": "1", "type": "subscribe", "payload": payload}
                subscriber.send(json.dumps(begin))
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
