"""The pages of guard rules and duplication rules."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.conftest import BrowserVisit, on_both_databases
from tests.browser.console.actions import (
    expect_to_fit,
    find_violations,
    sign_in_to,
    write_expression,
)
from tests.browser.page_actions import create_key
from tests.client import Client
from tests.event_type_client import define_event_type

VOLUME = {"name": "volume_mcf", "label": "Volume", "kind": "NUMBER", "unit": "mcf"}
CAUSE = {"name": "cause", "kind": "SELECT", "options": ["weather", "equipment"]}
GUARD_RULES = """{ guardRules { nodes {
  name state expression message enforcement eventType { type }
  versions { number expression enforcement }
} } }"""
CREATE_GUARD_RULE = """mutation ($input: CreateGuardRuleInput!) {
  createGuardRule(input: $input) { guardRule { id } userErrors { message } } }"""
GUARD_RULE_IDS = "{ guardRules { nodes { id } } }"
UPDATE_GUARD_RULE = """mutation ($input: UpdateGuardRuleInput!) {
  updateGuardRule(input: $input) { userErrors { message } } }"""
UPDATE_DUPLICATION_RULE = """mutation ($input: UpdateDuplicationRuleInput!) {
  updateDuplicationRule(input: $input) { userErrors { message } } }"""
DUPLICATION_RULES = """{ duplicationRules { nodes {
  name fingerprint window action escalate enabled matchCount eventType { type }
} } }"""


@on_both_databases
async def test_a_guard_rule_is_written_tried_published_changed_restored_and_retired(
    visitor: BrowserVisit, client: Client
) -> None:
    await define_event_type(client, VOLUME, CAUSE)
    for volume in (20, 900):
        await client.log_event(
            type="gauge", summary=f"Flare {volume}", fields={"volume_mcf": volume}
        )
    page = await sign_in_to(visitor, "/rules")
    await expect(page.get_by_role("main")).to_contain_text("There are no guard rules yet")
    assert await find_violations(page) == []
    await page.get_by_role("link", name="New guard rule").click()
    await page.get_by_label("Event type").select_option(label="Gauge (gauge)")
    await page.get_by_label("Name").fill("Plausible volume")
    await page.get_by_label("Message").fill("A flare has at most 500 mcf.")

    # Problems appear where they are.
    await write_expression(page, "event.fields.volum <= 500")
    await expect(page.get_by_role("status").filter(has_text="Line 1, column")).to_contain_text(
        "Line 1, column 13: Unknown field 'volum'"
    )
    await expect(page.locator(".cm-lintRange-error")).to_have_text(".volum")
    assert await find_violations(page) == []

    # Fields, functions and options are completed.
    await write_expression(page, "event.fields.vol")
    await page.keyboard.press("Control+Space")
    options = page.get_by_role("listbox").get_by_role("option")
    await expect(options).to_have_text(["volume_mcfVolume, NUMBER"])
    await options.click()
    await page.keyboard.type(" <= 500 || event.fields.cause == 'w")
    await page.keyboard.press("Control+Space")
    await expect(options).to_have_text(["weather"])
    await options.click()
    editor = page.get_by_role("textbox", name="Expression")
    await expect(editor).to_have_text(
        "event.fields.volume_mcf <= 500 || event.fields.cause == 'weather'"
    )

    # Tried, saved and published.
    await page.get_by_role("button", name="Try the expression").click()
    await expect(page.get_by_text("Of 2 events, the rule would reject 1.")).to_be_visible()
    failures = page.get_by_role("table", name="Events that would not pass")
    await expect(failures).to_contain_text("Flare 900")
    await expect(failures).to_contain_text(
        "The expression is false: event.fields.volume_mcf is 900, event.fields.cause is absent."
    )
    await page.get_by_role("button", name="Save the draft").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Plausible volume")
    await page.get_by_role("button", name="Publish…").click()
    dialog = page.get_by_role("dialog", name="Publish the rule")
    await expect(dialog).to_contain_text("Of 2 events, the rule would reject 1.")
    assert await find_violations(page) == []
    await dialog.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("Published, version 1")).to_be_visible()

    # Changed: the difference is shown, and a page with changes is not left by accident.
    # What another user changes meanwhile is kept.
    [rule] = (await client.execute_field(GUARD_RULE_IDS))["nodes"]
    message = {"id": rule["id"], "message": "A flare has less."}
    await client.execute_field(UPDATE_GUARD_RULE, input=message)
    await write_expression(page, "event.fields.volume_mcf <= 1000")
    await page.get_by_label("Enforcement").select_option("WARN")
    await page.get_by_role("link", name="All rules").click()
    await page.get_by_role("dialog").get_by_role("button", name="Stay on this page").click()
    await page.get_by_role("button", name="Publish…").click()
    await expect(dialog).to_contain_text("Of 2 events, the rule would reject 0.")
    await dialog.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("Published, version 2")).to_be_visible()
    await page.get_by_role("button", name="Show changes of version 2").click()
    changes = page.get_by_role("group", name="Changes of version 2")
    await expect(changes).to_contain_text("+ event.fields.volume_mcf <= 1000")
    await expect(changes).to_contain_text("- Enforcement: Reject the event")
    assert await find_violations(page) == []

    # Restored and retired.
    await page.get_by_role("button", name="Publish again: version 1").click()
    restore = page.get_by_role("dialog", name="Publish again: version 1")
    await restore.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("Published, version 3")).to_be_visible()
    await page.get_by_role("button", name="Retire", exact=True).click()
    await page.get_by_role("dialog").get_by_role("button", name="Retire").click()
    await expect(page.get_by_text("Retired", exact=True)).to_be_visible()

    assert await client.execute_field(GUARD_RULES) == {
        "nodes": [
            {
                "name": "Plausible volume",
                "state": "RETIRED",
                "expression": "event.fields.volume_mcf <= 1000",
                "message": "A flare has less.",
                "enforcement": "WARN",
                "eventType": {"type": "gauge"},
                "versions": [
                    {"number": number, "expression": expression, "enforcement": enforcement}
                    for number, expression, enforcement in (
                        (1, FIRST_EXPRESSION, "REJECT"),
                        (2, "event.fields.volume_mcf <= 1000", "WARN"),
                        (3, FIRST_EXPRESSION, "REJECT"),
                    )
                ],
            }
        ]
    }
    assert visitor.strayed == []
    assert visitor.complaints == []


FIRST_EXPRESSION = "event.fields.volume_mcf <= 500 || event.fields.cause == 'weather'"


@on_both_databases
async def test_duplication_rules_are_built_ordered_reset_and_deleted(
    visitor: BrowserVisit, client: Client
) -> None:
    await define_event_type(client, VOLUME)
    page = await sign_in_to(visitor, "/rules/duplication/new")
    await page.get_by_label("Event type").select_option(label="Gauge (gauge)")
    await page.get_by_label("Name").fill("Same volume")
    await page.get_by_role("checkbox", name="Volume").check()
    await page.get_by_label("Window", exact=True).fill("2")
    await page.get_by_label("Unit of the window").select_option("hours")
    await expect(page.get_by_role("status").filter(has_text="duplicates if")).to_have_text(
        "Two events are duplicates if they have equal values of type and fields.volume_mcf, "
        "and occurred within 2 hours of each other."
    )
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Same volume")
    for _ in range(3):
        await client.log_event(type="gauge", fields={"volume_mcf": 20})

    # A second rule, of a field that no event type has, comes last and is moved up.
    await page.get_by_role("link", name="All rules").click()
    await page.get_by_role("link", name="New duplication rule").click()
    await page.get_by_label("Name").fill("Same host")
    await page.get_by_role("checkbox", name="Type", exact=True).uncheck()
    await page.get_by_label("Other custom field").fill("host")
    await page.keyboard.press("Enter")
    await page.get_by_label("Action").select_option("REJECT")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Same host")
    await page.get_by_role("link", name="All rules").click()
    await page.get_by_role("button", name="Move Same host up").click()
    await expect(page.get_by_role("link", name="Same ")).to_have_text(["Same host", "Same volume"])
    await expect(page.get_by_role("row", name="Same volume")).to_contain_text("2")
    assert await find_violations(page) == []

    assert (await client.execute_field(DUPLICATION_RULES))["nodes"] == [
        {
            "name": "Same host",
            "fingerprint": ["fields.host"],
            "window": "PT15M",
            "action": "REJECT",
            "escalate": True,
            "enabled": True,
            "matchCount": 0,
            "eventType": None,
        },
        {
            "name": "Same volume",
            "fingerprint": ["type", "fields.volume_mcf"],
            "window": "PT2H",
            "action": "COUNT",
            "escalate": True,
            "enabled": True,
            "matchCount": 2,
            "eventType": {"type": "gauge"},
        },
    ]

    # Changed, without what another user changes meanwhile.
    await page.get_by_role("link", name="Same volume").click()
    await expect(page.get_by_text("The rule has found 2 duplicates")).to_be_visible()
    rule_id = page.url.rpartition("/")[2]
    await client.execute_field(UPDATE_DUPLICATION_RULE, input={"id": rule_id, "action": "FLAG"})
    await page.get_by_label("The rule is in effect").uncheck()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_label("Action")).to_have_value("FLAG")
    changed = (await client.execute_field(DUPLICATION_RULES))["nodes"][1]
    assert (changed["action"], changed["enabled"]) == ("FLAG", False)

    # Reset and deleted, after a question.
    await page.get_by_role("button", name="Reset").click()
    await page.get_by_role("dialog").get_by_role("button", name="Reset").click()
    await expect(page.get_by_text("The rule has found 0 duplicates")).to_be_visible()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("link", name="Same ")).to_have_text(["Same host"])
    assert visitor.complaints == []


async def test_rules_can_be_read_without_the_permission_to_change_them(
    narrow: BrowserVisit, client: Client
) -> None:
    rule = {"name": "r" * 200, "expression": "event.summary != ''", "message": "Say what."}
    created = await client.execute_field(CREATE_GUARD_RULE, input=rule)
    assert created["userErrors"] == []
    _, key = await create_key(client, "EVENT_READ")

    page = await sign_in_to(narrow, "/rules", key)
    await expect(page.get_by_role("link", name="rrr")).to_be_visible()
    await expect(page.get_by_role("link", name="New guard rule")).to_have_count(0)
    await expect(page.get_by_text("you need the permission RULE_MANAGE")).to_be_visible()
    await expect_to_fit(page)
    assert await find_violations(page) == []
    await page.get_by_role("link", name="rrr").tap()

    await expect(page.get_by_text("you need the permission RULE_MANAGE")).to_be_visible()
    await expect(page.get_by_role("button", name="Save")).to_have_count(0)
    await expect_to_fit(page)
    assert await find_violations(page) == []
