"""Each common query uses its index, with 20,000 events.

The statements are those that the services send. PostgreSQL plans them with `enable_seqscan = off`,
because it would scan a table this small completely.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.access.audit import AuditAction, encode_entry_id
from app.domain.access.caller import Caller
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.correlations import Relation
from app.domain.events.filters import EventChangeFilter, EventFilter, TagFilter, TimeRange
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import (
    AlertKey,
    Entity,
    EventDraft,
    EventState,
    EventStatus,
    SourceIdentity,
)
from app.domain.events.time_buckets import TimeBuckets
from app.domain.shared.durations import Duration
from app.domain.shared.limits import Limits
from app.services.change_log import audit, history
from app.services.change_log.notifications import NOTIFICATION_LIST, NotificationPageRequest
from app.services.channels.channel_totals import measure_channels
from app.services.events import (
    alert_keys,
    bulk_changes,
    correlations,
    event_counts,
    event_queries,
    events,
    receipts,
    status_changes,
)
from app.services.events.event_counts import EventCountRequest, EventDimension
from app.services.events.event_queries import (
    EVENT_BY_KEY,
    EVENT_LIST,
    EventOrderField,
    EventPageRequest,
)
from app.services.shared.readers import UNACKNOWLEDGED_COUNT
from app.store import tables
from app.store.change_log import audit as audit_log
from app.store.change_log import changes
from app.store.change_log.audit import AuditFilter
from app.store.change_log.changes import LogPosition
from app.store.change_log.tail import LogTail
from app.store.engine import dialect
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.health import count_pending_entries
from app.store.reading import event_conditions
from app.store.reading.pages import PageRequest
from app.store.writing import search_index
from app.store.writing.inserts import insert_rows
from tests.conftest import POSTGRESQL, SQLITE, is_connected_to
from tests.factories import admin_caller, admin_command
from tests.store.test_agreement import build_receipt_rows

START = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = 20_000
# Most events belong to one organization, and to a few types, sources and wells.
OTHERS = {"second": 5_000, "third": 1_000}
PAGE = PageRequest(20)
TYPES = [f"com.acme.{name}.v{n}" for name in ("pump", "flare", "valve", "rig") for n in range(10)]
VOCABULARY = [f"word{n}" for n in range(2_000)]
TYPED = 10


@dataclass(frozen=True)
class IndexedDatabase:
    database: Database
    caller: Caller
    dialect_name: str


Ask = Callable[[IndexedDatabase], Awaitable[Any]]


@pytest.fixture(scope="module", params=[SQLITE, POSTGRESQL])
async def world(
    request: pytest.FixtureRequest,
    sqlite_template: Path,
    postgresql: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[IndexedDatabase]:
    """A database for the tests of this module, which only read it."""
    if request.param == SQLITE:
        file = tmp_path_factory.mktemp("indexes") / "tocsin.db"
        shutil.copy(sqlite_template, file)
        url = f"sqlite:///{file}"
    else:
        name = f"indexes_{uuid4().hex}"
        url = postgresql.format(name)
        connection = await asyncpg.connect(postgresql.format("postgres"))
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template_of_tests")
        await connection.close()
    database = Database(url)
    caller = await admin_caller(database)
    await _fill(database, caller.organization_id)
    await _analyse(url)
    yield IndexedDatabase(database, caller, request.param)
    await database.close()


async def _fill(database: Database, own: UUID) -> None:
    chance = Random(3)
    owners = {own: EVENTS - sum(OTHERS.values())}
    async with database.write(ALL_ORGANIZATIONS) as session:
        for key, number in OTHERS.items():
            owners[uuid4()] = number
            row = {"id": [*owners][-1], "key": key, "name": key, "created_at": START}
            await insert_rows(session, (tables.Organization, [row]))
        for owner, number in owners.items():
            await _fill_organization(session, owner, number, chance)


async def _fill_organization(
    session: AsyncSession, owner: UUID, number: int, chance: Random
) -> None:
    types = [_event_type(owner, name) for name in TYPES[:TYPED]]
    await insert_rows(session, (tables.EventType, [each.to_columns() for each in types]))
    ids = {each.type: each.id for each in types}
    states = [_event(n, ids, chance) for n in range(number)]
    flagged = [
        replace(state, duplicate_of_id=states[0].id) if n % 500 == 499 else state
        for n, state in enumerate(states)
    ]
    rows = [tables.Event.build_columns(state, owner) for state in flagged]
    for place, row in enumerate(rows, start=1):
        if row["notification"]:
            row |= {"rang_tx": 1, "rang_seq": place}
    await insert_rows(
        session,
        (tables.Event, rows),
        *search_index.build_index_rows(owner, states),
        (tables.Receipt, build_receipt_rows(owner, states)),
        (tables.Change, [_logged(state, owner) for state in states]),
    )
    audit_entries = [_audited(n, owner) for n in range(number // 10)]
    await insert_rows(session, (tables.Change, audit_entries))


def _event_type(owner: UUID, name: str) -> tables.EventType:
    return tables.EventType(
        organization_id=owner,
        id=uuid4(),
        type=name,
        name=name,
        category=name.split(".")[2],
        state=EventTypeState.PUBLISHED,
        created_at=START,
        updated_at=START,
    )


def _event(number: int, types: dict[str, UUID], chance: Random) -> EventState:
    def rarely(most: int) -> int:
        """0 more often than 1, and 1 more often than 2."""
        return int(most * chance.random() ** 3)

    at = START + timedelta(minutes=number, microseconds=chance.randrange(60_000_000))
    type_name = TYPES[rarely(len(TYPES))]
    severities = (Severity.INFO, Severity.SUCCESS, Severity.WARN, Severity.ERROR)
    [severity] = chance.choices(severities, (880, 80, 35, 5))
    notifies = chance.random() < 0.05
    return EventState(
        id=UUID(int=chance.getrandbits(128)),
        type=type_name,
        event_type_id=types.get(type_name),
        event_type_version=1 if type_name in types else None,
        category=type_name.split(".")[2] if type_name in types else None,
        severity=severity,
        summary=" ".join(VOCABULARY[rarely(len(VOCABULARY))] for _ in range(6)),
        content=" ".join(VOCABULARY[rarely(len(VOCABULARY))] for _ in range(20)),
        source=f"/hosts/{rarely(50)}",
        source_id=str(number),
        subject=None,
        outcome=chance.choice([None, Outcome.SUCCESS, Outcome.FAILURE]),
        occurred_at=at,
        recorded_at=at + timedelta(seconds=chance.randrange(100)),
        updated_at=at,
        entity=Entity("Well", f"well-{rarely(500)}") if chance.random() < 0.7 else None,
        fields={
            "pressure": chance.randrange(100_000) / 100,
            "cause": f"cause {rarely(300)}",
            "labels": {"host": f"a host {number % 500}", "load": number % 1_000},
            "commits": [{"author": f"an author {number % 400}"}],
        },
        tags=tuple({f"StudyId:{rarely(400)}", f"Team:{rarely(10)}"}),
        notification=notifies,
        acknowledged_at=at if not notifies or chance.random() < 0.9 else None,
        resolved_at=at if notifies and chance.random() < 0.7 else None,
        alert_key=f"alert {number}" if notifies else None,
    )


def _logged(state: EventState, owner: UUID) -> dict[str, Any]:
    return {
        "organization_id": owner,
        "subject": changes.EVENT,
        "subject_id": state.id,
        "kind": "LOGGED",
        "at": state.recorded_at,
        "actor": "test",
        "notifies": state.notification,
        "changes": {},
        "state": state.to_json(),
    }


def _audited(number: int, owner: UUID) -> dict[str, Any]:
    return {
        "organization_id": owner,
        "subject": audit_log.SUBJECTS[number % len(audit_log.SUBJECTS)],
        "subject_id": UUID(int=number % 500),
        "kind": [*AuditAction][number % len(AuditAction)].value,
        "at": START + timedelta(minutes=number),
        "actor": f"actor {number % 50}",
        "notifies": False,
        "changes": {},
        "state": {"name": f"subject {number}"},
    }


async def _analyse(url: str) -> None:
    engine = dialect.create_migration_engine(dialect.parse_database_url(url))
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE"))
    await engine.dispose()


@contextmanager
def capture_statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Captures the statements that are sent to the database, with their parameters."""
    captured: list[tuple[str, Any]] = []
    fetch_rows = database.row_reader.fetch_rows

    async def note_and_fetch(statement: str, parameters: Any, **options: Any) -> Any:
        captured.append((statement, tuple(parameters)))
        return await fetch_rows(statement, parameters, **options)

    def note(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if is_connected_to(connection, database.url.database):
            captured.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    with patch.object(database.row_reader, "fetch_rows", note_and_fetch):
        yield captured
    event.remove(Engine, "before_cursor_execute", note)


async def explain_query(world: IndexedDatabase, ask: Ask) -> str:
    """Returns the query plan of the last statement that the request sends."""
    with capture_statements(world.database) as captured:
        await ask(world)
    statement, parameters = captured[-1]
    explain = "EXPLAIN QUERY PLAN" if world.dialect_name == SQLITE else "EXPLAIN"
    async with world.database.read(ALL_ORGANIZATIONS) as session:
        connection = await session.connection()
        await connection.execute(text("SELECT 1 FROM event"))  # SQLite loads its statistics
        if world.dialect_name == POSTGRESQL:
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
        return "\n".join(str(row[-1]) for row in rows)


def fetch_page_with(
    field: EventOrderField = EventOrderField.OCCURRED_AT, descending: bool = True, **attributes: Any
) -> Ask:
    by = event_queries.event_order(field, descending)
    request = EventPageRequest((EventFilter(**attributes),), by, PAGE)
    return lambda world: EVENT_LIST.fetch_page(world.database, world.caller, request)


def count_events_with(**attributes: Any) -> Ask:
    by = event_queries.event_order(EventOrderField.OCCURRED_AT, True)
    request = EventPageRequest((EventFilter(**attributes),), by, PAGE)
    return lambda world: EVENT_LIST.count_rows(world.database, world.caller, request)


def field_filter(name: str, operator: PredicateOperator, value: Any) -> dict[str, Any]:
    return {"fields": (FieldPredicate(name, operator, value),)}


def fetch_audit_page_with(**conditions: Any) -> Ask:
    filter = AuditFilter(**conditions)
    return lambda world: audit.fetch_page(world.database, world.caller, PAGE, filter)


ALL = EventFilter()
NEW = EventFilter(acknowledged=False)
OPEN = EventFilter(statuses=(EventStatus.OPEN,))
BELL = NotificationPageRequest(ALL, PAGE)
A_DAY = TimeRange(START, START + timedelta(days=1))
LATEST = "ix_event_organization_id_occurred_at_id"
RECEIPTS = ("sqlite_autoindex_receipt_1", "pk_receipt")
TAGGED = "ix_event_tag_organization_id_tag_event_id"
HEAD = "ix_event_value_organization_id_field_head_event_id"
NUMBER = "ix_event_value_organization_id_field_number_event_id"
BY_ID = ("sqlite_autoindex_event_1", "pk_event")


async def _load_receipts(world: IndexedDatabase) -> None:
    async with world.database.read(world.caller.organization_id) as session:
        found = await receipts.load_receipts(session, {SourceIdentity("/hosts/1", "17")})
    assert isinstance(found, dict)


async def _find_unresolved_events(world: IndexedDatabase) -> None:
    async with world.database.read(world.caller.organization_id) as session:
        found = await alert_keys.find_unresolved_events(session, {AlertKey("/hosts/1", "alert 17")})
    assert isinstance(found, dict)


async def _load_reported_events(world: IndexedDatabase) -> None:
    alerts = {AlertKey("/hosts/1", "alert 17"): alert_keys.Alert()}
    draft = EventDraft(
        source="/hosts/1", alert_key="alert 17", occurred_at=START, state_digest="digest"
    )
    async with world.database.read(world.caller.organization_id) as session:
        await alert_keys.load_reported_events(session, alerts, [draft])


async def _fetch_later_entries(world: IndexedDatabase) -> None:
    async with world.database.read(world.caller.organization_id) as session:
        start, end = LogPosition(0, EVENTS), LogPosition(0, EVENTS + 100)
        await changes.list_event_entries(session, start, 20, until=end)


async def _count_later_entries(world: IndexedDatabase) -> None:
    async with world.database.read(ALL_ORGANIZATIONS) as session:
        await count_pending_entries(session, LogPosition(0, EVENTS))


# A request and the index that it uses. Of two indexes, the first is for SQLite, the second for
# PostgreSQL.
QUERIES: dict[str, tuple[Ask, str | tuple[str, str]]] = {
    "the latest": (fetch_page_with(), LATEST),
    "the oldest": (fetch_page_with(descending=False), LATEST),
    "of a day": (fetch_page_with(occurred_at=A_DAY), LATEST),
    "the last recorded": (
        fetch_page_with(EventOrderField.RECORDED_AT),
        "ix_event_organization_id_recorded_at_id",
    ),
    "recorded on a day": (
        count_events_with(recorded_at=A_DAY),
        "ix_event_organization_id_recorded_at_id",
    ),
    "the last repeated": (
        fetch_page_with(EventOrderField.LAST_OCCURRED_AT),
        "ix_event_organization_id_latest_occurrence_id",
    ),
    "repeated on a day": (
        count_events_with(last_occurred_at=A_DAY),
        "ix_event_organization_id_latest_occurrence_id",
    ),
    "the most severe": (
        fetch_page_with(EventOrderField.SEVERITY),
        "ix_event_organization_id_severity_rank_id",
    ),
    "the least severe": (
        fetch_page_with(EventOrderField.SEVERITY, descending=False),
        "ix_event_organization_id_severity_rank_id",
    ),
    "of a type": (
        fetch_page_with(types=(TYPES[30],)),
        "ix_event_organization_id_type_occurred_at_id",
    ),
    "of a rare prefix": (
        fetch_page_with(types=("com.acme.rig.v9*",)),
        "ix_event_organization_id_type_occurred_at_id",
    ),
    "the number of a prefix": (
        count_events_with(types=("com.acme.rig.*",)),
        "ix_event_organization_id_type_occurred_at_id",
    ),
    "of an event type": (fetch_page_with(event_type_id=UUID(int=1)), "ix_event_event_type_id"),
    "of a category": (
        fetch_page_with(category="pump"),
        "ix_event_organization_id_category_occurred_at_id",
    ),
    "of a rare severity": (
        fetch_page_with(severities=(Severity.ERROR,)),
        "ix_event_organization_id_severity_occurred_at_id",
    ),
    "about an entity": (
        fetch_page_with(entity=Entity("Well", "well-400")),
        "ix_event_organization_id_entity_id_occurred_at_id",
    ),
    "about an id": (
        fetch_page_with(entity_id="well-400"),
        "ix_event_organization_id_entity_id_occurred_at_id",
    ),
    "of a source": (
        fetch_page_with(source="/hosts/40"),
        "ix_event_organization_id_source_occurred_at_id",
    ),
    "of a producer's ids": (
        fetch_page_with(source="/hosts/40", source_ids=("17", "18")),
        RECEIPTS,
    ),
    "of a producer's ids of any source": (fetch_page_with(source_ids=("17", "18")), RECEIPTS),
    "the receipts of a batch": (_load_receipts, RECEIPTS),
    "by source": (
        lambda world: EVENT_BY_KEY.fetch_row(
            world.database, world.caller, SourceIdentity("/hosts/1", "17")
        ),
        RECEIPTS,
    ),
    "with all tags": (fetch_page_with(tags=TagFilter(all=("StudyId:399", "Team:9"))), TAGGED),
    "with any tag": (fetch_page_with(tags=TagFilter(any=("StudyId:399", "StudyId:398"))), TAGGED),
    "with a field's text": (
        fetch_page_with(**field_filter("cause", PredicateOperator.EQ, "cause 290")),
        HEAD,
    ),
    "with a nested text": (
        fetch_page_with(**field_filter("labels.host", PredicateOperator.EQ, "a host 290")),
        HEAD,
    ),
    "with nested numbers from one on": (
        fetch_page_with(**field_filter("labels.load", PredicateOperator.GTE, 990)),
        NUMBER,
    ),
    "with a text in a list of objects": (
        fetch_page_with(**field_filter("commits.author", PredicateOperator.EQ, "an author 290")),
        HEAD,
    ),
    "with a nested value": (
        fetch_page_with(**field_filter("labels.nothing", PredicateOperator.EXISTS, None)),
        NUMBER,
    ),
    "with one of some texts": (
        fetch_page_with(**field_filter("cause", PredicateOperator.IN, ("cause 290", "cause 291"))),
        HEAD,
    ),
    "with texts behind one": (
        fetch_page_with(**field_filter("cause", PredicateOperator.GT, "cause 99")),
        HEAD,
    ),
    "with a field's number": (
        fetch_page_with(**field_filter("pressure", PredicateOperator.EQ, 17.5)),
        NUMBER,
    ),
    "with numbers from one on": (
        fetch_page_with(**field_filter("pressure", PredicateOperator.GTE, 999)),
        NUMBER,
    ),
    "with an integer beyond doubles": (
        fetch_page_with(**field_filter("pressure", PredicateOperator.EQ, 2**53 + 1)),
        NUMBER,
    ),
    "with integers from one beyond doubles on": (
        fetch_page_with(**field_filter("pressure", PredicateOperator.GT, 2**53 + 1)),
        NUMBER,
    ),
    "with one of some integers beyond doubles": (
        fetch_page_with(
            **field_filter("pressure", PredicateOperator.IN, (1, 2**53 + 1, 2**60 + 1))
        ),
        NUMBER,
    ),
    "with any value": (
        fetch_page_with(**field_filter("nothing", PredicateOperator.EXISTS, None)),
        NUMBER,
    ),
    "of these ids": (fetch_page_with(ids=(UUID(int=1), UUID(int=2))), BY_ID),
    "one": (
        lambda world: EVENT_BY_KEY.fetch_row(world.database, world.caller, UUID(int=1)),
        BY_ID,
    ),
    "duplicates": (fetch_page_with(duplicate=True), "ix_event_duplicate_of_id"),
    "the bell": (
        lambda world: NOTIFICATION_LIST.fetch_page(world.database, world.caller, BELL),
        "ix_event_bell",
    ),
    "the number in the bell": (
        lambda world: NOTIFICATION_LIST.count_rows(world.database, world.caller, BELL),
        "ix_event_bell",
    ),
    "the bell, unacknowledged": (
        lambda world: NOTIFICATION_LIST.fetch_page(
            world.database, world.caller, NotificationPageRequest(NEW, PAGE)
        ),
        "ix_event_bell_unacknowledged",
    ),
    "the number unacknowledged": (
        lambda world: NOTIFICATION_LIST.count_rows(
            world.database, world.caller, BELL, UNACKNOWLEDGED_COUNT
        ),
        "ix_event_bell_unacknowledged",
    ),
    "the bell, open": (
        lambda world: NOTIFICATION_LIST.fetch_page(
            world.database, world.caller, NotificationPageRequest(OPEN, PAGE)
        ),
        "ix_event_bell_open",
    ),
    "the number of open notifications": (
        lambda world: NOTIFICATION_LIST.count_rows(
            world.database, world.caller, NotificationPageRequest(OPEN, PAGE)
        ),
        # Both have only events with this status.
        ("ix_event_status", "ix_event_(status|bell_open)"),
    ),
    "of an alert key": (fetch_page_with(alert_key="alert 40"), "ix_event_alert_key"),
    "the unresolved events of a batch": (
        _find_unresolved_events,
        (
            r"ix_event_unresolved_alert_key \(organization_id=\? AND source=\? AND alert_key",
            "ix_event_unresolved_alert_key",
        ),
    ),
    "the reports that those of a batch repeat": (
        _load_reported_events,
        ("sqlite_autoindex_alert_report_1", "pk_alert_report"),
    ),
    "of a status": (fetch_page_with(statuses=(EventStatus.RESOLVED,)), "ix_event_status"),
    "counts of a day": (
        lambda world: event_counts.count_events(
            world.database,
            world.caller,
            EventCountRequest(
                EventFilter(occurred_at=A_DAY),
                100,
                [EventDimension.SEVERITY],
                buckets=TimeBuckets(Duration(timedelta(hours=1)), ZoneInfo("Europe/Berlin"), A_DAY),
            ),
        ),
        LATEST,
    ),
    "counts by custom fields": (
        lambda world: event_counts.count_events(
            world.database,
            world.caller,
            EventCountRequest(
                EventFilter(occurred_at=A_DAY), 100, by_fields=["volume"], sum=["depth"]
            ),
        ),
        LATEST,
    ),
    "the log": (
        lambda world: history.fetch_page(world.database, world.caller, PAGE),
        # To PostgreSQL, both indexes cost the same: nearly all entries are of one organization.
        ("ix_change_place_of_organization", "ix_change_place(_of_organization)?"),
    ),
    "the log after a position": (
        lambda world: LogTail(world.database).fetch_entries_after(LogPosition(0, EVENTS)),
        (r"INTEGER PRIMARY KEY \(rowid", "ix_change_place"),
    ),
    "the log of an organization after a position": (
        _fetch_later_entries,
        (
            r"ix_change_place_of_organization \(organization_id=\? AND tx=\? AND seq",
            "ix_change_place(_of_organization)?",
        ),
    ),
    "the number of entries after a position": (
        _count_later_entries,
        (r"INTEGER PRIMARY KEY \(rowid", "ix_change_place"),
    ),
    "the log of an event": (
        lambda world: history.fetch_page(
            world.database,
            world.caller,
            PAGE,
            change_filter=EventChangeFilter(event_ids=(UUID(int=1),)),
        ),
        "ix_change_place_of_subject",
    ),
    "audit entries": (fetch_audit_page_with(), "ix_change_audit"),
    "audit entries with an action": (
        fetch_audit_page_with(actions=(AuditAction.ROTATED, AuditAction.RESET)),
        "ix_change_audit",
    ),
    "audit entries of an actor": (fetch_audit_page_with(actors=("actor 7",)), "ix_change_audit"),
    "audit entries of a type": (fetch_audit_page_with(subjects=("api_key",)), "ix_change_audit"),
    "audit entries of a day": (fetch_audit_page_with(at=A_DAY), "ix_change_audit"),
    "audit entries of a subject": (
        fetch_audit_page_with(subject_id=UUID(int=7)),
        "ix_change_place_of_subject",
    ),
    "an audit entry": (
        lambda world: audit.fetch_entry(
            world.database, world.caller, encode_entry_id(START, 1_000)
        ),
        ("USING INTEGER PRIMARY KEY", "pk_change"),
    ),
    "histories": (
        lambda world: history.fetch_pages(
            world.database, world.caller, PAGE, [UUID(int=1), UUID(int=2)]
        ),
        "ix_change_place_of_subject",
    ),
}


@pytest.mark.parametrize("query", QUERIES)
async def test_a_common_query_uses_its_index(world: IndexedDatabase, query: str) -> None:
    ask, index = QUERIES[query]
    if isinstance(index, tuple):
        index = index[world.dialect_name == POSTGRESQL]

    plan = await explain_query(world, ask)

    assert re.search(rf"\b{index}\b", plan), plan
    scan = r"\bSCAN (event|change|receipt)\b|Seq Scan on (event|change|receipt)\b"
    assert not re.search(scan, plan), plan


async def test_audit_entries_are_read_in_their_order_from_the_cursor_to_the_end_of_the_window(
    world: IndexedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "WINDOW_SIZE", 100)
    filter = AuditFilter(actors=("actor 7",))
    first = await audit.fetch_page(world.database, world.caller, PageRequest(1), filter)
    request = PageRequest(1, after=first.end)

    plan = await explain_query(
        world, lambda world: audit.fetch_page(world.database, world.caller, request, filter)
    )

    assert not re.search(r"TEMP B-TREE|\bSort\b|\bSCAN change\b|Seq Scan", plan), plan
    [search] = [line for line in plan.splitlines() if re.search("Index Cond|SEARCH change", line)]
    bounds = ("ROW(tx, seq) >", "ROW(tx, seq) <=")
    if world.dialect_name == SQLITE:
        bounds = ("ix_change_audit", "tx=? AND seq>? AND seq<?")
    assert all(bound in search for bound in bounds), plan


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("field", EventOrderField)
async def test_each_order_reads_an_index_also_after_a_cursor(
    world: IndexedDatabase, field: EventOrderField, descending: bool
) -> None:
    by = event_queries.event_order(field, descending)
    request = EventPageRequest((ALL,), by, PAGE)
    first = await EVENT_LIST.fetch_page(world.database, world.caller, request)
    cursor = first.encode_row_cursor(first.rows[-1])
    later = replace(request, page=PageRequest(20, after=cursor))

    plan = await explain_query(
        world, lambda world: EVENT_LIST.fetch_page(world.database, world.caller, later)
    )

    assert not re.search(r"TEMP B-TREE|\bSort\b|\bSCAN event\b|Seq Scan", plan), plan
    bound = "ROW(" if world.dialect_name == POSTGRESQL else f"({by.column_names[0]},id)"
    # The cursor is a condition of the index: rows before it are not read.
    [search] = [line for line in plan.splitlines() if re.search(r"Index Cond|SEARCH event", line)]
    assert bound in search, plan


BULK_FILTERS = {
    "all": ALL,
    "unacknowledged": NEW,
    "of a severity": EventFilter(severities=(Severity.INFO,)),
    "of a prefix": EventFilter(types=("com.acme.pump.*",)),
    "recorded before a time": EventFilter(recorded_at=TimeRange(end=START + timedelta(days=9))),
    "with a tag": EventFilter(tags=TagFilter(any=("Team:0",))),
}


@pytest.mark.parametrize("filter", BULK_FILTERS.values(), ids=BULK_FILTERS)
async def test_a_batch_of_a_bulk_change_reads_its_events_by_id(
    world: IndexedDatabase, filter: EventFilter
) -> None:
    organization_id = world.caller.organization_id
    conditions = event_conditions.build_conditions(filter, organization_id)
    async with world.database.read(organization_id) as session:
        selection = await bulk_changes.load_selection(session, conditions, Limits())
    # PostgreSQL uses statistics of the table, and reads 500 of 20,000 events in a different way.
    size = bulk_changes.BATCH_SIZE if world.dialect_name == SQLITE else 20
    ids = selection.ids[:size]

    async def lock_batch(world: IndexedDatabase) -> None:
        async with world.database.write(organization_id, writes_log=False) as session:
            rows = await bulk_changes.lock_matching(session, ids, conditions)
        assert [row.id for row in rows] == ids

    plan = await explain_query(world, lock_batch)

    indexes = re.findall(
        r"\b(?:ix_event_organization_id\w*|pk_event|sqlite_autoindex_event_1)\b", plan
    )
    assert ids
    assert set(indexes) == {BY_ID[world.dialect_name == POSTGRESQL]}, plan
    assert not re.search(r"\bSCAN event\b|Seq Scan on event\b", plan), plan


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_changes_on_sqlite_scan_no_index_of_the_organization(database: Database) -> None:
    command = await admin_command(database)
    count = bulk_changes.BATCH_SIZE
    reports = await events.log_events(database, command, [EventDraft()] * count)
    ids = [report.event.id for report in reports if report.event is not None]

    with capture_statements(database) as captured:
        linked = await correlations.correlate_events(
            database, command, ids[0], ids[1:101], Relation.RELATED
        )
        unlinked = await correlations.uncorrelate_events(
            database, command, ids[0], ids[1:51], Relation.RELATED
        )
        resolved = await status_changes.resolve_events(
            database, command, EventFilter(), None, ids[:100]
        )
        reopened = await status_changes.reopen_events(database, command, EventFilter(), ids[:100])
        deleted = await events.delete_events(
            database,
            command,
            EventFilter(),
            count,
            recorded_before=datetime.now(UTC) + timedelta(days=1),
        )

    assert linked.problems == unlinked.problems == ()
    assert resolved.changed_count == reopened.changed_count == 100
    assert deleted.changed_count == count
    by_ids = re.compile(r"FROM (event|correlation)\s+WHERE .* IN \(")
    with_ids = [each for each in captured if by_ids.search(each[0])]
    assert any("DELETE FROM correlation" in statement for statement, _ in with_ids)
    assert len(with_ids) > 4
    async with database.read(ALL_ORGANIZATIONS) as session:
        connection = await session.connection()
        for statement, parameters in with_ids:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plan = "\n".join(str(row[-1]) for row in rows)
            scan = r"SCAN (event|correlation)\b|SEARCH event\b.*organization_id="
            assert not re.search(scan, plan), plan


async def test_the_lag_of_a_channel_reads_no_change_before_its_position(
    world: IndexedDatabase,
) -> None:
    async def measure(world: IndexedDatabase) -> None:
        async with world.database.read(ALL_ORGANIZATIONS) as session:
            await measure_channels(session)

    plan = await explain_query(world, measure)

    assert "ix_change_place_of_organization" in plan, plan
    if world.dialect_name == POSTGRESQL:
        assert re.search(r"Index Cond: .*ROW\(.*tx, .*seq\) > ROW\(.*tx, .*seq\)", plan), plan
        assert " Sort" not in plan, plan
    else:
        assert "(organization_id=? AND tx=? AND seq>?)" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


@pytest.mark.parametrize("search", ["word1990", "word0 word1990", "WORD1990, word1991", "word199*"])
async def test_a_search_uses_the_index_of_words_and_no_other(
    world: IndexedDatabase, search: str
) -> None:
    plan = await explain_query(world, fetch_page_with(search=search))

    if world.dialect_name == POSTGRESQL:
        assert "Bitmap Index Scan on ix_event_words_words" in plan, plan
        # With a word that all events of the organization have, one that is common elsewhere is
        # cheap.
        assert f"@2@{world.caller.organization_id.hex}" in plan, plan
    else:
        assert "SCAN event_search VIRTUAL TABLE INDEX" in plan, plan
        assert "SEARCH event_words USING INTEGER PRIMARY KEY (rowid=?)" in plan, plan
        assert "SCAN event_words" not in plan, plan
