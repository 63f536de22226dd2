"""The page of one event."""

from __future__ import annotations

import re

from playwright.async_api import Page, Route, expect

from tests.browser.conftest import BrowserVisit, on_both_databases
from tests.browser.console.actions import expect_to_fit, find_violations, sign_in_to
from tests.client import Client
from tests.event_type_client import (
    ADD_FIELD,
    change_event_type,
    define_event_type,
    field_input,
    predicate_input,
    rule_input,
)

READ = "query ($id: ID!) { event(id: $id) { acknowledged acknowledgementNote } }"
STATUS = "query ($id: ID!) { event(id: $id) { status resolvedBy resolutionNote } }"
UPDATE = """
mutation ($input: UpdateEventInput!) { updateEvent(input: $input) { userErrors { code } } }
"""
CREATE_GUARD = """mutation ($input: CreateGuardRuleInput!) {
  createGuardRule(input: $input) { guardRule { id } userErrors { message } } }"""
PUBLISH_GUARD = """mutation ($id: ID!) {
  publishGuardRule(id: $id) { guardRule { id } userErrors { message } } }"""
EDITED = """query ($id: ID!) {
  event(id: $id) { summary severity tags fields eventTypeVersion version } }"""
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


@on_both_databases
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


@on_both_databases
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


async def test_a_notification_is_resolved_and_reopened(
    visitor: BrowserVisit, client: Client
) -> None:
    event = await client.log_event(summary="Pump stopped", notification=True)
    page = await open_event(visitor, event)
    status = page.get_by_role("row", name="Status")
    await expect(status).to_have_text("StatusOpen")

    await page.get_by_role("button", name="Resolve", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Note").fill("Pump replaced")
    await dialog.get_by_role("button", name="Resolve").click()

    await expect(status).to_have_text("StatusResolved")
    await expect(page.get_by_role("row", name="Pump replaced")).to_contain_text("by administrator")
    await expect(page.get_by_role("button", name="Acknowledge", exact=True)).to_have_count(0)
    assert await find_violations(page) == []
    assert await client.execute_field(STATUS, id=event["id"]) == {
        "status": "RESOLVED",
        "resolvedBy": "administrator",
        "resolutionNote": "Pump replaced",
    }
    await page.get_by_role("button", name="Reopen").click()
    await expect(status).to_have_text("StatusOpen")
    await expect(page.get_by_role("button", name="Acknowledge", exact=True)).to_be_visible()
    await expect(page.get_by_role("region", name="History")).to_contain_text("Reopened")
    assert await client.execute_field(STATUS, id=event["id"]) == {
        "status": "OPEN",
        "resolvedBy": None,
        "resolutionNote": None,
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
        "Summary: Pump stopped → Pump 0"
    )


@on_both_databases
async def test_an_event_is_edited_by_the_form_of_its_own_version(
    visitor: BrowserVisit, client: Client
) -> None:
    event_type = await define_event_type(
        client,
        field_input("volume", "NUMBER", label="Volume", minimum=0),
        field_input("hours", "INTEGER", label="Duration"),
        conditionalRules=[rule_input("SHOW", "hours", predicate_input("volume", "GTE", 100))],
    )
    event = await client.log_event(
        type="gauge", summary="Flare", fields={"volume": 150, "hours": 5}, tags=["north"]
    )
    guard = {
        "name": "plausible",
        "expression": "event.type != 'gauge' || event.fields.volume < 1000.0",
        "message": "Call the control room about such volumes.",
    }
    small = {
        "name": "small",
        "expression": "event.type != 'gauge' || event.fields.volume >= 100.0",
        "message": "Small volumes are not reported.",
        "enforcement": "WARN",
    }
    for rule in (guard, small):
        created = await client.execute_field(CREATE_GUARD, input=rule)
        await client.execute_field(PUBLISH_GUARD, id=created["guardRule"]["id"])
    later = field_input("crew", label="Crew", required=True, default="day")
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=later)
    page = await open_event(visitor, event)
    await page.get_by_role("link", name="Edit").click()
    await expect(page.get_by_role("heading", name="Gauge, version 1")).to_be_visible()
    await expect(page.get_by_label("Crew")).to_have_count(0)
    assert await find_violations(page) == []

    await page.get_by_label("Duration").fill("")
    await page.get_by_label("Volume").fill("-1")
    await page.get_by_role("navigation").get_by_role("link", name="Events").click()
    await page.get_by_role("button", name="Stay on this page").click()
    await expect(page.get_by_label("Duration")).to_have_count(0)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_label("Volume")).to_have_accessible_description(
        "Invalid value -1: expected a number that is at least 0."
    )
    await expect(page.get_by_label("Volume")).to_be_focused()
    await page.get_by_label("Volume").fill("2000")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Call the control room about such volumes.")).to_be_visible()
    await expect(page.get_by_label("Volume")).to_have_accessible_description("")
    assert (await client.execute_field(EDITED, id=event["id"]))["fields"]["volume"] == 150
    await page.get_by_label("Volume").fill("50")
    await page.get_by_label("Summary").fill("Small flare")
    change = {"severity": "error", "occurredAt": "2026-04-10T12:00:00Z"}
    await client.execute_field(UPDATE, input={"id": event["id"], **change})
    await expect(page.get_by_text("The event has changed since you opened")).to_be_visible()
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("The changes were rejected")).to_be_visible()
    await page.get_by_role("button", name="Load the current values").click()
    await page.get_by_label("Volume").fill("50")
    await page.get_by_label("Summary").fill("Small flare")
    await page.get_by_role("button", name="Save").click()

    await expect(page.get_by_role("heading", name="Small flare", level=1)).to_be_visible()
    warnings = page.get_by_role("status").filter(has_text="The event does not pass")
    await expect(warnings).to_contain_text("Small volumes are not reported.")
    assert await find_violations(page) == []
    history = page.get_by_role("region", name="History")
    await expect(history).to_contain_text("Severity: Info → Error")
    await expect(history).to_contain_text("Volume: 150 → 50")
    await expect(history).to_contain_text("Duration: 5 → nothing")
    await expect(history).to_contain_text(re.compile(r"Occurred: .+ → 4/1[01]/26, \d+:00:00"))
    changed = await client.execute_field(EDITED, id=event["id"])
    assert changed == {
        "summary": "Small flare",
        "severity": "ERROR",
        "tags": ["north"],
        "fields": {"volume": 50},
        "eventTypeVersion": 1,
        "version": 3,
    }


