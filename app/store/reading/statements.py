"""Composed statements, kept for those who ask alike; what `read` sends is in one organization."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Select
from sqlalchemy.sql import visitors

from app.store.engine import raw_rows
from app.store.engine.database import Database, confined
from app.store.tables.columns import TextScan

KEPT = 1_000
HEAVIEST_KEPT = 20_000  # in characters, with the values that belong to the form
MOST_VALUES = 32_766  # of a statement: either database's own limit, or one less


class TooWideError(Exception):
    """The statement would have more values than a database takes."""


@dataclass(frozen=True)
class Statement:
    """Its text, and what fills each of its places: a value by its name, as the driver takes it."""

    text: str
    slots: tuple[tuple[str, Any, Callable[[Any], Any] | None], ...]
    scans_texts: bool = False

    @property
    def weight(self) -> int:
        return len(self.text) + sum(50 + len(str(fixed)) for _, fixed, _ in self.slots)

    def parameters(self, values: Mapping[str, Any]) -> list[Any]:
        return [
            values.get(name, fixed) if process is None else process(values.get(name, fixed))
            for name, fixed, process in self.slots
        ]


_kept: OrderedDict[Hashable, Statement] = OrderedDict()


async def read(
    database: Database,
    key: tuple[Hashable, ...],
    compose: Callable[[], Select[Any]],
    values: Mapping[str, Any],
) -> list[raw_rows.Row]:
    """The rows of the statement under this key, which is composed where it is not kept.

    TooWideError, and what `RawRows.fetch_rows` raises.
    """
    statement = _statement(database, (database.dialect.name, *key), compose)
    return await database.raw_rows.fetch_rows(
        statement.text, statement.parameters(values), scans_texts=statement.scans_texts
    )


def _statement(database: Database, key: Hashable, compose: Callable[[], Select[Any]]) -> Statement:
    if (kept := _kept.get(key)) is not None:
        _kept.move_to_end(key)
        return kept
    # The one way in for what is kept here: it adds the organization.
    if (made := composed(database.dialect, confined(compose()))).weight <= HEAVIEST_KEPT:
        _kept[key] = made
        if len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def composed(dialect: Dialect, statement: Select[Any]) -> Statement:
    """As it is: whoever sends it has put the organization into it. TooWideError."""
    compiled: Any = statement.compile(dialect=dialect)
    # Lists that belong to the form of a filter get a place for each of their values.
    whole = compiled.construct_expanded_state()
    processors = {**compiled._bind_processors, **whole.processors}
    if len(whole.positiontup) > MOST_VALUES:
        raise TooWideError
    slots = tuple(
        (name, whole.parameters[name], processors.get(name)) for name in whole.positiontup
    )
    scans_texts = any(isinstance(each, TextScan) for each in visitors.iterate(statement))
    return Statement(whole.statement, slots, scans_texts)
