"""HTTP responses with the page and its assets: caching and the content security policy."""

import re
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from app.http import graphiql
from tests.client import Client

HTML = {"Accept": "text/html"}


async def test_the_page_may_connect_only_to_its_own_server(client: Client) -> None:
    async with client.as_key(None) as anonymous:
        page = await anonymous.http.get("/graphql", headers=HTML)

    directives = dict(
        directive.split(" ", 1) for directive in page.headers["Content-Security-Policy"].split("; ")
    )
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "worker-src": "'self'",
        "connect-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self' data:",
        "img-src": "'self' data:",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-store"


async def test_the_page_holds_no_script_and_names_its_own_assets_only(client: Client) -> None:
    async with client.as_key(None) as anonymous:
        page = await anonymous.http.get("/graphql", headers=HTML)

    assert re.findall(r"<script[^>]*>(?!</script>)", page.text) == []
    named = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(named) >= 3
    assert [name for name in named if not name.startswith("./graphql/assets/")] == []


async def test_an_asset_has_a_content_hash_in_its_name_and_is_cached_permanently(
    client: Client,
) -> None:
    async with client.as_key(None) as anonymous:
        page = await anonymous.http.get("/graphql", headers=HTML)
        named = re.findall(r'"[.](/graphql/assets/[^"]*)"', page.text)
        assets = [await anonymous.http.get(name) for name in named]

    assert len(assets) >= 3
    for asset in assets:
        assert re.search(r"-[\w-]{8}\.\w+$", asset.url.path)
        assert asset.status_code == 200
        assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert asset.headers["X-Content-Type-Options"] == "nosniff"
        assert asset.headers["Content-Security-Policy"] == page.headers["Content-Security-Policy"]


async def test_the_page_with_a_trailing_slash_is_redirected_relatively(client: Client) -> None:
    """A proxy may serve it below another path, or by another protocol."""
    async with client.as_key(None) as anonymous:
        page = await anonymous.http.get("/graphql/", headers=HTML)

    assert (page.status_code, page.headers["location"]) == (307, "../graphql")


async def test_a_missing_asset_is_not_found_and_not_cached(client: Client) -> None:
    async with client.as_key(None) as anonymous:
        missing = await anonymous.http.get("/graphql/assets/index-00000000.js")

    assert missing.status_code == 404
    assert "immutable" not in missing.headers.get("Cache-Control", "")


async def test_a_page_that_was_not_built_says_how_to_build_it(
    tmp_path: Path,
) -> None:
    transport = httpx.ASGITransport(
        app=Starlette(routes=[Mount("/", graphiql.create_assets_app(tmp_path))])
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as browser:
        page = graphiql.page_response(tmp_path)
        asset = await browser.get("/index.js")

    assert page.status_code == 503
    assert b"make setup" in page.body
    assert asset.status_code == 404
