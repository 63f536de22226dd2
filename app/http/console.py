"""The console, a web application that `make setup` builds from web/console.

Every path of the console returns the same page, whose scripts show the content of the path.
The page loads and calls nothing on other hosts, and its policy forbids it.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.http.page_assets import STATIC, AssetFiles, build_security_headers

# The first segments of the paths in web/console/src/routes.tsx.
SECTIONS = ("events", "report", "event-types", "rules", "containers", "administration")

_NONCE = "CSP_NONCE"  # the placeholder in web/console/vite.config.ts
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",  # WebSockets, too: 'self' covers ws: and wss: on the same host.
        # Mantine writes the variables of its theme into a <style> element.
        f"style-src 'self' 'nonce-{_NONCE}'",
        "font-src 'self'",
        "img-src 'self' data:",  # The icon of the page with its number is a data: URL.
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)


def page_response(raw_path: bytes, folder: Path = STATIC) -> Response:
    """Returns the page, which is never cached: it has the hashes of its assets, and a new nonce.

    Returns 503 if the page has not been built.
    """
    index = folder / "console" / "index.html"
    if not index.is_file():
        return PlainTextResponse(
            "The console has not been built: run `make setup`.\n", status_code=503
        )
    # Addresses are relative to the path, because a proxy may serve the console below another one.
    root = "../" * (raw_path.count(b"/") - 1) or "./"
    nonce = secrets.token_urlsafe(16)
    page = index.read_text().replace('"./assets/', f'"{root}console/assets/')
    headers = build_security_headers(_POLICY.replace(_NONCE, nonce))
    return HTMLResponse(
        page.replace(_NONCE, nonce), headers=headers | {"Cache-Control": "no-store"}
    )


def create_routes() -> list[Route]:
    """Returns the routes of `/` and of all sections with the paths below them."""

    async def endpoint(request: Request) -> Response:
        return page_response(request.scope["raw_path"])

    paths = ["/", *(f"/{section}{rest}" for section in SECTIONS for rest in ("", "/{path:path}"))]
    return [Route(path, endpoint) for path in paths]


def create_assets_app(folder: Path = STATIC) -> AssetFiles:
    """Returns the application for /console/assets."""
    return AssetFiles(folder / "console/assets", build_security_headers("default-src 'none'"))
