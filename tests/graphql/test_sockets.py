"""Messages of graphql-transport-ws on one server, with a second subscription that must not be
affected.

The expected responses are those of PROTOCOL.md of graphql-ws.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import LOG_EVENT, ONE_NODE, PROTOCOL, Client, Socket, Subscription
from tests.conftest import _run_server
from tests.factories import create_api_key

SIBLING = """
subscription ($after: String) {
  notificationAdded(filter: {source: "sibling"}, after: $after) { node { summary } }
}
"""
BELL = """
subscription Bell($after: String) {
  notificationAdded(filter: {source: "table"}, after: $after) { node { summary } }
}
"""
QUERY = "{ __typename }"
ANSWER = {"data": {"__typename": "Query"}, "extensions": ONE_NODE}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
async def file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SQLite only: messages do not depend on the database."""
    return Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("sockets") / "tocsin.db"))


@pytest.fixture(scope="module")
async def server(file: Path) -> AsyncIterator[Client]:
    async with _run_server(f"sqlite:///{file}") as client:
        yield client


@pytest.fixture(scope="module")
async def sibling(server: Client) -> AsyncIterator[Subscription]:
    head = await server.execute_field("{ logHead }")
    async with server.subscription(SIBLING, after=head) as subscription:
        yield subscription


@pytest.fixture(autouse=True)
async def other_subscription_is_not_affected(
    server: Client, sibling: Subscription
) -> AsyncIterator[None]:
    yield
    summary = uuid4().hex
    await server.log_event(summary=summary, source="sibling", notification=True)
    assert await sibling.receive_next() == {"node": {"summary": summary}}


@pytest.fixture
async def connection(server: Client) -> AsyncIterator[ClientConnection]:
    """A connected socket without any messages."""
    async with connect(socket_url(server), subprotocols=[PROTOCOL]) as opened:
        yield opened


@pytest.fixture
async def socket(server: Client) -> AsyncIterator[Socket]:
    """A socket after connection_ack."""
    async with server.socket() as opened:
        assert await opened.receive() == {"type": "connection_ack"}
        yield opened


def socket_url(server: Client) -> str:
    return server.url.replace("http", "ws", 1) + "/graphql"


async def receive_close(connection: ClientConnection) -> tuple[int, str]:
    """Returns the code and the reason of a close. No other message may be received before it."""
    return await Socket(connection).receive_close()


async def subscribe(socket: Socket, query: str = QUERY, id: str = "1", **payload: Any) -> None:
    await socket.send(id=id, type="subscribe", payload={"query": query, **payload})


async def subscribe_to_notifications(socket: Socket, server: Client, id: str) -> None:
    """Subscribes after the current position of the change log."""
    head = await server.execute_field("{ logHead }")
    await subscribe(socket, BELL, id, variables={"after": head})


async def log_notification(server: Client, summary: str) -> None:
    await server.log_event(summary=summary, source="table", notification=True)


def encode_message(**message: Any) -> str:
    return json.dumps(message)


def encode_subscribe(**payload: Any) -> str:
    return encode_message(id="1", type="subscribe", payload=payload)


