"""The feed reads the change log without a session, and gets the same entries as a session."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import update

from app.domain.events.severity import Outcome
from app.domain.events.state import Entity
from app.services.auth.organizations import insert_organization
from app.services.events import events
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LOG_START, Entry, LogPosition, NewEntry
from app.store.change_log.tail import BATCH_SIZE, LogTail
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.factories import NOON, admin_command, notification_draft


def comparable_entry(entry: Entry) -> dict[str, Any]:
    """All attributes of the entry; the event by its columns."""
    event = entry.event
    return vars(replace(entry)) | {"now": event and event.to_columns()}


async def read_with_session(database: Database, limit: int = 1000) -> list[dict[str, Any]]:
    async with database.read(ALL_ORGANIZATIONS) as session:
        return [
            comparable_entry(entry)
            for entry in await changes.fetch_entries_after(session, LOG_START, limit)
        ]


async def test_the_tail_reads_what_a_session_reads(database: Database) -> None:
    command = await admin_command(database)
    full = notification_draft(
        "full \u2028 \U0001f514",
        type="pump.failed",
        severity="error",
        content="content",
        source="urn:pumps",
        source_id="7",
        subject="Well/1",
        outcome=Outcome.FAILURE,
        entity=Entity("Well", "1"),
        tags=("StudyId:1", "é"),
        fields={"volume": 1.0, "wide": 2**53, "deep": {"null": None, "list": [True, "x"]}},
        extensions={"trace": "1"},
        occurred_at=NOON,
    )
    drafts = [full, notification_draft("bare"), notification_draft("gone")]
    _, bare, gone = [each.event for each in await events.log_events(database, command, drafts)]
    assert bare is not None
    assert gone is not None
    await events.update_event(database, command, bare.id, {"fields": {"later": 1.5}})
    await events.delete_event(database, command, gone.id)
    async with database.write(
        ALL_ORGANIZATIONS
    ) as session:  # an entry without an event, of another organization
        await insert_organization(session, "other", "Other", NOON + timedelta(microseconds=1))

    entries, pruned = await LogTail(database).fetch_entries_after(LOG_START)

    assert [comparable_entry(entry) for entry in entries] == await read_with_session(database)
    kinds = [entry.kind for entry in entries if entry.subject == changes.EVENT]
    assert kinds == ["LOGGED", "LOGGED", "LOGGED", "UPDATED", "DELETED"]
    assert [entry.event is None for entry in entries[-6:]] == [
        False,
        False,
        True,
        False,
        True,
        True,
    ]
    assert pruned == LOG_START


async def test_the_tail_continues_after_a_position_and_returns_the_pruned_one(
    database: Database,
) -> None:
    command = await admin_command(database)
    await events.log_events(database, command, [notification_draft(str(n)) for n in range(3)])
    tail = LogTail(database)
    *_, before_last, last = (await tail.fetch_entries_after(LOG_START))[0]
    async with database.write(ALL_ORGANIZATIONS) as session:
        tx, seq = before_last.position
        await session.execute(update(tables.Log).values(pruned_tx=tx, pruned_seq=seq))

    entries, pruned = await tail.fetch_entries_after(before_last.position)

    assert [entry.position for entry in entries] == [last.position]
    assert pruned == before_last.position
    assert await tail.fetch_entries_after(last.position) == ([], LOG_START)
    assert await tail.fetch_head() == last.position


async def test_the_tail_reads_in_batches(database: Database) -> None:
    command = await admin_command(database)
    organization_id = command.actor.organization_id
    async with database.write(organization_id) as session:
        every = [
            NewEntry("organization", uuid4(), organization_id, "test", NOON, {"n": n})
            for n in range(BATCH_SIZE + 1)
        ]
        positions = await changes.append_entries(session, every)
    tail, before = LogTail(database), LogPosition(positions[0].tx, positions[0].seq - 1)

    first, _ = await tail.fetch_entries_after(before)
    second, _ = await tail.fetch_entries_after(first[-1].position)

    assert [entry.state_json["n"] for entry in first] == list(range(BATCH_SIZE))
    assert [entry.position for entry in second] == positions[BATCH_SIZE:]
