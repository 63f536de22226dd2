"""What every request has, whichever door it takes: an id, a place in the counts, a line in the log.

The id is the client's `X-Request-Id` where it is sane, else a new one; the answer carries it, and
so does every line that is logged meanwhile. A socket is one request.
"""

from __future__ import annotations

import re
import time
from uuid import uuid4

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import metrics

_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_DOORS = {
    "/graphql/assets/": "page",
    "/graphql": "graphql",
    "/cloudevents": "cloudevents",
    "/event-types/": "schemas",
    "/health": "probes",
    "/ready": "probes",
    "/metrics": "probes",
}

log = structlog.get_logger(__name__)


class Requests:
    def __init__(self, app: ASGIApp, log_requests: bool) -> None:
        self._app = app
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        request_id = _id_of(scope)
        door = next((door for path, door in _DOORS.items() if _is_at(scope, path)), "other")
        metrics.DOOR.set(door)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        answer = _Answer(send, request_id)
        begun = time.monotonic()
        try:
            if scope["type"] == "websocket":
                with metrics.SOCKETS.track_inprogress():
                    await self._app(scope, receive, answer.send)
            else:
                await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            pass  # it sent half a request, and nobody waits for the answer
        except Exception:
            answer.status = answer.status or 500
            raise
        finally:
            if scope["type"] == "http":
                metrics.RESPONSES.labels(door, answer.status or 499).inc()
            if self._log_requests:
                log.info(
                    "request",
                    method=scope.get("method", "WEBSOCKET"),
                    path=scope["path"],
                    status=answer.status,
                    milliseconds=round((time.monotonic() - begun) * 1000, 1),
                )
        return None


class _Answer:
    """The way back. `status` is that of HTTP, or the close code that the server gave."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._header = (b"x-request-id", request_id.encode())
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            message["headers"] = [*message.get("headers", ()), self._header]
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "websocket.close":
            self.status = message.get("code", 1000)
        await self._send(message)


def _is_at(scope: Scope, path: str) -> bool:
    asked: str = scope["path"]
    return asked.startswith(path) if path.endswith("/") else asked == path


def _id_of(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _SANE.fullmatch(given) else uuid4().hex
