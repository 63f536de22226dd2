"""Column types, SQL functions and driver values that differ between SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    Integer,
    String,
    Text,
    bindparam,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.domain.events.words import is_prefix_term
from app.domain.shared.json_encoding import encode_json, load_json

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
IN_MEMORY = "memory"


class JSONValue(TypeDecorator[Any]):
    """JSON, stored as text. Assign a new value to change it: mutations are not detected."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        # A column declared JSON has numeric affinity on SQLite: it would store "1.0" as 1.
        text_or_json = Text() if dialect.name == SQLITE else self.impl_instance
        return dialect.type_descriptor(text_or_json)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return encode_json(value) if value is not None and dialect.name == SQLITE else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return load_json(value) if value is not None and dialect.name == SQLITE else value


class LogNumber(TypeDecorator[int]):
    """A 64-bit integer. INTEGER on SQLite, which autoincrements no other type."""

    impl = BigInteger().with_variant(Integer(), SQLITE)
    cache_ok = True


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC. Rejects naive datetimes, which would be shifted silently."""

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
            raise ValueError(f"{value} has no UTC offset")
        in_utc = value if value.tzinfo is UTC else value.astimezone(UTC)
        # A fixed width, so that texts sort in the order of time.
        return in_utc.isoformat(timespec="microseconds") if dialect.name == SQLITE else in_utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == SQLITE:
            return datetime.fromisoformat(value)
        # asyncpg returns infinity as datetime.min and datetime.max, without an offset.
        stored: datetime = value
        return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


class CurrentTransaction(FunctionElement[int]):
    """The ID of the current transaction; 0 on SQLite, where writers are serialized."""

    type = BigInteger()
    inherit_cache = True


HORIZON_PARAMETER = "log_horizon"
IDENTITY_PARAMETER = "log_identity"
# `LogSnapshot.identity`, in SQL of PostgreSQL.
LOG_IDENTITY = "SELECT concat_ws('.', epoch, nullif(log_timeline(), '')) FROM log"


class Horizon(FunctionElement[int]):
    """The horizon of the change log for the statement's snapshot: entries before it are complete.

    The parameter HORIZON_PARAMETER is one that was found before the snapshot, in the change log of
    IDENTITY_PARAMETER: after a failover or a restore, transaction numbers may be used again.
    The oldest transaction that is open in the whole cluster is a horizon, too.
    """

    type = BigInteger()
    inherit_cache = True

    def __init__(self) -> None:
        super().__init__(
            bindparam(HORIZON_PARAMETER, 0, type_=BigInteger()),
            bindparam(IDENTITY_PARAMETER, "", type_=String()),
        )


class IsAfter(FunctionElement[bool]):
    """Whether a position of the change log is after another: (tx, seq, the other tx and seq).

    On SQLite, where all entries have the same tx, a pair with the primary key is no bound of an
    index: all entries would be read. On PostgreSQL, entries of a restored dump have the tx 0, too.
    """

    type = Boolean()
    inherit_cache = True
    # Otherwise SQLAlchemy appends "= 1" on SQLite, which prevents the use of the index.
    _is_implicitly_boolean = True
    comparison = ">"


class IsNotAfter(IsAfter):
    """Whether a position of the change log is before or at another."""

    inherit_cache = True
    comparison = "<="


class Timeline(FunctionElement[str]):
    """The timeline of PostgreSQL's write-ahead log: another one after each failover.

    Empty if the server is a standby or does not tell it. Migration 0013 has the function.
    """

    type = String()
    inherit_cache = True


class SnapshotEnd(FunctionElement[int]):
    """A number that no transaction of the statement's snapshot has reached."""

    type = BigInteger()
    inherit_cache = True


@compiles(IsAfter)
def _compare_positions(element: Any, compiler: Any, **options: Any) -> str:
    tx, seq, other_tx, other_seq = (
        compiler.process(clause, **options) for clause in element.clauses
    )
    if compiler.dialect.name == SQLITE:
        return f"({tx} = {other_tx} AND {seq} {element.comparison} {other_seq})"
    return f"({tx}, {seq}) {element.comparison} ({other_tx}, {other_seq})"


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
def _horizon_on_postgresql(element: Horizon, compiler: Any, **options: Any) -> str:
    known, identity = (compiler.process(clause, **options) for clause in element.clauses)
    oldest = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    # Subqueries are evaluated once, not for each row.
    return f"greatest((SELECT CASE WHEN ({LOG_IDENTITY}) = {identity} THEN {known} END), {oldest})"


@compiles(Timeline, SQLITE)
def _timeline_on_sqlite(*_: Any, **__: Any) -> str:
    return "''"


@compiles(Timeline, POSTGRESQL)
def _timeline_on_postgresql(*_: Any, **__: Any) -> str:
    return "log_timeline()"


@compiles(SnapshotEnd, SQLITE)
def _end_on_sqlite(*_: Any, **__: Any) -> str:
    return "1"


@compiles(SnapshotEnd, POSTGRESQL)
def _end_on_postgresql(*_: Any, **__: Any) -> str:
    return "(pg_snapshot_xmax(pg_current_snapshot())::text::bigint)"


