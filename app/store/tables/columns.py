"""Where SQLite and PostgreSQL differ: column types, and functions that each writes its own way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Integer,
    String,
    Text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
MEMORY = "memory"


class JSONValue(TypeDecorator[Any]):
    """JSON, kept as text. Assign a new value to change it: a change in place is not seen."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        # A column declared JSON has numeric affinity on SQLite: it would keep "1.0" as 1.
        text_or_json = Text() if dialect.name == SQLITE else self.impl_instance
        return dialect.type_descriptor(text_or_json)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return json.dumps(value) if value is not None and dialect.name == SQLITE else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return json.loads(value) if value is not None and dialect.name == SQLITE else value


class LogNumber(TypeDecorator[int]):
    """64 bits. SQLite counts up only what is declared INTEGER, which is as wide there."""

    impl = BigInteger().with_variant(Integer(), SQLITE)
    cache_ok = True


class Instant(TypeDecorator[datetime]):
    """An aware instant, in UTC both ways. A naive one is refused: it would shift silently."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == SQLITE:
            return dialect.type_descriptor(String(32))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no offset")
        instant = value if value.tzinfo is UTC else value.astimezone(UTC)
        # One width for all, so that the order of the texts is the order of the instants.
        return instant.isoformat(timespec="microseconds") if dialect.name == SQLITE else instant

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == SQLITE:
            return datetime.fromisoformat(value)
        # The first and the last instant are infinite to asyncpg, and come back without an offset.
        instant: datetime = value
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class CurrentTransaction(FunctionElement[int]):
    """The number that puts a log entry in its transaction; 0 on SQLite, where writers queue."""

    type = BigInteger()
    inherit_cache = True


class Horizon(FunctionElement[int]):
    """The oldest transaction that may still be open: entries before it are complete."""

    type = BigInteger()
    inherit_cache = True


@compiles(CurrentTransaction, SQLITE)
def _current_on_sqlite(*_: Any, **__: Any) -> str:
    return "0"


@compiles(CurrentTransaction, POSTGRESQL)
def _current_on_postgresql(*_: Any, **__: Any) -> str:
    return "(pg_current_xact_id()::text::bigint)"


@compiles(Horizon, SQLITE)
def _horizon_on_sqlite(*_: Any, **__: Any) -> str:
    return "1"


@compiles(Horizon, POSTGRESQL)
def _horizon_on_postgresql(*_: Any, **__: Any) -> str:
    return "(pg_snapshot_xmin(pg_current_snapshot())::text::bigint)"


class CodePoints(TypeDecorator[str]):
    """Text in the order of its code points, which is SQLite's own and Python's."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        collation = "C" if dialect.name == POSTGRESQL else None
        return dialect.type_descriptor(String(collation=collation))


class Words(TypeDecorator[Any]):
    """A set of words to find a row by. They are written, never read.

    SQLite's FTS5 would take a text apart by rules of its own: there, a word is one token of a-z and
    0-9. A word has no quote and no backslash.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(Text() if dialect.name == SQLITE else TSVECTOR())

    def process_bind_param(self, value: Iterable[str] | None, dialect: Dialect) -> str | None:
        return None if value is None else " ".join(sorted(_tokens(value, dialect)))


class _AllWords(TypeDecorator[Any]):
    """The question whether all of the words are there."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(Text() if dialect.name == SQLITE else TSQUERY())

    def process_bind_param(self, value: Iterable[str] | None, dialect: Dialect) -> str | None:
        both = " AND " if dialect.name == SQLITE else " & "
        return None if value is None else both.join(sorted(_tokens(value, dialect)))


def _tokens(words: Iterable[str], dialect: Dialect) -> list[str]:
    if dialect.name != SQLITE:
        return [f"'{word}'" for word in words]
    return [
        f"a{word}" if word.isascii() and word.isalnum() else f"u{word.encode().hex()}"
        for word in words
    ]


class TextScan(FunctionElement[bool]):
    """A condition that may look through a whole text, or through all rows that have a word."""

    inherit_cache = True


class HasWords(TextScan):
    """Whether the row of `event_words` has all of the words: (its id, its words, the words)."""

    type = Boolean()
    inherit_cache = True
    # Otherwise "= 1" is put behind it on SQLite, which no index serves: all words would be read.
    _is_implicitly_boolean = True

    def __init__(self, row_id: Any, column: Any, words: Iterable[str]) -> None:
        super().__init__(row_id, column, type_coerce(frozenset(words), _AllWords()))


class Includes(TextScan):
    """Whether a text has another within it, to the letter."""

    type = Boolean()
    inherit_cache = True


