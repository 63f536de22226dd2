"""Sign-in to the console with OpenID Connect, at npm's `oidc-provider` (tests/identity)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.conftest import BrowserVisit, open_profile
from tests.browser.console.actions import find_violations, sign_in_to
from tests.browser.page_actions import create_key, read_storage, revoke_key
from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import Serve
from tests.daemon import run_daemon
from tests.http.test_command import find_free_port
from tests.node import install_packages, node_environment

FOLDER = Path(__file__).parents[2] / "identity"
# Short, so that the test sees tokens expire, and long enough for a slow machine to use them.
TOKEN_SECONDS = 9


@dataclass
class Provider:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        install_packages(FOLDER)
        node = shutil.which("node", path=node_environment()["PATH"])
        arguments = ("provider.mjs", str(self.port), str(TOKEN_SECONDS))
        async with run_daemon(str(node), *arguments, folder=FOLDER, port=self.port):
            yield


@pytest.fixture
def provider() -> Provider:
    return Provider(find_free_port())


@pytest.fixture
async def client(provider: Provider, database_url: str, serve: Serve) -> AsyncIterator[Client]:
    """Administrator of a server that signs users in at the provider."""
    async with serve(
        database_url,
        jwt_issuer=provider.url,
        jwt_jwks_url=f"{provider.url}/jwks",
        jwt_audience="tocsin",
        jwt_leeway_seconds=0,
        jwt_organization_claim="tocsin.keys",
        jwt_permissions_claim="roles",
        oidc_client_id="console",
        oidc_scope="openid profile",
        oidc_resource="https://tocsin.example/",
    ) as client:
        yield client


@pytest.fixture
async def visitor(
    provider: Provider, client: Client, chromium: Browser
) -> AsyncIterator[BrowserVisit]:
    async with open_profile(client.url, chromium) as visit:
        visit.allowed_url = provider.url
        # The pages of the provider have a font from another host.
        await visit.context.route("https://fonts.googleapis.com/**", answer_without_font)
        yield visit


async def answer_without_font(route: Route) -> None:
    await route.fulfill(body="", content_type="text/css")


async def reject_token_of_guard_rules(route: Route) -> None:
    """Rejects what the page of rules asks for, but no request in the background."""
    if "guardRules" not in (route.request.post_data or ""):
        await route.fallback()
        return
    error = {"message": "Unknown key.", "extensions": {"code": "UNAUTHENTICATED"}}
    await route.fulfill(status=401, json={"data": None, "errors": [error]})


async def expect_signed_in(page: Page) -> None:
    await expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()


async def move_token_endpoint(route: Route) -> None:
    response = await route.fetch()
    document = await response.json() | {"token_endpoint": "https://tokens.example/token"}
    await route.fulfill(response=response, json=document)


async def wait_for_tokens(visitor: BrowserVisit, provider: Provider, count: int) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while visitor.addresses.count(f"{provider.url}/token") < count:
            await asyncio.sleep(0.05)


async def sign_in_as(page: Page, name: str) -> None:
    """Follows the pages of the provider: sign-in and consent."""
    await page.get_by_role("button", name="Sign in with 127.0.0.1").click()
    await page.get_by_placeholder("Enter any login").fill(name)
    await page.get_by_placeholder("and password").fill("password")
    await page.get_by_role("button", name="Sign-in").click()
    await page.get_by_role("button", name="Continue").click()


async def expect_open(page: Page, count: int) -> None:
    name = re.compile(rf"^Notifications: {count} open notification")
    await expect(page.get_by_role("button", name=name)).to_be_visible()


async def test_a_user_signs_in_stays_live_while_tokens_expire_and_signs_out(
    provider: Provider, visitor: BrowserVisit, client: Client
) -> None:
    async with provider.run():
        page = await visitor.visit(None, "/events?severity=ERROR")
        assert await find_violations(page) == []
        await sign_in_as(page, "ada")
        await expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()
        assert page.url == f"{visitor.url}/events?severity=ERROR"
        await page.get_by_role("button", name="Account").click()
        await expect(page.get_by_role("menu")).to_contain_text(
            "Signed in as ada of the night shift (ada)"
        )
        await page.keyboard.press("Escape")

        await client.log_event(summary="Pump stopped", notification=True)
        await expect_open(page, 1)
        await wait_for_tokens(visitor, provider, 2)
        await client.log_event(summary="Valve leaks", notification=True)
        await expect_open(page, 2)
        await expect(page.get_by_role("main")).not_to_contain_text("Offline since")

        await page.reload()
        await expect_open(page, 2)
        assert page.url == f"{visitor.url}/events?severity=ERROR"
        other = await visitor.visit(None, "/report")
        await expect(other.get_by_role("heading", name="Report an event")).to_be_visible()
        for storage in ("sessionStorage", "localStorage"):
            assert "eyJ" not in await read_storage(page, storage)
        # A link that anyone may have made signs no one out.
        for query in ("error=access_denied", "error=login_required&state=guessed"):
            forged = await visitor.visit(None, f"/sign-in?{query}")
            await expect_signed_in(forged)
            await forged.close()
        await expect_open(page, 2)
        hosts = {urlsplit(address).netloc for address in visitor.strayed}
        assert hosts == {urlsplit(provider.url).netloc}
        assert visitor.complaints == []

        await page.get_by_role("button", name="Account").click()
        await page.get_by_role("menuitem", name="Sign out").click()
        assert "token" not in (await page.evaluate("location.search"))
        await page.get_by_role("button", name="Yes, sign me out").click()
        button = page.get_by_role("button", name="Sign in with 127.0.0.1")
        await expect(button).to_be_visible()
        await expect(other.get_by_role("button", name="Sign in with 127.0.0.1")).to_be_visible()
        await button.click()
        await expect(page.get_by_placeholder("Enter any login")).to_be_visible()


async def test_a_failed_sign_in_says_why_and_can_be_repeated(
    provider: Provider, visitor: BrowserVisit
) -> None:
    async with provider.run():
        page = await visitor.visit(None, "/sign-in?code=stolen&state=foreign")
        await expect(page.get_by_role("alert")).to_contain_text("(wrong state)")
        assert f"{provider.url}/token" not in visitor.addresses
        await sign_in_as(page, "bob")  # who gets no refresh tokens
        await wait_for_tokens(visitor, provider, 2)
        await expect_signed_in(page)
        await visitor.context.clear_cookies()
        await expect(page.get_by_role("alert")).to_contain_text(
            "Your session at the identity provider has ended."
        )
        await sign_in_as(page, "guest")
        await expect(page.get_by_role("main")).to_contain_text("EVENT_READ")

    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text(
        f"The identity provider at 127.0.0.1:{provider.port} cannot be reached."
    )
    assert await find_violations(page) == []

    async with provider.run():
        discovery = f"{provider.url}/.well-known/openid-configuration"
        await visitor.context.route(discovery, move_token_endpoint)
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("alert")).to_contain_text(
            "can set TOCSIN_OIDC_TOKEN_ORIGIN to this origin."
        )
        await expect(page.get_by_role("alert")).to_contain_text("is at https://tokens.example,")
        await visitor.context.unroute(discovery, move_token_endpoint)

        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_placeholder("Enter any login")).to_be_visible()


async def test_a_session_that_ends_keeps_what_the_user_has_entered_and_the_other_tabs(
    provider: Provider, visitor: BrowserVisit, client: Client
) -> None:
    async with provider.run():
        page = await visitor.visit(None, "/report")
        await sign_in_as(page, "eve")  # who gets no refresh tokens
        await page.get_by_role("link", name="Report an event without a form").click()
        await page.get_by_label("Summary").fill("Pump")
        # The computer sleeps for an hour.
        await page.evaluate("((now) => (Date.now = () => now() + 3_600_000))(Date.now)")
        await page.get_by_label("Summary").fill("Pump stopped")
        dialog = page.get_by_role("dialog", name="Sign in again")
        await expect(dialog).to_contain_text("Your session has expired.")
        assert await find_violations(page) == []
        other = await visitor.visit(None, "/events")
        await expect_signed_in(other)

        async with visitor.context.expect_page() as opened:
            await dialog.get_by_role("button", name="Sign in with 127.0.0.1").click()
        await expect(dialog).to_be_hidden()
        window = await opened.value
        if not window.is_closed():
            await expect(window.get_by_role("status")).to_contain_text("You can close this window.")
            await window.close()
        await expect(page.get_by_label("Summary")).to_have_value("Pump stopped")
        await page.get_by_role("button", name="Report the event").click()
        await expect(page.get_by_role("heading", name="The event is reported")).to_be_visible()
        [event] = (await client.execute_field("{ events { nodes { summary source } } }"))["nodes"]
        assert event == {"summary": "Pump stopped", "source": "eve"}
        await expect_signed_in(other)

        # A token that the server rejects concerns its tab only.
        await other.route("**/graphql", reject_token_of_guard_rules)
        await other.get_by_role("link", name="Rules").click()
        dialog = other.get_by_role("dialog", name="Sign in again")
        await expect(dialog).to_contain_text("The server no longer accepts your session.")
        await other.unroute("**/graphql", reject_token_of_guard_rules)
        await dialog.get_by_role("button", name="Sign in with 127.0.0.1").click()
        await expect(dialog).to_be_hidden()
        await expect(other.get_by_role("main")).to_contain_text("There are no guard rules yet")
        await expect(page.get_by_role("dialog")).to_have_count(0)

        # Signing out with a key ends what would sign the tab in again, but no other tab.
        await other.goto(f"{visitor.url}/events#key={client.key}")
        await other.get_by_role("button", name="Account").click()
        await expect(other.get_by_role("menu")).not_to_contain_text("night shift")
        await other.get_by_role("menuitem", name="Sign out").click()
        await other.reload()
        await expect(other.get_by_role("button", name="Sign in with 127.0.0.1")).to_be_visible()
        await expect(page.get_by_role("heading", name="The event is reported")).to_be_visible()
        # The browser may show a page as it was before the user has signed out.
        await page.evaluate(
            "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
        )
        await expect(page.get_by_role("button", name="Sign in with 127.0.0.1")).to_be_visible()


async def test_a_user_whose_key_was_revoked_can_sign_in_with_the_provider(
    visitor: BrowserVisit, provider: Provider, client: Client
) -> None:
    key_id, key = await create_key(client, "EVENT_READ", "EVENT_CREATE")
    page = await sign_in_to(visitor, "/report", key)
    await page.get_by_role("link", name="Report an event without a form").click()
    await page.get_by_label("Summary").fill("Pump stopped")
    await revoke_key(client, key_id)
    dialog = page.get_by_role("dialog", name="Sign in again")
    await expect(dialog).to_contain_text("what you have entered is lost")
    assert await find_violations(page) == []

    # The provider is not running: the page only asks for its configuration.
    async with page.expect_request(f"{provider.url}/.well-known/openid-configuration"):
        await dialog.get_by_role("button", name="Sign in with 127.0.0.1").click()

    await expect(dialog).to_have_count(0)


async def test_the_policy_of_the_page_allows_the_provider_alone(
    provider: Provider, client: Client, database_url: str, serve: Serve
) -> None:
    settings = {
        "jwt_issuer": "https://id.example.org/realms/a",
        "jwt_jwks_url": "https://id.example.org/keys",
        "jwt_audience": '"><script>',
        "oidc_client_id": "console",
        "oidc_token_origin": "https://tokens.example.org",
    }
    async with client.as_key(None) as anonymous, serve(database_url, **settings) as other:
        page = await anonymous.http.get("/sign-in")
        other_page = await other.http.get("/events/1")

    assert (page.status_code, other_page.status_code) == (200, 200)
    policy = page.headers["Content-Security-Policy"]
    assert f"; connect-src 'self' {provider.url}; " in policy
    assert policy.count(provider.url) == 1
    other_policy = other_page.headers["Content-Security-Policy"]
    origins = "https://id.example.org https://tokens.example.org"
    assert f"; connect-src 'self' {origins}; " in other_policy
    assert other_policy.count("example.org") == 2
    assert "<script>" not in other_page.text
