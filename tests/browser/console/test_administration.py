"""Administration: organizations, API keys, audit trail and health; and the containers."""

from __future__ import annotations

import re

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
from tests.event_type_client import define_event_type

POLICIES = "{ retentionPolicies { nodes { name target filter keepFor } } }"
KEYS = "{ organization { name apiKeys { name permissions revokedAt } } }"
VIEWER = "{ viewer { name permissions } }"
CREATE_DUPLICATION_RULE = """mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) { userErrors { message } } }"""
LOG = """mutation ($id: String!, $event: ContainerEventInput!) {
  logContainerEvent(containerId: $id, event: $event) { userErrors { message } } }"""
# The page is not rendered between the two changes.
CHOOSE_FAILED_ACCESS_AND_LAST_DAY = """(range) => {
  document.querySelector("button[aria-pressed]").click();
  range.value = "24h";
  range.dispatchEvent(new Event("change", { bubbles: true }));
}"""


@on_both_databases
async def test_keys_organizations_the_audit_trail_and_health_are_managed(
    visitor: BrowserVisit, client: Client
) -> None:
    page = await sign_in_to(visitor, "/administration")
    health = page.get_by_role("region", name="Health")
    await expect(health).to_contain_text("The server is ready.")
    await expect(health.get_by_role("row", name="Subscribers of this server")).to_be_visible()
    assert await find_violations(page) == []

    # A key is created, copied once, used and revoked.
    await page.get_by_role("button", name="New API key").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("field app")
    await dialog.get_by_role("checkbox", name="EVENT_CREATE").check()
    assert await find_violations(page) == []
    await dialog.get_by_role("button", name="Create the key").click()
    secret = await dialog.get_by_label("Secret").inner_text()
    assert await client.as_key(secret).execute_field(VIEWER) == {
        "name": "field app",
        "permissions": ["EVENT_READ", "EVENT_CREATE"],
    }
    await dialog.get_by_role("button", name="Close").last.click()
    await expect(page.get_by_text(secret)).to_have_count(0)
    await page.get_by_role("button", name="Revoke field app").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
    await expect(page.get_by_role("row", name="field app")).to_contain_text("Revoked")

    # A retention policy is created after its effect is shown, and deleted.
    await page.get_by_role("button", name="New policy").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Old readings")
    await add_condition(page, "Source", "/pumps/7")
    await add_condition(page, "Severity", "Info")
    await dialog.get_by_label("Days to keep").fill("30")
    assert await find_violations(page) == []
    await dialog.get_by_role("button", name="Continue").click()
    await expect(dialog).to_contain_text("would now delete up to 0 events")
    await dialog.get_by_role("button", name="Create the policy").click()
    policy = page.get_by_role("row", name="Old readings")
    await expect(policy).to_contain_text("Source: /pumps/7")
    await expect(policy).to_contain_text("30 days")
    policies = (await client.execute_field(POLICIES))["nodes"]
    await policy.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    await expect(policy).to_have_count(0)
    assert policies == [
        {
            "name": "Old readings",
            "target": "EVENTS",
            "filter": {"source": "/pumps/7", "severities": ["INFO"]},
            "keepFor": "P30D",
        }
    ]
    assert (await client.execute_field(POLICIES))["nodes"] == []

    # The organization is renamed, and another one is created and switched to.
    await page.get_by_role("button", name="Rename").click()
    await page.get_by_role("dialog").get_by_label("Name").fill("South")
    await page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(page.get_by_role("cell", name="South")).to_be_visible()
    await page.get_by_role("button", name="New organization").click()
    await page.get_by_role("dialog").get_by_label("Key").fill("north")
    await page.get_by_role("dialog").get_by_label("Name").fill("North")
    await page.get_by_role("dialog").get_by_role("button", name="Create the organization").click()

    # The audit trail has all of it.
    await page.get_by_role("link", name="Audit trail").click()
    await expect(page.get_by_role("row", name="Revoked: API key field app")).to_be_visible()
    created = page.get_by_role("row", name="Created: API key field app")
    await expect(created).to_contain_text("Permissions: EVENT_CREATE, EVENT_READ")
    created = page.get_by_role("row", name="Created: Retention policy Old readings")
    for line in ("Deletes: Events", "Severity: Info and Source: /pumps/7", "Kept for: 30 days"):
        await expect(created).to_contain_text(line)
    await page.get_by_label("Action").select_option("UPDATED")
    await expect(page.get_by_role("row")).to_have_count(2)
    await expect(page.get_by_role("row").nth(1)).to_contain_text(re.compile("Name: .* → South"))
    assert await find_violations(page) == []

    # The address has the filters, and the name of an object leads to all of its entries.
    await page.get_by_label("From").fill("2100-01-01T00:00")
    await page.get_by_label("From").press("Enter")
    await expect(page.get_by_text("No entry matches the filters")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"\?action=UPDATED&from=\d{4}-"))
    await page.get_by_label("From").fill("2000-01-01T00:00")
    await page.get_by_label("From").blur()
    await page.get_by_label("Object").select_option("API key")
    await expect(page.get_by_text("No entry matches the filters")).to_be_visible()
    await page.get_by_label("Action").select_option("REVOKED")
    await page.get_by_role("link", name="API key field app").click()
    await expect(page.get_by_text("Only entries of: API key field app.")).to_be_visible()
    await expect(page.get_by_role("row")).to_have_count(3)
    await page.reload()
    await expect(page.get_by_role("row", name="Created: API key field app")).to_be_visible()
    await expect(page.get_by_role("row")).to_have_count(3)
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Show those of all objects").click()
    await expect(page.get_by_role("row", name="Updated: Organization South")).to_be_visible()

    await page.get_by_role("link", name="Administration").first.click()
    await page.get_by_role("button", name="Switch to North").click()
    await expect(page.get_by_role("row", name="North")).to_contain_text("Current")
    await expect(page.get_by_role("row", name="field app")).to_have_count(0)

    organization = await client.execute_field(KEYS)
    [key] = [each for each in organization["apiKeys"] if each["name"] == "field app"]
    assert organization["name"] == "South"
    assert key["permissions"] == ["EVENT_READ", "EVENT_CREATE"]
    assert key["revokedAt"] is not None
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_changes_to_event_types_and_rules_are_shown_in_words(
    visitor: BrowserVisit, client: Client
) -> None:
    depth = {"name": "depth", "label": "Depth", "kind": "NUMBER", "unit": "m"}
    note = {"name": "note", "label": "Remark", "kind": "TEXT"}
    condition = {"field": {"field": "depth", "operator": "GTE", "value": 100}}
    deep = {"name": "Deep", "effect": "SHOW", "targets": ["note"], "condition": condition}
    for number in range(100):  # as many as a page of the API has
        await define_event_type(client, type=f"other.type-{number}")
    gauge = await define_event_type(client, depth, note, conditionalRules=[deep])
    rule = {
        "name": "Repeats",
        "eventTypeId": gauge["id"],
        "fingerprint": ["entity.id", "fields.depth"],
        "window": "PT15M",
        "action": "COUNT",
    }
    await client.execute_field(CREATE_DUPLICATION_RULE, input=rule)
    page = await sign_in_to(visitor, "/administration/audit")

    lines = {
        "Created: Duplication rule Repeats": (
            "Event type: Gauge",
            "Fingerprint: ID of the entity, Depth",
            "Window: 15 minutes",
            "Duplicates: Count the duplicate",
            "Position: 1",
            "Enabled: Yes",
        ),
        "Created: Conditional rule Deep": (
            "Effect: Show",
            "Fields that it applies to: Remark",
            "Condition: Depth ≥ 100",
        ),
        "Created: Field depth": ("Kind: Number", "Unit: m"),
    }
    for name, expected in lines.items():
        row = page.get_by_role("row", name=name)
        for line in expected:
            await expect(row.get_by_text(line, exact=True)).to_be_visible()
    assert await find_violations(page) == []


