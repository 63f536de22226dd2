"""Verifies that the rows of a database are consistent: events, change log, receipts, search index.

Reads page by page, each in a snapshot of its own, so servers can keep running.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LOG_START, Entry, EntryRange, LogPosition
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import is_sqlite
from app.store.writing.search_index import build_value_rows

EVENTS_PER_PAGE = 500
ENTRIES_PER_PAGE = 2_000
MAX_REPORTED_KEYS = 100
_VALUE_COLUMNS = ("field", "ordinal", "number", "exact", "head", "tail", "truth")
_WRONG_COUNTERS = text("""
SELECT organization.key, type, severity, status, notification, sum(stored), sum(counted)
FROM (
    SELECT organization_id, '' AS type, severity, coalesce(status, '') AS status, notification,
        1 AS stored, 0 AS counted
    FROM event
    UNION ALL
    SELECT organization_id, type, severity, coalesce(status, ''), notification, 1, 0 FROM event
    UNION ALL
    SELECT organization_id, type, severity, status, notification, 0, events FROM event_count
) AS numbers JOIN organization ON organization.id = organization_id
GROUP BY 1, 2, 3, 4, 5
HAVING sum(stored) <> sum(counted)
ORDER BY 1, 2, 3, 4, 5
LIMIT :limit
""")


@dataclass
class Verification:
    """The numbers of rows that were verified, and a description of each problem."""

    events: int = 0
    entries: int = 0
    problems: list[str] = field(default_factory=list)


async def verify_database(
    database: Database, report: Callable[[Verification], None]
) -> Verification:
    """Verifies all rows. Calls `report` after each page."""
    result = Verification()
    async with database.read(ALL_ORGANIZATIONS) as session:
        result.problems += [problem async for problem in _check_file(session)]
        result.problems += [problem async for problem in _check_alert_keys(session)]
        result.problems += [problem async for problem in _check_counts(session)]
        begins_at = (await changes.fetch_snapshot(session)).begins_at
    last_id = UUID(int=0)
    while True:
        statement = select(tables.Event).where(col(tables.Event.id) > last_id)
        statement = statement.order_by(col(tables.Event.id)).limit(EVENTS_PER_PAGE)
        async with database.read(ALL_ORGANIZATIONS) as session:
            events = list(await session.scalars(statement))
            if not events:
                break
            rows = await _load_rows_of_events(session, [each.id for each in events])
        last_id = events[-1].id
        result.events += len(events)
        result.problems += [
            f"Event {event.id}: {problem}"
            for event in events
            for problem in _check_event(event, rows, begins_at)
        ]
        report(result)
    await _verify_log(database, result, report)
    return result


async def _check_file(session: AsyncSession) -> AsyncIterator[str]:
    """The problems that the database finds by itself."""
    if not is_sqlite(session):  # PostgreSQL has no such check without extensions
        return
    for (line,) in await session.execute(text("PRAGMA integrity_check")):
        if line != "ok":
            yield f"SQLite: {line}"
    for table, row_id, parent, _ in await session.execute(text("PRAGMA foreign_key_check")):
        yield f"SQLite: Row {row_id} of {table} refers to a row of {parent} that does not exist."


async def _check_alert_keys(session: AsyncSession) -> AsyncIterator[str]:
    """Checks that each alert key has at most one unresolved event."""
    event, organization, count = tables.Event, tables.Organization, func.count()
    key = (col(organization.key), col(event.source), col(event.alert_key))
    is_unresolved = (col(event.alert_key).is_not(None), col(event.resolved_at).is_(None))
    is_owner = col(organization.id) == col(event.organization_id)
    statement = select(*key, count).join(organization, is_owner).where(*is_unresolved)
    statement = statement.group_by(*key).having(count > 1).order_by(*key)
    rows: Any = await session.execute(statement.limit(MAX_REPORTED_KEYS))
    for organization_key, source, alert_key, events in rows:
        yield (
            f"Organization {organization_key!r}: Alert key {alert_key!r} of source {source!r} has "
            f"{events} unresolved events."
        )


async def _check_counts(session: AsyncSession) -> AsyncIterator[str]:
    """Compares events with their counters. One statement reads both, in one snapshot."""
    rows = await session.execute(_WRONG_COUNTERS, {"limit": MAX_REPORTED_KEYS})
    for key, type_name, severity, status, notification, stored, counted in rows:
        yield (
            f"Organization {key!r}: The number of events of "
            f"{f'the type {type_name!r}' if type_name else 'all types'} with the severity "
            f"{severity}, {f'the status {status}' if status else 'no status'} and notification "
            f"{str(bool(notification)).lower()} is {stored}, but the counter is {counted}."
        )


@dataclass
class _RowsOfEvents:
    """The rows of other tables that belong to events, by ID of the event."""

    tags: dict[UUID, set[str]]
    values: dict[UUID, set[tuple[Any, ...]]]
    words: set[UUID]
    receipts: dict[UUID, set[tuple[str, str]]]
    newest_entries: dict[UUID, Entry]


async def _load_rows_of_events(session: AsyncSession, ids: Sequence[UUID]) -> _RowsOfEvents:
    tag, value, words = tables.EventTag, tables.EventValue, tables.EventWords
    receipt = tables.Receipt

    async def load(table: Any, *names: str) -> dict[UUID, set[Any]]:
        columns = [getattr(table, name) for name in names]
        statement = select(col(table.event_id), *columns).where(col(table.event_id).in_(ids))
        rows: dict[UUID, set[Any]] = defaultdict(set)
        for event_id, *values in await session.execute(statement):
            rows[event_id].add(tuple(values))
        return rows

    tags = await load(tag, "tag")
    entries = await changes.list_event_histories(session, EntryRange(backwards=True), 1, ids)
    return _RowsOfEvents(
        {event_id: {each for (each,) in rows} for event_id, rows in tags.items()},
        await load(value, *_VALUE_COLUMNS),
        set(await load(words, "version")),
        await load(receipt, "source", "source_id"),
        {entry.subject_id: entry for entry in entries},
    )


def _check_event(
    event: tables.Event, rows: _RowsOfEvents, begins_at: datetime | None
) -> Iterator[str]:
    state = event.to_domain()
    entry = rows.newest_entries.get(event.id)
    if entry is None:
        if begins_at is None or event.recorded_at >= begins_at:
            yield "It has no entry in the change log."
    elif entry.kind == "DELETED":
        yield "It is stored although its last entry in the change log is DELETED."
    elif entry.state.version != event.version:
        yield (
            f"Its version is {event.version}, but {entry.state.version} in its last entry of the "
            "change log."
        )
    if rows.tags.get(event.id, set()) != set(state.tags):
        yield "Its tags differ from those in the search index."
    expected_values = {
        tuple(row[name] for name in _VALUE_COLUMNS)
        for row in build_value_rows(event.organization_id, state)
    }
    if rows.values.get(event.id, set()) != expected_values:
        yield "Its fields differ from those in the search index."
    if event.id not in rows.words:
        yield "Its words are missing in the search index."
    if event.source_id is not None:
        source = (event.source, event.source_id)
        if source not in rows.receipts.get(event.id, set()):
            yield "It has no receipt of its source ID, so a repeated report would be stored again."


async def _verify_log(
    database: Database, result: Verification, report: Callable[[Verification], None]
) -> None:
    """Verifies that each event that was logged is stored, or was deleted."""
    change, position = tables.Change, LOG_START
    order = (col(change.tx), col(change.seq))
    while True:
        statement = select(*order, col(change.subject_id), col(change.kind), col(change.subject))
        statement = statement.where(*changes.build_range(position)).order_by(*order)
        async with database.read(ALL_ORGANIZATIONS) as session:
            rows = (await session.execute(statement.limit(ENTRIES_PER_PAGE))).all()
            logged = [each[2] for each in rows if each[3:] == ("LOGGED", changes.EVENT)]
            missing = await _find_missing_events(session, logged)
        if not rows:
            return
        position = LogPosition(rows[-1][0] or 0, rows[-1][1] or 0)
        result.entries += len(rows)
        result.problems += [
            f"Event {event_id}: It is not stored, and the change log has no entry DELETED."
            for event_id in missing
        ]
        report(result)


async def _find_missing_events(session: AsyncSession, ids: Sequence[UUID]) -> list[UUID]:
    if not ids:
        return []
    change, event = tables.Change, tables.Event
    stored = select(col(event.id)).where(col(event.id).in_(ids))
    deleted = select(col(change.subject_id)).where(
        col(change.subject_id).in_(ids), col(change.kind) == "DELETED"
    )
    present = {*(await session.scalars(stored)), *(await session.scalars(deleted))}
    return sorted(set(ids) - present)
