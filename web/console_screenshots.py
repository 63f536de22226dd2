"""Takes the screenshots of the console: `python web/console_screenshots.py URL KEY FOLDER`.

URL and KEY are those of a server with an empty database, with TOCSIN_SECRETS_KEYS and
TOCSIN_CHANNEL_NETWORKS=127.0.0.0/8. The script logs the events of a shift.
"""

import asyncio
import base64
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx
from playwright.async_api import Browser, Page, async_playwright, expect

WEBP_QUALITY = 85
PATIENCE_MS = 60_000
DEFINE = """mutation ($input: CreateEventTypeInput!) {
  createEventType(input: $input) { userErrors { message } } }"""
LOG = """mutation ($input: LogEventInput!) {
  logEvent(input: $input) { event { id } userErrors { message } } }"""
ACKNOWLEDGE = """mutation ($id: ID!) {
  acknowledgeEvent(id: $id, note: "Crew informed") { userErrors { message } } }"""
RESOLVE = """mutation ($id: ID!) {
  resolveEvent(id: $id, note: "Restarted") { userErrors { message } } }"""
SILENCE = """mutation ($input: CreateSilenceInput!) {
  createSilence(input: $input) { userErrors { message } } }"""
CHANNEL = """mutation ($input: CreateChannelInput!) {
  createChannel(input: $input) { channel { id } userErrors { message } } }"""
SOURCE = """mutation ($input: CreateSourceInput!) {
  createSource(input: $input) { source { id } url userErrors { message } } }"""
RETENTION = """mutation ($input: CreateRetentionPolicyInput!) {
  createRetentionPolicy(input: $input) { userErrors { message } } }"""
LINK = """mutation ($id: ID!, $causes: [ID!]!) {
  correlateEvents(eventId: $id, relatedIds: $causes, relation: CAUSED_BY) {
    userErrors { message } } }"""
FLARING = {
    "name": "Flaring incident",
    "type": "site.flaring",
    "category": "safety",
    "state": "PUBLISHED",
    "description": "Gas was burned off outside the plan.",
    "fields": [
        {
            "name": "volume",
            "label": "Volume",
            "kind": "NUMBER",
            "unit": "mcf",
            "required": True,
            "minimum": 0,
        },
        {
            "name": "hours",
            "label": "Duration",
            "kind": "NUMBER",
            "unit": "h",
            "helpText": "From the first to the last flame.",
        },
        {
            "name": "cause",
            "label": "Cause",
            "kind": "SELECT",
            "options": ["equipment", "weather", "maintenance"],
        },
    ],
    "conditionalRules": [
        {
            "name": "Long flares",
            "effect": "SHOW",
            "targets": ["hours"],
            "condition": {"field": {"field": "volume", "operator": "GTE", "value": 100}},
        }
    ],
}
# Minutes before now, severity, summary, entity.
SHIFT = (
    (3, "error", "Flare at well 12", "well-12"),
    (5, "warn", "Pressure of separator 2 above 60 bar", "separator-2"),
    (9, "error", "Compressor 3 stopped", "compressor-3"),
    (11, "warn", "Supply voltage dropped to 360 V", "substation-1"),
    (24, "info", "Shift handover confirmed", "site-1"),
    (41, "success", "Backup of the historian finished", "historian"),
    (58, "info", "Valve 7 opened for sampling", "valve-7"),
    (75, "warn", "Tank 4 is filled to 92%", "tank-4"),
    (96, "success", "Pump 2 restarted", "pump-2"),
    (99, "error", "Pump 2 stopped", "pump-2"),
    (131, "info", "Calibration of gauge 11 is due", "gauge-11"),
    (170, "success", "Inspection round finished", "site-1"),
)


class Server:
    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.http = httpx.AsyncClient(base_url=url, headers=headers, timeout=60)

    async def execute(self, query: str, **variables: Any) -> Any:
        response = await self.http.post("/graphql", json={"query": query, "variables": variables})
        [payload] = response.raise_for_status().json()["data"].values()
        assert payload["userErrors"] == [], payload
        return payload

    async def fill(self) -> list[str]:
        """Logs the events. Returns their IDs, in the order of SHIFT."""
        await self.execute(DEFINE, input=FLARING)
        now = datetime.now(UTC)
        ids = []
        for minutes, severity, summary, entity in SHIFT:
            event: dict[str, Any] = {
                "severity": severity,
                "summary": summary,
                "entity": {"type": entity.split("-")[0].title(), "id": entity},
                "occurredAt": (now - timedelta(minutes=minutes)).isoformat(),
                "source": "/site-1/control-room",
                "notification": severity in ("error", "warn"),
            }
            if summary.startswith("Flare"):
                event["type"] = FLARING["type"]
                event["fields"] = {"volume": 150, "hours": 2.5, "cause": "equipment"}
                event["content"] = (
                    "Flare lit after **compressor 3** had stopped.\n\n- Crew informed"
                )
            ids.append((await self.execute(LOG, input=event))["event"]["id"])
        for index in (7, 9):
            await self.execute(ACKNOWLEDGE, id=ids[index])
        await self.execute(RESOLVE, id=ids[9])
        await self.execute(LINK, id=ids[0], causes=[ids[2], ids[1]])
        await self.execute(LINK, id=ids[2], causes=[ids[3]])
        await self.execute(LINK, id=ids[1], causes=[ids[2]])
        return ids

    async def create_channel(self, receiver: str) -> str:
        """Creates a channel that delivers what is logged later. Returns its ID."""
        channel = {"name": "Control room", "kind": "WEBHOOK", "url": receiver}
        triggers = ["NOTIFICATION_ADDED", "EVENT_RESOLVED"]
        payload = await self.execute(CHANNEL, input=channel | {"triggers": triggers})
        return str(payload["channel"]["id"])

    async def set_up_alerts(self) -> str:
        """Creates a silence, a retention policy, and a source, whose ID it returns."""
        ends_at = (datetime.now(UTC) + timedelta(hours=4)).isoformat()
        silence = {
            "comment": "Separator 2 is being cleaned",
            "filter": {"entity": {"type": "Separator", "id": "separator-2"}},
            "endsAt": ends_at,
        }
        await self.execute(SILENCE, input=silence)
        report = {
            "severity": "warn",
            "summary": "Level of separator 2 below 5%",
            "entity": {"type": "Separator", "id": "separator-2"},
            "source": "/site-1/control-room",
            "notification": True,
        }
        await self.execute(LOG, input=report)
        policy = {"name": "Routine events", "filter": {"severities": ["INFO"]}, "keepFor": "P90D"}
        await self.execute(RETENTION, input=policy)
        mapping = {
            "summary": "body.check + ' on ' + body.host",
            "severity": "body.?level",
            "alertKey": "body.host + '/' + body.check",
            "resolved": "body.ok",
            "notification": "true",
        }
        source = {"name": "Checks of the historian", "kind": "JSON", "mapping": mapping}
        created = await self.execute(SOURCE, input=source)
        check = {"check": "disk", "host": "pump-7", "ok": False, "level": "fatal"}
        (await self.http.post(created["url"], json=check)).raise_for_status()
        await self.http.post(created["url"], json={"host": "pump-8", "ok": False})
        return str(created["source"]["id"])


