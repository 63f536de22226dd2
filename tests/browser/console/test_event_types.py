"""The designer of event types."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.conftest import BrowserVisit, on_both_databases
from tests.browser.console.actions import expect_to_fit, find_violations, sign_in_to
from tests.browser.page_actions import create_key
from tests.client import Client
from tests.event_type_client import define_event_type, field_input, predicate_input, rule_input

EVENT_TYPES = """{ eventTypes { nodes {
  type name state version
  fields { name label kind unit choices { value label } }
  conditionalRules { effect condition targets { name } }
} } }"""
CREATE_GUARD_RULE = """mutation ($input: CreateGuardRuleInput!) {
  createGuardRule(input: $input) { userErrors { message } } }"""


@on_both_databases
async def test_an_event_type_is_designed_previewed_published_and_changed(
    visitor: BrowserVisit, client: Client
) -> None:
    page = await sign_in_to(visitor, "/event-types")
    await expect(page.get_by_role("main")).to_contain_text("There are no event types yet")
    assert await find_violations(page) == []
    await page.get_by_role("link", name="New event type").click()
    await page.get_by_label("Name", exact=True).fill("Flare")
    await page.get_by_label("Type", exact=True).fill("com.acme.flare")
    fields = page.get_by_role("list", name="Fields")
    preview = page.get_by_role("region", name="Preview of the form")

    # A number, options with labels, and a text.
    await page.get_by_role("button", name="Add a field").click()
    await fields.get_by_label("Name of the field").fill("volume")
    await fields.get_by_label("Label", exact=True).fill("Volume")
    await fields.get_by_label("Kind").select_option("NUMBER")
    await fields.get_by_label("Unit").fill("mcf")
    await page.get_by_role("button", name="Add a field").click()
    await fields.get_by_label("Name of the field").fill("cause")
    await fields.get_by_label("Kind").select_option("SELECT")
    await fields.get_by_role("button", name="Add an option").click()
    await expect(fields).to_contain_text("Option 1 must not be empty.")
    await fields.get_by_label("Value of option 1").fill("w")
    await fields.get_by_label("Label of option 1").fill("Weather")
    await page.get_by_role("button", name="Add a field").click()
    await fields.get_by_label("Name of the field").fill("details")
    await expect(preview.get_by_label("details")).to_be_visible()

    # "Show details when Volume >= 100", in the preview at once.
    await page.get_by_role("button", name="Add a conditional rule").click()
    rules = page.get_by_role("list", name="Conditional rules")
    await rules.get_by_label("Name", exact=True).fill("Details of large flares")
    await rules.get_by_role("checkbox", name="cause").uncheck()
    await rules.get_by_role("checkbox", name="details").check()
    await rules.get_by_label("Operator").select_option("GTE")
    await rules.get_by_label("Value", exact=True).fill("100")
    await expect(rules.get_by_role("button", expanded=True)).to_have_text(
        "Show details when Volume ≥ 100"
    )
    # A removed condition leaves the values of the others.
    await rules.get_by_role("button", name="Add a condition").click()
    second = rules.get_by_role("group", name="Condition 2")
    await second.get_by_label("Operator").select_option("GTE")
    await second.get_by_label("Value", exact=True).fill("100")
    await rules.get_by_label("Value", exact=True).first.fill("7")
    await rules.get_by_role("button", name="Remove condition 1").click()
    await expect(rules.get_by_label("Value", exact=True)).to_have_value("100")
    await expect(rules.get_by_role("button", name="Add a condition")).to_be_focused()
    await expect(rules.get_by_role("button", expanded=True)).to_have_text(
        "Show details when Volume ≥ 100"
    )
    await expect(preview.get_by_label("details")).to_have_count(0)
    await preview.get_by_label("Volume").fill("150")
    await expect(preview.get_by_label("details")).to_be_visible()
    assert await find_violations(page) == []

    # Ordered with the keyboard.
    handle = fields.get_by_role("button", name="Move details", exact=True)
    await handle.focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_text("details is at position 3.")).to_be_attached()
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_text("details is at position 2.")).to_be_attached()
    await page.keyboard.press("Space")
    await expect(page.get_by_text("details was dropped at position 2.")).to_be_attached()
    await page.get_by_role("button", name="Save as draft").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Flare")

    # Published, and a second version that is described before it is saved.
    await page.get_by_role("button", name="Publish").click()
    await page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    await expect(page.get_by_text("Published, version 1")).to_be_visible()
    await page.get_by_label("Category").fill("safety")
    changes = page.get_by_role("region", name="Changes of version 2")
    await expect(changes).to_contain_text("Changed category from 'general' to 'safety'.")
    await page.get_by_role("button", name="Save as version 2").click()
    await expect(page.get_by_text("Published, version 2")).to_be_visible()
    await page.get_by_role("button", name="Show changes of version 2").click()
    await expect(page.get_by_role("group", name="Changes of version 2")).to_contain_text(
        '+   "category": "safety"'
    )
    assert await find_violations(page) == []

    # The definition of version 1 becomes version 3.
    await page.get_by_role("button", name="Restore version 1").click()
    dialog = page.get_by_role("dialog", name="Restore version 1")
    await expect(dialog.get_by_role("group", name="Changes of version 3")).to_contain_text(
        '-   "category": "safety"'
    )
    assert await find_violations(page) == []
    await dialog.get_by_role("button", name="Save as version 3").click()
    await expect(page.get_by_text("Published, version 3")).to_be_visible()
    await expect(page.get_by_label("Category")).to_have_value("general")

    assert (await client.execute_field(EVENT_TYPES))["nodes"] == [
        {
            "type": "com.acme.flare",
            "name": "Flare",
            "state": "PUBLISHED",
            "version": 3,
            "fields": [
                {
                    "name": "volume",
                    "label": "Volume",
                    "kind": "NUMBER",
                    "unit": "mcf",
                    "choices": None,
                },
                {
                    "name": "details",
                    "label": "details",
                    "kind": "TEXT",
                    "unit": None,
                    "choices": None,
                },
                {
                    "name": "cause",
                    "label": "cause",
                    "kind": "SELECT",
                    "unit": None,
                    "choices": [{"value": "w", "label": "Weather"}],
                },
            ],
            "conditionalRules": [
                {
                    "effect": "SHOW",
                    "condition": {
                        "all": [{"field": {"field": "volume", "operator": "GTE", "value": 100}}]
                    },
                    "targets": [{"name": "details"}],
                }
            ],
        }
    ]
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_rules_that_a_change_would_break_are_named_before_it_is_saved(
    narrow: BrowserVisit, client: Client
) -> None:
    event_type = await define_event_type(
        client,
        field_input("volume", "NUMBER"),
        field_input("note"),
        conditionalRules=[rule_input("SHOW", "note", predicate_input("volume", "GT", 5))],
    )
    rule = {
        "name": "plausible",
        "eventTypeId": event_type["id"],
        "expression": "event.fields.volume < 500",
        "message": "Too much.",
    }
    assert (await client.execute_field(CREATE_GUARD_RULE, input=rule))["userErrors"] == []
    page = await sign_in_to(narrow, f"/event-types/{event_type['id']}")
    await expect(page.get_by_role("link", name="plausible")).to_be_visible()
    await expect_to_fit(page)

    await page.get_by_role("button", name="Remove volume").tap()

    await expect(page.get_by_role("button", name="Add a field")).to_be_focused()
    await expect(page.get_by_text("the guard rule 'plausible' invalid")).to_be_visible()
    await expect(
        page.get_by_role("list", name="Conditional rules").get_by_text("Unknown field 'volume'")
    ).to_be_visible()
    await page.get_by_role("button", name="Save as version 2").tap()
    await expect(page.get_by_role("alert")).to_contain_text("The change was rejected.")
    await expect_to_fit(page)
    assert await find_violations(page) == []
    assert (await client.execute_field(EVENT_TYPES))["nodes"][0]["version"] == 1


async def test_event_types_can_be_read_without_the_permission_to_change_them(
    visitor: BrowserVisit, client: Client
) -> None:
    await define_event_type(client, field_input("volume", "NUMBER"))
    await client.log_event(type="gauge")
    _, key = await create_key(client, "EVENT_READ")

    page = await sign_in_to(visitor, "/event-types", key)
    await expect(page.get_by_role("row", name="Gauge")).to_contain_text("Published")
    await expect(page.get_by_role("row", name="Gauge")).to_contain_text("1")
    await expect(page.get_by_text("you need the permission EVENT_TYPE_MANAGE")).to_be_visible()
    await page.get_by_role("link", name="Gauge").click()

    await expect(page.get_by_text("you need the permission EVENT_TYPE_MANAGE")).to_be_visible()
    await expect(page.get_by_role("button", name="Save as")).to_have_count(0)
    await expect(page.get_by_role("region", name="Use")).to_contain_text("1 event")
    assert await find_violations(page) == []
