"""A transaction that fails, is cancelled or loses its connection stores nothing.

Whatever kind of statement fails, the next transaction works.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.state import EventDraft
from app.services.events import events
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.writing.inserts import KEEP_EXISTING, insert_rows
from tests.factories import admin_command
from tests.postgresql_server import execute
from tests.store.test_transactions import is_cancelled_at


@dataclass(frozen=True)
class LoggedEvent:
    """An event with the summary "first" and the tag "first"."""

    id: UUID
    organization_id: UUID

    def tag_row(self, tag: str | None) -> dict[str, Any]:
        return {"organization_id": self.organization_id, "event_id": self.id, "tag": tag}


Write = Callable[[AsyncSession, LoggedEvent], Awaitable[Any]]


async def insert_tag(session: AsyncSession, logged: LoggedEvent) -> None:
    await insert_rows(session, (tables.EventTag, [logged.tag_row("second")]))


async def upsert_tag(session: AsyncSession, logged: LoggedEvent) -> None:
    rows = [logged.tag_row(tag) for tag in ("first", "second")]
    inserted = await insert_rows(
        session, (tables.EventTag, rows), on_conflict=KEEP_EXISTING, returning=("event_id", "tag")
    )
    assert inserted == [(logged.id, "second")]


async def change_row(session: AsyncSession, logged: LoggedEvent) -> None:
    (await session.get_one(tables.Event, logged.id)).summary = "second"
    await session.flush()


async def update_rows(session: AsyncSession, _: LoggedEvent) -> None:
    await session.execute(update(tables.Event).values(summary="second"))


async def delete_rows(session: AsyncSession, _: LoggedEvent) -> None:
    await session.execute(delete(tables.EventTag))


async def insert_existing_key(session: AsyncSession, logged: LoggedEvent) -> None:
    await insert_rows(session, (tables.EventTag, [logged.tag_row("first")]))


async def insert_null(session: AsyncSession, logged: LoggedEvent) -> None:
    await insert_rows(session, (tables.EventTag, [logged.tag_row("second"), logged.tag_row(None)]))


async def insert_unknown_reference(session: AsyncSession, logged: LoggedEvent) -> None:
    row = logged.tag_row("second") | {"event_id": logged.organization_id}
    await insert_rows(session, (tables.EventTag, [row]))


async def change_to_null(session: AsyncSession, logged: LoggedEvent) -> None:
    row: Any = await session.get_one(tables.Event, logged.id)
    row.summary = None
    await session.flush()


async def update_to_null(session: AsyncSession, _: LoggedEvent) -> None:
    await session.execute(update(tables.Event).values(summary=None))


async def delete_referenced(session: AsyncSession, _: LoggedEvent) -> None:
    await session.execute(delete(tables.Organization))


WRITES = [insert_tag, upsert_tag, change_row, update_rows, delete_rows]
FAILING_WRITES = [
    insert_existing_key,
    insert_null,
    insert_unknown_reference,
    change_to_null,
    update_to_null,
    delete_referenced,
]


@pytest.fixture
async def logged(database: Database) -> LoggedEvent:
    command = await admin_command(database)
    [report] = await events.log_events(
        database, command, [EventDraft(summary="first", tags=("first",))]
    )
    assert report.event is not None
    return LoggedEvent(report.event.id, command.actor.organization_id)


async def fetch_state(database: Database) -> tuple[list[str], list[str]]:
    """Returns the summaries and the tags of all events."""
    async with database.read(ALL_ORGANIZATIONS) as session:
        summaries = await session.scalars(select(col(tables.Event.summary)))
        tags = await session.scalars(select(col(tables.EventTag.tag)))
        return list(summaries), sorted(tags)


async def assert_database_works(database: Database, logged: LoggedEvent) -> None:
    assert database.connections_in_use == 0
    assert await fetch_state(database) == (["first"], ["first"])
    async with database.write(logged.organization_id) as session:
        await insert_tag(session, logged)
        await change_row(session, logged)
    assert await fetch_state(database) == (["second"], ["first", "second"])


@pytest.mark.parametrize("fail", FAILING_WRITES)
@pytest.mark.parametrize("write", WRITES)
async def test_a_failed_statement_stores_nothing(
    database: Database, logged: LoggedEvent, write: Write, fail: Write
) -> None:
    with pytest.raises(DBAPIError) as failure:
        async with database.write(logged.organization_id) as session:
            await write(session, logged)
            if write is delete_rows:  # otherwise there would be no conflict
                await insert_rows(session, (tables.EventTag, [logged.tag_row("first")]))
            await fail(session, logged)

    assert not failure.value.connection_invalidated
    await assert_database_works(database, logged)


@pytest.mark.parametrize("write", WRITES)
async def test_a_cancelled_transaction_stores_all_or_nothing(
    database: Database, logged: LoggedEvent, write: Write
) -> None:
    async def use_session() -> None:
        async with database.write(logged.organization_id) as session:
            await write(session, logged)

    before = await fetch_state(database)
    await use_session()
    after = await fetch_state(database)
    await _restore(database, logged)
    cancellations = 0
    while await is_cancelled_at(use_session(), {cancellations + 1}):
        cancellations += 1
        assert await fetch_state(database) in (before, after)
        await _restore(database, logged)

    await _restore(database, logged)
    assert cancellations >= 2
    await assert_database_works(database, logged)


async def _restore(database: Database, logged: LoggedEvent) -> None:
    async with database.write(logged.organization_id) as session:
        await session.execute(update(tables.Event).values(summary="first"))
        await session.execute(delete(tables.EventTag))
        await insert_rows(session, (tables.EventTag, [logged.tag_row("first")]))


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("write", WRITES)
async def test_a_transaction_whose_connection_is_lost_stores_nothing(
    database: Database, database_url: str, logged: LoggedEvent, write: Write
) -> None:
    with pytest.raises((DBAPIError, OSError)) as failure:
        async with database.write(logged.organization_id) as session:
            await insert_tag(session, logged)
            process = (await session.scalars(text("SELECT pg_backend_pid()"))).one()
            await execute(database_url, f"SELECT pg_terminate_backend({process}, 30000)")
            await write(session, logged)

    if isinstance(failure.value, DBAPIError):
        assert failure.value.connection_invalidated
    await assert_database_works(database, logged)
