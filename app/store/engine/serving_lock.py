"""The lock that every server process holds, so that a command can find out whether servers run.

PostgreSQL: an advisory lock of the session that listens for notifications. SQLite: a lock on a file
beside the database. Both end with their process, also after `kill -9`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

import structlog
from sqlalchemy import Connection, text

from app.store.engine.advisory_locks import SERVING_LOCK
from app.store.tables.columns import POSTGRESQL

SHARED_LOCK_STATEMENT = f"SELECT pg_advisory_lock_shared({SERVING_LOCK})"
# Longer than a server takes to connect again (`RECONNECT_SECONDS` in `wake`).
RECONNECT_WAIT_SECONDS = 3
_WAITING_SERVERS = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND classid = 0 AND objid = :lock
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND NOT granted
"""

log = structlog.get_logger(__name__)


class ServersRunningError(Exception):
    """Servers use the database, and the operation needs it without them."""


class ServingFileLock:
    """The lock of a server on SQLite."""

    def __init__(self, database_file: str) -> None:
        self._database_file = database_file
        self._descriptor: int | None = None
        self._has_failed = False

    def try_acquire(self) -> None:
        """Takes the lock, unless a command excludes servers at the moment. Call it repeatedly.

        Logs a warning, once, if that is impossible.
        """
        if self._descriptor is not None:
            return
        try:
            self._descriptor = _lock_file(self._database_file, fcntl.LOCK_SH)
        except OSError as error:
            if not self._has_failed:
                log.warning(
                    "serving_lock_failed",
                    reason=f"The file {_lock_path(self._database_file)} cannot be locked: "
                    f"{error.strerror}. `tocsin migrate --new-epoch` cannot detect that this "
                    "server is running. Allow the user of the server to read the file.",
                )
            self._has_failed = True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def exclude_servers(connection: Connection) -> Iterator[None]:
    """Keeps servers from running. Raises ServersRunningError if one does.

    Call it in a transaction. On PostgreSQL, the lock ends with the transaction, and a server that
    has just lost its connection is noticed because it waits for the lock.
    """
    if connection.dialect.name == POSTGRESQL:
        if not connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({SERVING_LOCK})")):
            raise ServersRunningError
        connection.execute(text(f"SELECT pg_sleep({RECONNECT_WAIT_SECONDS})"))
        if connection.scalar(text(_WAITING_SERVERS), {"lock": SERVING_LOCK}):
            raise ServersRunningError
        yield
        return
    with exclude_servers_of_file(connection.engine.url.database or ""):
        yield


@contextlib.contextmanager
def exclude_servers_of_file(database_file: str) -> Iterator[None]:
    """Keeps servers from running on a SQLite file. Raises ServersRunningError if one does."""
    descriptor = _lock_file(database_file, fcntl.LOCK_EX)
    if descriptor is None:
        raise ServersRunningError
    try:
        yield
    finally:
        os.close(descriptor)


def _lock_path(database_file: str) -> str:
    """A file of its own: closing the database file would release SQLite's own locks."""
    return f"{os.path.realpath(database_file)}-servers"


def _lock_file(database_file: str, kind: int) -> int | None:
    """Returns the descriptor of the locked file; None if another process has the lock."""
    # Read-only: the file may belong to the administrator who ran a command as root.
    descriptor = os.open(_lock_path(database_file), os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        with contextlib.suppress(PermissionError):  # not the owner
            os.fchmod(descriptor, 0o644)  # whatever the umask: servers of other users lock it
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
