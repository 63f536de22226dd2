"""Cross-origin access of web pages: CORS for HTTP, and an origin check for WebSockets.

Pages send a key explicitly, so credentials that browsers attach (cookies) are not allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import structlog
from starlette.datastructures import Headers
from starlette.middleware.cors import SAFELISTED_HEADERS, CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.http.websocket_origin import (
    is_same_origin,
    normalize_allowed_origins,
    normalize_origin,
)

from app.http.request_middleware import get_route_path
from app.request_io import get_raw_headers
from app.services.auth.access import PARTITION_HEADERS

# Probes, metrics and the files of GraphiQL have no CORS.
_CORS_PATHS = ("/graphql", "/cloudevents")
_CORS_PREFIX = "/event-types/"
_ALLOWED_HEADERS = (
    *("authorization", "content-type", "last-event-id", "x-request-id"),
    # Sent by Apollo Client and by the tracing of OpenTelemetry, Sentry and Datadog.
    *("apollographql-client-*", "baggage", "sentry-trace", "traceparent", "tracestate"),
    "x-datadog-*",
)
_EXPOSED_HEADERS = ("etag", "retry-after", "x-request-id")
_SUBDOMAINS = re.compile(r"(https?://)\*(\.[^*]+)")
_HEADER_PATTERN = re.compile(r"[!#$%&'+.^_`|~0-9a-z-]+\*?")
_MAX_LOGGED_ORIGINS = 100
_MAX_LOGGED_CHARACTERS = 255

log = structlog.get_logger(__name__)


class AllowedOrigins:
    """The origins whose pages may access the server. Only browsers send an origin."""

    def __init__(self, cors_origins: str | None, public_url: str | None) -> None:
        """Parses origins separated by commas, or `*`. `https://*.example.com` allows all subdomains
        of a domain. Raises ValueError for an invalid origin.
        """
        origins = normalize_allowed_origins(map(_check_ascii, _split_list(cors_origins)))
        self.allows_all = "*" in origins
        self._subdomains = [
            _parse_subdomains(origin) for origin in origins if "*" in origin and origin != "*"
        ]
        self._origins = origins
        self._public_origin = None if public_url is None else normalize_origin(public_url)
        self._logged: set[str] = set()

    def allows_any(self) -> bool:
        return bool(self._origins)

    def allows_origin(self, origin: str) -> bool:
        """Whether the setting allows pages of this origin."""
        if self.allows_all:
            return True
        normalized = normalize_origin(origin)
        return normalized is not None and (
            normalized in self._origins
            or any(
                normalized.startswith(scheme)
                and normalized.endswith(domain)
                and len(normalized) > len(scheme) + len(domain)
                for scheme, domain in self._subdomains
            )
        )

    def allows_request(self, headers: Mapping[str, str]) -> bool:
        """Whether the page that sends the request may access the server.

        The first refusal of each origin is logged, up to a number of origins.
        """
        origin = headers.get("origin")
        if (
            origin is None
            or self.allows_origin(origin)
            or (self._public_origin is not None and normalize_origin(origin) == self._public_origin)
            # Pages cannot set this header, and it works behind a proxy that changes Host.
            or headers.get("sec-fetch-site") == "same-origin"
            or is_same_origin(origin, headers.get("host"))
        ):
            return True
        self._log_refusal(origin)
        return False

    def _log_refusal(self, origin: str) -> None:
        normalized = normalize_origin(origin)
        shown = (normalized or origin)[:_MAX_LOGGED_CHARACTERS]
        if shown in self._logged or len(self._logged) >= _MAX_LOGGED_ORIGINS:
            return
        self._logged.add(shown)
        advice = (
            "Pages of this origin are allowed only if TOCSIN_CORS_ORIGINS is *."
            if normalized is None
            else "To allow pages of this origin, add the origin to TOCSIN_CORS_ORIGINS. If the "
            "origin is the address of this server, set TOCSIN_PUBLIC_URL."
        )
        log.warning("origin_refused", origin=shown, advice=advice)
        if len(self._logged) == _MAX_LOGGED_ORIGINS:
            log.warning(
                "origins_not_logged",
                reason=f"The server logs at most {_MAX_LOGGED_ORIGINS:,} refused origins.",
            )


class AllowedHeaders:
    """The request headers that pages of other origins may send."""

    def __init__(self, cors_headers: str | None) -> None:
        """Adds names separated by commas to the default ones. A name that ends in `*` is a prefix.

        Raises ValueError for an invalid name.
        """
        more = [name.lower() for name in _split_list(cors_headers)]
        for name in more:
            if not _HEADER_PATTERN.fullmatch(name):
                raise ValueError(
                    f"Invalid header name {name[:100]!a}. Use names such as x-company-id, or "
                    "x-company-* for all names with this prefix."
                )
        names = {*_ALLOWED_HEADERS, *PARTITION_HEADERS, *map(str.lower, SAFELISTED_HEADERS), *more}
        self._names = frozenset(name for name in names if not name.endswith("*"))
        self._prefixes = tuple(name[:-1] for name in names if name.endswith("*"))

    def select(self, names: str) -> str:
        """Returns the allowed ones of names separated by commas."""
        return ", ".join(
            name
            for name in map(str.lower, _split_list(names))
            if name in self._names or name.startswith(self._prefixes)
        )


class CrossOriginMiddleware(CORSMiddleware):
    """Middleware that adds CORS headers and answers preflight requests."""

    def __init__(self, app: ASGIApp, origins: AllowedOrigins, headers: AllowedHeaders) -> None:
        super().__init__(
            app,
            allow_origins=("*",) if origins.allows_all else (),
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("*",),  # restricted below
            expose_headers=_EXPOSED_HEADERS,
        )
        self._origins = origins
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_cors = scope["type"] == "http" and _has_cors(get_route_path(scope))
        if has_cors and b"origin" in get_raw_headers(scope):
            self._origins.allows_request(Headers(scope=scope))  # logs a refusal
        if has_cors and self._origins.allows_any():
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        return self._origins.allows_origin(origin)

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if (names := request_headers.get("access-control-request-headers")) is not None:
            # The browser names the other ones in the console of the page.
            response.headers["access-control-allow-headers"] = self._headers.select(names)
        return response


def _has_cors(path: str) -> bool:
    return path in _CORS_PATHS or path.startswith(_CORS_PREFIX)


def _split_list(text: str | None) -> list[str]:
    return [item.strip() for item in text.split(",")] if text and text.strip() else []


def _check_ascii(origin: str) -> str:
    if not origin.isascii():
        raise ValueError(
            f"Invalid origin {origin[:100]!a}: browsers send an international domain name in "
            "ASCII. Use the form that begins with xn--, such as https://xn--exmple-cua.com."
        )
    return origin


def _parse_subdomains(origin: str) -> tuple[str, str]:
    """Returns what is before and after the name of the subdomain."""
    match = _SUBDOMAINS.fullmatch(origin)
    if match is None:
        raise ValueError(
            f"Invalid origin {origin[:100]!a}: use * alone for all origins, or at the beginning "
            "of a host for all its subdomains, as in https://*.example.com."
        )
    return match[1], match[2]
