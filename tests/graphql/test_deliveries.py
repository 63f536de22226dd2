"""Deliveries of channels to real receivers: content, order, retries, outages and repetitions."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlmodel import col
from standardwebhooks.webhooks import Webhook

from app.domain.channels.channels import DeliveryState
from app.domain.shared.limits import ChannelLimits
from app.services.change_log.pruning import prune_entries
from app.services.channels.deliveries import delete_old_deliveries, delete_orphaned_deliveries
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import Serve
from tests.webhook_receiver import ReceivedRequest, Response, WebhookReceiver, receive_webhooks

PAYLOAD = "{ channel { id name url } secret userErrors { code message path } }"
CREATE = f"mutation ($input: CreateChannelInput!) {{ createChannel(input: $input) {PAYLOAD} }}"
UPDATE = f"mutation ($input: UpdateChannelInput!) {{ updateChannel(input: $input) {PAYLOAD} }}"
CHANNEL = """
query ($id: ID!, $state: DeliveryState) {
  channel(id: $id) {
    enabled cursor lagSeconds lastError failingSince
    deliveries(state: $state, first: 100) {
      nodes {
        id trigger webhookId state attempts nextAttemptAt responseStatus error
        event { summary } channel { id }
      }
    }
  }
}
"""
CHANNEL_ERROR = "query ($id: ID!) { channel(id: $id) { lastError } }"
REDELIVER = """
mutation ($channel: ID!, $delivery: ID, $after: String) {
  redeliver(channelId: $channel, deliveryId: $delivery, after: $after) {
    queuedCount userErrors { code message path }
  }
}
"""
RESOLVE = "mutation ($id: ID!) { resolveEvent(id: $id) { event { status } } }"
CHANGE = """
mutation ($id: ID!, $summary: String) {
  updateEvent(input: {id: $id, summary: $summary}) { event { version } }
}
"""
CHANGES = "query ($after: String) { eventChanges(first: 100, after: $after) { nodes { kind } } }"
REOPEN = "mutation ($id: ID!) { reopenEvent(id: $id) { event { status } } }"
UPDATE_EVENT = """
mutation ($input: UpdateEventInput!) { updateEvent(input: $input) { userErrors { code } } }
"""
SILENCE = """
mutation ($input: CreateSilenceInput!) { createSilence(input: $input) { userErrors { code } } }
"""
TEST = "mutation ($id: ID!) { testChannel(id: $id) { delivery { state } } }"
DELETE_EVENT = "mutation ($id: ID!) { deleteEvent(id: $id) { event { id } } }"
DELETE = "mutation ($id: ID!) { deleteChannel(id: $id) { channel { id } } }"
AUDIT = """
query ($id: ID!) {
  auditEntries(filter: {subjectId: $id}, first: 100) { nodes { actor action changes } }
}
"""
REPORTS = """
query ($source: String!) {
  events(filter: {source: $source}) {
    nodes { summary content severity alertKey status notification occurrences resolutionNote }
  }
}
"""
# Repeats at once what a test fails.
QUICK = {"max_retry_seconds": 0.05, "max_probe_seconds": 0.05}


async def create_channel(client: Client, url: str, **input: Any) -> tuple[str, str]:
    """Returns the ID and the secret of the new channel."""
    attributes = {"name": "hook", "kind": "WEBHOOK", "url": url} | input
    payload = await client.execute_field(CREATE, input=attributes)
    assert payload["userErrors"] == []
    return payload["channel"]["id"], payload["secret"]


async def wait_for_deliveries(client: Client, id: str, state: str, count: int) -> Any:
    """Waits until the channel has so many deliveries in the state, and returns the channel."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            channel = await client.execute_field(CHANNEL, id=id, state=state)
            if len(channel["deliveries"]["nodes"]) >= count:
                # Its fields are read by several statements: all of them see the deliveries now.
                return await client.execute_field(CHANNEL, id=id, state=state)
            await asyncio.sleep(0.05)


async def log_notification(
    client: Client, summary: str, entity: str | None = None, **attributes: Any
) -> Any:
    if entity is not None:
        attributes["entity"] = {"type": "Pump", "id": entity}
    return await client.log_event(summary=summary, notification=True, **attributes)


async def list_actions(client: Client, id: str) -> list[str]:
    """Returns the actions of the audit entries of a channel, oldest first."""
    entries = await client.execute_field(AUDIT, id=id)
    return [entry["action"] for entry in entries["nodes"]][::-1]


