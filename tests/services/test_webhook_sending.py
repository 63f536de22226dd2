"""Messages go to public addresses only, whatever names, servers and settings claim.

Each test attacks one rule. The attackers are real servers on loopback addresses; the names of hosts
are resolved by the test.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import html
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs

from app.domain.channels.addresses import parse_networks
from app.domain.channels.attempts import AttemptResult
from app.domain.shared.limits import ChannelLimits
from app.services.channels.sending import AddressPolicy, ForbiddenAddressError, WebhookSender
from tests.client import TIMEOUT_SECONDS
from tests.webhook_receiver import ReceivedRequest, Response, receive_webhooks

# The only address that is allowed. The attackers' servers listen on 127.0.0.2, too.
ALLOWED = parse_networks("127.0.0.1/32")
FORBIDDEN_HOST = "127.0.0.2"


class Names:
    """Resolves every name to the next of these answers."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.questions: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.questions.append((host, port))
        return self.answers[min(len(self.questions), len(self.answers)) - 1]


class UnknownNames(Names):
    async def resolve(self, host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def send(
    url: str, names: Names | None = None, limits: ChannelLimits | None = None, **headers: str
) -> AttemptResult:
    policy = AddressPolicy(
        ALLOWED, limits or ChannelLimits(), None if names is None else names.resolve
    )
    async with WebhookSender(policy, limits or ChannelLimits()) as sender:
        return await sender.send(url, headers, '{"a":1}')


@contextlib.asynccontextmanager
async def count_connections(host: str) -> AsyncIterator[tuple[int, list[str]]]:
    """Listens on an address. Yields the port, and a list with an element for each connection."""
    connections: list[str] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(host)
        writer.close()

    server = await asyncio.start_server(accept, host, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], connections


async def test_a_message_is_sent_with_its_headers() -> None:
    async with receive_webhooks() as receiver:
        result = await send(f"{receiver.url}?a=b%20c", x_key="secret")

    [request] = receiver.requests
    assert (result.status, result.error, result.is_success) == (200, None, True)
    assert (request.path, request.body) == ("/hook?a=b%20c", '{"a":1}')
    assert request.headers["x_key"] == "secret"
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["user-agent"].startswith("Tocsin/")


async def test_a_name_that_resolves_differently_the_second_time_is_resolved_once() -> None:
    names = Names(["127.0.0.1"], [FORBIDDEN_HOST])
    async with receive_webhooks() as receiver, count_connections(FORBIDDEN_HOST) as (_, others):
        result = await send(f"http://rebinding.example:{receiver.port}/hook", names)

    assert result.status == 200
    assert names.questions == [("rebinding.example", receiver.port)]
    assert receiver.requests[0].headers["host"] == f"rebinding.example:{receiver.port}"
    assert others == []


async def test_a_name_is_verified_again_for_each_connection() -> None:
    names = Names(["127.0.0.1"], [FORBIDDEN_HOST])
    policy = AddressPolicy(ALLOWED, ChannelLimits(), names.resolve)

    def close_connection(_: ReceivedRequest) -> Response:
        return Response(headers=((b"connection", b"close"),))

    async with receive_webhooks() as receiver, WebhookSender(policy, ChannelLimits()) as sender:
        receiver.respond = close_connection
        url = f"http://rebinding.example:{receiver.port}/hook"
        first = await sender.send(url, {}, "{}")
        second = await sender.send(url, {}, "{}")

    assert first.status == 200
    assert second.status is None
    assert second.error == (
        "rebinding.example has no public address. The operator of the server finds the reason in "
        "its logs, and can allow addresses with TOCSIN_CHANNEL_NETWORKS, for example 10.0.0.0/8."
    )
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        [FORBIDDEN_HOST],
        ["::ffff:127.0.0.2"],
        ["64:ff9b::7f00:2"],
        ["::1"],
        ["100.64.0.1"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["127.0.0.1", FORBIDDEN_HOST],  # one allowed address allows no other
    ],
)
async def test_a_name_of_a_local_address_is_refused_before_a_connection(answer: list[str]) -> None:
    async with count_connections(FORBIDDEN_HOST) as (port, connections):
        result = await send(f"http://local.example:{port}/", Names(answer))

    unresolved = await send("http://local.example/", UnknownNames())

    assert result.status is None
    assert result.error is not None
    assert result.error.startswith("local.example has no public address. ")
    assert result.error == unresolved.error
    assert connections == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.2", "2130706434", "0x7f000002", "0177.0.0.2", "127.2", "[::ffff:7f00:2]", "[::1]"],
)
async def test_a_local_address_is_refused_however_it_is_written(host: str) -> None:
    async with count_connections(FORBIDDEN_HOST) as (port, connections):
        with capture_logs() as logs:
            result = await send(f"http://{host}:{port}/")

    assert result.status is None
    assert result.error is not None
    assert "is not public" in result.error or "has no public address" in result.error
    assert [each["event"] for each in logs] == ["channel_address_refused"]
    assert connections == []


