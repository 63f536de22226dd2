"""GraphiQL as an operator meets it: signed in by a link, offline, live."""

import re

from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Visitor
from tests.client import ADMINISTRATOR


def answer(page: Page) -> Locator:
    return page.get_by_label("Result Window")


async def choose(page: Page, operation: str) -> None:
    """Brings the tab of that name to the front, with its operation in the editor."""
    await page.get_by_role("tab", name=operation).get_by_text(operation).click()
    await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text(operation)


async def run(page: Page) -> None:
    await page.get_by_role("button", name="Execute query").click()


async def log_an_event(page: Page) -> str:
    """Runs the first example as it stands, and answers with the id of the event."""
    await choose(page, "LogAnEvent")
    await run(page)
    await expect(answer(page)).to_contain_text('"userErrors": []')
    logged = re.search(r'"id":\s"([^"]+)"', await answer(page).inner_text())
    assert logged
    return logged[1]


async def kept(page: Page, storage: str) -> str:
    return str(await page.evaluate(f"JSON.stringify({storage})"))


async def test_the_link_signs_in_and_nothing_leaves_the_host(visitor: Visitor) -> None:
    page = await visitor.visit()

    for operation in ("LogAnEvent", "ListEvents", "HearNotifications"):
        await choose(page, operation)

    assert await page.title() == "Tocsin · GraphiQL"
    assert page.url == f"{visitor.url}/graphql"
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_a_query_answers(visitor: Visitor) -> None:
    page = await visitor.visit()
    event = await log_an_event(page)

    await choose(page, "ListEvents")
    await run(page)

    await expect(answer(page)).to_contain_text('"totalCount": 1')
    await expect(answer(page)).to_contain_text(event)
    assert visitor.complaints == []


async def test_a_subscription_shows_an_event_the_moment_it_is_logged(visitor: Visitor) -> None:
    listening = await visitor.visit()
    await choose(listening, "HearNotifications")
    await run(listening)
    await expect(answer(listening)).to_contain_text('"received": 0')

    event = await log_an_event(await visitor.visit())

    await expect(answer(listening)).to_contain_text('"received": 1')
    await expect(answer(listening)).to_contain_text(event)
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_a_subscription_ends_when_its_reader_stops_it(visitor: Visitor) -> None:
    page = await visitor.visit()
    await choose(page, "HearNotifications")

    async with page.expect_event("websocket") as opened:
        await run(page)
    socket = await opened.value
    await expect(answer(page)).to_contain_text('"received": 0')
    await page.get_by_role("button", name="Stop query").click()

    if not socket.is_closed():
        await socket.wait_for_event("close")
    assert visitor.complaints == []


async def test_without_a_key_the_page_asks_for_one(visitor: Visitor) -> None:
    page = await visitor.visit(key=None)

    await expect(page.get_by_role("main")).to_contain_text("A key is needed.")
    assert visitor.complaints == []


async def test_a_key_that_is_pasted_signs_in(visitor: Visitor) -> None:
    page = await visitor.visit(key=None)

    await page.get_by_label("Key").fill(ADMINISTRATOR)
    await page.get_by_role("button", name="Sign in").click()
    await choose(page, "ListEvents")
    await run(page)

    await expect(answer(page)).to_contain_text("totalCount")
    assert visitor.complaints == []


async def test_a_refused_key_is_said_to_be_refused(visitor: Visitor) -> None:
    page = await visitor.visit(key="not-a-key")

    await expect(answer(page)).to_contain_text("The server refused the key.")

    await choose(page, "HearNotifications")
    await run(page)

    await expect(answer(page)).to_contain_text("The server refused the key.")
    await expect(answer(page)).to_contain_text("4403")


async def test_the_key_is_in_no_address_and_outlives_no_tab(visitor: Visitor) -> None:
    page = await visitor.visit()
    for operation in ("ListEvents", "LogAnEvent", "ListEvents"):
        await choose(page, operation)
        await run(page)
        await expect(answer(page)).to_contain_text('"data"')
    await page.wait_for_function("localStorage.getItem('tocsin:graphiql:queries') !== null")

    await page.reload()
    await choose(page, "ListEvents")
    await run(page)
    await expect(answer(page)).to_contain_text("totalCount")

    assert ADMINISTRATOR in await kept(page, "sessionStorage")
    assert ADMINISTRATOR not in await kept(page, "localStorage")
    assert [address for address in visitor.addresses if ADMINISTRATOR in address] == []
    elsewhere = await visitor.visit(key=None)
    await expect(elsewhere.get_by_role("main")).to_contain_text("A key is needed.")
