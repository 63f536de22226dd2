"""All transports return the same bytes, and subscriptions those of graphql-core."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import pytest
from graphql import get_named_type

from app.domain.access.caller import Permission
from app.graphql.plans import value_writers
from app.graphql.plans.cached_event_types import StaleCacheError
from app.store.change_log import changes
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client, Socket
from tests.conftest import Serve
from tests.factories import create_api_key
from tests.plans.plan_and_execution import AMPLE, PlanAndExecution
from tests.plans.random_documents import CORE, RandomDocument, is_planned
from tests.plans.test_equality import list_argument_choices
from tests.plans.test_mutations import REPEATABLE, count_plans
from tests.plans.test_refusals import REFUSED

QUERIES = 60
SELECTIONS = 30
# Number of entries from the start of the change log.
ENTRIES = {"notificationAdded": 11, "eventChanged": 42}
LIVE_SELECTIONS = 10
REPORTS: list[dict[str, Any]] = [
    {"summary": "first"},
    {"summary": 'second "\u00e9\U0001f525"', "fields": {"a": [1, {"b": None}], "c": 0.1}},
    {
        "type": "t2",
        "fields": {"volume": 100.5, "cause": "wind"},
        "entity": {"type": "Well", "id": "w-1"},
        "occurredAt": "2026-04-01T10:30:00.5Z",
        "tags": ["a:b"],
        "outcome": "FAILURE",
        "source": "/live",
        "sourceId": "1",
    },
]
# The variable is inside a JSON scalar, which no plan supports. All events match.
EXECUTED_FILTER = """, filter: {or: [
  {fields: [{field: "none", operator: IN, value: [$value]}]},
  {not: {fields: [{field: "none", operator: IN, value: [$value]}]}}]}"""


class Transports:
    """Sends the same request over HTTP, a WebSocket and an event stream."""

    def __init__(self, client: Client, socket: Socket) -> None:
        self._client = client
        self._socket = socket
        self._last_id = 0

    async def execute_everywhere(self, query: str, variables: dict[str, Any]) -> str:
        """Returns the response as JSON, which must be the same everywhere.

        The errors of a request that was not executed have no cost, except over HTTP.
        """
        over_http = (await self._client.post(query, **variables)).text
        [over_socket], over_stream = await self.receive(1, query, variables)
        errors, cost, _ = over_http.partition(',"extensions":{"cost":')
        assert [over_socket] == over_stream, query
        assert over_socket == over_http or (cost and over_socket == errors + "}"), query
        return over_socket

    async def receive(
        self, count: int, query: str, variables: dict[str, Any]
    ) -> tuple[list[str], list[str]]:
        """Returns the first responses over the WebSocket and over the event stream."""
        over_socket = await self._receive_by_socket(count, query, variables)
        return over_socket, await self._receive_by_stream(count, query, variables)

    async def _receive_by_socket(
        self, count: int, query: str, variables: dict[str, Any]
    ) -> list[str]:
        self._last_id += 1
        id = str(self._last_id)
        payload = {"query": query, "variables": variables}
        await self._socket.send(id=id, type="subscribe", payload=payload)
        payloads: list[str] = []
        while len(payloads) < count:
            frame = str(await self._socket.connection.recv())
            if frame.startswith(prefix := f'{{"id":"{id}","type":"next","payload":'):
                payloads.append(frame.removeprefix(prefix).removesuffix("}"))
            elif frame.startswith(prefix := f'{{"id":"{id}","type":"error","payload":'):
                return [f'{{"errors":{frame.removeprefix(prefix)}']
        await self._socket.send(id=id, type="complete")
        return payloads

    async def _receive_by_stream(
        self, count: int, query: str, variables: dict[str, Any]
    ) -> list[str]:
        headers = {"accept": "text/event-stream", "content-type": "application/json"}
        content = json.dumps({"query": query, "variables": variables})
        payloads: list[str] = []
        async with self._client.http.stream(
            "POST", "/graphql", content=content, headers=headers
        ) as stream:
            received = ""  # not in lines: those of Python end at other characters, too
            async for text in stream.aiter_text():
                *events, received = (received + text).split("\n\n")
                for event in events:
                    kind, _, payload = event.partition("data: ")
                    if kind.startswith("event: complete"):
                        return payloads
                    if payload:
                        payloads.append(payload)
                    if len(payloads) == count:
                        return payloads
        return payloads


@asynccontextmanager
async def open_transports(client: Client) -> AsyncIterator[Transports]:
    async with client.socket() as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        yield Transports(client, socket)


@pytest.fixture
async def transports(
    both: PlanAndExecution, serve: Serve, database_url: str
) -> AsyncIterator[Transports]:
    """The transports of a server on the database of `both`."""
    async with (
        serve(database_url, documents=asdict(AMPLE)) as client,
        open_transports(client) as transports,
    ):
        yield transports


async def test_queries_have_the_same_response_over_every_transport(
    both: PlanAndExecution, transports: Transports
) -> None:
    arguments = await list_argument_choices(both)
    before = count_plans("planned")

    for seed in range(QUERIES):
        drawn = RandomDocument(seed, arguments)
        response = await transports.execute_everywhere(drawn.text(), drawn.variables)
        assert json.loads(response).keys() == {"data", "extensions"}

    assert count_plans("planned") == before + 3 * QUERIES


async def test_refused_requests_have_the_same_errors_over_every_transport(
    transports: Transports,
) -> None:
    before = count_plans("planned")

    for query, variables, code in REFUSED:
        response = json.loads(await transports.execute_everywhere(query, variables))
        assert response["errors"][0]["extensions"]["code"] == code

    assert count_plans("planned") == before


async def test_mutations_have_the_same_response_over_every_transport(
    transports: Transports,
) -> None:
    for name, arguments in REPEATABLE:
        heads = ", ".join(f"${each}: {type_}" for each, (type_, _) in arguments.items())
        inputs = ", ".join(f"{each}: ${each}" for each in arguments)
        query = f"""mutation ({heads}) {{
          {name}({inputs}) {{ __typename userErrors {{ __typename code message path }} }} }}"""
        variables = {each: value for each, (_, value) in arguments.items()}
        await transports.execute_everywhere(query, variables)  # so that the others are replays
        await transports.execute_everywhere(query, variables)


@pytest.mark.parametrize("field", ENTRIES)
async def test_subscriptions_have_the_responses_of_graphql_core_over_every_transport(
    both: PlanAndExecution, transports: Transports, field: str
) -> None:
    start = {"after": await encode_log_start(both)}
    before = {result: count_plans(result) for result in ("planned", "not_planned", "failed")}
    used: set[str] = set()

    for seed in range(SELECTIONS):
        drawn, again = (RandomDocument(seed, {}) for _ in range(2))
        planned = drawn.subscription_text(field)
        executed = again.subscription_text(field, EXECUTED_FILTER, "$value: Int")
        number, variables = ENTRIES[field], drawn.variables | start
        over_socket, over_stream = await transports.receive(number, planned, variables)
        by_core = await transports.receive(number, executed, variables | {"value": 1})
        assert over_socket == over_stream, planned
        assert by_core == (over_socket, over_stream), planned
        assert not any('"errors":[' in response for response in over_socket), over_socket
        used |= drawn.used

    increments = {result: count_plans(result) - count for result, count in before.items()}
    assert increments == {"planned": 2 * SELECTIONS, "not_planned": 2 * SELECTIONS, "failed": 0}
    item: Any = get_named_type(CORE.subscription_type.fields[field].type)  # type: ignore[union-attr]
    assert {f"{item}.{name}" for name in item.fields if is_planned(item, name)} <= used


@pytest.mark.parametrize("field", ENTRIES)
async def test_live_entries_have_the_responses_of_graphql_core(
    both: PlanAndExecution, serve: Serve, database_url: str, field: str
) -> None:
    received: dict[str, list[str]] = {}
    async with (
        serve(database_url, documents=asdict(AMPLE)) as client,
        client.socket() as socket,
    ):
        assert (await socket.receive())["type"] == "connection_ack"

        async def receive_from_all() -> None:
            for _ in range(2 * LIVE_SELECTIONS):
                message = await socket.receive()
                received.setdefault(message["id"], []).append(json.dumps(message["payload"]))

        start = {"after": await client.execute_field("{ logHead }")}
        before = {result: count_plans(result) for result in ("not_planned", "fallback", "failed")}
        for seed in range(LIVE_SELECTIONS):
            drawn, again = (RandomDocument(seed, {}) for _ in range(2))
            planned = drawn.subscription_text(field)
            executed = again.subscription_text(field, EXECUTED_FILTER, "$value: Int")
            for id, query, more in (
                (f"{seed} by plan", planned, {}),
                (f"{seed} by core", executed, {"value": 1}),
            ):
                payload = {"query": query, "variables": drawn.variables | start | more}
                await socket.send(id=id, type="subscribe", payload=payload)
        for report in REPORTS:  # all subscribers have read up to the first, and wait for the others
            event = await client.log_event(**report, notification=True)
            await receive_from_all()
        if field == "eventChanged":
            await client.execute_field(
                'mutation ($id: ID!) { acknowledgeEvent(id: $id, note: "n") { event { id } } }',
                id=event["id"],
            )
            await receive_from_all()
        increments = {result: count_plans(result) - count for result, count in before.items()}

    for seed in range(LIVE_SELECTIONS):
        assert received[f"{seed} by plan"] == received[f"{seed} by core"]
    assert not any('"errors":' in each for payloads in received.values() for each in payloads)
    assert increments == {"not_planned": LIVE_SELECTIONS, "fallback": 0, "failed": 0}


async def test_live_values_have_the_responses_of_graphql_core(
    both: PlanAndExecution, transports: Transports
) -> None:
    selection = "{ __typename cursor openCount unreadCount bySeverity { severity count } }"
    planned = f"subscription {{ notificationSummaryChanged {selection} }}"
    executed = f"""subscription ($value: Int) {{
      notificationSummaryChanged({EXECUTED_FILTER.removeprefix(", ")}) {selection} }}"""
    before = count_plans("planned"), count_plans("not_planned")

    by_plan = await transports.receive(1, planned, {})
    by_core = await transports.receive(1, executed, {"value": 1})

    assert by_plan == by_core
    assert by_plan[0] == by_plan[1]
    assert json.loads(by_plan[0][0])["data"]["notificationSummaryChanged"]["openCount"] > 0
    assert (count_plans("planned"), count_plans("not_planned")) == (before[0] + 2, before[1] + 2)


async def encode_log_start(both: PlanAndExecution) -> str:
    """Returns the cursor before the first entry of the change log."""
    async with both.access.database.read(ALL_ORGANIZATIONS) as session:
        snapshot = await changes.fetch_snapshot(session)
    return changes.encode_log_cursor(
        both.caller.organization_id, snapshot, changes.LOG_START, complete=True
    )


async def test_a_subscription_that_may_not_start_has_the_same_error_over_both_transports(
    own_client: Client, database: Database
) -> None:
    key = await create_api_key(database, Permission.EVENT_CREATE)
    refused = [
        ("subscription { notificationAdded { cursor } }", {}, "FORBIDDEN"),
        ('subscription { eventChanged(after: "x") { cursor } }', {}, "INVALID_CURSOR"),
        ("subscription { eventChanged(filter: {ids: [1]}) { at } }", {}, "BAD_USER_INPUT"),
        (
            "subscription ($a: String) { eventChanged(after: $a) { at } }",
            {"a": 1},
            "BAD_USER_INPUT",
        ),
        ("subscription { nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
    ]
    for query, variables, code in refused:
        client = own_client.as_key(key) if code == "FORBIDDEN" else own_client
        async with open_transports(client) as transports:
            over_socket, over_stream = await transports.receive(1, query, variables)

        assert over_socket == over_stream, query
        [response] = map(json.loads, over_socket)
        assert [error["extensions"]["code"] for error in response["errors"]] == [code]


async def test_a_response_that_a_plan_cannot_write_is_written_by_graphql_core(
    own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise StaleCacheError

    await own_client.execute_field(
        """mutation { createEventType(input: {name: "G", type: "g", state: PUBLISHED})
             { userErrors { code } } }"""
    )
    query = "subscription { notificationAdded { node { summary eventType { name } } } }"
    async with own_client.subscription(query) as subscription:
        await own_client.log_event(type="g", summary="by plan", notification=True)
        by_plan = await subscription.receive_next()
        before = count_plans("fallback")
        monkeypatch.setattr(value_writers, "fetch_event_types", fail)
        await own_client.log_event(type="g", summary="by graphql-core", notification=True)
        by_core = await subscription.receive_next()

    assert by_plan == {"node": {"summary": "by plan", "eventType": {"name": "G"}}}
    assert by_core == {"node": {"summary": "by graphql-core", "eventType": {"name": "G"}}}
    assert count_plans("fallback") == before + 2  # also the payload of the mutation
