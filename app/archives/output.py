"""Outputs of an export: standard output, or a file that a later run can resume.

FILE.cursor next to FILE has the number of valid bytes in FILE and the change log cursor after them.
It is replaced after the lines are on disk. Other bytes in FILE are from a run that was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Protocol


class OutputError(Exception):
    """The output cannot be written. `usage` is set if other options would work."""

    def __init__(self, message: str, *, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


class ExportOutput(Protocol):
    """An output. The export starts after the cursor `after`, or at the beginning if it is None.

    `is_continued`: an earlier export has written the start of the file.
    """

    after: str | None
    is_continued: bool

    def write(self, lines: bytes, cursor: str) -> None:
        """Writes complete lines and the cursor after them. Raises OutputError."""


class StandardOutput:
    is_continued = False

    def __init__(self, after: str | None) -> None:
        self.after = after

    def write(self, lines: bytes, cursor: str) -> None:
        try:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
        except OSError as error:
            # Python would flush again at exit and print an error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise OutputError(f"Cannot write to standard output: {error.strerror}.") from None


@dataclass
class ResumableFile:
    """A locked file. Write the first cursor before the first line."""

    path: Path
    after: str | None
    options: dict[str, Any]
    file: FileIO
    is_continued: bool = False

    def write(self, lines: bytes, cursor: str) -> None:
        try:
            _write_all(self.file, lines)
            self._save_state(cursor, self.file.tell())
        except OSError as error:
            raise _write_error(self.path, error) from None

    def _save_state(self, cursor: str, size: int) -> None:
        state = {"cursor": cursor, "bytes": size, "asked": self.options}
        temporary_path = _sibling_path(self.path, ".cursor.new")
        with temporary_path.open("w") as file:
            file.write(json.dumps(state) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary_path.replace(_sibling_path(self.path, ".cursor"))
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@dataclass
class NewFile:
    """A file that cannot be continued, because its format has an end."""

    path: Path
    after: str | None
    file: FileIO
    is_continued: bool = False

    def write(self, lines: bytes, cursor: str) -> None:
        try:
            _write_all(self.file, lines)
        except OSError as error:
            raise _write_error(self.path, error) from None


def _write_all(file: FileIO, data: bytes) -> None:
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[file.write(remaining) :]
    os.fsync(file.fileno())


@contextmanager
def open_new(path: Path, after: str | None) -> Iterator[NewFile]:
    """Creates a file. Raises OutputError if it exists."""
    try:
        file = FileIO(path, "x")
    except FileExistsError:
        message = (
            f"--output: {path} exists, and an export in this format cannot be continued. Choose a "
            "different file."
        )
        raise OutputError(message, usage=True) from None
    except OSError as error:
        raise _write_error(path, error) from None
    with file:
        yield NewFile(path, after, file)


@contextmanager
def open_resumable(
    path: Path, after: str | None, options: dict[str, Any]
) -> Iterator[ResumableFile]:
    """Opens a new file, or one of an earlier export of the same events, cut to its valid bytes.

    Raises OutputError, without changing anything.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
    except OSError as error:
        raise _write_error(path, error) from None
    with file:
        yield _resume(path, file, after, options)


def _resume(path: Path, file: FileIO, after: str | None, options: dict[str, Any]) -> ResumableFile:
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OutputError(f"--output: {path} is not a regular file.", usage=True)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        state = _load_state(path, file.seek(0, os.SEEK_END), after, options)
        if state is not None:
            file.truncate(state["bytes"])
            file.seek(0, os.SEEK_END)
            after = state["cursor"]
        return ResumableFile(path, after, options, file, is_continued=bool(file.tell()))
    except BlockingIOError:
        raise OutputError(
            f"Another export is writing to {path}. Wait for it to end, or choose a different file."
        ) from None
    except OSError as error:
        raise _write_error(path, error) from None


def _write_error(path: Path, error: OSError) -> OutputError:
    return OutputError(f"Cannot write to {path}: {error.strerror}.")


def _load_state(
    path: Path, size: int, after: str | None, options: dict[str, Any]
) -> dict[str, Any] | None:
    """Returns the state that an earlier run saved. None for a new file."""
    state_path = _sibling_path(path, ".cursor")
    try:
        state = json.loads(state_path.read_text())
        saved_options, saved_size, _ = state["asked"], int(state["bytes"]), str(state["cursor"])
    except FileNotFoundError:
        if size:
            raise OutputError(
                f"{path} exists without {state_path.name}, so the export cannot be continued. "
                f"Choose a different file, or remove {path.name}.",
                usage=True,
            ) from None
        return None
    except (ValueError, TypeError, LookupError):
        raise OutputError(
            f"{state_path} is damaged. To start again, remove {state_path.name} and {path.name}."
        ) from None
    if after is not None:
        raise OutputError(
            f"--after is not allowed here: the export to {path} resumes from the cursor in "
            f"{state_path.name}. Omit --after, or choose a different file.",
            usage=True,
        )
    if saved_options != options:
        raise OutputError(
            f"The export to {path} was started with different options: "
            f"{_format_options(saved_options)}. Use the same options, or choose a different file.",
            usage=True,
        )
    if size < saved_size:
        raise OutputError(
            f"{path} has {size:,} bytes, but {saved_size:,} were written: another program has "
            f"changed the file. To start again, remove {path.name} and {state_path.name}."
        )
    return dict(state)


def _format_options(options: dict[str, Any]) -> str:
    """Returns saved options as they are written in a command."""
    arguments = []
    for name, values in options.items():
        for value in values if isinstance(values, list) else [values]:
            arguments += [f"--{name}", *([] if value is True else [str(value)])]
    return shlex.join(arguments)


def _sibling_path(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
