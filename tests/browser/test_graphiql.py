"""GraphiQL as an operator uses it: signed in by a link, offline, live."""

import re

from playwright.async_api import WebSocketRoute, expect

from tests.browser.conftest import BrowserVisit
from tests.browser.page_actions import (
    create_key,
    execute_query,
    is_response_to,
    log_example_event,
    open_tab,
    read_storage,
    result_window,
    sign_in,
    start_subscription,
)
from tests.client import ADMINISTRATOR, LOG_EVENT, Client

OTHER_SUBSCRIPTION = "subscription Other { notificationAdded { cursor node { summary } } }"


async def test_the_link_signs_in_and_nothing_leaves_the_host(visitor: BrowserVisit) -> None:
    page = await visitor.visit()

    for operation in ("LogEvent", "ListEvents", "WatchNotifications"):
        await open_tab(page, operation)

    assert await page.title() == "Tocsin · GraphiQL"
    assert page.url == f"{visitor.url}/graphql"
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_a_query_returns_data(visitor: BrowserVisit) -> None:
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
    await expect(page).to_have_title("(1) Tocsin · GraphiQL")
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_a_subscription_shows_an_event_as_soon_as_it_is_logged(visitor: BrowserVisit) -> None:
    listening = await visitor.visit()
    await start_subscription(listening)

    event = await log_example_event(await visitor.visit())

    await expect(result_window(listening)).to_contain_text('"received": 1')
    await expect(result_window(listening)).to_contain_text(event)
    assert visitor.strayed == []
    assert visitor.complaints == []


