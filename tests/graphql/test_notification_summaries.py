"""Summaries of notifications, and the marks up to which users and keys have read them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.services.change_log import notification_summaries
from tests.client import Client, Subscription
from tests.conftest import Statements

SUMMARY = """
query ($filter: EventFilter) {
  notificationSummary(filter: $filter) {
    openCount unreadCount bySeverity { severity count } cursor
  }
}
"""
SUMMARY_CHANGED = """
subscription ($filter: EventFilter) {
  notificationSummaryChanged(filter: $filter) {
    openCount unreadCount bySeverity { severity count } cursor
  }
}
"""
MARK_READ = """
mutation ($upTo: String!) {
  markNotificationsRead(upTo: $upTo) {
    summary { openCount unreadCount } userErrors { code path }
  }
}
"""
UPDATE = (
    "mutation ($input: UpdateEventInput!) { updateEvent(input: $input) { userErrors { code } } }"
)
NOTIFICATIONS = "{ notifications { edges { cursor read node { summary } } } }"
ADDED = """
subscription ($after: String) {
  notificationAdded(after: $after) { cursor read node { summary } }
}
"""
CREATE_KEY = """
mutation ($permissions: [Permission!]!) {
  createApiKey(input: { name: "reader", permissions: $permissions }) { secret }
}
"""


async def notify(client: Client, summary: str, **overrides: Any) -> Any:
    return await client.log_event(summary=summary, notification=True, **overrides)


async def acknowledge(client: Client, event: Any) -> None:
    await client.execute_field(
        "mutation ($id: ID!) { acknowledgeEvent(id: $id) { userErrors { code } } }", id=event["id"]
    )


async def create_reader(client: Client, *permissions: str) -> Client:
    """A client with another key of the organization."""
    key = await client.execute_field(CREATE_KEY, permissions=permissions or ["EVENT_READ"])
    return client.as_key(key["secret"])


async def receive_until(subscription: Subscription, **expected: int) -> list[Any]:
    """Receives summaries up to the one with these numbers."""
    summaries: list[Any] = []
    while not summaries or any(summaries[-1][name] != n for name, n in expected.items()):
        summaries.append(await subscription.receive_next())
    return summaries


async def test_a_summary_counts_open_notifications_by_severity(client: Client) -> None:
    for summary, severity in (("a", "error"), ("b", "info"), ("c", "error")):
        await notify(client, summary, severity=severity)
    acknowledged = await notify(client, "d", severity="warn")
    await acknowledge(client, acknowledged)
    await client.log_event(summary="no notification", severity="error")

    summary = await client.execute_field(SUMMARY)
    of_errors = await client.execute_field(SUMMARY, filter={"severities": ["ERROR", "WARN"]})

    assert (summary["openCount"], summary["unreadCount"]) == (3, 3)
    assert summary["bySeverity"] == [
        {"severity": "ERROR", "count": 2},
        {"severity": "INFO", "count": 1},
    ]
    assert (of_errors["openCount"], of_errors["bySeverity"]) == (
        2,
        [{"severity": "ERROR", "count": 2}],
    )


async def test_a_mark_belongs_to_its_key_and_only_rises(client: Client) -> None:
    other = await create_reader(client)
    for summary in ("a", "b", "c"):
        await notify(client, summary)
    edges = (await client.execute_field(NOTIFICATIONS))["edges"]

    marked = await client.execute_field(MARK_READ, upTo=edges[1]["cursor"])
    lower = await client.execute_field(MARK_READ, upTo=edges[2]["cursor"])

    assert marked == lower == {"summary": {"openCount": 3, "unreadCount": 1}, "userErrors": []}
    read = (await client.execute_field(NOTIFICATIONS))["edges"]
    assert [(edge["node"]["summary"], edge["read"]) for edge in read] == [
        *(("c", False), ("b", True), ("a", True))
    ]
    assert (await other.execute_field(SUMMARY))["unreadCount"] == 3


async def test_a_notification_that_rings_again_is_unread_again(client: Client) -> None:
    event = await notify(client, "a", severity="warn")
    head = await client.execute_field("{ logHead }")
    await client.execute_field(MARK_READ, upTo=head)

    for notification in (False, True):
        await client.execute_field(UPDATE, input={"id": event["id"], "notification": notification})

    [edge] = (await client.execute_field(NOTIFICATIONS))["edges"]
    assert edge["read"] is False
    assert (await client.execute_field(SUMMARY))["unreadCount"] == 1


async def test_marking_needs_a_valid_cursor_and_the_permission_to_read(client: Client) -> None:
    reporter = await create_reader(client, "EVENT_CREATE")
    head = await client.execute_field("{ logHead }")

    damaged = await client.expect_error(MARK_READ, upTo=head[:-1])
    forbidden = await reporter.expect_error(MARK_READ, upTo=head)

    assert damaged["extensions"] == {"code": "INVALID_CURSOR", "path": ["upTo"]}
    assert forbidden["extensions"]["code"] == "FORBIDDEN"


async def test_a_subscriber_gets_the_summary_at_once_and_after_each_change(client: Client) -> None:
    event = await notify(client, "a", severity="error")
    async with client.subscription(SUMMARY_CHANGED) as subscription:
        first = await subscription.receive_next()
        await notify(client, "b", severity="warn")
        await receive_until(subscription, openCount=2, unreadCount=2)
        await acknowledge(client, event)
        [*_, after_acknowledgement] = await receive_until(subscription, openCount=1)
        await client.execute_field(MARK_READ, upTo=after_acknowledgement["cursor"])
        [*_, after_mark] = await receive_until(subscription, unreadCount=0)

    assert (first["openCount"], first["unreadCount"]) == (1, 1)
    assert after_acknowledgement["bySeverity"] == [{"severity": "WARN", "count": 1}]
    assert after_mark["openCount"] == 1


async def test_the_cursor_of_a_summary_continues_with_the_next_notification(
    client: Client,
) -> None:
    await notify(client, "before")
    summary = await client.execute_field(SUMMARY)
    await notify(client, "after")

    async with client.subscription(ADDED, after=summary["cursor"]) as subscription:
        added = await subscription.receive_next()

    assert added["node"]["summary"] == "after"


async def test_subscribers_share_the_summary_but_not_their_unread_numbers(client: Client) -> None:
    other = await create_reader(client)
    for summary in ("a", "b"):
        await notify(client, summary)
    async with (
        client.subscription(SUMMARY_CHANGED) as mine,
        other.subscription(SUMMARY_CHANGED) as theirs,
    ):
        await receive_until(mine, unreadCount=2)
        [first] = await receive_until(theirs, unreadCount=2)
        await client.execute_field(MARK_READ, upTo=first["cursor"])
        await receive_until(mine, openCount=2, unreadCount=0)
        await notify(client, "c")
        of_theirs = await receive_until(theirs, openCount=3)
        of_mine = await receive_until(mine, openCount=3)

    assert [each["unreadCount"] for each in of_theirs] == [3]
    assert [each["unreadCount"] for each in of_mine] == [1]


@pytest.mark.parametrize("subscribers", [2, 10])
async def test_a_summary_is_computed_once_for_all_its_subscribers(
    own_client: Client, statements: Statements, subscribers: int
) -> None:
    async with open_subscriptions(own_client, subscribers) as subscriptions:
        for subscription in subscriptions:
            await receive_until(subscription, openCount=0)
        statements.clear()
        await notify(own_client, "a")
        for subscription in subscriptions:
            await receive_until(subscription, openCount=1)

    # The notification may have been seen by two computations, of two entries.
    assert 1 <= sum("GROUP BY event.severity" in each for each in statements) <= 2


@asynccontextmanager
async def open_subscriptions(client: Client, count: int) -> AsyncIterator[list[Subscription]]:
    if not count:
        yield []
        return
    async with (
        client.subscription(SUMMARY_CHANGED) as subscription,
        open_subscriptions(client, count - 1) as others,
    ):
        yield [subscription, *others]


@pytest.mark.parametrize(
    "failing",
    [
        "app.store.reading.event_conditions.build_conditions",
        "app.services.change_log.feed.Feed.follow_entries",
        "app.services.change_log.read_marks.fetch_marks_changed_since",
    ],
)
async def test_an_unexpected_failure_ends_the_subscription_so_that_the_client_resumes(
    client: Client, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    with capture_logs() as logs, monkeypatch.context() as patched:
        patched.setattr(failing, fail)
        async with client.subscription(SUMMARY_CHANGED) as subscription:
            await notify(client, "a")
            message = await subscription.socket.receive()
            while message["type"] == "next":
                message = await subscription.socket.receive()
    async with client.subscription(SUMMARY_CHANGED) as resumed:
        [*_, summary] = await receive_until(resumed, openCount=1)

    assert message["type"] == "error"
    assert message["payload"] == [
        {
            "message": "The change log could not be read. Subscribe again to resume.",
            "extensions": {"code": "UNAVAILABLE"},
        }
    ]
    assert summary["unreadCount"] == 1
    assert any(log.get("exc_info") for log in logs)


async def test_at_most_the_newest_notifications_are_counted_as_unread(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notification_summaries, "MAX_UNREAD", 2)
    for summary in ("a", "b", "c"):
        await notify(client, summary)

    summary = await client.execute_field(SUMMARY)

    assert (summary["openCount"], summary["unreadCount"]) == (3, 2)


async def test_a_replayed_notification_is_read_by_those_who_marked_it(client: Client) -> None:
    other = await create_reader(client)
    head = await client.execute_field("{ logHead }")
    await notify(client, "a")
    [edge] = (await client.execute_field(NOTIFICATIONS))["edges"]
    await client.execute_field(MARK_READ, upTo=edge["cursor"])

    async with (
        client.subscription(ADDED, after=head) as mine,
        other.subscription(ADDED, after=head) as theirs,
    ):
        replayed = [await mine.receive_next(), await theirs.receive_next()]
        await notify(client, "b")
        live = [await mine.receive_next(), await theirs.receive_next()]

    assert [each["read"] for each in replayed] == [True, False]
    assert [each["read"] for each in live] == [False, False]