def test_a_literal_local_address_is_refused_in_advance() -> None:
    policy = AddressPolicy((), ChannelLimits())

    for host in ("10.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]"):
        with pytest.raises(ForbiddenAddressError):
            policy.check_url(f"https://{host}:8443/")
    policy.check_url("https://8.8.8.8/")
    policy.check_url("https://not-resolved-yet.example/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_error_and_not_followed(status: int) -> None:
    async with receive_webhooks() as target, receive_webhooks() as receiver:
        location = (b"location", target.url.encode())
        receiver.respond = lambda _: Response(status, headers=(location,))
        result = await send(receiver.url)

    assert (result.status, result.error) == (status, f"The response has the status {status}")
    assert len(receiver.requests) == 1
    assert target.requests == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receive_webhooks() as receiver, count_connections("127.0.0.1") as (port, proxied):
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        result = await send(receiver.url)

    assert result.status == 200
    assert proxied == []


def write_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """Returns the files of a certificate for the host, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files[1].write_bytes(pem)
    return files


async def test_tls_verifies_the_name_and_not_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = write_certificate(tmp_path, "hooks.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server_names: list[Any] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _socket, name, _context: server_names.append(name)

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    policy = AddressPolicy(ALLOWED, ChannelLimits(), Names(["127.0.0.1"]).resolve)
    server = await asyncio.start_server(respond, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server, WebhookSender(policy, ChannelLimits()) as sender:
        accepted = await sender.send(f"https://hooks.example:{port}/", {}, "{}")
        refused = await sender.send(f"https://other.example:{port}/", {}, "{}")

    assert accepted.status == 204
    assert refused.status is None
    assert refused.error is not None
    assert "certificate" in refused.error.lower()
    assert server_names == ["hooks.example", "other.example"]


async def test_only_the_beginning_of_a_response_is_read() -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b'{"a":1}')
        writer.write(b"HTTP/1.1 500 Error\r\ncontent-length: 1000000000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"\x1b" + b"x" * 65_535)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        limits = ChannelLimits(response_bytes=1_000)
        result = await send(f"http://127.0.0.1:{port}/", limits=limits)

    assert result.status == 500
    assert result.error == f"The response has the status 500: {'x' * 200}"


PATH, QUERY = "/services/T0Secret1/p%40ss-word", "token=S3cr3t/Value&key=a%2Bb%2Bc"
CREDENTIALS = "Basic dXNlcjpodW50ZXItMg=="  # user:hunter-2
SECRETS = ("t0secret1", "p%40ss", "p@ss-word", "s3cr3t", "a+b+c", "a%2bb", "x-k3y", "hunter-2")


def repeat_request(request: ReceivedRequest) -> str:
    return f"Error: cannot POST {request.path} for {request.headers['authorization']}"


@pytest.mark.parametrize(
    "encode",
    [
        repeat_request,
        lambda request: f"{request.headers['x_key']}: {request.path}",
        lambda request: unquote(repeat_request(request)),
        lambda request: quote(unquote(request.path), safe=""),
        lambda request: repeat_request(request).upper(),
        lambda request: html.escape(repeat_request(request)),
        lambda request: json.dumps({"url": request.path}).replace("/", r"\/"),
        lambda request: base64.b64encode(request.path.encode()).decode(),
        lambda request: repeat_request(request).encode("utf-16-le").decode(),
        lambda _: "user hunter-2 has no access, nor s3cr3t/value of T0SECRET1",
        lambda _: "x-k3y " * 100,
        lambda request: f"{'.' * 195}{request.path}",
        lambda request: f"{'.' * 900}{request.path}"[:1_000],
        lambda request: request.path * 50,
    ],
)
async def test_secrets_of_the_request_are_masked_in_the_error(
    encode: Callable[[ReceivedRequest], str],
) -> None:
    in_base64 = [base64.b64encode(each.encode()).decode() for each in (f"{PATH}?{QUERY}", PATH)]
    async with receive_webhooks() as receiver:
        receiver.respond = lambda request: Response(500, encode(request).encode())
        result = await send(
            f"http://127.0.0.1:{receiver.port}{PATH}?{QUERY}",
            limits=ChannelLimits(response_bytes=1_000),
            authorization=CREDENTIALS,
            x_key="x-k3y, other",
        )

    assert result.summary == "The response has the status 500"
    assert result.error is not None
    assert result.error.startswith("The response has the status 500: ")
    assert len(result.error) <= 300
    for secret in (*SECRETS, *in_base64):
        assert secret.lower() not in result.error.lower()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": "invalid_payload"}', ': {"error": "invalid_payload"}'),
        (b"no route /services/T0Secret1/p%40ss-word!", ": no route ***!"),
        (b"", ""),
    ],
)
async def test_the_rest_of_a_response_stays_in_the_error(body: bytes, expected: str) -> None:
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(400, body)
        result = await send(f"http://127.0.0.1:{receiver.port}{PATH}?{QUERY}")

    assert result.error == f"The response has the status 400{expected}"


async def test_what_is_not_http_is_not_quoted() -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b'{"a":1}')
        writer.write(b"cannot read " + request.replace(b"\r\n", b" ") + b"\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        result = await send(f"http://127.0.0.1:{port}{PATH}", authorization=CREDENTIALS)

    assert (result.status, result.error) == (
        None,
        "The connection failed: there was no valid HTTP response.",
    )


async def test_an_address_that_does_not_respond_leaves_time_for_the_next_one() -> None:
    names, limits = Names(["127.0.0.2", "127.0.0.1"]), ChannelLimits(timeout_seconds=4)
    policy = AddressPolicy(parse_networks("127.0.0.0/8"), limits, names.resolve)
    async with receive_webhooks() as receiver, WebhookSender(policy, limits) as sender:
        # A listening socket whose queue is full does not respond to further connections.
        sockets = [socket.socket() for _ in range(5)]
        sockets[0].bind(("127.0.0.2", receiver.port))
        sockets[0].listen(0)
        for each in sockets[1:]:
            each.setblocking(False)
            each.connect_ex(sockets[0].getsockname())
        result = await sender.send(f"http://hooks.example:{receiver.port}/hook", {}, "{}")
    for each in sockets:
        each.close()

    assert (result.status, result.error) == (200, None)
    assert [request.path for request in receiver.requests] == ["/hook"]


async def test_a_receiver_that_does_not_respond_is_given_up() -> None:
    release = asyncio.Event()
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(release=release)
        result = await send(receiver.url, limits=ChannelLimits(timeout_seconds=0.2))
        release.set()

    assert (result.status, result.error) == (
        None,
        "There was no complete response within 0.2 seconds.",
    )


async def test_a_closed_port_and_an_unknown_name_are_errors() -> None:
    async with count_connections("127.0.0.1") as (port, _):
        pass  # the port is closed

    closed = await send(f"http://127.0.0.1:{port}/")
    unknown = await send(f"http://no-such-host.invalid:{port}/")
    too_long = await send(f"http://{'a' * 64}.example:{port}/")

    assert closed.error is not None
    assert closed.error.startswith("The connection failed: ")
    for result in (unknown, too_long):
        assert result.error is not None
        assert " has no public address. " in result.error


@pytest.mark.parametrize(
    ("value", "expected"),
    [("120", 120), ("0", 0), ("soon", None), ("-1", None), ("99999999999999999999", None)],
)
async def test_retry_after_in_seconds_is_read(value: str, expected: int | None) -> None:
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(429, headers=((b"retry-after", value.encode()),))
        result = await send(receiver.url)

    assert result.status == 429
    assert result.retry_after == (None if expected is None else timedelta(seconds=expected))


async def test_retry_after_as_a_time_is_read() -> None:
    time = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    header = (b"retry-after", format_datetime(time, usegmt=True).encode())
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(503, headers=(header,))
        result = await send(receiver.url)

    assert result.retry_after is not None
    assert result.at + result.retry_after == time


class BlockedNames:
    """Resolves no name that begins with `dead` until they are released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.blocked: list[str] = []
        self._changed = asyncio.Condition()

    async def resolve(self, host: str, _: int) -> Sequence[str]:
        if host.startswith("dead"):
            async with self._changed:
                self.blocked.append(host)
                self._changed.notify_all()
            await self.released.wait()
        return ["127.0.0.1"]

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.blocked) >= count)


