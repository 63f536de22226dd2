"""The lock that every server process holds, so that a command knows whether servers run.

PostgreSQL: an advisory lock of the session that listens for notifications. SQLite: a lock on a file
beside the database. Both end with their process, also after `kill -9`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from app.store.tables.columns import POSTGRESQL

_LOCK_ID = 0x70C52  # arbitrary, but the same in every version; the migration lock is 0x70C51
SHARED_LOCK_STATEMENT = f"SELECT pg_advisory_lock_shared({_LOCK_ID})"


class ServersRunningError(Exception):
    """Servers use the database, and the operation needs it without them."""


class ServingFileLock:
    """The lock of a server on SQLite."""

    def __init__(self, database_file: str) -> None:
        # A file of its own: closing the database file would release SQLite's own locks.
        self._path = f"{database_file}-servers"
        self._descriptor: int | None = None

    def try_acquire(self) -> None:
        """Takes the lock, unless a command excludes servers at the moment. Call it repeatedly."""
        if self._descriptor is None:
            self._descriptor = _lock_file(self._path, fcntl.LOCK_SH)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def exclude_servers(connection: Connection) -> Iterator[None]:
    """Keeps servers from running. Raises ServersRunningError if one does.

    Call it in a transaction. On PostgreSQL, the lock ends with the transaction.
    """
    if connection.dialect.name == POSTGRESQL:
        if not connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({_LOCK_ID})")):
            raise ServersRunningError
        yield
        return
    descriptor = _lock_file(f"{connection.engine.url.database}-servers", fcntl.LOCK_EX)
    if descriptor is None:
        raise ServersRunningError
    try:
        yield
    finally:
        os.close(descriptor)


def _lock_file(path: str, kind: int) -> int | None:
    """Returns the descriptor of the locked file; None if another process has the lock."""
    # Read-only: the file may belong to the administrator who ran a command as root.
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
