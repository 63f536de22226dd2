"""Hostile requests as bytes: the same table for the same seed.

Each family uses one kind of attack. The same requests can be damaged randomly, indefinitely.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from tests.client import ADMINISTRATOR

EVENT_ID = "01890000-0000-7000-8000-000000000000"
_WEIRD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, "", " ", "\0"),
    *(
        "\ud800",
        "\ufffe",
        "x" * 70_000,
        "' OR 1=1 --",
        '"; DROP TABLE event; --',
        "%00",
        "../../etc",
    ),
    *("{{7*7}}", "${jndi:ldap://x}", "<script>alert(1)</script>", "\r\nX-Evil: 1", "%s%n", "NaN"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2026-02-30T00:00:00Z", "P99999999999Y"),
    *(EVENT_ID, "RXZlbnQ6MQ==", "e:1:1", "A" * 500, [], {}, [[]], [None], {"": {}}, [{}] * 600),
    *({"__proto__": {}}, {"$ne": None}, [[[[[[[[[["deep"]]]]]]]]]], {"a": [{"b": [{"c": 1e308}]}]}),
]
_RAW_VALUES = [
    b"1" * 6_000,
    b"-" + b"9" * 6_000,
    b"1e99999",
    b"NaN",
    b"-Infinity",
    b"[" * 60_000 + b"]" * 60_000,
    b'{"a":' * 60_000 + b"1" + b"}" * 60_000,
    b"[" * 60_000,
    b'"' + b"a" * 300_000,
    b'"\xff\xfe"',
    b'"\\ud800"',
    b'"\\u0000"',
    b'"\\x41"',
    b"'a'",
    b"01",
    b"+1",
    b".5",
    b"1.",
    b'{"a": 1, "a": 2}',
    b"tru",
    b"[1,]",
    b"// c\n1",
]


@dataclass(frozen=True)
class Attack:
    """The bytes to send, and whether the client then ends its stream."""

    name: str
    sent: bytes
    ends: bool = False


def build_table(seed: int) -> list[Attack]:
    """The requests of every family."""
    chance = random.Random(seed)
    return [
        replace(attack, name=f"{family.__name__.strip('_')} {number}")
        for family in _FAMILIES
        for number, attack in enumerate(family(chance))
    ]


def damaged(seed: int) -> Iterator[Attack]:
    """Yields requests of the table with random changes of bytes, indefinitely."""
    chance, table = random.Random(seed), build_table(seed)
    for number in count():
        yield _damaged(chance, chance.choice(table), number)


def _damaged(chance: random.Random, attack: Attack, number: int) -> Attack:
    sent = bytearray(attack.sent)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(min(len(sent), 2_000) + 1)
        piece = chance.choice(
            (
                b"\0",
                b"\xff",
                b"\r\n",
                b"\n",
                b" ",
                b":",
                b"%",
                b'"',
                b"{",
                b"\xed\xa0\x80",
                b"9" * 20,
            )
        )
        sent[at : at + chance.randint(0, 3)] = piece
    if chance.random() < 0.2:
        del sent[chance.randrange(len(sent)) :]
    return Attack(f"damaged {number}: {attack.name}", bytes(sent) or b"\0", ends=True)


def _http(
    start: bytes | str, body: bytes | None = None, *headers: bytes | str, key: bool = True
) -> bytes:
    """A whole request with a valid credential, one header per line. The connection ends with it."""
    lines = [start, "Host: tocsin", "Connection: close"]
    if key:
        lines.append(f"Authorization: Bearer {ADMINISTRATOR}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    lines += headers
    head = b"\r\n".join(each if isinstance(each, bytes) else each.encode() for each in lines)
    return head + b"\r\n\r\n" + (body or b"")


def _post(body: bytes, *headers: bytes | str, path: str = "/graphql") -> bytes:
    if not any(bytes(_raw(each)).lower().startswith(b"content-type") for each in headers):
        headers = ("Content-Type: application/json", *headers)
    return _http(f"POST {path} HTTP/1.1", body, *headers)


def _raw(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _asked(query: str, variables: Any = None, *headers: str) -> Attack:
    body = json.dumps({"query": query, "variables": variables}).encode()
    return Attack("", _post(body, *headers))


def _request_lines(_: random.Random) -> Iterator[Attack]:
    for line in (
        b"",
        b"GET",
        b"GET /health",
        b"GET  /health HTTP/1.1",
        b"get /health HTTP/1.1",
        b"GET /health HTTP/9.9",
        b"GET /health HTTP/1.1.1",
        b"GET /health http/1.1",
        b"GET\t/health\tHTTP/1.1",
        b"GET /health\0 HTTP/1.1",
        b"GET /h\xc3\xa9alth HTTP/1.1",
        b"GET /health HTTP/1.1\0",
        b"\0\0\0\0",
        b" GET /health HTTP/1.1",
        b"GET http://other.example/health HTTP/1.1",
        b"GET http:///health HTTP/1.1",
        b"GET http://[::1/health HTTP/1.1",
        b"GET //other.example/health HTTP/1.1",
        b"GET health HTTP/1.1",
        b"GET ?query={a} HTTP/1.1",
        b"GET # HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT other.example:443 HTTP/1.1",
        b"TRACE /graphql HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"PURGE /graphql HTTP/1.1",
        b"M-SEARCH * HTTP/1.1",
        b"X" * 200 + b" /health HTTP/1.1",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
        b"GET /graphql?query=" + b"a" * 60_000 + b" HTTP/1.1",
        b"GET /graphql?" + b"query=a&" * 5_000 + b" HTTP/1.1",
        b"GET /graphql?query=%ff%fe%00&variables=%ff HTTP/1.1",
        b"GET /graphql?query={__typename}&variables=[[[[ HTTP/1.1",
        b"GET /graphql?query=%7B__typename%7D&variables=" + b"%5B" * 9_000 + b" HTTP/1.1",
        b"GET /graphql?query=mutation%7BdeleteEvent(id:1)%7Bduplicate%7D%7D HTTP/1.1",
        b"HEAD /graphql?query=%7B__typename%7D HTTP/1.1",
        b"GET /graphql?query=subscription%7BnotificationAdded%7Bcursor%7D%7D HTTP/1.0",
    ):
        yield Attack("", _http(line), ends=True)
    yield Attack("", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)), ends=True)
    yield Attack("", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(60), ends=True)
    yield Attack("", b"\r\n" * 2_000 + _http("GET /health HTTP/1.1"))
    yield Attack("", b"GET /health HTTP/1.1\nHost: a\n\n", ends=True)
    yield Attack("", b"GET /health HTTP/1.1\rHost: a\r\r", ends=True)
    yield Attack("", bytes(range(256)) * 20, ends=True)


_ROUTES = (
    "/",
    "/graphql",
    "/cloudevents",
    "/event-types/x/schema.json",
    "/graphql/assets/index.js",
    "/health",
    "/metrics",
)


def _paths(_: random.Random) -> Iterator[Attack]:
    for route in _ROUTES:
        for trick in (
            "/",
            "%00",
            "%2f..%2f..%2fsettings.py",
            "/../../../etc/passwd",
            ";a=b",
            "%ff%fe",
        ):
            yield Attack("", _http(f"GET {route}{trick} HTTP/1.1"))
    for path in (
        "/graphql/assets/",
        "/graphql/assets/%00",
        "/graphql/assets/a%00.js",
        "/graphql/assets/..%5c..%5csettings.py",
        "/graphql/assets/..%2f..%2f..%2fsettings.py",
        "/graphql/assets/%2e%2e/%2e%2e/index.html",
        "/graphql/assets/%252e%252e%252f",
        "/graphql/assets//etc/passwd",
        "/graphql/assets/" + "a" * 5_000,
        "/graphql/assets/" + "a/" * 5_000,
        "/graphql/assets/%ff%fe%fd",
        "/graphql/assets/%ed%a0%80",
        "/graphql/assets/.%c0%ae/",
        "/graphql/assets/\\..\\..\\",
        "/graphql/assets/con",
        "/%0a%7B%22level%22:%22error%22%7D",
        "/health%0d%0aSet-Cookie:%20a=b",
        "/event-types//schema.json",
        "/event-types/%00/schema.json",
        "/event-types/%ff/schema.json",
        "/event-types/%ed%a0%80/schema.json",
        "/event-types/../../schema.json",
        f"/event-types/{'a' * 3_000}/schema.json",
        f"/event-types/{'a/' * 3_000}schema.json",
        "/event-types/a/schema.json?version=" + "9" * 5_000,
        "/event-types/a/schema.json?version=-1",
        "/event-types/a/schema.json?version=%00",
        "/event-types/a/schema.json?version=1&version=2",
        "/event-types/a'%20OR%201=1--/schema.json",
    ):
        yield Attack("", _http(f"GET {path} HTTP/1.1"))


_GOOD = b'{"query": "{ __typename }"}'


def _headers(_: random.Random) -> Iterator[Attack]:
    bombs: list[bytes] = [
        b"\r\n".join(b"X-%d: a" % number for number in range(10_000)),
        b"X: " + b"a" * 2_000_000,
        b"X" * 500_000 + b": a",
        b"Cookie: " + b"a=b; " * 20_000,
        b"\r\n".join(b"Cookie: a=b" for _ in range(5_000)),
    ]
    for line in (
        *bombs,
        b"X: a\0b",
        b"X: \xff\xfe",
        b"X\0: a",
        b"X\xff: a",
        b": a",
        b"no colon",
        b"X : a",
        b" X: a",
        b"X: a\r\n folded",
        b"X: a\rb",
        b"X: a\nY: b",
        b"Host: other\r\nHost: third",
        b"Content-Type: application/json\r\nContent-Type: text/plain",
        b"Authorization: Bearer other",
        b"Accept-Encoding: " + b"gzip;q=0.1, " * 2_000,
        b"Content-Encoding: gzip",
        b"Content-Encoding: br, br, br",
        b"Expect: 100-continue",
        b"Expect: 200-ok",
        b"Range: bytes=0-0,-1,5-2",
        b"If-None-Match: " + b'"a", ' * 5_000,
        b"If-Modified-Since: 99999999999",
        b"X-Request-Id: a\x7fb",
        b"X-Request-Id: " + b"a" * 5_000,
        b"traceparent: 00-" + b"g" * 500 + b"-01",
        b"traceparent: \xff\xff",
        b"tracestate: " + b"a=b," * 3_000,
        b"baggage: a=%ff;%00," * 1,
        b"Last-Event-ID: \xff\0",
        b"Last-Event-ID: " + b"a" * 9_000,
        b"data-partition-id: \xff",
        b"data-partition-id: ' OR 1=1 --",
        b"data-partition-id: " + b"a" * 9_000,
        b"slb-data-partition-id: default\r\ndata-partition-id: other",
        b"X-Forwarded-For: " + b"1.1.1.1, " * 3_000,
        b"X-Forwarded-Proto: javascript",
        b"X-Forwarded-Host: evil.example",
        b'Forwarded: for="_x";host=evil',
        b"X-HTTP-Method-Override: DELETE",
        b"Origin: \xff\xfe",
        b"Origin: http://[::1",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        b"Connection: keep-alive, close, upgrade",
        b"TE: trailers, deflate;q=0.5",
    ):
        yield Attack("", _post(_GOOD, line), ends=True)
    for credential in (
        b"",
        b"Bearer",
        b"Bearer \xff\xfe",
        b"Bearer " + b"a" * 30_000,
        b"Bearer a.b.c",
        b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwib3JnYW5pemF0aW9uIjoiKiJ9.",
        b"Bearer e30.e30.e30",
        b"Bearer W10.W10.W10",
        b"Bearer " + b"W1tbW1tb" * 2_000 + b".a.b",
        b"Basic YWRtaW46YWRtaW4=",
        b'Digest username="a"',
    ):
        line = b"Authorization: " + credential
        body = ("Content-Length: 27", line, "Content-Type: application/json")
        yield Attack("", _http("POST /graphql HTTP/1.1", None, *body, key=False) + _GOOD)


def _lengths(_: random.Random) -> Iterator[Attack]:
    def lied(*headers: str, body: bytes = _GOOD, path: str = "/graphql") -> Attack:
        headers_sent = ("Content-Type: application/json", *headers)
        return Attack("", _http(f"POST {path} HTTP/1.1", None, *headers_sent) + body, ends=True)

    smuggled = b"0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
    for length in (
        "-1",
        "+27",
        "27, 27",
        "27, 28",
        "0x1b",
        " 27 ",
        "2 7",
        "",
        "9" * 30,
        "1e1",
        "２７",
    ):
        yield lied(f"Content-Length: {length}")
    for size in (0, 5, 26, 28, 1_000, 9_000_000, 2**31, 2**63 - 1, 2**64):
        yield lied(f"Content-Length: {size}")
        yield lied(f"Content-Length: {size}", path="/cloudevents")
    yield lied("Content-Length: 27", "Content-Length: 28")
    yield lied("Content-Length: 27", "Content-Length: 27")
    yield lied("Content-Length: 6", "Transfer-Encoding: chunked", body=smuggled)
    yield lied("Transfer-Encoding: chunked", "Content-Length: 6", body=smuggled)
    for coding in (
        "xchunked",
        "chunked, identity",
        "identity",
        "gzip, chunked",
        " chunked",
        "ch\tunked",
    ):
        yield lied(f"Transfer-Encoding: {coding}", "Content-Length: 5", body=smuggled)
    for chunks in (
        b"1b\r\n" + _GOOD + b"\r\n0\r\n\r\n",
        b"1B;ext=" + b"a" * 50_000 + b"\r\n" + _GOOD + b"\r\n0\r\n\r\n",
        b"0x1b\r\n" + _GOOD + b"\r\n0\r\n\r\n",
        b"-1\r\n" + _GOOD,
        b"ffffffffffffffff\r\n" + _GOOD,
        b"fffffffffffffffff\r\n" + _GOOD,
        b"7fffffff\r\n" + _GOOD,
        b"1\r\n{\r\n" * 5,
        b"5\r\n" + _GOOD + b"\r\n0\r\n\r\n",
        b"zz\r\n",
        b"\r\n\r\n",
        b"1b\n" + _GOOD + b"\n0\n\n",
        b"0\r\n" + b"X: a\r\n" * 5_000 + b"\r\n",
        b"0\r\nContent-Length: 5\r\nAuthorization: Bearer other\r\n\r\n",
        b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n",
    ):
        yield lied("Transfer-Encoding: chunked", body=chunks)


def _bodies(_: random.Random) -> Iterator[Attack]:
    for value in _RAW_VALUES:
        yield Attack("", _post(value))
        yield Attack("", _post(b'{"query": "{ __typename }", "variables": {"a": ' + value + b"}}"))
    for body in (
        b"",
        b"\xef\xbb\xbf" + _GOOD,
        _GOOD.decode().encode("utf-16"),
        _GOOD + b"\0",
        _GOOD * 2,
        b" " * 1_000_000,
        b'{"query": null}',
        b'{"query": 5}',
        b'{"query": ""}',
        b'{"query": ["{ __typename }"]}',
        b'{"query": "{ __typename }", "operationName": 5}',
        b'{"query": "{ __typename }", "operationName": "\\u0000"}',
        b'{"query": "{ __typename }", "variables": [1]}',
        b'{"query": "{ __typename }", "variables": "{}"}',
        b'{"query": "{ __typename }", "extensions": "x"}',
        b'{"query": "{ __typename }", "extensions": {"persistedQuery": 5}}',
        b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 5}}}',
        b'{"id": "1"}',
        b'{"query": "\\ud800"}',
        b'{"query": "\\u0000"}',
        b"[" + b",".join([_GOOD] * 1_000) + b"]",
        b'{"' + b"a" * 100_000 + b'": 1}',
        b"{" + b",".join(b'"k%d": 1' % number for number in range(50_000)) + b"}",
        b"--x\r\nContent-Disposition: form-data; name=operations\r\n\r\n{}\r\n--x--",
    ):
        yield Attack("", _post(body))


def _documents(_: random.Random) -> Iterator[Attack]:
    deep = "correlations { nodes { event { "
    for query in (
        "{" * 20_000,
        "{ a " * 5_000,
        "{ events { nodes { " + deep * 300 + "id" + " } } }" * 300 + " } } }",
        "{" + " ".join(f"a{number}: __typename" for number in range(20_000)) + "}",
        "{" + " ".join(f"a{n}: events(first: 100) {{ totalCount }}" for n in range(200)) + "}",
        "{ __typename " + "@skip(if: false) " * 20_000 + "}",
        "{ __typename " + "@nothing " * 5_000 + "}",
        "query " + "@a" * 10_000 + " { __typename }",
        "{ ...a } fragment a on Query { ...a }",
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
        "{ ...f0 } "
        + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(40))
        + " fragment f40 on Query { __typename }",
        "{ ...f0 } "
        + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(2_000))
        + " fragment f2000 on Query { __typename }",
        " ".join(f"query q{number} {{ __typename }}" for number in range(5_000)),
        "query q { __typename } " * 500,
        "query " + "a" * 500_000 + " { __typename }",
        "{ " + "a" * 500_000 + " }",
        "{ nothing(" + "a" * 100_000 + ": 1) }",
        '{ event(id: """' + "a\n" * 100_000 + '""") { id } }',
        '{ event(id: """' + '\\"""' * 50_000 + '""") { id } }',
        '{ event(id: """ never ends',
        '{ event(id: "never ends',
        '{ event(id: "\\u{110000}") { id } }',
        '{ event(id: "\\ud800") { id } }',
        '{ event(id: "\\u0000") { id } }',
        "#" * 500_000 + "\n{ __typename }",
        "# a\n" * 100_000 + "{ __typename }",
        "," * 500_000 + "{ __typename }",
        "\ufeff" * 1_000 + "{ __typename }",
        "{ __typename \0 }",
        "{ events(first: " + "9" * 10_000 + ") { totalCount } }",
        "{ events(first: -2147483649) { totalCount } }",
        "{ events(first: 1e400) { totalCount } }",
        "{ events(filter: " + "{not: " * 500 + "{}" + "}" * 500 + ") { totalCount } }",
        "{ events(filter: {and: [" + "{or: [" * 200 + "]}" * 200 + "]}) { totalCount } }",
        "{ events(filter: {types: " + "[" * 5_000 + "]" * 5_000 + "}) { totalCount } }",
        "{ events(filter: {types: [" + '"a",' * 20_000 + "]}) { totalCount } }",
        "query ($a: " + "[" * 3_000 + "String" + "]" * 3_000 + ") { __typename }",
        "query (" + " ".join(f"$v{number}: Int" for number in range(5_000)) + ") { __typename }",
        "query ($a: Int = $a) { events(first: $a) { totalCount } }",
        "query ($a: Query) { __typename }",
        "query ($a: Nothing!) { __typename }",
        "query ($a: Int) { events(first: $b) { totalCount } }",
        "query ($a: Int, $a: Int) { events(first: $a) { totalCount } }",
        "{ __schema { types { " + "fields { type { " * 50 + "name" + " } }" * 50 + " } } }",
        "{ __schema { types { "
        + "possibleTypes { interfaces { " * 8
        + "name"
        + " } }" * 8
        + " } } }",
        '{ __type(name: "\\u0000") { name } }',
        "{ __type(name: 5) { name } }",
        "{ __typename __typename: logHead }",
        "{ events { nodes { id } nodes: totalCount } }",
        "type Query { a: Int }",
        "extend schema { query: Query }",
        "fragment a on Query { __typename }",
        "subscription { a: notificationAdded { cursor } b: notificationAdded { cursor } }",
        "subscription { __typename }",
        "subscription { ...a } fragment a on Subscription { notificationAdded { cursor } }",
        "mutation { __typename }",
        "mutation { "
        + " ".join(f"m{n}: deleteEvent(id: {n}) {{ duplicate }}" for n in range(500))
        + "}",
        "mutation { logEvent(input: {fields: "
        + "{a: " * 400
        + "1"
        + "}" * 400
        + "}) { duplicate } }",
        'mutation { logEvent(input: {summary: "\\ud83d"}) { duplicate } }',
        "query Introspection { __schema { ...s } } fragment s on __Schema { types { ...t } } "
        "fragment t on __Type { fields { type { ...t } } }",
        "}{",
        "...",
        "{ a(b: $) }",
        "{ a(b: {c: {d: [}}}) }",
    ):
        yield _asked(query)
    for query in (
        "{ __typename }",
        "subscription { notificationAdded { cursor } }",
        "{",
        "{ " * 9_000,
    ):
        yield _asked(query, None, "Accept: text/event-stream")