async def test_the_fields_of_a_free_form_event_are_edited_as_json(
    narrow: BrowserVisit, client: Client
) -> None:
    event = await client.log_event(summary="Pump stopped", fields={"host": "a", "load": 1})
    page = await sign_in_to(narrow, f"/events/{event['id']}/edit")
    await page.get_by_label("Fields (JSON)").fill('{"host": ')
    await expect(page.get_by_text("Enter a JSON object.")).to_be_visible()
    await expect_to_fit(page)
    assert await find_violations(page) == []

    await page.get_by_label("Fields (JSON)").fill('{"host": "b"}')
    await page.get_by_role("button", name="Save").click()

    heading = page.get_by_role("heading", name="Pump stopped", exact=True)
    await expect(heading).to_be_visible()
    assert (await client.execute_field(EDITED, id=event["id"]))["fields"] == {"host": "b"}


@on_both_databases
async def test_events_are_linked_followed_and_unlinked(
    visitor: BrowserVisit, client: Client
) -> None:
    cause = await client.log_event(summary="Power failed")
    event = await client.log_event(summary="Pump stopped")
    page = await open_event(visitor, event)
    links = page.get_by_role("region", name="Correlated events")
    await links.get_by_label("Relation").select_option("CAUSED_BY")
    other = links.get_by_label("Other event")
    await other.fill("the power failure")
    await links.get_by_role("button", name="Add a link", exact=True).click()
    await expect(other).to_have_accessible_description(
        re.compile("enter the ID of the event or the link of its page")
    )
    await expect(links).to_contain_text("No other event has these words.")
    await other.fill("01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f")
    await links.get_by_role("button", name="Add a link", exact=True).click()
    await expect(links.get_by_role("alert")).to_contain_text("The change was rejected.")
    await other.fill(f"{visitor.url}/events/{cause['id']}")
    await links.get_by_role("button", name="Add a link", exact=True).click()
    await expect(links.get_by_role("row")).to_contain_text("Caused by")
    history = page.get_by_role("region", name="History")
    await expect(history.get_by_role("link", name="Power failed")).to_be_visible()
    assert await find_violations(page) == []

    await links.get_by_role("link", name="Power failed").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Power failed")
    await expect(links.get_by_role("row")).to_contain_text("Cause of")
    await links.get_by_role("button", name="Remove the link to Pump stopped").click()
    await expect(links).to_contain_text("No event is correlated with this one.")

    # Found by the beginning of a word, without the event itself.
    await client.log_event(summary="Power is back")
    await links.get_by_label("Relation").select_option("RELATED")
    await other.fill("pow")
    await expect(links.get_by_role("button", name="Add a link to ")).to_have_count(1)
    assert await find_violations(page) == []
    await links.get_by_role("button", name="Add a link to Power is back").click()
    await expect(links.get_by_role("row")).to_contain_text("Power is back")
    await expect(other).to_have_value("")


