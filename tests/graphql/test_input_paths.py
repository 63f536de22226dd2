"""Errors of invalid inputs have the path of the value, over HTTP, WebSockets and event streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.client import Client

LOG = "mutation ($input: LogEventInput!) { logEvent(input: $input) { event { id } } }"
LOG_MANY = (
    "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { userErrors { code } } }"
)
UPDATE = "mutation ($input: UpdateEventInput!) { updateEvent(input: $input) { event { id } } }"
CREATE_TYPE = """
mutation ($input: CreateEventTypeInput!) { createEventType(input: $input) { eventType { id } } }
"""
COUNT = "{ events { totalCount } eventTypes { totalCount } }"
NOTHING = {"events": {"totalCount": 0}, "eventTypes": {"totalCount": 0}}
EVENT = {"summary": "s"}
FIELD = {"name": "a", "kind": "TEXT"}
BAD_TIME = 'Invalid DateTime "today": expected an RFC 3339 time'


async def fetch_errors(client: Client, query: str, **variables: Any) -> list[dict[str, Any]]:
    """Returns the errors over HTTP. The errors of the other transports must be the same."""
    body = {"query": query, "variables": variables}
    over_http: list[dict[str, Any]] = (await client.http.post("/graphql", json=body)).json()[
        "errors"
    ]
    stream = await client.http.post("/graphql", json=body, headers={"accept": "text/event-stream"})
    [data] = [line for line in stream.text.splitlines() if line.startswith("data: {")]
    async with client.socket() as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        await socket.send(id="1", type="subscribe", payload=body)
        message = await socket.receive()
    over_socket = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
    assert json.loads(data.removeprefix("data: "))["errors"] == over_http
    assert over_socket == over_http
    return over_http


@pytest.mark.parametrize(
    ("query", "variables", "path", "message"),
    [
        (LOG, {"input": EVENT | {"occurredAt": "today"}}, ["input", "occurredAt"], BAD_TIME),
        (
            LOG,
            {"input": EVENT | {"outcome": "LOUD"}},
            ["input", "outcome"],
            "Value 'LOUD' does not exist in 'Outcome' enum",
        ),
        (
            UPDATE,
            {"input": {"id": "a", "eventTypeVersion": 2**31}},
            ["input", "eventTypeVersion"],
            "Int cannot represent non 32-bit signed integer value: 2147483648",
        ),
        (
            LOG,
            {"input": EVENT | {"notification": "yes"}},
            ["input", "notification"],
            "Boolean cannot represent a non boolean value: 'yes'",
        ),
        (LOG, {"input": EVENT | {"crew": 1}}, ["input", "crew"], "unknown field 'crew'"),
        (UPDATE, {"input": {}}, ["input", "id"], "required field 'id'"),
        (
            CREATE_TYPE,
            {"input": {"name": "a", "fields": [FIELD, {"kind": "TEXT"}]}},
            ["input", "fields", "1", "name"],
            "required field 'name'",
        ),
        (LOG, {"input": 5}, ["input"], "to be an object, found: 5"),
        (LOG, {"input": None}, ["input"], "not to be null"),
        (LOG, {}, ["input"], "to be provided"),
        (
            LOG_MANY,
            {"input": [EVENT, EVENT, EVENT, EVENT | {"occurredAt": "today"}]},
            ["input", "3", "occurredAt"],
            BAD_TIME,
        ),
        (
            LOG_MANY,
            {"input": [EVENT, EVENT | {"tags": ["a", 5]}]},
            ["input", "1", "tags", "1"],
            "String cannot represent a non string value: 5",
        ),
        (LOG_MANY, {"input": {"crew": 1, **EVENT}}, ["input", "crew"], "unknown field 'crew'"),
        (
            "query ($id: ID!) { event(id: $id) { id } }",
            {"id": 5.5},
            ["id"],
            "ID cannot represent value: 5.5",
        ),
    ],
)
async def test_an_invalid_variable_has_the_path_of_the_argument(
    client: Client, query: str, variables: dict[str, Any], path: list[str], message: str
) -> None:
    [error] = await fetch_errors(client, query, **variables)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": path}
    assert message in error["message"]
    assert await client.execute_data(COUNT) == NOTHING


@pytest.mark.parametrize(
    ("field", "path", "message"),
    [
        ('logEvent(input: {occurredAt: "today"})', ["input", "occurredAt"], BAD_TIME),
        ("logEvent(input: {outcome: LOUD})", ["input", "outcome"], "Value 'LOUD' does not exist"),
        ('logEvent(input: {tags: ["a", 5]})', ["input", "tags", "1"], "non string value: 5"),
        ("logEvent(input: {crew: 1})", ["input", "crew"], "unknown field 'crew'"),
        ("logEvent(input: 5)", ["input"], "to be an object, found: 5"),
        ("updateEvent(input: {})", ["input", "id"], "required field 'id'"),
        (
            'updateEvent(input: {id: "a", eventTypeVersion: 2147483648})',
            ["input", "eventTypeVersion"],
            "non 32-bit signed integer value: 2147483648",
        ),
        ("deleteEvent(id: 5.5)", ["id"], "ID cannot represent a non-string and non-integer value"),
    ],
)
async def test_an_invalid_literal_has_its_path(
    client: Client, field: str, path: list[str], message: str
) -> None:
    [error] = await fetch_errors(client, f"mutation {{ {field} {{ userErrors {{ code }} }} }}")

    assert error["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED", "path": path}
    assert message in error["message"]
    assert await client.execute_data(COUNT) == NOTHING


async def test_the_path_of_a_variable_is_that_of_its_use_inside_a_literal(client: Client) -> None:
    query = """
    mutation ($when: DateTime, $many: [String!]) {
      logEvents(input: [{summary: "a"}, {summary: "b", occurredAt: $when, tags: $many}]) {
        userErrors { code }
      }
    }
    """

    errors = await fetch_errors(client, query, when="today", many=["a", None])

    assert [error["extensions"]["path"] for error in errors] == [
        ["input", "1", "occurredAt"],
        ["input", "1", "tags", "1"],
    ]
    assert await client.execute_data(COUNT) == NOTHING


async def test_each_of_several_errors_has_its_path(client: Client) -> None:
    fields = [{"crew": 1, "well": 2}, FIELD | {"kind": "NONE"}, FIELD | {"required": "no"}]

    errors = await fetch_errors(client, CREATE_TYPE, input={"name": "a", "fields": fields})

    assert [error["extensions"]["path"] for error in errors] == [
        ["input", "fields", "0", "name"],
        ["input", "fields", "0", "kind"],
        ["input", "fields", "0", "crew"],
        ["input", "fields", "0", "well"],
        ["input", "fields", "1", "kind"],
    ]


@pytest.mark.parametrize(
    ("query", "variables", "path"),
    [
        (
            "query ($n: Severity = INFO) { events(filter: {severities: [$n]}) { totalCount } }",
            {"n": None},
            ["filter", "severities", "0"],
        ),
        (
            'mutation ($id: ID = "a") { updateEvent(input: {id: $id}) { event { id } } }',
            {"id": None},
            ["input", "id"],
        ),
        (
            "subscription ($n: Severity = INFO) "
            "{ eventChanged(filter: {severities: [$n]}) { cursor } }",
            {"n": None},
            ["filter", "severities", "0"],
        ),
    ],
)
async def test_null_for_a_variable_with_a_default_value_has_the_path_of_its_use(
    client: Client, query: str, variables: dict[str, Any], path: list[str]
) -> None:
    async with client.subscription(query, **variables) as subscription:
        error = await subscription.receive_error()

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": path}
    assert "not to be null" in error["message"]


async def test_an_invalid_default_value_has_the_path_of_its_variable(client: Client) -> None:
    query = """
    query ($range: TimeRange = {from: "today"}) {
      events(filter: {occurredAt: $range}) { totalCount }
    }
    """

    [error] = await fetch_errors(client, query)

    assert error["extensions"] == {
        "code": "GRAPHQL_VALIDATION_FAILED",
        "path": ["filter", "occurredAt", "from"],
    }


async def test_an_invalid_id_in_a_filter_has_its_path(client: Client) -> None:
    query = "query ($filter: EventFilter) { events(filter: $filter) { totalCount } }"

    [error] = await fetch_errors(client, query, filter={"and": [{"ids": ["nope"]}]})

    assert error["message"] == "Invalid ID 'nope': expected a UUID."
    assert error["extensions"] == {
        "code": "BAD_USER_INPUT",
        "path": ["filter", "and", "0", "ids", "0"],
    }
