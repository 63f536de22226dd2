"""Changes of the status that share a transaction: each has its own result."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import UserErrorCode
from app.services.change_log.notifications import acknowledge_event, unacknowledge_event
from app.services.events import events
from app.services.events.reports import EventResult
from app.services.events.status_changes import resolve_event
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.conftest import Statements
from tests.factories import admin_command

REFUSED_BY_THE_DATABASE = {
    "sqlite": (
        "CREATE TRIGGER refuse BEFORE UPDATE ON event WHEN NEW.summary = 'bad'"
        " BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'not this one'; END $$",
        "CREATE TRIGGER refuse BEFORE UPDATE ON event FOR EACH ROW"
        " WHEN (NEW.summary = 'bad') EXECUTE FUNCTION refuse()",
    ),
}
Call = Coroutine[Any, Any, EventResult]


async def log_summaries(database: Database, command: CommandContext, *summaries: str) -> list[UUID]:
    drafts = [EventDraft(summary=each, notification=True) for each in summaries]
    reports = await events.log_events(database, command, drafts)
    return [report.event.id for report in reports if report.event is not None]


async def change_concurrently(*calls: Call) -> list[Any]:
    """Returns the result of each call, or the error."""
    return await asyncio.gather(*calls, return_exceptions=True)


async def fetch_changes(database: Database) -> list[tuple[str, str, list[Any]]]:
    """Returns the summary, the kind and the acknowledgement of the entries, in order."""
    table = tables.Change
    async with database.read(ALL_ORGANIZATIONS) as session:
        changed = select(table).where(col(table.subject) == "event", col(table.kind) != "LOGGED")
        entries = await session.scalars(changed.order_by(col(table.tx), col(table.seq)))
        return [
            (each.state["summary"], each.kind, each.changes.get("acknowledgementNote", []))
            for each in entries
        ]


async def test_concurrent_changes_share_a_transaction_in_their_order(
    database: Database, statements: Statements
) -> None:
    command = await admin_command(database)
    summaries = [str(number) for number in range(30)]
    ids = await log_summaries(database, command, *summaries)
    statements.clear()

    results = await change_concurrently(
        *(acknowledge_event(database, command, each, "note") for each in reversed(ids))
    )

    assert [result.event.summary for result in results] == summaries[::-1]
    assert await fetch_changes(database) == [
        (each, "ACKNOWLEDGED", [None, "note"]) for each in summaries[::-1]
    ]
    assert sum("INSERT INTO change " in each for each in statements) == 1
    assert sum("UPDATE event " in each for each in statements) == 1


async def test_each_change_of_the_same_event_has_its_own_result(database: Database) -> None:
    command = await admin_command(database)
    [event_id] = await log_summaries(database, command, "event")

    first, repeated, missing, undone, again, resolved = await change_concurrently(
        acknowledge_event(database, command, event_id, "first"),
        acknowledge_event(database, command, event_id, "repeated"),
        acknowledge_event(database, command, uuid4(), "missing"),
        unacknowledge_event(database, command, event_id),
        acknowledge_event(database, command, event_id, "again"),
        resolve_event(database, command, event_id, None),
    )

    assert [problem.code for problem in missing.problems] == [UserErrorCode.NOT_FOUND]
    results = [first, repeated, undone, again, resolved]
    notes = [result.event.acknowledgement_note for result in results]
    assert notes == ["first", "first", None, "again", "again"]
    assert [result.event.resolved_at for result in results] == [*[None] * 4, command.now]
    assert await fetch_changes(database) == [
        ("event", "ACKNOWLEDGED", [None, "first"]),
        ("event", "UNACKNOWLEDGED", ["first", None]),
        ("event", "ACKNOWLEDGED", [None, "again"]),
        ("event", "RESOLVED", []),
    ]
    async with database.read(ALL_ORGANIZATIONS) as session:
        [row] = await session.scalars(select(tables.Event))
    assert (row.acknowledgement_note, row.resolved_at) == ("again", command.now)


async def test_a_change_that_the_database_rejects_does_not_affect_the_others(
    database: Database,
) -> None:
    command = await admin_command(database)
    ids = await log_summaries(database, command, "a", "bad", "b")
    async with database.write(ALL_ORGANIZATIONS) as session:
        for statement in REFUSED_BY_THE_DATABASE[session.get_bind().dialect.name]:
            await session.execute(text(statement))

    first, failed, last = await change_concurrently(
        *(acknowledge_event(database, command, each, None) for each in ids)
    )

    assert isinstance(failed, DBAPIError)
    assert "not this one" in str(failed)
    assert (first.event.acknowledged_at, last.event.acknowledged_at) == (command.now,) * 2
    assert sorted(summary for summary, *_ in await fetch_changes(database)) == ["a", "b"]


async def test_a_caller_that_disconnects_does_not_cancel_the_others(database: Database) -> None:
    command = await admin_command(database)
    stays_id, leaves_id = await log_summaries(database, command, "stays", "leaves")
    stays, leaves = (
        asyncio.create_task(acknowledge_event(database, command, each, None))
        for each in (stays_id, leaves_id)
    )

    await asyncio.sleep(0)
    leaves.cancel()

    result = await stays
    assert result.event is not None
    assert result.event.acknowledged_at == command.now
    with pytest.raises(asyncio.CancelledError):
        await leaves