# A value of each type, as literal or variable.
_PLACES = [
    ("$v: ID!", "{ event(id: $v) { id } }"),
    ("$v: ID!", "{ node(id: $v) { id } }"),
    ("$v: String", "{ events(after: $v) { totalCount } }"),
    ("$v: Int", "{ events(first: $v) { totalCount } }"),
    ("$v: Int", "{ events(offset: $v) { nodes { id } } }"),
    ("$v: EventFilter", "{ events(filter: $v) { nodes { id } } }"),
    ("$v: DateTime", "{ events(filter: {occurredAt: {from: $v}}) { totalCount } }"),
    ("$v: [String!]", "{ events(filter: {types: $v}) { totalCount } }"),
    ("$v: String", "{ events(filter: {search: $v}) { totalCount } }"),
    ("$v: JSON", "mutation { logEvent(input: {fields: $v}) { userErrors { message } } }"),
    ("$v: String", "mutation { logEvent(input: {summary: $v}) { userErrors { message } } }"),
    ("$v: String", "mutation { logEvent(input: {source: $v}) { userErrors { message } } }"),
    ("$v: DateTime", "mutation { logEvent(input: {occurredAt: $v}) { userErrors { message } } }"),
    ("$v: LogEventInput!", "mutation { logEvent(input: $v) { userErrors { message } } }"),
    ("$v: [LogEventInput!]!", "mutation { logEvents(input: $v) { accepted } }"),
    ("$v: [JSON!]!", "mutation { ingestCloudEvents(events: $v) { accepted } }"),
    ("$v: UpdateEventInput!", "mutation { updateEvent(input: $v) { userErrors { message } } }"),
    (
        "$v: CreateEventTypeInput!",
        "mutation { createEventType(input: $v) { userErrors { path } } }",
    ),
    ("$v: String!", "{ tryGuardRule(expression: $v) { checked userErrors { message } } }"),
    ("$v: String", "{ cloudEvents(type: $v) { total } }"),
    ("$v: Int", "{ cloudEvents(pageSize: $v) { total } }"),
    ("$v: String!", "{ entity(type: $v, id: $v) { events { totalCount } } }"),
    ("$v: Duration", "{ eventCounts(by: [TYPE], every: $v) { count } }"),
    (
        "$v: [ID!]!",
        f'mutation {{ correlateEvents(eventId: "{EVENT_ID}", relatedIds: $v, '
        "relation: RELATED) { userErrors { message } } }",
    ),
]


