"""Channels: which URLs, headers and addresses are allowed, signatures, and pauses of retries."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.domain.channels.addresses import is_allowed_address, parse_networks
from app.domain.channels.attempts import AttemptResult, find_next_attempt, pause_seconds
from app.domain.channels.channels import (
    Channel,
    ChannelKind,
    ChannelTrigger,
    format_origin,
    validate_channel,
    validate_headers,
    validate_url,
)
from app.domain.channels.messages import create_secret, sign_message
from app.domain.shared.limits import ChannelLimits, Limits

LIMITS = ChannelLimits()


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com",
        "HTTPS://Hooks.Example.com:443/a/b?c=d%20e",
        "http://example.com:80/",
        "http://example.com:1024/",
        "http://example.com:65535/",
        "https://[2606:4700::1111]:8443/x",
        "https://9.9.9.9/x",
        "https://xn--bcher-kva.example/",
    ],
)
def test_web_addresses_are_valid(url: str) -> None:
    assert validate_url(ChannelKind.WEBHOOK, url) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "The URL must consist of visible ASCII characters"),
        ("https://exa mple.com", "The URL must consist of visible ASCII characters"),
        ("https://example.com/\r\nhost: a", "The URL must consist of visible ASCII characters"),
        ("https://bücher.example", "The URL must consist of visible ASCII characters"),
        ("https://example.com\\@127.0.0.1/", "The URL must consist of visible ASCII characters"),
        ("ftp://example.com", "Invalid scheme 'ftp'. Use http or https."),
        ("file:///etc/passwd", "Invalid scheme 'file'. Use http or https."),
        ("gopher://example.com:70/", "Invalid scheme 'gopher'. Use http or https."),
        ("javascript:alert(1)", "Invalid scheme 'javascript'. Use http or https."),
        ("//example.com/", "Invalid scheme ''. Use http or https."),
        ("https://user:password@example.com", "The URL must not contain a user name"),
        ("https://example.com@127.0.0.1/", "The URL must not contain a user name"),
        ("https://example.com/#part", "The URL must not have a fragment"),
        ("https:///path", "Invalid host ''. Use a name or an IP address."),
        ("https://", "Invalid host ''. Use a name or an IP address."),
        ("https://exa%6dple.com/", "Invalid host 'exa%6dple.com'. Use a name or an IP address."),
        ("https://[fe80::1%25eth0]/", "Invalid host 'fe80::1%25eth0'."),
        ("https://[::1", "Invalid URL."),
        ("https://example.com:0/", "Port 0 is not allowed. Use port 80, 443, or 1,024 to 65,535."),
        ("https://example.com:22/", "Port 22 is not allowed."),
        ("https://example.com:25/", "Port 25 is not allowed."),
        ("https://example.com:1023/", "Port 1023 is not allowed."),
        ("https://example.com:65536/", "Invalid URL."),
        ("https://example.com:-1/", "Invalid URL."),
        (f"https://example.com/{'a' * 2_048}", "At most 2,048 characters are allowed; url has"),
    ],
)
def test_other_addresses_are_rejected_with_the_reason(url: str, message: str) -> None:
    [problem] = validate_url(ChannelKind.WEBHOOK, url)

    assert problem.message.startswith(message)
    assert problem.path == ("url",)


def test_the_shown_address_contains_no_secret() -> None:
    assert format_origin(
        ChannelKind.WEBHOOK, "https://Hooks.example.com:8443/T0KEN?key=secret"
    ) == ("https://hooks.example.com:8443")
    assert [
        format_origin(ChannelKind.APPRISE, url)
        for url in (
            "mailto://user:pass@Mail.example.com:587/?to=a@example.com",
            "slack://T0KEN/T0KEN/T0KEN",
            "rockets://user:T0K/EN@chat.example.com",
            "json://user:T0K/EN@example.com/path",
        )
    ] == ["mailto://mail.example.com:587", "slack://", "rockets://", "json://"]


@pytest.mark.parametrize(
    ("headers", "path", "message"),
    [
        ([], (), "headers must be a JSON object of names and strings."),
        ({"a b": "c"}, ("a b",), "Invalid name of a header 'a b'."),
        ({"a\r\nb": "c"}, ("a\r\nb",), "Invalid name of a header 'a\\r\\nb'."),
        ({"Host": "b"}, ("Host",), "The header 'Host' is set by Tocsin and must not be given."),
        (
            {"Webhook-Signature": "v1,x"},
            ("Webhook-Signature",),
            "The header 'Webhook-Signature' is set by Tocsin and must not be given.",
        ),
        (
            {"content-length": "1"},
            ("content-length",),
            "The header 'content-length' is set by Tocsin and must not be given.",
        ),
        *(
            (
                {"x": value},
                ("x",),
                "The value of the header 'x' must be a string of printable ASCII characters "
                "without spaces at its start and end.",
            )
            for value in ("secret\r\ny: z", "ü", 1, None, "", " a")
        ),
        (
            {f"x-{number}": "1" for number in range(21)},
            (),
            "At most 20 headers are allowed; the channel has 21.",
        ),
        ({"x": "a" * 8_192}, (), "At most 8,192 bytes are allowed; the object of headers has"),
        ({"x": "1", "X": "2"}, (), "headers has a name twice"),
    ],
)
def test_invalid_headers_are_rejected_without_their_values(
    headers: Any, path: tuple[str, ...], message: str
) -> None:
    [problem] = validate_headers(headers, LIMITS)

    assert problem.message.startswith(message)
    assert problem.path == ("headers", *path)
    assert "secret" not in problem.message


@pytest.mark.parametrize(
    ("triggers", "path"),
    [((), ("triggers",)), ((ChannelTrigger.EVENT_CHANGED, ChannelTrigger.TEST), ("triggers", "1"))],
)
def test_a_channel_needs_a_trigger_that_is_not_test(
    triggers: tuple[ChannelTrigger, ...], path: tuple[str, ...]
) -> None:
    channel = Channel(ChannelKind.WEBHOOK, "hook", "https://example.com", triggers)

    [problem] = validate_channel(channel, Limits(), LIMITS)

    assert problem.path == path


PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed_address(ipaddress.ip_address(address), ())


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",  # shared by the customers of a carrier
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",  # metadata of cloud providers
        "172.16.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",  # compatible with IPv4
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "100::1",
        "2001::1",  # Teredo
        "2001:db8::1",
        "2002:7f00:1::1",  # 6to4
        "2002:808:808::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_all_other_addresses_are_not_allowed(address: str) -> None:
    assert not is_allowed_address(ipaddress.ip_address(address), ())


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("64:ff9b::a01:203", True),
        ("10.2.0.1", False),
        ("fd00::1", True),
        ("8.8.8.8", True),
    ],
)
def test_the_operator_can_allow_networks(address: str, is_allowed: bool) -> None:
    networks = parse_networks("10.1.0.0/16, fd00::/8")

    assert is_allowed_address(ipaddress.ip_address(address), networks) is is_allowed


def test_a_message_is_signed_with_each_secret() -> None:
    now = datetime.now(UTC)
    secrets = [create_secret(bytes([number]) * 32) for number in (1, 2, 3)]
    headers = sign_message(secrets[:2], "msg_1", now, '{"a":"ü"}')

    messages = [Webhook(secret).verify('{"a":"ü"}', headers) for secret in secrets[:2]]

    assert messages == [{"a": "ü"}] * 2
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[2]).verify('{"a":"ü"}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify('{"a":"u"}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify('{"a":"ü"}', headers | {"webhook-id": "msg_2"})


def test_pauses_double_up_to_the_maximum() -> None:
    assert [pause_seconds(failures, 10) for failures in (1, 2, 3, 4, 5, 1_000)] == [
        *(1, 2, 4, 8, 10, 10),
    ]


@pytest.mark.parametrize(
    ("attempts", "retry_after", "expected"),
    [
        (1, None, 1),
        (3, None, 4),
        (1, 20, 20),
        (3, 2, 4),
        (10, None, None),
        (1, 61, 60),
        (10, 61, None),
    ],
)
def test_a_failed_delivery_is_repeated_after_the_longer_pause_until_it_expires(
    attempts: int, retry_after: int | None, expected: int | None
) -> None:
    now = datetime(2026, 4, 10, tzinfo=UTC)
    pause = None if retry_after is None else timedelta(seconds=retry_after)
    result = AttemptResult(now, 503, "busy", pause)

    next_attempt = find_next_attempt(result, attempts, now + timedelta(seconds=60), LIMITS)

    assert next_attempt == (None if expected is None else now + timedelta(seconds=expected))


def test_a_receiver_cannot_ask_for_a_longer_pause_than_the_maximum() -> None:
    now = datetime(2026, 4, 10, tzinfo=UTC)
    result = AttemptResult(now, 503, "busy", timedelta(days=1))
    limits = ChannelLimits(max_retry_after_seconds=600)

    next_attempt = find_next_attempt(result, 1, now + timedelta(days=3), limits)

    assert next_attempt == now + timedelta(minutes=10)
