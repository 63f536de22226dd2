"""Sign-in, navigation and states of all pages of the console."""

from __future__ import annotations

import asyncio
import gzip
import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import (
    ConsoleMessage,
    Page,
    Request,
    Response,
    Route,
    WebSocketRoute,
    expect,
)
from starlette.applications import Starlette
from starlette.routing import Mount

from app.http import console
from tests.browser.conftest import BrowserVisit, on_both_databases
from tests.browser.console.actions import expect_to_fit, find_violations, sign_in_to
from tests.browser.page_actions import create_key, read_storage, revoke_key, sign_in
from tests.client import ADMINISTRATOR, Client
from tests.event_type_client import define_event_type

MAX_FIRST_PAGE_BYTES = 300_000
CREATE_ORGANIZATION = """mutation ($key: String!, $name: String!) {
  createOrganization(key: $key, name: $name) { userErrors { code } } }"""


async def expect_events_page(page: Page) -> None:
    await expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()


@on_both_databases
async def test_a_link_signs_in_and_a_reload_keeps_the_session(visitor: BrowserVisit) -> None:
    page = await sign_in_to(visitor)
    await expect_events_page(page)
    assert page.url == f"{visitor.url}/events"

    await page.reload()

    await expect_events_page(page)
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_a_wrong_key_can_be_corrected_in_the_form(visitor: BrowserVisit) -> None:
    page = await visitor.visit("not-a-key", "/events?severity=ERROR")
    await expect(page.get_by_role("alert")).to_contain_text("This key is not valid.")
    assert await find_violations(page) == []

    await sign_in(page, ADMINISTRATOR)

    await expect_events_page(page)
    assert page.url == f"{visitor.url}/events?severity=ERROR"


async def test_signing_out_deletes_the_key(visitor: BrowserVisit, client: Client) -> None:
    _, other = await create_key(client, "EVENT_READ")
    page = await sign_in_to(visitor)
    await expect_events_page(page)

    await page.get_by_role("button", name="Account").click()
    await page.get_by_role("menuitem", name="Sign out").click()

    await expect(page.get_by_label("Key", exact=True)).to_be_visible()
    assert ADMINISTRATOR not in await read_storage(page, "sessionStorage")
    assert ADMINISTRATOR not in await read_storage(page, "localStorage")
    credentials = record_credentials(page)
    await sign_in(page, other)
    await expect_events_page(page)
    assert credentials == {f"Bearer {other}"}


def record_credentials(page: Page) -> set[str]:
    """Returns a set that gets the credentials of all later requests of the page."""
    credentials: set[str] = set()

    def record(request: Request) -> None:
        if credential := request.headers.get("authorization"):
            credentials.add(credential)

    page.on("request", record)
    return credentials


async def test_a_page_from_the_cache_of_the_browser_is_not_shown_after_signing_out(
    visitor: BrowserVisit,
) -> None:
    page = await sign_in_to(visitor)
    await expect_events_page(page)
    show = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    await page.evaluate(show)
    await expect_events_page(page)

    await page.evaluate(f"sessionStorage.clear(); {show}")  # as GraphiQL does in the same tab

    await expect(page.get_by_label("Key", exact=True)).to_be_visible()


async def test_graphiql_in_a_new_tab_uses_the_key_of_the_console(visitor: BrowserVisit) -> None:
    await sign_in_to(visitor)

    graphiql = await visitor.visit(None, "/graphql")

    await expect(graphiql.get_by_label("Result Window")).to_be_visible()


async def test_a_revoked_key_ends_the_session(visitor: BrowserVisit, client: Client) -> None:
    key_id, key = await create_key(client, "EVENT_READ")
    page = await sign_in_to(visitor, "/", key)
    await expect_events_page(page)

    await revoke_key(client, key_id)

    await expect(page.get_by_role("alert")).to_contain_text("This key is no longer valid.")
    credentials = record_credentials(page)
    await sign_in(page, ADMINISTRATOR)
    await expect_events_page(page)
    assert credentials == {f"Bearer {ADMINISTRATOR}"}


async def fail_to_find_viewer(route: Route) -> None:
    if "query Viewer" not in (route.request.post_data or ""):
        await route.fallback()
        return
    error = {"message": "The operation failed.", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}
    await route.fulfill(json={"errors": [error]})


