"""Sources: the pages that create, set up, change and delete them, and try their payloads."""

from __future__ import annotations

import asyncio
from unittest.mock import ANY

from playwright.async_api import Page, Route, expect

from tests.browser.conftest import BrowserVisit
from tests.browser.console.actions import (
    expect_to_fit,
    find_violations,
    sign_in_to,
    write_expression,
)
from tests.browser.page_actions import create_key
from tests.client import Client

SOURCES = """{ sources { nodes {
  name kind enabled rejectedCount mapping { summary severity alertKey resolved tags }
} } }"""
UPDATE_SOURCE = """mutation ($input: UpdateSourceInput!) {
  updateSource(input: $input) { userErrors { code } }
}"""
CREATE_SOURCE = """mutation ($input: CreateSourceInput!) {
  createSource(input: $input) { userErrors { code } }
}"""
EVENTS = "{ events { nodes { summary severity alertKey } } }"


async def run_curl(page: Page) -> str:
    """Runs the command that the page offers. Returns the response, without the failure of curl."""
    command = await page.get_by_role("group", name="Test with curl").last.inner_text()
    curl = await asyncio.create_subprocess_shell(
        command.replace("curl ", "curl --silent ", 1), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        output, _ = await curl.communicate()
    return output.decode()


async def take_token(page: Page) -> str:
    """Reads the token that is shown once, and closes its dialog."""
    dialog = page.get_by_role("dialog", name="Set up the sender")
    token = await dialog.get_by_role("group", name="Token", exact=True).inner_text()
    await dialog.get_by_role("button", name="Close").last.click()
    await expect(dialog).to_have_count(0)
    return token


async def test_a_source_is_tried_created_used_changed_and_deleted(
    visitor: BrowserVisit, narrow: BrowserVisit, client: Client
) -> None:
    page = await sign_in_to(visitor, "/event-sources")
    main = page.get_by_role("main")
    trial = page.get_by_role("region", name="Resulting events")
    await expect(main).to_contain_text("There are no sources yet")

    # The sample of each kind becomes an event, and the expressions of a mapping are checked.
    await page.get_by_role("link", name="New source").click()
    for kind in ("GRAFANA", "PAGERDUTY", "ALERTMANAGER", "JSON"):
        await page.get_by_label("Kind", exact=True).select_option(kind)
        await expect(trial.get_by_role("group", name="Event 1")).to_contain_text(
            {"PAGERDUTY": "Disk full on pump-7", "JSON": "disk on pump-7"}.get(kind, "Disk full")
        )
        await expect(trial.get_by_role("status")).to_have_text("1 event")
    await page.get_by_label("Name", exact=True).fill("Checks")
    await write_expression(page, "body.check + ", "Summary")
    await expect(main).to_contain_text("Line 1, column 14:")
    await write_expression(page, "body.ch", "Summary")
    await page.keyboard.press("Control+Space")
    await page.get_by_role("option", name="check").click()
    await expect(trial.get_by_role("group", name="Event 1")).to_contain_text('"summary": "disk"')
    assert await find_violations(page) == []

    # The command that the page shows sends the sample, with the token that is shown once.
    sample = '{"check": "disk", "host": "pump-9", "ok": false, "level": "fatal"}'
    await page.get_by_label("Sample of a payload").fill(sample)
    await page.get_by_role("button", name="Create the source").click()
    address = page.get_by_role("group", name="Address", exact=True).last
    await expect(address).to_contain_text(f"{client.url}/sources/")
    assert '"status":202' in await run_curl(page)
    assert await find_violations(page) == []
    url = await address.inner_text()
    token = await take_token(page)
    await expect(page.get_by_role("heading", name="Checks", level=1)).to_be_visible()
    assert page.url.split("/")[-1] == url.split("/")[-1]
    assert token not in await page.content()
    await expect(page.get_by_role("group", name="Address", exact=True)).to_have_text(url)
    await expect(page.get_by_role("group", name="Test with curl")).to_have_count(0)

    # A rejected payload is shown with its error, and becomes the sample of a better mapping.
    sender = client.as_key(token).http
    assert (await sender.post(url, json={"host": "pump-8", "ok": False})).status_code == 400
    await page.reload()
    rejected = page.get_by_role("region", name="Rejected payloads")
    await expect(rejected).to_contain_text("mapping.summary: The expression has no value")
    await rejected.get_by_role("button", name="Show the payload").click()
    await expect(rejected.get_by_role("group", name="Rejected payload")).to_contain_text("pump-8")
    await rejected.get_by_role("button", name="Try it as the sample").click()
    await expect(page.get_by_label("Sample of a payload")).to_be_focused()
    await expect(main).to_contain_text("Line 1, column 1: The expression has no value")
    await write_expression(page, "body.?check.orValue('check')", "Summary")
    await write_expression(page, "body.host", "Alert key")
    await expect(trial.get_by_role("group", name="Event 1")).to_contain_text('"summary": "check"')
    await page.get_by_role("button", name="Remove Severity").click()
    await expect(page.get_by_role("button", name="Add the attribute")).to_be_focused()
    await page.get_by_label("Other attribute").select_option("tags")
    await page.get_by_role("button", name="Add the attribute").click()
    await write_expression(page, "[body.host]", "Tags")
    await expect(trial.get_by_role("group", name="Event 1")).to_contain_text('"pump-8"')
    await page.get_by_role("button", name="Save").click()
    await expect(main).to_contain_text("Saved.")
    assert (await sender.post(url, json={"host": "pump-8", "ok": False})).status_code == 202
    assert await find_violations(page) == []

    # Who cannot create events can only look. The pages fit a phone.
    _, key = await create_key(client, "CHANNEL_MANAGE", name="manager")
    for path in ("/event-sources", page.url.removeprefix(visitor.url)):
        phone = await sign_in_to(narrow, path, key)
        await expect(phone.get_by_role("main")).to_contain_text("Checks")
        await expect(phone.get_by_role("main")).to_contain_text("permission EVENT_CREATE")
        await expect(phone.get_by_role("button", name="Replace the token")).to_have_count(0)
        await expect_to_fit(phone)
        await phone.close()
        phone = await sign_in_to(narrow, path)
        await expect(phone.get_by_role("main")).to_contain_text("Checks")
        await expect_to_fit(phone)
        await phone.close()

    # Another user renames the source, which keeps that name when the form is saved.
    renamed = {"id": url.split("/")[-1], "name": "Checks of disks"}
    await client.execute_field(UPDATE_SOURCE, input=renamed)

    # The token is replaced, and the source is disabled and enabled.
    await page.get_by_role("button", name="Replace the token").click()
    await page.get_by_role("dialog").get_by_role("button", name="Replace the token").click()
    new = client.as_key(await take_token(page)).http
    await page.get_by_role("button", name="Disable").click()
    await expect(page.get_by_text("The source is disabled.")).to_be_visible()
    assert [(await each.post(url, json={})).status_code for each in (sender, new)] == [401, 403]
    await expect(page.get_by_role("heading", name="Checks of disks", level=1)).to_be_visible()
    save = page.get_by_role("button", name="Save")
    await expect(save).to_be_disabled()
    await write_expression(page, "body.?host", "Alert key")
    await save.click()
    await expect(main).to_contain_text("Saved.")
    await page.get_by_role("button", name="Enable").click()
    await expect(page.get_by_text("The source is disabled.")).to_have_count(0)

    await page.get_by_role("link", name="All sources").click()
    row = page.get_by_role("row", name="Checks")
    await expect(row).to_contain_text("JSON, with a mapping")
    await expect(row.get_by_role("cell").last).to_have_text("1")
    await expect(row.get_by_role("link", name="3 events")).to_be_visible()
    assert await find_violations(page) == []
    assert (await client.execute_field(SOURCES))["nodes"] == [
        {
            "name": "Checks of disks",
            "kind": "JSON",
            "enabled": True,
            "rejectedCount": 1,
            "mapping": {
                "summary": "body.?check.orValue('check')",
                "severity": None,
                "alertKey": "body.?host",
                "resolved": "body.ok",
                "tags": "[body.host]",
            },
        }
    ]
    await row.get_by_role("link", name="Checks").click()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(main).to_contain_text("There are no sources yet")

    # A source can be created disabled.
    await page.get_by_role("link", name="New source").click()
    await page.get_by_label("Name", exact=True).fill("Later")
    await page.get_by_role("checkbox", name="The source is enabled").uncheck()
    await page.get_by_role("button", name="Create the source").click()
    await take_token(page)
    await expect(page.get_by_text("The source is disabled.")).to_be_visible()
    [later] = (await client.execute_field(SOURCES))["nodes"]
    assert (later["name"], later["enabled"]) == ("Later", False)
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(main).to_contain_text("There are no sources yet")

    # A PagerDuty sender uses another address.
    await page.get_by_role("link", name="New source").click()
    await page.get_by_label("Kind", exact=True).select_option("PAGERDUTY")
    await page.get_by_label("Name", exact=True).fill("Pagers")
    await page.get_by_role("button", name="Create the source").click()
    configuration = page.get_by_role("group", name="Configuration of the sender").last
    await expect(configuration).to_contain_text(f"url: {client.url}/v2/enqueue")
    assert '"dedup_key":"pump-7/disk"' in (await run_curl(page)).replace(": ", ":")
    events = (await client.execute_field(EVENTS))["nodes"]
    assert [(each["summary"], each["severity"], each["alertKey"]) for each in events] == [
        ("Disk full on pump-7", "ERROR", "pump-7/disk"),
        ("check", "INFO", "pump-8"),
        ("The source Checks has rejected a payload", "WARN", ANY),
        ("disk", "ERROR", "pump-9/disk"),
    ]

    # The events of sources that were just loaded are not counted yet.
    sources = [{"name": f"Host {number}", "kind": "GRAFANA"} for number in range(50)]
    await asyncio.gather(*(client.execute_field(CREATE_SOURCE, input=source) for source in sources))
    page = await sign_in_to(visitor, "/event-sources")
    await expect(page.get_by_role("link", name="0 events")).to_have_count(49)
    await page.route("**/graphql", hold_counts)
    await page.get_by_role("button", name="Load more").click()
    await expect(page.get_by_role("cell", name="–", exact=True)).to_have_count(1)
    await expect(page.get_by_role("link", name="0 events")).to_have_count(49)
    assert visitor.complaints == []


async def hold_counts(route: Route) -> None:
    """Leaves the requests that count events without a response."""
    if "query SourceUse" not in (route.request.post_data or ""):
        await route.fallback()
