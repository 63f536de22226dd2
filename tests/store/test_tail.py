"""The feed reads the log past the sessions: what it reads is what a session reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import update

from app.domain.events.severity import Outcome
from app.domain.events.state import Entity
from app.services.auth.organizations import add_organization
from app.services.events import events
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import START, Entry, NewEntry, Place
from app.store.change_log.tail import BATCH, Tail
from app.store.engine.database import EVERYWHERE, Database
from tests.worlds import NOON, a_desk, ring


def told(entry: Entry) -> dict[str, Any]:
    """All of it; the event by its columns."""
    event = entry.event
    return vars(replace(entry)) | {"now": event and event.columns()}


async def as_a_session_reads(database: Database, limit: int = 1000) -> list[dict[str, Any]]:
    async with database.read(EVERYWHERE) as session:
        return [told(entry) for entry in await changes.read_after(session, START, limit)]


async def test_the_tail_reads_what_a_session_reads(database: Database) -> None:
    desk = await a_desk(database)
    full = ring(
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
    drafts = [full, ring("bare"), ring("gone")]
    _, bare, gone = [each.event for each in await events.log_events(database, desk, drafts)]
    assert bare is not None
    assert gone is not None
    await events.update_event(database, desk, bare.id, {"fields": {"later": 1.5}})
    await events.delete_event(database, desk, gone.id)
    async with database.write(EVERYWHERE) as session:  # what is no event, elsewhere
        await add_organization(session, "other", "Other", NOON + timedelta(microseconds=1))

    entries, pruned = await Tail(database).read_after(START)

    assert [told(entry) for entry in entries] == await as_a_session_reads(database)
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
    assert pruned == START


async def test_the_tail_reads_on_from_a_place_and_tells_what_was_pruned(database: Database) -> None:
    desk = await a_desk(database)
    await events.log_events(database, desk, [ring(str(n)) for n in range(3)])
    tail = Tail(database)
    *_, before_last, last = (await tail.read_after(START))[0]
    async with database.write(EVERYWHERE) as session:
        tx, seq = before_last.place
        await session.execute(update(tables.Log).values(pruned_tx=tx, pruned_seq=seq))

    entries, pruned = await tail.read_after(before_last.place)

    assert [entry.place for entry in entries] == [last.place]
    assert pruned == before_last.place
    assert await tail.read_after(last.place) == ([], START)
    assert await tail.head() == last.place


async def test_the_tail_reads_a_batch_at_a_time(database: Database) -> None:
    desk = await a_desk(database)
    organization_id = desk.reporter.organization_id
    async with database.write(organization_id) as session:
        every = [
            NewEntry("organization", uuid4(), organization_id, "test", NOON, {"n": n})
            for n in range(BATCH + 1)
        ]
        places = await changes.append(session, every)
    tail, before = Tail(database), Place(places[0].tx, places[0].seq - 1)

    first, _ = await tail.read_after(before)
    second, _ = await tail.read_after(first[-1].place)

    assert [entry.state_json["n"] for entry in first] == list(range(BATCH))
    assert [entry.place for entry in second] == places[BATCH:]
