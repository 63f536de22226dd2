"""Where SQLite and PostgreSQL differ: connections and statements. `columns` keeps the types.

SQLite: WAL, `synchronous=FULL` (a commit survives a power cut), driver autocommit with an explicit
BEGIN, so that a writer takes its lock at once (`BEGIN IMMEDIATE`) and no update is lost.
PostgreSQL: asyncpg; the log's order is (transaction, sequence) below the oldest open transaction.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Insert, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlmodel import SQLModel

from app.store.engine import direct
from app.store.engine.wake import DataVersion, ListenNotify, Wake
from app.store.tables.columns import POSTGRESQL, SQLITE

BUSY_MS = 5_000
OPEN_TRANSACTION_MS = 60_000
STATEMENT_MS = 30_000
MIGRATION_LOCK = 0x70C51  # any number, as long as every Tocsin takes the same


class BadUrlError(ValueError):
    """Says what a database URL should look like."""


def read_url(text_url: str) -> URL:
    """The URL with the driver that Tocsin uses. BadUrlError for one that it cannot use."""
    try:
        url = make_url(text_url)
    except ArgumentError as error:
        raise BadUrlError("is no database URL; try sqlite:///tocsin.db") from error
    name = url.get_backend_name()
    if name in (POSTGRESQL, "postgres"):
        if find_spec("asyncpg") is None:
            raise BadUrlError(
                "names PostgreSQL; install its driver: pip install 'tocsin[postgres]'"
            )
        query = {"ssl" if name == "sslmode" else name: each for name, each in url.query.items()}
        return url.set(drivername="postgresql+asyncpg", query=query)
    if name != SQLITE:
        raise BadUrlError(f"names {name}; Tocsin runs on sqlite and postgresql")
    if url.database in (None, "", ":memory:") or url.query:
        raise BadUrlError("names no file; a SQLite database must be a file: sqlite:///tocsin.db")
    return url.set(drivername="sqlite+aiosqlite")


def is_missing(url: URL) -> bool:
    """Whether opening the database would make it."""
    return url.get_backend_name() == SQLITE and not Path(url.database or "").exists()


def address_of(url: URL) -> str:
    """Where the database is, for people: without the password, and without options."""
    if url.get_backend_name() == SQLITE:
        return str(Path(url.database or "").absolute())
    hosts = {"host": url.query["host"]} if "host" in url.query else {}
    plain = URL.create(
        POSTGRESQL, url.username, None, url.host, url.port, url.database, query=hosts
    )
    return plain.render_as_string()


def engines(url: URL) -> tuple[AsyncEngine, AsyncEngine]:
    """One engine to read and one to write with; reads see one snapshot for each transaction."""
    if url.get_backend_name() == SQLITE:
        # Writers of one process queue in the pool, where waiting costs nothing.
        return _sqlite(url, "BEGIN", pool_size=4, read_only=True), _sqlite(
            url, "BEGIN IMMEDIATE", pool_size=1
        )
    patience = {
        "idle_in_transaction_session_timeout": str(OPEN_TRANSACTION_MS),
        "lock_timeout": str(BUSY_MS),
        "statement_timeout": str(STATEMENT_MS),
    }
    writer = create_async_engine(
        url,
        isolation_level="READ COMMITTED",  # whatever the server's default: claims re-read
        pool_size=8,
        max_overflow=8,
        pool_pre_ping=True,
        connect_args={
            "server_settings": {"application_name": "tocsin", **patience},
            "timeout": 10,
        },
    )
    dialect: Any = writer.sync_engine.dialect
    dialect.do_ping = _is_open
    reader = writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return reader, writer


def _is_open(adapted: Any) -> bool:
    """The driver hears of its end by itself; SQLAlchemy would ask the server, on three ways."""
    return not adapted.driver_connection.is_closed()


def lanes(url: URL) -> int:
    """How many transactions of reports an organization's may be open at a time in a process."""
    return 1 if url.get_backend_name() == SQLITE else 2


def wake(url: URL) -> Wake:
    """How this process hears of what others commit."""
    return DataVersion(url) if url.get_backend_name() == SQLITE else ListenNotify(url)


def migration_engine(url: URL) -> AsyncEngine:
    """For one transaction that changes tables, with foreign keys off where that needs it."""
    if url.get_backend_name() == SQLITE:
        return _sqlite(url, "BEGIN IMMEDIATE", pool_size=1, foreign_keys=False)
    return create_async_engine(url, pool_size=1)


def lock_for_migration(connection: Connection) -> None:
    """Until the end of the transaction, no other process migrates (BEGIN IMMEDIATE on SQLite)."""
    if connection.dialect.name == POSTGRESQL:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))


def renew_restored_log(connection: Connection) -> None:
    """Begins a new life of the log where a dump was restored (PostgreSQL).

    Transactions count from the start there: old entries would lie in the future, hidden from
    readers and in front of new ones. They are moved to transaction 0, in the order of `seq`.
    """
    if connection.dialect.name != POSTGRESQL:
        return
    end = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    last = "greatest((SELECT max(tx) FROM change), (SELECT pruned_tx FROM log))"
    if connection.execute(text(f"SELECT {last} >= {end}")).scalar():
        connection.execute(text("UPDATE change SET tx = 0"))
        connection.execute(text("UPDATE event SET rang_tx = 0 WHERE rang_seq IS NOT NULL"))
        connection.execute(text("UPDATE log SET epoch = gen_random_uuid()::text, pruned_tx = 0"))