DEEP = "[" * 100_000
INVALID = {
    "no JSON": (
        "nope",
        "The message is not valid JSON: Expecting value: line 1 column 1 (char 0).",
    ),
    "nothing": ("", "The message is not valid JSON: Expecting value: line 1 column 1 (char 0)."),
    "half a message": (
        '{"type":',
        "The message is not valid JSON: Expecting value: line 1 column 9",
    ),
    "two messages": ('{"type":"ping"}{"type":"ping"}', "The message is not valid JSON: Extra data"),
    "a byte order mark": (
        '\ufeff{"type":"ping"}',
        "The message is not valid JSON: Expecting value: line 1 column 1 (char 0).",
    ),
    "single quotes": ("{'type':'ping'}", "The message is not valid JSON: Expecting property name"),
    "an array": ("[]", "A message must be an object, not an array."),
    "null": ("null", "A message must be an object, not null."),
    "a number": ("7", "A message must be an object, not a number."),
    "a string": ('"ping"', "A message must be an object, not a string."),
    "a boolean": ("true", "A message must be an object, not a boolean."),
    "NaN": ("NaN", "The message is not valid JSON: NaN is not valid JSON."),
    "infinity": (
        '{"type":"ping","payload":{"n":-Infinity}}',
        "The message is not valid JSON: -Infinity is not valid JSON.",
    ),
    "a number beyond every double": (
        '{"type":"ping","payload":{"n":1e400}}',
        "'payload' of 'ping' has a number that is too large.",
    ),
    "a number of 5,000 digits": (
        '{"type":"ping","payload":{"n":' + "1" * 5000 + "}}",
        "'payload' of 'ping' has a number that is too large.",
    ),
    "a repeated member": (
        '{"type":"ping","payload":{"a":1,"a":2}}',
        "The message is not valid JSON: the member 'a' occurs more than once in an object.",
    ),
    "a repeated type": (
        '{"type":"ping","type":"pong"}',
        "The message is not valid JSON: the member 'type' occurs more than once in an object.",
    ),
    "a control character": (
        '{"type":"ping","payload":{"a":"\n"}}',
        "The message is not valid JSON: Invalid control character",
    ),
    "a deep array": (DEEP, "The message is nested too deeply."),
    "a deep object": ('{"a":' * 50_000, "The message is nested too deeply."),
    "a deep payload": (
        '{"type":"ping","payload":{"a":' + DEEP + "]" * 100_000 + "}}",
        "The message is nested too deeply.",
    ),
    "no type": ("{}", "'type' of a message must be a string, not null."),
    "a type that is a number": (
        encode_message(type=7),
        "'type' of a message must be a string, not a number.",
    ),
    "a type that is an array": (
        encode_message(type=[]),
        "'type' of a message must be a string, not an array.",
    ),
    "an empty type": (encode_message(type=""), "Unknown message type ''."),
    "an unknown type": (encode_message(type="nope"), "Unknown message type 'nope'."),
    "a type in capitals": (encode_message(type="PING"), "Unknown message type 'PING'."),
    "the legacy protocol's start": (
        encode_message(type="start", id="1", payload={"query": QUERY}),
        "Unknown message type 'start'.",
    ),
    "the legacy protocol's stop": (
        encode_message(type="stop", id="1"),
        "Unknown message type 'stop'.",
    ),
    "a type of lone surrogates": (
        encode_message(type="\ud800" * 500),
        "Unknown message type '" + "?" * 101,
    ),
    "a type of many bytes": (
        encode_message(type="ü" * 500),
        "Unknown message type '" + "ü" * 50,
    ),
    "a server's acknowledgement": (
        encode_message(type="connection_ack"),
        "Only the server sends messages of type 'connection_ack'.",
    ),
    "a server's next": (
        encode_message(type="next", id="1", payload={}),
        "Only the server sends messages of type 'next'.",
    ),
    "a server's error": (
        encode_message(type="error", id="1", payload=[]),
        "Only the server sends messages of type 'error'.",
    ),
    "a ping of an array": (
        encode_message(type="ping", payload=[]),
        "'payload' of 'ping' must be an object, not an array.",
    ),
    "a pong of a string": (
        encode_message(type="pong", payload="x"),
        "'payload' of 'pong' must be an object, not a string.",
    ),
    "an initialisation by a string": (
        encode_message(type="connection_init", payload="x"),
        "'payload' of 'connection_init' must be an object, not a string.",
    ),
    "an initialisation by false": (
        encode_message(type="connection_init", payload=False),
        "'payload' of 'connection_init' must be an object, not a boolean.",
    ),
    "no id": (
        encode_message(type="subscribe", payload={"query": QUERY}),
        "'id' of 'subscribe' must be a string, not null.",
    ),
    "an id that is a number": (
        encode_message(type="subscribe", id=1, payload={"query": QUERY}),
        "'id' of 'subscribe' must be a string, not a number.",
    ),
    "an id that is an object": (
        encode_message(type="subscribe", id={}, payload={"query": QUERY}),
        "'id' of 'subscribe' must be a string, not an object.",
    ),
    "an empty id": (
        encode_message(type="subscribe", id="", payload={"query": QUERY}),
        "'id' of 'subscribe' must not be empty.",
    ),
    "an endless id": (
        encode_message(type="subscribe", id="x" * 256, payload={"query": QUERY}),
        "'id' of 'subscribe' is too long; the maximum is 255 characters.",
    ),
    "no payload": (
        encode_message(type="subscribe", id="1"),
        "'payload' of 'subscribe' must be an object, not null.",
    ),
    "a payload that is null": (
        encode_message(type="subscribe", id="1", payload=None),
        "'payload' of 'subscribe' must be an object, not null.",
    ),
    "a payload that is a string": (
        encode_message(type="subscribe", id="1", payload=QUERY),
        "'payload' of 'subscribe' must be an object, not a string.",
    ),
    "a payload that is a batch": (
        encode_message(type="subscribe", id="1", payload=[{"query": QUERY}]),
        "'payload' of 'subscribe' must be an object, not an array.",
    ),
    "no query": (encode_subscribe(), "'query' of 'subscribe' must be a string, not null."),
    "a query that is null": (
        encode_subscribe(query=None),
        "'query' of 'subscribe' must be a string, not null.",
    ),
    "a query that is a number": (
        encode_subscribe(query=7),
        "'query' of 'subscribe' must be a string, not a number.",
    ),
    "a query that is a document": (
        encode_subscribe(query={"kind": "Document"}),
        "'query' of 'subscribe' must be a string, not an object.",
    ),
    "an operation name that is a number": (
        encode_subscribe(query=QUERY, operationName=7),
        "'operationName' of 'subscribe' must be a string, not a number.",
    ),
    "variables in an array": (
        encode_subscribe(query=QUERY, variables=[]),
        "'variables' of 'subscribe' must be an object, not an array.",
    ),
    "variables in a string": (
        encode_subscribe(query=QUERY, variables="{}"),
        "'variables' of 'subscribe' must be an object, not a string.",
    ),
    "extensions in an array": (
        encode_subscribe(query=QUERY, extensions=[]),
        "'extensions' of 'subscribe' must be an object, not an array.",
    ),
    "a completion without an id": (
        encode_message(type="complete"),
        "'id' of 'complete' must be a string, not null.",
    ),
    "a completion of a number": (
        encode_message(type="complete", id=1),
        "'id' of 'complete' must be a string, not a number.",
    ),
    "a completion of nothing": (
        encode_message(type="complete", id=""),
        "'id' of 'complete' must not be empty.",
    ),
    "a binary message": (
        encode_message(type="ping").encode(),
        "A message must be a text frame, not a binary frame.",
    ),
    "binary garbage": (b"\xff\xfe\0", "A message must be a text frame, not a binary frame."),
}


