"""Security headers and CORS: what pages of other origins and what responses may do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.domain.shared.problems import INTERNAL_ERROR
from app.http.cross_origin import AllowedOrigins
from app.store.engine.database import Database
from tests.client import PROTOCOL, Client
from tests.cloudevent_client import cloud_event, count_rows
from tests.conftest import SQLITE, Serve, build_settings

JSON = "application/json"
PAGE = "https://forms.example"
GUARDS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
# Content types that a page of any origin can send without a preflight, or none.
SIMPLE_CONTENT_TYPES = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain; charset=application/json",
    "Text/Plain;application/json",
    "",
    None,
]
MUTATION = b'{"query": "mutation { logEvent(input: {summary: \\"by a form\\"}) { duplicate } }"}'


@pytest.fixture
def dialect() -> str:
    """SQLite only: headers do not depend on the database."""
    return SQLITE


async def send_preflight(
    client: Client, path: str, origin: str = PAGE, **asked: str
) -> httpx.Response:
    """Sends a preflight request like a browser, without a credential."""
    headers = {"origin": origin, "access-control-request-method": asked.get("method", "POST")}
    if "headers" in asked:
        headers["access-control-request-headers"] = asked["headers"]
    return await client.as_key(None).http.options(path, headers=headers)


def allowed_origin(answer: httpx.Response) -> str | None:
    assert "access-control-allow-credentials" not in answer.headers
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


async def test_form_submissions_result_in_415_and_store_nothing(
    own_client: Client, database: Database
) -> None:
    before = await count_rows(database)

    for path in ("/graphql", "/cloudevents"):
        for content_type in SIMPLE_CONTENT_TYPES:
            headers = {} if content_type is None else {"content-type": content_type}
            answer = await own_client.http.post(path, content=MUTATION, headers=headers)

            assert (path, content_type, answer.status_code) == (path, content_type, 415)
    assert await count_rows(database) == before


async def test_every_response_has_security_headers(client: Client) -> None:
    nobody = client.as_key(None).http
    answers = [
        await client.post("{ __typename }"),
        await client.http.post("/graphql", json={"query": "{"}),
        await client.http.post("/cloudevents", json=cloud_event()),
        await client.http.get("/cloudevents"),
        await client.http.put("/graphql"),
        await client.http.get("/nowhere"),
        await client.http.get("/event-types/none/schema.json"),
        await client.http.get("/graphql/assets/../../../app/settings.py"),
        await nobody.post("/graphql", json={"query": "{ __typename }"}),
        await nobody.post("/cloudevents", json=cloud_event()),
        await nobody.get("/event-types/none/schema.json"),
        *[await nobody.get(f"/{probe}") for probe in ("health", "ready", "metrics")],
        await nobody.get("/metrics", headers={"accept": "text/html"}),
    ]

    assert [each.status_code for each in answers] == [
        *(200, 200, 415, 405, 405, 404, 404, 404, 401, 401, 401, 200, 200, 200, 200)
    ]
    for answer in answers:
        assert GUARDS.items() <= dict(answer.headers).items(), answer.url
        assert "set-cookie" not in answer.headers
        assert len(answer.headers["x-request-id"]) == 32


async def test_an_unexpected_error_has_security_headers_and_no_details(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("SELECT secret FROM api_key")

    monkeypatch.setattr("app.store.reading.projection.fetch_row", broken)
    headers = {"x-request-id": "request-1"}

    answer = await client.http.get("/event-types/any/schema.json", headers=headers)

    assert answer.status_code == 500
    assert answer.json() == {
        "errors": [
            {
                "message": INTERNAL_ERROR,
                "extensions": {"code": "INTERNAL_SERVER_ERROR", "reference": "request-1"},
            }
        ]
    }
    assert GUARDS.items() <= dict(answer.headers).items()


async def test_a_cookie_is_not_a_credential(client: Client) -> None:
    headers = {"cookie": f"authorization=Bearer {client.key}; key={client.key}"}

    answer = await client.as_key(None).http.post(
        "/graphql", json={"query": "{ __typename }"}, headers=headers
    )

    assert answer.status_code == 401


async def test_without_the_setting_other_origins_are_rejected(client: Client) -> None:
    before = await send_preflight(client, "/graphql", headers="authorization,content-type")
    headers = {"origin": PAGE}

    answer = await client.http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)

    assert before.status_code == 405
    assert (allowed_origin(before), allowed_origin(answer)) == (None, None)


async def test_an_allowed_origin_can_use_every_api(database_url: str, serve: Serve) -> None:
    requested_headers = (
        "accept, authorization, content-type, data-partition-id, slb-data-partition-id, "
        "last-event-id, x-request-id, traceparent, tracestate, baggage, sentry-trace, "
        "x-datadog-trace-id, x-datadog-sampling-priority, apollographql-client-name, "
        "apollographql-client-version"
    )

    async with serve(database_url, cors_origins=f"https://b.example:8443, {PAGE}/") as client:
        for path in ("/graphql", "/cloudevents", "/event-types/a.b/schema.json"):
            first = await send_preflight(client, path, headers=requested_headers)
            answer = await client.http.post(path, json=cloud_event(), headers={"origin": PAGE})
            stranger = await send_preflight(client, path, "https://evil.example")
            heard = await client.http.post(path, headers={"origin": "https://evil.example"})
            other = await send_preflight(client, path, headers="Cookie, x-datadog, X-Request-Id")
            deleting = await send_preflight(client, path, method="DELETE")

            assert (first.status_code, allowed_origin(first)) == (200, PAGE)
            assert first.headers["access-control-allow-headers"] == requested_headers
            assert "x-request-id" in first.headers
            assert allowed_origin(answer) == PAGE
            assert "Origin" in answer.headers["vary"]
            exposed = set(answer.headers["access-control-expose-headers"].split(", "))
            assert exposed == {"etag", "retry-after", "x-request-id"}
            assert (stranger.status_code, allowed_origin(stranger), allowed_origin(heard)) == (
                400,
                None,
                None,
            )
            # The page's console names the headers that are missing here.
            assert other.headers["access-control-allow-headers"] == "x-request-id"
            assert deleting.status_code == 400


async def test_an_allowed_origin_can_read_event_streams_and_errors(
    database_url: str, serve: Serve
) -> None:
    query = {"query": "subscription { notificationAdded { cursor } }"}
    headers = {"origin": PAGE, "accept": "text/event-stream"}

    async with serve(database_url, cors_origins=PAGE) as client:
        async with client.http.stream("POST", "/graphql", json=query, headers=headers) as heard:
            assert (heard.status_code, allowed_origin(heard)) == (200, PAGE)
        refused = await client.as_key("wrong").http.post("/graphql", json=query, headers=headers)
        probe = await client.http.get("/metrics", headers={"origin": PAGE})

    assert (refused.status_code, allowed_origin(refused)) == (401, PAGE)
    assert allowed_origin(probe) is None


async def test_a_star_allows_every_origin_without_browser_credentials(
    database_url: str, serve: Serve
) -> None:
    async with serve(database_url, cors_origins="*") as client:
        first = await send_preflight(client, "/graphql", "null", headers="authorization")
        answer = await client.http.post("/graphql", json={}, headers={"origin": "null"})
        assert await open_handshake(client, origin="https://any.example") == 101

    assert (allowed_origin(first), allowed_origin(answer)) == ("*", "*")


async def test_an_empty_setting_allows_no_origin(database_url: str, serve: Serve) -> None:
    async with serve(database_url, cors_origins=" ") as client:
        assert allowed_origin(await send_preflight(client, "/graphql")) is None


async def test_a_setting_allows_more_request_headers(database_url: str, serve: Serve) -> None:
    requested = "x-company-id, x-company-id-2, x-trace-a, x-trace-, ce-id, authorization"

    async with serve(
        database_url, cors_origins=PAGE, cors_headers="X-Company-Id, x-trace-*"
    ) as client:
        answer = await send_preflight(client, "/graphql", headers=requested)
    async with serve(database_url, cors_origins=PAGE, cors_headers="") as client:
        by_default = await send_preflight(client, "/graphql", headers=requested)

    allowed = answer.headers["access-control-allow-headers"]
    assert allowed == "x-company-id, x-trace-a, x-trace-, authorization"
    assert by_default.headers["access-control-allow-headers"] == "authorization"


@pytest.mark.parametrize("names", ["*", "x-*-id", "a b", "x,", "x:y", "é", "x" * 300 + "/"])
def test_a_setting_with_an_invalid_header_is_rejected(names: str) -> None:
    with pytest.raises(ValidationError, match="Invalid header"):
        build_settings("sqlite://", cors_headers=names)


SUBDOMAINS = {
    "https://a.example.com": True,
    "https://A.b.Example.com:443": True,
    "https://example.com": False,
    "https://.example.com": False,
    "https://a.example.com:8443": False,
    "https://badexample.com": False,
    "https://a.example.com.evil.example": False,
    "http://a.example.com": False,
    "http://a.other.example:81": True,
    "http://a.other.example": False,
    "https://evil.example/.example.com": False,
    "null": False,
}


async def test_all_subdomains_of_a_domain_can_be_allowed(database_url: str, serve: Serve) -> None:
    async with serve(
        database_url, cors_origins="https://*.Example.com, http://*.other.example:81"
    ) as client:
        for origin, is_allowed in SUBDOMAINS.items():
            before = await send_preflight(client, "/graphql", origin)
            answer = await client.http.post("/graphql", json={}, headers={"origin": origin})
            expected = (200, origin, origin) if is_allowed else (400, None, None)

            assert (before.status_code, allowed_origin(before), allowed_origin(answer)) == expected
            status = await open_handshake(client, origin=origin)
            assert (origin, status) == (origin, 101 if is_allowed else 403)


async def test_a_refused_origin_is_logged_once_with_the_setting(
    database_url: str, serve: Serve
) -> None:
    """By all APIs, with and without the setting. Requests that are not refused log nothing."""
    logged = {
        "log_level": "warning",
        "event": "origin_refused",
        "origin": "https://evil.example",
        "advice": "To allow pages of this origin, add the origin to TOCSIN_CORS_ORIGINS. If the "
        "origin is the address of this server, set TOCSIN_PUBLIC_URL.",
    }
    for cors_origins in (None, PAGE):
        async with serve(database_url, cors_origins=cors_origins) as client:
            with capture_logs() as logs:
                for origin in (client.url, cors_origins or client.url):
                    await client.http.post("/graphql", json={}, headers={"origin": origin})
                    assert await open_handshake(client, origin=origin) == 101
                await client.http.get("/health", headers={"origin": "https://evil.example"})
                refusals_before = [line for line in logs if line["event"] == "origin_refused"]
                for _ in range(2):
                    await send_preflight(client, "/graphql", "https://evil.example")
                    await send_preflight(client, "/cloudevents", "https://EVIL.example:443")
                    assert await open_handshake(client, origin="https://evil.example") == 403
                await send_preflight(client, "/graphql", "null")

        assert refusals_before == []
        first, last = (line for line in logs if line["event"] == "origin_refused")
        assert {name: first[name] for name in logged} == logged
        assert last["origin"] == "null"
        assert last["advice"] == (
            "Pages of this origin are allowed only if TOCSIN_CORS_ORIGINS is *."
        )


def test_at_most_100_refused_origins_are_logged() -> None:
    origins = AllowedOrigins(None, None)

    with capture_logs() as logs:
        refused = [
            origins.allows_request({"origin": f"https://{number}.{'x' * 10_000}.example"})
            for number in range(150)
        ]

    assert not any(refused)
    assert [line["event"] for line in logs] == ["origin_refused"] * 100 + ["origins_not_logged"]
    assert max(len(line.get("origin", "")) for line in logs) <= 255


@pytest.mark.parametrize(
    "origins",
    [
        *("forms.example", "https://forms.example/path", "null", f"{PAGE},", "https://["),
        *("https://*", "https://*.", "https://a.*.example", "https://*.*.example", "*.example"),
        *("https://*example.com", "https://*:8443", "ftp://*.example.com"),
        *("https://exämple.com", f"{PAGE}, https://*.exämple.com", "https://a。example.com"),
    ],
)
def test_a_setting_with_an_invalid_origin_is_rejected(origins: str) -> None:
    with pytest.raises(ValidationError, match="Invalid origin"):
        build_settings("sqlite://", cors_origins=origins)


async def test_international_domains_are_allowed_in_the_form_that_browsers_send(
    database_url: str, serve: Serve
) -> None:
    domain = "xn--exmple-cua.com"
    async with serve(
        database_url, cors_origins=f"https://XN--exmple-cua.com, https://*.{domain}"
    ) as client:
        for origin in (f"https://{domain}", f"https://www.{domain}"):
            assert allowed_origin(await send_preflight(client, "/graphql", origin)) == origin

    with pytest.raises(ValidationError, match="Use the form that begins with xn--, such as"):
        build_settings("sqlite://", cors_origins="https://*.exämple.com")


async def open_handshake(client: Client, **headers: str) -> int:
    """Returns the status of a WebSocket handshake."""
    address = client.url.replace("http", "ws", 1) + "/graphql"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    attributes: Any = {"additional_headers": named, "subprotocols": [PROTOCOL]}
    try:
        async with connect(address, **attributes):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_sockets_accept_programs_and_pages_of_the_same_origin(client: Client) -> None:
    own = client.url
    host = own.removeprefix("http://")
    port = host.partition(":")[2]
    tried = {
        own: 101,
        own.upper(): 101,
        f"https://{host}": 101,  # TLS ends at a proxy
        "http://evil.example": 403,
        f"http://{host}.evil.example": 403,
        f"http://evil.example:{port}": 403,
        f"http://127.0.0.1:{int(port) - 1}": 403,
        "http://127.0.0.1": 403,
        f"http://localhost:{port}": 403,
        f"http://{host}@evil.example": 403,
        "null": 403,
        "": 403,
        "http://[": 403,
        "file://": 403,
        "*": 403,
    }

    assert await open_handshake(client) == 101
    assert {origin: await open_handshake(client, origin=origin) for origin in tried} == tried


async def test_forwarded_headers_do_not_make_an_origin_the_same(client: Client) -> None:
    forwarded = {"x_forwarded_host": "evil.example", "forwarded": "host=evil.example"}

    assert await open_handshake(client, origin="http://evil.example", **forwarded) == 403


async def test_sockets_accept_pages_of_the_public_url_and_of_allowed_origins(
    database_url: str, serve: Serve
) -> None:
    public = "https://events.example/tocsin"
    tried = {
        "https://events.example": 101,
        "https://events.example:443": 101,
        PAGE: 101,
        "http://events.example": 403,
        "https://events.example:8443": 403,
        f"{PAGE}.evil.example": 403,
        "null": 403,
    }

    async with serve(database_url, public_url=public, cors_origins=PAGE) as client:
        statuses = {origin: await open_handshake(client, origin=origin) for origin in tried}

    assert statuses == tried


async def test_an_unknown_path_or_method_is_explained_as_other_errors_are(client: Client) -> None:
    answers = [
        await client.http.get("/nowhere"),
        await client.http.delete("/health"),
        await client.http.delete("/graphql"),
    ]

    assert [(each.status_code, each.json()["errors"][0]["message"]) for each in answers] == [
        (404, "There is nothing at '/nowhere'. The GraphQL API is at /graphql."),
        (405, "'/health' does not support the method DELETE. Use GET or HEAD."),
        (405, "'/graphql' does not support the method DELETE. Use GET or HEAD or POST."),
    ]
