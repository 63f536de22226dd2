"""Errors of both databases: what they mean for a transaction, for clients and for operators."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.store.engine.dialect import display_address
from app.store.tables.columns import POSTGRESQL

DATABASE_ERRORS = (SQLAlchemyError, OSError)
READ_ONLY = "The database is read-only."


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
        if os.access(file.parent, os.W_OK):
            return "the file does not exist, and was not created"
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
    "readonly database": READ_ONLY,
    "read-only transaction": READ_ONLY,
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
