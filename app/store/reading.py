"""Rows as the driver gives them, without a session: for statements that are composed already.

Each statement is read-only and sees a snapshot of its own. No scope narrows it: whoever composes
one puts the organization into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.engine import URL

from app.store.columns import SQLITE
from app.store.raw_postgresql import PostgreSQLRows
from app.store.raw_sqlite import SQLiteRows

if TYPE_CHECKING:
    from app.store.database import Database

Row = Sequence[Any]


async def rows(database: Database, statement: str, parameters: Sequence[Any]) -> list[Row]:
    """The rows of a SELECT in the driver's own terms: `$1` or `?`, values as the driver takes them.

    They come as the driver gives them: on SQLite ids and instants are texts and truths are 0 and 1;
    on PostgreSQL they are UUIDs, aware datetimes and booleans. JSON is its text on both. Rows are
    tuples, or on PostgreSQL asyncpg's records, which are read, cut and compared as tuples are.

    Raises what a session would: DBAPIError, OSError, SQLAlchemy's TimeoutError.
    """
    return await database.raw_rows.of(statement, parameters)


class RawRows(Protocol):
    """A database as `rows` reads it. It is opened when it is asked first."""

    @property
    def in_use(self) -> int:
        """How many connections are reading."""

    async def of(self, statement: str, parameters: Sequence[Any]) -> list[Row]: ...

    async def close(self) -> None: ...


def raw_rows(url: URL) -> RawRows:
    return SQLiteRows(url) if url.get_backend_name() == SQLITE else PostgreSQLRows(url)