def _variables(chance: random.Random) -> Iterator[Attack]:
    for declared, document in _PLACES:
        operation, _, rest = document.partition("{")
        query = f"{operation.strip() or 'query'} ({declared}) {{{rest}"
        for value in chance.sample(_WEIRD, 2):
            yield _asked(query, {"v": value})
        raw = chance.choice(_RAW_VALUES)
        yield Attack(
            "", _post(b'{"query": %s, "variables": {"v": %s}}' % (json.dumps(query).encode(), raw))
        )


def _negotiation(_: random.Random) -> Iterator[Attack]:
    for accept in (
        "text/html",
        "*",
        "/",
        ";q=1",
        "a/b;q=nan",
        "application/json;q=1e999",
        "application/json;" + "a=b;" * 3_000,
        ",".join(["*/*"] * 5_000),
        "text/event-stream;q=0",
        "application/json\x00",
        '"',
        "ａ/ｂ",
    ):
        yield Attack("", _post(_GOOD, f"Accept: {accept}"), ends=True)
    for content in (
        "application/json; charset=idna",
        "application/json; charset=" + "x" * 5_000,
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; =",
        'application/json; charset="',
        "application/json, text/plain",
        "multipart/form-data",
        "a" * 9_000,
        "application/graphql",
        "\x01",
    ):
        yield Attack("", _post(_GOOD, f"Content-Type: {content}"), ends=True)


