"""A raw, blocking client of graphql-transport-ws that parses every message."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
from typing import Any

PONG = '{"type":"pong"}'
PATIENCE_SECONDS = 120
# A larger buffer would be allocated for each read: 20 µs more, the largest cost of a client.
_READ_BYTES = 65_536


class ClosedError(Exception):
    """The socket has ended: with this close code, or without one if the connection broke."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Socket:
    """A client socket. `receive_buffer` limits the bytes that the kernel buffers for a client
    that does not read.
    """

    def __init__(self, address: tuple[str, int], receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE_SECONDS)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._held = b""
        self._ended: ClosedError | None = None
        try:
            self.socket.connect(address)
            self._perform_handshake(f"{address[0]}:{address[1]}")
        except BaseException:
            self.socket.close()
            raise

    def _perform_handshake(self, host: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /graphql HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._held:
            self._held += self._read_bytes(_READ_BYTES)
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            raise SystemExit(head.decode())

    def start_subscription(self, init: dict[str, Any], payload: dict[str, Any]) -> None:
        """Subscribes. Messages of the server are returned by `receive`."""
        self.send(json.dumps({"type": "connection_init", "payload": init}))
        acknowledged = self.receive()
        if [each["type"] for each in acknowledged] != ["connection_ack"]:
            raise SystemExit(f"Not acknowledged: {acknowledged}")
        self.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))

    def send(self, message: str) -> None:
        self._write_frame(0x81, message.encode())

    def cut(self) -> None:
        """Breaks the connection like a network failure. Threads other than the reader can
        call it.
        """
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.socket.close()

    def receive(self) -> list[Any]:
        """Returns the received messages. Raises ClosedError once the socket has ended."""
        if self._ended is not None:
            raise self._ended
        read = self._read_bytes(_READ_BYTES)
        held = self._held + read if self._held else read
        messages, at, size = [], 0, len(held)
        while size - at >= 2 and self._ended is None:
            length, body = held[at + 1], at + 2
            if length == 126:
                body = at + 4
                length = int.from_bytes(held[at + 2 : body], "big") if size >= body else size
            elif length == 127:
                body = at + 10
                length = int.from_bytes(held[at + 2 : body], "big") if size >= body else size
            if size < body + length:
                break
            if held[at] == 0x81:
                messages.append(json.loads(held[body : body + length]))
            else:
                self._handle_control_frame(held[at], held[body : body + length])
            at = body + length
        self._held = held[at:]
        if self._ended is not None and not messages:
            raise self._ended
        return messages

    def _handle_control_frame(self, kind: int, payload: bytes) -> None:
        if kind == 0x89:
            self._write_frame(0x8A, payload)
        elif kind == 0x88:
            self._ended = ClosedError(int.from_bytes(payload[:2], "big") if payload else None)
            with contextlib.suppress(OSError):
                self._write_frame(0x88, payload[:2])
        else:
            raise SystemExit(f"A frame of an unexpected kind: {kind:#x} {payload!r}")

    def _read_bytes(self, most: int) -> bytes:
        try:
            read = self.socket.recv(most)
        except ConnectionError as error:
            raise ClosedError(None) from error
        if not read:
            raise ClosedError(None)
        return read

    def _write_frame(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        size = len(payload)
        head = struct.pack("!BB", kind, 0x80 | size) if size < 126 else b""
        self.socket.sendall((head or struct.pack("!BBH", kind, 0xFE, size)) + mask + masked)
