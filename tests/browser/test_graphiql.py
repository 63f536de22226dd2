"""GraphiQL as an operator meets it: signed in by a link, offline, live."""

import re

from playwright.async_api import Locator, Page, WebSocketRoute, expect

from tests.browser.conftest import BrowserVisit
from tests.client import ADMINISTRATOR, Client

OTHER_SUBSCRIPTION = "subscription Other { notificationAdded { cursor node { summary } } }"


def result_window(page: Page) -> Locator:
    return page.get_by_label("Result Window")


async def open_tab(page: Page, operation: str) -> None:
    """Brings the tab of that name to the front, with its operation in the editor."""
    await page.get_by_role("tab", name=operation).get_by_text(operation).click()
    await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text(operation)


async def execute_query(page: Page) -> None:
    await page.get_by_role("button", name="Execute query").click()


async def start_subscription(page: Page) -> None:
    """Runs the third example, up to where it waits for its first event."""
    await open_tab(page, "HearNotifications")
    await execute_query(page)
    await expect(result_window(page)).to_contain_text('"received": 0')


async def log_example_event(page: Page) -> str:
    """Runs the first example as it stands, and answers with the id of the event."""
    await open_tab(page, "LogAnEvent")
    async with page.expect_response(f"{page.url}") as answered:
        await execute_query(page)
    payload = (await (await answered.value).json())["data"]["logEvent"]
    assert payload["userErrors"] == []
    event = str(payload["event"]["id"])
    await expect(result_window(page)).to_contain_text(event)
    return event


async def read_storage(page: Page, storage: str) -> str:
    return str(await page.evaluate(f"JSON.stringify({storage})"))