def _halves(_: random.Random) -> Iterator[Attack]:
    whole = _post(_GOOD)
    for part in (
        1,
        5,
        16,
        40,
        len(whole) - len(_GOOD) - 2,
        len(whole) - len(_GOOD),
        len(whole) - 1,
    ):
        yield Attack("", whole[:part], ends=True)
    keep_alive = whole.replace(b"Connection: close\r\n", b"")
    yield Attack("", b"", ends=True)
    yield Attack("", keep_alive * 50 + whole)
    yield Attack("", keep_alive + b"GARBAGE\r\n\r\n", ends=True)
    yield Attack("", keep_alive + whole[:-5], ends=True)
    yield Attack("", whole + whole + bytes(range(256)), ends=True)
    yield Attack("", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 3_000, ends=True)
    yield Attack("", b"GET /health HTTP/1.0\r\n\r\n" * 100, ends=True)
    yield Attack("", keep_alive.replace(b"/graphql", b"/cloudevents") + b"POST", ends=True)


_SHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: graphql-transport-ws",
)


def _shake(*headers: str, start: str = "GET /graphql HTTP/1.1", frames: bytes = b"") -> Attack:
    lines = [start, "Host: tocsin", *(headers or _SHAKE)]
    if frames:  # the server reads all of them before it receives the close of the client
        frames += _frame(b"\x03\xe8", first=0x88)
    return Attack("", "\r\n".join(lines).encode() + b"\r\n\r\n" + frames, ends=True)


