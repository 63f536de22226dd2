"""Reads rows without a session: for statements that are compiled already.

Each statement is read-only and sees a snapshot of its own. No scope is added: the statement must
contain the condition on the organization.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy.engine import URL

from app.store.engine.driver_statements import DriverRow
from app.store.engine.postgresql_reader import PostgreSQLReader
from app.store.engine.sqlite_reader import SQLiteReader
from app.store.tables.columns import SQLITE


class RowReader(Protocol):
    """Reads rows without a session. Connections are opened on first use."""

    @property
    def connections_in_use(self) -> int:
        """Number of connections that are executing a statement."""

    async def fetch_rows(
        self, statement: str, parameters: Sequence[Any], *, scans_texts: bool = False
    ) -> list[DriverRow]:
        """The rows of a SELECT in the driver's syntax: `$1` or `?` for parameters.

        Values have the driver's own types. SQLite: IDs and datetimes are text, booleans are 0
        and 1. PostgreSQL: UUIDs, aware datetimes and booleans. JSON is text on both. Rows are
        tuples, or on PostgreSQL asyncpg's records, which support indexing, slicing and comparison
        like tuples.

        Set `scans_texts` if one step of the statement may scan a whole text, which SQLite
        cannot interrupt: the statement is then not read on the event loop.

        Raises what a session would raise: DBAPIError, OSError, SQLAlchemy's TimeoutError.
        """

    async def close(self) -> None: ...


def create_row_reader(url: URL, max_connections: int, *, pooled: bool) -> RowReader:
    if url.get_backend_name() == SQLITE:
        return SQLiteReader(url)
    return PostgreSQLReader(url, max_connections, pooled=pooled)
