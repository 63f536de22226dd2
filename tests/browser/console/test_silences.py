"""Silences: the page that lists, creates, changes and ends them, and the menu of the bell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playwright.async_api import expect

from tests.browser.conftest import BrowserVisit, on_both_databases
from tests.browser.console.actions import (
    add_condition,
    expect_to_fit,
    find_violations,
    sign_in_to,
)
from tests.browser.page_actions import create_key
from tests.client import Client

EXTEND = """
mutation ($input: UpdateSilenceInput!) { updateSilence(input: $input) { userErrors { code } } }
"""
SILENCES = "{ silences { nodes { filter comment active } } }"


@on_both_databases
async def test_silences_are_created_listed_changed_and_ended(
    visitor: BrowserVisit, client: Client
) -> None:
    page = await sign_in_to(visitor, "/silences")
    await expect(page.get_by_role("main")).to_contain_text("No silence is active")

    # The form refuses a silence of everything.
    await page.get_by_role("button", name="New silence").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Comment").fill("bearing")
    assert await find_violations(page) == []
    await dialog.get_by_role("button", name="Create the silence").click()
    await expect(dialog).to_contain_text("filter must have at least one condition")
    await add_condition(page, "Source", "/pumps/7")
    await add_condition(page, "Severity", "Warning")
    add_filter = dialog.get_by_role("button", name="Add a filter")
    await add_filter.click()
    form = page.get_by_role("form", name="Add a filter")
    await form.get_by_label("Condition").press("Escape")  # closes the popover, not the dialog
    await expect(form).to_have_count(0)
    await add_filter.click()
    await form.get_by_label("Condition").select_option("Custom field")
    await form.get_by_label("Field").fill("load")
    await form.get_by_label("Comparison").select_option("≥")
    await form.get_by_label("Value").fill("90")
    assert await find_violations(page) == []
    await form.get_by_role("button", name="Add", exact=True).click()
    await expect(dialog.get_by_role("group", name="Filters")).to_contain_text("load ≥ 90")
    await dialog.get_by_role("button", name="Create the silence").click()
    await expect(dialog).to_have_count(0)

    # The silence suppresses a notification, which the list counts and links to.
    event = {"source": "/pumps/7", "severity": "warn", "summary": "Pump stopped"}
    await client.log_event(**event, notification=True, fields={"load": 95})
    await page.reload()
    row = page.get_by_role("row", name="bearing")
    await expect(row).to_contain_text("Source: /pumps/7")
    await expect(row).to_contain_text("Severity: Warning")
    await expect(row).to_contain_text("Created by administrator")
    await expect(page.get_by_role("columnheader")).to_have_text(
        ["Silence", "Period", "Suppressed", "Actions"]
    )
    assert await find_violations(page) == []
    await row.get_by_role("link", name="1 notification").click()
    await page.get_by_role("link", name="Pump stopped").click()
    await expect(page.get_by_role("row", name="Silenced by")).to_contain_text("bearing until")
    await page.get_by_role("link", name="Silences").first.click()

    # Its comment is changed while another user extends it, and it is ended.
    await page.get_by_role("button", name="Edit bearing").click()
    await page.get_by_role("dialog").get_by_label("Comment").fill("new bearing")
    [extended] = (await client.execute_field("{ silences { nodes { id } } }"))["nodes"]
    extended["endsAt"] = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    await client.execute_field(EXTEND, input=extended)
    await page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(page.get_by_role("row", name="new bearing")).to_be_visible()
    [changed] = (await client.execute_field("{ silences { nodes { endsAt } } }"))["nodes"]
    assert datetime.fromisoformat(changed["endsAt"]) == datetime.fromisoformat(extended["endsAt"])
    await page.get_by_role("button", name="End now: new bearing").click()
    await page.get_by_role("dialog").get_by_role("button", name="End now", exact=True).click()
    await expect(page.get_by_role("main")).to_contain_text("No silence is active")
    await page.get_by_label("State").select_option("inactive")
    await expect(page.get_by_role("row", name="new bearing")).to_be_visible()
    await expect(page.get_by_role("button", name="End now")).to_have_count(0)
    await expect(page).to_have_title("(1) Tocsin")  # the event notifies now

    assert await client.execute_field(SILENCES) == {
        "nodes": [
            {
                "filter": {
                    "source": "/pumps/7",
                    "severities": ["WARN"],
                    "fields": [{"field": "load", "operator": "GTE", "value": 90}],
                },
                "comment": "new bearing",
                "active": False,
            }
        ]
    }
    assert visitor.complaints == []


async def test_a_notification_silences_its_source_and_its_entity(
    visitor: BrowserVisit, client: Client
) -> None:
    entity = {"type": "Well", "id": "w-7"}
    pump = {"source": "/pumps/7", "entity": entity, "notification": True}
    await client.log_event(summary="Pump stopped", **pump)
    page = await sign_in_to(visitor)
    await page.get_by_role("button", name="Notifications:").click()
    dialog = page.get_by_role("dialog", name="Notifications")

    everything = "everything that the source /pumps/7 reports"
    for choice in (f"{everything} for an hour", "the entity w-7 until tomorrow at 8:00"):
        await dialog.get_by_role("button", name="Silence notifications like").click()
        item = page.get_by_role("menuitem", name=f"Silence {choice}")
        await item.press("r")  # resolves the notification only outside the menu
        await item.click()
        await expect(page.get_by_role("menuitem")).to_have_count(0)
        if everything in choice:
            await expect(dialog.get_by_role("listitem")).to_contain_text(f"Silenced: {everything}.")
            await dialog.get_by_role("button", name="Undo").click()
            await expect(dialog.get_by_role("listitem")).to_contain_text("The silence has ended.")
    await expect(dialog.get_by_role("listitem")).to_contain_text("Silenced: the entity w-7.")
    await expect(dialog.get_by_role("button", name="Resolve Pump stopped")).to_be_visible()

    await client.log_event(summary="Pump stopped again", **pump)
    await client.log_event(summary="Valve leaks", source="/valve", notification=True)
    await expect(dialog.get_by_role("listitem")).to_have_count(2)
    await expect(dialog).not_to_contain_text("Pump stopped again")
    assert await find_violations(page) == []
    silences = (await client.execute_field(SILENCES))["nodes"]
    assert [(each["filter"], each["active"]) for each in silences] == [
        ({"entity": entity}, True),
        ({"source": "/pumps/7"}, False),
    ]
    assert silences[0]["comment"] == 'Silenced from the notification "Pump stopped"'


async def test_the_page_fits_a_phone_and_shows_no_actions_without_the_permission(
    narrow: BrowserVisit, client: Client
) -> None:
    _, key = await create_key(client, "EVENT_READ", name="reader")
    await client.execute_field(
        """mutation { createSilence(input: {comment: "winter", filter: {source: "/pump"},
             startsAt: "2999-01-01T00:00:00Z", endsAt: "2999-02-01T00:00:00Z"}) {
             userErrors { message } } }"""
    )

    page = await sign_in_to(narrow, "/silences?state=inactive", key)

    await expect(page.get_by_role("row", name="winter")).to_be_visible()
    await expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    await expect_to_fit(page)
    assert await find_violations(page) == []

    await client.log_event(summary="Pump stopped", source="x" * 200, notification=True)
    page = await sign_in_to(narrow)
    await page.get_by_role("button", name="Notifications:").click()
    await page.get_by_role("button", name="Silence notifications like").click()
    await expect(page.get_by_role("menuitem")).to_have_count(4)
    await expect_to_fit(page)
    assert await find_violations(page) == []
