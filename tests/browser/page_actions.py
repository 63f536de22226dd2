"""Actions of a user on the page, and what the page shows."""

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any

from playwright.async_api import Locator, Page, Response, expect

from tests.client import TIMEOUT_SECONDS, Client

CREATE_KEY = """
mutation CreateKey($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { secret apiKey { id } userErrors { message } }
}
"""
REVOKE_KEY = "mutation RevokeKey($id: ID!) { revokeApiKey(id: $id) { userErrors { message } } }"


async def create_key(client: Client, *permissions: str, **attributes: Any) -> tuple[str, str]:
    """Returns the ID and the secret of a new key."""
    key = {"name": "reader", "permissions": permissions} | attributes
    payload = await client.execute_field(CREATE_KEY, input=key)
    assert payload["userErrors"] == []
    return payload["apiKey"]["id"], payload["secret"]


async def revoke_key(client: Client, key: str) -> None:
    payload = await client.execute_field(REVOKE_KEY, id=key)
    assert payload["userErrors"] == []


async def sign_in(page: Page, key: str) -> None:
    await page.get_by_label("Key", exact=True).fill(key)
    await page.get_by_role("button", name="Sign in").click()


def result_window(page: Page) -> Locator:
    return page.get_by_label("Result Window")


async def open_tab(page: Page, operation: str) -> None:
    """Selects the tab and waits until the editor shows its operation."""
    editor = page.locator(".graphiql-query-editor .view-lines")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while operation not in await editor.inner_text():
            # The page scrolls a new active tab into view, so that a click may miss its target.
            await page.get_by_role("tab", name=operation).get_by_text(operation).click()
            with contextlib.suppress(AssertionError):
                await expect(editor).to_contain_text(operation, timeout=2_000)


async def execute_query(page: Page) -> None:
    await page.get_by_role("button", name="Execute query").click()


async def start_subscription(page: Page) -> None:
    """Runs the third example until it waits for its first event."""
    await open_tab(page, "WatchNotifications")
    await execute_query(page)
    await expect(result_window(page)).to_contain_text('"received": 0')


async def log_example_event(page: Page) -> str:
    """Runs the first example unchanged. Returns the ID of the event."""
    await open_tab(page, "LogEvent")
    async with page.expect_response(is_response_to("LogEvent")) as answered:
        await execute_query(page)
    payload = (await (await answered.value).json())["data"]["logEvent"]
    assert payload["userErrors"] == []
    event = str(payload["event"]["id"])
    wrapped = re.compile(r"\s*".join(event))  # The editor wraps long lines.
    await expect(result_window(page)).to_contain_text(wrapped)
    return event


def is_response_to(operation: str) -> Callable[[Response], bool]:
    """Returns a predicate that ignores the page's own requests, such as that for the number in
    the title.
    """
    return lambda response: f'"operationName":"{operation}"' in (response.request.post_data or "")


async def read_storage(page: Page, storage: str) -> str:
    return str(await page.evaluate(f"JSON.stringify({storage})"))
