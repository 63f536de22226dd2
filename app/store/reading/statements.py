"""Executes compiled statements from a cache, each scoped to one organization."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache
from sqlalchemy import Dialect, Select
from sqlalchemy.sql import visitors

from app.domain.shared.problems import ErrorCode, RequestError
from app.store.engine.database import Database, scoped_to_organization
from app.store.engine.driver_statements import DriverRow
from app.store.tables.columns import TextScan

MAX_CACHED_STATEMENTS = 1_000
MAX_CACHED_STATEMENT_SIZE = 20_000  # in characters, including fixed values
MAX_PARAMETERS = 32_766  # the lower limit of the two databases


class TooManyParametersError(RequestError):
    """The statement has more parameters than a database accepts. The code is BAD_USER_INPUT."""

    def __init__(self, parameters: int) -> None:
        message = (
            f"The filter needs {parameters:,} parameters; the database accepts at most "
            f"{MAX_PARAMETERS:,} in a statement. Use fewer values in the lists of the filter."
        )
        super().__init__(ErrorCode.BAD_USER_INPUT, message, "filter")


@dataclass(frozen=True)
class CompiledStatement:
    """A statement as text, and its parameters: name, default value and driver conversion."""

    text: str
    parameters: tuple[tuple[str, Any, Callable[[Any], Any] | None], ...]
    scans_texts: bool = False

    @property
    def size(self) -> int:
        return len(self.text) + sum(50 + len(str(fixed)) for _, fixed, _ in self.parameters)

    def bind_values(self, values: Mapping[str, Any]) -> list[Any]:
        return [
            values.get(name, fixed) if process is None else process(values.get(name, fixed))
            for name, fixed, process in self.parameters
        ]


_cache: LRUCache[Hashable, CompiledStatement] = LRUCache(MAX_CACHED_STATEMENTS)


async def fetch_rows(
    database: Database,
    key: tuple[Hashable, ...],
    build: Callable[[], Select[Any]],
    values: Mapping[str, Any],
) -> list[DriverRow]:
    """The rows of the statement with this key, which is built and compiled if it is not cached.

    Raises TooManyParametersError, and what `RowReader.fetch_rows` raises.
    """
    return await run(database, prepare(database, key, build), values)


async def run(
    database: Database, statement: CompiledStatement, values: Mapping[str, Any]
) -> list[DriverRow]:
    """The rows of a prepared statement. Raises what `RowReader.fetch_rows` raises."""
    return await database.row_reader.fetch_rows(
        statement.text, statement.bind_values(values), scans_texts=statement.scans_texts
    )


def prepare(
    database: Database, key: tuple[Hashable, ...], build: Callable[[], Select[Any]]
) -> CompiledStatement:
    """The statement with this key, which is built and compiled if it is not cached.

    Raises TooManyParametersError.
    """
    key = (database.dialect.name, *key)
    if (cached := _cache.get(key)) is not None:
        return cached
    # The only place that fills the cache: it adds the condition on the organization.
    if (
        compiled := compile_statement(database.dialect, scoped_to_organization(build()))
    ).size <= MAX_CACHED_STATEMENT_SIZE:
        _cache[key] = compiled
    return compiled


def compile_statement(dialect: Dialect, statement: Select[Any]) -> CompiledStatement:
    """Compiles a statement; the caller adds the scope. Raises TooManyParametersError."""
    compiled: Any = statement.compile(dialect=dialect)
    # A list in a filter gets one parameter for each of its values.
    expanded = compiled.construct_expanded_state()
    processors = {
        name: parameter.type.dialect_impl(dialect).bind_processor(dialect)
        for name, parameter in compiled.binds.items()
    } | dict(expanded.processors)
    if len(expanded.positiontup) > MAX_PARAMETERS:
        raise TooManyParametersError(len(expanded.positiontup))
    parameters = tuple(
        (name, expanded.parameters[name], processors.get(name)) for name in expanded.positiontup
    )
    scans_texts = any(isinstance(element, TextScan) for element in visitors.iterate(statement))
    return CompiledStatement(expanded.statement, parameters, scans_texts)
