"""The functions whose implementation depends on the database: URLs, engines, locks, statements.

`columns` has the types and expressions that depend on it, and `database_errors` the errors.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, case, event, false, text, true
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from app.store.engine import driver_statements
from app.store.engine.advisory_locks import MIGRATION_LOCK
from app.store.engine.postgresql_connections import (
    SEVERAL_HOSTS,
    create_postgresql_engine,
    normalize_url,
)
from app.store.engine.sqlite_engine import create_sqlite_engine
from app.store.engine.sqlite_file import DatabaseFile
from app.store.engine.timeouts import (
    IDLE_TRANSACTION_TIMEOUT_MS,
    LOCK_TIMEOUT_MS,
    STATEMENT_TIMEOUT_MS,
)
from app.store.engine.wake import DataVersionPoller, NotificationListener, WakeSignal
from app.store.tables.columns import POSTGRESQL, SQLITE

UTF8 = "UTF8"

# A migration may take long, whatever the defaults of the role are.
_NO_TIMEOUTS = {
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "statement_timeout": "0",
}
_URL_FORMATS = "Use sqlite:///FILE or postgresql://USER@HOST/NAME."


class InvalidDatabaseUrlError(ValueError):
    """A database URL that Tocsin cannot use. The message says how to fix it."""


def parse_database_url(text_url: str) -> URL:
    """Parses the URL and sets the driver. Raises InvalidDatabaseUrlError."""
    try:
        url = make_url(text_url)
    except (ArgumentError, ValueError) as error:  # ValueError: the port is not a number
        hosts = re.split(r"[/?#]", text_url.partition("://")[2])[0].rpartition("@")[2]
        formats = SEVERAL_HOSTS if "," in hosts else _URL_FORMATS
        raise InvalidDatabaseUrlError(f"The value is not a database URL. {formats}") from error
    name = url.get_backend_name()
    if name != SQLITE and "@" in f"{url.host}{url.database}":  # a part of the password
        raise InvalidDatabaseUrlError(
            "The host or the database has an @. Percent-encode special characters of the password: "
            "@ is %40, / is %2F, # is %23."
        )
    if name in (POSTGRESQL, "postgres"):
        if find_spec("asyncpg") is None:
            raise InvalidDatabaseUrlError(
                "The PostgreSQL driver is not installed. Run: pip install 'tocsin[postgres]'"
            )
        try:
            return normalize_url(url)
        except ValueError as error:
            raise InvalidDatabaseUrlError(str(error)) from error
    if name != SQLITE:
        raise InvalidDatabaseUrlError(f"The database {name!a} is not supported. {_URL_FORMATS}")
    if url.database in (None, "", ":memory:") or url.query:
        raise InvalidDatabaseUrlError(
            "The URL of a SQLite database must name a file, without options, such as "
            "sqlite:///tocsin.db."
        )
    return url.set(drivername="sqlite+aiosqlite")


def is_postgresql(url: URL) -> bool:
    return url.get_backend_name() == POSTGRESQL


def is_missing_file(url: URL) -> bool:
    """Whether the database is a SQLite file that does not exist, and would be created if opened."""
    return url.get_backend_name() == SQLITE and not Path(url.database or "").exists()


def display_address(url: URL) -> str:
    """Returns the address of the database for messages, without the password and the options."""
    if url.get_backend_name() == SQLITE:
        return str(Path(url.database or "").absolute())
    hosts = {"host": url.query["host"]} if "host" in url.query else {}
    plain = URL.create(
        POSTGRESQL, url.username, None, url.host, url.port, url.database, query=hosts
    )
    return plain.render_as_string()


def create_engines(
    url: URL, max_connections: int, *, pooled: bool
) -> tuple[AsyncEngine, AsyncEngine]:
    """The engines for reads and for writes. A read transaction sees one snapshot.

    `max_connections` applies to PostgreSQL, to both engines together.
    """
    if url.get_backend_name() == SQLITE:
        # Writers of one process wait in the pool, where waiting costs nothing.
        return create_sqlite_engine(
            url, "BEGIN", pool_size=4, read_only=True
        ), create_sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1)
    timeouts = {
        "idle_in_transaction_session_timeout": str(IDLE_TRANSACTION_TIMEOUT_MS),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    }
    pool_size = (max_connections + 1) // 2
    writer = create_postgresql_engine(
        url,
        {} if pooled else timeouts,
        pooled=pooled,
        isolation_level="READ COMMITTED",  # whatever the server's default: claims re-read
        pool_size=pool_size,
        max_overflow=max_connections - pool_size,
        pool_pre_ping=True,
    )
    dialect: Any = writer.sync_engine.dialect
    dialect.do_ping = _ping_connection
    if pooled:

        @event.listens_for(writer.sync_engine, "begin")
        def begun(connection: Connection) -> None:
            values = ", ".join(
                f"set_config('{name}', '{ms}', true)" for name, ms in timeouts.items()
            )
            connection.exec_driver_sql(f"SELECT {values}")

    reader = writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return reader, writer


def _ping_connection(adapter: Any) -> bool:
    """Replaces SQLAlchemy's ping, three round trips: asyncpg notices a closed connection itself."""
    return not adapter.driver_connection.is_closed()