@contextlib.asynccontextmanager
async def open_senders(
    names: BlockedNames, count: int
) -> AsyncIterator[tuple[WebhookSender, list[WebhookSender]]]:
    """Yields the sender of a channel whose name is resolved, and those of others with 2 seconds."""
    certificates = ssl.create_default_context()
    policy = AddressPolicy(ALLOWED, ChannelLimits(), names.resolve)

    def create_sender(seconds: float) -> WebhookSender:
        return WebhookSender(policy, ChannelLimits(timeout_seconds=seconds), lambda: certificates)

    async with create_sender(60) as sender:
        yield sender, [create_sender(2) for _ in range(count)]


async def test_names_that_are_not_resolved_leave_slots_for_the_others() -> None:
    names = BlockedNames()
    async with receive_webhooks() as receiver, open_senders(names, 40) as (healthy, others):
        dead = [
            asyncio.create_task(each.send(f"http://dead{i}.example/", {}, "{}", is_failing=True))
            for i, each in enumerate(others)
        ]
        await names.wait_for(16)
        result = await healthy.send(f"http://healthy.example:{receiver.port}/hook", {}, "{}")
        blocked = len(names.blocked)
        names.released.set()
        for task in dead:
            task.cancel()
        await asyncio.wait(dead)

    assert (result.status, result.error) == (200, None)
    assert blocked == 16