class CodePoints(TypeDecorator[str]):
    """Text that sorts by code point, as in SQLite and Python."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        collation = "C" if dialect.name == POSTGRESQL else None
        return dialect.type_descriptor(String(collation=collation))


class Words(TypeDecorator[Any]):
    """A set of words for full-text search. Write-only.

    SQLite's FTS5 has a tokenizer of its own: there, each word is encoded as one token. Words have
    no quotes and no backslashes.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(Text() if dialect.name == SQLITE else TSVECTOR())

    def process_bind_param(self, value: Iterable[str] | None, dialect: Dialect) -> str | None:
        return None if value is None else " ".join(sorted(_token(word, dialect) for word in value))


class _WordQueries(TypeDecorator[Any]):
    """A full-text query that matches if all terms of one of the sets are present.

    A term is a word, or a prefix of words if it ends in '*'.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(Text() if dialect.name == SQLITE else TSQUERY())

    def process_bind_param(
        self, value: Iterable[Iterable[str]] | None, dialect: Dialect
    ) -> str | None:
        if value is None:
            return None
        and_, or_ = (" AND ", " OR ") if dialect.name == SQLITE else (" & ", " | ")
        return or_.join(f"({and_.join(_query_tokens(terms, dialect))})" for terms in value)


def _query_tokens(terms: Iterable[str], dialect: Dialect) -> list[str]:
    # `search_index` marks version 1 by @ and the organization, later ones by another @ between.
    if dialect.name == SQLITE and any(re.fullmatch("@[0-9a-f]{32}", term) for term in terms):
        return [_first_version_token(term) for term in sorted(terms)]
    return [
        f"{_token(term[:-1], dialect)}{'*' if dialect.name == SQLITE else ':*'}"
        if is_prefix_term(term)
        else _token(term, dialect)
        for term in sorted(terms)
    ]


def _first_version_token(word: str) -> str:
    """The token of a word of version 1 on SQLite."""
    return f"a{word}" if word.isascii() and word.isalnum() else f"u{word.encode().hex()}"


# FTS5's tokenizer `ascii` and its query language separate words at these; other characters are
# parts of a word. Each becomes one character for private use, so that prefixes stay prefixes.
_FTS5_ENCODING = {code: 0xE000 + code for code in range(128) if not chr(code).isalnum()}


def _token(word: str, dialect: Dialect) -> str:
    # The letter in front keeps a word from being a keyword of the query language.
    return f"a{word.translate(_FTS5_ENCODING)}" if dialect.name == SQLITE else f"'{word}'"


class TextScan(FunctionElement[bool]):
    """A condition that may scan a whole text, or all rows that have a word."""

    inherit_cache = True


class HasWords(TextScan):
    """Whether a row of `event_words` has all terms of a query: (its id, its words, the queries)."""

    type = Boolean()
    inherit_cache = True
    # Otherwise SQLAlchemy appends "= 1" on SQLite, which prevents the use of the index.
    _is_implicitly_boolean = True

    def __init__(self, row_id: Any, column: Any, queries: Sequence[frozenset[str]]) -> None:
        super().__init__(row_id, column, type_coerce(tuple(queries), _WordQueries()))


class ContainsText(TextScan):
    """Whether a string contains another one, case-sensitively."""

    type = Boolean()
    inherit_cache = True


class EpochSeconds(FunctionElement[int]):
    """Whole seconds from the Unix epoch to a time, rounded down."""

    type = BigInteger()
    inherit_cache = True


class MonthNumber(FunctionElement[int]):
    """Months from the year 0 to the month of a local time, in seconds from 1970."""

    type = BigInteger()
    inherit_cache = True


class ExactSum(FunctionElement[Any]):
    """Sum of the numbers of `event_value`: (number, exact). Null if there are none.

    Integers and decimal numbers are added without rounding.
    """

    inherit_cache = True


EXACT_SUM = "exact_sum"


@compiles(HasWords, SQLITE)
def _has_words_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    row_id, _, query = (compiler.process(clause, **options) for clause in element.clauses)
    matches = f"SELECT rowid FROM event_search WHERE event_search MATCH {query}"  # noqa: S608
    return f"{row_id} IN ({matches})"


@compiles(HasWords, POSTGRESQL)
def _has_words_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    _, column, query = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} @@ {query}"


@compiles(ContainsText, SQLITE)
def _contains_text_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"(instr({compiler.process(element.clauses, **options)}) > 0)"


@compiles(ContainsText, POSTGRESQL)
def _contains_text_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"(strpos({compiler.process(element.clauses, **options)}) > 0)"


# Takes whole seconds from the text on SQLite: strftime would round up.
@compiles(EpochSeconds, SQLITE)
def _epoch_seconds_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    time = compiler.process(element.clauses, **options)
    return f"CAST(strftime('%s', substr({time}, 1, 19)) AS INTEGER)"


@compiles(EpochSeconds, POSTGRESQL)
def _epoch_seconds_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    time = compiler.process(element.clauses, **options)
    # asyncpg stores datetime.min as -infinity, which has no epoch.
    finite = f"greatest({time}, TIMESTAMPTZ '0001-01-01 00:00:00+00')"
    return f"CAST(floor(extract(epoch FROM {finite})) AS BIGINT)"


# Local times before the year 1 count as its first month.
_YEAR_1 = int(datetime.min.replace(tzinfo=UTC).timestamp())


@compiles(MonthNumber, SQLITE)
def _month_number_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    time = f"max({compiler.process(element.clauses, **options)}, {_YEAR_1}), 'unixepoch'"
    year, month = (f"CAST(strftime('{part}', {time}) AS INTEGER)" for part in ("%Y", "%m"))
    return f"({year} * 12 + {month} - 1)"


@compiles(MonthNumber, POSTGRESQL)
def _month_number_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    seconds = f"greatest({compiler.process(element.clauses, **options)}, {_YEAR_1})"
    time = f"to_timestamp({seconds}) AT TIME ZONE 'UTC'"
    year, month = (f"extract({part} FROM {time})" for part in ("year", "month"))
    return f"CAST({year} * 12 + {month} - 1 AS BIGINT)"


@compiles(ExactSum, SQLITE)
def _exact_sum_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"{EXACT_SUM}({compiler.process(element.clauses, **options)})"


@compiles(ExactSum, POSTGRESQL)
def _exact_sum_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    number, exact = (compiler.process(clause, **options) for clause in element.clauses)
    # Negative numbers have the nine's complement of their digits. A cast of a double to numeric
    # would round it to 15 digits.
    digits = f"translate(substr({exact}, 5), '0123456789', '9876543210')"
    return (
        f"sum(CASE WHEN {exact} IS NULL THEN {number}::text::numeric "
        f"WHEN left({exact}, 1) = '-' THEN -{digits}::numeric ELSE substr({exact}, 4)::numeric END)"
    )


class ValueKind(Enum):
    """The kind of a column value, which determines its JSON encoding."""

    ID = "id"
    TEXT = "text"
    ENUM_NAME = "name"  # of an enum member: needs no escapes
    INTEGER = "whole"
    FLOAT = "real"
    BOOLEAN = "truth"
    DATETIME = "instant"
    DURATION = "span"
    JSON = "json"


# f-string code of the JSON encoding of the driver value `{0}`. The namespace that executes it
# defines `quoted`, `dumps`, `span` and `BOOLEANS`.
_COMMON_JSON = {
    ValueKind.TEXT: "{{quoted({0})}}",
    ValueKind.ENUM_NAME: '"{{{0}}}"',
    ValueKind.INTEGER: "{{{0}}}",
    ValueKind.FLOAT: "{{{0}!r}}",
    ValueKind.BOOLEAN: "{{BOOLEANS[{0}]}}",
    ValueKind.DURATION: "{{span({0})}}",
    ValueKind.JSON: "{{{0}}}",
}
_OBJECT_JSON = {
    ValueKind.ID: '"{{{0}}}"',
    ValueKind.DATETIME: '"{{{0}.isoformat("T", "microseconds")[:26]}}Z"',
}
_JSON_BY_DIALECT = {
    SQLITE: _COMMON_JSON
    | {
        ValueKind.ID: '"{{{0}[:8]}}-{{{0}[8:12]}}-{{{0}[12:16]}}-{{{0}[16:20]}}-{{{0}[20:]}}"',
        ValueKind.DATETIME: '"{{{0}[:26]}}Z"',
    },
    POSTGRESQL: _COMMON_JSON | _OBJECT_JSON,
    IN_MEMORY: _COMMON_JSON
    | _OBJECT_JSON
    | {ValueKind.ENUM_NAME: '"{{{0}.name}}"', ValueKind.JSON: "{{dumps({0})}}"},
}


class DriverCodec:
    """JSON encoding and decoding of the values that the driver of a dialect returns.

    Without a dialect: of the values of in-memory rows, in UTC, which need no decoding.
    """

    def __init__(self, dialect: Dialect | None) -> None:
        self._dialect = dialect
        self.name = IN_MEMORY if dialect is None else dialect.name

    def json_expression(self, kind: ValueKind, variable: str) -> str:
        """f-string code (for three single quotes) that encodes the variable's value as JSON."""
        return _JSON_BY_DIALECT[self.name][kind].format(variable)

    def value_decoder(self, type_: TypeEngine[Any]) -> Callable[[Any], Any]:
        """Returns a function that converts a driver value to a value of the column's type.

        Statements select JSON as text, on both databases.
        """
        if self._dialect is None:
            return _identity
        if isinstance(type_, JSONValue):
            return _load_json
        if isinstance(type_, Float):  # SQLAlchemy would need the type number of PostgreSQL
            return _identity
        return type_.dialect_impl(self._dialect).result_processor(self._dialect, None) or _identity


def _identity(value: Any) -> Any:
    return value


def _load_json(text: str | None) -> Any:
    return None if text is None else load_json(text)
