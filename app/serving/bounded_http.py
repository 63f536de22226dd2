"""Limits the size and the time of request heads, which uvicorn and httptools do not.

A head is the request line and the headers. The time limit also applies to the rest of a body whose
request was answered before it was read.
"""

from __future__ import annotations

import asyncio
from typing import Any, Self

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from app.domain.shared.limits import RequestLimits


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol. Rejects heads that are too large with 431, and disconnects slow ones."""

    _limits = RequestLimits()
    _in_head = False
    _head_bytes = 0
    _active_cycle: RequestResponseCycle | None = None
    _head_timer: asyncio.TimerHandle | None = None

    @classmethod
    def with_limits(cls, limits: RequestLimits) -> type[Self]:
        return type(cls.__name__, (cls,), {"_limits": limits})

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_head_timer()
        self._abort_responses()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return None  # upgraded to a WebSocket
        if self._in_head:
            # Counted here: httptools has no callback for an incomplete header.
            self._head_bytes += len(data)
            if self._head_bytes > (max_bytes := self._limits.headers_bytes):
                return self._send_error(
                    431, f"The request line and headers exceed {max_bytes:,} bytes."
                )
        if self._in_head or self._is_idle():
            self._start_head_timer()
        return None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._cancel_head_timer()
        super().on_headers_complete()
        if not self.pipeline:
            self._active_cycle = self.cycle  # with pipelining, `self.cycle` is the last request

    def on_response_complete(self) -> None:
        if self.pipeline:
            self._active_cycle = self.pipeline[-1][0]  # the one that starts now
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._send_error(400, msg)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(
                self._limits.headers_timeout_seconds, self._on_head_timeout
            )

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_head_timeout(self) -> None:
        self._head_timer = None
        if self._in_head or self._is_idle():
            self._close()

    def _close(self) -> None:
        self._abort_responses()
        self.transport.close()

    def _abort_responses(self) -> None:
        """Discards the response in progress and the pipelined requests."""
        self.pipeline.clear()
        if self._active_cycle is not None and not self._active_cycle.response_complete:
            self._active_cycle.disconnected = True
            self._active_cycle.message_event.set()

    def _send_error(self, status: int, body: str) -> None:
        self._cancel_head_timer()
        if self._is_idle():  # otherwise it would corrupt a response in progress
            head = (
                "content-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n"
                f"x-content-type-options: nosniff\r\ncontent-length: {len(body)}\r\n"
                "connection: close\r\n\r\n"
            )
            self.transport.write(STATUS_LINE[status] + (head + body).encode())
        self._close()
