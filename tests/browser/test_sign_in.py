"""Signing in: the page verifies a key before it shows GraphiQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import BrowserVisit
from tests.browser.page_actions import (
    create_key,
    execute_query,
    open_tab,
    read_storage,
    result_window,
    revoke_key,
    sign_in,
    start_subscription,
)
from tests.client import ADMINISTRATOR, Client

UNAUTHORIZED = "the server responded with a status of 401 (Unauthorized)"
NOT_VALID = "This key is not valid."
NO_LONGER_VALID = "This key is no longer valid."


async def expect_sign_in_form(page: Page, message: str) -> None:
    await expect(page.get_by_role("main").get_by_role("alert")).to_contain_text(message)
    await expect(page.get_by_label("Key", exact=True)).to_be_visible()
    await expect(page.locator(".graphiql-container")).not_to_be_visible()


async def edit_headers(page: Page, *keys: str) -> None:
    """Presses keys in the headers editor, at the end of the line of the credential."""
    await page.get_by_role("button", name="Headers").click()
    await page.get_by_role("region", name="Headers").get_by_role("textbox").last.focus()
    for key in ("Control+Home", "ArrowDown", "End", *keys):
        await page.keyboard.press(key)


def unexpected_console_errors(visitor: BrowserVisit) -> list[str]:
    """Chromium reports every response with status 401 on the console."""
    return [complaint for complaint in visitor.complaints if UNAUTHORIZED not in complaint]


async def test_a_link_with_a_wrong_key_shows_the_form_with_a_message(visitor: BrowserVisit) -> None:
    page = await visitor.visit(key="not-a-key")

    await expect_sign_in_form(page, NOT_VALID)
    assert page.url == f"{visitor.url}/graphql"
    assert "not-a-key" not in await read_storage(page, "sessionStorage")
    assert visitor.strayed == []
    assert unexpected_console_errors(visitor) == []


@pytest.mark.parametrize("wrong", ["not-a-key", "ключ"])
async def test_a_wrong_key_can_be_corrected_in_the_form(visitor: BrowserVisit, wrong: str) -> None:
    page = await visitor.visit(key=None)

    await sign_in(page, wrong)
    await expect_sign_in_form(page, NOT_VALID)
    await sign_in(page, ADMINISTRATOR)

    await expect(result_window(page)).to_be_visible()
    assert unexpected_console_errors(visitor) == []


async def test_an_expired_or_revoked_key_does_not_sign_in(
    visitor: BrowserVisit, client: Client
) -> None:
    expiry = datetime.now(UTC) + timedelta(seconds=1)
    _, expired = await create_key(client, "EVENT_READ", expiresAt=expiry.isoformat())
    revoked_id, revoked = await create_key(client, "EVENT_READ")
    await revoke_key(client, revoked_id)
    await asyncio.sleep(1.1)

    await expect_sign_in_form(await visitor.visit(expired), NOT_VALID)
    await expect_sign_in_form(await visitor.visit(revoked), NOT_VALID)


async def test_a_key_without_read_permission_signs_in(
    visitor: BrowserVisit, client: Client
) -> None:
    _, reporter = await create_key(client, "EVENT_CREATE")

    page = await visitor.visit(reporter)
    await open_tab(page, "ListEvents")
    await execute_query(page)

    await expect(result_window(page)).to_contain_text("FORBIDDEN")
    assert visitor.complaints == []


async def test_a_server_that_cannot_be_reached_can_be_tried_again(visitor: BrowserVisit) -> None:
    async def disconnect(route: Route) -> None:
        if route.request.method == "POST":
            await route.abort("connectionrefused")
        else:
            await route.fallback()

    await visitor.context.route("**/graphql", disconnect)
    page = await visitor.visit()
    await expect_sign_in_form(page, "cannot be reached")
    await visitor.context.unroute("**/graphql", disconnect)

    await page.get_by_role("button", name="Try again").click()

    await expect(result_window(page)).to_be_visible()
    assert page.url == f"{visitor.url}/graphql"
    assert ADMINISTRATOR in await read_storage(page, "sessionStorage")


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (503, {"Retry-After": "5"}, "could not verify the key (503 Service Unavailable)"),
        (429, {"Retry-After": "20"}, "Wait 20 seconds, then try again."),
    ],
)
async def test_a_server_that_cannot_verify_the_key_can_be_tried_again(
    visitor: BrowserVisit, status: int, headers: dict[str, str], message: str
) -> None:
    async def fail(route: Route) -> None:
        if route.request.method == "POST":
            await route.fulfill(status=status, headers=headers)
        else:
            await route.fallback()

    await visitor.context.route("**/graphql", fail)
    page = await visitor.visit()
    await expect_sign_in_form(page, message)
    await visitor.context.unroute("**/graphql", fail)

    await page.get_by_role("button", name="Try again").click()

    await expect(result_window(page)).to_be_visible()


async def open_tab_with_revoked_key(
    visitor: BrowserVisit, client: Client, tab: str
) -> tuple[Page, str]:
    """Opens a tab with a key, which is then revoked. Returns the page and the key."""
    key_id, key = await create_key(client, "EVENT_READ")
    page = await visitor.visit(key)
    await open_tab(page, tab)
    await revoke_key(client, key_id)
    return page, key


async def test_a_key_revoked_while_the_page_is_open_is_detected(
    visitor: BrowserVisit, client: Client
) -> None:
    page, key = await open_tab_with_revoked_key(visitor, client, "ListEvents")

    await execute_query(page)

    await expect_sign_in_form(page, NO_LONGER_VALID)
    assert key not in await read_storage(page, "sessionStorage")

    await sign_in(page, ADMINISTRATOR)
    await execute_query(page)
    await expect(result_window(page)).to_contain_text("totalCount")
    await expect(page.get_by_role("tab", name="ListEvents")).to_have_attribute(
        "aria-selected", "true"
    )
    assert unexpected_console_errors(visitor) == []


async def test_a_revoked_key_is_detected_when_a_subscription_starts(
    visitor: BrowserVisit, client: Client
) -> None:
    page, _ = await open_tab_with_revoked_key(visitor, client, "WatchNotifications")

    await execute_query(page)

    await expect_sign_in_form(page, NO_LONGER_VALID)
    await page.get_by_role("button", name="Cancel").click()
    await expect(result_window(page)).to_contain_text("The server rejected the key.")
    await expect(result_window(page)).to_contain_text("4403")
    assert unexpected_console_errors(visitor) == []


async def test_a_wrong_key_in_the_headers_of_a_tab_keeps_the_session(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await open_tab(page, "ListEvents")
    await edit_headers(page, "ArrowLeft", "x")

    await execute_query(page)

    await expect(result_window(page)).to_contain_text("The server rejected the key.")
    await expect(result_window(page)).to_contain_text("401")
    await expect(page.get_by_role("main")).not_to_be_visible()
    assert ADMINISTRATOR in await read_storage(page, "sessionStorage")


async def test_an_unknown_organization_in_the_headers_keeps_the_session(
    visitor: BrowserVisit,
) -> None:
    page = await visitor.visit()
    await open_tab(page, "WatchNotifications")
    await edit_headers(page, *', "data-partition-id": "unknown')

    async with page.expect_response(lambda response: response.request.method == "POST") as verified:
        await execute_query(page)

    assert (await verified.value).ok
    await expect(result_window(page)).to_contain_text("4403")
    await expect(page.get_by_role("main")).not_to_be_visible()
    assert ADMINISTRATOR in await read_storage(page, "sessionStorage")
    assert visitor.complaints == []


async def test_a_link_with_a_wrong_key_does_not_end_the_session(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await start_subscription(page)

    await page.evaluate("location.hash = 'key=not-a-key'")
    await expect_sign_in_form(page, NOT_VALID)
    await page.get_by_role("button", name="Cancel").click()

    await expect(result_window(page)).to_contain_text('"received": 0')
    await expect(page.get_by_role("button", name="Stop query")).to_be_visible()
    assert page.url == f"{visitor.url}/graphql"
    assert ADMINISTRATOR in await read_storage(page, "sessionStorage")


async def test_a_reload_verifies_the_key_again(visitor: BrowserVisit, client: Client) -> None:
    key_id, key = await create_key(client, "EVENT_READ")
    page = await visitor.visit(key)
    await expect(result_window(page)).to_be_visible()
    await revoke_key(client, key_id)

    await page.reload()

    await expect_sign_in_form(page, NOT_VALID)
    assert unexpected_console_errors(visitor) == []
