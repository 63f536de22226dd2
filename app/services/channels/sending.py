"""Sends messages to the addresses of webhooks, which users choose.

The host is resolved when a connection is opened, once. All of its addresses must be public or
exceptions of the operator, and the connection goes to one of these very addresses. Redirects are
not followed, and proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from urllib.parse import urlsplit

import httpcore
import structlog

from app.domain.channels.addresses import IPAddress, IPNetwork, is_allowed_address
from app.domain.channels.attempts import AttemptResult
from app.domain.channels.messages import MEDIA_TYPE
from app.domain.shared.limits import ChannelLimits
from app.domain.shared.masking import find_secret_texts, mask_secrets
from app.domain.shared.values import replace_control_characters
from app.services.channels.name_lookups import (
    CURRENT_ATTEMPT,
    Attempt,
    ChannelLookups,
    NameResolver,
    Resolve,
)
from app.services.channels.slots import NoSlotError, Share

_IDLE_SECONDS = 30.0
_MAX_EXCERPT_CHARACTERS = 200
_SECONDS = re.compile("[0-9]{1,9}")

log = structlog.get_logger(__name__)


class ForbiddenAddressError(Exception):
    """A channel must not connect to the address. The text shows no address that a name has."""

    def __init__(self, host: str, address: IPAddress) -> None:
        self.address = address
        is_literal = _parse_address(host) is not None
        super().__init__(
            f"{host} is not public. The operator of the server can allow the address with "
            "TOCSIN_CHANNEL_NETWORKS, for example 10.0.0.0/8."
            if is_literal
            else _describe_unreachable(host)
        )


def _describe_unreachable(host: str) -> str:
    """The same for a name that has a private address as for one that does not exist.

    Users must not find out which names the network of the server has.
    """
    return (
        f"{host} has no public address. The operator of the server finds the reason in its logs, "
        "and can allow addresses with TOCSIN_CHANNEL_NETWORKS, for example 10.0.0.0/8."
    )


class AddressPolicy:
    """Decides which addresses may be connected to. `exceptions`: networks that are allowed, too."""

    def __init__(
        self,
        exceptions: Sequence[IPNetwork],
        limits: ChannelLimits,
        resolve: Resolve | None = None,
    ) -> None:
        self._exceptions = exceptions
        self.resolver = NameResolver(limits.name_lookups, resolve)

    def check_url(self, url: str) -> None:
        """Raises ForbiddenAddressError if the host is an IP address that is not allowed."""
        host = urlsplit(url).hostname or ""
        address = _parse_address(host)
        if address is not None:
            self._check(host, address)

    def check_addresses(self, host: str, addresses: Sequence[str]) -> None:
        """Raises ForbiddenAddressError if one of the addresses of the host is not allowed."""
        for address in addresses:
            self._check(host, ipaddress.ip_address(address))

    def _check(self, host: str, address: IPAddress) -> None:
        if not is_allowed_address(address, self._exceptions):
            raise ForbiddenAddressError(host, address)


class PolicyBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to the addresses that the policy has verified."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._lookups = ChannelLookups(policy.resolver)
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the interface of httpcore)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._lookups.resolve(host, port)
        self._policy.check_addresses(host, addresses)
        # An address that does not respond leaves time for the others.
        seconds_per_address = None if timeout is None else timeout / max(1, len(addresses))
        for number, address in enumerate(addresses, 1):
            try:
                return await self._backend.connect_tcp(
                    address, port, seconds_per_address, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise OSError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class WebhookSender:
    """Sends requests. Enter it with `async with` before the first one.

    A pool examines all of its idle connections for each request, so each channel has a pool of its
    own: `with_own_connections`. The certificates are read once for all of them.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        limits: ChannelLimits,
        load_ssl_context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self.policy = policy
        self._limits = limits
        self._load_ssl_context = load_ssl_context or cache(_create_ssl_context)
        self._user_agent = f"Tocsin/{version('tocsin')}"
        self._pool: httpcore.AsyncConnectionPool | None = None  # until the first request

    async def __aenter__(self) -> WebhookSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pool is not None:
            await self._pool.aclose()

    def with_own_connections(self) -> WebhookSender:
        return WebhookSender(self.policy, self._limits, self._load_ssl_context)

    async def send(
        self,
        url: str,
        headers: Mapping[str, str],
        body: str,
        *,
        is_failing: bool = False,
        is_test: bool = False,
    ) -> AttemptResult:
        """Sends the body to a valid URL. Returns the result; no error is raised.

        `is_failing`: whether the last attempt failed. `is_test`: whether a user waits for it.
        """
        host, seconds = urlsplit(url).hostname or "", self._limits.timeout_seconds
        share = Share.choose(is_failing=is_failing, is_test=is_test)
        try:
            async with asyncio.timeout(seconds) as timeout:
                CURRENT_ATTEMPT.set(Attempt(timeout, share, seconds if is_test else None))
                return await self._send(url, headers, body.encode())
        except (TimeoutError, httpcore.TimeoutException):
            error = f"There was no complete response within {seconds:g} seconds."
        except NoSlotError as refusal:
            error = str(refusal)
        except ForbiddenAddressError as refusal:
            error = str(refusal)
            log.warning("channel_address_refused", host=host, address=str(refusal.address))
        except (socket.gaierror, UnicodeError) as failure:  # UnicodeError: a label is too long
            error = _describe_unreachable(host)
            log.warning("channel_host_not_resolved", host=host, cause=str(failure))
        except httpcore.ProtocolError:  # its text may quote the request and the response
            error = "The connection failed: there was no valid HTTP response."
        except (httpcore.NetworkError, OSError) as failure:
            error = f"The connection failed: {failure or type(failure).__name__}."
        return AttemptResult(datetime.now(UTC), error=_clean(error))

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> AttemptResult:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        all_headers = {
            **headers,
            "host": parts.netloc,
            "user-agent": self._user_agent,
            "content-type": MEDIA_TYPE,
            "content-length": str(len(body)),
            "accept-encoding": "identity",
        }
        address = httpcore.URL(
            scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target=target
        )
        async with self._open_pool().stream(
            "POST",
            address,
            headers=list(all_headers.items()),
            content=body,
            extensions={"timeout": {"connect": self._limits.timeout_seconds}},
        ) as response:
            content = await self._read_start(response)
            now = datetime.now(UTC)
            status = int(response.status)
            result = AttemptResult(now, status)
            if result.is_success:
                return result
            secrets = (target, parts.path, parts.query, *headers.values())
            excerpt = self._quote_response(content, find_secret_texts(secrets))
            error = f"{result.summary}: {excerpt}" if excerpt else result.summary
            return AttemptResult(now, status, error, _read_retry_after(response.headers, now))

    def _open_pool(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            # The worker of a channel limits its connections.
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._load_ssl_context(),
                max_connections=None,
                max_keepalive_connections=self._limits.concurrency,
                keepalive_expiry=_IDLE_SECONDS,
                network_backend=PolicyBackend(self.policy),
            )
        return self._pool

    def _quote_response(self, content: bytes, secret_texts: Collection[str]) -> str:
        """Returns the beginning of a response without the secrets of the request."""
        # Without NUL, text in UTF-16 is readable, so that secrets in it are found.
        text = _clean(content.replace(b"\0", b"").decode("utf-8", "replace")).strip()
        is_cut = len(content) == self._limits.response_bytes
        return mask_secrets(text, secret_texts, _MAX_EXCERPT_CHARACTERS, is_cut=is_cut)

    async def _read_start(self, response: httpcore.Response) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_stream():
            content += chunk
            if len(content) >= self._limits.response_bytes:
                break
        return bytes(content[: self._limits.response_bytes])


def _create_ssl_context() -> ssl.SSLContext:
    import httpx  # servers that send nothing neither import it nor read certificates

    return httpx.create_ssl_context()


def _parse_address(host: str) -> IPAddress | None:
    """Returns the IP address that the host is. None if the host is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _read_retry_after(headers: Iterable[tuple[bytes, bytes]], now: datetime) -> timedelta | None:
    """The pause of a `Retry-After` in seconds, or until a time. None if absent or invalid."""
    values = [value for name, value in headers if name.lower() == b"retry-after"]
    if not values:
        return None
    text = values[0].decode("ascii", "replace").strip()
    if _SECONDS.fullmatch(text):
        return timedelta(seconds=int(text))
    try:
        time = parsedate_to_datetime(text)
    except ValueError:
        return None
    return None if time.tzinfo is None else max(time - now, timedelta())


def _clean(text: str) -> str:
    return replace_control_characters(text)
