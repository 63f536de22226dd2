"""Rows as the driver gives them, without a session: for statements that are composed already.

Each statement is read-only and sees a snapshot of its own. No scope narrows it: whoever composes
one puts the organization into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy.engine import URL

from app.store.engine.raw_postgresql import PostgreSQLRows
from app.store.engine.raw_sqlite import SQLiteRows
from app.store.tables.columns import SQLITE

Row = Sequence[Any]


class RawRows(Protocol):
    """Reads rows without a session. Connections are opened on first use."""

    @property
    def in_use(self) -> int:
        """How many connections are reading."""

    async def fetch_rows(
        self, statement: str, parameters: Sequence[Any], *, scans_texts: bool = False
    ) -> list[Row]:
        """The rows of a SELECT, written as the driver takes it: `$1` or `?` for parameters.

        Values are the driver's own. SQLite: IDs and instants are text, booleans are 0 and 1.
        PostgreSQL: UUIDs, aware datetimes and booleans. JSON is text on both. Rows are tuples, or
        on PostgreSQL asyncpg's records, which can be read, sliced and compared like tuples.

        Set `scans_texts` if one step of the statement may look through a whole text, which SQLite
        cannot interrupt: the statement is then not read on the event loop.

        Raises what a session would raise: DBAPIError, OSError, SQLAlchemy's TimeoutError.
        """

    async def close(self) -> None: ...


def raw_rows(url: URL) -> RawRows:
    return SQLiteRows(url) if url.get_backend_name() == SQLITE else PostgreSQLRows(url)
