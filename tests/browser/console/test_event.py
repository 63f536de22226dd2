"""The page of one event."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.browser.conftest import BrowserVisit
from tests.browser.console.actions import expect_to_fit, find_violations, sign_in_to
from tests.client import Client
from tests.event_type_client import define_event_type

READ = "query ($id: ID!) { event(id: $id) { acknowledged acknowledgementNote } }"
UPDATE = """
mutation ($input: UpdateEventInput!) { updateEvent(input: $input) { userErrors { code } } }
"""
HOSTILE = """
# Flare

**Started** suddenly. [Details](https://example.com/a)

<script>document.title = "executed"</script>
<img src="https://example.com/x.png" onerror="document.title = 'executed'">
![remote](https://example.com/y.png) [link](javascript:document.title='executed')
"""


async def open_event(visitor: BrowserVisit, event: dict[str, str]) -> Page:
    page = await sign_in_to(visitor, f"/events/{event['id']}")
    await expect(page.get_by_role("heading", level=1)).to_have_text(event["summary"])
    return page


async def test_an_event_is_shown_with_labels_units_and_content(
    visitor: BrowserVisit, client: Client
) -> None:
    volume = {"name": "volume", "label": "Volume", "kind": "NUMBER", "unit": "mcf"}
    await define_event_type(client, volume, category="safety")
    event = await client.log_event(
        type="gauge",
        summary="Flare",
        severity="error",
        fields={"volume": 150},
        content=HOSTILE,
        entity={"type": "Well", "id": "well-1"},
        tags=["north"],
    )

    page = await open_event(visitor, event)

    await expect(page.get_by_role("row", name="Volume")).to_have_text("Volume150 mcf")
    await expect(page.get_by_role("row", name="Entity")).to_have_text("EntityWell well-1")
    await expect(page.get_by_role("heading", name="Flare", level=3)).to_be_visible()
    await expect(page.get_by_text("Started", exact=True)).to_be_visible()
    await expect(page.get_by_role("link", name="Details")).to_have_attribute(
        "rel", "noopener noreferrer"
    )
    await expect(page.locator("main img, main script")).to_have_count(0)
    assert "executed" not in await page.title()
    assert await find_violations(page) == []
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_an_acknowledgement_is_recorded_in_the_history(
    visitor: BrowserVisit, client: Client
) -> None:
    event = await client.log_event(summary="Pump stopped")
    page = await open_event(visitor, event)

    await page.get_by_role("button", name="Acknowledge", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Note").fill("Crew informed")
    await dialog.get_by_role("button", name="Acknowledge").click()

    history = page.get_by_role("region", name="History")
    await expect(history).to_contain_text("Acknowledged")
    await expect(history).to_contain_text("Crew informed")
    await expect(history).to_contain_text("by administrator")
    assert await client.execute_field(READ, id=event["id"]) == {
        "acknowledged": True,
        "acknowledgementNote": "Crew informed",
    }


async def test_a_change_by_another_user_appears(visitor: BrowserVisit, client: Client) -> None:
    event = await client.log_event(summary="Pump stopped")
    page = await open_event(visitor, event)
    await expect(page.get_by_role("region", name="History")).to_contain_text("Logged")
    # The subscription of the page may begin after the first of the updates.
    for attempt in range(20):
        await client.execute_field(UPDATE, input={"id": event["id"], "summary": f"Pump {attempt}"})
        await page.wait_for_timeout(250)
        if await page.get_by_role("heading", name="Pump", level=1).inner_text() != "Pump stopped":
            break

    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Pump {attempt}")
    await expect(page.get_by_role("region", name="History")).to_contain_text(
        "summary: Pump stopped → Pump 0"
    )


async def test_events_are_linked_followed_and_unlinked(
    visitor: BrowserVisit, client: Client
) -> None:
    cause = await client.log_event(summary="Power failed")
    event = await client.log_event(summary="Pump stopped")
    page = await open_event(visitor, event)
    links = page.get_by_role("region", name="Correlated events")
    await links.get_by_label("Relation").select_option("CAUSED_BY")
    await links.get_by_label("ID or link of the other event").fill(
        f"{visitor.url}/events/{cause['id']}"
    )
    await links.get_by_role("button", name="Add a link").click()
    await expect(links.get_by_role("row")).to_contain_text("Caused by")
    assert await find_violations(page) == []

    await links.get_by_role("link", name="Power failed").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Power failed")
    await expect(links.get_by_role("row")).to_contain_text("Cause of")
    await links.get_by_role("button", name="Remove the link to Pump stopped").click()

    await expect(links).to_contain_text("No event is correlated with this one.")


async def test_the_cloud_event_is_shown(visitor: BrowserVisit, client: Client) -> None:
    event = await client.log_event(summary="Pump stopped")
    page = await open_event(visitor, event)

    await page.get_by_role("button", name="Show JSON").click()

    await expect(page.locator("pre")).to_contain_text('"specversion": "1.0"')
    assert await find_violations(page) == []


async def test_an_event_is_deleted_after_a_question(visitor: BrowserVisit, client: Client) -> None:
    event = await client.log_event(summary="Pump stopped")
    page = await open_event(visitor, event)

    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    await expect(page.get_by_text("There are no events yet")).to_be_visible()
    assert await client.execute_field(READ, id=event["id"]) is None


async def test_an_event_that_does_not_exist_is_reported(visitor: BrowserVisit) -> None:
    page = await sign_in_to(visitor, "/events/01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f")

    await expect(page.get_by_text("There is no event with this ID.")).to_be_visible()


async def test_an_event_fits_a_phone(narrow: BrowserVisit, client: Client) -> None:
    event = await client.log_event(
        summary="x" * 300, source="/" + "s" * 200, fields={"f" * 60: "v" * 300}
    )

    page = await open_event(narrow, event)

    await expect_to_fit(page)
    assert await find_violations(page) == []
