"""Channels of the kind APPRISE: addresses, text messages to real receivers, digests and retries."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import Serve
from tests.graphql.test_channels import CHANNELS, CREATE, HOOK, ROTATE, TEST, UPDATE
from tests.graphql.test_deliveries import (
    AUDIT,
    CHANNEL,
    QUICK,
    REPORTS,
    RESOLVE,
    create_channel,
    log_notification,
    wait_for_deliveries,
)
from tests.mail_server import receive_mail
from tests.webhook_receiver import ReceivedRequest, Response, receive_webhooks

APPRISE = HOOK | {"kind": "APPRISE", "url": "json://hooks.example.com/T0KEN-of-the-receiver"}
AT_ONCE = QUICK | {"apprise_interval_seconds": 0}


async def test_a_notification_and_its_resolution_are_emails_with_a_link_to_the_event(
    serve: Serve, database_url: str
) -> None:
    server = serve(database_url, channels=AT_ONCE, public_url="https://tocsin.example/")
    async with receive_mail() as mail, server as client:
        channel_id, secret = await create_channel(client, mail.url, kind="APPRISE")
        event = await log_notification(
            client,
            "Pump <!channel> stopped",
            "p7",
            severity="error",
            source="pump-7",
            content="No pressure.\nAsk @everyone\u0007\r\nBcc: a@example.com",
            occurredAt="2026-04-10T10:00:00Z",
        )
        await mail.wait_for(1)
        await client.execute_field(RESOLVE, id=event["id"])
        await mail.wait_for(2)
        channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 2)

    assert secret is None
    raised, resolved = mail.emails
    assert mail.recipients == [["team@example.com"]] * 2
    assert {key.lower() for key in raised} >= {"from", "to", "subject"}
    assert raised["bcc"] is None
    assert raised["subject"] == "ERROR: Pump <\u200b!channel> stopped"
    assert raised.get_content_type() == "text/plain"
    facts = (
        "Source: pump-7\nPump: p7\nTime: 2026-04-10T10:00:00.000000Z\n"
        f"https://tocsin.example/events/{event['id']}"
    )
    assert read_text(raised) == (f"No pressure.\nAsk @\u200beveryone \nBcc: a@example.com\n{facts}")
    assert resolved["subject"] == "Resolved: Pump <\u200b!channel> stopped"
    assert read_text(resolved) == facts
    deliveries = channel["deliveries"]["nodes"]
    assert [(each["responseStatus"], each["error"], each["attempts"]) for each in deliveries] == [
        (None, None, 1)
    ] * 2


def read_text(email: Any) -> str:
    return str(email.get_content()).replace("\r\n", "\n").rstrip("\n")


async def test_what_is_due_together_is_one_message_that_counts_the_others(
    serve: Serve, database_url: str
) -> None:
    release = asyncio.Event()
    async with receive_webhooks() as receiver, serve(database_url, channels=AT_ONCE) as client:
        # The first message takes until the others are due. The second one fails once.
        receiver.respond = lambda _: Response(
            503 if len(receiver.requests) == 1 else 200, release=release
        )
        url = f"json://127.0.0.1:{receiver.port}/"
        channel_id, _ = await create_channel(client, url, kind="APPRISE")
        await log_notification(client, "first", source="pump-7")
        await receiver.wait_for(1)
        for number in range(12):
            await log_notification(client, f"pump {number}", "p7", source="pump-7")
        over = await log_notification(client, "is over", severity="error", source="host-1")
        await client.execute_field(RESOLVE, id=over["id"])
        await log_notification(client, "disk full", severity="error", source="host-1")
        await log_notification(client, "disk warm", severity="warning", source="host-1")
        await wait_for_deliveries(client, channel_id, "PENDING", 17)
        release.set()
        channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 17)

    first, digest, repeated = (request.message for request in receiver.requests)
    assert (first["title"], first["type"]) == ("INFO: first", "info")
    assert (digest["title"], digest["type"]) == ("ERROR: disk full", "failure")
    assert digest["message"].splitlines()[2:] == ["12 more from pump-7", "2 more from host-1"]
    assert repeated == digest
    attempts = [each["attempts"] for each in channel["deliveries"]["nodes"]]
    assert attempts == [*([2] * 16), 1]


async def test_a_message_that_fails_is_repeated_and_an_outage_is_reported_and_ends(
    serve: Serve, database_url: str
) -> None:
    async with receive_webhooks() as receiver, serve(database_url, channels=AT_ONCE) as client:
        receiver.respond = lambda request: Response(
            503 if len(receiver.requests) < 5 else 200, request.path.encode()
        )
        url = f"json://127.0.0.1:{receiver.port}/t0ken-of-the-receiver"
        channel_id, _ = await create_channel(client, url, kind="APPRISE")
        await log_notification(client, "first")
        await receiver.wait_for(5)
        channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
        reports = await client.execute_field(
            "query ($source: String!) { events(filter: {source: $source}) { nodes { status } } }",
            source=f"/channels/{channel_id}",
        )
        audit = await client.execute_field(AUDIT, id=channel_id)

    [delivery] = channel["deliveries"]["nodes"]
    assert (delivery["attempts"], channel["failingSince"]) == (6, None)
    [failing] = [each for each in audit["nodes"] if each["action"] == "DELIVERIES_FAILING"]
    assert failing["changes"]["lastError"][1] == (
        "Apprise has reported an error, which the delivery shows."
    )
    assert reports["nodes"] == [{"status": "RESOLVED"}]
    assert len({request.body for request in receiver.requests}) == 1


async def test_a_test_message_is_sent_with_the_error_of_apprise(client: Client) -> None:
    async with receive_webhooks() as receiver:
        url = f"json://127.0.0.1:{receiver.port}/t0ken-of-the-receiver"
        input = APPRISE | {"url": url}
        created = await client.execute_field(CREATE, input=input)
        id = created["channel"]["id"]
        sent = await client.execute_field(TEST, id=id)
        receiver.respond = lambda request: Response(403, request.path.encode())
        rejected = await client.execute_field(TEST, id=id)

    message = receiver.requests[0].message
    assert created["channel"]["url"] == f"json://127.0.0.1:{receiver.port}"
    assert (message["title"], message["message"]) == (
        "Test of the channel hook",
        "The channel works.",
    )
    assert (sent["delivery"]["state"], sent["delivery"]["error"]) == ("DELIVERED", None)
    assert (rejected["delivery"]["state"], rejected["delivery"]["error"]) == (
        "FAILED",
        "Failed to send JSON POST notification: error=403.",
    )


async def test_invalid_addresses_are_rejected_and_not_stored(client: Client) -> None:
    invalid: list[tuple[str, str]] = [
        ("hooks.example.com", "The URL must be SERVICE://ADDRESS in visible ASCII characters"),
        ("json://a.example\\@127.0.0.1", "The URL must be SERVICE://ADDRESS in visible ASCII"),
        ("json://a.example json://b.example", "The URL must be SERVICE://ADDRESS in visible"),
        ("file:///etc/passwd", "Invalid service 'file'. Use one of brevo, clicksend, discord,"),
        ("https://hooks.example.com/services/a/b/c", "Invalid service 'https'."),
        ("http://hooks.slack.com/services/a/b/c", "Invalid service 'http'."),
        ("https://hooks.slack.com.example.com/services/a/b/c", "Invalid service 'https'."),
        ("https://hooks.slack.com:25/services/a/b/c", "Invalid service 'https'."),
        ("https://hooks.slack.com@example.com/services/a/b/c", "Invalid service 'https'."),
        ("https://example.com?@hooks.slack.com/services/a/b/c", "Invalid service 'https'."),
        ("https://a@prod-1.logic.azure.com/workflows/a", "Invalid service 'https'."),
        ("https://discord.com/api/webhooks/1/a?avatar_url=https://10.0.0.1", "The parameter"),
        ("https://ntfy.sh/topic?attach=/etc/passwd", "The parameter 'attach' is not allowed."),
        ("SYSLOG://", "The URL must be SERVICE://ADDRESS"),
        ("SYSLOG://local", "Invalid service 'SYSLOG'."),
        ("dbus://desktop", "Invalid service 'dbus'."),
        ("rsyslog://127.0.0.1", "Invalid service 'rsyslog'."),
        ("mailto://a@b@example.com", "Percent-encode @ in the user name and the password as %40."),
        ("mailto://example.com?pgpprv=/etc/key", "The parameter 'pgpprv' is not allowed. mailto"),
        ("ntfy://example.com/topic?attach=/etc/passwd", "The parameter 'attach' is not allowed."),
        ("ntfy://example.com/topic?%61ttach=/etc/passwd", "The parameter '%61ttach' is not"),
        ("ntfy://example.com/topic?to=a;ATTACH=/etc/passwd", "The parameter 'ATTACH' is not"),
        ("ntfy://example.com/topic?to=a?b&attach=/etc/passwd", "The parameter 'attach' is not"),
        ("slack://a/b/c?template=/etc/passwd", "The parameter 'template' is not allowed."),
        ("json://example.com?+Host=127.0.0.1", "The parameter '+Host' is not allowed. json has"),
        ("json://example.com?format=html", "The parameter 'format' is not allowed."),
        ("json://10.0.0.1/", "10.0.0.1 is not public."),
        ("json://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1 is not public."),
        ("json://[::1", "Invalid address."),
        (f"json://example.com/{'a' * 2_048}", "At most 2,048 characters are allowed; url has"),
    ]
    stored = await client.execute_field(CREATE, input=APPRISE)

    for url, message in invalid:
        for mutation, input in (
            (CREATE, APPRISE | {"url": url}),
            (UPDATE, {"id": stored["channel"]["id"], "url": url}),
        ):
            payload = await client.execute_field(mutation, input=input)
            assert payload["channel"] is None, url
            [error] = payload["userErrors"]
            assert (error["code"], error["path"]) == ("INVALID_INPUT", ["input", "url"])
            assert error["message"].startswith(message)

    assert (await client.execute_field(CHANNELS))["nodes"] == [stored["channel"]]


async def test_an_address_that_apprise_cannot_read_is_rejected_without_its_secrets(
    client: Client,
) -> None:
    created = await client.execute_field(CREATE, input=APPRISE)
    incomplete = {"url": "slack://t0kena/t0kenb"}

    rejected = await client.execute_field(CREATE, input=APPRISE | incomplete)
    unchanged = await client.execute_field(
        UPDATE, input={"id": created["channel"]["id"]} | incomplete
    )
    changed = await client.execute_field(
        UPDATE,
        input={
            "id": created["channel"]["id"],
            "url": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
        },
    )
    native = await client.execute_field(
        UPDATE,
        input={
            "id": created["channel"]["id"],
            "url": "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        },
    )

    for payload in (rejected, unchanged):
        [error] = payload["userErrors"]
        assert (error["code"], error["path"]) == ("INVALID_INPUT", ["input", "url"])
        assert error["message"].startswith("Apprise cannot read the URL: ")
        assert "t0ken" not in error["message"]
    assert changed["userErrors"] == native["userErrors"] == []
    assert changed["channel"]["url"] == "slack://"
    assert native["channel"]["url"] == "https://hooks.slack.com"
    assert (await client.execute_field(CHANNELS))["nodes"] == [native["channel"]]


async def test_headers_and_signing_secrets_are_only_for_web_hooks(client: Client) -> None:
    created = await client.execute_field(CREATE, input=APPRISE)
    id = created["channel"]["id"]

    with_headers = await client.execute_field(CREATE, input=APPRISE | {"headers": {"a": "b"}})
    headers_added = await client.execute_field(UPDATE, input={"id": id, "headers": {"a": "b"}})
    rotated = await client.execute_field(ROTATE, id=id)

    for payload in (with_headers, headers_added):
        assert payload["userErrors"] == [
            {
                "code": "INVALID_INPUT",
                "message": "Only channels of the kind WEBHOOK have headers.",
                "path": ["input", "headers"],
            }
        ]
    assert rotated["secret"] is None
    assert [(each["code"], each["path"]) for each in rotated["userErrors"]] == [
        ("INVALID_INPUT", ["id"])
    ]


async def test_without_the_library_no_channel_of_the_kind_is_created(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)  # as if it was not installed

    error = await client.expect_error(CREATE, input=APPRISE)
    hook = await client.execute_field(CREATE, input=HOOK)

    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert error["path"] == ["createChannel"]
    assert (await client.execute_field(CHANNELS))["nodes"] == [hook["channel"]]


async def test_addresses_that_do_not_respond_leave_processes_for_the_others(
    serve: Serve, database_url: str
) -> None:
    release = asyncio.Event()

    async with receive_webhooks() as receiver:

        def respond(request: ReceivedRequest) -> Response:
            """Each address is unavailable at first, and then does not respond."""
            if request.path == "/healthy":
                return Response()
            is_first = request.path not in list_paths()
            return Response(503) if is_first else Response(release=release)

        def list_paths() -> list[str]:
            return [each.path for each in receiver.requests]

        receiver.respond = respond
        url = f"json://127.0.0.1:{receiver.port}"
        limits = AT_ONCE | {"apprise_processes": 2, "timeout_seconds": 80}
        async with serve(database_url, channels=limits) as client:
            for number in range(3):
                await create_channel(client, f"{url}/dead/{number}", kind="APPRISE")
            await log_notification(client, "first")
            # All have failed once, and one of them is attempted again.
            await receiver.wait_for(4)
            healthy_id, _ = await create_channel(client, f"{url}/healthy", kind="APPRISE")
            for number in range(3):
                await log_notification(client, f"number {number}")
                await wait_for_deliveries(client, healthy_id, "DELIVERED", number + 1)
            paths = list_paths()
            release.set()

    assert paths.count("/healthy") == 3
    assert len(paths) == 3 + 3 + 1


async def test_tests_of_addresses_that_do_not_respond_leave_processes_for_deliveries(
    serve: Serve, database_url: str
) -> None:
    release = asyncio.Event()
    limits = AT_ONCE | {"apprise_processes": 2, "timeout_seconds": 80}
    async with receive_webhooks() as receiver, serve(database_url, channels=limits) as client:
        receiver.respond = lambda request: Response(
            release=release if request.path == "/dead" else None
        )
        url = f"json://127.0.0.1:{receiver.port}"
        dead_id, _ = await create_channel(
            client, f"{url}/dead", kind="APPRISE", filter={"severities": ["ERROR"]}
        )
        healthy_id, _ = await create_channel(client, f"{url}/healthy", kind="APPRISE")
        tests = [asyncio.create_task(client.execute_field(TEST, id=dead_id)) for _ in range(3)]
        await receiver.wait_for(1)
        for number in range(2):
            await log_notification(client, f"number {number}")
            await wait_for_deliveries(client, healthy_id, "DELIVERED", number + 1)
        paths = [request.path for request in receiver.requests]
        release.set()
        sent = await asyncio.gather(*tests)

    assert sorted(paths) == ["/dead", "/healthy", "/healthy"]
    assert [each["delivery"]["state"] for each in sent] == ["DELIVERED"] * 3


async def test_a_server_without_the_library_leaves_channels_of_the_kind_to_others(
    serve: Serve, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receive_webhooks() as receiver, serve(database_url, channels=AT_ONCE) as client:
        url = f"json://127.0.0.1:{receiver.port}/text"
        channel_id, _ = await create_channel(client, url, kind="APPRISE", enabled=False)
        monkeypatch.setitem(sys.modules, "apprise", None)  # as if it was not installed
        await client.execute_field(UPDATE, input={"id": channel_id, "enabled": True})
        hook_id, _ = await create_channel(client, receiver.url)
        await log_notification(client, "first")
        await wait_for_deliveries(client, hook_id, "DELIVERED", 1)
        waiting = await client.execute_field(CHANNEL, id=channel_id)
        monkeypatch.undo()
        delivered = await wait_for_deliveries(client, channel_id, "DELIVERED", 1)

    assert (waiting["deliveries"]["nodes"], waiting["lastError"]) == ([], None)
    assert [each["attempts"] for each in delivered["deliveries"]["nodes"]] == [1]


async def test_a_channel_that_no_server_can_send_is_failing(
    serve: Serve, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = AT_ONCE | {"unsendable_seconds": 0}
    async with receive_webhooks() as receiver, serve(database_url, channels=limits) as client:
        url = f"json://127.0.0.1:{receiver.port}/text"
        channel_id, _ = await create_channel(client, url, kind="APPRISE", enabled=False)
        monkeypatch.setitem(sys.modules, "apprise", None)  # as if it was not installed
        await client.execute_field(UPDATE, input={"id": channel_id, "enabled": True})
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (failing := await client.execute_field(CHANNEL, id=channel_id))[
                "failingSince"
            ] is None:
                await asyncio.sleep(0.05)
        await log_notification(client, "first")
        reports = await client.execute_field(REPORTS, source=f"/channels/{channel_id}")
        monkeypatch.undo()
        await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (recovered := await client.execute_field(CHANNEL, id=channel_id))["lastError"]:
                await asyncio.sleep(0.05)

    assert failing["lastError"].startswith("The server has no Apprise.")
    assert len(reports["nodes"]) == 1
    assert recovered["failingSince"] is None
