"""Channels: the pages that create, test, change and delete them, and show their deliveries."""

from __future__ import annotations

from playwright.async_api import Browser, Page, expect
from standardwebhooks.webhooks import Webhook

from tests.browser.conftest import BrowserVisit, open_profile
from tests.browser.console.actions import (
    add_condition,
    expect_to_fit,
    find_violations,
    sign_in_to,
)
from tests.client import Client
from tests.conftest import Serve
from tests.mail_server import receive_mail
from tests.webhook_receiver import Response, receive_webhooks

UPDATE = "mutation ($input: UpdateChannelInput!) { updateChannel(input: $input) { secret } }"
CHANNELS = "{ channels { nodes { id name url filter triggers enabled } } }"


async def take_secret(page: Page) -> str:
    """Reads the secret that is shown once, and closes its dialog."""
    secret = await page.get_by_label("Signing secret", exact=True).last.inner_text()
    await page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    return secret


async def test_a_channel_is_created_tested_followed_changed_and_deleted(
    visitor: BrowserVisit, narrow: BrowserVisit, client: Client
) -> None:
    async with receive_webhooks() as receiver:
        page = await sign_in_to(visitor, "/channels")
        await expect(page.get_by_role("main")).to_contain_text("There are no channels yet")

        # A wrong address is rejected; the secret of the new channel is shown once.
        await page.get_by_role("button", name="New channel").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name", exact=True).fill("Incidents")
        await dialog.get_by_label("Address").fill("ftp://example.com")
        await dialog.get_by_label("Request header").fill("authorization")
        await dialog.get_by_label("Value of the header").fill("Bearer 7f3a")
        await add_condition(page, "Severity", "Error")
        assert await find_violations(page) == []
        await dialog.get_by_role("button", name="Create the channel").click()
        await expect(dialog.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
        await dialog.get_by_label("Address").fill(f"{receiver.url}?token=8c1f")
        await dialog.get_by_role("button", name="Create the channel").click()
        secret = await take_secret(page)
        row = page.get_by_role("row", name="Incidents")
        await expect(row).to_contain_text(f"http://127.0.0.1:{receiver.port}")
        await expect(row).not_to_contain_text("8c1f")

        # A test arrives with the header and a signature by the secret.
        await row.get_by_role("link", name="Incidents").click()
        await page.get_by_role("button", name="Send a test message").click()
        await expect(page.get_by_text("The receiver has accepted the test")).to_be_visible()
        [test] = receiver.requests
        assert Webhook(secret).verify(test.body, test.headers)["type"] == "tocsin.channel.test"
        assert test.headers["authorization"] == "Bearer 7f3a"

        # A delivery that fails is repeated, and can be repeated again.
        # The pause keeps the channel from failing five times before the page shows it.
        receiver.respond = lambda _: Response(503, headers=((b"retry-after", b"8"),))
        await client.log_event(summary="Door opens", severity="info", notification=True)
        await client.log_event(summary="Pump stopped", severity="error", notification=True)
        delivery = page.get_by_role("row", name="Pump stopped")
        await expect(delivery).to_contain_text("Pending")
        await expect(delivery).to_contain_text("503")
        receiver.respond = lambda _: Response()
        await expect(delivery).to_contain_text("Delivered")
        await expect(page.get_by_role("row", name="Door opens")).to_have_count(0)
        count = len(receiver.requests)
        await page.get_by_role("button", name="Deliver again: Pump stopped").click()
        repeated = (await receiver.wait_for(count + 1))[-1]
        assert repeated.headers["webhook-id"] == receiver.requests[1].headers["webhook-id"]
        assert await find_violations(page) == []
        for path in (page.url.removeprefix(visitor.url), "/channels"):
            phone = await sign_in_to(narrow, path)
            await expect(phone.get_by_role("main")).to_contain_text("Incidents")
            await expect_to_fit(phone)
            await phone.close()
        await page.get_by_label("State").select_option("Failed")
        await expect(page.get_by_role("main")).to_contain_text("There are no deliveries")

        # The secret is replaced.
        await page.get_by_role("button", name="Replace the secret").click()
        await page.get_by_role("dialog").get_by_role("button", name="Replace the secret").click()
        await expect(page.get_by_label("Signing secret", exact=True).last).to_contain_text("whsec_")
        new_secret = await take_secret(page)
        assert new_secret != secret
        count = len(receiver.requests)
        await page.get_by_role("button", name="Send a test message").click()
        signed = (await receiver.wait_for(count + 1))[-1]
        Webhook(new_secret).verify(signed.body, signed.headers)

        # It is renamed while another user changes what it delivers. Its conditions can be edited.
        [stored] = (await client.execute_field(CHANNELS))["nodes"]
        filter = {"severities": ["ERROR"], "entity": {"type": "Well", "id": "w-1"}}
        await client.execute_field(UPDATE, input={"id": stored["id"], "filter": filter})
        await page.reload()
        conditions = page.get_by_role("row", name="Conditions")
        await expect(conditions).to_contain_text("Severity: Error")
        await expect(conditions).to_contain_text("Entity: Well w-1")
        await page.get_by_role("button", name="Edit", exact=True).click()
        await page.get_by_role("dialog").get_by_label("Name", exact=True).fill("Control room")
        filters = page.get_by_role("dialog").get_by_role("group", name="Filters")
        await expect(filters).to_contain_text("Entity: Well w-1")
        await client.execute_field(
            UPDATE, input={"id": stored["id"], "triggers": ["NOTIFICATION_ADDED", "EVENT_CHANGED"]}
        )
        await add_condition(page, "Tag", "north")
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", name="Control room", level=1)).to_be_visible()
        await expect(page.get_by_role("row", name="Delivers")).to_contain_text("All changes")
        await expect(conditions).to_contain_text("Tag: north")
        await page.get_by_role("button", name="Edit", exact=True).click()
        await page.get_by_role("dialog").get_by_role("checkbox", name="All changes").uncheck()
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await expect(page.get_by_role("row", name="Delivers")).not_to_contain_text("All changes")

        # It is disabled and enabled.
        await page.get_by_role("button", name="Disable").click()
        await expect(page.get_by_text("The channel is disabled.")).to_be_visible()
        assert (await client.execute_field(CHANNELS))["nodes"] == [
            {
                "id": stored["id"],
                "name": "Control room",
                "url": f"http://127.0.0.1:{receiver.port}",
                "filter": filter | {"tags": {"all": ["north"]}},
                "triggers": ["NOTIFICATION_ADDED"],
                "enabled": False,
            }
        ]
        await page.get_by_role("button", name="Enable").click()
        await expect(page.get_by_text("The channel is disabled.")).to_have_count(0)

        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_role("main")).to_contain_text("There are no channels yet")
        assert await find_violations(page) == []
        assert (await client.execute_field(CHANNELS))["nodes"] == []
        assert visitor.complaints == []


