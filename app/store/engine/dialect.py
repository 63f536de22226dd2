"""Connections and statements that differ between SQLite and PostgreSQL. `columns` has the types.

SQLite: WAL, `synchronous=FULL` (a commit survives a power cut), driver autocommit with an explicit
BEGIN, so that a writer takes its lock at once (`BEGIN IMMEDIATE`) and no update is lost.
PostgreSQL: asyncpg; the change log is ordered by (transaction, sequence), below the oldest open
transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Insert, case, event, false, text, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

from app.store.engine import driver_statements
from app.store.engine.advisory_locks import MIGRATION_LOCK
from app.store.engine.driver_statements import BatchConnection
from app.store.engine.postgresql_connections import create_postgresql_engine, normalize_url
from app.store.engine.sqlite_file import DatabaseFile
from app.store.engine.statement_observers import notify_observers
from app.store.engine.wake import DataVersionPoller, NotificationListener, WakeSignal
from app.store.tables.columns import POSTGRESQL, SQLITE

LOCK_TIMEOUT_MS = 5_000
IDLE_TRANSACTION_TIMEOUT_MS = 60_000
STATEMENT_TIMEOUT_MS = 30_000
POOLER_CHECK_ROUNDS = 5
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
        raise InvalidDatabaseUrlError(f"The value is not a database URL. {_URL_FORMATS}") from error
    name = url.get_backend_name()
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
        return _create_sqlite_engine(
            url, "BEGIN", pool_size=4, read_only=True
        ), _create_sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1)
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


def max_report_transactions(url: URL) -> int:
    """Maximum number of concurrent report transactions of an organization in a process."""
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
        return _create_sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1, migrates=True)
    return create_postgresql_engine(url, _NO_TIMEOUTS, pool_size=1)


async def has_transaction_pooler(url: URL) -> bool:
    """Whether a pooler runs the transactions of a connection in sessions of other connections."""
    if url.get_backend_name() == SQLITE:
        return False
    engine = create_postgresql_engine(url, {}, pooled=True)
    used: set[tuple[int, int]] = set()
    try:
        async with engine.connect() as first, engine.connect() as second:
            # Twice in turn on the same connection: a pooler that uses its sessions in turn could
            # otherwise give each connection the same one every time.
            for number, connection in [(1, first), (1, first), (2, second)] * POOLER_CHECK_ROUNDS:
                async with connection.begin():
                    session = await connection.scalar(text("SELECT pg_backend_pid()"))
                used.add((number, session))
        return len(used) != 2 or len({session for _, session in used}) != 2
    finally:
        await engine.dispose()


async def is_same_database(url: URL, other_url: URL) -> bool:
    """Whether both URLs point to the same PostgreSQL database, and so see each other's locks."""
    statement = text(f"SELECT pg_try_advisory_xact_lock({secrets.randbits(62)})")
    engines = [create_postgresql_engine(each, {}, pooled=True) for each in (url, other_url)]
    try:
        async with engines[0].begin() as connection, engines[1].begin() as other:
            await connection.scalar(statement)
            return not await other.scalar(statement)
    finally:
        for engine in engines:
            await engine.dispose()


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