async def test_a_revoked_key_is_replaced_without_losing_what_the_user_has_entered(
    visitor: BrowserVisit, client: Client
) -> None:
    permissions = ("EVENT_READ", "EVENT_CREATE")
    first_id, first = await create_key(client, *permissions, name="early")
    second_id, second = await create_key(client, *permissions, name="late")
    await client.execute_field(CREATE_ORGANIZATION, key="north", name="North")
    north = client.as_key(client.key, **{"Data-Partition-Id": "north"})
    _, other = await create_key(north, *permissions, name="north")
    page = await sign_in_to(visitor, "/report", first)
    await page.get_by_role("link", name="Report an event without a form").click()
    await page.get_by_label("Summary").fill("Pump stopped")
    dialog = page.get_by_role("dialog", name="Sign in again")

    # Another key of the organization continues.
    await revoke_key(client, first_id)
    await expect(dialog).to_contain_text("This key is no longer valid.")
    assert await find_violations(page) == []
    await sign_in(page, "not-a-key")
    await expect(dialog).to_contain_text("This key is not valid.")
    await page.route("**/graphql", fail_to_find_viewer)
    await sign_in(page, second)
    await expect(dialog.get_by_role("alert")).to_have_text(
        re.compile("^(?!.*TocsinError).*The operation failed.")
    )
    await page.unroute("**/graphql", fail_to_find_viewer)
    await dialog.get_by_role("button", name="Try again").click()
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_label("Summary")).to_have_value("Pump stopped")
    await page.get_by_role("button", name="Report the event").click()
    await expect(page.get_by_role("heading", name="The event is reported")).to_be_visible()
    await page.get_by_role("button", name="Account").click()
    await expect(page.get_by_role("menu")).to_contain_text("Signed in as late")
    await page.keyboard.press("Escape")

    # A key of another organization begins anew, and sends nothing that was meant for this one.
    await page.get_by_role("button", name="Report another event").click()
    await page.get_by_label("Summary").fill("Valve leaks")
    await revoke_key(client, second_id)
    await expect(dialog).to_contain_text("This key is no longer valid.")
    await sign_in(page, other)
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_label("Summary")).to_have_value("")
    [event] = (await client.execute_field("{ events { nodes { summary source } } }"))["nodes"]
    assert event == {"summary": "Pump stopped", "source": "late"}
    assert (await north.execute_field("{ events { totalCount } }"))["totalCount"] == 0


async def test_a_page_names_the_permission_that_the_key_lacks(
    visitor: BrowserVisit, client: Client
) -> None:
    _, key = await create_key(client, "ORGANIZATION_MANAGE")

    page = await sign_in_to(visitor, "/events", key)

    await expect(page.get_by_role("main")).to_contain_text("EVENT_READ")
    await expect(page.get_by_role("navigation").get_by_role("link", name="Events")).to_have_count(0)
    assert await find_violations(page) == []


async def test_the_organization_can_be_switched(visitor: BrowserVisit, client: Client) -> None:
    await client.log_event(summary="Event of the default organization")
    created = await client.execute_field(CREATE_ORGANIZATION, key="north", name="North")
    assert created["userErrors"] == []
    page = await sign_in_to(visitor)
    await expect(page.get_by_role("link", name="Event of the default")).to_be_visible()

    await page.get_by_role("button", name="Account").click()
    await expect(page.get_by_role("menuitem", name="North")).to_be_visible()
    assert await find_violations(page) == []
    await page.get_by_role("menuitem", name="North").click()

    await expect(page.get_by_text("There are no events yet")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("There are no events yet")).to_be_visible()
    # The next user of the tab begins in the organization of the key.
    _, key = await create_key(client, "EVENT_READ")
    await page.goto(f"{visitor.url}/events#key={key}")
    await expect(page.get_by_role("link", name="Event of the default")).to_be_visible()


async def test_a_failed_request_can_be_repeated(visitor: BrowserVisit, client: Client) -> None:
    await client.log_event(summary="Pump stopped")

    async def disconnect(route: Route) -> None:
        if "query EventPage(" in (route.request.post_data or ""):
            await route.fulfill(status=400, json={"errors": [{"message": "Out of order."}]})
        else:
            await route.fallback()

    await visitor.context.route("**/graphql", disconnect)
    page = await sign_in_to(visitor)
    await expect(page.get_by_role("alert")).to_contain_text("Out of order.")
    await visitor.context.unroute("**/graphql", disconnect)

    await page.get_by_role("button", name="Try again").click()

    await expect(page.get_by_role("link", name="Pump stopped")).to_be_visible()


async def test_an_unknown_page_leads_to_the_events(visitor: BrowserVisit) -> None:
    page = await sign_in_to(visitor, "/events/1/2")
    await expect(page.get_by_text("This page does not exist.")).to_be_visible()
    assert await find_violations(page) == []

    await page.get_by_role("link", name="Go to the events").click()

    await expect_events_page(page)


