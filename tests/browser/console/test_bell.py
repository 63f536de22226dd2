"""The notification bell, which is on every page."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import BrowserVisit, on_both_databases, open_profile
from tests.browser.console.actions import expect_to_fit, find_violations, sign_in_to
from tests.browser.page_actions import create_key
from tests.client import TIMEOUT_SECONDS, Client

OPEN_COUNT = "{ notificationSummary { openCount unreadCount } }"
RESOLVE = "mutation ($id: ID!) { resolveEvent(id: $id) { userErrors { code } } }"
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }"
DELETE_ALL = """mutation {
  deleteEvents(filter: { notification: true }, expectedCount: 4) { userErrors { code } } }"""
LOG_EVENTS = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"
REOPEN = "mutation ($id: ID!) { reopenEvent(id: $id) { userErrors { code } } }"


async def notify(client: Client, summary: str, **attributes: Any) -> Any:
    return await client.log_event(summary=summary, notification=True, **attributes)


async def expect_counts(page: Page, open_count: str, unread: int) -> None:
    label = f"Notifications: {open_count}, {unread} unread"
    await expect(page.get_by_role("button", name=label)).to_be_visible()


async def open_bell(page: Page) -> None:
    await page.get_by_role("button", name="Notifications:").click()
    await expect(page.get_by_role("dialog", name="Notifications")).to_be_visible()


@on_both_databases
async def test_the_bell_follows_notifications_live_with_severities_status_and_the_title(
    visitor: BrowserVisit, client: Client
) -> None:
    stopped = await notify(client, "Pump stopped", severity="error")
    page = await sign_in_to(visitor)
    await expect_counts(page, "1 open notification", 1)
    await open_bell(page)

    await notify(client, "Valve leaks", severity="warn")

    items = page.get_by_role("dialog").get_by_role("listitem")
    await expect(items).to_have_count(2)
    await expect(items.first).to_contain_text("Warning")
    await expect(items.last).to_contain_text("Error")
    await expect(page).to_have_title("(2) Tocsin")
    icon = await page.locator("link[rel=icon]").get_attribute("href")
    assert icon is not None
    assert icon.startswith("data:image/svg+xml,")
    await client.execute_field(RESOLVE, id=stopped["id"])
    await expect(items.last).to_contain_text("Resolved by administrator")
    await expect(items.last).not_to_contain_text("Unread")
    await expect(items.last.get_by_role("button", name="Acknowledge")).to_have_count(0)
    await expect(items.last.get_by_role("checkbox")).to_be_disabled()
    await expect(page).to_have_title("(1) Tocsin")
    assert await find_violations(page) == []
    await client.execute_field(REOPEN, id=stopped["id"])
    await expect(items.first).to_contain_text("Pump stopped")
    await expect(items.first).to_contain_text("Unread")
    await expect(items.first.get_by_role("button", name="Acknowledge")).to_be_visible()
    await expect(page).to_have_title("(2) Tocsin")

    await items.first.get_by_role("button", name="Resolve Pump stopped").click()
    await expect(page).to_have_title("(1) Tocsin")
    await items.first.get_by_role("button", name="Reopen Pump stopped").click()
    await expect(page).to_have_title("(2) Tocsin")
    link = items.last.get_by_role("link", name="Valve leaks")
    resolved: list[str] = []
    page.on("request", lambda request: resolved.append(request.post_data or ""))
    for modifier in ("altKey", "ctrlKey", "metaKey", "repeat"):
        await link.dispatch_event("keydown", {"key": "r", modifier: True, "bubbles": True})
    await link.press("r")
    await expect(items.last).to_contain_text("Resolved by administrator")
    await expect(page).to_have_title("(1) Tocsin")
    assert len([text for text in resolved if "resolveEvents" in text]) == 1
    assert visitor.strayed == []
    assert visitor.complaints == []


@on_both_databases
async def test_one_some_and_all_seen_notifications_are_acknowledged(
    visitor: BrowserVisit, client: Client
) -> None:
    for name in "abcde":
        await notify(client, f"Pump {name}")
    page = await sign_in_to(visitor)
    await open_bell(page)
    dialog = page.get_by_role("dialog")

    await dialog.get_by_role("button", name="Acknowledge Pump a").click()
    await expect(page).to_have_title("(4) Tocsin")
    await dialog.get_by_role("checkbox", name="Select Pump b").check()
    await dialog.get_by_role("checkbox", name="Select Pump c").check()
    await dialog.get_by_role("button", name="Acknowledge 2 notifications").click()
    await expect(page).to_have_title("(2) Tocsin")
    await dialog.get_by_role("button", name="Acknowledge all I have seen").click()

    await expect(page).to_have_title("Tocsin")
    assert await client.execute_field(OPEN_COUNT) == {"openCount": 0, "unreadCount": 0}


async def test_read_marks_are_those_of_the_caller_and_appear_in_other_tabs(
    visitor: BrowserVisit, client: Client
) -> None:
    await notify(client, "Pump stopped")
    page = await sign_in_to(visitor)
    other = await sign_in_to(visitor, "/", None)
    await expect_counts(other, "1 open notification", 1)
    await open_bell(page)
    await expect(page.get_by_role("dialog").get_by_text("Unread", exact=True)).to_be_visible()

    await page.get_by_role("button", name="Mark all as read").click()

    await expect(page.get_by_role("dialog").get_by_text("Unread", exact=True)).to_have_count(0)
    await expect_counts(other, "1 open notification", 0)


async def test_two_people_see_each_others_acknowledgements(
    visitor: BrowserVisit, client: Client, chromium: Browser
) -> None:
    await notify(client, "Pump stopped")
    _, key = await create_key(client, "EVENT_READ", "EVENT_UPDATE", name="second person")
    page = await sign_in_to(visitor)
    async with open_profile(client.url, chromium) as second:
        other = await sign_in_to(second, "/", key)
        await open_bell(other)
        await other.get_by_role("button", name="Acknowledge Pump stopped").click()

        await expect(page).to_have_title("Tocsin")
        await open_bell(page)
        await expect(page.get_by_role("dialog")).to_contain_text("Acknowledged by second person")


async def test_a_notification_is_opened_from_the_bell(
    visitor: BrowserVisit, client: Client
) -> None:
    await notify(client, "Pump stopped")
    page = await sign_in_to(visitor)
    await open_bell(page)

    await page.get_by_role("dialog").get_by_role("link", name="Pump stopped").click()

    await expect(page.get_by_role("heading", name="Pump stopped", level=1)).to_be_visible()
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_a_key_that_cannot_read_events_has_no_bell(
    visitor: BrowserVisit, client: Client
) -> None:
    _, key = await create_key(client, "ORGANIZATION_MANAGE")

    page = await sign_in_to(visitor, "/events", key)

    await expect(page.get_by_role("button", name="Account")).to_be_visible()
    await expect(page.get_by_role("button", name="Notifications")).to_have_count(0)


async def test_a_key_that_may_only_read_acknowledges_nothing(
    visitor: BrowserVisit, client: Client
) -> None:
    await notify(client, "Pump stopped")
    _, key = await create_key(client, "EVENT_READ")
    page = await sign_in_to(visitor, "/", key)

    await open_bell(page)

    await expect(page.get_by_role("dialog")).to_contain_text("Pump stopped")
    await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    await expect(page.get_by_role("button", name="Resolve")).to_have_count(0)


async def test_the_bell_fits_a_phone(narrow: BrowserVisit, client: Client) -> None:
    await notify(client, "x" * 300)
    page = await sign_in_to(narrow)

    await open_bell(page)

    await expect(page.get_by_role("dialog").get_by_role("listitem")).to_have_count(1)
    await expect_to_fit(page)
    assert await find_violations(page) == []


RECORD_ALERTS = """
window.alerts = { tones: 0, shown: [] };
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) {
  window.alerts.tones += 1;
  return start.apply(this, when);
};
window.Notification = class extends Notification {
  constructor(title, options) {
    super(title, options);
    window.alerts.shown.push([title, options.body]);
  }
};
"""


async def wait_for_alerts(page: Page, tones: int, *shown: list[str]) -> None:
    """Waits without `wait_for_function`, whose conditions the policy of the page forbids."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while await page.evaluate("alerts") != {"tones": tones, "shown": list(shown)}:
            await asyncio.sleep(0.05)


