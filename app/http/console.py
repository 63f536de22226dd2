"""The console, a web application that `make setup` builds from web/console.

Every path of the console returns the same page, whose scripts show the content of the path.
The page loads and calls nothing on other hosts except the identity provider. Its policy forbids it.
"""

from __future__ import annotations

import html
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.domain.access.provider_urls import origin_of
from app.http.page_assets import STATIC, AssetFiles, build_security_headers

# The first segments of the paths in web/console/src/routes.tsx.
SECTIONS = (
    "events",
    "report",
    "event-types",
    "rules",
    "containers",
    "silences",
    "event-sources",  # not `sources`, to which other systems send
    "channels",
    "administration",
)

# The address to which the identity provider sends users back, also after they have signed out.
SIGN_IN_PATH = "/sign-in"

_PROVIDER_ORIGINS = "PROVIDER_ORIGINS"
_NONCE = "CSP_NONCE"  # the placeholder in web/console/vite.config.ts
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # WebSockets, too: 'self' covers ws: and wss: on the same host.
        f"connect-src 'self'{_PROVIDER_ORIGINS}",
        # Mantine writes the variables of its theme into a <style> element.
        f"style-src 'self' 'nonce-{_NONCE}'",
        "font-src 'self'",
        "img-src 'self' data:",  # The icon of the page with its number is a data: URL.
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)


@dataclass(frozen=True)
class ProviderSignIn:
    """How the console signs users in at an identity provider. Every visitor can read it."""

    issuer: str
    client_id: str
    scope: str
    audience: str
    resource: str | None
    token_origin: str | None
    display_name_claim: str

    @property
    def origins(self) -> list[str]:
        """The origins to which the page may send requests."""
        origins = [origin_of(self.issuer), self.token_origin]
        return list(dict.fromkeys(filter(None, origins)))

    def render_meta(self) -> str:
        """Returns the element from which web/console/src/session/provider.ts reads it."""
        content = {
            "issuer": self.issuer,
            "clientId": self.client_id,
            "scope": self.scope,
            "audience": self.audience,
            "resource": self.resource,
            "displayNameClaim": self.display_name_claim,
            "origins": self.origins,
        }
        return f'<meta name="tocsin-provider" content="{html.escape(json.dumps(content))}" />'


def page_response(
    raw_path: bytes, provider: ProviderSignIn | None = None, folder: Path = STATIC
) -> Response:
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
    page = index.read_text().replace('"./assets/', f'"{root}console/assets/').replace(_NONCE, nonce)
    origins = ""
    if provider is not None:
        page = page.replace("</head>", f"{provider.render_meta()}</head>")
        origins = "".join(f" {origin}" for origin in provider.origins)
    policy = _POLICY.replace(_NONCE, nonce).replace(_PROVIDER_ORIGINS, origins)
    return HTMLResponse(
        page, headers=build_security_headers(policy) | {"Cache-Control": "no-store"}
    )


def create_routes(provider: ProviderSignIn | None) -> list[Route]:
    """Returns the routes of `/`, of the sign-in and of all sections with the paths below them."""

    async def endpoint(request: Request) -> Response:
        return page_response(request.scope["raw_path"], provider)

    sections = [f"/{section}{rest}" for section in SECTIONS for rest in ("", "/{path:path}")]
    return [Route(path, endpoint) for path in ("/", SIGN_IN_PATH, *sections)]


def create_assets_app(folder: Path = STATIC) -> AssetFiles:
    """Returns the application for /console/assets."""
    return AssetFiles(folder / "console/assets", build_security_headers("default-src 'none'"))