def max_shared_transactions(url: URL) -> int:
    """Maximum number of concurrent transactions of an organization that calls share, in a process.

    Of each kind of calls: those that log events, and those that change the status of one.
    """
    return 1 if url.get_backend_name() == SQLITE else 2


def pause_for_writers_seconds(url: URL) -> float:
    """Pause between the transactions of a long change, in which writers of other processes begin.

    A waiting writer of SQLite tries to get the lock every 0.1 s, so the pause is a little longer.
    On PostgreSQL, waiting writers do not poll.
    """
    return 0.12 if url.get_backend_name() == SQLITE else 0.0


def create_wake_signal(url: URL) -> WakeSignal:
    """The wake signal of this process, which is also set by commits of other processes."""
    return DataVersionPoller(url) if url.get_backend_name() == SQLITE else NotificationListener(url)


def create_migration_engine(url: URL) -> AsyncEngine:
    """An engine for one migration transaction; on SQLite, foreign keys are off."""
    if url.get_backend_name() == SQLITE:
        return create_sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1, migrates=True)
    return create_postgresql_engine(url, _NO_TIMEOUTS, pool_size=1)


def lock_for_migration(connection: Connection) -> None:
    """Locks out other migrations until the transaction ends (SQLite: BEGIN IMMEDIATE does)."""
    if connection.dialect.name == POSTGRESQL:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))


def server_encoding(connection: Connection) -> str:
    """The encoding of the database. SQLite encodes texts as it likes: all of them are stored."""
    if connection.dialect.name == SQLITE:
        return UTF8
    return str(connection.scalar(text("SHOW server_encoding")))


def reset_restored_log(connection: Connection) -> None:
    """Starts a new epoch of the change log if a dump was restored (PostgreSQL).

    A new server counts transactions from the start: old entries would be beyond the horizon,
    hidden from readers and after new ones. They are moved to transaction 0, ordered by `seq`.
    """
    if connection.dialect.name != POSTGRESQL:
        return
    end = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    last = "greatest((SELECT max(tx) FROM change), (SELECT pruned_tx FROM log))"
    if connection.execute(text(f"SELECT {last} >= {end}")).scalar():
        connection.execute(text("UPDATE change SET tx = 0"))
        connection.execute(text("UPDATE event SET rang_tx = 0 WHERE rang_seq IS NOT NULL"))
        connection.execute(text("UPDATE log SET epoch = gen_random_uuid()::text, pruned_tx = 0"))


def is_sqlite(session: AsyncSession | Session) -> bool:
    return session.get_bind().dialect.name == SQLITE


async def is_read_only(session: AsyncSession) -> bool:
    """Whether transactions of new connections cannot write, whatever the session itself may do."""
    if is_sqlite(session):
        file = DatabaseFile(session.get_bind().engine.url.database or "")
        try:
            return await asyncio.to_thread(file.is_read_only)
        except sqlite3.DatabaseError as error:
            raise DBAPIError("UPDATE", None, error) from error
    statement = (
        "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean"
    )
    return bool((await session.scalars(text(statement))).one())


def hide_from_planner(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Returns an equal condition for which the database does not consider an index.

    For SQLite, which has no statistics: it estimates that an index of the organization finds 10
    events, and scans that rather than looking up a list of IDs.
    """
    return case((condition, true()), else_=false())


async def lock_definitions_shared(session: AsyncSession, organization_id: UUID) -> None:
    """Locks the organization's definitions for reading, until the transaction ends.

    Advisory locks, because they are granted in order of arrival: with shared row locks, a writer
    would wait as long as new readers arrive. On SQLite, writers are serialized anyway.
    """
    await _take_advisory_lock(session, "pg_advisory_xact_lock_shared", organization_id)


async def lock_definitions_exclusive(session: AsyncSession, organization_id: UUID) -> None:
    """Locks the organization's definitions for a change, until the transaction ends."""
    await _take_advisory_lock(session, "pg_advisory_xact_lock", organization_id)


async def _take_advisory_lock(session: AsyncSession, function: str, organization_id: UUID) -> None:
    if session.get_bind().dialect.name == POSTGRESQL:
        number = int.from_bytes(organization_id.bytes[8:], signed=True)
        await driver_statements.execute_statement(session, f"SELECT {function}($1)", [number])