async def test_a_search_that_fails_shows_its_error_instead_of_earlier_matches(
    visitor: BrowserVisit, client: Client
) -> None:
    await client.log_event(summary="Power failed")
    await client.log_event(summary="Valve leaks")
    page = await open_event(visitor, await client.log_event(summary="Pump stopped"))
    links = page.get_by_role("region", name="Correlated events")

    async def fail(route: Route) -> None:
        if "query EventMatches" in (route.request.post_data or ""):
            await route.fulfill(status=400, json={"errors": [{"message": "Out of order."}]})
        else:
            await route.fallback()

    await links.get_by_label("Other event").fill("power")
    await expect(links.get_by_role("link", name="Power failed")).to_be_visible()
    await page.route("**/graphql", fail)
    await links.get_by_label("Other event").fill("valve")
    await expect(links.get_by_role("alert")).to_contain_text("Out of order.")
    await expect(links.get_by_role("link", name="Power failed")).to_have_count(0)
    await page.unroute("**/graphql", fail)
    await links.get_by_role("button", name="Try again").click()

    await expect(links.get_by_role("link", name="Valve leaks")).to_be_visible()
    await expect(links.get_by_role("alert")).to_have_count(0)


async def test_links_are_followed_added_and_removed_in_the_graph(
    visitor: BrowserVisit, client: Client
) -> None:
    power = await client.log_event(summary="Power failed")
    pump = await client.log_event(summary="Pump stopped")
    flare = await client.log_event(summary="Flare")
    link = """mutation ($id: ID!, $related: [ID!]!) {
      correlateEvents(eventId: $id, relatedIds: $related, relation: CAUSED_BY) {
        userErrors { message } } }"""
    await client.execute_field(link, id=pump["id"], related=[power["id"]])
    await client.execute_field(link, id=flare["id"], related=[pump["id"]])
    page = await open_event(visitor, pump)
    links = page.get_by_role("region", name="Correlated events")
    await links.get_by_role("button", name="Show the graph").click()
    graph = page.get_by_role("figure", name="Graph of the correlated events")
    edges = graph.locator(".react-flow__edge")
    await expect(edges).to_have_count(2)
    assert await find_violations(page) == []

    handles = graph.locator(".react-flow__node")
    source = handles.filter(has_text="Power failed").locator(".react-flow__handle-right")
    target = handles.filter(has_text="Flare").locator(".react-flow__handle-left")
    await source.drag_to(target)
    await expect(edges).to_have_count(3)
    label = "Pump stopped: Cause of Flare"
    await graph.get_by_label(label).focus()
    await page.keyboard.press("Enter")
    await graph.get_by_role("button", name="Remove the link between").click()
    await expect(edges).to_have_count(1)
    await expect(links.get_by_role("row")).to_have_count(1)
    await graph.get_by_role("link", name="Power failed").click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Power failed")
    assert visitor.complaints == []


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
    link = page.get_by_role("main").get_by_role("link", name="Report an event")
    await expect(link).to_have_attribute("href", "/report")
    assert await client.execute_field(READ, id=event["id"]) is None


async def test_an_event_that_does_not_exist_is_reported(visitor: BrowserVisit) -> None:
    page = await sign_in_to(visitor, "/events/01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f")

    await expect(page.get_by_text("There is no event with this ID.")).to_be_visible()
    await page.get_by_role("link", name="Go to the events").click()
    await expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()


async def test_an_event_fits_a_phone(narrow: BrowserVisit, client: Client) -> None:
    event = await client.log_event(
        summary="x" * 300, source="/" + "s" * 200, fields={"f" * 60: "v" * 300}
    )

    page = await open_event(narrow, event)

    await expect_to_fit(page)
    assert await find_violations(page) == []
