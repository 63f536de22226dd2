"""Many subscribers with the same query share one execution per entry; some differences prevent
it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.websockets import WebSocket
from structlog.testing import capture_logs
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.domain.access.caller import Permission
from app.graphql.change_log import notifications
from app.graphql.shared import permissions
from app.services.change_log import history
from app.store.change_log.changes import Entry
from app.store.engine.database import Database
from tests.client import TIMEOUT_SECONDS, Client, Socket
from tests.conftest import SQLITE, Serve, Statements, build_shared_schema
from tests.factories import create_api_key

NESTED = """
subscription ($filter: EventFilter, $after: String) {
  notificationAdded(filter: $filter, after: $after) {
    cursor
    node { summary eventType { name } history { nodes { kind } } }
  }
}
"""
SHORT = """
subscription ($filter: EventFilter, $after: String) {
  notificationAdded(filter: $filter, after: $after) { node { summary } }
}
"""
EXECUTED = SHORT.replace("summary", "summary cloudEvent")  # no plan covers it
CHANGED = """
subscription ($filter: EventFilter, $after: String) {
  eventChanged(filter: $filter, after: $after) { kind event { summary severity } }
}
"""
LOG = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"
UPDATE = """
mutation ($input: UpdateEventInput!) { updateEvent(input: $input) { userErrors { code } } }
"""


class SubscriptionListener:
    """A socket with several subscriptions. Collects the payloads of each as they were sent."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._payloads: dict[str, list[str]] = {}

    async def subscribe(self, id: str, query: str, **variables: Any) -> None:
        self._payloads[id] = []
        payload = {"query": query, "variables": variables}
        await self._socket.send(id=id, type="subscribe", payload=payload)

    async def receive_messages(self, count: int) -> dict[str, list[Any]]:
        """Receives this number of messages. Returns the payloads of each subscription in order."""
        for _ in range(count):
            message = await self._socket.receive()
            payload = {} if message["type"] == "complete" else message["payload"]
            self._payloads[message["id"]].append(json.dumps(payload))
        received = {id: [json.loads(each) for each in all] for id, all in self._payloads.items()}
        self._payloads = {id: [] for id in self._payloads}
        return received


@contextlib.asynccontextmanager
async def open_listener(client: Client) -> AsyncIterator[SubscriptionListener]:
    async with client.socket() as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        yield SubscriptionListener(socket)


def extract_summaries(payloads: list[Any], field: str = "node") -> list[str]:
    return [edge[field]["summary"] for each in payloads for edge in each["data"].values()]


async def log_notifications(client: Client, *few: str, **overrides: Any) -> None:
    reports = [{"summary": each, "notification": True} | overrides for each in few]
    await client.execute_field(LOG, input=reports)


@pytest.fixture
def executed_entries(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """The executed entries, once for each execution."""
    executed: list[Entry] = []
    show = notifications._to_notification_edge

    def record(cursor: str, entry: Entry) -> notifications.NotificationEdge | None:
        executed.append(entry)
        return show(cursor, entry)

    monkeypatch.setattr(notifications, "_to_notification_edge", record)
    return executed


async def test_twenty_subscribers_share_one_execution_of_an_entry(
    own_client: Client, statements: Statements, executed_entries: list[Entry]
) -> None:
    async with AsyncExitStack() as stack:
        head = await own_client.execute_field("{ logHead }")
        first = await stack.enter_async_context(open_listener(own_client))
        await first.subscribe("alone", NESTED, after=head)
        await log_notifications(own_client, "known")
        assert extract_summaries((await first.receive_messages(1))["alone"]) == ["known"]

        await log_notifications(own_client, "to one")
        await first.receive_messages(1)
        others = [await stack.enter_async_context(open_listener(own_client)) for _ in range(4)]
        for each in others:
            for number in range(5):
                await each.subscribe(str(number), NESTED, after=head)
        for (
            each
        ) in others:  # from the change log, each alone: different positions, but the same responses
            assert {
                tuple(extract_summaries(v)) for v in (await each.receive_messages(10)).values()
            } == {("known", "to one")}
        executed_entries.clear()
        statements.clear()
        await log_notifications(own_client, "to all")
        received = [await each.receive_messages(5) for each in others]
        [own] = (await first.receive_messages(1))["alone"]
        histories = [each for each in statements if "row_number" in each]

    assert [entry.state.summary for entry in executed_entries] == ["to all"]
    assert all(payloads == [own] for each in received for payloads in each.values())
    assert len(histories) == 1


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)  # the database has no part in it
@pytest.mark.parametrize("query", [SHORT, EXECUTED])
async def test_a_broadcast_does_not_keep_the_connection_of_its_first_subscriber(
    own_client: Client, query: str
) -> None:
    head = await own_client.execute_field("{ logHead }")
    async with asyncio.timeout(TIMEOUT_SECONDS), AsyncExitStack() as stack:
        async with open_listener(own_client) as first:
            await first.subscribe("1", query, after=head)
            await log_notifications(own_client, "to one")
            await first.receive_messages(1)
            other = await stack.enter_async_context(open_listener(own_client))
            await other.subscribe("1", query, after=head)
            await other.receive_messages(1)
            assert count_sockets(own_client) == 2
        while count_sockets(own_client) > 1:
            await asyncio.sleep(0.05)
        await log_notifications(own_client, "to the other")
        received = await other.receive_messages(1)

    assert extract_summaries(received["1"]) == ["to the other"]


