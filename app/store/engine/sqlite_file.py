"""The file of a SQLite database.

A connection keeps the file that it opened, even after another program moved or deleted it: what it
writes then is lost. Connections therefore compare the identity of their file before each use.
"""

from __future__ import annotations

import os
from urllib.parse import quote

FileIdentity = tuple[int, int]


def identify_file(path: str) -> FileIdentity | None:
    """Returns the device and inode of the file at the path, or None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def file_uri(path: str, mode: str = "rw") -> str:
    """Returns the URI that opens the file. Only the mode `rwc` creates a missing one."""
    return f"file:{quote(path)}?mode={mode}"
