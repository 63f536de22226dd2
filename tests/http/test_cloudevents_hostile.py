"""Hostile messages: each is rejected with the path of the error, and stores nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.http.cloudevent_messages import BATCH_MEDIA_TYPE, EVENT_MEDIA_TYPE, PATH
from app.store.engine.database import Database
from tests.client import Client
from tests.cloudevent_client import (
    cloud_event,
    count_rows,
    fetch_by_source,
    parse_refusal,
    post_cloud_events,
    send_binary,
    send_structured,
)

MISSING: Any = object()
ATTRIBUTES: list[tuple[str, list[object]]] = [
    ("id", [MISSING, None, "", 1, 1.5, True, [], {}, "a\nb", "\ud800", "\ufdd0", "x" * 256]),
    ("source", [MISSING, None, "", 1, [], "two words", "%", "http://[", "a\0b", "/" * 256]),
    ("specversion", [MISSING, None, "", "1.1", "1", "0.2", "2.0", 1.0, 1, ["1.0"], {}]),
    ("type", [MISSING, None, "", 1, {}, "a\u0085b", "all*", "x" * 256]),
    ("subject", ["", 1, [], "\t", "x" * 256]),
    (
        "time",
        ["", "now", "2026-02-30T00:00:00Z", "2026-04-10", "2026-04-10 12:00:00Z", 1, "9" * 99],
    ),
    ("time", ["9999-12-31T23:59:59Z"]),
    ("datacontenttype", ["", "json", "a/b/c", "text/plain; charset", 1, "a/b\n"]),
    ("dataschema", ["", "/relative", "no uri", 1, [], "x:" + "y" * 5_000]),
    ("data_base64", ["%", "a", 1, [], {}, "Größe", "AAE=\n"]),
    ("comexample", [2**31, -(2**31) - 1, 1.5, 1e300, [], {}, "\0", "a\u009fb", "\udc00", "\ufdd0"]),
    ("severitytext", [1, [], "\n", "x" * 256]),
    ("severitynumber", ["x", 2**31, 1.5, [], {}]),
    ("planningtags", ["", "tag", "[1", {}, 5, '{"a": 1}']),
    ("comExample", ["x"]),
    ("com-example", ["x"]),
    ("com_example", [5]),
    ("größe", ["x"]),
    ("recordedtime", [[], 1.5]),
]
BODIES: list[tuple[str, bytes, list[tuple[str, str]]]] = [
    ("nothing", b"", [("BAD_USER_INPUT", "")]),
    ("half", b'{"id": "1"', [("BAD_USER_INPUT", "")]),
    ("bytes", bytes(range(256)), [("BAD_USER_INPUT", "")]),
    ("NUL", b"\0", [("BAD_USER_INPUT", "")]),
    ("UTF-16", '{"id": "1"}'.encode("utf-16"), [("BAD_USER_INPUT", "")]),
    ("deep arrays", b"[" * 200_000, [("BAD_USER_INPUT", "")]),
    ("deep objects", b'{"a":' * 200_000, [("BAD_USER_INPUT", "")]),
    ("twice", b'{"id": "1", "id": "2"}', [("BAD_USER_INPUT", "")]),
    ("null", b"null", [("INVALID_INPUT", "")]),
    ("a number", b"1e999", [("INVALID_INPUT", "")]),
    ("a text", b'"event"', [("INVALID_INPUT", "")]),
    ("a batch", b"[]", [("BAD_USER_INPUT", "")]),
]
VALUES: list[tuple[str, bytes]] = [
    ("a long number", b"1" * 5_000),
    ("a long negative number", b"-" + b"1" * 5_000),
    ("a large number", b"1e400"),
    ("a member that is infinite", b'{"a": 1e400}'),
    ("a long number in an array", b"[" + b"7" * 5_000 + b"]"),
    ("deep", b"[" * 60 + b"]" * 60),
    ("deeper", b'{"a":' * 400 + b"1" + b"}" * 400),
    ("NUL", b'"\\u0000"'),
    ("half a pair", b'{"a": "\\ud800"}'),
    ("a half key", b'{"\\udfff": 1}'),
    ("large", b'{"a": "' + b"x" * 65_536 + b'"}'),
]
HEADERS: list[tuple[str, list[str]]] = [
    ("id", ["", "%EF%BF%BF", "%C0%A0", "%ED%A0%80", "%00", "%0A", '"', '"a', "x" * 256]),
    ("source", ["", "two words", "%20", "%25", "<>"]),
    ("specversion", ["", "1.1", '"0.2"', "%FF"]),
    ("type", ["", "%80", "all*"]),
    ("time", ["", "now", "%31"]),
    ("dataschema", ["relative", "%20"]),
    ("datacontenttype", ["application/json"]),
    ("data", ["x"]),
    ("data_base64", ["AAE="]),
    ("severitynumber", ["x", "1.5", "٣"]),
    ("planningtags", ["x", "[1", "%FF"]),
    ("com-example", ["x"]),
    ("comexample", ["Größe", "€", "a%FFb", "%7F", "a\tb"]),
]


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def test_invalid_attributes_are_rejected(client: Client, database: Database) -> None:
    before = await count_rows(database)

    for attribute, values in ATTRIBUTES:
        for value in values:
            event = cloud_event() | {attribute: value}
            if value is MISSING:
                del event[attribute]
            pair = (attribute, value)
            answer = await send_structured(client, event)

            assert (pair, answer.status_code) == (pair, 400)
            status, errors = parse_refusal(answer)
            paths = {path.partition(".")[0] for _, path in errors}
            assert (pair, status, paths) == (pair, 400, {attribute})
            assert {code for code, _ in errors} == {"INVALID_INPUT"}
    assert await count_rows(database) == before


async def test_data_and_data_base64_are_mutually_exclusive(
    client: Client, database: Database
) -> None:
    before = await count_rows(database)

    answer = await send_structured(client, cloud_event(data={"depth": 3}, data_base64="AAE="))

    assert parse_refusal(answer) == (400, [("INVALID_INPUT", "data_base64")])
    assert await count_rows(database) == before


async def test_bodies_that_are_not_events_are_rejected(client: Client, database: Database) -> None:
    before = await count_rows(database)

    for name, body, errors in BODIES:
        answer = await post_cloud_events(client, body, content_type=EVENT_MEDIA_TYPE)

        assert (name, parse_refusal(answer)) == (name, (400, errors))
    assert await count_rows(database) == before


async def test_bodies_that_are_not_batches_are_rejected(client: Client, database: Database) -> None:
    before = await count_rows(database)

    for name, body, _ in BODIES[:-1]:
        answer = await post_cloud_events(client, body, content_type=BATCH_MEDIA_TYPE)

        assert (name, parse_refusal(answer)) == (name, (400, [("BAD_USER_INPUT", "")]))
    assert await count_rows(database) == before


async def test_data_that_cannot_be_stored_is_rejected(client: Client, database: Database) -> None:
    before = await count_rows(database)

    for name, value in VALUES:
        body = json.dumps(cloud_event(data=0)).encode().replace(b'"data": 0', b'"data": ' + value)
        in_structured = await post_cloud_events(client, body, content_type=EVENT_MEDIA_TYPE)
        in_binary = await send_binary(client, value, content_type="application/json")

        for answer in (in_structured, in_binary):
            status, [(code, path)] = parse_refusal(answer)
            assert (name, status, code) == (name, 400, "INVALID_INPUT")
            assert path.partition(".")[0] == "data"
    assert await count_rows(database) == before


async def test_one_event_that_cannot_be_stored_does_not_stop_a_batch(
    client: Client, database: Database
) -> None:
    before = await count_rows(database)
    values = [value for _, value in VALUES]
    events = [
        json.dumps(cloud_event(id=str(number), data=0)).encode().replace(b'"data": 0', messages)
        for number, messages in enumerate(
            [b'"data": 0', *(b'"data": ' + value for value in values)]
        )
    ]

    answer = await post_cloud_events(
        client, b"[" + b",".join(events) + b"]", content_type=BATCH_MEDIA_TYPE
    )

    results = answer.json()["results"]
    assert (answer.status_code, len(results)) == (207, len(values) + 1)
    assert [each["status"] for each in results] == [202] + [400] * len(values)
    assert (await fetch_by_source(client, "0"))["id"] == results[0]["event"]
    assert await count_rows(database) == [count + 1 for count in before]


async def test_invalid_headers_are_rejected(client: Client, database: Database) -> None:
    before = await count_rows(database)

    for attribute, values in HEADERS:
        for value in values:
            answer = await client.http.post(
                PATH,
                headers=[
                    *((f"ce-{n}".encode(), v.encode()) for n, v in cloud_event().items()
                      if n != attribute),
                    (f"CE-{attribute}".encode(), value.encode()),
                ],
            )  # fmt: skip

            pair = (attribute, value)
            status, errors = parse_refusal(answer)
            assert (pair, status, errors) == (pair, 400, [("INVALID_INPUT", attribute)])
    assert await count_rows(database) == before


async def test_missing_or_repeated_headers_are_rejected(client: Client, database: Database) -> None:
    before = await count_rows(database)

    for attribute in ("id", "source", "type"):
        pairs = [(f"ce-{name}", value) for name, value in cloud_event().items()]
        header = f"ce-{attribute}"

        missing = await client.http.post(PATH, headers=[p for p in pairs if p[0] != header])
        twice = await client.http.post(PATH, headers=[*pairs, (header.upper(), "x")])

        for answer in (missing, twice):
            assert parse_refusal(answer) == (400, [("INVALID_INPUT", attribute)])
    assert await count_rows(database) == before


async def test_messages_that_are_not_cloud_events_are_not_supported(
    client: Client, database: Database
) -> None:
    before = await count_rows(database)
    event = json.dumps(cloud_event()).encode()

    for headers in (
        {},
        {"content_type": "application/json"},
        {"content_type": "application/cloudevents+xml", "ce_specversion": "1.0"},
        {"content_type": "application/cloudevents+avro"},
        {"content_type": "application/cloudevents-batch+xml"},
        {"content_type": f"{EVENT_MEDIA_TYPE}; charset=utf-7"},
        {"content_type": EVENT_MEDIA_TYPE, "content_encoding": "br"},
        {"content_type": "x" * 5_000},
    ):
        answer = await post_cloud_events(client, event, **headers)

        assert (headers, parse_refusal(answer)) == (headers, (415, [("BAD_USER_INPUT", "")]))
        assert len(answer.content) < 1_000
    assert await count_rows(database) == before


async def test_not_all_of_ten_thousand_errors_are_returned(
    client: Client, database: Database
) -> None:
    before = await count_rows(database)
    malformed: dict[str, Any] = {f"X{number}": [] for number in range(10_000)}

    answer = await send_structured(client, cloud_event(**malformed))

    assert parse_refusal(answer)[0] == 400
    assert len(answer.content) < 50_000
    assert await count_rows(database) == before