def insert_new(session: AsyncSession, table: type[SQLModel]) -> Insert:
    """INSERT that passes over rows whose key is taken; add `returning` to learn which were new.

    On PostgreSQL it waits for an open transaction that holds the key.
    """
    dialect = sqlite if session.get_bind().dialect.name == SQLITE else postgresql
    statement: Insert = dialect.insert(table).on_conflict_do_nothing()
    return statement


async def join(session: AsyncSession, organization_id: UUID) -> None:
    """For who reports: until the end of the transaction no rule or type is changed beneath it.

    Row locks would do, but on PostgreSQL whoever wants a row alone waits as long as others come
    and share it; advisory locks are given in the order of arrival.
    """
    await _advise(session, "pg_advisory_xact_lock_shared", organization_id)


async def stop(session: AsyncSession, organization_id: UUID) -> None:
    """For who changes a rule or a type: waits for those who report now, and lets none begin."""
    await _advise(session, "pg_advisory_xact_lock", organization_id)


async def _advise(session: AsyncSession, function: str, organization_id: UUID) -> None:
    if session.get_bind().dialect.name == POSTGRESQL:
        number = int.from_bytes(organization_id.bytes[8:], signed=True)
        await direct.fetch(session, f"SELECT {function}($1)", [number])


DATABASE_ERRORS = (SQLAlchemyError, OSError)


def was_deadlocked(error: DBAPIError) -> bool:
    """Whether the transaction was undone because it and another one waited for each other."""
    return getattr(error.orig, "sqlstate", None) == "40P01"


def meets_everybody(error: BaseException) -> bool:
    """Whether any other transaction would end so now: the database is away, locked or full.

    A deadlock, a row that is locked and a statement that takes too long are one's own.
    """
    own = getattr(getattr(error, "orig", None), "sqlstate", None) in ("40P01", "55P03", "57014")
    return not own and why_unavailable(error) is not None


def why_unavailable(error: BaseException) -> str | None:
    """What keeps the database from answering, in words for a client; None for any other error."""
    if isinstance(error, PoolTimeout):
        return "The database is busy: no connection became free in time."
    if isinstance(error, OSError):
        return "The database cannot be reached."
    if not isinstance(error, DBAPIError):
        return None
    told = str(error.orig).lower()
    for sign, cause in _SIGNS.items():
        if re.search(sign, told):
            return cause
    refused = str(getattr(error.orig, "sqlstate", None) or "")[:2] in _REFUSING
    return "The database cannot be reached." if refused or error.connection_invalidated else None


# Classes of SQLSTATE: connection, authorization, catalog, resources, operator's intervention.
_REFUSING = frozenset({"08", "28", "3D", "53", "57"})

_SIGNS = {
    "database is locked": "The database is locked by another process.",
    "lock timeout": "The database is locked by another process.",
    "statement timeout": "The database took too long: ask for less.",
    "deadlock detected": "Two writers waited for each other, and this one was undone: try again.",
    "readonly database": "The database is read-only.",
    "read-only transaction": "The database is read-only.",
    "unable to open database": "The database file cannot be opened.",
    "disk i/o error": "The database file cannot be read or written.",
    "disk is full": "The database has no room left.",
    "no space left": "The database has no room left.",
    "file is not a database": "The database file is damaged.",
    "disk image is malformed": "The database file is damaged.",
    "connection was closed": "The database closed the connection.",
    "connection is closed": "The database closed the connection.",
    "terminating connection": "The database closed the connection.",
    "not currently accepting connections": "The database accepts no connections.",
    "the database system is": "The database is starting up or shutting down.",
    'database ".*" does not exist': "The database does not exist.",
    "too many clients": "The database has no connection left.",
}


def _sqlite(
    url: URL, begin: str, pool_size: int, read_only: bool = False, foreign_keys: bool = True
) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_size=pool_size, max_overflow=0, connect_args={"timeout": BUSY_MS / 1000}
    )

    # A thread of aiosqlite that outlives the event loop ends with a traceback on stderr. Nobody
    # waits for the thread of a connection that fails to open, or whose first statements fail.
    @event.listens_for(engine.sync_engine, "do_connect")
    def check_file(_dialect: Any, _record: Any, args: Sequence[Any], options: Any) -> None:
        """Raises sqlite3.Error before aiosqlite starts a thread for an unreadable file."""
        sqlite3.connect(args[0], timeout=options["timeout"]).close()

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA foreign_keys={foreign_keys:d}")
            cursor.execute(f"PRAGMA query_only={read_only:d}")
            cursor.close()
        except BaseException:
            connection.close()  # the pool does not close a connection that this handler refuses
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        direct.begin(connection, begin)

    @event.listens_for(engine.sync_engine, "invalidate")
    def abandoned(connection: Any, *_: Any) -> None:
        connection.driver_connection._conn.interrupt()  # it would go on with its statement

    return engine