@pytest.mark.parametrize(("frame", "reason"), INVALID.values(), ids=INVALID)
async def test_an_invalid_message_closes_the_socket_with_the_reason(
    socket: Socket, frame: str | bytes, reason: str
) -> None:
    await socket.connection.send(frame)

    code, close_reason = await receive_close(socket.connection)

    assert code == 4400
    assert close_reason.startswith(reason)
    assert len(close_reason.encode()) <= 123


@pytest.mark.parametrize(
    "frame", ["nope", "[]", encode_message(type="nope"), encode_message(type="subscribe")]
)
async def test_an_invalid_message_before_the_initialisation_closes_the_socket(
    connection: ClientConnection, frame: str
) -> None:
    await connection.send(frame)

    assert (await receive_close(connection))[0] == 4400


@pytest.mark.parametrize("size", [2 * MIB + 1, 3 * MIB, 17 * MIB])
async def test_a_message_has_at_most_2_mib(socket: Socket, size: int) -> None:
    await socket.connection.send(" " * size)

    code, _ = await receive_close(socket.connection)

    assert code == 1009


async def test_the_size_of_a_message_is_counted_in_bytes(socket: Socket) -> None:
    await socket.connection.send("ü" * (MIB + 1))

    assert await receive_close(socket.connection) == (
        1009,
        "The message is too large; the maximum is 2,097,152 bytes.",
    )


async def test_a_message_of_2_mib_is_accepted(socket: Socket) -> None:
    ping = encode_message(type="ping", payload={"at": 1})

    await socket.connection.send(ping + " " * (2 * MIB - len(ping)))

    assert await socket.receive() == {"type": "pong", "payload": {"at": 1}}


