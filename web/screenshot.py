"""Takes the screenshot of GraphiQL in the README: `python web/screenshot.py URL KEY OUT.png`.

A subscription is running while two notifications are logged.
"""

import asyncio
import shutil
import sys
from urllib.parse import quote

from playwright.async_api import async_playwright, expect

LOG = "mutation Log($input: LogEventInput!) { logEvent(input: $input) { userErrors { message } } }"
EVENTS = (
    {"severity": "warn", "summary": "Configuration updated", "source": "admin-service"},
    {"severity": "error", "summary": "Backup did not finish", "source": "backup-service"},
)


async def take(url: str, key: str, out: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        context = await browser.new_context(viewport={"width": 1620, "height": 860})
        page = await context.new_page()
        await page.goto(f"{url}/graphql#key={quote(key, safe='')}")
        await page.get_by_role("tab", name="WatchNotifications").get_by_role("button").first.click()
        await page.get_by_role("button", name="Execute query").click()
        window = page.get_by_label("Result Window")
        await expect(window).to_contain_text('"received": 0')
        for count, event in enumerate(EVENTS, start=1):
            logged = await context.request.post(
                f"{url}/graphql",
                headers={"Authorization": f"Bearer {key}"},
                data={"query": LOG, "variables": {"input": event | {"notification": True}}},
            )
            assert logged.ok, await logged.text()
            await expect(window).to_contain_text(f'"received": {count}')
        await page.mouse.move(810, 850)
        await page.wait_for_timeout(500)  # Monaco fades its cursor and its scroll bars out.
        await page.screenshot(path=out)
        await browser.close()


asyncio.run(take(*sys.argv[1:4]))
