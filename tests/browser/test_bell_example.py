"""The example app `web/examples/bell` in Chromium, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from app.services.change_log import pruning
from app.store.engine.database import Database
from tests import node
from tests.browser.conftest import PATIENCE_MS, on_both_databases
from tests.browser.page_actions import create_key, revoke_key
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS, Client
from tests.clients.test_clients import SECRET, issue_token
from tests.clients.test_hooks import CREATE_TYPE, FLARING, log_events
from tests.http.test_command import end_process, find_free_port, start_server

EXAMPLE = node.WEB / "examples/bell"
PAGE = (node.WEB.parent / "docs/frontend.md").read_text()
MAX_LINES = 50
EVENT_COUNT = 10_000
BATCH_SIZE = 500
LOG_EVENTS = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"


class AppHandler(SimpleHTTPRequestHandler):
    """Serves the built app, and access tokens as its backend."""

    app: RunningApp

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/token":
            return super().do_GET()
        token = self.app.issue_token().encode()
        self.send_response(200)
        self.send_header("content-length", str(len(token)))
        self.end_headers()
        self.wfile.write(token)
        return None

    def log_message(self, *_: Any) -> None:
        """Logs nothing."""


class RunningApp:
    """The app, and its server, which can be killed and started again."""

    def __init__(self, chromium: Browser, folder: Path, database_url: str) -> None:
        self.chromium, self.folder, self.database_url = chromium, folder, database_url
        self.port = find_free_port()
        self.client = Client(f"http://127.0.0.1:{self.port}")
        self.key = ADMINISTRATOR
        self.token_seconds: float | None = None
        self.issued: list[str] = []
        self.origin = ""
        self.running = contextlib.AsyncExitStack()

    def issue_token(self) -> str:
        if self.token_seconds is not None:
            return issue_token(self.issued, self.token_seconds)
        return self.key

    async def start(self) -> None:
        server, _ = await self.running.enter_async_context(
            start_server(
                self.folder,
                self.port,
                database_url=self.database_url,
                bootstrap_key=ADMINISTRATOR,
                cors_origins=self.origin,
                jwt_secret=SECRET,
                jwt_leeway_seconds="0",
            )
        )
        self.server = server

    async def kill(self) -> None:
        await end_process(self.server)  # SIGKILL

    async def open(self) -> Page:
        page = await self.chromium.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(f"{self.origin}/?server={self.client.url}")
        await expect(events(page)).to_contain_text("No more events")
        return page


@pytest.fixture(scope="session")
def built_example() -> Path:
    return node.build_example("bell")


@pytest.fixture
async def app(
    built_example: Path, chromium: Browser, tmp_path: Path, database_url: str
) -> AsyncIterator[RunningApp]:
    running = RunningApp(chromium, tmp_path, database_url)
    handler = type("Handler", (AppHandler,), {"app": running})
    with serve(partial(handler, directory=str(built_example))) as origin:
        running.origin = origin
        async with running.running, running.client:
            await running.start()
            yield running
            for context in chromium.contexts:
                await context.close()


@contextlib.contextmanager
def serve(handler: Any) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def events(page: Page) -> Locator:
    return page.get_by_role("region", name="Events")


def bell(page: Page) -> Locator:
    return page.get_by_role("region", name="Notifications")


def rows(page: Page) -> Locator:
    return events(page).get_by_role("listitem")


async def show_new(page: Page) -> None:
    await events(page).get_by_role("button", name="new events").click()


async def expect_names(page: Page, *names: str) -> None:
    buttons = rows(page).get_by_role("button")
    await expect(buttons).to_have_text(list(names))


def test_the_logic_of_the_example_has_at_most_fifty_lines() -> None:
    lines = (EXAMPLE / "src/logic.ts").read_text().splitlines()

    code = [line for line in lines if line.strip() and not line.strip().startswith(("//", "/**"))]

    assert 0 < len(code) <= MAX_LINES
    assert f"logic has {len(code)} lines" in " ".join(PAGE.split())


def test_the_page_shows_the_logic_of_the_example() -> None:
    assert f"```ts\n{(EXAMPLE / 'src/logic.ts').read_text()}```\n" in PAGE


async def test_two_people_see_each_other_s_changes(app: RunningApp) -> None:
    await log_events(app.client, "1", "2", notification=True)
    first, second = await app.open(), await app.open()
    await expect(bell(second).get_by_role("heading")).to_have_text("2 unread, 2 open")

    await (
        bell(first)
        .get_by_role("listitem")
        .filter(has_text="1")
        .get_by_role("button", name="Acknowledge")
        .click()
    )

    await expect(bell(second).get_by_role("heading")).to_have_text("1 unread, 1 open")
    await expect(bell(second).get_by_role("listitem")).to_have_count(1)
    await expect(rows(second).nth(1)).to_contain_text("acknowledged")
    await rows(second).nth(1).get_by_role("button").click()
    detail = second.get_by_role("region", name="Event", exact=True)
    await expect(detail.get_by_role("listitem")).to_have_count(2)
    await expect(detail.get_by_role("listitem").nth(1)).to_contain_text("ACKNOWLEDGED by")


async def test_the_generated_form_logs_an_event(app: RunningApp) -> None:
    day = {"name": "shift", "kind": "SELECT", "required": True, "choices": [{"value": "day"}]}
    with_shift = FLARING | {"fields": [*FLARING["fields"], day]}
    assert (await app.client.execute_field(CREATE_TYPE, input=with_shift))["userErrors"] == []
    page = await app.open()
    await page.get_by_label("Event type").fill("flaring.incident")
    form = page.get_by_role("region", name="Report")
    problems = form.locator(".error-detail li")

    await expect(form.get_by_label("cause").locator("option")).to_have_text(
        ["", "Equipment failure", "other"]
    )
    await expect(problems).to_have_count(0)
    await form.get_by_role("button", name="Submit").click()
    await expect(problems).to_have_text(
        ["Field 'volume_mcf' is required.", "Field 'shift' is required."]
    )
    await form.get_by_label("shift").select_option(label="day")
    await form.get_by_label("volume_mcf").fill("-1")
    await expect(form).to_contain_text("-1")
    await form.get_by_label("volume_mcf").fill("5")
    await form.get_by_role("button", name="Submit").click()

    await expect(form.get_by_role("status")).to_have_text("Logged")
    await show_new(page)
    await expect_names(page, "Flaring incident")
    stored = await app.client.execute_field("{ events { nodes { fields } } }")
    assert stored["nodes"] == [{"fields": {"volume_mcf": 5, "shift": "day"}}]


@on_both_databases
async def test_nothing_is_lost_when_the_server_is_killed(app: RunningApp) -> None:
    await log_events(app.client, "1", notification=True)
    page = await app.open()
    await expect_names(page, "1")

    await app.kill()
    await expect(events(page).get_by_role("status")).to_contain_text("Offline since")
    await app.start()
    await log_events(app.client, "2", "3", notification=True)

    await expect(events(page).get_by_role("button", name="new events")).to_have_text("2 new events")
    await show_new(page)
    await expect_names(page, "3", "2", "1")
    await expect(bell(page).get_by_role("heading")).to_have_text("3 unread, 3 open")
    await expect(events(page).get_by_role("status")).to_have_count(0)


async def test_a_page_resumes_with_a_new_key_after_its_key_is_revoked(app: RunningApp) -> None:
    key_id, app.key = await create_key(app.client, "EVENT_READ")
    await log_events(app.client, "1")
    page = await app.open()
    await expect_names(page, "1")

    await revoke_key(app.client, key_id)
    await expect(events(page).get_by_role("alert")).to_contain_text("does not accept the token")
    await log_events(app.client, "2")
    app.key = ADMINISTRATOR
    await events(page).get_by_role("button", name="Try again").click()

    await expect_names(page, "2", "1")
    await expect(events(page).get_by_role("alert")).to_have_count(0)


async def test_nothing_is_lost_when_tokens_expire(app: RunningApp) -> None:
    app.token_seconds = 3
    await log_events(app.client, "1")
    page = await app.open()
    before = len(app.issued)

    names = ["1"]
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(app.issued) < before + 4:
            names.insert(0, str(len(names) + 1))
            await log_events(app.client, names[0])
            await asyncio.sleep(0.5)

    async with asyncio.timeout(TIMEOUT_SECONDS):
        while await rows(page).count() < len(names):
            await show_new(page)
    await expect_names(page, *names)


async def test_the_place_is_kept_when_entries_were_pruned(
    app: RunningApp, database: Database
) -> None:
    ids = await log_events(app.client, *"12345")
    page = await app.open()
    await expect_names(page, *"54321")

    await app.kill()
    await expect(events(page).get_by_role("status")).to_contain_text("Offline since")
    async with start_other_server(app) as other:
        await log_events(other, "6")
        delete = "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }"
        assert await other.execute_field(delete, id=ids[2]) == {"userErrors": []}
    await pruning.prune_entries(database, datetime.now(UTC) + timedelta(seconds=1))
    await app.start()

    await expect_names(page, *"5421")
    await show_new(page)
    await expect_names(page, *"65421")


@contextlib.asynccontextmanager
async def start_other_server(app: RunningApp) -> AsyncIterator[Client]:
    """A server of the same database, at another port."""
    port = find_free_port()
    settings = {"database_url": app.database_url, "bootstrap_key": ADMINISTRATOR}
    async with (
        start_server(app.folder, port, **settings),
        Client(f"http://127.0.0.1:{port}") as client,
    ):
        yield client


@pytest.mark.timeout(600)
async def test_no_event_is_lost_doubled_or_out_of_place_while_the_reader_scrolls(
    app: RunningApp,
) -> None:
    await log_many(app.client, 100)
    page = await app.chromium.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.goto(f"{app.origin}/?server={app.client.url}")
    await expect(rows(page).first).to_be_visible()

    logging = asyncio.create_task(log_many(app.client, EVENT_COUNT))
    shown: list[str] = []
    while not logging.done():
        await page.keyboard.press("End")
        ids = await read_ids(page)
        assert ids[: len(shown)] == shown  # no row moves or appears above the reader
        assert ids == sorted(set(ids), reverse=True)
        shown = ids
        await asyncio.sleep(0.1)
    await logging
    await expect(events(page).get_by_role("button", name="new events")).to_contain_text("1000+")
    await expect(events(page)).to_contain_text("No more events")
    old = await read_ids(page)
    await show_new(page)
    stored = await read_stored_ids(app.client)
    await expect(rows(page).first).to_have_attribute("data-id", stored[0])

    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(newest := await read_ids(page)) < 300:
            await page.keyboard.press("End")
    assert old == stored[EVENT_COUNT:]
    assert newest == stored[: len(newest)]


async def log_many(client: Client, count: int) -> None:
    for start in range(0, count, BATCH_SIZE):
        batch = [
            {"summary": str(number)} for number in range(start, min(start + BATCH_SIZE, count))
        ]
        payload = await client.execute_field(LOG_EVENTS, input=batch)
        assert payload["accepted"] == len(batch)


async def read_ids(page: Page) -> list[str]:
    script = "[...document.querySelectorAll('[data-id]')].map((row) => row.dataset.id)"
    return list(await page.evaluate(script))


async def read_stored_ids(client: Client) -> list[str]:
    query = """query ($after: String) {
  events(first: 100, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"""
    ids: list[str] = []
    after, is_complete = None, False
    while not is_complete:
        page = await client.execute_field(query, after=after)
        ids += [node["id"] for node in page["nodes"]]
        after, is_complete = page["pageInfo"]["endCursor"], not page["pageInfo"]["hasNextPage"]
    return ids
