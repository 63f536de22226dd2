"""Sending with Apprise: which addresses are reached, and what its process is not allowed to do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.domain.channels.addresses import parse_networks
from app.domain.channels.apprise_urls import (
    SERVICES,
    find_scheme,
    find_service,
    find_url_error,
    is_native,
)
from app.domain.channels.attempts import AttemptResult
from app.domain.channels.texts import TextMessage
from app.domain.events.severity import Severity
from app.domain.shared.limits import ChannelLimits
from app.services.channels.apprise_sending import AppriseSender
from app.services.channels.slots import NoSlotError
from tests.mail_server import receive_mail
from tests.webhook_receiver import Response, receive_webhooks

TEXT = TextMessage("ERROR: Pump stopped", "Source: pump-7\nTime: now", Severity.ERROR)
ROOT = Path(__file__).parents[2]
LOCAL = "127.0.0.0/8"
TOKEN = "t0ken" + "a" * 21

UNREACHABLE = (
    "The host has no public address, or its port is not 25, 80, 443, 465, 587, or 1,024 to 65,535. "
    "The operator of the server finds the reason in its logs, and can allow addresses with "
    "TOCSIN_CHANNEL_NETWORKS, for example 10.0.0.0/8."
)

# Few processes at a time, and with time for a busy machine.
LIMITS = ChannelLimits(timeout_seconds=60, apprise_processes=2)


def create_sender(networks: str = LOCAL, limits: ChannelLimits = LIMITS) -> AppriseSender:
    return AppriseSender(parse_networks(networks), limits)


async def send(url: str) -> AttemptResult:
    return await create_sender().send(url, TEXT)


async def test_services_that_are_reached_by_http_get_the_title_and_the_text() -> None:
    async with receive_webhooks() as receiver:
        place = f"127.0.0.1:{receiver.port}"
        urls = (
            f"json://{place}/a",
            f"ntfy://{place}/alarms?priority=high",
            f"mmost://{place}/{TOKEN}",
        )

        sender = create_sender()
        results = await asyncio.gather(*(sender.send(url, TEXT) for url in urls))

    assert [(result.is_success, result.error, result.status) for result in results] == [
        (True, None, None)
    ] * len(urls)
    received = {request.path: request.message for request in receiver.requests}
    assert received == {
        "/a": {
            "version": "1.0",
            "title": TEXT.title,
            "message": TEXT.body,
            "attachments": [],
            "type": "failure",
        },
        "/": {"topic": "alarms", "title": TEXT.title, "message": TEXT.body},
        f"/hooks/{TOKEN}": {"text": f"{TEXT.title}\r\n{TEXT.body}", "username": "Tocsin"},
    }


async def test_an_email_that_the_server_rejects_is_an_error() -> None:
    async with receive_mail() as mail:
        mail.response = "554 no"
        result = await send(mail.url)

    assert not result.is_success
    assert result.error is not None
    assert "team@example.com" not in result.error


async def test_addresses_that_are_not_allowed_are_not_reached() -> None:
    async with receive_webhooks() as receiver, receive_mail() as mail:
        urls = (
            f"json://127.0.0.1:{receiver.port}/",
            f"json://localhost:{receiver.port}/",
            mail.url,
            "json://no-such-host.invalid/",  # users see no difference to a local name
            f"json://[::ffff:127.0.0.1]:{receiver.port}/",
        )

        sender = create_sender("10.0.0.0/8")
        results = await asyncio.gather(*(sender.send(url, TEXT) for url in urls))

    *others, mapped = results
    assert [(result.error, result.summary) for result in others] == [(UNREACHABLE,) * 2] * 4
    assert not mapped.is_success
    assert (receiver.requests, mail.emails) == ([], [])


async def test_a_redirect_is_an_error_and_not_followed() -> None:
    async with receive_webhooks() as receiver, receive_webhooks() as other:
        receiver.respond = lambda _: Response(302, headers=((b"location", other.url.encode()),))
        result = await send(f"json://127.0.0.1:{receiver.port}/")

    assert result.error == "Failed to send JSON POST notification: error=302."
    assert other.requests == []


async def test_the_error_of_a_service_contains_no_part_of_the_address() -> None:
    async with receive_webhooks() as receiver:
        receiver.respond = lambda request: Response(403, request.path.encode())
        url = f"json://user:pa55word@127.0.0.1:{receiver.port}/{TOKEN}"
        failed = await send(url)
        unreachable = await send(f"json://user:pa55word@127.0.0.1:65535/{TOKEN}")
        invalid = await create_sender().find_url_error("slack://t0kena/t0kenb")

    assert failed.summary == "Apprise has reported an error, which the delivery shows."
    for error in (failed.error, unreachable.error, invalid):
        assert error is not None
        assert "t0ken" not in error
        assert "pa55word" not in error


async def test_the_process_of_a_service_that_does_not_respond_ends() -> None:
    release = asyncio.Event()
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(release=release)
        sender = create_sender(limits=ChannelLimits(timeout_seconds=8))
        result = await sender.send(f"json://127.0.0.1:{receiver.port}/", TEXT)
        release.set()

    assert result.error is not None
    assert len(receiver.requests) == 1
    assert list_processes() == []


async def test_a_process_that_is_cancelled_ends_and_leaves_its_place_to_another() -> None:
    async with receive_webhooks() as receiver:
        receiver.respond = lambda request: Response(
            release=asyncio.Event() if request.path == "/dead" else None
        )
        sender = create_sender(limits=ChannelLimits(timeout_seconds=60, apprise_processes=1))
        url = f"json://127.0.0.1:{receiver.port}"
        sending = asyncio.create_task(sender.send(f"{url}/dead", TEXT))
        await receiver.wait_for(1)
        sending.cancel()
        await asyncio.wait([sending])
        processes = list_processes()
        other = await sender.send(f"{url}/ok", TEXT)

    assert sending.cancelled()
    assert processes == []
    assert other.is_success


async def test_a_process_whose_server_was_killed_ends_after_its_time() -> None:
    release = asyncio.Event()
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(release=release)
        request = build_request(f"ntfy://127.0.0.1:{receiver.port}/alarms") | {"max_seconds": 1}
        done = await asyncio.to_thread(start_program, request)
        release.set()

    assert (done.returncode, done.stdout) == (-signal.SIGALRM, "")


async def test_addresses_that_fail_leave_processes_for_the_others() -> None:
    release = asyncio.Event()
    async with receive_webhooks() as receiver:
        receiver.respond = lambda request: Response(
            release=release if request.path == "/dead" else None
        )
        sender, url = create_sender(), f"json://127.0.0.1:{receiver.port}"
        failing = [
            asyncio.create_task(sender.send(f"{url}/dead", TEXT, is_failing=True)) for _ in range(3)
        ]
        healthy = await sender.send(f"{url}/ok", TEXT)
        are_waiting = not any(task.done() for task in failing)
        release.set()
        results = await asyncio.gather(*failing)

    assert healthy.is_success
    assert are_waiting
    assert all(result.is_success for result in results)


async def test_a_user_waits_for_a_process_only_so_long() -> None:
    release = asyncio.Event()
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(release=release)
        limits = ChannelLimits(timeout_seconds=2, apprise_processes=1)
        sender, url = create_sender(limits=limits), f"json://127.0.0.1:{receiver.port}/"
        sending = [asyncio.create_task(sender.send(url, TEXT)) for _ in range(2)]
        await asyncio.sleep(0)  # both stand before the next one
        with pytest.raises(NoSlotError) as busy:
            await sender.find_url_error(url)
        release.set()
        await asyncio.gather(*sending)

    assert str(busy.value) == (
        "No process that sends messages was free within 2 seconds (limit: 1). Retry later."
    )


async def test_the_process_cuts_what_a_receiver_has_responded() -> None:
    async with receive_webhooks() as receiver:
        error = json.dumps({"code": 1, "error": "x" * 1_000_000}).encode()
        receiver.respond = lambda _: Response(400, error)
        url = f"ntfy://127.0.0.1:{receiver.port}/alarms"
        answer = await asyncio.to_thread(run_program, url)

    assert len(answer["error"]) == 16_384


async def test_no_more_processes_run_than_the_limit() -> None:
    async with receive_webhooks() as receiver:
        counts: list[int] = []

        def respond(_: object) -> Response:
            counts.append(len(list_processes()))
            return Response()

        receiver.respond = respond
        sender = create_sender(limits=ChannelLimits(timeout_seconds=60, apprise_processes=1))
        url = f"json://127.0.0.1:{receiver.port}/"
        results = await asyncio.gather(*(sender.send(url, TEXT) for _ in range(2)))

    assert [result.is_success for result in results] == [True, True]
    assert counts == [1, 1]


def list_processes() -> list[tuple[str, dict[str, str]]]:
    """Returns the arguments and environments of the child processes that send with Apprise."""
    processes = []
    for each in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            processes.append((" ".join(each.cmdline()), each.environ()))
    return [process for process in processes if "apprise_process" in process[0]]


ATTACKS = {
    "a local address": "socket.create_connection(('127.0.0.1', 80))",
    "a mapped address": "socket.create_connection(('::ffff:127.0.0.1', 80))",
    "metadata of a cloud": "socket.create_connection(('169.254.169.254', 80))",
    "a name that is resolved later": "socket.socket().connect(('localhost', 80))",
    "an abbreviated address": "socket.socket().connect(('127.1', 80))",
    "a port of another protocol": "socket.create_connection(('9.9.9.9', 22))",
    "a datagram": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 53))",
    "a local socket": "socket.socket(socket.AF_UNIX).connect('/run/docker.sock')",
    "a server": "socket.socket().bind(('127.0.0.1', 0))",
    "a program": "subprocess.run(['true'])",
    "a shell": "os.system('true')",
    "a fork": "os.fork()",
    "another program": "os.execv('/bin/true', ['true'])",
    "a file of secrets": "open('/etc/passwd')",
    "memory of the process": "open('/proc/self/environ')",
    "a new file": "open('/tmp/tocsin-attack', 'w')",
    "a new folder": "os.mkdir('/tmp/tocsin-attack')",
    "a deleted file": "os.remove('/tmp/tocsin-attack')",
    "native code": "ctypes.CDLL(None)",
}


def test_a_process_that_is_restricted_cannot_do_what_messages_do_not_need() -> None:
    # Each is tried in the same process, which prints the names of those that were refused.
    program = f"""
