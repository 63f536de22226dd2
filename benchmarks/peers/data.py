"""Fills a database with events quickly: 500 are logged by Tocsin itself, the others are copies.

The rows that `log_events` wrote are read from every table of events, and inserted again with new
IDs, instants and log positions, with everything else that belongs to an event.
"""

from __future__ import annotations

import asyncio
import csv
import gc
import io
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from pydantic import SecretStr

from app.database_setup import prepare_database
from app.domain.event_types.definitions import EventTypeDefinition
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.state import Entity, EventDraft
from app.domain.intake.intake import CommandContext
from app.services.auth.access import Access, authenticate_credential
from app.services.event_types.event_type_commands import create_event_type
from app.services.events.events import log_events
from app.settings import Settings
from app.store.engine.database import Database
from app.store.tables import METADATA

TYPES = 50
PATTERNS = 500
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=10)
LATER = timedelta(milliseconds=250)
SOURCES = tuple(f"/site/sensors/{number}" for number in range(20))
BATCH = 1_000
NULL = r"\N"
FIELDS = (
    FieldDefinition("volume_mcf", FieldKind.NUMBER, "Volume", True, unit="mcf", minimum=0),
    FieldDefinition("hours", FieldKind.INTEGER, "Hours", minimum=0),
    FieldDefinition("cause", FieldKind.SELECT, "Cause", options=("equipment", "weather", "other")),
    FieldDefinition("shift", FieldKind.TEXT, "Shift"),
    FieldDefinition("planned", FieldKind.BOOLEAN, "Planned"),
    FieldDefinition("remark", FieldKind.LONG_TEXT, "Remark"),
)


def type_name(number: int) -> str:
    return f"site.process_{number % TYPES:02}"


def build_data(database_url: str, key: str, events: int) -> None:
    """Fills an empty database with this number of events, of 50 types with 6 fields each."""
    settings = Settings(database_url=database_url, bootstrap_key=SecretStr(key))
    asyncio.run(_log_patterns(settings, key, min(events, PATTERNS)))
    copies = max(0, events - PATTERNS)
    gc.disable()  # it would scan every row of a batch repeatedly: half of the time
    if database_url.startswith("sqlite"):
        _fill_sqlite(database_url.removeprefix("sqlite:///"), copies)
    else:
        asyncio.run(_fill_postgresql(database_url, copies))
    gc.enable()


async def _log_patterns(settings: Settings, key: str, count: int) -> None:
    await prepare_database(settings)
    database = Database(settings.database_url)
    try:
        caller = await authenticate_credential(Access(database), f"Bearer {key}")
        command = CommandContext(caller, FIRST + LATER)
        for number in range(TYPES):
            saved = await create_event_type(database, command, _build_definition(number))
            assert not saved.problems, saved.problems
        reports = await log_events(
            database, command, [_build_draft(number) for number in range(count)]
        )
        assert all(report.stored for report in reports), reports
    finally:
        await database.close()


def _build_definition(number: int) -> EventTypeDefinition:
    return EventTypeDefinition(
        name=f"Process {number:02}",
        type=type_name(number),
        description="What a part of the site reports.",
        category=("flaring", "drilling", "safety", "supply", "power")[number % 5],
        state=EventTypeState.PUBLISHED,
        fields=FIELDS,
    )


def _build_draft(number: int) -> EventDraft:
    return EventDraft(
        type=type_name(number * 7),
        entity=Entity("Well", f"well-{number % 100:03}"),
        severity=("info", "info", "success", "warn", "error")[number % 5],
        summary=f"Reading {number:03} of the process differs from what was planned",
        content="It was measured twice. The second reading is the one that counts.",
        source=SOURCES[number % len(SOURCES)],
        occurred_at=FIRST,
        fields={"volume_mcf": number + 0.5, "hours": number % 24, "cause": "weather"},
        tags=(f"StudyId:{number % 40:03}", f"Well:{number % 100:03}"),
        notification=number % 10 == 0,
    )


class RowCopy(NamedTuple):
    """The values that differ in each copy, as the database and the JSON of the log store them."""

    key: str
    id: str
    seq: int
    tx: int
    occurred_at: str
    recorded_at: str

    @classmethod
    def from_number(cls, number: int, seq: int, tx: int, hexadecimal: bool) -> RowCopy:
        occurred_at = FIRST + number * STEP
        milliseconds = int(occurred_at.timestamp() * 1000)
        high = milliseconds << 16 | 7 << 12 | number & 0xFFF  # the layout of a UUIDv7
        own = UUID(int=high << 64 | 2 << 62 | number)
        key = own.hex if hexadecimal else str(own)
        return cls(
            key,
            str(own),
            seq,
            tx,
            _format_stored_instant(occurred_at),
            _format_stored_instant(occurred_at + LATER),
        )


