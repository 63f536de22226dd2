"""Request handling shared by all HTTP APIs: authentication, headers and body."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from app.domain.access.caller import Caller
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth.access import authenticate_headers

RETRY_AFTER_SECONDS = 5  # Retry-After while the database is unavailable


class RequestTimeoutError(RequestError):
    """The rest of a request did not arrive in time. The response closes the connection."""


async def authenticate_request(request: Request) -> Caller:
    """Authenticates a request. Raises RequestError UNAUTHENTICATED, FORBIDDEN or LIMIT_EXCEEDED."""
    access, client = request.app.state.access, request.client
    return await authenticate_headers(access, request.headers, client and client.host)


def headers_of(request: Request) -> dict[str, str]:
    """Returns the headers as a dict. The first of a repeated name wins."""
    headers = reversed(request.scope["headers"])
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


async def receive_body(request: Request, max_bytes: int) -> bytes | None:
    """Receives the body. Returns None as soon as it exceeds `max_bytes`.

    Raises ClientDisconnect, and RequestTimeoutError if the body does not arrive in time.
    """
    seconds: float = request.app.state.body_timeout_seconds
    try:
        async with asyncio.timeout(seconds):
            return await _receive_bounded(request, max_bytes)
    except TimeoutError:
        message_text = f"The request body was not received within {seconds:g} s."
        raise RequestTimeoutError(ErrorCode.LIMIT_EXCEEDED, message_text) from None


async def _receive_bounded(request: Request, max_bytes: int) -> bytes | None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        return None
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > max_bytes:
            return None
        if not message.get("more_body"):
            return bytes(body)
