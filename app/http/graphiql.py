"""The GraphiQL page, as `make setup` built it from web/, and the headers it goes out with.

Nothing it loads or calls lies on another host, and the policy below lets it reach none.
"""

from os import stat_result
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Match, Route
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope

_STATIC = Path(__file__).parent / "static"

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "connect-src 'self'",  # The WebSocket too: 'self' covers ws: and wss: on the same host.
        # Monaco writes its themes into <style> elements and its layout into style attributes.
        "style-src 'self' 'unsafe-inline'",
        # GraphiQL's style sheet carries its fonts and a few icons as data: addresses.
        "font-src 'self' data:",
        "img-src 'self' data:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)

# Assets carry the policy as well: a worker obeys the one on its own file, not the page's.
_GUARDED = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page() -> Response:
    """The page, never cached: it names its assets by hash. 503 where it has not been built."""
    index = _STATIC / "index.html"
    if not index.is_file():
        return PlainTextResponse(
            "The GraphiQL page has not been built: run `make setup`.\n", status_code=503
        )
    return FileResponse(index, headers=_GUARDED | {"Cache-Control": "no-store"})


class PageRoute(Route):
    """The page, for a browser that opens the address of the API; the API itself for all others."""

    def __init__(self, path: str) -> None:
        async def endpoint(_request: Request) -> Response:
            return page()

        super().__init__(path, endpoint)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        asks_for_page = scope["type"] == "http" and "text/html" in Headers(scope=scope).get(
            "accept", ""
        )
        if not asks_for_page or b"query=" in scope["query_string"]:
            return Match.NONE, {}
        return super().matches(scope)


class _Assets(StaticFiles):
    """Files whose names hold a hash of their content, so that a copy may be kept for good."""

    def file_response(
        self,
        full_path: PathLike,
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_GUARDED)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

    async def check_config(self) -> None:
        """A server without the built page starts and serves all else; its assets are not found."""


def assets() -> StaticFiles:
    """An application for /graphql/assets."""
    return _Assets(directory=_STATIC / "assets", check_dir=False)
