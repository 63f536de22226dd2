"""@tocsin/client in a page of another origin."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import PATIENCE_MS
from tests.client import ADMINISTRATOR, Client
from tests.clients.test_clients import HERE, install_clients
from tests.http.test_command import find_free_port, start_server

PACKAGES = HERE / "node_modules"
PAGE = """
<!doctype html><title>app</title><ol></ol>
<script type="importmap">{ "imports": {
  "graphql": "/graphql/index.mjs",
  "graphql-ws": "/graphql-ws/dist/client.js",
  "@tocsin/client": "/@tocsin/client/dist/index.js"
} }</script>
<script type="module">
  import { createTocsinClient } from "@tocsin/client";
  const [url, getToken] = ["%s/graphql", () => "%s"];
  const show = (...texts) => {
    const item = document.createElement("li");
    item.textContent = texts.join(" ");
    document.querySelector("ol").append(item);
  };
  createTocsinClient({ url, getToken }).subscribe(
    `subscription ($after: String) {
      notificationAdded(after: $after) { cursor node { summary } }
    }`,
    {
      onData: ({ notificationAdded }) => show("data", notificationAdded.node.summary),
      onError: (error) => show("error", error.code),
      onStatus: (status) => status === "connected" && show(status),
    },
  );
</script>
"""


class Packages(SimpleHTTPRequestHandler):
    """Serves the page, and the packages that it imports."""

    extensions_map = {".js": "text/javascript", ".mjs": "text/javascript"}
    page = ""

    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.page.encode())
        return None

    def log_message(self, *_: Any) -> None:
        """Logs nothing."""


@contextmanager
def serve_page(page: str) -> Iterator[str]:
    """Serves the page at an origin of its own. Yields the origin."""
    handler = type("Page", (Packages,), {"page": page})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(PACKAGES))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("is_allowed", [True, False])
async def test_a_page_of_another_origin_is_served_or_gets_the_reason(
    chromium: Browser, tmp_path: Path, database_url: str, is_allowed: bool
) -> None:
    await asyncio.to_thread(install_clients)
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    with serve_page(PAGE % (url, ADMINISTRATOR)) as origin:
        settings = {"cors_origins": origin} if is_allowed else {}
        settings |= {"database_url": database_url, "bootstrap_key": ADMINISTRATOR}
        async with start_server(tmp_path, port, **settings), Client(url) as client:
            page = await chromium.new_page()
            page.set_default_timeout(PATIENCE_MS)
            await page.goto(origin)
            items = page.get_by_role("listitem")

            if is_allowed:
                await expect(items.first).to_have_text("connected")
                await client.log_event(summary="a", notification=True)
                await expect(items.last).to_have_text("data a")
            else:
                await expect(items.first).to_have_text("error ORIGIN_REFUSED")
            await page.close()