async def test_text_that_is_not_utf_8_is_rejected_as_the_web_socket_protocol_requires(
    socket: Socket,
) -> None:
    await socket.connection.send(b'{"type":"\xff"}', text=True)

    assert (await receive_close(socket.connection))[0] == 1007


async def test_a_message_may_come_in_several_frames(socket: Socket) -> None:
    await socket.connection.send(['{"type":', '"ping","payload"', ':{"größe":1}}'])

    assert await socket.receive() == {"type": "pong", "payload": {"größe": 1}}


@pytest.mark.parametrize("protocols", [None, ["graphql-ws"], ["nope", "GRAPHQL-TRANSPORT-WS"]])
async def test_another_subprotocol_is_not_acceptable(
    server: Client, protocols: list[Any] | None
) -> None:
    async with connect(socket_url(server), subprotocols=protocols) as connection:
        closed = await receive_close(connection)

    assert connection.subprotocol is None
    assert closed == (4406, "Subprotocol not acceptable")


async def test_the_supported_one_of_several_subprotocols_is_selected(server: Client) -> None:
    offered: Any = ["graphql-ws", "graphql-transport-ws"]
    async with connect(socket_url(server), subprotocols=offered) as connection:
        assert connection.subprotocol == "graphql-transport-ws"


async def test_a_page_of_another_origin_cannot_open_a_socket(server: Client) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(socket_url(server), subprotocols=[PROTOCOL], origin="http://evil.example")  # type: ignore[arg-type]

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("query", [QUERY, BELL, "no GraphQL", ""])
async def test_nothing_runs_before_the_acknowledgement(
    connection: ClientConnection, query: str
) -> None:
    await connection.send(encode_subscribe(query=query))

    assert await receive_close(connection) == (4401, "Unauthorized")


@pytest.mark.parametrize(
    "payload",
    [
        {},
        None,
        {"authorization": "Bearer wrong"},
        {"authorization": None},
        {"authorization": ["Bearer administrator-key"]},
        {"authorization": "Bearer administrator-key", "data-partition-id": "nobody's"},
    ],
)
async def test_an_invalid_credential_is_forbidden(
    connection: ClientConnection, payload: dict[str, Any] | None
) -> None:
    await connection.send(encode_message(type="connection_init", payload=payload))

    assert await receive_close(connection) == (4403, "Forbidden")


async def test_the_names_in_the_initialisation_are_case_insensitive_like_headers(
    connection: ClientConnection,
) -> None:
    payload = {"Authorization": "bearer administrator-key", "Data-Partition-Id": "default", "x": 1}

    await connection.send(encode_message(type="connection_init", payload=payload))

    assert await Socket(connection).receive() == {"type": "connection_ack"}


async def test_a_second_initialisation_closes_the_socket(socket: Socket) -> None:
    await socket.send(type="connection_init")

    assert await receive_close(socket.connection) == (4429, "Too many initialisation requests")


async def test_a_second_initialisation_before_the_acknowledgement_closes_the_socket(
    connection: ClientConnection,
) -> None:
    for _ in range(2):
        await connection.send(encode_message(type="connection_init"))

    assert (await receive_close(connection))[0] in {
        4429,
        4403,
    }  # the result depends on which one is processed first


@pytest.mark.parametrize("id", ["1", "ü", "\ud800", "x" * 255])
async def test_an_id_in_use_closes_the_socket(server: Client, socket: Socket, id: str) -> None:
    await subscribe_to_notifications(socket, server, id)
    await subscribe(socket, QUERY, id)

    code, reason = await receive_close(socket.connection)

    expected = f"Subscriber for {id} already exists".encode(errors="replace")[:123]
    assert (code, reason) == (4409, expected.decode())


@pytest.mark.parametrize(
    ("payload", "echoed"),
    [
        ({}, {}),
        ({"payload": None}, {}),
        ({"payload": {}}, {"payload": {}}),
        (
            {"payload": {"a": [1.5, None, {"ü": "\ud800"}]}},
            {"payload": {"a": [1.5, None, {"ü": "\ud800"}]}},
        ),
    ],
)
async def test_a_ping_is_answered_with_its_payload_at_any_time(
    connection: ClientConnection, payload: dict[str, Any], echoed: dict[str, Any]
) -> None:
    await connection.send(encode_message(type="ping", **payload))

    assert await Socket(connection).receive() == {"type": "pong", **echoed}


