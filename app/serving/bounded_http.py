"""What a client may send before a body: so much, and so long. uvicorn and httptools have no bounds.

A head is the request's line and its headers. The same time is given to the rest of a body that was
answered before it was read.
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


class Heads(HttpToolsProtocol):
    """uvicorn's, which answers a head that is too long by 431 and lets go of one that is late."""

    _limits = RequestLimits()
    _in_head = False
    _head_bytes = 0
    _answering: RequestResponseCycle | None = None
    _late: asyncio.TimerHandle | None = None

    @classmethod
    def within(cls, limits: RequestLimits) -> type[Self]:
        return type(cls.__name__, (cls,), {"_limits": limits})

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        self._break_off()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return None  # it is a socket now
        if self._in_head:
            # Of one header no callback tells before it is whole.
            self._head_bytes += len(data)
            if self._head_bytes > (most := self._limits.head_bytes):
                return self._refuse(431, f"A request's head has at most {most:,} bytes.")
        if self._in_head or self._at_rest():
            self._expect_head()
        return None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._expect_nothing()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle  # of several that came together, `self.cycle` is the last
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _at_rest(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self._limits.head_seconds, self._let_go)

    def _expect_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _let_go(self) -> None:
        self._late = None
        if self._in_head or self._at_rest():
            self._close()

    def _close(self) -> None:
        self._break_off()
        self.transport.close()

    def _break_off(self) -> None:
        """What is answered meanwhile is not written, and what waits behind it is not begun."""
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def _refuse(self, status: int, told: str) -> None:
        self._expect_nothing()
        if self._at_rest():  # else it would fall into an answer
            head = (
                "content-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n"
                f"x-content-type-options: nosniff\r\ncontent-length: {len(told)}\r\n"
                "connection: close\r\n\r\n"
            )
            self.transport.write(STATUS_LINE[status] + (head + told).encode())
        self._close()
