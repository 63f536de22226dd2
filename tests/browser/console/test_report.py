"""The page that reports an event by the form of its type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Page, Route, expect

from tests.browser.conftest import BrowserVisit, on_both_databases
from tests.browser.console.actions import expect_to_fit, find_violations, sign_in_to
from tests.browser.page_actions import create_key
from tests.client import Client
from tests.event_type_client import define_event_type, field_input, predicate_input, rule_input

STORED = "{ events { nodes { type summary severity tags entity { entityId } fields } } }"
CREATE_GUARD = """mutation ($input: CreateGuardRuleInput!) {
  createGuardRule(input: $input) { guardRule { id } userErrors { message } } }"""
PUBLISH_GUARD = """mutation ($id: ID!) {
  publishGuardRule(id: $id) { guardRule { id } userErrors { message } } }"""
CREATE_DUPLICATION = """mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) { userErrors { message } } }"""
SILENCE = """mutation ($input: CreateSilenceInput!) {
  createSilence(input: $input) { userErrors { message } } }"""
FIELDS = (
    field_input("volume", "NUMBER", label="Volume", unit="mcf", required=True, minimum=0),
    field_input("hours", "INTEGER", label="Duration", helpText="In hours.", maximum=100),
    field_input("cause", "SELECT", label="Cause", options=["weather", "other"]),
    field_input("crews", "MULTI_SELECT", label="Crews", options=["day", "night"]),
    field_input("seen", "DATETIME", label="Seen"),
    field_input("contained", "BOOLEAN", label="Contained", required=True),
    field_input("contact", "EMAIL", label="Contact"),
    field_input("remarks", "LONG_TEXT", label="Remarks"),
)


async def define_flaring(client: Client) -> Any:
    long_rule = rule_input("SHOW", "hours", predicate_input("volume", "GTE", 100))
    return await define_event_type(
        client,
        *FIELDS,
        name="Flaring incident",
        type="flaring",
        description="Gas was flared.",
        conditionalRules=[long_rule],
    )


async def choose_flaring(page: Page) -> None:
    navigation = page.get_by_role("navigation", name="Main")
    await navigation.get_by_role("link", name="Report an event").click()
    await page.get_by_role("link", name="Flaring incident").click()
    heading = page.get_by_role("heading", name="Report: Flaring incident", level=1)
    await expect(heading).to_be_visible()


@on_both_databases
async def test_an_event_is_reported_by_the_form_of_its_type(
    visitor: BrowserVisit, client: Client
) -> None:
    await define_flaring(client)
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    silence = {"filter": {"types": ["flaring"]}, "comment": "flare test", "endsAt": ends_at}
    assert await client.execute_field(SILENCE, input=silence) == {"userErrors": []}
    page = await sign_in_to(visitor)
    await choose_flaring(page)
    await expect(page.get_by_label("Duration")).to_have_count(0)
    assert await find_violations(page) == []

    await page.get_by_label("Volume (mcf)").fill("-1")
    await expect(page.get_by_label("Volume (mcf)")).to_have_accessible_description(
        "Invalid value -1: expected a number that is at least 0."
    )
    await page.get_by_label("Volume (mcf)").fill("150")
    await page.get_by_label("Duration").fill("5")
    await expect(page.get_by_label("Duration")).to_have_accessible_description("In hours.")
    await page.get_by_role("button", name="Report the event").click()
    contained = page.get_by_label("Contained")
    await expect(contained).to_be_focused()
    await expect(contained).to_have_accessible_description("Contained is required.")
    await page.get_by_label("Contained").select_option("No")
    await page.get_by_label("Cause").select_option("weather")
    await page.get_by_label("night").check()
    await page.get_by_label("Seen").fill("2026-04-10T12:30:00")
    await page.get_by_label("Contact").fill("crew@example.com")
    await page.get_by_label("Remarks").fill("Wind")
    severities = page.get_by_label("Severity").get_by_role("option")
    await expect(severities).to_have_text(["Info (default)", "Error", "Warning", "Success"])
    await page.get_by_label("Severity").select_option("ERROR")
    await page.get_by_label("Type of the entity").fill("Well")
    await page.get_by_label("ID of the entity").fill("well-1")
    await page.get_by_role("combobox", name="Tags").fill("north")
    await page.get_by_role("combobox", name="Tags").press("Enter")
    await page.get_by_label("Notify the users of the console").check()
    await expect(page.get_by_text("The event will be accepted.")).to_be_visible()
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Report the event").click()

    await expect(page.get_by_role("heading", name="The event is reported")).to_be_visible()
    silenced = 'Nobody is notified: the event is silenced by "flare test", until'
    await expect(page.get_by_text(silenced)).to_be_visible()
    [stored] = (await client.execute_field(STORED))["nodes"]
    seen = await page.evaluate("new Date('2026-04-10T12:30:00').toISOString()")
    assert stored.pop("fields") == {
        "volume": 150,
        "hours": 5,
        "cause": "weather",
        "crews": ["night"],
        "seen": seen,
        "contained": False,
        "contact": "crew@example.com",
        "remarks": "Wind",
    }
    assert stored == {
        "type": "flaring",
        "summary": "Flaring incident",
        "severity": "ERROR",
        "tags": ["north"],
        "entity": {"entityId": "well-1"},
    }
    await page.get_by_role("button", name="Report another event").click()
    await expect(page.get_by_label("Volume (mcf)")).to_have_value("")
    assert visitor.strayed == []
    assert visitor.complaints == []


@on_both_databases
async def test_guard_rules_and_duplicates_are_shown_before_the_event_is_reported(
    visitor: BrowserVisit, client: Client
) -> None:
    event_type = await define_event_type(
        client,
        field_input("volume", "NUMBER", label="Volume"),
        type="flaring",
        name="Flaring incident",
    )
    guard = {
        "name": "volume",
        "eventTypeId": event_type["id"],
        "expression": "!has(event.fields.volume) || event.fields.volume < 1000.0",
        "message": "Call the control room about such volumes.",
    }
    created = await client.execute_field(CREATE_GUARD, input=guard)
    assert created["userErrors"] == []
    published = await client.execute_field(PUBLISH_GUARD, id=created["guardRule"]["id"])
    assert published["userErrors"] == []
    duplication = {
        "name": "same volume",
        "eventTypeId": event_type["id"],
        "fingerprint": ["fields.volume"],
        "window": "PT1H",
        "action": "COUNT",
    }
    await client.execute_field(CREATE_DUPLICATION, input=duplication)
    await client.log_event(type="flaring", summary="Flare at well 1", fields={"volume": 5})
    page = await sign_in_to(visitor, "/report?type=flaring")

    await page.get_by_label("Volume").fill("5000")
    await expect(page.get_by_text("Call the control room about such volumes.")).to_be_visible()
    await page.get_by_role("button", name="Report the event").click()
    await expect(page.get_by_text("Call the control room about such volumes.")).to_be_visible()
    await page.get_by_label("Volume").fill("5")
    await expect(page.get_by_role("link", name="Flare at well 1")).to_be_visible()
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Report the event").click()

    await expect(page.get_by_role("heading", name="The event is a duplicate")).to_be_visible()
    assert len((await client.execute_field(STORED))["nodes"]) == 1
    await page.get_by_role("link", name="Open the event").click()
    await expect(page.get_by_role("heading", name="Flare at well 1", level=1)).to_be_visible()


async def test_types_are_searched_and_the_page_names_what_is_missing(
    visitor: BrowserVisit, client: Client
) -> None:
    page = await sign_in_to(visitor, "/report")
    await expect(page.get_by_text("There is no event type that accepts events")).to_be_visible()
    await define_flaring(client)
    await define_event_type(client, name="Pump stop", type="pump")
    await define_event_type(client, name="Draft", type="draft", state="DRAFT")
    await page.reload()
    types = page.get_by_role("list", name="Event types").get_by_role("link")
    await expect(types).to_have_text(["Flaring incident", "Pump stop"])
    assert await find_violations(page) == []

    await page.get_by_label("Search for an event type").fill("pump")
    await expect(types).to_have_text(["Pump stop"])
    await page.get_by_label("Search for an event type").fill("valve")
    await expect(page.get_by_text("No event type matches the search")).to_be_visible()

    await page.goto(f"{visitor.url}/report?type=unknown")
    await expect(page.get_by_role("alert")).to_contain_text("There is no event type 'unknown'.")
    _, key = await create_key(client, "EVENT_READ")
    await visitor.context.clear_cookies()
    await page.evaluate("sessionStorage.clear()")
    reader = await sign_in_to(visitor, "/report", key)
    await expect(reader.get_by_role("main")).to_contain_text("EVENT_CREATE")


async def test_fields_that_no_type_defines_are_reported_as_json_by_a_user_who_may_only_report(
    visitor: BrowserVisit, client: Client
) -> None:
    volume = field_input("volume", "NUMBER", label="Volume")
    await define_event_type(client, volume, name="Pump", type="pump", additionalFields="KEEP")
    _, key = await create_key(client, "EVENT_CREATE")
    page = await sign_in_to(visitor, "/", key)
    await expect(page.get_by_role("heading", name="Report an event", level=1)).to_be_visible()
    assert page.url == f"{visitor.url}/report"

    await page.get_by_role("link", name="Report an event without a form").click()
    await page.get_by_label("Type", exact=True).fill("bad*")
    await expect(page.get_by_label("Type", exact=True)).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Type", exact=True).fill("com.acme.leak")
    await expect(page.get_by_label("Type", exact=True)).not_to_have_attribute(
        "aria-invalid", "true"
    )
    await page.get_by_label("Summary").fill("Valve leaks")
    await page.get_by_label("Fields (JSON)").fill("[1]")
    await page.get_by_role("button", name="Report the event").click()
    await expect(page.get_by_label("Fields (JSON)")).to_be_focused()
    await expect(page.get_by_text("Enter a JSON object.")).to_be_visible()
    await page.get_by_label("Fields (JSON)").fill('{"liters": 7}')
    await expect(page.get_by_text("The event will be accepted.")).to_be_visible()
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Report the event").click()
    await expect(page.get_by_role("heading", name="The event is reported")).to_be_visible()
    await page.get_by_role("button", name="Report another event").click()
    await expect(page.get_by_label("Summary")).to_have_value("")

    await page.get_by_role("link", name="Choose a different event type").click()
    await page.get_by_role("link", name="Pump", exact=True).click()
    await page.get_by_label("Additional fields (JSON)").fill('{"crew": {"lead": "Ada"}}')
    await page.get_by_label("Volume").fill("5")
    await expect(page.get_by_text("The event will be accepted.")).to_be_visible()
    await page.get_by_role("button", name="Report the event").click()
    await expect(page.get_by_role("heading", name="The event is reported")).to_be_visible()

    nodes = (await client.execute_field(STORED))["nodes"]
    assert [(node["type"], node["summary"], node["fields"]) for node in nodes] == [
        ("pump", "Pump", {"volume": 5, "crew": {"lead": "Ada"}}),
        ("com.acme.leak", "Valve leaks", {"liters": 7}),
    ]
    assert visitor.complaints == []


async def test_a_form_that_could_not_be_loaded_is_loaded_again(
    visitor: BrowserVisit, client: Client
) -> None:
    await define_flaring(client)

    async def fail(route: Route) -> None:
        if "query EventTypeForm" in (route.request.post_data or ""):
            await route.fulfill(status=400, json={"errors": [{"message": "Out of order."}]})
        else:
            await route.fallback()

    await visitor.context.route("**/graphql", fail)
    page = await sign_in_to(visitor, "/report?type=flaring")
    await expect(page.get_by_role("alert")).to_contain_text("Out of order.")
    await visitor.context.unroute("**/graphql", fail)

    await page.get_by_role("button", name="Try again").click()

    await expect(page.get_by_label("Volume (mcf)")).to_be_visible()


async def test_the_form_fits_a_phone(narrow: BrowserVisit, client: Client) -> None:
    await define_flaring(client)

    page = await sign_in_to(narrow, "/report?type=flaring")

    await expect(page.get_by_label("Volume (mcf)")).to_be_visible()
    await expect_to_fit(page)
    assert await find_violations(page) == []
