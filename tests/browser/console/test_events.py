"""The page with the list of events."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from pathlib import Path

from playwright.async_api import Page, Route, expect

from tests.browser.conftest import BrowserVisit, on_both_databases
from tests.browser.console.actions import expect_to_fit, find_violations, sign_in_to
from tests.browser.page_actions import create_key
from tests.client import Client
from tests.event_type_client import define_event_type

COUNT = "{ events { totalCount } }"
OPEN = '{ events(filter: {statuses: [OPEN], source: "/pumps"}) { nodes { summary } } }'
RESOLVED_COUNT = "{ events(filter: {statuses: [RESOLVED]}) { totalCount } }"
RESOLVED = "{ events { nodes { summary resolvedBy } } }"
ACKNOWLEDGED = "{ events(filter: {acknowledged: true}) { totalCount } }"
IS_ACKNOWLEDGED = "query ($id: ID!) { event(id: $id) { acknowledged } }"
CORRELATED = """{ events { nodes {
  id correlations { nodes { relation event { summary } } } } } }"""
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { event { id } } }"
LOG_EVENTS = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"


async def expect_summaries(page: Page, *summaries: str) -> None:
    await expect(page.locator("[data-event]")).to_have_text(list(summaries))


async def log_three(client: Client) -> None:
    await client.log_event(
        summary="Pump stopped", severity="error", occurredAt="2026-04-01T10:00:00Z", tags=["north"]
    )
    await client.log_event(
        summary="Pump started", severity="success", occurredAt="2026-04-01T11:00:00Z"
    )
    await client.log_event(
        summary="Valve leaks",
        severity="warn",
        occurredAt="2026-04-02T12:00:00Z",
        type="valve",
        notification=True,
    )


@on_both_databases
async def test_events_are_listed_with_their_severities_and_the_histogram(
    visitor: BrowserVisit, client: Client
) -> None:
    await log_three(client)

    page = await sign_in_to(visitor)

    await expect_summaries(page, "Valve leaks", "Pump started", "Pump stopped")
    severities = page.get_by_role("table", name="Events", exact=True).locator(
        "tbody td:nth-child(3)"
    )
    await expect(severities).to_have_text(["Warning", "Success", "Error"])
    await expect(page.get_by_role("figure")).to_contain_text("3 events")
    assert await find_violations(page) == []
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_the_address_has_the_filters_and_a_chip_removes_one(
    visitor: BrowserVisit, client: Client
) -> None:
    await log_three(client)
    page = await sign_in_to(visitor)

    await page.get_by_role("button", name="Add a filter").click()
    await page.get_by_label("Value").select_option("ERROR")
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect_summaries(page, "Pump stopped")
    await page.get_by_role("searchbox", name="Search").fill("pump")
    await expect(page).to_have_url(f"{visitor.url}/events?severity=ERROR&search=pump")
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Remove the filter Severity Error").click()

    await expect_summaries(page, "Pump started", "Pump stopped")
    await expect(page).to_have_url(f"{visitor.url}/events?search=pump")
    await page.go_back()
    await expect_summaries(page, "Pump stopped")
    await page.get_by_role("searchbox", name="Search").fill("pum")
    await expect(page.get_by_text("The search finds whole words")).to_be_visible()


async def test_the_list_does_not_move_when_the_histogram_has_loaded(
    visitor: BrowserVisit, client: Client
) -> None:
    await log_three(client)
    may_load = asyncio.Event()

    async def hold_counts(route: Route) -> None:
        if re.search("query (FirstEvent|Histogram)", route.request.post_data or ""):
            await may_load.wait()
        await route.fallback()

    await visitor.context.route("**/graphql", hold_counts)
    page = await sign_in_to(visitor)
    await expect_summaries(page, "Valve leaks", "Pump started", "Pump stopped")
    table = page.get_by_role("table", name="Events", exact=True)
    place = await table.bounding_box()
    may_load.set()

    await expect(page.get_by_role("figure")).to_contain_text("3 events")
    assert await table.bounding_box() == place


async def test_dragging_across_the_histogram_selects_a_time(
    visitor: BrowserVisit, client: Client
) -> None:
    await log_three(client)
    page = await sign_in_to(visitor, "/events?from=2026-04-01T00:00:00Z&to=2026-04-03T00:00:00Z")
    await expect_summaries(page, "Valve leaks", "Pump started", "Pump stopped")
    box = await page.locator("figure svg").bounding_box()
    assert box is not None

    await page.mouse.move(box["x"] + 2, box["y"] + 40)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40, steps=4)
    await page.mouse.up()

    await expect_summaries(page, "Pump started", "Pump stopped")


async def test_a_view_without_events_says_what_to_do(visitor: BrowserVisit, client: Client) -> None:
    await log_three(client)
    page = await sign_in_to(visitor, "/events?source=none")
    await expect(page.get_by_text("No event matches the filters")).to_be_visible()

    await page.get_by_role("main").get_by_role("button", name="Clear all filters").last.click()

    await expect_summaries(page, "Valve leaks", "Pump started", "Pump stopped")


@on_both_databases
async def test_selected_events_are_acknowledged_and_deleted_after_a_count(
    visitor: BrowserVisit, client: Client
) -> None:
    await log_three(client)
    page = await sign_in_to(visitor)
    await expect_summaries(page, "Valve leaks", "Pump started", "Pump stopped")
    await expect(page.get_by_role("figure")).to_contain_text("3 events")
    table = page.get_by_role("table", name="Events", exact=True)
    box = await table.bounding_box()
    await page.get_by_role("checkbox", name="Select Pump stopped").check()
    await page.get_by_role("checkbox", name="Select Valve leaks").check()
    await expect(page.get_by_role("group", name="2 events selected")).to_be_in_viewport()
    assert await table.bounding_box() == box
    await page.get_by_role("button", name="Acknowledge", exact=True).click()
    dialog = page.get_by_role("dialog", name="Acknowledge 2 events")
    await dialog.get_by_label("Note").fill("Crew informed")
    assert await find_violations(page) == []
    await dialog.get_by_role("button", name="Acknowledge").click()
    await expect(page.get_by_role("cell", name="administrator")).to_have_count(2)

    await page.get_by_role("checkbox", name="Select Pump stopped").check()
    await page.get_by_role("checkbox", name="Select Pump started").check()
    await page.get_by_role("button", name="Resolve", exact=True).click()
    dialog = page.get_by_role("dialog", name="Resolve 2 events")
    await dialog.get_by_role("button", name="Resolve").click()
    await expect(dialog).to_have_count(0)
    # One of them causes the other.
    for summary in ("Pump started", "Valve leaks"):
        await page.get_by_role("checkbox", name=f"Select {summary}").check()
    await page.get_by_role("button", name="Link", exact=True).click()
    dialog = page.get_by_role("dialog", name="Link 2 events")
    await dialog.get_by_label("This event is").select_option("Valve leaks")
    await dialog.get_by_label("Relation").select_option("Caused by")
    assert await find_violations(page) == []
    await dialog.get_by_role("button", name="Link").click()
    await expect(dialog).to_have_count(0)
    await page.get_by_role("checkbox", name="Select Pump stopped").check()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete 1 event").click()

    await expect_summaries(page, "Valve leaks", "Pump started")
    assert (await client.execute_field(RESOLVED))["nodes"] == [
        {"summary": "Valve leaks", "resolvedBy": None},
        {"summary": "Pump started", "resolvedBy": "administrator"},
    ]
    [leak, pump] = (await client.execute_field(CORRELATED))["nodes"]
    assert leak["correlations"]["nodes"] == [
        {"relation": "CAUSED_BY", "event": {"summary": "Pump started"}}
    ]

    # An event that another user deletes at the same time is named, and the other one is changed.
    async def delete_first(route: Route) -> None:
        if "acknowledgeEvents" in (route.request.post_data or ""):
            await client.execute_field(DELETE, id=leak["id"])
        await route.fallback()

    await page.route("**/graphql", delete_first)
    for summary in ("Pump started", "Valve leaks"):
        await page.get_by_role("checkbox", name=f"Select {summary}").check()
    await page.get_by_role("button", name="Acknowledge", exact=True).click()
    dialog = page.get_by_role("dialog", name="Acknowledge 2 events")
    await dialog.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog", name="1 event was not changed")
    await expect(dialog.get_by_role("listitem")).to_have_text(
        "Valve leaks: It was deleted meanwhile."
    )
    await dialog.get_by_role("button", name="Close").last.click()
    await page.unroute("**/graphql")
    assert await client.execute_field(IS_ACKNOWLEDGED, id=pump["id"]) == {"acknowledged": True}

    # Of several events with an alert key, the newest is reopened. The others are named.
    alert = {"source": "/pumps", "alertKey": "disk"}
    for summary in ("Disk full", "Disk full again"):
        await client.log_event(summary=summary, notification=True, **alert)
        await client.log_event(**alert, resolved=True)
    await page.reload()
    for summary in ("Disk full", "Disk full again"):
        await page.get_by_role("checkbox", name=f"Select {summary}", exact=True).check()
    await page.get_by_role("button", name="Reopen", exact=True).click()
    dialog = page.get_by_role("dialog", name="Reopen 2 events")
    await dialog.get_by_role("button", name="Reopen").click()
    dialog = page.get_by_role("dialog", name="1 event stays resolved")
    await expect(dialog.get_by_role("listitem")).to_have_text(
        re.compile("^Disk full: Event .* is unresolved and has the same source and alertKey")
    )
    await dialog.get_by_role("button", name="Close").last.click()
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("button", name="Reopen", exact=True)).to_have_count(0)
    assert await client.execute_field(OPEN) == {"nodes": [{"summary": "Disk full again"}]}


async def test_all_events_of_a_view_are_acknowledged_and_deleted_after_a_count(
    visitor: BrowserVisit, client: Client
) -> None:
    for severity in ("warn", "error"):
        event = {"severity": severity, "summary": severity, "notification": True}
        await client.execute_field(LOG_EVENTS, input=[event] * 120)
    page = await sign_in_to(visitor, "/events?severity=WARN")
    await expect(page.locator("[data-event]")).to_have_count(50)
    await page.get_by_role("checkbox", name="Select all loaded events").check()
    await page.get_by_role("button", name="Select all events of the view").click()
    await page.get_by_role("button", name="Acknowledge", exact=True).click()
    dialog = page.get_by_role("dialog", name="Acknowledge 120 events")
    await dialog.get_by_role("button", name="Acknowledge").click()
    await expect(dialog).to_have_count(0)
    assert await client.execute_field(ACKNOWLEDGED) == {"totalCount": 120}

    await page.get_by_role("checkbox", name="Select all loaded events").check()
    await page.get_by_role("button", name="Select all events of the view").click()
    await page.get_by_role("button", name="Acknowledge", exact=True).click()
    await expect(page.get_by_role("dialog")).to_contain_text("There is nothing to change")
    assert await find_violations(page) == []
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Resolve", exact=True).click()
    dialog = page.get_by_role("dialog", name="Resolve 120 events")
    await dialog.get_by_role("button", name="Resolve").click()
    await expect(dialog).to_have_count(0)
    assert await client.execute_field(RESOLVED_COUNT) == {"totalCount": 120}
    await page.get_by_role("checkbox", name="Select all loaded events").check()
    await page.get_by_role("button", name="Select all events of the view").click()
    await page.get_by_role("button", name="Reopen", exact=True).click()
    dialog = page.get_by_role("dialog", name="Reopen 120 events")
    await dialog.get_by_role("button", name="Reopen").click()
    await expect(dialog).to_have_count(0)
    assert await client.execute_field(RESOLVED_COUNT) == {"totalCount": 0}
    await page.get_by_role("checkbox", name="Select all loaded events").check()
    await page.get_by_role("button", name="Select all events of the view").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete 120 events").click()

    await expect(page.get_by_text("No event matches the filters")).to_be_visible()
    assert await client.execute_field(COUNT) == {"totalCount": 120}


@on_both_databases
async def test_events_are_filtered_by_custom_fields(visitor: BrowserVisit, client: Client) -> None:
    volume = {"name": "volume", "label": "Volume", "kind": "NUMBER", "unit": "mcf"}
    crew = {"name": "crew", "label": "Crew", "kind": "SELECT", "options": ["day", "night"]}
    await define_event_type(client, volume, crew)
    for number, name in ((150, "day"), (90, "day"), (200, "night")):
        await client.log_event(
            type="gauge", summary=f"{number} {name}", fields={"volume": number, "crew": name}
        )
    page = await sign_in_to(visitor)
    await expect_summaries(page, "200 night", "90 day", "150 day")

    for name, operator, value in (("volume", "≥", "100"), ("crew", "=", "day")):
        await page.get_by_role("button", name="Add a filter").click()
        form = page.get_by_role("form", name="Add a filter")
        await form.get_by_label("Condition").select_option("Custom field")
        await form.get_by_label("Field").fill(name)
        await form.get_by_label("Comparison").select_option(operator)
        if name == "volume":
            await form.get_by_label("Value (mcf)").fill(value)
            assert await find_violations(page) == []
        else:
            await form.get_by_label("Value").select_option(value)
        await form.get_by_role("button", name="Add", exact=True).click()

    await expect_summaries(page, "150 day")
    chips = page.get_by_role("group", name="Filters")
    await expect(chips).to_contain_text("Volume ≥ 100 mcf")
    await page.reload()
    await expect_summaries(page, "150 day")
    await chips.get_by_role("button", name="Remove the filter Volume ≥ 100 mcf").click()
    await expect_summaries(page, "90 day", "150 day")


async def test_a_key_that_may_only_read_is_offered_no_changes(
    visitor: BrowserVisit, client: Client
) -> None:
    await log_three(client)
    _, key = await create_key(client, "EVENT_READ")
    page = await sign_in_to(visitor, "/", key)

    await page.get_by_role("checkbox", name="Select Pump stopped").check()

    await expect(page.get_by_text("1 event selected")).to_be_visible()
    await expect(page.get_by_role("button", name="Acknowledge", exact=True)).to_have_count(0)
    await expect(page.get_by_role("button", name="Delete", exact=True)).to_have_count(0)


async def test_events_are_reached_acknowledged_and_opened_by_keyboard(
    visitor: BrowserVisit, client: Client
) -> None:
    await log_three(client)
    page = await sign_in_to(visitor)
    await expect_summaries(page, "Valve leaks", "Pump started", "Pump stopped")

    for key in "jjk":
        await page.keyboard.press(key)
    await expect(page.get_by_role("link", name="Valve leaks")).to_be_focused()
    await page.keyboard.press("a")
    await expect(page.get_by_role("cell", name="administrator")).to_have_count(1)
    await expect(page.get_by_role("cell", name="Acknowledged")).to_have_count(1)
    await page.keyboard.press("r")
    await expect(page.get_by_role("cell", name="Resolved")).to_have_count(1)
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    await page.get_by_role("link", name="Pump stopped").focus()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_contain_text("Next event")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.get_by_role("link", name="Pump stopped").press("Enter")

    await expect(page.get_by_role("heading", name="Pump stopped")).to_be_visible()


async def test_the_filtered_events_are_exported_with_their_fields(
    visitor: BrowserVisit, client: Client
) -> None:
    await log_three(client)
    await client.log_event(summary='=1+1, "quoted"', fields={"volume": 150, "crew": ["a", "b"]})
    page = await sign_in_to(visitor, "/events?type=notice")
    await page.get_by_role("button", name="Export as CSV").click()
    await expect(page.get_by_role("dialog")).to_contain_text("The view has 3 events.")

    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download 3 events").click()
    file = Path(await (await download.value).path())

    rows = list(csv.DictReader(io.StringIO(file.read_text(), newline="")))
    assert [row["summary"] for row in rows] == ['\'=1+1, "quoted"', "Pump started", "Pump stopped"]
    assert (rows[0]["fields.volume"], rows[0]["fields.crew"]) == ("150", '["a","b"]')
    assert (rows[2]["severity"], rows[2]["tags"]) == ("ERROR", "north")
    assert rows[2]["lastOccurredAt"] == rows[2]["occurredAt"] != ""


async def test_columns_of_custom_fields_show_values_with_units(
    visitor: BrowserVisit, client: Client
) -> None:
    volume = {"name": "volume", "label": "Volume", "kind": "NUMBER", "unit": "mcf"}
    await define_event_type(client, volume)
    await client.log_event(
        type="gauge",
        summary="Flare " * 40,
        source="/" + "s" * 200,
        tags=["north"],
        fields={"volume": 1500},
    )
    page = await sign_in_to(visitor)

    await page.get_by_role("button", name="Display").click()
    await page.get_by_role("checkbox", name="Volume (volume)").check()
    await page.get_by_role("checkbox", name="Entity").uncheck()
    for column in ("Source", "Tags", "Occurrences"):
        await page.get_by_role("checkbox", name=column).check()
    await page.get_by_role("switch", name="UTC instead of local time").check()
    assert await find_violations(page) == []

    await expect(page.get_by_role("cell", name="1,500 mcf")).to_be_visible()
    await expect(page.get_by_role("cell", name="–")).to_have_count(1)  # it has no status
    await expect(page.get_by_role("columnheader", name="Entity")).to_have_count(0)
    table = page.get_by_role("table", name="Events", exact=True)
    headings = table.get_by_role("columnheader")
    await expect(headings.last).to_have_text("Volume")
    widths = await headings.evaluate_all("cells => cells.slice(1).map((cell) => cell.clientWidth)")
    assert len(widths) == 10
    assert min(widths) >= 90
    await expect_to_fit(page)
    await expect(page.locator("tbody time")).to_contain_text("UTC")
    await page.reload()
    await expect(page.get_by_role("cell", name="1,500 mcf")).to_be_visible()


async def test_a_view_can_be_saved_opened_and_deleted(
    visitor: BrowserVisit, client: Client
) -> None:
    await log_three(client)
    page = await sign_in_to(visitor, "/events?severity=ERROR")
    await page.get_by_role("button", name="Saved views").click()
    await page.get_by_label("Name of this view").fill("Errors")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.get_by_role("button", name="Clear all filters").click()
    await expect_summaries(page, "Valve leaks", "Pump started", "Pump stopped")

    await page.get_by_role("button", name="Saved views").click()
    await page.get_by_role("button", name="Errors", exact=True).click()

    await expect_summaries(page, "Pump stopped")
    await page.get_by_role("button", name="Saved views").click()
    await page.get_by_role("button", name="Delete the view Errors").click()
    await expect(page.get_by_role("button", name="Errors", exact=True)).to_have_count(0)


async def test_further_events_are_loaded_while_scrolling(
    visitor: BrowserVisit, client: Client
) -> None:
    events = [{"summary": f"Event {number}"} for number in range(120)]
    await client.execute_field(LOG_EVENTS, input=events)
    page = await sign_in_to(visitor)
    await expect(page.get_by_role("link", name="Event 119", exact=True)).to_be_visible()

    while await page.locator("[data-event]").count() < 120:
        await page.mouse.wheel(0, 4_000)
        await page.wait_for_timeout(50)

    await expect(page.locator("[data-event]")).to_have_count(120)
    assert len(set(await page.locator("[data-event]").all_inner_texts())) == 120


async def test_the_list_fits_a_phone(narrow: BrowserVisit, client: Client) -> None:
    await log_three(client)
    await client.log_event(summary="x" * 300, source="/" + "s" * 200, notification=True)

    page = await sign_in_to(narrow)

    await expect(page.get_by_role("link", name="Valve leaks")).to_be_visible()
    await expect(page.get_by_role("row", name="xxx")).to_contain_text("Status: Open")
    await expect_to_fit(page)
    assert await find_violations(page) == []


@on_both_databases
async def test_new_events_wait_until_the_reader_shows_them(
    visitor: BrowserVisit, client: Client
) -> None:
    await log_three(client)
    page = await sign_in_to(visitor, "/events?type=notice")
    await expect_summaries(page, "Pump started", "Pump stopped")
    await expect(page.get_by_role("figure")).to_contain_text("2 events")
    table = page.get_by_role("table", name="Events", exact=True)
    box = await table.bounding_box()
    await client.log_event(summary="Other type", type="valve")
    await client.log_event(summary="Pump restarted")
    await client.log_event(summary="Pump tested")

    button = page.get_by_role("button", name="2 new events")
    await expect(button).to_be_visible()
    await expect_summaries(page, "Pump started", "Pump stopped")
    await expect(page.get_by_role("figure")).to_contain_text("4 events")
    assert await table.bounding_box() == box  # the rows are where the reader reads them
    await button.click()

    await expect_summaries(page, "Pump tested", "Pump restarted", "Pump started", "Pump stopped")
    await expect(button).to_have_count(0)
    await expect(page.get_by_role("link", name="Pump tested")).to_be_focused()
    await expect(page.get_by_role("figure")).to_contain_text("4 events")


async def test_changes_by_others_appear_in_place(visitor: BrowserVisit, client: Client) -> None:
    await log_three(client)
    page = await sign_in_to(visitor)
    await expect_summaries(page, "Valve leaks", "Pump started", "Pump stopped")
    rows = await client.execute_field("{ events { nodes { id summary } } }")
    ids = {row["summary"]: row["id"] for row in rows["nodes"]}

    await client.execute_field(
        "mutation ($input: UpdateEventInput!) { updateEvent(input: $input) { event { id } } }",
        input={"id": ids["Pump started"], "summary": "Pump started again"},
    )
    await client.execute_field(DELETE, id=ids["Valve leaks"])

    await expect_summaries(page, "Pump started again", "Pump stopped")