async def test_a_time_of_the_audit_trail_is_applied_when_its_user_has_entered_it(
    visitor: BrowserVisit,
) -> None:
    page = await sign_in_to(visitor, "/administration/audit")
    await expect(page.get_by_role("row", name="Created: API key")).to_be_visible()
    await page.clock.install()

    await page.get_by_label("From").fill("2100-01-01T00:00")
    await page.clock.fast_forward(5_000)
    address_while_typing = page.url
    await page.get_by_label("From").press("Enter")

    await expect(page.get_by_text("No entry matches the filters")).to_be_visible()
    assert address_while_typing == f"{visitor.url}/administration/audit"
    await page.get_by_label("From").fill("")
    await page.get_by_label("From").blur()
    await expect(page.get_by_role("row", name="Created: API key")).to_be_visible()


async def test_administration_fits_a_phone_and_needs_a_permission(
    narrow: BrowserVisit, client: Client
) -> None:
    await create_key(client, "EVENT_READ", name="k" * 200)
    page = await sign_in_to(narrow, "/administration")
    await expect(page.get_by_role("row", name="kkk")).to_be_visible()
    await expect_to_fit(page)
    await page.get_by_role("link", name="Audit trail").tap()
    await expect(page.get_by_role("row", name="Created: API key kkk")).to_be_visible()
    await expect_to_fit(page)
    assert await find_violations(page) == []


@on_both_databases
async def test_container_events_are_found_by_activity_outcome_and_container(
    narrow: BrowserVisit, client: Client
) -> None:
    for container, activity, status in (
        ("container-1", "ACCESS", "FAILURE"),
        ("container-1", "CREATE", "SUCCESS"),
        ("container-2", "ACCESS", "SUCCESS"),
    ):
        event = {"eventType": activity, "status": status, "summary": f"{activity} {container}"}
        logged = await client.execute_field(LOG, id=container, event=event)
        assert logged["userErrors"] == []
    page = await sign_in_to(narrow, "/containers")
    await expect(page.get_by_role("status").filter(has_text="3 events")).to_be_visible()

    await page.get_by_role("button", name="Failed access").tap()
    await expect(page.get_by_role("status").filter(has_text="1 event")).to_be_visible()
    await expect(page.get_by_role("link", name="ACCESS container-1")).to_be_visible()
    await page.get_by_role("button", name="Failed access").tap()
    await page.get_by_label("Activity").select_option("ACCESS")
    await expect(page.get_by_role("status").filter(has_text="2 events")).to_be_visible()
    await page.get_by_label("Time").evaluate(CHOOSE_FAILED_ACCESS_AND_LAST_DAY)
    await expect(page).to_have_url(re.compile(r"activity=ACCESS&outcome=FAILURE&range=24h"))
    await expect(page.get_by_role("status").filter(has_text="1 event")).to_be_visible()
    await page.get_by_role("link", name="container-1", exact=True).tap()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Container container-1")
    await expect(page.get_by_role("row")).to_have_count(3)
    await expect_to_fit(page)
    assert await find_violations(page) == []
    assert narrow.complaints == []
