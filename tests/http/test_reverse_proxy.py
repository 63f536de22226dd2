"""Everything works below a path of nginx, with the configuration of the documentation.

nginx is Debian's; `.ci/run` installs it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import ssl
from collections.abc import AsyncIterator
from urllib.parse import urljoin

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.http.cloudevent_messages import BATCH_MEDIA_TYPE
from tests.client import PROTOCOL, TIMEOUT_SECONDS, Client
from tests.cloudevent_client import cloud_event
from tests.event_type_client import define_event_type
from tests.http.test_command import guess_key
from tests.reverse_proxy import run_behind_nginx

HTML = {"accept": "text/html"}
BELL = "subscription ($after: String!) { notificationAdded(after: $after) { node { summary } } }"
TYPENAME = {"query": "{ __typename }"}
NEVER = "3600"


@pytest.fixture(scope="module")
async def proxied(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """The administrator, behind nginx. The server sends no keep-alive comments meanwhile."""
    async with (
        run_behind_nginx(
            tmp_path_factory.mktemp("nginx"),
            sockets__ping_interval_seconds=NEVER,
            failed_auth__free_attempts="1",
            failed_auth__max_delayed_requests="0",
        ) as url,
        Client(url) as client,
    ):
        yield client


async def test_the_page_and_its_assets_are_found_by_redirects(proxied: Client) -> None:
    host = proxied.url.removesuffix("/tocsin")
    browser = proxied.as_key(None).http
    paths = ("/tocsin", "/tocsin/", "/tocsin/events/", "/tocsin/events/1", "/tocsin/graphql/")
    pages = [
        await browser.get(f"{host}{path}", headers=HTML, follow_redirects=True) for path in paths
    ]

    assert [(str(page.url).removeprefix(host), page.status_code) for page in pages] == [
        ("/tocsin/", 200),
        ("/tocsin/", 200),
        ("/tocsin/events/", 200),
        ("/tocsin/events/1", 200),
        ("/tocsin/graphql", 200),
    ]
    for page, folder in zip(pages, [*["console"] * 4, "graphql"], strict=True):
        named = re.findall(r'(?:src|href)="([^"]*)"', page.text)
        addresses = [urljoin(str(page.url), name) for name in named]
        assets = [await browser.get(address) for address in addresses]
        assert len(assets) >= 3
        assert {address.startswith(f"{host}/tocsin/{folder}/assets/") for address in addresses} == {
            True
        }
        assert {asset.status_code for asset in assets} == {200}


async def test_both_apis_answer_below_the_path(proxied: Client) -> None:
    answers = [
        await proxied.http.post(path, json=TYPENAME) for path in ("/graphql", "/graphql/")
    ] + [await proxied.http.get("/graphql", params=TYPENAME)]
    batch = gzip.compress(json.dumps([cloud_event(id=str(n)) for n in range(100)]).encode())
    sent = await proxied.http.post(
        "/cloudevents/",
        content=batch,
        headers={"content-type": BATCH_MEDIA_TYPE, "content-encoding": "gzip"},
    )

    assert [answer.json()["data"] for answer in answers] == [{"__typename": "Query"}] * 3
    assert [result["status"] for result in sent.json()["results"]] == [202] * 100


async def test_the_largest_body_is_accepted_and_a_larger_one_results_in_413(
    proxied: Client,
) -> None:
    async def post(size: int) -> httpx.Response:
        body = json.dumps(TYPENAME).encode().ljust(size)
        return await proxied.http.post(
            "/graphql", content=body, headers={"content-type": "application/json"}
        )

    largest, larger = await post(8_388_608), await post(8_388_609)

    assert largest.json()["data"] == {"__typename": "Query"}
    assert larger.status_code == 413


async def test_the_schema_of_an_event_type_is_found_at_its_public_url(proxied: Client) -> None:
    await define_event_type(proxied, type="well.flaring")
    event = await proxied.log_event(
        type="well.flaring", summary="s", source="/wells", sourceId="2 000"
    )
    cloud = await proxied.execute_field(
        "query ($id: ID!) { event(id: $id) { cloudEvent } }", id=event["id"]
    )

    address = cloud["cloudEvent"]["dataschema"]
    schema = await proxied.http.get(address)

    assert address.startswith(f"{proxied.url}/event-types/well.flaring/schema.json")
    assert schema.status_code == 200
    assert schema.json()["type"] == "object"


async def test_a_socket_of_the_own_page_subscribes_and_one_of_another_page_does_not(
    proxied: Client,
) -> None:
    head = await proxied.execute_field("{ logHead }")
    async with proxied.subscription(BELL, after=head) as bell:
        await proxied.log_event(summary="heard", notification=True)
        heard = await bell.receive_next()
    own = await open_handshake(proxied, proxied.url.removesuffix("/tocsin"))
    other = await open_handshake(proxied, "https://evil.example")

    assert heard == {"node": {"summary": "heard"}}
    assert (own, other) == (101, 403)


async def open_handshake(client: Client, origin: str) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with connect(
            client.url.replace("http", "ws", 1) + "/graphql",
            subprotocols=[PROTOCOL],
            additional_headers={"origin": origin},
            ssl=context,
        ):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_an_event_stream_begins_at_once_and_events_are_not_buffered(proxied: Client) -> None:
    head = await proxied.execute_field("{ logHead }")
    request = {"query": BELL, "variables": {"after": head}}

    async with (
        asyncio.timeout(TIMEOUT_SECONDS),
        proxied.http.stream(
            "POST", "/graphql", json=request, headers={"accept": "text/event-stream"}
        ) as stream,
    ):
        lines = stream.aiter_lines()
        first = [await anext(lines), await anext(lines)]
        await proxied.log_event(summary="heard", notification=True)
        event = [await anext(lines) for _ in range(4)]

    assert first == [":", ""]
    assert json.loads(event[2].removeprefix("data: ")) == {
        "data": {"notificationAdded": {"node": {"summary": "heard"}}}
    }


async def test_failed_attempts_are_counted_by_the_address_of_the_client(proxied: Client) -> None:
    url, invented = proxied.url, {"x-forwarded-for": "127.0.0.4"}

    statuses = [
        await guess_key(url, "127.0.0.2"),
        await guess_key(url, "127.0.0.2"),
        await guess_key(url, "127.0.0.2", **invented),
        await guess_key(url, "127.0.0.3"),
    ]

    assert statuses == [401, 429, 429, 401]