class RowPattern:
    """A row of one table, and which of its cells differ between copies."""

    def __init__(self, key: str, columns: Sequence[str], row: Sequence[Any]) -> None:
        self._row = list(row)
        self._state = columns.index("state") if "state" in columns else None
        self._own = str(UUID(row[columns.index(key)]))
        named = {name: index for index, name in enumerate(RowCopy._fields)}
        counters = {"seq": "seq", "rang_seq": "seq", "tx": "tx", "rang_tx": "tx", key: "key"}
        counters |= {"occurred_at": "occurred_at"}
        counters |= dict.fromkeys(("recorded_at", "updated_at", "at"), "recorded_at")
        self._cells = [
            (index, named[counters[name]])
            for index, (name, value) in enumerate(zip(columns, row, strict=True))
            if name in counters and value not in (None, NULL)
        ]

    def build_row(self, copy: RowCopy) -> list[Any]:
        copied = self._row.copy()
        for index, own in self._cells:
            copied[index] = copy[own]
        if self._state is not None:
            copied[self._state] = (
                self._row[self._state]
                .replace(_OCCURRED, _format_entry_instant(copy.occurred_at))
                .replace(_RECORDED, _format_entry_instant(copy.recorded_at))
                .replace(self._own, copy.id)
            )
        return copied


def _format_stored_instant(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds")


def _format_entry_instant(instant: str) -> str:
    """Formats an instant as in the JSON of the log."""
    return f"{instant[:26]}Z"


_OCCURRED, _RECORDED = (
    _format_entry_instant(_format_stored_instant(FIRST)),
    _format_entry_instant(_format_stored_instant(FIRST + LATER)),
)
Patterns = dict[str, tuple[list[str], dict[UUID, list[RowPattern]]]]


def _read_patterns(read: Callable[[str], tuple[list[str], list[Any]]]) -> Patterns:
    """Returns, by table, its columns and the rows of each logged event."""
    patterns: Patterns = {}
    for table in METADATA.sorted_tables:
        key = {"event": "id", "change": "subject_id"}.get(table.name, "event_id")
        if key not in table.columns:
            continue
        columns, rows = read(table.name)
        # Numbers and columns that the database generates are left out.
        columns_kept = [
            index
            for index, name in enumerate(columns)
            if (name != "id" or key == "id") and table.c[name].computed is None
        ]
        columns = [columns[index] for index in columns_kept]
        of_event: dict[UUID, list[RowPattern]] = defaultdict(list)
        for row in rows:
            row = [row[index] for index in columns_kept]
            if table.name == "change" and row[columns.index("subject")] != "event":
                continue
            of_event[UUID(row[columns.index(key)])].append(RowPattern(key, columns, row))
        if of_event:
            patterns[table.name] = columns, of_event
    return patterns


def _build_batches(
    patterns: Patterns, copies: int, seq: int, tx: int, *, hexadecimal: bool
) -> Iterator[dict[str, list[Any]]]:
    """Yields the rows of each table in batches, in the order in which events are logged."""
    ids = list(patterns["event"][1])
    numbers = iter(range(1, copies + 1))
    while batch := list(islice(numbers, BATCH)):
        rows: dict[str, list[Any]] = {table: [] for table in patterns}
        for number in batch:
            copy = RowCopy.from_number(number, seq + number, tx, hexadecimal)
            for table, (_, of_event) in patterns.items():
                rows[table] += [each.build_row(copy) for each in of_event[ids[number % len(ids)]]]
        yield rows


def _fill_sqlite(file: str, copies: int) -> None:
    assert Path(file).exists()
    connection = sqlite3.connect(file, isolation_level=None)

    def read(table: str) -> tuple[list[str], list[Any]]:
        cursor = connection.execute(f'SELECT * FROM "{table}" ORDER BY rowid')
        return [each[0] for each in cursor.description], cursor.fetchall()

    patterns = _read_patterns(read)
    seq = connection.execute("SELECT max(seq) FROM change").fetchone()[0]
    connection.execute("PRAGMA cache_size = -1000000")
    connection.execute("BEGIN IMMEDIATE")
    for rows in _build_batches(patterns, copies, seq, 0, hexadecimal=True):
        for table, copied in rows.items():
            columns = patterns[table][0]
            marks = ", ".join("?" * len(columns))
            names = ", ".join(columns)
            connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', copied)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


async def _fill_postgresql(database_url: str, copies: int) -> None:
    connection = await asyncpg.connect(database_url)
    tables: dict[str, tuple[list[str], list[Any]]] = {}
    for table in METADATA.sorted_tables:
        out = io.BytesIO()
        await connection.copy_from_table(
            table.name, output=out, format="csv", header=True, null=NULL
        )
        columns, *lines = csv.reader(io.StringIO(out.getvalue().decode(), newline=""))
        tables[table.name] = columns, lines
    patterns = _read_patterns(tables.__getitem__)
    async with connection.transaction():
        tx = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
        seq = await connection.fetchval("SELECT max(seq) FROM change")
        for rows in _build_batches(patterns, copies, seq, tx, hexadecimal=False):
            for name, copied in rows.items():
                text = io.StringIO(newline="")
                csv.writer(text).writerows(copied)
                await connection.copy_to_table(
                    name,
                    source=io.BytesIO(text.getvalue().encode()),
                    columns=patterns[name][0],
                    format="csv",
                    null=NULL,
                )
        sequence = "pg_get_serial_sequence('change', 'seq')"
        await connection.execute(f"SELECT setval({sequence}, max(seq)) FROM change")
    # Autovacuum would do this some time during the run.
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