def count_sockets(client: Client) -> int:
    """Returns the number of WebSocket connections of the server in memory, open or closed."""
    gc.collect()
    port = client.http.base_url.port
    sockets = [each for each in gc.get_objects() if type(each) is WebSocket]
    return len([each for each in sockets if each.scope["server"][1] == port])


async def test_available_responses_are_sent_in_one_write(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = WebSocketsSansIOProtocol.send

    async def record(protocol: WebSocketsSansIOProtocol, message: Any) -> None:
        written.append(message.get("text", ""))
        await write(protocol, message)

    monkeypatch.setattr(WebSocketsSansIOProtocol, "send", record)
    head = await client.execute_field("{ logHead }")
    logged = [str(n) for n in range(30)]
    await log_notifications(client, *logged)
    async with open_listener(client) as listener:
        await listener.subscribe("1", SHORT, after=head)
        received = extract_summaries((await listener.receive_messages(30))["1"])

    assert received == logged
    assert len([each for each in written if '"next"' in each]) == 1


async def test_each_group_receives_its_selected_entries_in_order(
    client: Client,
) -> None:
    groups: dict[str, tuple[str, dict[str, Any]]] = {
        "all": (SHORT, {}),
        "grave": (SHORT, {"severities": ["ERROR", "WARN"]}),
        "typed": (NESTED, {"types": ["even"]}),
        "changed": (CHANGED, {"types": ["even"], "severities": ["ERROR"]}),
    }
    logged = [
        {
            "summary": str(n),
            "type": ("even", "odd")[n % 2],
            "severity": ("error", "info", "warn")[n % 3],
            "notification": True,
        }
        for n in range(60)
    ]
    expected = {
        "all": [str(n) for n in range(60)],
        "grave": [str(n) for n in range(60) if n % 3 != 1],
        "typed": [str(n) for n in range(60) if n % 2 == 0],
        "changed": [str(n) for n in range(60) if n % 6 == 0],
    }
    head = await client.execute_field("{ logHead }")
    async with AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(open_listener(client)) for _ in range(3)]
        for each in listeners:
            for name, (query, filter) in groups.items():
                await each.subscribe(name, query, filter=filter, after=head)
        for start in range(0, 60, 20):
            await client.execute_field(LOG, input=logged[start : start + 20])
        received = [
            await each.receive_messages(sum(map(len, expected.values()))) for each in listeners
        ]

    for own in received:
        summaries_by_group = {
            name: extract_summaries(own[name]) for name in ("all", "grave", "typed")
        }
        summaries_by_group["changed"] = extract_summaries(own["changed"], "event")
        assert summaries_by_group == expected


@pytest.fixture
def own_schema() -> Iterator[None]:
    """Lets the servers of a test build a schema of their own, from definitions that it changes."""
    build_shared_schema.cache_clear()
    yield
    build_shared_schema.cache_clear()


