"""Channels and deliveries: their states, and the validation of a channel."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import SplitResult, urlsplit

from app.domain.channels import apprise_urls
from app.domain.channels.addresses import FIRST_UNRESERVED_PORT, WEB_PORTS
from app.domain.channels.apprise_urls import MAX_URL_CHARACTERS
from app.domain.shared.limits import ChannelLimits, Limits
from app.domain.shared.messages import limit_message, quote_value
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import validate_name


class ChannelKind(Enum):
    WEBHOOK = "WEBHOOK"
    APPRISE = "APPRISE"


class ChannelTrigger(Enum):
    """What a delivery is about. TEST is the trigger of `testChannel` only."""

    NOTIFICATION_ADDED = "NOTIFICATION_ADDED"
    EVENT_CHANGED = "EVENT_CHANGED"
    EVENT_RESOLVED = "EVENT_RESOLVED"
    TEST = "TEST"


class UnreadableTriggerError(ValueError):
    """A stored trigger that this version does not have, such as one that a newer version stored."""


class DeliveryState(Enum):
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Channel:
    """A channel as users see it. `url` and `headers` are None if an update keeps them."""

    kind: ChannelKind
    name: str
    url: str | None
    triggers: tuple[ChannelTrigger, ...]
    headers: Any = field(default_factory=dict)


def triggers_from_json(names: Iterable[str]) -> frozenset[ChannelTrigger]:
    """Returns the stored triggers. Raises UnreadableTriggerError."""
    names = frozenset(names)
    triggers = frozenset(known_triggers(names))
    if unknown := sorted(names - {trigger.value for trigger in triggers}):
        message = f"The stored triggers cannot be read: {', '.join(map(quote_value, unknown))}"
        raise UnreadableTriggerError(message)
    return triggers


def known_triggers(names: Iterable[str]) -> tuple[ChannelTrigger, ...]:
    """Returns the stored triggers that this version has."""
    triggers = ChannelTrigger.__members__
    return tuple(triggers[name] for name in names if name in triggers)


_URL = re.compile(r"[!-~]+")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9.])?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
# Tocsin or the HTTP client sets them.
_RESERVED_HEADERS = frozenset(
    (
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    )
)


def validate_channel(
    channel: Channel, limits: Limits, channel_limits: ChannelLimits
) -> list[Problem]:
    """Validates a channel, except that its filter is assumed to be valid."""
    problems = validate_name(channel.name, limits.name_characters, "name")
    if channel.url is not None:
        problems += validate_url(channel.kind, channel.url)
    if channel.headers and channel.kind is not ChannelKind.WEBHOOK:
        message = "Only channels of the kind WEBHOOK have headers."
        problems.append(invalid_input(message, "headers"))
    elif channel.headers is not None:
        problems += validate_headers(channel.headers, channel_limits)
    return problems + _validate_triggers(channel.triggers)


def _validate_triggers(triggers: Sequence[ChannelTrigger]) -> list[Problem]:
    if not triggers:
        return [invalid_input("A channel must have at least one trigger.", "triggers")]
    return [
        invalid_input(
            "TEST is not a trigger of a channel: use testChannel.", "triggers", str(index)
        )
        for index, trigger in enumerate(triggers)
        if trigger is ChannelTrigger.TEST
    ]


def validate_url(kind: ChannelKind, url: str) -> list[Problem]:
    """Validates the address of a channel, without resolving its host."""
    find_error = _find_url_error if kind is ChannelKind.WEBHOOK else apprise_urls.find_url_error
    message = find_error(url)
    return [] if message is None else [invalid_input(message, "url")]


def _find_url_error(url: str) -> str | None:
    if len(url) > MAX_URL_CHARACTERS:
        return limit_message(MAX_URL_CHARACTERS, "character", "url", len(url))
    if not _URL.fullmatch(url) or "\\" in url:
        return (
            "The URL must consist of visible ASCII characters without spaces and backslashes. "
            "Percent-encode other characters, and write international names in Punycode."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "Invalid URL. Use https://HOST/PATH with a port from 1 to 65,535."
    if parts.scheme not in ("http", "https"):
        return f"Invalid scheme {quote_value(parts.scheme)}. Use http or https."
    if "@" in parts.netloc:
        return "The URL must not contain a user name or a password. Use headers instead."
    if "#" in url:
        return "The URL must not have a fragment: it is not sent to servers."
    if not _is_host(parts.hostname or ""):
        return f"Invalid host {quote_value(parts.hostname or '')}. Use a name or an IP address."
    if port is not None and port not in WEB_PORTS and port < FIRST_UNRESERVED_PORT:
        return f"Port {port} is not allowed. Use port 80, 443, or 1,024 to 65,535."
    return None


def _is_host(host: str) -> bool:
    if ":" not in host:
        return bool(_HOST_NAME.fullmatch(host))
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def format_origin(kind: ChannelKind, url: str) -> str:
    """Returns the scheme, host and port of a valid URL, without the parts that may be secret."""
    if kind is ChannelKind.APPRISE:
        return apprise_urls.format_address(url)
    parts: SplitResult = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def validate_headers(headers: Any, limits: ChannelLimits) -> list[Problem]:
    """Validates the additional request headers of a webhook: a JSON object of strings."""
    if not isinstance(headers, Mapping):
        return [invalid_input("headers must be a JSON object of names and strings.", "headers")]
    if len(headers) > limits.headers:
        message = limit_message(limits.headers, "header", "the channel", len(headers))
        return [invalid_input(message, "headers")]
    problems = [
        invalid_input(error, "headers", name)
        for name, value in headers.items()
        if (error := _find_header_error(name, value)) is not None
    ]
    size = sum(len(name) + len(str(value)) for name, value in headers.items())
    if not problems and size > limits.header_bytes:
        message = limit_message(limits.header_bytes, "byte", "the object of headers", size)
        problems.append(invalid_input(message, "headers"))
    if not problems and len({name.lower() for name in headers}) < len(headers):
        message = "headers has a name twice: case does not distinguish names of headers."
        problems.append(invalid_input(message, "headers"))
    return problems


def _find_header_error(name: str, value: Any) -> str | None:
    if not _HEADER_NAME.fullmatch(name):
        return f"Invalid name of a header {quote_value(name)}."
    if name.lower() in _RESERVED_HEADERS:
        return f"The header {quote_value(name)} is set by Tocsin and must not be given."
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        # The value may be a secret, which is not repeated.
        return (
            f"The value of the header {quote_value(name)} must be a string of printable ASCII "
            "characters without spaces at its start and end."
        )
    return None
