"""What every request has, whichever door it takes: an id, guards, a place in counts and logs.

The id is the client's `X-Request-Id` where it is sane, else a new one; the answer carries it, and
so does every line that is logged meanwhile. A socket is one request.
"""

from __future__ import annotations

import json
import re
import time
from random import getrandbits

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import metrics
from app.domain.shared.problems import ErrorCode

_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_DOORS = {
    "/graphql": "graphql",
    "/cloudevents": "cloudevents",
    "/health": "probes",
    "/ready": "probes",
    "/metrics": "probes",
}
_HALLS = {"/graphql/assets/": "page", "/event-types/": "schemas"}

# For every answer that says nothing of its own: no browser keeps it, guesses its type, runs
# anything in it, shows it in a frame or tells its address to another site.
_GUARDS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)

log = structlog.get_logger(__name__)


class Requests:
    def __init__(self, app: ASGIApp, log_requests: bool) -> None:
        self._app = app
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        request_id = _id_of(scope)
        door = _DOORS.get(scope["path"]) or _hall_of(scope["path"])
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
            if scope["type"] == "websocket" or answer.status is not None:
                raise
            log.exception("unexpected", reference=request_id)
            await answer.fail()
        finally:
            if scope["type"] == "http":
                metrics.responses(door, answer.status or 499).inc()
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
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        header = (b"x-request-id", self._request_id.encode())
        if message["type"] == "http.response.start":
            self.status = message["status"]
            said = message.get("headers", ())
            named = {name for name, _ in said}
            guards = [guard for guard in _GUARDS if guard[0] not in named]
            message["headers"] = [*said, *guards, header]
        elif message["type"] == "websocket.accept":
            message["headers"] = [*message.get("headers", ()), header]
        elif message["type"] == "websocket.close":
            self.status = message.get("code", 1000)
        await self._send(message)

    async def fail(self) -> None:
        """What nobody expected is told by its reference alone, which is the request's id."""
        extensions = {
            "code": ErrorCode.INTERNAL_SERVER_ERROR.value,
            "reference": self._request_id,
        }
        error = {"message": "Something went wrong in the server.", "extensions": extensions}
        headers = [(b"content-type", b"application/json")]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        body = json.dumps({"errors": [error]}).encode()
        await self.send({"type": "http.response.body", "body": body})


def _hall_of(path: str) -> str:
    return next((door for hall, door in _HALLS.items() if path.startswith(hall)), "other")


def _id_of(scope: Scope) -> str:
    for name, given in scope["headers"]:
        if name == b"x-request-id" and _SANE.fullmatch(given):
            return str(given.decode())
    return f"{getrandbits(128):032x}"  # no secret: it tells requests apart