async def wait_for_action(client: Client, id: str, action: str, count: int = 1) -> list[str]:
    """Waits for audit entries of a channel, and returns the actions of all."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (actions := await list_actions(client, id)).count(action) < count:
            await asyncio.sleep(0.05)
    return actions


async def test_a_notification_is_delivered_as_a_signed_cloud_event(client: Client) -> None:
    async with receive_webhooks() as receiver:
        headers = {"authorization": "Bearer receiver"}
        channel_id, secret = await create_channel(client, receiver.url, headers=headers)
        event = await client.log_event(
            summary="disk full",
            severity="error",
            notification=True,
            entity={"type": "Host", "id": "h1"},
            fields={"free": 0.5},
        )
        [request] = await receiver.wait_for(1)
        channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
        left = [
            await client.execute_field(CHANGES, after=cursor)
            for cursor in (channel["cursor"], json.loads(request.body)["data"]["cursor"])
        ]

    message = Webhook(secret).verify(request.body, request.headers)
    [delivery] = channel["deliveries"]["nodes"]
    data = message.pop("data")
    time = message.pop("time")
    assert message == {
        "specversion": "1.0",
        "id": delivery["webhookId"],
        "type": "tocsin.notification.added",
        "source": f"/channels/{channel_id}",
        "subject": event["id"],
        "datacontenttype": "application/json",
    }
    assert request.headers["webhook-id"] == delivery["webhookId"]
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["authorization"] == "Bearer receiver"
    shown = {name: data["event"][name] for name in ("id", "summary", "severity", "fields")}
    assert shown == {
        "id": event["id"],
        "summary": "disk full",
        "severity": "ERROR",
        "fields": {"free": 0.5},
    }
    assert (data["event"]["status"], data["event"]["entity"]) == (
        "OPEN",
        {"type": "Host", "id": "h1"},
    )
    assert data["change"] == {
        "kind": "LOGGED",
        "at": time,
        "actor": "administrator",
        "changes": {},
    }
    assert left == [{"nodes": []}] * 2
    assert (channel["lagSeconds"], channel["lastError"]) == (0, None)
    assert delivery == {
        "id": delivery["id"],
        "trigger": "NOTIFICATION_ADDED",
        "webhookId": delivery["webhookId"],
        "state": "DELIVERED",
        "attempts": 1,
        "nextAttemptAt": None,
        "responseStatus": 200,
        "error": None,
        "event": {"summary": "disk full"},
        "channel": {"id": channel_id},
    }


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def list_messages(requests: list[ReceivedRequest]) -> set[tuple[str, str, str]]:
    """Returns the type of each message, the summary of its event, and the kind of change."""
    return {
        (each.message["type"], each.summary, each.message["data"]["change"]["kind"])
        for each in requests
    }


async def test_a_channel_delivers_what_its_triggers_and_filter_select(client: Client) -> None:
    added, changed = "tocsin.notification.added", "tocsin.event.changed"
    resolved = "tocsin.event.resolved"
    filter = {"severities": ["ERROR"]}
    async with receive_webhooks() as rings, receive_webhooks() as changes:
        await create_channel(client, rings.url, filter=filter)
        await create_channel(client, changes.url, filter=filter, triggers=["EVENT_CHANGED"])
        quiet = await client.log_event(summary="quiet", severity="error")
        loud = await client.log_event(summary="loud", severity="error", notification=True)
        await client.log_event(summary="harmless", severity="info", notification=True)
        await client.execute_field(CHANGE, id=quiet["id"], summary="changed")
        await rings.wait_for(1)
        await client.execute_field(RESOLVE, id=quiet["id"])
        await client.execute_field(RESOLVE, id=loud["id"])
        await client.execute_field(DELETE_EVENT, id=loud["id"])
        await client.log_event(summary="last", severity="error", notification=True)
        await rings.wait_until(
            lambda: (
                {(resolved, "loud", "RESOLVED"), (added, "last", "LOGGED")}
                <= list_messages(rings.requests)
            )
        )
        await changes.wait_for(7)

    assert list_messages(rings.requests) == {
        (added, "loud", "LOGGED"),
        (resolved, "loud", "RESOLVED"),
        (added, "last", "LOGGED"),
    }
    assert len(changes.requests) == 7
    assert list_messages(changes.requests) == {
        (changed, "quiet", "LOGGED"),
        (changed, "loud", "LOGGED"),
        (changed, "changed", "UPDATED"),
        (changed, "changed", "RESOLVED"),
        (changed, "loud", "RESOLVED"),
        (changed, "loud", "DELETED"),
        (changed, "last", "LOGGED"),
    }


async def end_with_marker(client: Client, receiver: WebhookReceiver, id: str) -> list[Any]:
    """Returns the messages about everything before, as (summary, type), sorted."""
    await client.log_event(summary="marker", severity="error", notification=True)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            # All deliveries up to the marker are created together with it, or before.
            nodes = (await client.execute_field(CHANNEL, id=id))["deliveries"]["nodes"]
            is_last = bool(nodes) and nodes[0]["event"] == {"summary": "marker"}
            if is_last and {each["state"] for each in nodes} == {"DELIVERED"}:
                break
            await asyncio.sleep(0.05)
    return sorted(
        (each.summary, each.message["type"].removeprefix("tocsin."))
        for each in receiver.requests
        if each.summary != "marker"
    )


async def test_a_resolution_reaches_the_channels_that_were_notified_of_the_event(
    own_client: Client,
) -> None:
    client = own_client
    ringing = {"severity": "error", "notification": True}
    silenced: dict[str, Any] = {"filter": {"types": ["noisy"]}, "endsAt": in_an_hour()}
    async with receive_webhooks() as receiver:
        before = await client.log_event(summary="before the channel", **ringing)
        channel_id, _ = await create_channel(
            client, receiver.url, filter={"severities": ["ERROR", "WARN"]}
        )
        milder, quiet, deleted, narrowed, reopened = [
            await client.log_event(summary=summary, type=type, **ringing)
            for summary, type in (
                ("milder", "pump"),
                ("no notification", "pump"),
                ("deleted", "pump"),
                ("narrowed", "pump"),
                ("reopened", "noisy"),
            )
        ]
        repeated = await client.log_event(
            summary="repeated", type="noisy", alertKey="k", severity="warn", notification=True
        )
        raised = await client.log_event(summary="raised", severity="info", notification=True)
        await receiver.wait_for(6)
        await client.execute_field(RESOLVE, id=reopened["id"])
        await client.execute_field(SILENCE, input=silenced | {"comment": "maintenance"})
        hidden = await client.log_event(summary="silenced", type="noisy", **ringing)
        await client.log_event(summary="repeated", type="noisy", alertKey="k", **ringing)
        await client.execute_field(REOPEN, id=reopened["id"])
        for input in (
            {"id": milder["id"], "severity": "info"},
            {"id": quiet["id"], "notification": False},
            {"id": raised["id"], "severity": "error"},
        ):
            await client.execute_field(UPDATE_EVENT, input=input)
        for event in (before, milder, quiet, deleted, reopened, repeated, raised, hidden):
            resolved = await client.execute_field(RESOLVE, id=event["id"])
            assert resolved["event"]["status"] in ("RESOLVED", None)
        await client.execute_field(DELETE_EVENT, id=deleted["id"])
        narrower = {"severities": ["ERROR"], "types": ["notice"]}
        await client.execute_field(UPDATE, input={"id": channel_id, "filter": narrower})
        await client.execute_field(RESOLVE, id=narrowed["id"])

        messages = await end_with_marker(client, receiver, channel_id)

    assert messages == [
        (summary, type)
        for summary in (
            *("deleted", "milder", "narrowed", "no notification", "reopened", "repeated"),
        )
        for type in ("event.resolved", "notification.added")
    ]


async def test_a_resolution_is_delivered_when_nothing_else_is_left_of_the_notification(
    serve: Serve, database_url: str
) -> None:
    database = Database(database_url)
    async with (
        serve(database_url, channels=QUICK | {"delivered_days": 0}) as client,
        receive_webhooks() as receiver,
    ):
        channel_id, _ = await create_channel(client, receiver.url)
        old = await log_notification(client, "old")
        pruned = await log_notification(client, "pruned")
        silent = await client.log_event(summary="silent")
        await receiver.wait_for(2)
        await wait_for_deliveries(client, channel_id, "DELIVERED", 2)
        await delete_old_deliveries(database, ChannelLimits(delivered_days=0))
        await client.execute_field(RESOLVE, id=old["id"])
        await receiver.wait_for(3)
        await prune_entries(database, datetime.now(UTC) + timedelta(seconds=1))
        for event in (pruned, silent):
            await client.execute_field(RESOLVE, id=event["id"])

        await receiver.wait_for(4)
        await log_notification(client, "marker")
        requests = await receiver.wait_for(5)
    await database.close()

    assert [each.summary for each in requests[2:]] == ["old", "pruned", "marker"]


async def test_a_filter_that_cannot_be_read_stops_its_channel_only(
    serve: Serve, database_url: str
) -> None:
    database, table = Database(database_url), tables.METADATA.tables["channel"]
    async with receive_webhooks() as receiver:
        async with serve(database_url) as client:
            newer, _ = await create_channel(client, receiver.url, filter={"severities": ["ERROR"]})
            await create_channel(client, receiver.url)
        async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
            of_newer_version = table.update().where(table.c.id == UUID(newer))
            await session.execute(of_newer_version.values(filter={"moods": ["BAD"]}))
        async with serve(database_url) as client:
            await client.log_event(summary="disk full", severity="error", notification=True)
            await receiver.wait_for(1)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while (channel := await client.execute_field(CHANNEL_ERROR, id=newer))[
                    "lastError"
                ] is None:
                    await asyncio.sleep(0.05)
    await database.close()

    assert channel["lastError"] == "The stored filter cannot be read: KeyError('moods')"
    # The outage of the channel is a notification, too.
    assert receiver.summaries.count("disk full") == 1


async def test_a_failed_delivery_is_repeated_with_the_same_id_and_body(
    serve: Serve, database_url: str
) -> None:
    async with serve(database_url, channels=QUICK) as client, receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(500 if len(receiver.requests) < 2 else 204, b"busy")
        channel_id, secret = await create_channel(client, receiver.url)

        await log_notification(client, "disk full")
        requests = await receiver.wait_for(3)
        channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 1)

    assert len(requests) == 3
    assert {request.body for request in requests} == {requests[0].body}
    assert {request.headers["webhook-id"] for request in requests} == {
        requests[0].message["id"],
    }
    for request in requests:
        Webhook(secret).verify(request.body, request.headers)
    [delivery] = channel["deliveries"]["nodes"]
    assert (delivery["attempts"], delivery["responseStatus"], delivery["error"]) == (3, 204, None)
    assert channel["lastError"] is None


async def test_a_failing_delivery_holds_back_later_ones_about_its_entity_only(
    serve: Serve, database_url: str
) -> None:
    async with serve(database_url, channels=QUICK) as client, receive_webhooks() as receiver:
        is_broken = True
        receiver.respond = lambda request: Response(
            500 if is_broken and request.summary == "a1" else 200
        )
        channel_id, _ = await create_channel(client, receiver.url)
        for summary in ("a1", "a2", "b1", "b2"):
            await log_notification(client, summary, entity=summary[0])
        await receiver.wait_until(
            lambda: "b2" in receiver.summaries and receiver.summaries.count("a1") > 2
        )
        [failing] = [
            each
            for each in (await client.execute_field(CHANNEL, id=channel_id))["deliveries"]["nodes"]
            if each["event"]["summary"] == "a1"
        ]
        is_broken = False
        await wait_for_deliveries(client, channel_id, "DELIVERED", 4)

    order = list(dict.fromkeys(receiver.summaries))
    assert (failing["state"], failing["responseStatus"]) == ("PENDING", 500)
    assert [summary for summary in order if summary[0] == "a"] == ["a1", "a2"]
    assert [summary for summary in order if summary[0] == "b"] == ["b1", "b2"]
    assert receiver.summaries[-1] == "a2"


async def test_after_the_time_later_deliveries_pass_a_failing_one(
    serve: Serve, database_url: str
) -> None:
    limits = QUICK | {"hold_seconds": 0}
    async with serve(database_url, channels=limits) as client, receive_webhooks() as receiver:
        receiver.respond = lambda request: Response(500 if request.summary == "a1" else 200)
        channel_id, _ = await create_channel(client, receiver.url)
        await log_notification(client, "a1", entity="a")
        await log_notification(client, "a2", entity="a")

        channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 1)

    assert [each["event"]["summary"] for each in channel["deliveries"]["nodes"]] == ["a2"]
    assert receiver.summaries[0] == "a1"


async def test_a_dead_and_a_slow_receiver_delay_no_other_channel(
    serve: Serve, database_url: str
) -> None:
    summaries = [f"e{number}" for number in range(30)]
    async with (
        serve(database_url, channels=QUICK) as client,
        receive_webhooks() as dead,
        receive_webhooks() as slow,
        receive_webhooks() as healthy,
    ):
        release = asyncio.Event()
        slow.respond = lambda _: Response(release=release)
        dead.respond = lambda _: Response(500)
        filter = {"severities": ["INFO"]}
        receivers = (dead, slow, healthy)
        ids = [(await create_channel(client, each.url, filter=filter))[0] for each in receivers]

        for summary in summaries:
            await log_notification(client, summary, entity="one")
        await wait_for_deliveries(client, ids[2], "DELIVERED", 30)
        waiting = list(slow.summaries)
        failing = await client.execute_field(CHANNEL, id=ids[0], state="DELIVERED")
        release.set()
        await wait_for_deliveries(client, ids[1], "DELIVERED", 30)

    assert healthy.summaries == slow.summaries == summaries
    assert waiting in ([], ["e0"])
    assert failing["deliveries"]["nodes"] == []


async def test_names_that_are_not_resolved_delay_no_other_channel(
    serve: Serve, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, resolve = threading.Event(), socket.getaddrinfo
    blocked: list[str] = []

    def resolve_slowly(host: Any, *arguments: Any, **options: Any) -> Any:
        if not str(host).endswith(".example"):
            return resolve(host, *arguments, **options)
        if str(host).startswith("dead"):
            blocked.append(host)
            release.wait(TIMEOUT_SECONDS)
        return resolve("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_slowly)
    limits = QUICK | {"timeout_seconds": 60}
    async with receive_webhooks() as receiver, serve(database_url, channels=limits) as client:
        for number in range(20):
            await create_channel(client, f"http://dead{number}.example/")
        url = f"http://healthy.example:{receiver.port}/hook"
        healthy_id, _ = await create_channel(client, url)
        for number in range(6):
            await log_notification(client, f"number {number}", f"p{number}")
        channel = await wait_for_deliveries(client, healthy_id, "DELIVERED", 6)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while len(blocked) < 20:
                await asyncio.sleep(0.05)
        names = list(blocked)
        release.set()

    assert [each["attempts"] for each in channel["deliveries"]["nodes"]] == [1] * 6
    assert len(names) == len(set(names)) == 20


async def test_an_outage_is_recorded_and_ends_with_the_first_success(
    serve: Serve, database_url: str
) -> None:
    filter = {"missing": ["ALERT_KEY"]}
    async with serve(database_url, channels=QUICK) as client, receive_webhooks() as receiver:
        is_broken = True
        receiver.respond = lambda _: Response(503 if is_broken else 200, b"no\x1b/hook")
        channel_id, _ = await create_channel(client, receiver.url, filter=filter)
        for number in range(8):
            await log_notification(client, f"e{number}", entity=str(number))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while "DELIVERIES_FAILING" not in await list_actions(client, channel_id):
                await asyncio.sleep(0.05)
        during = await client.execute_field(CHANNEL, id=channel_id)
        left = await client.execute_field(CHANGES, after=during["cursor"])
        is_broken = False
        after = await wait_for_deliveries(client, channel_id, "DELIVERED", 8)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while after["failingSince"] is not None:
                after = await client.execute_field(CHANNEL, id=channel_id)
        actions = await list_actions(client, channel_id)
        [_, audit, _] = (await client.execute_field(AUDIT, id=channel_id))["nodes"]
        # The channel also reads the entries about itself, which it does not deliver.
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (await client.execute_field(CHANGES, after=after["cursor"]))["nodes"]:
                after = await client.execute_field(CHANNEL, id=channel_id)

    status = "The response has the status 503"
    assert during["lastError"] == status
    assert {each["error"] for each in during["deliveries"]["nodes"]} - {None} == {
        f"{status}: no ***"
    }
    assert audit["changes"] == {"lastError": [None, status]}
    assert during["failingSince"] is not None
    assert len(left["nodes"]) == 9
    assert actions == ["CREATED", "DELIVERIES_FAILING", "DELIVERIES_RECOVERED"]
    assert (after["lastError"], after["lagSeconds"]) == (None, 0)
    assert {request.message["id"] for request in receiver.requests} == {
        each["webhookId"] for each in after["deliveries"]["nodes"]
    }


async def test_a_receiver_that_is_gone_disables_its_channel(
    serve: Serve, database_url: str
) -> None:
    async with serve(database_url, channels=QUICK) as client, receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(410)
        channel_id, _ = await create_channel(client, receiver.url)
        await log_notification(client, "a1", entity="a")
        failed = await wait_for_deliveries(client, channel_id, "FAILED", 1)
        await log_notification(client, "a2", entity="a")
        entries = (await client.execute_field(AUDIT, id=channel_id))["nodes"]
        reports = await client.execute_field(REPORTS, source=f"/channels/{channel_id}")
        [delivery] = failed["deliveries"]["nodes"]
        disabled = await client.execute_field(
            REDELIVER, channel=channel_id, delivery=delivery["id"]
        )
        summaries = receiver.summaries
        receiver.respond = lambda _: Response()
        tested = await client.execute_field(TEST, id=channel_id)
        still_failing = await client.execute_field(CHANNEL, id=channel_id)

    assert tested["delivery"]["state"] == "DELIVERED"
    assert still_failing["failingSince"] is not None
    assert failed["enabled"] is False
    assert failed["lastError"] == "The response has the status 410"
    assert summaries == ["a1"]
    [report] = reports["nodes"]
    assert report["content"].endswith("status 410, which has disabled the channel.")
    assert [entry["action"] for entry in entries] == ["UPDATED", "DELIVERIES_FAILING", "CREATED"]
    assert entries[0] == {
        "actor": "channel hook",
        "action": "UPDATED",
        "changes": {"enabled": [True, False]},
    }
    assert disabled == {
        "queuedCount": 0,
        "userErrors": [
            {
                "code": "CONFLICT",
                "message": "The channel is disabled, so nothing is delivered. Enable it first.",
                "path": ["channelId"],
            }
        ],
    }


async def test_a_previous_receiver_that_is_gone_does_not_disable_the_channel(
    serve: Serve, database_url: str
) -> None:
    release = asyncio.Event()
    async with (
        serve(database_url, channels=QUICK) as client,
        receive_webhooks() as previous,
        receive_webhooks() as current,
    ):
        previous.respond = lambda _: Response(
            410, headers=((b"retry-after", b"3600"),), release=release
        )
        channel_id, _ = await create_channel(client, previous.url)
        await log_notification(client, "disk full")
        await previous.wait_for(1)
        await client.execute_field(UPDATE, input={"id": channel_id, "url": current.url})
        release.set()
        channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
        actions = await list_actions(client, channel_id)

    [delivery] = channel["deliveries"]["nodes"]
    assert (channel["enabled"], actions) == (True, ["CREATED", "UPDATED"])
    assert (delivery["attempts"], delivery["responseStatus"]) == (2, 200)
    assert (previous.summaries, current.summaries) == (["disk full"], ["disk full"])


async def test_an_old_change_is_repeated_for_as_long_as_a_new_one(
    serve: Serve, database_url: str
) -> None:
    database, change = Database(database_url), tables.METADATA.tables["change"]
    async with serve(database_url, channels=QUICK) as client, receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(500 if len(receiver.requests) < 2 else 200)
        channel_id, _ = await create_channel(client, receiver.url)
        await client.execute_field(UPDATE, input={"id": channel_id, "enabled": False})
        cursor = await client.execute_field("{ logHead }")
        await log_notification(client, "old")
        async with database.write(ALL_ORGANIZATIONS) as session:
            last_week = datetime.now(UTC) - timedelta(days=7)
            await session.execute(change.update().values(at=last_week))
        await client.execute_field(UPDATE, input={"id": channel_id, "enabled": True})
        await client.execute_field(REDELIVER, channel=channel_id, after=cursor)
        channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
    await database.close()

    [delivery] = channel["deliveries"]["nodes"]
    assert (delivery["attempts"], receiver.summaries) == (3, ["old"] * 3)


async def test_a_server_whose_clock_is_ahead_delays_no_delivery(
    serve: Serve, database_url: str
) -> None:
    database, change = Database(database_url), tables.METADATA.tables["change"]
    release = asyncio.Event()
    async with serve(database_url, channels=QUICK) as client, receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(release=release)
        channel_id, _ = await create_channel(client, receiver.url, enabled=False)
        cursor = await client.execute_field("{ logHead }")
        await log_notification(client, "early")
        async with database.write(ALL_ORGANIZATIONS) as session:
            in_an_hour = datetime.now(UTC) + timedelta(hours=1)
            await session.execute(change.update().values(at=in_an_hour))
        await client.execute_field(UPDATE, input={"id": channel_id, "enabled": True})
        await client.execute_field(REDELIVER, channel=channel_id, after=cursor)
        channel = await wait_for_deliveries(client, channel_id, "PENDING", 1)
        release.set()
    await database.close()

    [delivery] = channel["deliveries"]["nodes"]
    assert datetime.fromisoformat(delivery["nextAttemptAt"]) <= datetime.now(UTC)


async def test_a_delivery_that_failed_for_good_can_be_repeated(
    serve: Serve, database_url: str
) -> None:
    limits = QUICK | {"retry_seconds": 0}
    async with serve(database_url, channels=limits) as client, receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(500 if len(receiver.requests) < 1 else 200)
        channel_id, _ = await create_channel(client, receiver.url)
        await log_notification(client, "disk full")
        failed = await wait_for_deliveries(client, channel_id, "FAILED", 1)
        [delivery] = failed["deliveries"]["nodes"]

        again = await client.execute_field(REDELIVER, channel=channel_id, delivery=delivery["id"])
        delivered = await wait_for_deliveries(client, channel_id, "DELIVERED", 1)

    [repeated] = delivered["deliveries"]["nodes"]
    assert (delivery["attempts"], delivery["nextAttemptAt"]) == (1, None)
    assert again == {"queuedCount": 1, "userErrors": []}
    assert {request.headers["webhook-id"] for request in receiver.requests} == {
        delivery["webhookId"],
    }
    assert (repeated["id"], repeated["state"]) == (delivery["id"], "DELIVERED")


async def test_everything_after_a_cursor_can_be_repeated(client: Client) -> None:
    async with receive_webhooks() as receiver:
        channel_id, _ = await create_channel(client, receiver.url)
        await log_notification(client, "first")
        await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
        cursor = await client.execute_field("{ logHead }")
        await log_notification(client, "second")
        await wait_for_deliveries(client, channel_id, "DELIVERED", 2)
        await client.execute_field(UPDATE, input={"id": channel_id, "enabled": False})
        await log_notification(client, "while disabled")
        await client.execute_field(UPDATE, input={"id": channel_id, "enabled": True})
        await log_notification(client, "enabled")
        await receiver.wait_until(lambda: "enabled" in receiver.summaries)
        await wait_for_deliveries(client, channel_id, "DELIVERED", 3)
        without_the_disabled_time = list(receiver.summaries)

        repeated = await client.execute_field(REDELIVER, channel=channel_id, after=cursor)
        await receiver.wait_for(6)
        channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 4)

    assert without_the_disabled_time == ["first", "second", "enabled"]
    assert repeated == {"queuedCount": 2, "userErrors": []}
    assert sorted(receiver.summaries[3:]) == ["enabled", "second", "while disabled"]
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 4
    assert len(channel["deliveries"]["nodes"]) == 4


async def test_what_is_repeated_after_a_cursor_arrives_in_order(client: Client) -> None:
    async with receive_webhooks() as receiver:
        channel_id, _ = await create_channel(client, receiver.url)
        cursor = await client.execute_field("{ logHead }")
        await log_notification(client, "1", entity="a")
        await wait_for_deliveries(client, channel_id, "DELIVERED", 1)
        await client.execute_field(UPDATE, input={"id": channel_id, "enabled": False})
        await log_notification(client, "2 while disabled", entity="a")
        await client.execute_field(UPDATE, input={"id": channel_id, "enabled": True})
        await log_notification(client, "3", entity="a")
        await wait_for_deliveries(client, channel_id, "DELIVERED", 2)
        sent = receiver.requests[:]

        repeated = await client.execute_field(REDELIVER, channel=channel_id, after=cursor)
        await receiver.wait_for(5)
        channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 3)

    assert repeated == {"queuedCount": 2, "userErrors": []}
    assert receiver.summaries[2:] == ["1", "2 while disabled", "3"]
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert [ids[2], ids[4]] == [request.headers["webhook-id"] for request in sent]
    assert [each["webhookId"] for each in channel["deliveries"]["nodes"]] == ids[:1:-1]


async def test_the_delivery_of_a_test_cannot_be_repeated(client: Client) -> None:
    test = "mutation ($id: ID!) { testChannel(id: $id) { delivery { id } } }"
    async with receive_webhooks() as receiver:
        channel_id, _ = await create_channel(client, receiver.url)
        delivery = (await client.execute_field(test, id=channel_id))["delivery"]

        refused = await client.execute_field(REDELIVER, channel=channel_id, delivery=delivery["id"])
        channel = await client.execute_field(CHANNEL, id=channel_id)

    message = "The delivery is a test, which cannot be repeated. Use testChannel."
    error = {"code": "INVALID_INPUT", "message": message, "path": ["deliveryId"]}
    assert refused == {"queuedCount": 0, "userErrors": [error]}
    [shown] = channel["deliveries"]["nodes"]
    assert (shown["state"], shown["attempts"], channel["lagSeconds"]) == ("DELIVERED", 1, 0)
    assert len(receiver.requests) == 1


async def test_recovery_ends_no_pause_that_the_receiver_asked_for(
    serve: Serve, database_url: str
) -> None:
    retry_later = ((b"retry-after", b"3600"),)
    async with serve(database_url, channels=QUICK) as client, receive_webhooks() as receiver:
        is_broken = True

        def respond(request: ReceivedRequest) -> Response:
            if request.summary == "later":
                return Response(429, headers=retry_later)
            return Response(500 if is_broken else 200)

        receiver.respond = respond
        channel_id, _ = await create_channel(client, receiver.url, filter={"severities": ["INFO"]})
        started = datetime.now(UTC)
        await log_notification(client, "later")
        for number in range(5):
            await log_notification(client, str(number))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while "DELIVERIES_FAILING" not in await list_actions(client, channel_id):
                await asyncio.sleep(0.05)
        is_broken = False
        await wait_for_deliveries(client, channel_id, "DELIVERED", 5)
        actions = await list_actions(client, channel_id)
        channel = await client.execute_field(CHANNEL, id=channel_id, state="PENDING")

    [delivery] = channel["deliveries"]["nodes"]
    assert "DELIVERIES_RECOVERED" in actions
    assert (delivery["event"]["summary"], delivery["attempts"]) == ("later", 1)
    next_attempt = datetime.fromisoformat(delivery["nextAttemptAt"])
    assert next_attempt >= started + timedelta(seconds=3_600)


async def test_an_outage_is_one_notification_to_the_others_and_is_resolved(
    serve: Serve, database_url: str
) -> None:
    async with (
        serve(database_url, channels=QUICK) as client,
        receive_webhooks() as broken,
        receive_webhooks() as healthy,
    ):
        is_broken = True
        broken.respond = lambda _: Response(503 if is_broken else 200)
        channel_id, _ = await create_channel(client, broken.url, name="broken")
        await create_channel(client, healthy.url, filter={"severities": ["ERROR"]})
        source = f"/channels/{channel_id}"
        for number in range(12):
            await log_notification(client, str(number))
        await healthy.wait_for(1)
        during = await client.execute_field(REPORTS, source=source)
        is_broken = False
        await wait_for_deliveries(client, channel_id, "DELIVERED", 12)
        await healthy.wait_for(2)
        after = await client.execute_field(REPORTS, source=source)
        last = await log_notification(client, "last")
        await broken.wait_until(lambda: "last" in broken.summaries)

    alert = {
        "summary": "Deliveries to the channel broken fail",
        "content": f"{broken.url.removesuffix('/hook')} receives no messages. The channel shows "
        "the error and what is waiting. It is delivered as soon as deliveries succeed again, "
        "unless the channel is disabled.",
        "severity": "ERROR",
        "alertKey": f"channel:{channel_id}",
        "status": "OPEN",
        "notification": True,
        "occurrences": 1,
        "resolutionNote": None,
    }
    resolved = {"status": "RESOLVED", "resolutionNote": "Deliveries succeed again."}
    assert during == {"nodes": [alert]}
    assert after == {"nodes": [alert | resolved]}
    assert [each.message["type"] for each in healthy.requests] == [
        "tocsin.notification.added",
        "tocsin.event.resolved",
    ]
    assert {*broken.summaries} == {*map(str, range(12)), last["summary"]}


async def test_disabling_or_deleting_a_failing_channel_resolves_its_notification(
    serve: Serve, database_url: str
) -> None:
    filter = {"missing": ["ALERT_KEY"]}
    async with serve(database_url, channels=QUICK) as client, receive_webhooks() as broken:
        async with receive_webhooks() as gone:
            broken.respond = lambda _: Response(503)
            gone.respond = lambda _: Response(410)
            urls = {"disabled": broken.url, "deleted": broken.url, "gone": gone.url}
            ids = {
                name: (await create_channel(client, url, name=name, filter=filter))[0]
                for name, url in urls.items()
            }
            for number in range(6):
                await log_notification(client, str(number))
            for id in ids.values():
                await wait_for_action(client, id, "DELIVERIES_FAILING")

        disabled = {"id": ids["disabled"], "enabled": False}
        await client.execute_field(UPDATE, input=disabled)
        await client.execute_field(DELETE, id=ids["deleted"])
        await client.execute_field(DELETE, id=ids["gone"])
        reports = {
            name: (await client.execute_field(REPORTS, source=f"/channels/{id}"))["nodes"]
            for name, id in ids.items()
        }
        channel = await client.execute_field(CHANNEL, id=ids["disabled"])
        await client.execute_field(UPDATE, input=disabled | {"enabled": True})
        await wait_for_action(client, ids["disabled"], "DELIVERIES_FAILING", 2)
        again = await client.execute_field(REPORTS, source=f"/channels/{ids['disabled']}")

    assert {
        name: [(each["status"], each["resolutionNote"]) for each in nodes]
        for name, nodes in reports.items()
    } == {
        "disabled": [("RESOLVED", "The channel was disabled.")],
        "deleted": [("RESOLVED", "The channel was deleted.")],
        "gone": [("RESOLVED", "The channel was deleted.")],
    }
    assert (channel["enabled"], channel["failingSince"]) == (False, None)
    assert channel["lastError"] == "The response has the status 503"
    assert sorted(each["status"] for each in again["nodes"]) == ["OPEN", "RESOLVED"]


async def test_redeliver_takes_exactly_one_of_a_delivery_and_a_cursor(client: Client) -> None:
    channel_id, _ = await create_channel(client, "http://127.0.0.1:65535/")
    other = {"code": "INVALID_INPUT", "path": ["deliveryId"]}

    for arguments in ({}, {"delivery": channel_id, "after": "x"}):
        payload = await client.execute_field(REDELIVER, channel=channel_id, **arguments)
        [error] = payload["userErrors"]
        assert error.pop("message") == "Set exactly one of deliveryId and after."
        assert (payload["queuedCount"], error) == (0, other)
    damaged = await client.expect_error(REDELIVER, channel=channel_id, after="x")
    unknown = await client.execute_field(REDELIVER, channel=channel_id, delivery=channel_id)

    assert damaged["extensions"]["code"] == "INVALID_CURSOR"
    assert unknown["userErrors"] == [
        {
            "code": "NOT_FOUND",
            "message": f"There is no delivery {channel_id}.",
            "path": ["deliveryId"],
        }
    ]


async def test_another_server_continues_where_one_has_stopped(
    serve: Serve, database_url: str
) -> None:
    async with receive_webhooks() as receiver:
        receiver.respond = lambda _: Response(500)
        async with serve(database_url, channels=QUICK) as client:
            channel_id, _ = await create_channel(client, receiver.url)
            await log_notification(client, "pending")
            await receiver.wait_for(1)
        # Without keys, a server delivers nothing, but logs events.
        async with serve(database_url, secrets_keys=None) as client:
            await log_notification(client, "logged meanwhile")
        receiver.respond = lambda _: Response()
        async with serve(database_url, channels=QUICK) as client:
            channel = await wait_for_deliveries(client, channel_id, "DELIVERED", 2)

    delivered = {each["webhookId"] for each in channel["deliveries"]["nodes"]}
    assert {request.headers["webhook-id"] for request in receiver.requests} == delivered
    assert set(receiver.summaries) == {"pending", "logged meanwhile"}


async def test_old_deliveries_and_those_of_deleted_channels_are_removed(
    own_client: Client, database: Database
) -> None:
    async with receive_webhooks() as receiver:
        kept, _ = await create_channel(own_client, receiver.url)
        deleted, _ = await create_channel(own_client, receiver.url)
        for number in range(3):
            await log_notification(own_client, str(number))
        await wait_for_deliveries(own_client, kept, "DELIVERED", 3)
        await wait_for_deliveries(own_client, deleted, "DELIVERED", 3)
    table, now = tables.Delivery, datetime.now(UTC)
    ages = {
        "0": (DeliveryState.DELIVERED, timedelta(days=8)),
        "1": (DeliveryState.FAILED, timedelta(days=29)),
        "2": (DeliveryState.FAILED, timedelta(days=31)),
    }
    channel = await own_client.execute_field(CHANNEL, id=kept)
    async with database.write(ALL_ORGANIZATIONS) as session:
        for delivery in channel["deliveries"]["nodes"]:
            state, age = ages[delivery["event"]["summary"]]
            statement = update(table).where(col(table.webhook_id) == delivery["webhookId"])
            await session.execute(statement.values(state=state, last_attempt_at=now - age))
    await own_client.execute_field(DELETE, id=deleted)

    await delete_old_deliveries(database, ChannelLimits())
    await delete_orphaned_deliveries(database)

    left = (await own_client.execute_field(CHANNEL, id=kept))["deliveries"]["nodes"]
    assert [each["event"]["summary"] for each in left] == ["1"]
    async with database.read(ALL_ORGANIZATIONS) as session:
        rows = await session.execute(tables.METADATA.tables["delivery"].select())
        assert len(rows.all()) == 1


async def test_a_test_message_ends_an_outage_and_sends_what_waits(
    serve: Serve, database_url: str, database: Database
) -> None:
    limits = {"max_probe_seconds": 3_600}
    async with receive_webhooks() as receiver, serve(database_url, channels=limits) as client:
        receiver.respond = lambda _: Response(503)
        channel_id, _ = await create_channel(client, receiver.url)
        for number in range(5):
            await log_notification(client, str(number))
        await wait_for_action(client, channel_id, "DELIVERIES_FAILING")
        async with database.write(ALL_ORGANIZATIONS) as session:
            later = datetime.now(UTC) + timedelta(hours=1)
            await session.execute(update(tables.Delivery).values(next_attempt_at=later))
        receiver.respond = lambda _: Response()
        await client.execute_field(TEST, id=channel_id)
        await wait_for_deliveries(client, channel_id, "DELIVERED", 6)


async def test_a_test_message_ends_an_outage_in_which_no_delivery_waits(
    serve: Serve, database_url: str
) -> None:
    limits = QUICK | {"retry_seconds": 0}
    async with receive_webhooks() as receiver, serve(database_url, channels=limits) as client:
        receiver.respond = lambda _: Response(503)
        channel_id, _ = await create_channel(client, receiver.url)
        for number in range(5):
            await log_notification(client, str(number))
        await wait_for_deliveries(client, channel_id, "FAILED", 5)
        await wait_for_action(client, channel_id, "DELIVERIES_FAILING")
        rejected = await client.execute_field(TEST, id=channel_id)
        during = await client.execute_field(CHANNEL, id=channel_id)
        receiver.respond = lambda _: Response()
        accepted = await client.execute_field(TEST, id=channel_id)
        after = await client.execute_field(CHANNEL, id=channel_id)
        reports = await client.execute_field(REPORTS, source=f"/channels/{channel_id}")
        actions = await list_actions(client, channel_id)
        await log_notification(client, "after")
        await wait_for_deliveries(client, channel_id, "DELIVERED", 2)

    assert rejected["delivery"]["state"] == "FAILED"
    assert during["failingSince"] is not None
    assert accepted["delivery"]["state"] == "DELIVERED"
    assert (after["failingSince"], after["lastError"]) == (None, None)
    [report] = reports["nodes"]
    assert (report["status"], report["resolutionNote"]) == (
        "RESOLVED",
        "A test message was delivered.",
    )
    assert actions == ["CREATED", "DELIVERIES_FAILING", "DELIVERIES_RECOVERED"]
