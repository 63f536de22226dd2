"""HTTP bodies and WebSocket messages are decoded alike."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.client import PROTOCOL, TIMEOUT_SECONDS, Client

LOG = "mutation ($input: LogEventInput!) { logEvent(input: $input) { event { fields summary } } }"
FIND = "query ($first: Int) { events(first: $first) { totalCount } }"
COUNT = "{ events { totalCount } }"


def build_body(query: str, variables: str) -> str:
    return f'{{"query": {json.dumps(query)}, "variables": {variables}}}'


async def execute_over_socket(client: Client, body: str) -> Any:
    """Returns the first message, or the code and reason of the close frame."""
    async with client.socket() as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        await socket.connection.send(f'{{"id": "1", "type": "subscribe", "payload": {body}}}')
        try:
            return await socket.receive()
        except ConnectionClosed:
            return socket.connection.close_code, socket.connection.close_reason


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ('{"input": {}, "input": {"summary": "s"}}', "the member 'input' occurs more than once"),
        (
            '{"input": {"fields": {"a": {"b": 1, "b": 2}}}}',
            "is not valid JSON: the member 'b' occurs more than once in an object",
        ),
        ('{"input": {"fields": {"a": NaN}}}', "is not valid JSON: NaN is not valid JSON"),
        ('{"input": {"fields": {"a": -Infinity}}}', "is not valid JSON: -Infinity is not valid"),
        ('{"input": {"fields": {"a": 01}}}', "is not valid JSON: Expecting ',' delimiter"),
        ('{"input": {"summary": "a\nb"}}', "is not valid JSON: Invalid control character"),
        ('{"input": {"summary": "\\x"}}', "is not valid JSON: Invalid \\escape"),
        ('{"input": {"fields": ' + "[" * 100_000 + "]" * 100_000 + "}}", "is nested too deeply"),
    ],
)
async def test_invalid_json_is_rejected_with_the_same_reason(
    client: Client, variables: str, reason: str
) -> None:
    body = build_body(LOG, variables)

    over_http = await client.http.post(
        "/graphql", content=body, headers={"content-type": "application/json"}
    )
    code, close_reason = await execute_over_socket(client, body)

    [error] = over_http.json()["errors"]
    assert over_http.status_code == 400
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert reason in error["message"]
    assert code == 4400
    assert reason in close_reason
    assert (await client.execute_field(COUNT))["totalCount"] == 0


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (FIND, '{"first": ' + "9" * 5_000 + "}"),
        (FIND, '{"first": 1e400}'),
        (FIND, '{"first": 1.0}'),
        (LOG, '{"input": {"fields": {"a": 1e400}}}'),
        (LOG, '{"input": {"fields": {"a": 0.1000000000000000000001, "b": 1.0}}}'),
        (LOG, '{"input": {"fields": {"a": "\\ud800"}}}'),
        (LOG, '{"input": {"summary": "\\ud83d\\ude00"}}'),
    ],
)
async def test_valid_json_has_the_same_result(client: Client, query: str, variables: str) -> None:
    body = build_body(query, variables)

    over_http = await client.http.post(
        "/graphql", content=body, headers={"content-type": "application/json"}
    )
    message = await execute_over_socket(client, body)

    result = {name: value for name, value in over_http.json().items() if name != "extensions"}
    payload = message["payload"]
    if message["type"] == "error":
        payload = {"errors": payload}
    assert {name: value for name, value in payload.items() if name != "extensions"} == result


async def test_a_credential_that_is_an_infinite_number_is_not_valid(client: Client) -> None:
    address = client.url.replace("http", "ws", 1) + "/graphql"

    async with connect(address, subprotocols=[PROTOCOL]) as connection:
        await connection.send('{"type": "connection_init", "payload": {"authorization": 1e400}}')
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await connection.wait_closed()

    assert connection.close_code == 4403
