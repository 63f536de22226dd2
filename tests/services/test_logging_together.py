"""Reports that share a transaction: each has its own result, and none affects another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from app.domain.event_types.definitions import EventTypeDefinition
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.domain.rules.duplicates import DuplicateAction
from app.domain.rules.guards import GuardEnforcement
from app.services.definitions import event_types
from app.services.event_types import event_type_commands
from app.services.events import events
from app.services.rules import duplication_rules, guard_rules
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import lock_definitions_exclusive
from tests.conftest import Statements
from tests.factories import NOON, admin_command

REFUSED_BY_THE_DATABASE = {
    "sqlite": (
        "CREATE TRIGGER refuse BEFORE INSERT ON event WHEN NEW.summary = 'bad'"
        " BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'not this one'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW"
        " WHEN (NEW.summary = 'bad') EXECUTE FUNCTION refuse()",
    ),
}


async def log_concurrently(
    database: Database, command: CommandContext, drafts: Sequence[EventDraft]
) -> list[Any]:
    """Logs each draft by its own call. Returns the result of each, or the error."""
    calls = (events.log_events(database, command, [draft]) for draft in drafts)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return [answer if isinstance(answer, BaseException) else answer[0] for answer in answers]


async def fetch_logged_summaries(database: Database) -> list[str]:
    """Returns the summaries in the order of the change log."""
    table = tables.Change
    async with database.read(ALL_ORGANIZATIONS) as session:
        of_events = select(table).where(col(table.subject) == "event", col(table.kind) == "LOGGED")
        changes = await session.scalars(of_events.order_by(col(table.tx), col(table.seq)))
        return [each.state["summary"] for each in changes]


@contextlib.asynccontextmanager
async def block_reports(database_url: str, command: CommandContext) -> AsyncIterator[None]:
    holder = Database(database_url)
    async with holder.write(command.actor.organization_id) as session:
        await lock_definitions_exclusive(session, command.actor.organization_id)
        yield
    await holder.close()


async def test_concurrent_calls_share_a_transaction_in_their_order(
    database: Database, statements: Statements
) -> None:
    command = await admin_command(database)
    summaries = [str(n) for n in range(30)]

    reports = await log_concurrently(
        database, command, [EventDraft(summary=each) for each in summaries]
    )

    assert [report.event.summary for report in reports] == summaries
    assert await fetch_logged_summaries(database) == summaries
    assert sum("INSERT INTO event (" in each for each in statements) == 1


async def test_each_report_of_a_shared_transaction_has_its_own_result(database: Database) -> None:
    command = await admin_command(database)
    attributes = {"name": "once", "fingerprint": ("subject",), "window": timedelta(hours=1)}
    rule = attributes | {"action": DuplicateAction.REJECT}
    await duplication_rules.create_rule(database, command, None, rule, enabled=True)

    reports = await log_concurrently(
        database,
        command,
        [
            EventDraft(summary="first", subject="s"),
            EventDraft(summary="second", subject="s"),
            EventDraft(summary="x" * 1_001),
            EventDraft(summary="replayed", source_id="1"),
            EventDraft(summary="replayed", source_id="1"),
            EventDraft(summary="another", source_id="1"),
        ],
    )

    codes = [[problem.code.name for problem in report.problems] for report in reports]
    assert codes == [[], ["DUPLICATE"], ["INVALID_INPUT"], [], [], ["CONFLICT"]]
    assert [report.stored for report in reports] == [True, False, False, True, False, False]
    assert [report.replay for report in reports] == [False] * 4 + [True, False]
    assert reports[4].event.id == reports[3].event.id
    assert await fetch_logged_summaries(database) == ["first", "replayed"]


async def test_duplicates_in_the_transaction_of_their_original_are_counted_once_each(
    database: Database,
) -> None:
    command = await admin_command(database)
    attributes = {"name": "count", "fingerprint": ("subject",), "window": timedelta(hours=1)}
    rule = attributes | {"action": DuplicateAction.COUNT}
    await duplication_rules.create_rule(database, command, None, rule, enabled=True)

    reports = await log_concurrently(database, command, [EventDraft(subject="s")] * 5)
    again = await log_concurrently(database, command, [EventDraft(subject="s")] * 3)

    async with database.read(ALL_ORGANIZATIONS) as session:
        [event] = (await session.scalars(select(tables.Event))).all()
        [words] = (await session.scalars(select(col(tables.EventWords.event_id)))).all()
        counted = select(col(tables.Change.state)).where(col(tables.Change.kind) == "DUPLICATED")
        entries = (await session.scalars(counted.order_by(col(tables.Change.seq)))).all()
    assert event.occurrences == 8
    assert words == event.id
    assert [report.duplicate for report in reports + again] == [False] + [True] * 7
    assert {report.event.id for report in reports + again} == {event.id}
    assert [entry["occurrences"] for entry in entries] == [2, 3, 4, 5, 6, 7, 8]


async def test_a_report_that_raises_an_error_does_not_affect_the_others(database: Database) -> None:
    command = await admin_command(database)
    naive = datetime(2026, 4, 10, 10, 30)  # noqa: DTZ001 - a naive instant is the input
    drafts = [EventDraft(summary="a"), EventDraft(occurred_at=naive), EventDraft(summary="b")]

    first, failed, last = await log_concurrently(database, command, drafts)

    assert isinstance(failed, TypeError)
    assert (first.event.summary, last.event.summary) == ("a", "b")
    assert sorted(await fetch_logged_summaries(database)) == ["a", "b"]


async def test_a_report_that_the_database_rejects_does_not_affect_the_others(
    database: Database,
) -> None:
    command = await admin_command(database)
    async with database.write(ALL_ORGANIZATIONS) as session:
        for statement in REFUSED_BY_THE_DATABASE[session.get_bind().dialect.name]:
            await session.execute(text(statement))
    drafts = [EventDraft(summary=each, source_id=each) for each in ("a", "bad", "b", "bad")]

    first, failed, last, other = await log_concurrently(database, command, drafts)

    for each in (failed, other):
        assert isinstance(each, DBAPIError)
        assert "not this one" in str(each)
    assert (first.event.summary, last.event.summary) == ("a", "b")
    assert sorted(await fetch_logged_summaries(database)) == ["a", "b"]
    async with database.read(ALL_ORGANIZATIONS) as session:
        assert set(await session.scalars(select(col(tables.Receipt.source_id)))) == {"a", "b"}


async def test_a_caller_that_disconnects_does_not_cancel_the_others(
    database: Database, database_url: str
) -> None:
    command = await admin_command(database)
    async with block_reports(database_url, command):
        stays, leaves, comes = (
            asyncio.create_task(events.log_events(database, command, [EventDraft(summary=each)]))
            for each in ("stays", "leaves", "comes")
        )
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.wait([leaves])
    answers = await asyncio.gather(stays, comes)

    assert [report.event.summary for [report] in answers if report.event] == ["stays", "comes"]
    assert leaves.cancelled()
    assert set(await fetch_logged_summaries(database)) - {"leaves"} == {"stays", "comes"}


async def test_closing_a_database_waits_for_all_reports(
    database: Database, database_url: str
) -> None:
    process = Database(database_url)
    command = await admin_command(process)
    summaries = [str(n) for n in range(5)]
    drafts = [EventDraft(summary=each) for each in summaries]
    calls = [asyncio.create_task(events.log_events(process, command, [draft])) for draft in drafts]
    await asyncio.sleep(0)

    await process.close()

    assert [report.event.summary for [report] in await asyncio.gather(*calls)] == summaries  # type: ignore[union-attr]
    assert await fetch_logged_summaries(database) == summaries


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """A second process on the same database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


