"""A real server, and Chromium that can reach it and nothing else.

A visitor is one browser profile. It records the requests and the console errors of its pages, and
may also reach the server at `allowed_url`.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Route,
    ViewportSize,
    WebSocket,
    async_playwright,
    expect,
)

from tests.client import ADMINISTRATOR, Client
from tests.conftest import POSTGRESQL, SQLITE

PATIENCE_MS = 90_000
LAUNCH = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # The proxies of tests sign their own certificates. A context that ignores their errors starts
    # each request again, and sometimes so often that the browser gives up.
    "--ignore-certificate-errors",
]


# For the main scenarios of a page, which use most of what it asks the API for.
on_both_databases = pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL])


@dataclass
class BrowserVisit:
    url: str
    context: BrowserContext
    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    frames: list[tuple[WebSocket, str]] = field(default_factory=list)
    allowed_url: str | None = None

    @property
    def strayed(self) -> list[str]:
        """The addresses outside the server that a page requested."""
        return [address for address in self.addresses if not self._is_home(address)]

    async def visit(self, key: str | None = ADMINISTRATOR, path: str = "/graphql") -> Page:
        """Opens a page in a new tab: by the link that the server prints, or without a key."""
        page = await self.context.new_page()
        page.on("websocket", self._record_socket)
        fragment = "" if key is None else f"#key={quote(key, safe='')}"
        await page.goto(f"{self.url}{path}{fragment}")
        return page

    async def find_socket(self, operation: str) -> WebSocket:
        """Returns the WebSocket of the operation, not that of the number in the title."""
        while True:
            for socket, frame in self.frames:
                if operation in frame:
                    return socket
            await asyncio.sleep(0.05)

    async def keep_watch(self) -> None:
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.on("console", self._record_message)
        self.context.on("weberror", lambda problem: self.complaints.append(str(problem.error)))
        await self.context.route("**/*", self._let_home_through)

    def _record_socket(self, socket: WebSocket) -> None:
        self.addresses.append(socket.url)
        socket.on("framesent", lambda frame: self.frames.append((socket, str(frame))))

    def _record_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    async def _let_home_through(self, route: Route) -> None:
        self.addresses.append(route.request.url)
        urls = [self.url] if self.allowed_url is None else [self.url, self.allowed_url]
        is_allowed = any(_is_below(url, route.request.url) for url in urls)
        await (route.continue_() if is_allowed else route.abort())

    def _is_home(self, address: str) -> bool:
        return _is_below(self.url, address)


def _is_below(url: str, address: str) -> bool:
    home, requested = urlsplit(url), urlsplit(address)
    return requested.netloc == home.netloc and requested.path.startswith(home.path)


@pytest.fixture
def dialect() -> str:
    """SQLite only: pages behave the same with both databases. See `on_both_databases`."""
    return SQLITE


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed.")
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=LAUNCH)
        yield browser
        await browser.close()


@pytest.fixture
async def visitor(client: Client, chromium: Browser) -> AsyncIterator[BrowserVisit]:
    async with open_profile(client.url, chromium) as visit:
        yield visit


@pytest.fixture
async def phone(client: Client, chromium: Browser) -> AsyncIterator[BrowserVisit]:
    async with open_phone(client.url, chromium, ViewportSize(width=390, height=844)) as visit:
        yield visit


def open_phone(
    url: str, chromium: Browser, screen: ViewportSize
) -> contextlib.AbstractAsyncContextManager[BrowserVisit]:
    return open_profile(url, chromium, viewport=screen, is_mobile=True, has_touch=True)


@contextlib.asynccontextmanager
async def open_profile(url: str, chromium: Browser, **options: Any) -> AsyncIterator[BrowserVisit]:
    context = await chromium.new_context(**options)
    visit = BrowserVisit(url, context)
    await visit.keep_watch()
    yield visit
    await context.close()
