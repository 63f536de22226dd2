"""A real server, and Chromium that can reach it and nothing else.

A visitor is one profile of the browser; it keeps count of what its pages ask for and complain of.
"""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Route,
    async_playwright,
    expect,
)

from tests.client import ADMINISTRATOR, Client
from tests.conftest import SQLITE

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
]


@dataclass
class BrowserVisit:
    url: str
    context: BrowserContext
    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def strayed(self) -> list[str]:
        """The addresses on other hosts that a page asked for."""
        return [address for address in self.addresses if not self._is_home(address)]

    async def visit(self, key: str | None = ADMINISTRATOR) -> Page:
        """The page in a new tab: by the link that the server prints, or without a key."""
        page = await self.context.new_page()
        page.on("websocket", lambda socket: self.addresses.append(socket.url))
        fragment = "" if key is None else f"#key={quote(key, safe='')}"
        await page.goto(f"{self.url}/graphql{fragment}")
        return page

    async def keep_watch(self) -> None:
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda problem: self.complaints.append(str(problem.error)))
        await self.context.route("**/*", self._let_home_through)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    async def _let_home_through(self, route: Route) -> None:
        self.addresses.append(route.request.url)
        await (route.continue_() if self._is_home(route.request.url) else route.abort())

    def _is_home(self, address: str) -> bool:
        return urlsplit(address).netloc == urlsplit(self.url).netloc


@pytest.fixture
def dialect() -> str:
    """SQLite alone: the page cannot tell the databases apart, and this one is quick to copy."""
    return SQLITE


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no chromium on this machine")
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=LAUNCH)
        yield browser
        await browser.close()


@pytest.fixture
async def visitor(client: Client, chromium: Browser) -> AsyncIterator[BrowserVisit]:
    context = await chromium.new_context()
    somebody = BrowserVisit(client.url, context)
    await somebody.keep_watch()
    yield somebody
    await context.close()