async def test_a_channel_for_email_is_created_and_tested(
    visitor: BrowserVisit, client: Client
) -> None:
    async with receive_mail() as mail:
        page = await sign_in_to(visitor, "/channels")

        # Only the address is asked for. There is no secret.
        await page.get_by_role("button", name="New channel").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name", exact=True).fill("Mail")
        await dialog.get_by_label("Kind").select_option("Email, Slack and other services")
        await expect(dialog.get_by_label("Request header")).to_have_count(0)
        await dialog.get_by_label("Address").fill("file:///etc/passwd")
        await dialog.get_by_role("button", name="Create the channel").click()
        await expect(dialog.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
        await dialog.get_by_label("Address").fill(mail.url)
        assert await find_violations(page) == []
        await dialog.get_by_role("button", name="Create the channel").click()
        await expect(dialog).to_have_count(0)

        # The test message arrives as an email.
        await page.get_by_role("link", name="Mail", exact=True).click()
        await expect(page.get_by_role("row", name="Kind")).to_contain_text("Email, Slack")
        await expect(page.get_by_role("button", name="Replace the secret")).to_have_count(0)
        await page.get_by_role("button", name="Send a test message").click()
        await expect(page.get_by_text("The receiver has accepted the test")).to_be_visible()
        assert [email["subject"] for email in mail.emails] == ["Test of the channel Mail"]
        assert await find_violations(page) == []
        assert visitor.complaints == []


async def test_the_page_says_that_the_server_cannot_store_channels(
    serve: Serve, database_url: str, chromium: Browser
) -> None:
    async with (
        serve(database_url, secrets_keys=None) as client,
        open_profile(client.url, chromium) as visitor,
    ):
        page = await sign_in_to(visitor, "/channels")

        problem = page.get_by_role("status").filter(has_text="Channels cannot be created yet")
        await expect(problem).to_contain_text("TOCSIN_SECRETS_KEYS is not set")
        await expect(page.get_by_role("button", name="New channel")).to_have_count(0)
        assert await find_violations(page) == []
