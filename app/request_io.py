"""What every door does with an HTTP request, whatever it answers: who sends it, and its body."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from app.domain.access.caller import Caller
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth.access import caller_of

RETRY_SECONDS = 5  # for who asks while the database cannot answer


class TooSlowError(RequestError):
    """Half a request came, and no more: the answer ends the connection."""


async def caller_behind(request: Request) -> Caller:
    """RequestError UNAUTHENTICATED, FORBIDDEN, LIMIT_EXCEEDED."""
    access, client = request.app.state.access, request.client
    return await caller_of(access, request.headers, client and client.host)


def said_in(request: Request) -> dict[str, str]:
    """The headers, of each name the first, for who asks for several of them."""
    headers = reversed(request.scope["headers"])
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


async def body_of(request: Request, most: int) -> bytes | None:
    """The body; None as soon as it is known to be longer than that.

    ClientDisconnect. RequestError LIMIT_EXCEEDED for one that does not come in time: answer 408.
    """
    seconds: float = request.app.state.body_seconds
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, most)
    except TimeoutError:
        told = f"The body did not come within {seconds:g} s."
        raise TooSlowError(ErrorCode.LIMIT_EXCEEDED, told) from None


async def _read(request: Request, most: int) -> bytes | None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        return None
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body"):
            return bytes(body)