async def report_error_codes(
    database: Database, command: CommandContext, **overrides: Any
) -> list[str]:
    [report] = await events.log_events(database, command, [EventDraft(type="t", **overrides)])
    return [problem.code.name for problem in report.problems]


async def test_changes_by_another_process_apply_to_the_next_report(
    database: Database, other: Database
) -> None:
    command = await admin_command(database)
    caller = command.actor
    field = FieldDefinition("a", FieldKind.NUMBER)
    definition = EventTypeDefinition("T", "t", None, "c", EventTypeState.PUBLISHED, (field,))
    guard = {
        "name": "g",
        "expression": "event.fields.a < 10.0",
        "message": "m",
        "enforcement": GuardEnforcement.REJECT,
    }
    rule = {
        "name": "d",
        "fingerprint": ("fields.a",),
        "window": timedelta(hours=1),
        "action": DuplicateAction.REJECT,
    }

    free = await report_error_codes(database, command, fields={"b": 1})
    await event_type_commands.create_event_type(other, command, definition)
    typed = await report_error_codes(database, command, fields={"b": 1})
    kind = await event_types.EVENT_TYPE_BY_KEY.fetch_row(other, caller, "t")
    assert kind is not None
    made = await guard_rules.create_rule(other, command, kind.id, guard)
    assert made.rule is not None
    drafted = await report_error_codes(database, command, fields={"a": 50})
    await guard_rules.publish_rule(other, command, made.rule.id, None)
    guarded = await report_error_codes(database, command, fields={"a": 50})
    await guard_rules.retire_rule(other, command, made.rule.id)
    retired = await report_error_codes(database, command, fields={"a": 50})
    await duplication_rules.create_rule(other, command, kind.id, rule, enabled=True)
    once = await report_error_codes(database, command, fields={"a": 60}, occurred_at=NOON)
    twice = await report_error_codes(database, command, fields={"a": 60}, occurred_at=NOON)
    await event_type_commands.transition_event_type(
        other, command, kind.id, EventTypeState.ARCHIVED, None
    )
    archived = await report_error_codes(database, command, fields={"a": 70})

    assert (free, typed) == ([], ["FIELD_UNKNOWN"])
    assert (drafted, guarded, retired) == ([], ["GUARD_REJECTED"], [])
    assert (once, twice) == ([], ["DUPLICATE"])
    assert archived == ["EVENT_TYPE_CLOSED"]


async def test_cached_definitions_are_revalidated_by_their_version(
    database: Database, statements: Statements
) -> None:
    command = await admin_command(database)
    first = await events.log_events(database, command, [EventDraft(type="t")])
    statements.clear()

    second = await events.log_events(database, command, [EventDraft(type="t")])

    assert all(report.stored for report in first + second)
    queries = [each for each in statements if "INSERT" not in each]
    queries = [each for each in queries if each.startswith(("SELECT", "WITH"))]
    [number] = [each for each in queries if "definitions" in each]
    others = [each for each in queries if each is not number]
    # PostgreSQL: registered as a writer of the change log, and the lock of the definitions.
    assert ["pg_advisory" in each for each in others] in ([True, True], [])