class Bucket(FunctionElement[int]):
    """Which stretch of so many seconds an instant lies in, counted from the epoch."""

    type = BigInteger()
    inherit_cache = True


@compiles(HasWords, SQLITE)
def _has_words_on_sqlite(element: Any, compiler: Any, **more: Any) -> str:
    row_id, _, wanted = (compiler.process(each, **more) for each in element.clauses)
    found = f"SELECT rowid FROM event_search WHERE event_search MATCH {wanted}"  # noqa: S608
    return f"{row_id} IN ({found})"


@compiles(HasWords, POSTGRESQL)
def _has_words_on_postgresql(element: Any, compiler: Any, **more: Any) -> str:
    _, column, wanted = (compiler.process(each, **more) for each in element.clauses)
    return f"{column} @@ {wanted}"


@compiles(Includes, SQLITE)
def _includes_on_sqlite(element: Any, compiler: Any, **more: Any) -> str:
    return f"(instr({compiler.process(element.clauses, **more)}) > 0)"


@compiles(Includes, POSTGRESQL)
def _includes_on_postgresql(element: Any, compiler: Any, **more: Any) -> str:
    return f"(strpos({compiler.process(element.clauses, **more)}) > 0)"


# Whole seconds are cut from the text on SQLite: strftime would round up what is nearly the next.
@compiles(Bucket, SQLITE)
def _bucket_on_sqlite(element: Any, compiler: Any, **more: Any) -> str:
    instant, width = (compiler.process(each, **more) for each in element.clauses)
    seconds = f"CAST(strftime('%s', substr({instant}, 1, 19)) AS INTEGER)"
    return f"(({seconds} - (({seconds} % {width}) + {width}) % {width}) / {width})"


@compiles(Bucket, POSTGRESQL)
def _bucket_on_postgresql(element: Any, compiler: Any, **more: Any) -> str:
    instant, width = (compiler.process(each, **more) for each in element.clauses)
    # The first instant is -infinity to asyncpg, which has no epoch.
    finite = f"greatest({instant}, TIMESTAMPTZ '0001-01-01 00:00:00+00')"
    return f"CAST(floor(extract(epoch FROM {finite}) / {width}) AS BIGINT)"


class Kind(Enum):
    """How a value lies in a row, as far as writing it in JSON goes."""

    ID = "id"
    TEXT = "text"
    NAME = "name"  # of an enum: needs no escapes
    WHOLE = "whole"
    REAL = "real"
    TRUTH = "truth"
    INSTANT = "instant"
    SPAN = "span"
    JSON = "json"


# Code of a JSON value, for an f-string, of what the driver gives for `{0}`. Whoever runs it knows
# `quoted`, `dumps`, `span` and `TRUTHS`.
_JSON = {
    Kind.TEXT: "{{quoted({0})}}",
    Kind.NAME: '"{{{0}}}"',
    Kind.WHOLE: "{{{0}}}",
    Kind.REAL: "{{{0}!r}}",
    Kind.TRUTH: "{{TRUTHS[{0}]}}",
    Kind.SPAN: "{{span({0})}}",
    Kind.JSON: "{{{0}}}",
}
_OBJECTS = {
    Kind.ID: '"{{{0}}}"',
    Kind.INSTANT: '"{{{0}.isoformat("T", "microseconds")[:26]}}Z"',
}
_JSON_OF = {
    SQLITE: _JSON
    | {
        Kind.ID: '"{{{0}[:8]}}-{{{0}[8:12]}}-{{{0}[12:16]}}-{{{0}[16:20]}}-{{{0}[20:]}}"',
        Kind.INSTANT: '"{{{0}[:26]}}Z"',
    },
    POSTGRESQL: _JSON | _OBJECTS,
    MEMORY: _JSON | _OBJECTS | {Kind.NAME: '"{{{0}.name}}"', Kind.JSON: "{{dumps({0})}}"},
}


class Raw:
    """What the driver gives of a dialect: how it is written in JSON, and what it means.

    Without a dialect it is what rows have in memory, in UTC, which means what it is.
    """

    def __init__(self, dialect: Dialect | None) -> None:
        self._dialect = dialect
        self.name = MEMORY if dialect is None else dialect.name

    def json_code(self, kind: Kind, name: str) -> str:
        """Code of the variable's value in JSON, for an f-string in three single quotes."""
        return _JSON_OF[self.name][kind].format(name)

    def meaning(self, type_: TypeEngine[Any]) -> Callable[[Any], Any]:
        """What makes a value of the column's type of what the driver gives."""
        if self._dialect is None:
            return _as_it_is
        return type_.dialect_impl(self._dialect).result_processor(self._dialect, None) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
