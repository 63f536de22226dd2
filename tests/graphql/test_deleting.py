"""Deletions of events that many duplicates and links refer to."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.domain.events.filters import EventFilter
from app.services.events import events, references
from app.services.events.bulk_changes import BATCH_SIZE, EventSelection
from app.services.events.references import MAX_REFERENCES
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.reading import event_conditions
from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import Serve, Statements
from tests.factories import admin_command
from tests.graphql.test_bulk_changes import DELETE, HEAD, count_events, log_events, succeeded

CREATE_RULE = """
mutation {
  createDuplicationRule(
    input: { name: "r", fingerprint: ["subject"], window: "P1D", action: FLAG }
  ) { userErrors { code } }
}
"""
CORRELATE = """
mutation ($id: ID!, $others: [ID!]!) {
  correlateEvents(eventId: $id, relatedIds: $others, relation: CAUSE_OF) { userErrors { code } }
}
"""
DELETE_EVENT = "mutation ($id: ID!) { deleteEvent(id: $id) { event { id } userErrors { code } } }"
LOG_DUPLICATE = """
mutation ($source: String!) {
  logEvent(input: { subject: "x", source: $source }) { event { id duplicateOf { id } } }
}
"""
CHANGED = """
subscription ($after: String) { eventChanged(after: $after) { kind eventId changes } }
"""
CORRELATIONS = "query ($id: ID!) { event(id: $id) { correlations { totalCount } } }"
REFUSE_DELETIONS = {
    "sqlite": (
        "CREATE TRIGGER refuse BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'not now'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'not now'; END $$",
        "CREATE TRIGGER refuse BEFORE DELETE ON event FOR EACH ROW EXECUTE FUNCTION refuse()",
    ),
}
ACCEPT_DELETIONS = {"sqlite": "DROP TRIGGER refuse", "postgresql": "DROP TRIGGER refuse ON event"}


async def log_original(client: Client, duplicates: int) -> tuple[str, list[str]]:
    """Logs an event with duplicates; the ID of the event, and those of the duplicates."""
    await client.execute_field(CREATE_RULE)
    original = (await client.log_event(subject="x", source="/original"))["id"]
    return original, await log_events(client, duplicates, subject="x", source="/duplicate")


async def delete_and_follow(client: Client, original: str) -> list[dict[str, Any]]:
    """Deletes the event by its ID; the entries of the change log since."""
    head = await client.execute_field(HEAD)
    async with client.subscription(CHANGED, after=head) as changed:
        payload = await client.execute_field(DELETE_EVENT, id=original)
        entries = [await changed.receive_next()]
        while entries[-1]["kind"] != "DELETED":
            entries.append(await changed.receive_next())
    assert payload == {"event": {"id": original}, "userErrors": []}
    return entries


def count_transactions(statements: Statements) -> int:
    """Counts the transactions that may write to the change log."""
    first_statements = ("BEGIN IMMEDIATE", "SELECT pg_advisory_xact_lock_shared($1, 'change'")
    return sum(statement.startswith(first_statements) for statement in statements)


async def test_references_to_a_deleted_event_are_removed_in_short_transactions(
    own_client: Client, statements: Statements
) -> None:
    original, duplicates = await log_original(own_client, 2 * MAX_REFERENCES + 50)
    linked = await log_events(own_client, MAX_REFERENCES + 100, source="/linked")
    for start in range(0, len(linked), 100):
        others = linked[start : start + 100]
        await own_client.execute_field(CORRELATE, id=original, others=others)
    statements.clear()

    entries = await delete_and_follow(own_client, original)

    # 500 and 500 duplicates, 50 with 450 links; the last 150 links with the event itself.
    assert count_transactions(statements) == 4
    cleared = [each for each in entries if each["kind"] == "UPDATED"]
    assert sorted(each["eventId"] for each in cleared) == sorted(duplicates)
    assert all(each["changes"] == {"duplicateOfId": [original, None]} for each in cleared)
    unlinked = [each for each in entries if each["kind"] == "UNCORRELATED"]
    [of_original] = [each for each in unlinked if each["eventId"] == original]
    removed_before, added = of_original["changes"]["correlations"]
    assert (len(removed_before), added) == (450, [])
    of_others = [each for each in unlinked if each is not of_original]
    assert sorted(each["eventId"] for each in of_others) == sorted(linked)
    link = {"eventId": original, "relation": "CAUSED_BY"}
    assert all(each["changes"] == {"correlations": [[link], []]} for each in of_others)
    assert [each["eventId"] for each in entries if each["kind"] == "DELETED"] == [original]
    assert len(entries) == len(duplicates) + len(linked) + 2
    assert await count_events(own_client, duplicate=True) == 0
    for event_id in (linked[0], linked[-1]):
        event = await own_client.execute_field(CORRELATIONS, id=event_id)
        assert event["correlations"]["totalCount"] == 0


async def test_few_references_are_removed_in_the_transaction_of_the_deletion(
    own_client: Client, statements: Statements
) -> None:
    original, duplicates = await log_original(own_client, MAX_REFERENCES - 1)
    [linked] = await log_events(own_client, 1)
    await own_client.execute_field(CORRELATE, id=original, others=[linked])
    statements.clear()

    entries = await delete_and_follow(own_client, original)

    assert count_transactions(statements) == 1
    assert [(each["kind"], each["eventId"]) for each in entries] == [
        *(("UPDATED", id) for id in duplicates),
        ("UNCORRELATED", linked),
        ("DELETED", original),
    ]


async def test_a_deletion_that_failed_between_its_transactions_is_continued(
    own_client: Client, database: Database
) -> None:
    original, duplicates = await log_original(own_client, MAX_REFERENCES + 100)
    head = await own_client.execute_field(HEAD)
    name = database.dialect.name
    async with database.write(ALL_ORGANIZATIONS) as session:
        for statement in REFUSE_DELETIONS[name]:
            await session.execute(text(statement))

    async with own_client.subscription(CHANGED, after=head) as changed:
        await own_client.expect_error(DELETE_EVENT, id=original)
        duplicates_left = await count_events(own_client, duplicate=True)
        originals_left = await count_events(own_client, source="/original")
        late = (await own_client.execute_field(LOG_DUPLICATE, source="/late"))["event"]
        async with database.write(ALL_ORGANIZATIONS) as session:
            await session.execute(text(ACCEPT_DELETIONS[name]))
        repeated = await own_client.execute_field(DELETE_EVENT, id=original)
        entries = await changed.receive_many(len(duplicates) + 2)

    assert (duplicates_left, originals_left) == (100, 1)
    assert late["duplicateOf"] is None
    assert repeated == {"event": {"id": original}, "userErrors": []}
    assert Counter((each["kind"], each["eventId"]) for each in entries) == Counter(
        [
            ("LOGGED", late["id"]),
            ("DELETED", original),
            *(("UPDATED", id) for id in duplicates),
        ]
    )
    assert await count_events(own_client, duplicate=True) == 0


async def test_writers_of_any_process_commit_between_the_transactions_of_a_deletion(
    own_client: Client, database_url: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "MAX_REFERENCES", 20)
    original, duplicates = await log_original(own_client, 300)
    deleted = {"id": original}
    late: dict[str, list[dict[str, Any]]] = {"/near": [], "/far": []}
    is_deleted = asyncio.Event()

    async def log_until_deleted(client: Client, source: str) -> None:
        while not is_deleted.is_set():
            payload = await client.execute_field(LOG_DUPLICATE, source=source)
            late[source].append(payload["event"])

    async with serve(database_url) as far_client, asyncio.TaskGroup() as writers:
        writers.create_task(log_until_deleted(own_client, "/near"))
        writers.create_task(log_until_deleted(far_client, "/far"))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not all(late.values()):
                await asyncio.sleep(0.01)
        entries = await delete_and_follow(own_client, original)
        is_deleted.set()

    kinds = [each["kind"] for each in entries]
    during = entries[kinds.index("UPDATED") :]
    between = {each["eventId"] for each in during if each["kind"] == "LOGGED"}
    for logged in late.values():
        assert len([event for event in logged if event["id"] in between]) >= 3
    cleared = Counter(each["eventId"] for each in entries if each["kind"] == "UPDATED")
    assert set(cleared.values()) == {1}
    assert set(duplicates) <= cleared.keys()
    # Those that were logged meanwhile are cleared as well. After the deletion, one is the next
    # original, and the others are its duplicates.
    all_late = [*late["/near"], *late["/far"]]
    without_original = {e["id"] for e in all_late if e["duplicateOf"] in (None, deleted)}
    assert len(without_original - cleared.keys()) <= 1


async def test_a_deletion_ends_while_duplicates_arrive_faster_than_they_are_cleared(
    own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "MAX_REFERENCES", 20)
    original, _ = await log_original(own_client, 50)
    is_deleted = asyncio.Event()

    async def log_until_deleted() -> None:
        while not is_deleted.is_set():
            await log_events(own_client, 60, subject="x", source="/late")

    async with asyncio.TaskGroup() as writers:
        for _ in range(3):
            writers.create_task(log_until_deleted())
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                payload = await own_client.execute_field(DELETE_EVENT, id=original)
        finally:
            is_deleted.set()

    assert payload == {"event": {"id": original}, "userErrors": []}
    assert await count_events(own_client, source="/original") == 0


async def test_duplicates_that_are_deleted_with_their_original_get_no_other_entry(
    client: Client,
) -> None:
    original, duplicates = await log_original(client, 2 * BATCH_SIZE)
    ids = [original, *duplicates]
    head = await client.execute_field(HEAD)

    async with client.subscription(CHANGED, after=head) as changed:
        payload = await client.execute_field(
            DELETE, filter={}, expectedCount=len(ids), recordedBefore="2999-01-01T00:00:00Z"
        )
        entries = await changed.receive_many(len(ids))

    assert payload == succeeded(len(ids))
    # The newest batch first.
    assert [(each["kind"], each["eventId"]) for each in entries] == [
        ("DELETED", id)
        for start in (2 * BATCH_SIZE, BATCH_SIZE, 0)
        for id in ids[start : start + BATCH_SIZE]
    ]


async def test_an_event_that_no_longer_matches_keeps_its_references(
    own_client: Client, database: Database
) -> None:
    original, duplicates = await log_original(own_client, MAX_REFERENCES + 1)
    [other] = await log_events(own_client, 1, source="/other")
    command = await admin_command(database)
    conditions = event_conditions.build_conditions(
        EventFilter(source="/other"), command.actor.organization_id
    )
    ids = [UUID(id) for id in (original, other)]

    batches = events.delete_selected(database, command, EventSelection(ids, 2, list(conditions)))
    deleted = [str(row.id) async for rows in batches for row in rows]

    assert deleted == [other]
    assert await count_events(own_client, duplicate=True) == len(duplicates)