async def test_the_link_signs_in_and_nothing_leaves_the_host(visitor: BrowserVisit) -> None:
    page = await visitor.visit()

    for operation in ("LogAnEvent", "ListEvents", "HearNotifications"):
        await open_tab(page, operation)

    assert await page.title() == "Tocsin · GraphiQL"
    assert page.url == f"{visitor.url}/graphql"
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_a_query_answers(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    event = await log_example_event(page)

    await open_tab(page, "ListEvents")
    await execute_query(page)

    await expect(result_window(page)).to_contain_text('"totalCount": 1')
    await expect(result_window(page)).to_contain_text(event)
    assert visitor.complaints == []


async def test_markup_in_an_event_is_shown_and_never_run(visitor: BrowserVisit) -> None:
    image = "<img src=x onerror=\"document.title='taken'\">"
    script = "<script>document.title='taken'</script>"
    await visitor.context.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error(e.violatedDirective))"
    )
    async with Client(visitor.url) as reporter:
        await reporter.log_event(
            type="</script>" + script,
            summary=image,
            source="javascript:document.title='taken'",
            notification=True,
        )
    page = await visitor.visit()

    await open_tab(page, "ListEvents")
    await execute_query(page)

    await expect(result_window(page)).to_contain_text("onerror=")
    await expect(result_window(page)).to_contain_text("</script>")
    assert await page.locator("img[src=x]").count() == 0
    assert await page.title() == "Tocsin · GraphiQL"
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_a_subscription_shows_an_event_the_moment_it_is_logged(visitor: BrowserVisit) -> None:
    listening = await visitor.visit()
    await start_subscription(listening)

    event = await log_example_event(await visitor.visit())

    await expect(result_window(listening)).to_contain_text('"received": 1')
    await expect(result_window(listening)).to_contain_text(event)
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_a_subscription_goes_on_while_its_tab_is_left(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await start_subscription(page)

    missed = await log_example_event(page)
    await open_tab(page, "HearNotifications")

    await expect(result_window(page)).to_contain_text('"received": 1')
    await expect(result_window(page)).to_contain_text(missed)
    await expect(page.get_by_role("button", name="Stop query")).to_be_visible()

    seen = await log_example_event(await visitor.visit())

    await expect(result_window(page)).to_contain_text('"received": 2')
    await expect(result_window(page)).to_contain_text(seen)
    assert visitor.complaints == []


async def test_each_tab_has_a_subscription_of_its_own(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await start_subscription(page)
    await page.get_by_role("button", name="New tab").click()
    await page.get_by_role("textbox", name="Editor content").first.fill(OTHER_SUBSCRIPTION)
    await expect(page.get_by_role("tab", name="Other")).to_be_visible()
    await execute_query(page)
    await expect(result_window(page)).to_contain_text('"received": 0')

    await log_example_event(page)
    await open_tab(page, "Other")
    await expect(result_window(page)).to_contain_text('"received": 1')
    await page.get_by_role("button", name="Stop query").click()
    await log_example_event(page)

    await open_tab(page, "HearNotifications")
    await expect(result_window(page)).to_contain_text('"received": 2')
    await open_tab(page, "Other")
    await expect(result_window(page)).to_contain_text('"received": 1')
    await expect(page.get_by_role("button", name="Execute query")).to_be_visible()
    assert visitor.complaints == []


async def test_a_new_tab_runs_at_once_beside_a_subscription(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await start_subscription(page)

    await page.get_by_role("button", name="New tab").click()
    await page.get_by_role("textbox", name="Editor content").first.fill("{ __typename }")
    await execute_query(page)

    await expect(result_window(page)).to_contain_text('"__typename": "Query"')
    assert visitor.complaints == []


async def test_a_subscription_ends_when_its_tab_is_closed(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    async with page.expect_event("websocket") as opened:
        await start_subscription(page)
    socket = await opened.value
    await open_tab(page, "LogAnEvent")

    tab = page.get_by_role("tab", name="HearNotifications")
    await tab.hover()
    await tab.get_by_role("button", name="Close Tab").click()

    if not socket.is_closed():
        await socket.wait_for_event("close")
    assert visitor.complaints == []


async def test_a_lost_connection_tells_how_to_resume_without_a_gap(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    sockets: list[WebSocketRoute] = []

    def relay(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    await page.route_web_socket("**/graphql", relay)
    await start_subscription(page)
    await log_example_event(await visitor.visit())
    await expect(result_window(page)).to_contain_text('"received": 1')

    await sockets[0].close(code=1012, reason="Service Restart")

    await expect(result_window(page)).to_contain_text(
        "The connection was lost (1012 Service Restart)."
    )
    await expect(result_window(page)).to_contain_text("notificationAdded(after: …)")
    message = "".join(
        (await result_window(page).inner_text()).split()
    )  # The editor wraps long lines.
    cursors = re.findall(r'"(?:after|cursor)":"([^"]+)"', message)
    assert len(cursors) == 2
    assert len(set(cursors)) == 1
    await expect(page.get_by_role("button", name="Execute query")).to_be_visible()


async def test_a_subscription_ends_when_its_reader_stops_it(visitor: BrowserVisit) -> None:
    page = await visitor.visit()

    async with page.expect_event("websocket") as opened:
        await start_subscription(page)
    socket = await opened.value
    await page.get_by_role("button", name="Stop query").click()

    if not socket.is_closed():
        await socket.wait_for_event("close")
    assert visitor.complaints == []


async def test_without_a_key_the_page_asks_for_one(visitor: BrowserVisit) -> None:
    page = await visitor.visit(key=None)

    await expect(page.get_by_role("main")).to_contain_text("A key is needed.")
    assert visitor.complaints == []


async def test_a_key_that_is_pasted_signs_in(visitor: BrowserVisit) -> None:
    page = await visitor.visit(key=None)

    await page.get_by_label("Key").fill(ADMINISTRATOR)
    await page.get_by_role("button", name="Sign in").click()
    await open_tab(page, "ListEvents")
    await execute_query(page)

    await expect(result_window(page)).to_contain_text("totalCount")
    assert visitor.complaints == []


async def test_a_second_browser_tab_is_signed_in_by_the_first(visitor: BrowserVisit) -> None:
    await visitor.visit()

    second = await visitor.visit(key=None)
    await open_tab(second, "ListEvents")
    await execute_query(second)

    await expect(result_window(second)).to_contain_text("totalCount")
    assert [address for address in visitor.addresses if ADMINISTRATOR in address] == []
    assert ADMINISTRATOR not in await read_storage(second, "localStorage")
    assert ADMINISTRATOR not in second.url
    assert visitor.complaints == []


async def test_a_change_of_key_that_is_cancelled_keeps_everything(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await start_subscription(page)

    await page.get_by_role("button", name="Change key").click()
    await expect(page.get_by_role("main")).to_contain_text("any API key or token", ignore_case=True)
    await page.get_by_role("button", name="Cancel").click()
    event = await log_example_event(page)
    await open_tab(page, "HearNotifications")

    await expect(result_window(page)).to_contain_text(event)
    assert visitor.complaints == []


async def test_a_changed_key_replaces_the_other(visitor: BrowserVisit) -> None:
    page = await visitor.visit(key="not-a-key")
    await expect(result_window(page)).to_contain_text("The server refused the key.")

    await page.get_by_role("button", name="Change key").click()
    await page.get_by_label("Key", exact=True).fill(ADMINISTRATOR)
    await page.get_by_role("button", name="Sign in").click()
    await open_tab(page, "ListEvents")
    await execute_query(page)

    await expect(result_window(page)).to_contain_text("totalCount")


async def test_a_refused_key_is_said_to_be_refused(visitor: BrowserVisit) -> None:
    page = await visitor.visit(key="not-a-key")

    await expect(result_window(page)).to_contain_text("The server refused the key.")

    await open_tab(page, "HearNotifications")
    await execute_query(page)

    await expect(result_window(page)).to_contain_text("The server refused the key.")
    await expect(result_window(page)).to_contain_text("4403")


async def test_the_key_is_in_no_address_and_outlives_no_tab_of_the_page(
    visitor: BrowserVisit,
) -> None:
    page = await visitor.visit()
    for operation in ("ListEvents", "LogAnEvent", "ListEvents"):
        await open_tab(page, operation)
        await execute_query(page)
        await expect(result_window(page)).to_contain_text('"data"')
    await page.wait_for_function("localStorage.getItem('tocsin:graphiql:queries') !== null")

    await page.reload()
    await open_tab(page, "ListEvents")
    await execute_query(page)
    await expect(result_window(page)).to_contain_text("totalCount")

    assert ADMINISTRATOR in await read_storage(page, "sessionStorage")
    assert ADMINISTRATOR not in await read_storage(page, "localStorage")
    assert [address for address in visitor.addresses if ADMINISTRATOR in address] == []
    await page.close()
    elsewhere = await visitor.visit(key=None)
    await expect(elsewhere.get_by_role("main")).to_contain_text("A key is needed.")