@contextlib.asynccontextmanager
async def receive_messages() -> AsyncIterator[str]:
    """Accepts every message at the address that it yields."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, _, length = head.partition(b"content-length: ")
        await reader.readexactly(int(length.split(b"\r\n")[0]))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/notifications"


async def open_page(
    browser: Browser, url: str, key: str, scheme: Literal["light", "dark"], width: int, height: int
) -> Page:
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        reduced_motion="reduce",
        locale="en-GB",
    )
    page = await context.new_page()
    await page.goto(f"{url}#key={quote(key, safe='')}")
    return page


async def capture(page: Page) -> bytes:
    """Returns the visible part of the page as WebP, and closes it."""
    await page.mouse.move(0, 0)
    await page.wait_for_load_state("networkidle")
    session = await page.context.new_cdp_session(page)
    options = {"format": "webp", "quality": WEBP_QUALITY}
    shot = await session.send("Page.captureScreenshot", options)
    await page.context.close()
    return base64.b64decode(shot["data"])


async def take(url: str, key: str) -> dict[str, bytes]:
    """Returns the screenshots by name."""
    expect.set_options(timeout=PATIENCE_MS)
    shots = {}
    server = Server(url, key)
    async with receive_messages() as receiver, async_playwright() as playwright:
        channel = await server.create_channel(receiver)
        ids = await server.fill()
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for scheme in ("light", "dark"):
            page = await open_page(browser, f"{url}/events?range=6h", key, scheme, 1280, 800)
            await expect(page.locator("[data-event]")).to_have_count(len(SHIFT))
            await expect(page.get_by_role("figure")).to_contain_text(f"{len(SHIFT)} events")
            shots[f"console-events-{scheme}"] = await capture(page)
        page = await open_page(browser, f"{url}/events?range=6h", key, "light", 360, 740)
        await expect(page.locator("[data-event]")).to_have_count(len(SHIFT))
        await expect(page.get_by_role("figure")).to_contain_text(f"{len(SHIFT)} events")
        shots["console-phone"] = await capture(page)
        page = await open_page(browser, f"{url}/events/{ids[0]}", key, "light", 1280, 800)
        await page.get_by_role("button", name="Show the graph").click()
        await page.get_by_label("Number of links to follow").select_option("Up to 2 links")
        await expect(page.locator(".react-flow__edge")).to_have_count(4)
        await page.get_by_role("heading", name="Correlated events").scroll_into_view_if_needed()
        await page.get_by_role("figure").evaluate(
            "(figure) => figure.scrollIntoView({block: 'end'})"
        )
        shots["console-event"] = await capture(page)
        page = await open_page(browser, f"{url}/report?type=site.flaring", key, "dark", 1280, 800)
        await page.get_by_label("Volume (mcf)").fill("-150")
        await expect(page.locator("[aria-invalid=true]")).to_have_count(1)
        shots["console-report"] = await capture(page)
        page = await open_page(browser, f"{url}/channels/{channel}", key, "light", 1280, 800)
        delivered = page.get_by_role("button", name="Deliver again")
        await expect(delivered).to_have_count(7)  # 6 notifications, of which one is resolved
        shots["console-channel"] = await capture(page)
        source = await server.set_up_alerts()
        page = await open_page(browser, f"{url}/silences", key, "light", 1280, 420)
        await expect(page.get_by_role("row", name="Separator 2")).to_contain_text("1 notification")
        shots["console-silences"] = await capture(page)
        page = await open_page(browser, f"{url}/event-sources/{source}", key, "light", 1280, 1180)
        await page.get_by_role("button", name="Try it as the sample").click()
        await expect(page.get_by_role("main")).to_contain_text("Line 1, column 1")
        await page.evaluate("scrollTo(0, 0)")
        shots["console-source"] = await capture(page)
        page = await open_page(browser, f"{url}/administration", key, "light", 1280, 800)
        policies = page.get_by_role("region", name="Retention policies")
        await expect(policies).to_contain_text("Routine events")
        await policies.evaluate("(region) => region.scrollIntoView()")
        shots["console-retention"] = await capture(page)
        await browser.close()
    return shots


for name, image in asyncio.run(take(sys.argv[1], sys.argv[2])).items():
    Path(sys.argv[3], f"{name}.webp").write_bytes(image)
