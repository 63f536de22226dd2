"""The page below a path of nginx, with TLS."""

from pathlib import Path

from playwright.async_api import Browser, expect

from tests.browser.conftest import open_profile
from tests.browser.console.actions import sign_in_to
from tests.browser.page_actions import log_example_event, result_window, start_subscription
from tests.client import Client
from tests.reverse_proxy import run_behind_nginx


async def test_the_page_and_its_socket_work_below_a_path_of_nginx(
    chromium: Browser, tmp_path: Path
) -> None:
    async with (
        run_behind_nginx(tmp_path) as url,
        open_profile(url, chromium) as visitor,
    ):
        listening = await visitor.visit()
        await start_subscription(listening)
        event = await log_example_event(await visitor.visit())

        await expect(result_window(listening)).to_contain_text(event)

    sockets = {address for address in visitor.addresses if address.startswith("wss:")}
    assert sockets == {url.replace("https", "wss") + "/graphql"}
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_the_console_works_below_a_path_of_nginx(chromium: Browser, tmp_path: Path) -> None:
    async with (
        run_behind_nginx(tmp_path) as url,
        open_profile(url, chromium) as visitor,
        Client(url) as client,
    ):
        event = await client.log_event(summary="Pump stopped")
        page = await sign_in_to(visitor, f"/events/{event['id']}")
        await expect(page.get_by_role("heading", name="Pump stopped")).to_be_visible()
        await page.get_by_role("link", name="Events").click()

        await expect(page.get_by_role("link", name="Pump stopped")).to_be_visible()
        assert page.url == f"{url}/events"

    assert visitor.strayed == []
    assert visitor.complaints == []
