"""The GraphiQL page that `make setup` builds from web/, and its security headers.

The page loads and calls nothing on other hosts, and the policy below forbids it.
"""

from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from app.http.page_assets import STATIC, AssetFiles, build_security_headers

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "connect-src 'self'",  # WebSockets, too: 'self' covers ws: and wss: on the same host.
        # Monaco writes its themes into <style> elements and its layout into style attributes.
        "style-src 'self' 'unsafe-inline'",
        # GraphiQL's style sheet has its fonts and a few icons as data: URLs.
        "font-src 'self' data:",
        "img-src 'self' data:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)

# Assets have the policy, too: a web worker obeys the policy of its own file, not the page's.
_SECURITY_HEADERS = build_security_headers(_POLICY)


def page_response(folder: Path = STATIC) -> Response:
    """Returns the page, which is never cached because it has the hashes of its assets.

    Returns 503 if the page has not been built.
    """
    index = folder / "index.html"
    if not index.is_file():
        return PlainTextResponse(
            "The GraphiQL page has not been built: run `make setup`.\n", status_code=503
        )
    return FileResponse(index, headers=_SECURITY_HEADERS | {"Cache-Control": "no-store"})


class GraphiQLRoute(Route):
    """Serves the page to browsers that open the URL of the API, and the API to all others."""

    def __init__(self, path: str) -> None:
        async def endpoint(request: Request) -> Response:
            # The page names its assets relative to its own address.
            if request.scope["raw_path"].endswith(b"/"):
                return RedirectResponse(f"..{path}")
            return page_response()

        super().__init__(path, endpoint)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        accepts_html = scope["type"] == "http" and "text/html" in Headers(scope=scope).get(
            "accept", ""
        )
        if not accepts_html or b"query=" in scope["query_string"]:
            return Match.NONE, {}
        return super().matches(scope)


def create_assets_app(folder: Path = STATIC) -> AssetFiles:
    """Returns the application for /graphql/assets."""
    return AssetFiles(folder / "graphql/assets", _SECURITY_HEADERS)
