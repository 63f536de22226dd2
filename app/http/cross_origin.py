"""Which pages of other sites may speak with the server: over HTTP by CORS, and over sockets.

No credential travels by itself: a page gives a key that it was given, so cookies are not allowed.
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

# Probes, metrics and the page's own files are for nobody else's page.
_DOORS = ("/graphql", "/cloudevents", "/event-types/")
_ASKED = ("authorization", "content-type", "last-event-id", "traceparent", "x-request-id")
_TOLD = ("etag", "retry-after", "x-request-id")


@dataclass(frozen=True)
class Origins:
    """Whose pages may speak with the server. Programs send no Origin, and are no page."""

    others: frozenset[str] = frozenset()
    own: str | None = None

    @classmethod
    def read(cls, others: str | None, public_url: str | None) -> Origins:
        """`others`: origins with commas between them, or `*`. ValueError for what is none."""
        said = (others or "").strip()
        named = [each.strip() for each in said.split(",")] if said else []
        own = None if public_url is None else normalize_origin(public_url)
        return cls(normalize_allowed_origins(named), own)

    def admit(self, headers: Mapping[str, str]) -> bool:
        """Whether the page that sends this may: CORS is not asked about sockets."""
        origin = headers.get("origin")
        if origin is None or "*" in self.others:
            return True
        named = normalize_origin(origin)
        return (
            (named is not None and (named in self.others or named == self.own))
            # A browser lets no page say this, and it holds behind a proxy that changes Host.
            or headers.get("sec-fetch-site") == "same-origin"
            or is_same_origin(origin, headers.get("host"))
        )


class CrossOrigin:
    """A preflight is answered here: it has no credential."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=origins.others,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=(*_ASKED, *PARTITION_HEADERS),
            expose_headers=_TOLD,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at_a_door = scope["type"] == "http" and any(
            scope["path"] == door or (door.endswith("/") and scope["path"].startswith(door))
            for door in _DOORS
        )
        await (self._cors if at_a_door else self._app)(scope, receive, send)