def _frame(
    payload: bytes, first: int = 0x81, masked: bool = True, length: int | None = None
) -> bytes:
    size = len(payload) if length is None else length
    mark = 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first, mark | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, mark | 126, size)
    else:
        head = struct.pack("!BBQ", first, mark | 127, size)
    return head + (b"\0\0\0\0" if masked else b"") + payload


def _sockets(_: random.Random) -> Iterator[Attack]:
    for number, header in enumerate(_SHAKE):
        yield _shake(*_SHAKE[:number], *_SHAKE[number + 1 :])
        yield _shake(*_SHAKE, header)
    for header in (
        "Sec-WebSocket-Key: short",
        "Sec-WebSocket-Key: " + "A" * 9_000,
        "Sec-WebSocket-Version: 99",
        "Sec-WebSocket-Protocol: " + "a, " * 3_000,
        "Sec-WebSocket-Protocol: graphql-ws",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
        "Sec-WebSocket-Extensions: " + "permessage-deflate; a, " * 500,
        "Origin: null",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
    ):
        name = header.partition(":")[0]
        yield _shake(*(each for each in _SHAKE if not each.startswith(name)), header)
    for start in (
        "POST /graphql HTTP/1.1",
        "GET /graphql HTTP/1.0",
        "GET /cloudevents HTTP/1.1",
        "GET /graphql/assets/index.js HTTP/1.1",
        "GET /graphql%00 HTTP/1.1",
        "GET /%ff HTTP/1.1",
        "GET http://[/graphql HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ):
        yield _shake(start=start)
    begin = {"type": "connection_init", "payload": {"authorization": f"Bearer {ADMINISTRATOR}"}}
    ready = _frame(json.dumps(begin).encode())
    for frames in (
        b"\xff" * 100,
        b"no frames at all",
        _frame(b"{}", masked=False),
        _frame(b"{}", first=0xF1),
        _frame(b"{}", first=0x83),
        _frame(b"{}", first=0x82),
        _frame(b"\xff\xfe"),
        _frame(b"", length=2**63),
        _frame(b"", length=2**40),
        _frame(b"a" * 3_000_000),
        _frame(b"a", first=0x01) * 5_000,
        _frame(b"a", first=0x80),
        _frame(b"a" * 126, first=0x89),
        _frame(b"a", first=0x89) * 5_000,
        _frame(b"\x03", first=0x88),
        _frame(b"\xff\xff", first=0x88),
        _frame(b"\x03\xe8\xff\xfe", first=0x88),
        _frame(b"{}", first=0xC1),
        _frame(b"[" * 100_000),
        _frame(b'{"type": "connection_init", "payload": ' + b'{"a":' * 50_000),
        _frame(b'{"type": "connection_init", "payload": {"authorization": {"a": [1]}}}'),
        _frame(b'{"type": "connection_init", "payload": 5}'),
        _frame(b'{"type": 5}'),
        _frame(b'{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}'),
        _frame(b'{"type": "ping", "payload": "' + b"a" * 100_000 + b'"}') * 5,
        ready + ready,
        ready + _frame(b'{"type": "subscribe", "id": "1", "payload": {"query": "{"}}') * 200,
        ready + _frame(b'{"type": "subscribe", "id": 5, "payload": {"query": "{"}}'),
        ready + _frame(b'{"type": "subscribe", "id": "1", "payload": {"query": 5}}'),
        ready + _frame(b'{"type": "subscribe", "id": "\\u0000", "payload": {"query": "{a}"}}'),
        ready + _frame(b'{"type": "subscribe", "id": "\\ud800", "payload": {"query": "{a}"}}'),
        ready + _frame(b'{"type": "complete", "id": "nothing"}') * 1_000,
        ready + _frame(b'{"type": "pong"}') * 1_000,
        ready + _frame(b'{"type": "next", "id": "1", "payload": {}}'),
        ready
        + _frame(
            b'{"type": "subscribe", "id": "1", "payload": {"query": "' + b"{a" * 9_000 + b'"}}'
        ),
    ):
        yield _shake(frames=frames)


def _events(chance: random.Random) -> Iterator[Attack]:
    good = {"specversion": "1.0", "id": "1", "source": "/wells", "type": "note"}

    def sent(
        body: bytes, media: str = "application/cloudevents+json", *more: bytes | str
    ) -> Attack:
        return Attack("", _post(body, f"Content-Type: {media}", *more, path="/cloudevents"))

    for value in _RAW_VALUES:
        yield sent(json.dumps(good).encode()[:-1] + b', "data": ' + value + b"}")
    for name in ("id", "source", "specversion", "time", "dataschema", "data_base64", "extension"):
        for weird in chance.sample(_WEIRD, 2):
            yield sent(json.dumps(good | {name: weird}).encode())
    batch = "application/cloudevents-batch+json"
    yield sent(json.dumps([good] * 501).encode(), batch)
    yield sent(json.dumps(_WEIRD).encode(), batch)
    yield sent(b"[" * 100_000, batch)
    yield sent(json.dumps(good).encode(), "application/cloudevents+xml")
    yield sent(json.dumps(good).encode(), "application/cloudevents+json; charset=rot13")
    yield sent(json.dumps(good).encode("utf-16"), "application/cloudevents+json; charset=utf-16")
    attribute_headers = ("ce-specversion: 1.0", "ce-id: 1", "ce-source: /a", "ce-type: note")
    for header in (
        b"ce-id: 2",
        b"ce-: a",
        b"ce-\xff: a",
        b"ce-subject: \xff",
        b"ce-subject: %ff%00",
        b'ce-subject: "a\\',
        b"ce-subject: " + b"%41" * 9_000,
        b"ce-time: 99999-01-01T00:00:00Z",
        b"ce-dataschema: http://169.254.169.254/latest/meta-data",
        b"ce-dataschema: file:///etc/passwd",
        b"ce-data: a",
        b"ce-data_base64: AA==",
        b"\r\n".join(b"ce-x%d: a" % number for number in range(2_000)),
        b"ce-severity: " + b"a" * 5_000,
        b"Content-Encoding: gzip",
    ):
        yield sent(b"\xff\0\xfe", "application/octet-stream", *attribute_headers, header)
        yield sent(b"[" * 5_000, "application/json", *attribute_headers, header)


_FAMILIES: list[Callable[[random.Random], Iterator[Attack]]] = [
    _request_lines,
    _paths,
    _headers,
    _lengths,
    _bodies,
    _documents,
    _variables,
    _negotiation,
    _halves,
    _sockets,
    _events,
]
