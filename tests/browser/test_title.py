"""The number of open notifications in the title of the page."""

from playwright.async_api import WebSocketRoute, expect

from tests.browser.conftest import BrowserVisit
from tests.browser.page_actions import (
    create_key,
    execute_query,
    open_tab,
    result_window,
    revoke_key,
)
from tests.client import Client

TITLE = "Tocsin · GraphiQL"
LOG_EVENTS = """
mutation LogEvents($input: [LogEventInput!]!) {
  logEvents(input: $input) { accepted rejected }
}
"""
ACKNOWLEDGE = "mutation Acknowledge($id: ID!) { acknowledgeEvent(id: $id) { userErrors { code } } }"
ACKNOWLEDGE_ALL = "mutation { acknowledgeEvents { userErrors { code } } }"


async def log_notifications(client: Client, count: int) -> None:
    events = [{"summary": f"Pump {number}", "notification": True} for number in range(count)]
    payload = await client.execute_field(LOG_EVENTS, input=events)
    assert payload == {"accepted": count, "rejected": 0}


async def test_the_title_follows_what_is_logged_acknowledged_and_deleted(
    visitor: BrowserVisit, client: Client
) -> None:
    first = await client.log_event(notification=True)
    page = await visitor.visit()
    await expect(page).to_have_title(f"(1) {TITLE}")

    second = await client.log_event(notification=True)
    await client.log_event()
    await expect(page).to_have_title(f"(2) {TITLE}")

    await client.execute_field(ACKNOWLEDGE, id=first["id"])
    await expect(page).to_have_title(f"(1) {TITLE}")

    await client.execute_field(
        "mutation Delete($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }",
        id=second["id"],
    )
    await expect(page).to_have_title(TITLE)
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_more_than_99_are_shown_as_99_plus(visitor: BrowserVisit, client: Client) -> None:
    await log_notifications(client, 99)
    page = await visitor.visit()
    await expect(page).to_have_title(f"(99) {TITLE}")

    await log_notifications(client, 1)
    await expect(page).to_have_title(f"(99+) {TITLE}")

    await client.execute_field(ACKNOWLEDGE_ALL)
    await expect(page).to_have_title(TITLE)
    assert visitor.complaints == []


async def test_a_key_without_read_permission_has_no_number_and_no_error(
    visitor: BrowserVisit, client: Client
) -> None:
    _, reporter = await create_key(client, "EVENT_CREATE")
    await client.log_event(notification=True)

    page = await visitor.visit(reporter)
    await open_tab(page, "LogEvent")
    await execute_query(page)

    await expect(result_window(page)).to_contain_text('"userErrors": []')
    assert await page.title() == TITLE
    assert visitor.complaints == []


async def test_the_number_is_updated_after_a_lost_connection(
    visitor: BrowserVisit, client: Client
) -> None:
    sockets: list[WebSocketRoute] = []

    def relay(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    await visitor.context.route_web_socket("**/graphql", relay)
    page = await visitor.visit()
    await client.log_event(notification=True)
    await expect(page).to_have_title(f"(1) {TITLE}")

    await sockets[0].close(code=1012, reason="Service Restart")
    await client.log_event(notification=True)

    await expect(page).to_have_title(f"(2) {TITLE}")
    assert len(sockets) == 2


async def test_the_number_disappears_when_the_key_is_revoked(
    visitor: BrowserVisit, client: Client
) -> None:
    key_id, key = await create_key(client, "EVENT_READ")
    await client.log_event(notification=True)
    page = await visitor.visit(key)
    await expect(page).to_have_title(f"(1) {TITLE}")
    await page.get_by_role("button", name="Show Documentation Explorer").click()
    await expect(
        page.get_by_text("All Schema Types")
    ).to_be_visible()  # its last response was received

    await revoke_key(client, key_id)

    await expect(page).to_have_title(TITLE)
    assert visitor.complaints == []