@pytest.mark.usefixtures("own_schema")
async def test_subscribers_with_different_permissions_share_no_response(
    database: Database,
    database_url: str,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(permissions.REQUIRED_PERMISSIONS, "Event.history", permissions.MANAGE_RULES)
    key = await create_api_key(database, Permission.EVENT_READ)
    blind = await create_api_key(database, Permission.EVENT_CREATE)
    async with (
        serve(database_url) as client,
        open_listener(client) as all_seeing,
        open_listener(client.as_key(key)) as reading,
        open_listener(client.as_key(blind)) as writing,
    ):
        head = await client.execute_field("{ logHead }")
        for each in (all_seeing, reading, writing):
            await each.subscribe("1", NESTED, after=head)
        [refused] = (await writing.receive_messages(1))["1"]
        await log_notifications(client, "heard")
        [seen] = (await all_seeing.receive_messages(1))["1"]
        [unseen] = (await reading.receive_messages(1))["1"]

    assert refused[0]["extensions"]["code"] == "FORBIDDEN"
    assert extract_summaries([seen]) == ["heard"]
    assert unseen["data"] is None
    assert [each["extensions"]["code"] for each in unseen["errors"]] == ["FORBIDDEN"]


async def test_all_subscribers_receive_an_error_that_is_logged_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_listener(client) as one, open_listener(client) as another:
        head = await client.execute_field("{ logHead }")
        for listener in (one, another):
            for id in ("1", "2"):
                await listener.subscribe(id, NESTED, after=head)
        await log_notifications(client, "fine")
        assert {
            tuple(extract_summaries(payloads))
            for listener in (one, another)
            for payloads in (await listener.receive_messages(2)).values()
        } == {("fine",)}

        async def failing(*_: Any) -> Any:
            raise KeyError("secret")

        with monkeypatch.context() as patched, capture_logs() as logged:
            patched.setattr(history, "fetch_pages", failing)
            await log_notifications(client, "broken")
            received = [await listener.receive_messages(2) for listener in (one, another)]
        await log_notifications(client, "fine again")
        after = [extract_summaries(each) for each in (await one.receive_messages(2)).values()]

    [error] = received[0]["1"][0]["errors"]
    assert (
        error["message"]
        == "Internal server error. Report the reference of this error to the operator of the "
        "server."
    )
    assert [each["reference"] for each in logged if each["event"] == "internal_error"] == [
        error["extensions"]["reference"]
    ]
    assert [each[id] for each in received for id in ("1", "2")] == [received[0]["1"]] * 4
    assert after == [["fine again"]] * 2


async def test_filters_that_are_equal_only_in_python_are_not_shared(
    client: Client,
) -> None:
    def of(value: object) -> dict[str, object]:
        return {"fields": [{"field": "n", "operator": "EQ", "value": value}]}

    async with open_listener(client) as listener:
        head = await client.execute_field("{ logHead }")
        for name, value in (("one", 1), ("true", True)):
            await listener.subscribe(name, CHANGED, filter=of(value), after=head)
        reports = [{"summary": str(value), "fields": {"n": value}} for value in (1, True)]
        await client.execute_field(LOG, input=reports)
        received = await listener.receive_messages(2)

    assert {name: extract_summaries(each, "event") for name, each in received.items()} == {
        "one": ["1"],
        "true": ["True"],
    }


async def test_subscriptions_whose_cursor_affects_the_response_are_not_shared(
    client: Client,
) -> None:
    query = """
    subscription ($after: String) {
      notificationAdded(after: $after) {
        node { summary history(after: $after) { nodes { kind } } }
      }
    }
    """
    before = await client.execute_field("{ logHead }")
    event = await client.log_event(summary="rings later")
    between = await client.execute_field("{ logHead }")
    async with open_listener(client) as listener:
        await listener.subscribe("early", query, after=before)
        await listener.subscribe("late", query, after=between)
        await client.execute_field(UPDATE, input={"id": event["id"], "notification": True})
        received = await listener.receive_messages(2)

    kinds = {
        id: payload["data"]["notificationAdded"]["node"]["history"]["nodes"]
        for id, [payload] in received.items()
    }
    assert kinds == {
        "early": [{"kind": "LOGGED"}, {"kind": "UPDATED"}],
        "late": [{"kind": "UPDATED"}],
    }