async def test_sound_and_desktop_notifications_begin_after_consent(
    visitor: BrowserVisit, client: Client
) -> None:
    await notify(client, "Logged before")
    await visitor.context.grant_permissions(["notifications"])
    await visitor.context.add_init_script(RECORD_ALERTS)
    page = await sign_in_to(visitor)
    await expect_counts(page, "1 open notification", 1)
    await notify(client, "Before consent")
    await expect_counts(page, "2 open notifications", 2)
    await wait_for_alerts(page, 0)

    await open_bell(page)
    await page.get_by_role("switch", name="Sound").check()
    await page.get_by_role("switch", name="Desktop notifications").click()  # asks first
    await expect(page.get_by_role("switch", name="Desktop notifications")).to_be_checked()
    await wait_for_alerts(page, 1)  # for confirmation
    await notify(client, "While visible")
    await wait_for_alerts(page, 2)
    await page.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
    newest = await notify(client, "In the background", severity="error")
    await wait_for_alerts(page, 3, ["Error", "In the background"])
    # The notification that is the newest after a deletion is not new.
    await client.execute_field(DELETE, id=newest["id"])
    await expect(page.get_by_role("dialog").get_by_role("listitem")).to_have_count(3)
    await notify(client, "After a deletion", severity="warn")

    await wait_for_alerts(page, 4, ["Error", "In the background"], ["Warning", "After a deletion"])

    # In an empty list, all are new.
    await client.execute_field(DELETE_ALL)
    await expect(page.get_by_role("dialog")).to_contain_text("There are no notifications")
    both = [{"summary": name, "notification": True} for name in ("First", "Second")]
    await client.execute_field(LOG_EVENTS, input=both)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        shown: list[list[str]] = []
        while len(shown) < 4:
            shown = await page.evaluate("alerts.shown")
            await asyncio.sleep(0.05)
    assert sorted(shown[2:]) == [["Info", "First"], ["Info", "Second"]]
    assert visitor.complaints == []


async def test_blocked_desktop_notifications_are_explained(visitor: BrowserVisit) -> None:
    await visitor.context.grant_permissions([])
    page = await sign_in_to(visitor)

    await open_bell(page)

    await expect(page.get_by_role("switch", name="Desktop notifications")).to_be_disabled()
    await expect(page.get_by_text("Desktop notifications are blocked")).to_be_visible()
