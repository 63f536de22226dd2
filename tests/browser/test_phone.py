"""The page on a phone: 390 by 844 pixels, with touch."""

from playwright.async_api import FloatRect, Locator, Page, expect

from tests.browser.conftest import BrowserVisit
from tests.browser.page_actions import log_example_event, result_window, sign_in
from tests.client import ADMINISTRATOR

WIDTH, HEIGHT = 390, 844


async def expect_to_fit(page: Page) -> None:
    """Asserts that nothing scrolls horizontally or makes the browser zoom out."""
    widths = await page.evaluate(
        "[document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]"
    )
    assert widths == [WIDTH, WIDTH, WIDTH]


async def locate(locator: Locator) -> FloatRect:
    """Returns the rectangle of the element, which must be within the screen."""
    await expect(locator).to_be_visible()
    box = await locator.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= WIDTH
    assert box["y"] + box["height"] <= HEIGHT
    return box


async def test_the_sign_in_form_fits(phone: BrowserVisit) -> None:
    page = await phone.visit(key=None)

    await locate(page.get_by_label("Key", exact=True))
    await locate(page.get_by_role("button", name="Sign in"))
    await expect_to_fit(page)

    await sign_in(page, "not-a-key")
    await locate(page.get_by_role("main").get_by_role("alert"))
    await expect_to_fit(page)

    await sign_in(page, ADMINISTRATOR)
    await expect(result_window(page)).to_be_visible()
    await expect_to_fit(page)


async def test_an_example_runs_and_its_response_is_below_the_editor(phone: BrowserVisit) -> None:
    page = await phone.visit()

    event = await log_example_event(page)

    editor = await locate(page.locator(".graphiql-query-editor"))
    response = await locate(result_window(page))
    line = await locate(result_window(page).get_by_text(event[:8]).first)
    assert response["y"] >= editor["y"] + editor["height"]
    assert min(editor["height"], response["height"], editor["width"]) >= 250
    assert line["y"] > response["y"]
    await expect_to_fit(page)
    assert phone.complaints == []


async def test_every_tab_can_be_reached(phone: BrowserVisit) -> None:
    page = await phone.visit()
    tabs = page.get_by_role("tab")
    await expect(tabs).to_have_count(7)

    for tab in reversed(await tabs.all()):
        name = await tab.inner_text()
        await tab.get_by_text(name).tap()
        await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text(name)

    await locate(page.get_by_role("button", name="New tab"))
    await locate(page.get_by_role("button", name="Execute query"))
    await expect_to_fit(page)


async def test_the_documentation_opens_and_closes(phone: BrowserVisit) -> None:
    page = await phone.visit()
    documentation = page.get_by_role("region", name="Documentation Explorer")

    await page.get_by_role("button", name="Show Documentation Explorer").tap()
    await expect(documentation).to_contain_text("All Schema Types")
    box = await locate(page.locator(".graphiql-plugin"))
    assert box["width"] == WIDTH
    await documentation.get_by_role("link", name="Query", exact=True).tap()
    await expect(documentation).to_contain_text("eventTypes")
    await expect_to_fit(page)

    await page.get_by_role("button", name="Hide Documentation Explorer").tap()
    await locate(page.get_by_role("button", name="Execute query"))


async def test_the_key_can_be_changed(phone: BrowserVisit) -> None:
    page = await phone.visit()

    await locate(page.get_by_role("button", name="Change key"))
    await page.get_by_role("button", name="Change key").tap()

    await locate(page.get_by_role("button", name="Cancel"))
    await expect_to_fit(page)
