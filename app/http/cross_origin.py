"""Cross-origin access of web pages: CORS for HTTP, and an origin check for WebSockets.

Pages send a key explicitly, so credentials that browsers attach (cookies) are not allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.http.websocket_origin import (
    is_same_origin,
    normalize_allowed_origins,
    normalize_origin,
)

from app.services.auth.access import PARTITION_HEADERS

# Probes, metrics and the files of GraphiQL have no CORS.
_CORS_PATHS = ("/graphql", "/cloudevents", "/event-types/")
_ALLOWED_HEADERS = ("authorization", "content-type", "last-event-id", "traceparent", "x-request-id")
_EXPOSED_HEADERS = ("etag", "retry-after", "x-request-id")


@dataclass(frozen=True)
class AllowedOrigins:
    """The origins whose pages may access the server. Only browsers send an origin."""

    allowed: frozenset[str] = frozenset()
    public_origin: str | None = None

    @classmethod
    def from_settings(cls, cors_origins: str | None, public_url: str | None) -> AllowedOrigins:
        """Parses origins separated by commas, or `*`. Raises ValueError for an invalid origin."""
        text = (cors_origins or "").strip()
        origins = [origin.strip() for origin in text.split(",")] if text else []
        public_origin = None if public_url is None else normalize_origin(public_url)
        return cls(normalize_allowed_origins(origins), public_origin)

    def allows_request(self, headers: Mapping[str, str]) -> bool:
        """Whether the request is allowed. Used for WebSockets, to which CORS does not apply."""
        origin = headers.get("origin")
        if origin is None or "*" in self.allowed:
            return True
        normalized = normalize_origin(origin)
        return (
            (
                normalized is not None
                and (normalized in self.allowed or normalized == self.public_origin)
            )
            # Pages cannot set this header, and it works behind a proxy that changes Host.
            or headers.get("sec-fetch-site") == "same-origin"
            or is_same_origin(origin, headers.get("host"))
        )


class CrossOriginMiddleware:
    """Middleware that adds CORS headers and answers preflight requests."""

    def __init__(self, app: ASGIApp, origins: AllowedOrigins) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=origins.allowed,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=(*_ALLOWED_HEADERS, *PARTITION_HEADERS),
            expose_headers=_EXPOSED_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_cors = scope["type"] == "http" and any(
            scope["path"] == path or (path.endswith("/") and scope["path"].startswith(path))
            for path in _CORS_PATHS
        )
        await (self._cors if has_cors else self._app)(scope, receive, send)
