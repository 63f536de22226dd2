"""The handshake of the WebHook specification: a sender asks for permission to send events."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from app.http.cloudevent_messages import PATH
from tests.client import Client
from tests.cloudevent_client import cloud_event, parse_refusal, send_structured
from tests.conftest import Serve, build_settings

AZURE = "eventgrid.azure.net"


async def ask(client: Client, origin: str | None = AZURE, **headers: str) -> httpx.Response:
    """Sends the request of a sender, without a credential."""
    named = {f"WebHook-Request-{name.title()}": value for name, value in headers.items()}
    if origin is not None:
        named["WebHook-Request-Origin"] = origin
    return await client.as_key(None).http.options(PATH, headers=named)


def permission(answer: httpx.Response) -> tuple[str | None, str | None]:
    origin, rate = (answer.headers.get(f"webhook-allowed-{name}") for name in ("origin", "rate"))
    return origin, rate


async def test_the_handshake_is_off_by_default(client: Client) -> None:
    answer = await ask(client, rate="120")

    assert parse_refusal(answer) == (405, [("BAD_USER_INPUT", "")])
    assert permission(answer) == (None, None)


async def test_an_allowed_sender_gets_permission_without_a_credential_and_sends_with_one(
    database_url: str, serve: Serve
) -> None:
    async with serve(database_url, webhook_origins=f"{AZURE}, events.example.com") as client:
        with_rate = await ask(client, rate="120")
        without_rate = await ask(client, "Events.Example.com", callback="https://a.example/x")
        anonymous = await send_structured(client.as_key(None), cloud_event())
        sent = await send_structured(client, cloud_event(), webhook_request_origin=AZURE)

    assert (with_rate.status_code, with_rate.content) == (200, b"")
    assert permission(with_rate) == (AZURE, "*")
    assert with_rate.headers["allow"] == "POST"
    assert permission(without_rate) == ("Events.Example.com", "*")
    assert (anonymous.status_code, sent.status_code) == (401, 202)


async def test_the_allowed_rate_is_the_rate_limit(database_url: str, serve: Serve) -> None:
    requests = {"points_per_minute": 90}
    async with serve(database_url, webhook_origins=AZURE, requests=requests) as client:
        assert permission(await ask(client, rate="120")) == (AZURE, "90")


@pytest.mark.parametrize(
    ("setting", "allowed", "refused"),
    [
        (AZURE, [AZURE, AZURE.upper()], [f"a.{AZURE}", "azure.net", f"{AZURE}.evil.example", "*"]),
        (
            "*.example.com",
            ["a.example.com", "b.a.Example.com"],
            [
                *("example.com", "a.example.com.evil", "aexample.com", "*.example.com"),
                *(
                    "https://a.example.com",
                    "a.example.com:443",
                    "x/.example.com",
                    "a b.example.com",
                ),
                *(".example.com", "a..example.com", "-a.example.com", "a_b.example.com"),
                f"{'a' * 64}.example.com",
                f"{'a.' * 125}example.com",
            ],
        ),
        ("*", ["anything.example", "localhost", "https://a.example"], []),
    ],
)
async def test_only_the_senders_of_the_setting_get_permission(
    database_url: str, serve: Serve, setting: str, allowed: list[str], refused: list[str]
) -> None:
    async with serve(database_url, webhook_origins=setting) as client:
        for origin in allowed:
            assert permission(await ask(client, origin)) == (origin, "*")
        for origin in refused:
            answer = await ask(client, origin, rate="1")
            assert parse_refusal(answer) == (403, [("FORBIDDEN", "")])
            assert "TOCSIN_WEBHOOK_ORIGINS" in answer.json()["detail"]
            assert permission(answer) == (None, None)


@pytest.mark.parametrize(
    ("origin", "headers"),
    [(None, {}), ("", {}), *((AZURE, {"rate": rate}) for rate in ("0", "-1", "x", "", "1.5"))],
)
async def test_a_malformed_request_gets_no_permission(
    database_url: str, serve: Serve, origin: str | None, headers: dict[str, Any]
) -> None:
    async with serve(database_url, webhook_origins="*") as client:
        answer = await ask(client, origin, **headers)

    assert parse_refusal(answer) == (400, [("BAD_USER_INPUT", "")])
    assert permission(answer) == (None, None)


async def test_preflight_requests_of_web_pages_are_not_handshakes(
    database_url: str, serve: Serve
) -> None:
    page = "https://page.example"
    preflight = {"origin": page, "access-control-request-method": "POST"}
    async with serve(database_url, webhook_origins=AZURE, cors_origins=page) as client:
        answer = await client.http.options(PATH, headers=preflight)
        handshake = await client.http.options(
            PATH, headers={"origin": AZURE, "webhook-request-origin": AZURE}
        )

    assert answer.headers["access-control-allow-origin"] == page
    assert permission(answer) == (None, None)
    assert permission(handshake) == (AZURE, "*")


@pytest.mark.parametrize(
    "name", ["https://a.example", "a b", "*.", "a.*.example", "ä.example", "-a"]
)
def test_a_setting_with_an_invalid_name_is_rejected(name: str) -> None:
    with pytest.raises(ValidationError, match="Invalid name"):
        build_settings("sqlite://", webhook_origins=f"{AZURE},{name}")


async def test_an_empty_setting_is_off(database_url: str, serve: Serve) -> None:
    async with serve(database_url, webhook_origins=" ") as client:
        assert (await ask(client)).status_code == 405