async def test_a_page_says_that_it_is_loading_until_its_script_has_arrived(
    visitor: BrowserVisit,
) -> None:
    may_load = asyncio.Event()
    warnings = []

    async def hold_script(route: Route) -> None:
        await may_load.wait()
        await route.fallback()

    def record(message: ConsoleMessage) -> None:
        if message.type == "warning":
            warnings.append(message.text)

    visitor.context.on("console", record)
    await visitor.context.route("**/containers-*.js", hold_script)
    page = await sign_in_to(visitor, "/containers")
    await expect(page.get_by_role("main").get_by_role("status")).to_have_text("Loading…")
    may_load.set()

    await expect(page.get_by_role("heading", name="Containers", level=1)).to_be_visible()
    assert warnings == []


async def test_the_content_can_be_reached_by_keyboard(visitor: BrowserVisit) -> None:
    page = await sign_in_to(visitor)
    await expect_events_page(page)

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("main")).to_be_focused()


async def test_the_color_scheme_is_chosen_and_kept(visitor: BrowserVisit) -> None:
    page = await sign_in_to(visitor)

    await page.get_by_role("button", name="Switch to dark mode").click()
    await page.reload()

    await expect(page.get_by_role("button", name="Switch to light mode")).to_be_visible()


async def test_the_navigation_of_a_phone_opens_and_fits(narrow: BrowserVisit) -> None:
    page = await sign_in_to(narrow)
    await expect_events_page(page)
    await expect_to_fit(page)

    await page.get_by_role("button", name="Menu").tap()
    await page.get_by_role("link", name="Events").tap()

    await expect_events_page(page)
    await expect_to_fit(page)
    assert await find_violations(page) == []


async def test_the_scripts_of_the_first_page_are_small(visitor: BrowserVisit) -> None:
    sizes: dict[str, int] = {}

    async def measure(response: Response) -> None:
        if response.url.endswith(".js"):
            sizes[response.url] = len(gzip.compress(await response.body()))

    visitor.context.on("response", measure)
    page = await sign_in_to(visitor)
    await expect(page.get_by_text("There are no events yet")).to_be_visible()
    await page.wait_for_load_state("networkidle")

    assert len(sizes) == 1
    assert sum(sizes.values()) < MAX_FIRST_PAGE_BYTES