@pytest.mark.parametrize(
    "frame",
    [
        encode_message(type="pong"),
        encode_message(type="pong", payload={"unasked": True}),
        encode_message(type="complete", id="unknown"),
        encode_message(type="ping", id=7, more="is ignored"),
    ],
)
async def test_messages_without_a_response_are_accepted(socket: Socket, frame: str) -> None:
    await socket.connection.send(frame)
    await subscribe(socket)

    received = [await socket.receive() for _ in range(2 + ("ping" in frame))]

    assert received[-2:] == [
        {"id": "1", "type": "next", "payload": ANSWER},
        {"id": "1", "type": "complete"},
    ]


@pytest.mark.parametrize("id", ["1", "ü", 'a"b\\', "\ud800", "\0", "x" * 255])
async def test_an_id_is_returned_unchanged_and_can_be_reused(socket: Socket, id: str) -> None:
    for _ in range(2):
        await subscribe(socket, QUERY, id)

        assert await socket.receive() == {"id": id, "type": "next", "payload": ANSWER}
        assert await socket.receive() == {"id": id, "type": "complete"}


async def test_nullable_members_accept_null(socket: Socket) -> None:
    await subscribe(socket, operationName=None, variables=None, extensions=None)

    assert await socket.receive() == {"id": "1", "type": "next", "payload": ANSWER}


async def test_operation_name_selects_the_operation(socket: Socket) -> None:
    both = "query A { a: __typename } query B { b: __typename }"

    await subscribe(socket, both, operationName="B", extensions={"any": {"thing": 1}})

    assert (await socket.receive())["payload"]["data"] == {"b": "Query"}


async def test_a_mutation_has_one_response_and_is_stored(server: Client, socket: Socket) -> None:
    await subscribe(socket, LOG_EVENT, variables={"input": {"summary": "over a socket"}})

    answer = await socket.receive()
    completed = await socket.receive()

    event = answer["payload"]["data"]["logEvent"]["event"]
    stored = await server.execute_field(
        "query ($id: ID!) { event(id: $id) { summary } }", id=event["id"]
    )
    assert stored == {"summary": "over a socket"}
    assert completed == {"id": "1", "type": "complete"}


async def test_a_field_error_is_returned_with_the_data(socket: Socket, file: Path) -> None:
    await subscribe(socket, '{ a: __typename node(id: "no id") { id } }')

    answer = await socket.receive()

    assert answer["type"] == "next"
    assert answer["payload"]["data"] == {"a": "Query", "node": None}
    assert answer["payload"]["errors"][0]["path"] == ["node"]
    assert await socket.receive() == {"id": "1", "type": "complete"}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "syntax": ({"query": "{ nope"}, "GRAPHQL_PARSE_FAILED"),
    "a lone surrogate": ({"query": "{ \ud800 }"}, "GRAPHQL_PARSE_FAILED"),
    "an unknown field": ({"query": "{ nope }"}, "GRAPHQL_VALIDATION_FAILED"),
    "several operations and no name": (
        {"query": "query A { __typename } query B { __typename }"},
        "BAD_USER_INPUT",
    ),
    "a variable of a wrong type": (
        {"query": "query ($n: Int!) { events(first: $n) { totalCount } }", "variables": {"n": "x"}},
        "BAD_USER_INPUT",
    ),
    "a variable that is missing": (
        {"query": "query ($n: Int!) { events(first: $n) { totalCount } }"},
        "BAD_USER_INPUT",
    ),
}
SOCKETS_ONLY: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown field of a subscription": (
        {"query": "subscription { nope }"},
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "no query": ({"query": ""}, "BAD_USER_INPUT"),
    "no operation": ({"query": "fragment F on Query { __typename }"}, "BAD_USER_INPUT"),
    "an unknown operation name": ({"query": QUERY, "operationName": "B"}, "BAD_USER_INPUT"),
    "a subscription's variable of a wrong type": (
        {"query": BELL, "variables": {"after": 7}},
        "BAD_USER_INPUT",
    ),
    "a damaged cursor": ({"query": BELL, "variables": {"after": "nope"}}, "INVALID_CURSOR"),
}


