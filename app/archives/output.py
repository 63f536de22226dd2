"""Where an export goes: standard output, or a file that a later run goes on with.

Beside FILE lies FILE.cursor: how many bytes of FILE are good, and the place in the log behind them.
It is replaced after the lines are on the disk; what FILE has beyond is of a run that was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Protocol


class OutputError(Exception):
    """Why there can be no output there. `usage`: other options would do."""

    def __init__(self, message: str, *, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


class Output(Protocol):
    """`after` is where the export begins: behind this cursor, or at the beginning."""

    after: str | None

    def write(self, lines: bytes, cursor: str) -> None:
        """Whole lines, and the cursor behind them. OutputError."""


class StandardOutput:
    def __init__(self, after: str | None) -> None:
        self.after = after

    def write(self, lines: bytes, cursor: str) -> None:
        try:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
        except OSError as error:
            # Python would try once more at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise OutputError(f"Standard output cannot be written: {error.strerror}.") from None


@dataclass
class File:
    """A file under a lock. Write the first cursor before the first line."""

    path: Path
    after: str | None
    asked: dict[str, Any]
    file: FileIO

    def write(self, lines: bytes, cursor: str) -> None:
        try:
            left = memoryview(lines)
            while left:
                left = left[self.file.write(left) :]
            os.fsync(self.file.fileno())
            self._keep(cursor, self.file.tell())
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def _keep(self, cursor: str, size: int) -> None:
        kept = {"cursor": cursor, "bytes": size, "asked": self.asked}
        new = _beside(self.path, ".cursor.new")
        with new.open("w") as file:
            file.write(json.dumps(kept) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(_beside(self.path, ".cursor"))
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def opened(path: Path, after: str | None, asked: dict[str, Any]) -> Iterator[File]:
    """A new file, or one that an export of the same events began: cut to what is good of it.

    OutputError, and nothing is changed.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
    except OSError as error:
        raise _unwritable(path, error) from None
    with file:
        yield _resumed(path, file, after, asked)


def _resumed(path: Path, file: FileIO, after: str | None, asked: dict[str, Any]) -> File:
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OutputError(f"{path} is no file.", usage=True)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        kept = _kept(path, file.seek(0, os.SEEK_END), after, asked)
        if kept is not None:
            file.truncate(kept["bytes"])
            file.seek(0, os.SEEK_END)
            after = kept["cursor"]
        return File(path, after, asked, file)
    except BlockingIOError:
        raise OutputError(f"Another export is writing {path}.") from None
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written: {error.strerror}.")


def _kept(path: Path, size: int, after: str | None, asked: dict[str, Any]) -> dict[str, Any] | None:
    """What an earlier run left beside the file; None where there was none."""
    beside = _beside(path, ".cursor")
    try:
        kept = json.loads(beside.read_text())
        begun, good, _ = kept["asked"], int(kept["bytes"]), str(kept["cursor"])
    except FileNotFoundError:
        if size:
            raise OutputError(
                f"{path} is there, and no {beside.name} beside it that says how to go on: "
                "choose another file, or remove it.",
                usage=True,
            ) from None
        return None
    except (ValueError, TypeError, LookupError):
        raise OutputError(f"{beside} is damaged: remove it and {path} to begin anew.") from None
    if after is not None:
        raise OutputError(f"{path} goes on from {beside.name}: leave --after out.", usage=True)
    if begun != asked:
        raise OutputError(
            f"{path} was begun with other options, {json.dumps(begun)}: "
            "go on with these, or choose another file.",
            usage=True,
        )
    if size < good:
        raise OutputError(
            f"{path} has {size:,} bytes, of {good:,} that were written: something else changed "
            f"it. Remove it and {beside.name} to begin anew."
        )
    return dict(kept)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
