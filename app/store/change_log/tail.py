"""Reads the end of the change log for the feed, for all organizations.

Without a session, which would cost more than the read. `changes` describes the entries.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    literal_column,
    select,
    true,
)

from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import CurrentEvent, Entry, LogPosition
from app.store.change_log.log_snapshot import PRUNED_COLUMNS
from app.store.engine.database import Database
from app.store.engine.driver_statements import DriverRow
from app.store.reading.statements import CompiledStatement, compile_statement
from app.store.tables import METADATA
from app.store.tables.columns import Horizon, IsAfter, JSONValue

BATCH_SIZE = 500
_CHANGE = METADATA.tables["change"].c
_EVENT = METADATA.tables["event"].c


class ReplacedLogError(Exception):
    """A failover or a restore has replaced the change log: the position may mean other entries."""


class LogTail:
    """A reader of the end of one change log. It compiles its statements once.

    Its methods raise ReplacedLogError if the change log has been replaced since the first call.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._identity: str | None = None

    async def fetch_head(self) -> LogPosition:
        """Position of the last complete entry: all later commits have greater positions."""
        [row] = await self._fetch_rows(self._head_statement)
        return changes.head_from_row(row)

    async def fetch_entries_after(self, position: LogPosition) -> tuple[list[Entry], LogPosition]:
        """The next complete entries in order, at most BATCH_SIZE, and the pruned position.

        The pruned position is LOG_START if there are no entries.
        """
        rows = await self._fetch_rows(self._next_entries_statement, **position._asdict())
        pruned = LogPosition(*rows[0][-2:]) if rows else changes.LOG_START
        return [self._entry_from_row(row) for row in rows], pruned

    async def _fetch_rows(self, statement: CompiledStatement, **values: int) -> list[DriverRow]:
        horizon = self._database.log_horizon
        await horizon.refresh()
        if self._identity not in (None, horizon.identity):
            raise ReplacedLogError
        self._identity = horizon.identity
        parameters = statement.bind_values(values | horizon.parameters)
        return await self._database.row_reader.fetch_rows(statement.text, parameters)

    @cached_property
    def _head_statement(self) -> CompiledStatement:
        return compile_statement(self._database.dialect, changes.head_statement())

    @cached_property
    def _next_entries_statement(self) -> CompiledStatement:
        return compile_statement(self._database.dialect, _select_next_entries())

    @cached_property
    def _column_decoders(self) -> list[Callable[[Any], Any]]:
        codec = self._database.driver_codec
        return [codec.value_decoder(column.type) for column in (*_CHANGE, *_EVENT)]

    def _entry_from_row(self, row: DriverRow) -> Entry:
        values = [decode(value) for decode, value in zip(self._column_decoders, row, strict=False)]
        change = dict(zip(_CHANGE.keys(), values, strict=False))
        event = dict(zip(_EVENT.keys(), values[len(change) :], strict=True))
        return Entry(
            position=LogPosition(change.pop("tx"), change.pop("seq")),
            state_json=change.pop("state"),
            current=CurrentEvent(None if event["id"] is None else tables.Event.from_columns(event)),
            **change,
        )


def _select_next_entries() -> Select[Any]:
    """Limits the entries before the join: otherwise PostgreSQL may plan for all of them."""
    after = (bindparam(name, None, type_=BigInteger()) for name in ("tx", "seq"))
    entries = (
        select(*_CHANGE)
        .where(IsAfter(_CHANGE.tx, _CHANGE.seq, *after), _CHANGE.tx < Horizon())
        .order_by(_CHANGE.tx, _CHANGE.seq)
        .limit(literal_column(str(BATCH_SIZE)))
        .subquery("entries")
    )
    is_event_entry = entries.c.subject == literal_column(f"'{changes.EVENT}'")
    columns = [_selectable(column) for column in (*entries.c, *_EVENT)]
    return (
        select(*columns, *PRUNED_COLUMNS)
        .select_from(entries)
        .join(tables.Log, true())
        .outerjoin(
            METADATA.tables["event"], and_(is_event_entry, _EVENT.id == entries.c.subject_id)
        )
        .order_by(entries.c.tx, entries.c.seq)
    )


def _selectable(column: Any) -> Any:
    # JSON as text, on both databases.
    return cast(column, Text) if isinstance(column.type, JSONValue) else column
