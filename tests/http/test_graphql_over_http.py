"""GraphQL over HTTP: accepted requests, responses, and media types."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.domain.access.caller import Permission
from app.http.cloudevent_messages import EVENT_MEDIA_TYPE
from app.store.engine.database import Database
from tests.client import PROTOCOL, TIMEOUT_SECONDS, Client
from tests.cloudevent_client import cloud_event
from tests.conftest import SQLITE, Serve
from tests.factories import create_api_key

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENTS = "text/event-stream"
TYPENAME = b'{"query": "{ __typename }"}'
DEEP = b'{"query": "{ __typename }", "variables": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BELL = "subscription { notificationAdded { node { summary } } }"


@pytest.fixture
def dialect() -> str:
    """SQLite only: the transport does not depend on the database."""
    return SQLITE


@pytest.mark.parametrize(
    ("body", "expected_message"),
    [
        (b"", "The request body is not valid JSON"),
        (b"null", "must be a JSON object"),
        (b"17", "must be a JSON object"),
        (b'"{ __typename }"', "must be a JSON object"),
        (b"[" + TYPENAME + b"]", "batches are not supported"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{}", "`query` must be a string"),
        (b'{"query": null}', "`query` must be a string"),
        (b'{"query": 1}', "`query` must be a string"),
        (b'{"query": ""}', "`query` must be a string"),
        (TYPENAME + b"}", "The request body is not valid JSON"),
        (b'{"query": "{ __typename }", "query": "{ a }"}', "more than once"),
        (b'{"query": "{ __typename }", "variables": [1]}', "`variables` must be an object"),
        (b'{"query": "{ __typename }", "variables": "{}"}', "`variables` must be an object"),
        (b'{"query": "{ __typename }", "variables": {"a": NaN}}', "NaN is not valid JSON"),
        (b'{"query": "{ __typename }", "operationName": 1}', "`operationName` must be a string"),
        (b'{"query": "{ __typename }", "extensions": 1}', "`extensions` must be an object"),
        (b'{"query": "\xff"}', "not valid UTF-8"),
        (DEEP, "nested too deeply"),
    ],
)
async def test_an_invalid_body_results_in_400(
    client: Client, body: bytes, expected_message: str
) -> None:
    answer = await client.http.post("/graphql", content=body, headers={"content-type": JSON})

    [error] = answer.json()["errors"]
    assert answer.status_code == 400
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert expected_message in error["message"]
    assert answer.json().keys() == {"errors"}


async def test_a_number_of_5_000_digits_is_bad_user_input(client: Client) -> None:
    body = b'{"query": "query ($n: Int) { events(first: $n) { totalCount } }", "variables": {"n": '

    answer = await client.http.post(
        "/graphql", content=body + b"9" * 5_000 + b"}}", headers={"content-type": JSON}
    )

    assert answer.status_code == 200
    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "data" not in answer.json()


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (JSON, 200),
        ("Application/JSON; Charset=UTF-8", 200),
        ('application/json; charset="utf-8"', 200),
        ("application/json; charset=utf-16", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/graphql", 415),
        ("json", 415),
        (";", 415),
        ("", 415),
    ],
)
async def test_a_request_must_be_json(client: Client, content_type: str, status: int) -> None:
    answer = await client.http.post(
        "/graphql", content=TYPENAME, headers={"content-type": content_type}
    )

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.1, {JSON}", JSON),
        # of Apollo Client, urql and graphql-request
        (f"{GRAPHQL_JSON},{JSON};q=0.9", GRAPHQL_JSON),
        (
            f"{GRAPHQL_JSON}, application/graphql+json, {JSON}, {EVENTS}, multipart/mixed",
            GRAPHQL_JSON,
        ),
        (f"{EVENTS}, {JSON}", JSON),
        (f"{EVENTS}, {JSON};q=0.1", JSON),
        (f"{EVENTS}, multipart/mixed", EVENTS),
        (EVENTS, EVENTS),
    ],
)
async def test_the_response_has_an_accepted_media_type(
    client: Client, accept: str, answered: str
) -> None:
    headers = {"content-type": JSON, "accept": accept}

    answer = await client.http.post("/graphql", content=TYPENAME, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{answered}; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/xml", "nothing", "/"])
async def test_an_unsupported_accept_header_results_in_406(client: Client, accept: str) -> None:
    headers = {"content-type": JSON, "accept": accept}

    answer = await client.http.post("/graphql", content=TYPENAME, headers=headers)

    assert answer.status_code == 406
    assert answer.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "BAD_USER_INPUT"),
        ("query ($id: ID! = 1.5) { event(id: $id) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: ID!) { event(id: $id) { id } }", "BAD_USER_INPUT"),
        (BELL, "BAD_USER_INPUT"),
    ],
)
@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
async def test_a_request_error_has_no_data(
    client: Client, document: str, code: str, accept: str, status: int
) -> None:
    headers = {"accept": accept}

    answer = await client.http.post("/graphql", json={"query": document}, headers=headers)

    assert answer.status_code == status
    assert answer.json().keys() - {"extensions"} == {"errors"}
    assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {code}


async def test_a_field_error_results_in_200(client: Client) -> None:
    headers = {"accept": GRAPHQL_JSON}
    document = '{ events(after: "nowhere") { totalCount } }'

    answer = await client.http.post("/graphql", json={"query": document}, headers=headers)

    assert answer.status_code == 200
    assert answer.json()["data"] is None
    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_CURSOR"


async def test_get_runs_queries_but_no_mutations(client: Client) -> None:
    query = 'query ($type: String!) { entity(type: $type, id: "1") { type } }'
    variables = json.dumps({"type": "Well"})
    mutation = 'mutation { logEvent(input: {summary: "by GET"}) { event { id } } }'

    response = await client.http.get("/graphql", params={"query": query, "variables": variables})
    changed = [
        await client.http.get("/graphql", params={"query": mutation}, headers={"accept": accept})
        for accept in (JSON, "text/event-stream")
    ]
    twice = await client.http.get("/graphql?query={a}&query={b}")
    broken = await client.http.get("/graphql", params={"query": query, "variables": "{"})
    nothing = await client.http.get("/graphql", headers={"accept": JSON})

    assert response.json()["data"] == {"entity": {"type": "Well"}}
    for each in changed:
        assert (each.status_code, each.headers["allow"]) == (405, "POST")
        assert each.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert (twice.status_code, broken.status_code, nothing.status_code) == (400, 400, 400)
    assert "the query parameter query occurs more than once" in twice.text.lower()
    assert "variables is not valid JSON" in broken.json()["errors"][0]["message"]
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 0}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_result_in_405(client: Client, method: str) -> None:
    answer = await client.http.request(method, "/graphql", content=TYPENAME)

    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


async def test_an_empty_operation_name_is_null(client: Client) -> None:
    unnamed = {"query": "{ __typename }", "operationName": ""}
    expected = {"__typename": "Query"}

    posted = await client.http.post("/graphql", json=unnamed)
    by_get = await client.http.get(
        "/graphql", params=unnamed | {"variables": "", "extensions": ""}, headers={"accept": JSON}
    )
    streamed = await client.http.post("/graphql", json=unnamed, headers={"accept": EVENTS})
    async with client.socket() as socket:
        await socket.receive()
        await socket.send(id="1", type="subscribe", payload=unnamed)
        message = await socket.receive()

    assert [each.json()["data"] for each in (posted, by_get)] == [expected] * 2
    assert '{"data":{"__typename":"Query"}' in streamed.text
    assert message["payload"]["data"] == expected


async def test_a_trailing_slash_is_ignored(client: Client) -> None:
    origin = {"origin": "http://evil.example"}
    typename = {"query": "{ __typename }"}
    expected = {"data": {"__typename": "Query"}}

    posted = await client.http.post("/graphql/", json=typename)
    by_get = await client.http.get(
        "/graphql/", params=typename, headers={"accept": "text/html,*/*"}
    )
    others = [await client.http.get(path) for path in ("/health/", "/event-types/a/schema.json/")]
    event = await client.http.post(
        "/cloudevents/", json=cloud_event(), headers={"content-type": EVENT_MEDIA_TYPE}
    )
    twice = await client.http.post("/graphql//", json=typename)
    async with connect(
        client.url.replace("http", "ws", 1) + "/graphql/", subprotocols=[PROTOCOL]
    ) as connection:
        await connection.send(
            json.dumps(
                {"type": "connection_init", "payload": {"authorization": f"Bearer {client.key}"}}
            )
        )
        acknowledged = json.loads(await connection.recv())
    with pytest.raises(InvalidStatus, match="403"):
        await connect(
            client.url.replace("http", "ws", 1) + "/graphql/",
            subprotocols=[PROTOCOL],
            additional_headers=origin,
        )

    assert [each.json()["data"] for each in (posted, by_get)] == [expected["data"]] * 2
    assert [each.status_code for each in (*others, event, twice)] == [200, 404, 202, 404]
    assert others[1].json()["detail"] == "There is no event type 'a'."
    assert acknowledged == {"type": "connection_ack"}


async def test_a_persisted_query_is_requested_in_full(client: Client) -> None:
    hashed = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}

    unknown = await client.http.post("/graphql", json={"extensions": hashed})
    in_full = await client.http.post(
        "/graphql", json={"extensions": hashed, "query": "{ __typename }"}
    )

    [error] = unknown.json()["errors"]
    assert error["message"] == "PersistedQueryNotSupported"
    assert error["extensions"] == {"code": "PERSISTED_QUERY_NOT_SUPPORTED"}
    assert in_full.json()["data"] == {"__typename": "Query"}


async def test_a_body_over_the_limit_results_in_413(database_url: str, serve: Serve) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 1_000

    async with serve(database_url, limits={"body_bytes": 4_000}) as client:
        headers = {"content-type": JSON}
        response = await client.http.post("/graphql", content=b" " * 4_001, headers=headers)
        untold = await client.http.post("/graphql", content=chunks(), headers=headers)
        fitting = await client.http.post("/graphql", content=TYPENAME.ljust(4_000), headers=headers)

    assert (response.status_code, untold.status_code, fitting.status_code) == (413, 413, 200)
    assert (
        response.json()["errors"][0]["message"]
        == "The request body is too large; the maximum is 4,000 bytes."
    )


async def test_a_subscription_is_streamed_as_events_and_resumes_after_last_event_id(
    client: Client,
) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        head = await client.execute_field("{ logHead }")
        query = f'subscription {{ notificationAdded(after: "{head}") {{ node {{ summary }} }} }}'
        await client.log_event(summary="a\nb", notification=True)
        headers = {"accept": EVENTS}

        async with client.http.stream(
            "POST", "/graphql", json={"query": query}, headers=headers
        ) as heard:
            lines = heard.aiter_lines()
            event = [await anext(lines) for _ in range(6)][2:]
        await client.log_event(summary="later", notification=True)
        resumed = headers | {"last-event-id": event[1].removeprefix("id: ")}
        async with client.http.stream(
            "POST", "/graphql", json={"query": query}, headers=resumed
        ) as heard:
            lines = heard.aiter_lines()
            missed = [await anext(lines) for _ in range(6)][2:]
        failed = await client.http.post("/graphql", json={"query": "{"}, headers=headers)

    payload = {"data": {"notificationAdded": {"node": {"summary": "a\nb"}}}}
    assert event[0] == "event: next"
    assert event[1].startswith("id: ")
    assert json.loads(event[2].removeprefix("data: ")) == payload
    assert event[3] == ""
    assert '"later"' in missed[2]
    assert failed.status_code == 200
    assert "GRAPHQL_PARSE_FAILED" in failed.text
    assert failed.text.endswith("\n\nevent: complete\ndata:\n\n")
    assert "\r" not in failed.text


async def test_an_idle_event_stream_gets_keep_alive_comments(
    database_url: str, serve: Serve
) -> None:
    async with (
        serve(database_url, sockets={"ping_interval_seconds": 0.05}) as client,
        client.http.stream(
            "POST", "/graphql", json={"query": BELL}, headers={"accept": EVENTS}
        ) as heard,
        asyncio.timeout(TIMEOUT_SECONDS),
    ):
        # The first one is sent at once.
        assert [line async for line in take_first(4, heard.aiter_lines())] == [":", ""] * 2


async def take_first(count: int, lines: AsyncIterator[str]) -> AsyncIterator[str]:
    for _ in range(count):
        yield await anext(lines)


async def test_an_event_stream_ends_with_its_credential(
    own_client: Client, database: Database
) -> None:
    key = await create_api_key(database, Permission.EVENT_READ)
    reader = own_client.as_key(key)
    [row] = [
        each
        for each in (await own_client.execute_field("{ organization { apiKeys { id name } } }"))[
            "apiKeys"
        ]
        if each["name"] == "key of default"
    ]

    async with (
        reader.http.stream(
            "POST", "/graphql", json={"query": BELL}, headers={"accept": EVENTS}
        ) as heard,
        asyncio.timeout(TIMEOUT_SECONDS),
    ):
        revoke = "mutation ($id: ID!) { revokeApiKey(id: $id) { userErrors { code } } }"
        await own_client.execute_field(revoke, id=row["id"])
        lines: list[Any] = [line async for line in heard.aiter_lines()]

    assert lines == [":", ""]
    refused = await reader.http.post("/graphql", json={"query": BELL}, headers={"accept": EVENTS})
    assert refused.status_code == 401