async def test_a_subscription_continues_while_another_tab_is_active(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await start_subscription(page)

    missed = await log_example_event(page)
    await open_tab(page, "WatchNotifications")

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

    await open_tab(page, "WatchNotifications")
    await expect(result_window(page)).to_contain_text('"received": 2')
    await open_tab(page, "Other")
    await expect(result_window(page)).to_contain_text('"received": 1')
    await expect(page.get_by_role("button", name="Execute query")).to_be_visible()
    assert visitor.complaints == []


async def test_a_new_tab_runs_immediately_during_a_subscription(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await start_subscription(page)

    await page.get_by_role("button", name="New tab").click()
    await page.get_by_role("textbox", name="Editor content").first.fill("{ __typename }")
    await execute_query(page)

    await expect(result_window(page)).to_contain_text('"__typename": "Query"')
    assert visitor.complaints == []


async def test_a_new_tab_and_the_name_of_its_operation_are_in_view(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await page.set_viewport_size({"width": 1280, "height": 720})

    for number in range(3):
        await page.get_by_role("button", name="New tab").click()
        await page.get_by_role("textbox", name="Editor content").first.fill(
            f"query OperationWithALongName{number} {{ __typename }}"
        )
        await execute_query(page)

        tab = page.get_by_role("tab", name=f"OperationWithALongName{number}")
        await expect(tab).to_be_in_viewport(ratio=0.99)
    await open_tab(page, "LogEvent")

    await expect(page.get_by_role("tab", name="LogEvent")).to_be_in_viewport(ratio=0.99)
    assert visitor.complaints == []


async def test_a_subscription_ends_when_its_tab_is_closed(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await start_subscription(page)
    socket = await visitor.find_socket("WatchNotifications")
    await open_tab(page, "LogEvent")

    tab = page.get_by_role("tab", name="WatchNotifications")
    await tab.hover()
    await tab.get_by_role("button", name="Close Tab").click()

    if not socket.is_closed():
        await socket.wait_for_event("close")
    assert visitor.complaints == []


async def test_a_lost_connection_shows_how_to_resume_without_a_gap(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    sockets: list[WebSocketRoute] = []

    def relay(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def forward(message: str | bytes) -> None:
            if "WatchNotifications" in str(message):
                sockets.append(socket)
            server.send(message)

        socket.on_message(forward)

    await page.route_web_socket("**/graphql", relay)
    await start_subscription(page)
    await log_example_event(await visitor.visit())
    await expect(result_window(page)).to_contain_text('"received": 1')

    await sockets[0].close(code=1012, reason="The server is shutting down. Reconnect.")

    await expect(result_window(page)).to_contain_text(
        "The connection was lost: The server is shutting down (1012)."
    )
    await expect(result_window(page)).to_contain_text("notificationAdded(after: …)")
    message = "".join(
        (await result_window(page).inner_text()).split()
    )  # The editor wraps long lines.
    cursors = re.findall(r'"(?:after|cursor)":"([^"]+)"', message)
    assert len(cursors) == 2
    assert len(set(cursors)) == 1
    await expect(page.get_by_role("button", name="Execute query")).to_be_visible()


async def test_a_subscription_ends_when_the_user_stops_it(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await start_subscription(page)
    socket = await visitor.find_socket("WatchNotifications")
    await page.get_by_role("button", name="Stop query").click()

    if not socket.is_closed():
        await socket.wait_for_event("close")
    assert visitor.complaints == []


async def test_without_a_key_the_page_asks_for_one(visitor: BrowserVisit) -> None:
    page = await visitor.visit(key=None)

    await expect(page.get_by_role("main")).to_contain_text("Sign in with a key.")
    assert visitor.complaints == []


async def test_a_pasted_key_signs_in(visitor: BrowserVisit) -> None:
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


async def test_cancelling_a_change_of_key_keeps_everything(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await start_subscription(page)

    await page.get_by_role("button", name="Change key").click()
    await expect(page.get_by_role("main")).to_contain_text("Change the key.")
    await page.get_by_role("button", name="Cancel").click()
    event = await log_example_event(page)
    await open_tab(page, "WatchNotifications")

    await expect(result_window(page)).to_contain_text(event)
    assert visitor.complaints == []


async def test_a_new_key_replaces_the_previous_one(visitor: BrowserVisit, client: Client) -> None:
    _, reader = await create_key(client, "EVENT_READ")
    page = await visitor.visit()
    await expect(result_window(page)).to_be_visible()

    await page.get_by_role("button", name="Change key").click()
    await sign_in(page, reader)
    await open_tab(page, "CreateApiKey")
    await execute_query(page)

    await expect(result_window(page)).to_contain_text("FORBIDDEN")
    assert visitor.complaints == []


EXAMPLES = (
    "LogEvent",
    "ListEvents",
    "WatchNotifications",
    "CreateEventType",
    "CreateGuardRule",
    "CreateApiKey",
    "ListApiKeys",
)


async def test_every_example_runs_unchanged_in_order(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await expect(page.get_by_role("tab")).to_contain_text(list(EXAMPLES))

    for example in EXAMPLES:
        if example == "WatchNotifications":
            await start_subscription(page)
            continue
        await open_tab(page, example)
        async with page.expect_response(is_response_to(example)) as received:
            await execute_query(page)
        response = await (await received.value).json()
        assert "errors" not in response
        [payload] = response["data"].values()
        assert payload.get("userErrors", []) == []
        await expect(result_window(page)).to_contain_text('"data"')

    assert visitor.complaints == []


async def test_the_example_of_a_guard_rule_behaves_as_its_comment_describes(
    visitor: BrowserVisit, client: Client
) -> None:
    page = await visitor.visit()
    await open_tab(page, "CreateGuardRule")
    async with page.expect_response(is_response_to("CreateGuardRule")) as received:
        await execute_query(page)
    rule = (await (await received.value).json())["data"]["createGuardRule"]["guardRule"]

    published = await client.execute_field(
        "mutation Publish($id: ID!) { publishGuardRule(id: $id) { guardRule { state } } }",
        id=rule["id"],
    )
    rejected = await client.execute_field(LOG_EVENT, input={"severity": "error"})
    await client.log_event(severity="error", content="The pump has stopped.")
    await client.log_event(severity="warn")

    assert rule["state"] == "DRAFT"
    assert published["guardRule"]["state"] == "PUBLISHED"
    [error] = rejected["userErrors"]
    assert error["code"] == "GUARD_REJECTED"


async def test_the_documentation_lists_types_and_fields_by_name(visitor: BrowserVisit) -> None:
    page = await visitor.visit()
    await page.get_by_role("button", name="Show Documentation Explorer").click()
    documentation = page.get_by_role("region", name="Documentation Explorer")
    await expect(documentation).to_contain_text("All Schema Types")
    await expect(documentation).to_contain_text("Tocsin: log, find and subscribe to")

    types = await documentation.locator(".graphiql-doc-explorer-type-name").all_inner_texts()
    await documentation.get_by_role("link", name="Mutation", exact=True).click()
    await expect(documentation).to_contain_text("logEvents")
    fields = await documentation.locator(".graphiql-doc-explorer-field-name").all_inner_texts()

    schema_types = types[3:]  # The root types come first.
    assert len(schema_types) > 80
    assert schema_types == sorted(schema_types)
    assert len(fields) > 30
    assert fields == sorted(fields)
    assert visitor.complaints == []


async def test_the_key_is_in_no_url_and_is_removed_with_the_tab(
    visitor: BrowserVisit,
) -> None:
    page = await visitor.visit()
    for operation in ("ListEvents", "LogEvent", "ListEvents"):
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
    await expect(elsewhere.get_by_role("main")).to_contain_text("Sign in with a key.")
