"""The file of a SQLite database.

A connection keeps the file that it opened, even after another program moved or deleted it: what it
writes then is lost. If connections to two files with one path are open at the same time, they share
the write-ahead log at that path, which damages both files. Connections therefore check the file
before each use.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path


class DatabaseFile:
    """The file that was at the path first. No other one is used while the process runs."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity = self._identify()

    def check(self) -> None:
        """Raises sqlite3.OperationalError if the file is missing, or another one has its path."""
        identity = self._identify()
        if identity is None:
            raise sqlite3.OperationalError("unable to open database file")
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            raise sqlite3.OperationalError("database file was replaced")

    def is_read_only(self) -> bool:
        """Whether a new connection cannot write. Does not wait while others write.

        Raises sqlite3.DatabaseError if the file cannot be used at all.
        """
        self.check()
        connection = sqlite3.connect(self.uri(), timeout=0, uri=True, isolation_level=None)
        with contextlib.closing(connection):
            try:
                # BEGIN IMMEDIATE would succeed.
                connection.execute("UPDATE alembic_version SET version_num = '' WHERE false")
            except sqlite3.OperationalError as error:
                primary_code = error.sqlite_errorcode & 0xFF
                if primary_code == sqlite3.SQLITE_READONLY:
                    return True
                if primary_code != sqlite3.SQLITE_BUSY:  # somebody else is writing
                    raise
        return False

    def uri(self, mode: str = "rw") -> str:
        """Returns the URI that opens the file. Only the mode `rwc` creates a missing one."""
        return f"{Path(self.path).absolute().as_uri()}?mode={mode}"

    def _identify(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino
