"""The end of the log as the feed reads it: of all organizations, in one statement, and without a
session, which would cost more than the reading. `changes` says what is read.
"""

from __future__ import annotations

import json
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
    tuple_,
)
from sqlalchemy.types import TypeEngine

from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import Entry, Now, Place
from app.store.change_log.log_snapshot import PRUNED
from app.store.engine import raw_rows
from app.store.engine.database import Database
from app.store.reading.statements import Statement, composed
from app.store.tables import METADATA
from app.store.tables.columns import Horizon, JSONValue

BATCH = 500
_CHANGE = METADATA.tables["change"].c
_EVENT = METADATA.tables["event"].c


class Tail:
    """It composes its statements once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self) -> Place:
        """The last complete entry: whatever is committed later lies behind it."""
        text, given = self._head.text, self._head.parameters({})
        [row] = await self._database.raw_rows.fetch_rows(text, given)
        return changes.head_in(row)

    async def read_after(self, place: Place) -> tuple[list[Entry], Place]:
        """The next complete entries in order, at most `BATCH`; and, where there are any, the place
        up to which some may have been removed.
        """
        text, given = self._next.text, self._next.parameters(place._asdict())
        rows = await self._database.raw_rows.fetch_rows(text, given)
        pruned = Place(*rows[0][-2:]) if rows else changes.START
        return [self._entry(row) for row in rows], pruned

    @cached_property
    def _head(self) -> Statement:
        return composed(self._database.dialect, changes.head_statement())

    @cached_property
    def _next(self) -> Statement:
        return composed(self._database.dialect, _next_entries())

    @cached_property
    def _meanings(self) -> list[Callable[[Any], Any]]:
        return [self._meaning(column.type) for column in (*_CHANGE, *_EVENT)]

    def _meaning(self, type_: TypeEngine[Any]) -> Callable[[Any], Any]:
        return _json if isinstance(type_, JSONValue) else self._database.raw.meaning(type_)

    def _entry(self, row: raw_rows.Row) -> Entry:
        values = [meaning(each) for meaning, each in zip(self._meanings, row, strict=False)]
        change = dict(zip(_CHANGE.keys(), values, strict=False))
        event = dict(zip(_EVENT.keys(), values[len(change) :], strict=True))
        return Entry(
            place=Place(change.pop("tx"), change.pop("seq")),
            state_json=change.pop("state"),
            now=Now(None if event["id"] is None else tables.Event.as_read(event)),
            **change,
        )


def _next_entries() -> Select[Any]:
    """The entries are cut first: with the join inside, PostgreSQL may plan for all of them."""
    place = tuple_(_CHANGE.tx, _CHANGE.seq)
    after = tuple_(*(bindparam(name, None, type_=BigInteger()) for name in ("tx", "seq")))
    entries = (
        select(*_CHANGE)
        .where(place > after, _CHANGE.tx < Horizon())
        .order_by(_CHANGE.tx, _CHANGE.seq)
        .limit(literal_column(str(BATCH)))
        .subquery("entries")
    )
    of_event = entries.c.subject == literal_column(f"'{changes.EVENT}'")
    columns = [_read(column) for column in (*entries.c, *_EVENT)]
    return (
        select(*columns, *PRUNED)
        .select_from(entries)
        .join(tables.Log, true())
        .outerjoin(METADATA.tables["event"], and_(of_event, _EVENT.id == entries.c.subject_id))
        .order_by(entries.c.tx, entries.c.seq)
    )


def _read(column: Any) -> Any:
    # As its text, on both databases.
    return cast(column, Text) if isinstance(column.type, JSONValue) else column


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)
