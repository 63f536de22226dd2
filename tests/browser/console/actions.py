"""Actions of a user of the console, and checks of its pages."""

from __future__ import annotations

from typing import Any, Literal

from playwright.async_api import Page, expect

from tests.browser.conftest import BrowserVisit
from tests.client import ADMINISTRATOR
from tests.node import WEB

AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def sign_in_to(
    visitor: BrowserVisit, path: str = "/", key: str | None = ADMINISTRATOR
) -> Page:
    """Opens a page of the console by a link with the key."""
    page = await visitor.visit(key, path)
    await expect(page.get_by_role("navigation", name="Main")).to_be_attached()
    return page


async def add_condition(page: Page, kind: str, value: str) -> None:
    """Adds a condition with the editor of the page or of its dialog."""
    await page.get_by_role("button", name="Add a filter").last.click()
    form = page.get_by_role("form", name="Add a filter")
    await form.get_by_label("Condition").select_option(kind)
    if kind == "Severity":
        await form.get_by_label("Value").select_option(value)
    else:
        await form.get_by_label("Value").fill(value)
    await form.get_by_role("button", name="Add", exact=True).click()
    await expect(form).to_have_count(0)


async def find_violations(page: Page) -> list[Any]:
    """Returns the violations of accessibility rules in both color schemes."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    violations = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await expect(page.locator(f"html[data-mantine-color-scheme={scheme}]")).to_be_attached()
        result = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        violations += [
            (scheme, violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in result["violations"]
        ]
    return violations


async def expect_to_fit(page: Page) -> None:
    """Asserts that the page does not scroll horizontally."""
    width, inner = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width == inner


async def write_expression(page: Page, text: str, name: str = "Expression") -> None:
    """Types an expression. Quotes and parentheses that the editor closes are typed over."""
    editor = page.get_by_role("textbox", name=name)
    await editor.click()
    await page.keyboard.press("Control+a")
    await page.keyboard.press("Delete")
    await page.keyboard.type(text)
    await page.keyboard.press("Escape")