async def test_the_wait_for_other_names_is_no_part_of_an_attempt() -> None:
    names = BlockedNames()
    async with receive_webhooks() as receiver, open_senders(names, 32) as (healthy, others):
        dead = [
            asyncio.create_task(each.send(f"http://dead{i}.example/", {}, "{}"))
            for i, each in enumerate(others)
        ]
        await names.wait_for(32)
        url = f"http://healthy.example:{receiver.port}/hook"
        waiting = asyncio.create_task(healthy.send(url, {}, "{}"))
        test = asyncio.create_task(others[1].send(url, {}, "{}", is_test=True))
        failed = await asyncio.gather(*dead)
        # Their slots are still taken: another attempt waits for the same lookup.
        failed.append(await others[0].send("http://dead0.example/", {}, "{}"))
        tested = await test
        is_waiting = not waiting.done()
        names.released.set()
        result = await waiting

    assert {each.error for each in failed} == {"There was no complete response within 2 seconds."}
    assert tested.error == (
        "No thread that resolves names was free within 2 seconds (limit: 32). Retry later."
    )
    assert len(names.blocked) == 32
    assert is_waiting
    assert (result.status, result.error) == (200, None)


async def test_a_lookup_that_fails_after_its_attempts_causes_no_error_of_the_event_loop() -> None:
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    released, ended = asyncio.Event(), asyncio.Event()

    async def fail_late(host: str, _: int) -> Sequence[str]:
        try:
            await released.wait()
            raise socket.gaierror(socket.EAI_NONAME, host)
        finally:
            ended.set()

    policy = AddressPolicy(ALLOWED, ChannelLimits(), fail_late)
    async with WebhookSender(policy, ChannelLimits(timeout_seconds=0.2)) as sender:
        result = await sender.send("http://dead.example/", {}, "{}")
        released.set()
        await asyncio.wait_for(ended.wait(), TIMEOUT_SECONDS)
        await asyncio.sleep(0)  # the task ends, and its callbacks run
        await asyncio.sleep(0)
    gc.collect()

    assert result.error == "There was no complete response within 0.2 seconds."
    assert errors == []