async def test_every_path_of_the_console_returns_the_page_with_a_strict_policy(
    client: Client,
) -> None:
    async with client.as_key(None) as anonymous:
        pages = [await anonymous.http.get(path) for path in ("/", "/events", "/events/1", "/none")]

    assert [page.status_code for page in pages] == [200, 200, 200, 404]
    nonces = {re.findall(r'nonce="([^"]*)"', page.text)[0] for page in pages[:3]}
    assert len(nonces) == 3
    for page, root in zip(pages[:3], ["./", "./", "../"], strict=True):
        named = re.findall(r'(?:src|href)="([^"]*)"', page.text)
        assert len(named) >= 3
        assert [name for name in named if not name.startswith(f"{root}console/assets/")] == []
        assert re.findall(r"<script[^>]*>(?!</script>)", page.text) == []
        policy = page.headers["Content-Security-Policy"]
        [nonce] = re.findall(r"style-src 'self' 'nonce-([\w-]{22})'", policy)
        assert nonce in nonces
        assert policy.replace(nonce, "N") == (
            "default-src 'none'; script-src 'self'; connect-src 'self'; "
            "style-src 'self' 'nonce-N'; font-src 'self'; img-src 'self' data:; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        )
        assert page.headers["Cache-Control"] == "no-store"


async def test_a_console_that_was_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    transport = httpx.ASGITransport(
        app=Starlette(routes=[Mount("/", console.create_assets_app(tmp_path))])
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as browser:
        page = console.page_response(b"/", folder=tmp_path)
        asset = await browser.get("/index.js")

    assert page.status_code == 503
    assert b"make setup" in page.body
    assert asset.status_code == 404


def test_the_server_has_the_paths_of_the_navigation() -> None:
    routes = (Path(__file__).parents[3] / "web/console/src/routes.tsx").read_text()

    sections = re.findall(r'{ path: "/([\w-]+)"', routes)

    assert sections == list(console.SECTIONS)
    assert all(re.search(rf'(page\(|path: )"{section}"', routes) for section in sections)


async def test_assets_are_compressed_for_clients_that_accept_gzip(client: Client) -> None:
    async with client.as_key(None) as anonymous:
        [script] = re.findall(r'src="\./([^"]*)"', (await anonymous.http.get("/")).text)

        async def fetch(**headers: str) -> httpx.Response:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            return await anonymous.http.get(f"/{script}", headers=names)

        plain = [
            await fetch(accept_encoding=encoding)
            for encoding in ("", "identity", "br", "gzip;q=0", "gzip; q=0.000, br")
        ]
        compressed = [
            await fetch(accept_encoding=encoding)
            for encoding in ("gzip", "br, GZIP;q=0.5", "gzip, deflate, br, zstd")
        ]
        etags = plain[0].headers["ETag"], compressed[0].headers["ETag"]
        unchanged = [
            await fetch(accept_encoding=encoding, if_none_match=etag)
            for encoding, etag in zip(("identity", "gzip"), etags, strict=True)
        ]
        part = await fetch(accept_encoding="identity", range="bytes=0-9", if_range=etags[0])
        compressed_file = await anonymous.http.get(f"/{script}.gz")

    assert [response.headers.get("Content-Encoding") for response in plain] == [None] * 5
    assert [response.headers["Content-Encoding"] for response in compressed] == ["gzip"] * 3
    assert {response.headers["ETag"] for response in plain} == {etags[0]}
    assert {response.headers["ETag"] for response in compressed} == {etags[1]}
    assert etags[0] != etags[1]
    size = int(plain[0].headers["Content-Length"])
    assert size == len(plain[0].content)
    assert 3 * int(compressed[0].headers["Content-Length"]) < size
    for response in (*plain, *compressed):
        assert response.content == plain[0].content  # the client has decompressed it
        assert response.headers["Content-Type"].startswith("text/javascript")
    for response in unchanged:
        assert (response.status_code, response.content) == (304, b"")
        assert "Content-Encoding" not in response.headers
    assert (part.status_code, part.content) == (206, plain[0].content[:10])
    assert compressed_file.status_code == 404  # it has no address of its own
    for response in (*plain, *compressed, *unchanged, part):
        assert response.headers["Vary"] == "Accept-Encoding"
        assert "immutable" in response.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/console/assets/none.js", "/console/assets/../index.html"])
async def test_a_missing_asset_is_not_found_and_not_cached(client: Client, path: str) -> None:
    async with client.as_key(None) as anonymous:
        missing = await anonymous.http.get(path)

    assert missing.status_code == 404
    assert "immutable" not in missing.headers.get("Cache-Control", "")


class Connection:
    """The connection of a browser to the API, which can be lost and restored."""

    def __init__(self) -> None:
        self.is_lost = False
        self._sockets: list[WebSocketRoute] = []

    async def control(self, visitor: BrowserVisit) -> None:
        await visitor.context.route_web_socket("**/graphql", self._relay)
        await visitor.context.route("**/graphql", self._answer)

    async def lose(self) -> None:
        self.is_lost = True
        for socket in self._sockets:
            await socket.close(code=1012)

    async def _relay(self, socket: WebSocketRoute) -> None:
        if self.is_lost:
            await socket.close(code=1012)
        else:
            self._sockets.append(socket)
            socket.connect_to_server()

    async def _answer(self, route: Route) -> None:
        await (route.abort("connectionrefused") if self.is_lost else route.fallback())


@on_both_databases
async def test_a_lost_connection_is_shown_and_the_list_resumes(
    visitor: BrowserVisit, client: Client
) -> None:
    connection = Connection()
    await connection.control(visitor)
    page = await sign_in_to(visitor)
    await expect(page.get_by_text("There are no events yet")).to_be_visible()

    await connection.lose()
    await client.log_event(summary="Logged meanwhile")
    await expect(page.get_by_role("main")).to_contain_text("Offline since")
    connection.is_lost = False

    await expect(page.get_by_role("main")).not_to_contain_text("Offline since")
    await page.get_by_role("button", name="1 new event").click()
    await expect(page.get_by_role("link", name="Logged meanwhile")).to_be_visible()


async def test_every_page_says_that_it_is_offline_and_is_loaded_when_the_connection_returns(
    visitor: BrowserVisit, client: Client
) -> None:
    await define_event_type(client)
    connection = Connection()
    await connection.control(visitor)
    page = await sign_in_to(visitor, "/event-types")
    await expect(page.get_by_role("link", name="Gauge")).to_be_visible()
    main = page.get_by_role("main")
    box = await page.get_by_role("link", name="Gauge").bounding_box()

    await connection.lose()
    await expect(main.get_by_text("Offline since")).to_be_in_viewport()
    assert await page.get_by_role("link", name="Gauge").bounding_box() == box
    await page.get_by_role("link", name="Gauge").click()
    await expect(main.get_by_role("button", name="Try again")).to_have_count(1)
    for name, failures in (
        ("Rules", 2),
        ("Containers", 1),
        ("Sources", 1),
        ("Administration", 2),
    ):
        await page.get_by_role("link", name=name).click()
        await expect(main.get_by_role("button", name="Try again")).to_have_count(failures)
        await expect(main).to_contain_text("Offline since")
    assert await find_violations(page) == []
    connection.is_lost = False

    await expect(main).not_to_contain_text("Offline since")
    await expect(main.get_by_role("button", name="Try again")).to_have_count(0)
    await expect(main.get_by_role("row", name="administrator")).to_be_visible()
    await page.get_by_role("link", name="Rules").click()
    await expect(main).to_contain_text("There are no guard rules yet")
