"""Compressed bodies, byte order marks and limits, at both APIs that read a body."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.domain.shared.limits import Limits
from app.http.cloudevent_messages import BATCH_MEDIA_TYPE, EVENT_MEDIA_TYPE
from app.store.engine.database import Database
from tests.client import Client
from tests.cloudevent_client import (
    cloud_event,
    count_rows,
    fetch_by_source,
    send_binary,
)
from tests.conftest import SQLITE, Serve

GRAPHQL = "/graphql"
CLOUD_EVENTS = "/cloudevents"
LOG = "mutation ($input: LogEventInput!) { logEvent(input: $input) { duplicate } }"
INPUT = {"summary": "s", "source": "/wells", "sourceId": "1"}
BODIES = {
    GRAPHQL: json.dumps({"query": LOG, "variables": {"input": INPUT}}).encode(),
    CLOUD_EVENTS: json.dumps(cloud_event()).encode(),
}
CONTENT_TYPES = {GRAPHQL: "application/json", CLOUD_EVENTS: EVENT_MEDIA_TYPE}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
EMPTY_MEMBER = gzip.compress(b"")

both_apis = pytest.mark.parametrize("path", [GRAPHQL, CLOUD_EVENTS])


@pytest.fixture
def dialect() -> str:
    """SQLite only: bodies are read before the database is used."""
    return SQLITE


@pytest.fixture
async def strict(database_url: str, serve: Serve) -> AsyncIterator[Client]:
    """Administrator of a server that accepts bodies of at most 1,000 bytes."""
    async with serve(database_url, limits=Limits(body_bytes=1_000)) as client:
        yield client


async def send(client: Client, path: str, content: Any, encoding: str = "gzip") -> httpx.Response:
    headers = {"content-type": CONTENT_TYPES[path], "content-encoding": encoding}
    return await client.http.post(path, content=content, headers=headers)


async def is_stored(client: Client) -> bool:
    return await fetch_by_source(client) is not None


def read_error(response: httpx.Response) -> tuple[int, str, str]:
    """Returns the status, and the code and message of the only error."""
    body = response.json()
    [error] = body["errors"]
    code = error["extensions"]["code"] if "extensions" in error else error["code"]
    return response.status_code, code, error["message"]


@both_apis
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "identity, gzip"])
async def test_a_body_may_be_gzip(client: Client, path: str, encoding: str) -> None:
    response = await send(client, path, gzip.compress(BODIES[path]), encoding)

    assert response.status_code in (200, 202)
    assert await is_stored(client)


@both_apis
@pytest.mark.parametrize("encoding", ["identity", "Identity", "", ","])
async def test_a_body_may_have_the_identity_encoding(
    client: Client, path: str, encoding: str
) -> None:
    await send(client, path, BODIES[path], encoding)

    assert await is_stored(client)


@both_apis
async def test_gzip_may_arrive_in_pieces_and_have_several_members(
    client: Client, path: str
) -> None:
    half = len(BODIES[path]) // 2
    members = [gzip.compress(BODIES[path][:half]), EMPTY_MEMBER, gzip.compress(BODIES[path][half:])]

    async def pieces() -> AsyncIterator[bytes]:
        for byte in b"".join(members):
            yield bytes([byte])

    await send(client, path, pieces())

    assert await is_stored(client)


@both_apis
async def test_gzip_may_have_200_members(client: Client, path: str) -> None:
    """zlib copies the rest of a chunk for each member, which would block the event loop."""
    body = gzip.compress(BODIES[path])

    too_many = await send(client, path, body + EMPTY_MEMBER * 200)
    is_stored_of_too_many = await is_stored(client)
    await send(client, path, body + EMPTY_MEMBER * 199)

    assert read_error(too_many) == (
        400,
        "BAD_USER_INPUT",
        "The gzip data of the request body has more than 200 members: compress the whole body as "
        "one member.",
    )
    assert not is_stored_of_too_many
    assert await is_stored(client)


async def test_every_mode_of_cloud_events_may_be_gzip(client: Client) -> None:
    headers = {"content_encoding": "gzip"}
    batch = json.dumps([cloud_event(id="2"), cloud_event(id="3")]).encode()

    batched = await client.http.post(
        CLOUD_EVENTS,
        content=gzip.compress(batch),
        headers={"content-type": BATCH_MEDIA_TYPE, "content-encoding": "gzip"},
    )
    binary = await send_binary(
        client, gzip.compress(b'{"depth": 3}'), content_type="application/json", **headers
    )

    assert [result["status"] for result in batched.json()["results"]] == [202, 202]
    assert binary.status_code == 202
    assert (await fetch_by_source(client, "1"))["fields"] == {"depth": 3}


@both_apis
async def test_gzip_over_the_limit_results_in_413(
    strict: Client, database: Database, path: str
) -> None:
    before = await count_rows(database)

    fitting = await send(strict, path, gzip.compress(BODIES[path].ljust(1_000)))
    after = await count_rows(database)
    too_large = await send(strict, path, gzip.compress(BODIES[path].ljust(1_001)))
    members = [gzip.compress(BODIES[path].ljust(600)), gzip.compress(b" " * 401)]
    in_members = await send(strict, path, b"".join(members))
    too_long = await send(strict, path, gzip.compress(BODIES[path]) + EMPTY_MEMBER * 50)

    message = "The request body is too large{}; the maximum is 1,000 bytes."
    decompressed = message.format(" after decompression")
    assert fitting.status_code in (200, 202)
    assert after != before
    assert read_error(too_large) == (413, "BAD_USER_INPUT", decompressed)
    assert read_error(in_members) == (413, "BAD_USER_INPUT", decompressed)
    assert read_error(too_long) == (413, "BAD_USER_INPUT", message.format(""))
    assert await count_rows(database) == after


@both_apis
async def test_a_decompression_bomb_results_in_413(client: Client, path: str) -> None:
    """1 GiB in 1 MB: after 8 MiB, nothing more is decompressed."""
    compressor = zlib.compressobj(wbits=31)
    mebibyte = bytes(1024 * 1024)
    bomb = b"".join(compressor.compress(mebibyte) for _ in range(1024)) + compressor.flush()

    response = await send(client, path, bomb)

    assert len(bomb) < 2_000_000
    assert read_error(response) == (
        413,
        "BAD_USER_INPUT",
        "The request body is too large after decompression; the maximum is 8,388,608 bytes.",
    )


INVALID = "The request body is not valid gzip, although its Content-Encoding is gzip."
INCOMPLETE = "The gzip data of the request body is incomplete."


@both_apis
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _: b"", INCOMPLETE),
        (lambda body: gzip.compress(body)[:5], INCOMPLETE),
        (lambda body: gzip.compress(body)[:-1], INCOMPLETE),
        (lambda body: gzip.compress(body) + EMPTY_MEMBER[:-1], INCOMPLETE),
        (lambda body: body, INVALID),
        (lambda body: zlib.compress(body), INVALID),
        (lambda body: gzip.compress(body) + b"more", INVALID),
        (lambda body: gzip.compress(body)[:-8] + bytes(8), INVALID),
    ],
)
async def test_damaged_gzip_results_in_400(
    own_client: Client, database: Database, path: str, damage: Any, message: str
) -> None:
    before = await count_rows(database)

    response = await send(own_client, path, damage(BODIES[path]))

    assert read_error(response) == (400, "BAD_USER_INPUT", message)
    assert await count_rows(database) == before


@both_apis
@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "x" * 200])
async def test_another_encoding_results_in_415(client: Client, path: str, encoding: str) -> None:
    response = await send(client, path, gzip.compress(BODIES[path]), encoding)

    assert read_error(response) == (
        415,
        "BAD_USER_INPUT",
        f"Unsupported Content-Encoding {encoding[:100]!r}: compress the body with gzip, or send "
        "it uncompressed.",
    )
    assert not await is_stored(client)


@both_apis
async def test_a_byte_order_mark_is_skipped(client: Client, path: str) -> None:
    body = BYTE_ORDER_MARK + BODIES[path]

    plain = await send(client, path, body, "identity")
    compressed = await send(client, path, gzip.compress(body))

    assert await is_stored(client)
    for response in (plain, compressed):
        assert response.status_code in (200, 202)
        assert "errors" not in response.json() or response.json()["errors"] == []