def hide_from_planner(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Returns an equal condition for which the database does not consider an index.

    For SQLite, which has no statistics: it estimates that an index of the organization finds 10
    events, and scans that rather than looking up a list of IDs.
    """
    return case((condition, true()), else_=false())


def insert_if_absent(session: AsyncSession, table: type[SQLModel]) -> Insert:
    """An INSERT that skips rows whose key exists; add `returning` to get the inserted ones.

    On PostgreSQL it waits for an open transaction that has written the key.
    """
    dialect = sqlite if is_sqlite(session) else postgresql
    statement: Insert = dialect.insert(table).on_conflict_do_nothing()
    return statement


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
        await driver_statements.fetch_rows(session, f"SELECT {function}($1)", [number])


DATABASE_ERRORS = (SQLAlchemyError, OSError)


def is_deadlock(error: DBAPIError) -> bool:
    """Whether the transaction was rolled back to resolve a deadlock."""
    return getattr(error.orig, "sqlstate", None) == "40P01"


def affects_every_transaction(error: BaseException) -> bool:
    """Whether any other transaction would fail too: the database is down, locked or full.

    A deadlock, a locked row and a statement timeout affect one transaction only.
    """
    is_own_error = getattr(getattr(error, "orig", None), "sqlstate", None) in (
        "40P01",
        "55P03",
        "57014",
    )
    return not is_own_error and unavailable_reason(error) is not None


def unavailable_reason(error: BaseException) -> str | None:
    """Why the database is unavailable, for operators. None for any other error."""
    if isinstance(error, PoolTimeout):
        return "The database is busy: no connection became available in time."
    if isinstance(error, OSError):
        return _UNREACHABLE
    if not isinstance(error, DBAPIError):
        return None
    message = str(error.orig).lower()
    for pattern, reason in _REASONS_BY_PATTERN.items():
        if re.search(pattern, message):
            return reason
    is_refused = (
        str(getattr(error.orig, "sqlstate", None) or "")[:2] in _UNAVAILABLE_SQLSTATE_CLASSES
    )
    return _UNREACHABLE if is_refused or error.connection_invalidated else None


def describe_failure(error: BaseException, url: URL) -> str | None:
    """Describes a database error in one line, with the address but without the password.

    None if it is not an error of the database.
    """
    reason = unavailable_reason(error)
    if isinstance(error, DBAPIError) and _POOLER_ERRORS.search(str(error.orig)):
        return pooler_message(url, _find_cause(error))
    if reason == _UNREACHABLE:
        server = url.get_backend_name() == POSTGRESQL
        address = _server_address(url) if server else display_address(url)
        return f"The database at {address} cannot be reached: {_find_cause(error)}."
    if reason is None:
        if not isinstance(error, DBAPIError):
            return None
        reason = f"The database reported an error: {_find_cause(error)}."
    if reason == _CANNOT_OPEN_FILE:
        reason = f"{reason.removesuffix('.')}: {_find_file_problem(Path(url.database or ''))}."
    elif reason in (_NOT_A_DATABASE, _DAMAGED_FILE):
        reason += " Set TOCSIN_DATABASE_URL to a different file, or restore a backup."
    return f"{reason} Database: {display_address(url)}"


def _find_file_problem(file: Path) -> str:
    """Why SQLite cannot open the file, which it does not say."""
    if file.is_dir():
        return "the path is a directory"
    if not file.parent.is_dir():
        return "its directory does not exist"
    if not file.exists():
        return "the server has no permission to create files in the directory of the database file"
    return "the server has no permission to read or write the file"


def pooler_message(url: URL, reason: str) -> str:
    return (
        f"The database at {_server_address(url)} is behind a connection pooler: {reason}. Set "
        "TOCSIN_DATABASE_DIRECT_URL to the URL of the database server itself, without the pooler."
    )


def _server_address(url: URL) -> str:
    """Host and port, with the defaults of asyncpg."""
    host = url.host or url.query.get("host") or os.environ.get("PGHOST", "localhost")
    port = url.port or os.environ.get("PGPORT", 5432)
    return f"{host if isinstance(host, str) else ', '.join(host)}:{port}"


def _find_cause(error: BaseException) -> str:
    """Returns the cause in a few words, without the names of classes and the statement."""
    if isinstance(error, TimeoutError):
        return "no response in time"
    if isinstance(error, DBAPIError):
        error = error.orig or error
    text = " ".join(str(error).partition("\nHINT:")[0].split())
    # asyncio reports several addresses as "Multiple exceptions: [Errno 111] Connect call failed".
    if number := re.search(r"\[Errno (-?\d+)\]", text):
        code = int(number[1])
        if code > 0:
            return os.strerror(code)
    text = re.sub(r"^<class '[^']*'>: |^\[Errno -?\d+\] ", "", text)
    return text.removesuffix(".") or type(error).__name__


def unavailable_message(error: BaseException) -> str | None:
    """Why the database is unavailable, as a message for clients; None for any other error."""
    reason = unavailable_reason(error)
    if reason == _UNREACHABLE:
        return "The database is temporarily unavailable. Try again."
    return reason


_UNREACHABLE = "The database cannot be reached."
_CANNOT_OPEN_FILE = "The database file cannot be opened."
_NOT_A_DATABASE = "The file is not a SQLite database, or it is damaged."
_DAMAGED_FILE = "The database file is damaged."
_CONNECTION_CLOSED = "The database closed the connection. Try again."

# Of PgBouncer, or because it gives a transaction the connection of another client.
_POOLER_ERRORS = re.compile(
    r"unsupported startup parameter|prepared statement \".*\" (already exists|does not exist)"
)


# SQLSTATE classes: connection, authorization, catalog, resources, operator intervention.
_UNAVAILABLE_SQLSTATE_CLASSES = frozenset({"08", "28", "3D", "53", "57"})

_REASONS_BY_PATTERN = {
    "database is locked": "The database is locked by another process. Try again.",
    "lock timeout": "The database is locked by another process. Try again.",
    "statement timeout": "The statement took too long. Request less data.",
    "deadlock detected": "The transaction was rolled back because of a deadlock. Try again.",
    "readonly database": "The database is read-only.",
    "read-only transaction": "The database is read-only.",
    "unable to open database": _CANNOT_OPEN_FILE,
    "database file was replaced": "The database file was replaced. Restart the server.",
    "disk i/o error": "The database file cannot be read or written.",
    "disk is full": "The disk of the database is full. Free disk space.",
    "no space left": "The disk of the database is full. Free disk space.",
    "file is not a database": _NOT_A_DATABASE,
    "disk image is malformed": _DAMAGED_FILE,
    "connection was closed": _CONNECTION_CLOSED,
    "connection is closed": _CONNECTION_CLOSED,
    "terminating connection": _CONNECTION_CLOSED,
    # asyncpg: the idle connection is about to read that the server terminates it.
    r"another operation \(2\) is in progress": _CONNECTION_CLOSED,
    "not currently accepting connections": "The database accepts no connections. Try again.",
    "the database system is": "The database is starting up or shutting down. Try again.",
    'database ".*" does not exist': "The database does not exist.",
    "too many clients": "The database has no free connections. Try again.",
}


def _create_sqlite_engine(
    url: URL, begin: str, pool_size: int, *, read_only: bool = False, migrates: bool = False
) -> AsyncEngine:
    file = DatabaseFile(url.database or "")
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"timeout": LOCK_TIMEOUT_MS / 1000, "factory": BatchConnection},
    )
    interrupts: set[asyncio.Task[None]] = set()

    # A thread of aiosqlite that outlives the event loop ends with a traceback on stderr. It is
    # not awaited if the connection fails to open, or if its first statements fail.
    @event.listens_for(engine.sync_engine, "do_connect")
    def check_new(_dialect: Any, _record: Any, _args: Any, options: Any) -> None:
        """Raises sqlite3.Error before aiosqlite starts a thread for an unreadable file."""
        if not migrates:  # only a migration may create the file
            file.check()
        uri = file.uri("rwc" if migrates else "rw")
        sqlite3.connect(uri, timeout=options["timeout"], uri=True).close()

    @event.listens_for(engine.sync_engine, "checkout")
    def check_pooled(*_: Any) -> None:
        if not migrates:
            try:
                file.check()
            except sqlite3.Error as error:
                raise DisconnectionError(str(error)) from error  # of this connection: see check_new

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA foreign_keys={not migrates:d}")
            cursor.execute(f"PRAGMA query_only={read_only:d}")
            cursor.close()
        except BaseException:
            connection.close()  # the pool does not close a connection if this handler raises
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        notify_observers(url, begin)
        try:
            driver.run_async(lambda driver_connection: driver_connection.execute_fetchall(begin))
        except sqlite3.Error as error:
            raise DBAPIError(begin, None, error) from error

    @event.listens_for(engine.sync_engine, "invalidate")
    def abandoned(connection: Any, *_: Any) -> None:
        # Otherwise it continues its statement.
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            loop = asyncio.get_running_loop()
            interrupt = loop.create_task(connection.driver_connection.interrupt())
            interrupts.add(interrupt)
            interrupt.add_done_callback(interrupts.discard)

    return engine