import ctypes, os, socket, subprocess
from app.services.channels.apprise_process import restrict_process

guard = restrict_process([])
for name, attack in {list(ATTACKS.items())!r}:
    try:
        exec(attack)
    except PermissionError as error:
        assert str(error).endswith("not allowed"), error
        print(name)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == list(ATTACKS)


def test_a_process_refuses_parameters_that_apprise_reads_and_the_server_has_not_seen() -> None:
    answer = run_program("ntfy://127.0.0.1/topic?attach=/etc/passwd")

    assert answer == {"error": "Apprise cannot read the URL", "refused": None}


def run_program(url: str) -> dict[str, Any]:
    """Lets the program send a message with ntfy. Returns its answer."""
    answer: dict[str, Any] = json.loads(start_program(build_request(url)).stdout)
    return answer


def build_request(url: str) -> dict[str, Any]:
    return {
        "url": url,
        "scheme": "ntfy",
        "is_native": False,
        "module": "ntfy",
        "parameters": ["priority"],
        "networks": [LOCAL],
        "timeout_seconds": 60,
        "max_seconds": 65,
        "message": {"title": "", "body": "text", "notify_type": "info"},
    }


def start_program(request: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Waits until the program has ended."""
    return subprocess.run(
        [sys.executable, "-m", "app.services.channels.apprise_process"],
        cwd=ROOT,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=90,
    )


async def test_the_process_gets_neither_the_environment_nor_the_address_as_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with receive_webhooks() as receiver, receive_webhooks() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("TOCSIN_SECRETS_KEYS", "secret")
        processes: list[tuple[str, dict[str, str]]] = []

        def respond(_: object) -> Response:
            processes.extend(list_processes())
            return Response()

        receiver.respond = respond
        result = await send(f"json://127.0.0.1:{receiver.port}/{TOKEN}")

    assert result.is_success
    assert proxy.requests == []
    [(command, environment)] = processes
    assert TOKEN not in command
    certificates = {"SSL_CERT_DIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
    assert environment.keys() - certificates == {"PYTHONPATH", "HOME", "LC_ALL"}


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Apprise imports it
def test_every_allowed_service_and_parameter_is_one_of_apprise() -> None:
    import apprise

    known = {
        scheme: set(service["details"]["args"])
        for service in apprise.Apprise().details()["schemas"]
        for scheme in (*(service["protocols"] or ()), *(service["secure_protocols"] or ()))
    }

    for service in SERVICES:
        for scheme in service.schemes:
            assert scheme in known
            assert service.parameters - {"user", "pass"} <= known[scheme], scheme


NATIVE = {
    "discord": "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "gchat": "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=1234&token=abcd",
    "lark": "https://open.larksuite.com/open-apis/bot/v2/hook/abcd-1234",
    "ntfy": "https://ntfy.sh/alarms?priority=high",
    "slack": "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "splunk": "https://alert.victorops.com/integrations/generic/20131114/alert/abcd-1234/ops",
    "webex": "https://webexapis.com/v1/webhooks/incoming/" + "a" * 80,
    "workflows": "https://prod-1.westus.logic.azure.com:443/workflows/643e69f83c8944438d68119179a10a64"
    "/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=KODuebWbDGYFr0z0eu",
}


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Apprise imports it
def test_the_addresses_that_services_show_are_those_of_their_plugins() -> None:
    import apprise

    plugins: dict[str, Any] = {
        scheme: apprise.Apprise.instantiate(url) for scheme, url in NATIVE.items()
    }

    assert sorted(NATIVE) == sorted(each.schemes[0] for each in SERVICES if each.hosts)
    for scheme, plugin in plugins.items():
        assert find_url_error(NATIVE[scheme]) is None
        assert (find_scheme(NATIVE[scheme]), is_native(NATIVE[scheme])) == (scheme, True)
        # What Apprise makes of them is an address of its own that is allowed, too.
        assert find_scheme(plugin.url()) in find_service(NATIVE[scheme]).schemes


async def test_the_process_reads_the_address_that_a_service_shows() -> None:
    sender = create_sender()

    errors = await asyncio.gather(
        *(sender.find_url_error(url) for url in (NATIVE["slack"], NATIVE["workflows"])),
        sender.find_url_error("https://hooks.slack.com/api/T0kenT0ken"),
    )

    assert errors[:2] == [None, None]
    assert errors[2] is not None
    assert "T0ken" not in errors[2]


@pytest.mark.parametrize(
    "parameter",
    [
        *("attach", "attach-as", "filename", "file_url", "template", "pgp", "pgpprv", "pgppub"),
        *("inline", "wkd", "e2ee", "format", "overflow", "emojis", "store", "retry", "wait", "cto"),
        *("rto", "verify", "redirect", "method", "image", "avatar_url", "icon_url", "callback"),
    ],
)
def test_parameters_that_attach_load_or_replace_are_allowed_for_no_service(parameter: str) -> None:
    assert [each.schemes for each in SERVICES if parameter in each.parameters] == []