@pytest.mark.parametrize(("payload", "code"), [*WRONG.values(), *SOCKETS_ONLY.values()])
async def test_an_operation_that_cannot_be_executed_affects_no_others(
    server: Client, socket: Socket, payload: dict[str, Any], code: str
) -> None:
    await subscribe_to_notifications(socket, server, "other")
    await subscribe(socket, **payload)
    failed = await socket.receive()
    await log_notification(server, "still delivered")
    received = await socket.receive()
    await subscribe(socket)
    again = await socket.receive()

    assert (failed["id"], failed["type"]) == ("1", "error")
    assert [each["extensions"]["code"] for each in failed["payload"]] == [code]
    assert received["id"] == "other"
    assert received["payload"]["data"]["notificationAdded"]["node"] == {
        "summary": "still delivered"
    }
    assert again == {"id": "1", "type": "next", "payload": ANSWER}


@pytest.mark.parametrize("payload", [payload for payload, _ in WRONG.values()], ids=WRONG)
async def test_errors_are_the_same_as_over_http(
    server: Client, socket: Socket, payload: dict[str, Any]
) -> None:
    response = await server.http.post(
        "/graphql", content=json.dumps(payload), headers={"content-type": "application/json"}
    )

    await subscribe(socket, **payload)

    assert (await socket.receive())["payload"] == response.json()["errors"]


@pytest.mark.parametrize(
    ("query", "kind"), [(BELL, "error"), ("{ events { totalCount } }", "next")]
)
async def test_a_missing_permission_has_the_same_error_as_over_http(
    server: Client, file: Path, query: str, kind: str
) -> None:
    database = Database(f"sqlite:///{file}")
    key = await create_api_key(database, Permission.EVENT_CREATE)
    await database.close()

    async with server.as_key(key).socket() as socket:
        assert await socket.receive() == {"type": "connection_ack"}
        await subscribe(socket, query)
        message = await socket.receive()

    payload = message["payload"]
    [error] = payload if kind == "error" else payload["errors"]
    assert message["type"] == kind
    assert error["extensions"]["code"] == "FORBIDDEN"


async def test_a_deeply_nested_document_fails_only_its_own_operation(socket: Socket) -> None:
    await subscribe(socket, "{ a" * 5_000)
    deep: Any = {}
    for _ in range(500):
        deep = {"a": deep}
    await subscribe(socket, LOG_EVENT, "2", variables={"input": {"fields": deep}})
    received = {message["id"]: message for message in [await socket.receive() for _ in range(3)]}

    assert received["1"]["type"] == "error"
    assert received["2"]["type"] in {"complete", "error"}


async def test_several_subscriptions_can_share_a_socket(server: Client, socket: Socket) -> None:
    for id in ("a", "b"):
        await subscribe_to_notifications(socket, server, id)
    await log_notification(server, "both")
    both = [await socket.receive() for _ in range(2)]
    await socket.send(id="a", type="complete")
    await log_notification(server, "one")
    one = await socket.receive()

    assert {message["id"] for message in both} == {"a", "b"}
    assert one["id"] == "b"
    assert one["payload"]["data"]["notificationAdded"]["node"] == {"summary": "one"}


async def test_a_completed_id_can_be_reused_immediately(server: Client, socket: Socket) -> None:
    for _ in range(20):
        await subscribe_to_notifications(socket, server, "1")
        await socket.send(id="1", type="complete")
    await subscribe(socket)

    assert await socket.receive() == {"id": "1", "type": "next", "payload": ANSWER}
    assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_a_socket_has_at_most_50_operations(server: Client, socket: Socket) -> None:
    for n in range(50):
        await subscribe_to_notifications(socket, server, str(n))
    await subscribe(socket, QUERY, "50")
    refused = await socket.receive()
    await socket.send(id="0", type="complete")
    await subscribe(socket, QUERY, "50")
    taken = await socket.receive()

    assert refused == {
        "id": "50",
        "type": "error",
        "payload": [
            {
                "message": "This WebSocket connection has too many running operations; the "
                "maximum is 50. Complete one of them.",
                "extensions": {"code": "LIMIT_EXCEEDED"},
            }
        ],
    }
    assert taken == {"id": "50", "type": "next", "payload": ANSWER}
