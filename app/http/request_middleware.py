"""Middleware of all requests: request id, path, security headers, metrics and request log.

The id is the client's `X-Request-Id` if it is valid, otherwise a new one. The response and all log
lines of the request have it. A WebSocket connection is one request.
"""

from __future__ import annotations

import re
import time
from random import getrandbits
from urllib.parse import quote

import structlog
from starlette.datastructures import State
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import metrics
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.problems import INTERNAL_ERROR, ErrorCode
from app.request_io import get_header

_VALID_REQUEST_ID = re.compile("[A-Za-z0-9._:/+=@-]{1,128}")
# Paths whose last part is a token, also below a path that a proxy should have removed.
_TOKEN_PATH = re.compile(r"(.*?/sources/[^/]*)/(.+)", re.DOTALL)
_API_BY_PATH = {
    "/v2/enqueue": "sources",
    "/graphql": "graphql",
    "/cloudevents": "cloudevents",
    "/health": "probes",
    "/ready": "probes",
    "/metrics": "probes",
}
_API_BY_PREFIX = {
    "/graphql/assets/": "page",
    "/console/assets/": "page",
    "/event-types/": "schemas",
    "/sources/": "sources",
}

# Defaults of all responses: browsers do not cache them, sniff their type, execute anything in them,
# show them in a frame or send their URL to other sites.
_SECURITY_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)

log = structlog.get_logger(__name__)


class RequestMiddleware:
    """`state`: that of the application. If `draining` is set, responses close the connection."""

    def __init__(self, app: ASGIApp, access_log: bool, state: State) -> None:
        self._app = app
        self._access_log = access_log
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        sent_path = scope["path"]
        scope = remove_trailing_slash(scope)
        request_id = _read_request_id(scope)
        path = get_route_path(scope)
        api = _API_BY_PATH.get(path) or _find_api_by_prefix(path)
        metrics.REQUEST_API.set(api)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = _ResponseSender(send, request_id, self._state)
        started_at = time.monotonic()
        try:
            if scope["type"] == "websocket":
                with metrics.SOCKETS.track_inprogress():
                    await self._app(scope, receive, response.send)
            else:
                await self._app(scope, receive, response.send)
        except ClientDisconnect:
            pass  # the client sent a partial request and does not wait for the response
        except Exception:
            if scope["type"] == "websocket" or response.status is not None:
                raise
            log.exception("internal_error", reference=request_id)
            await response.send_error()
        finally:
            if scope["type"] == "http":
                metrics.response_counter(api, response.status or 499).inc()
            if self._access_log:
                log.info(
                    "request",
                    method=scope.get("method", "WEBSOCKET"),
                    path=sent_path,
                    status=response.status,
                    milliseconds=round((time.monotonic() - started_at) * 1000, 1),
                )
        return None


class _ResponseSender:
    """Sends the response. `status` is the HTTP status, or the close code of the server."""

    def __init__(self, send: Send, request_id: str, state: State) -> None:
        self._send = send
        self._request_id = request_id
        self._state = state
        self.status: int | None = None
        self._is_accepted = False  # by which a WebSocket begins

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", ())
            names = dict(headers)
            defaults = [default for default in _SECURITY_HEADERS if default[0] not in names]
            message["headers"] = [*headers, *defaults, self._id_header()]
            if self._state.draining:
                message["headers"].append((b"connection", b"close"))
        elif message["type"] == "websocket.accept":
            self._is_accepted = True
            message["headers"] = [*message.get("headers", ()), self._id_header()]
        elif message["type"] == "websocket.close":
            self.status = message.get("code", 1000) if self._is_accepted else 403
        await self._send(message)

    def _id_header(self) -> tuple[bytes, bytes]:
        return b"x-request-id", self._request_id.encode()

    async def send_error(self) -> None:
        """Sends the response to an unexpected error, with the request id as its reference."""
        extensions = {
            "code": ErrorCode.INTERNAL_SERVER_ERROR.value,
            "reference": self._request_id,
        }
        error = {"message": INTERNAL_ERROR, "extensions": extensions}
        headers = [(b"content-type", b"application/json")]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        body = encode_json({"errors": [error]}).encode()
        await self.send({"type": "http.response.body", "body": body})


def move_path_token(scope: Scope) -> Scope:
    """Returns the scope with the token in the path of a source as the bearer token.

    So that it is in no log, trace or error: `/sources/ID/TOKEN` becomes `/sources/ID`.
    """
    if scope["type"] != "http" or "/sources/" not in scope["path"]:
        return scope
    match = _TOKEN_PATH.fullmatch(get_route_path(scope))
    if match is None:
        return scope
    root_path = scope.get("root_path", "")
    path, token = root_path + match[1], match[2].rstrip("/")
    headers = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
    bearer = f"Bearer {token}".encode("latin-1", errors="replace")
    return {
        **scope,
        "path": path,
        "raw_path": quote(path).encode(),
        "headers": [*headers, (b"authorization", bearer)],
    }


def get_route_path(scope: Scope) -> str:
    """Returns the path that the routes have, without the prefix of an application around this."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def remove_trailing_slash(scope: Scope) -> Scope:
    """Returns the scope with the path that the routes have: `/graphql/` is `/graphql`.

    A redirect would need the server's address, which a proxy may hide, and a slower second request.
    """
    path: str = scope["path"]
    return {**scope, "path": path[:-1]} if path.endswith("/") and path != "/" else scope


def _find_api_by_prefix(path: str) -> str:
    return next((api for prefix, api in _API_BY_PREFIX.items() if path.startswith(prefix)), "other")


def _read_request_id(scope: Scope) -> str:
    request_id = get_header(scope, b"x-request-id")
    if request_id is not None and _VALID_REQUEST_ID.fullmatch(request_id):
        return request_id
    return f"{getrandbits(128):032x}"  # not a secret: it only identifies the request
