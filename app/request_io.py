"""Request handling shared by all HTTP APIs: authentication, headers and body."""

from __future__ import annotations

import zlib

from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from app.domain.access.caller import Caller
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth.access import PARTITION_HEADERS, authenticate
from app.services.runtime.time_limits import TimeLimit

RETRY_AFTER_SECONDS = 5  # Retry-After while the database is unavailable
_PARTITION_HEADERS = tuple(name.encode() for name in PARTITION_HEADERS)
_CODINGS = {"gzip", "x-gzip"}
_MAX_GZIP_MEMBERS = 200  # blocked gzip (bgzip) of 8 MiB has 130
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS  # the documented value for the gzip format


class RequestTimeoutError(RequestError):
    """The rest of a request did not arrive in time. The response closes the connection."""


class BodyError(RequestError):
    """The body of a request is rejected. `status` is the HTTP status of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(ErrorCode.BAD_USER_INPUT, message)
        self.status = status


async def authenticate_request(request: Request) -> Caller:
    """Authenticates a request. Raises RequestError UNAUTHENTICATED, FORBIDDEN or LIMIT_EXCEEDED."""
    scope = request.scope
    return await authenticate(
        request.app.state.access,
        get_header(scope, b"authorization"),
        get_header(scope, *_PARTITION_HEADERS),
        get_client_address(scope),
    )


def get_client_address(scope: Scope) -> str | None:
    """Returns the address of the client. None if it is connected by a Unix socket."""
    client = scope.get("client")
    return client and client[0]


def get_raw_headers(scope: Scope) -> dict[bytes, bytes]:
    """Returns the headers as a dict, built once. The first of a repeated name wins."""
    headers: dict[bytes, bytes] | None = scope.get("tocsin.headers")
    if headers is None:
        headers = scope["tocsin.headers"] = dict(reversed(scope["headers"]))
    return headers


def get_header(scope: Scope, *names: bytes) -> str | None:
    """Returns the first header that the request has of these names in lower case."""
    headers = get_raw_headers(scope)
    for name in names:
        if (value := headers.get(name)) is not None:
            return value.decode("latin-1")
    return None


def headers_of(request: Request) -> dict[str, str]:
    """Returns the headers as a dict. The first of a repeated name wins."""
    headers = reversed(request.scope["headers"])
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


async def receive_body(request: Request, max_bytes: int) -> bytes:
    """Receives the body, and decompresses it if its Content-Encoding is gzip.

    `max_bytes` is the maximum size, both as received and decompressed. Raises ClientDisconnect,
    BodyError, and RequestTimeoutError if the body does not arrive in time.
    """
    decompressor = _create_decompressor(request)
    seconds: float = request.app.state.body_timeout_seconds
    try:
        with TimeLimit(seconds):
            return await _receive_bounded(request, max_bytes, decompressor)
    except TimeoutError:
        message_text = f"The request body was not received within {seconds:g} s."
        raise RequestTimeoutError(ErrorCode.LIMIT_EXCEEDED, message_text) from None


async def _receive_bounded(
    request: Request, max_bytes: int, decompressor: _GzipDecompressor | None
) -> bytes:
    length = get_header(request.scope, b"content-length") or ""
    if length.isdecimal() and int(length) > max_bytes:
        raise _body_too_large(max_bytes)
    body = bytearray()
    received_bytes = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        received_bytes += len(chunk)
        if received_bytes > max_bytes:
            raise _body_too_large(max_bytes)
        # One byte more than allowed shows that the limit is exceeded.
        body += decompressor.decompress(chunk, max_bytes + 1 - len(body)) if decompressor else chunk
        if len(body) > max_bytes:
            raise _body_too_large(max_bytes, " after decompression")
        if not message.get("more_body"):
            if decompressor is not None:
                decompressor.check_complete()
            return bytes(body)


def _body_too_large(max_bytes: int, condition: str = "") -> BodyError:
    return BodyError(
        413, f"The request body is too large{condition}; the maximum is {max_bytes:,} bytes."
    )


def _create_decompressor(request: Request) -> _GzipDecompressor | None:
    """Returns None for a body that is not compressed. Raises BodyError for other encodings."""
    if b"content-encoding" not in get_raw_headers(request.scope):
        return None
    header = ",".join(request.headers.getlist("content-encoding")).lower()
    codings = [coding.strip() for coding in header.split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if not codings:
        return None
    if len(codings) == 1 and codings[0] in _CODINGS:
        return _GzipDecompressor()
    raise BodyError(
        415,
        f"Unsupported Content-Encoding {header[:100]!a}: compress the body with gzip, or send it "
        "uncompressed.",
    )


class _GzipDecompressor:
    """Decompresses the chunks of a body. A gzip file may consist of several members.

    Their number is limited: zlib copies the rest of the chunk at the end of each of them.
    """

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WINDOW_BITS)
        self._members = 1

    def decompress(self, chunk: bytes, max_bytes: int) -> bytes:
        """Returns at most `max_bytes`, and then nothing more. Raises BodyError."""
        decompressed = bytearray()
        try:
            while chunk and len(decompressed) < max_bytes:
                if self._member.eof:
                    self._members += 1
                    if self._members > _MAX_GZIP_MEMBERS:
                        raise BodyError(
                            400,
                            f"The gzip data of the request body has more than {_MAX_GZIP_MEMBERS} "
                            "members: compress the whole body as one member.",
                        )
                    self._member = zlib.decompressobj(_GZIP_WINDOW_BITS)
                decompressed += self._member.decompress(chunk, max_bytes - len(decompressed))
                chunk = self._member.unused_data
        except zlib.error:
            raise BodyError(
                400, "The request body is not valid gzip, although its Content-Encoding is gzip."
            ) from None
        return bytes(decompressed)

    def check_complete(self) -> None:
        if not self._member.eof:
            raise BodyError(400, "The gzip data of the request body is incomplete.")
