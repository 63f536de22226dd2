"""A file of CloudEvents, read one by one: a JSON array, a line for each, or a single one.

As much of it is in memory as the longest event that is taken, however long the file is.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from app.domain.shared.json_texts import LENIENT, STRICT

CHUNK = 65_536
_BLANK = b" \t\r\n"
_GZIP = b"\x1f\x8b"
_GAP = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class Read:
    """What was found at a place, a JSON value or why there is none; `size` in bytes, or nearly."""

    place: str
    size: int
    value: Any = None
    flaw: str | None = None


class Readable(Protocol):
    """A binary file that is read only."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, most: int, /) -> bytes: ...


def read_events(file: Readable, most_bytes: int) -> Iterator[Read]:
    """The events of a file, or of standard input. One longer than `most_bytes` is a flaw."""
    head = file.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
    lines_before = 0
    while not head.lstrip(_BLANK):
        lines_before += head.count(b"\n")
        if not (head := file.read(1)):
            return
    begun = head.lstrip(_BLANK)
    lines_before += head[: len(head) - len(begun)].count(b"\n")
    if begun.startswith(_GZIP):
        yield Read("line 1", 0, flaw=_COMPRESSED)
        return
    source = _Source(begun, file)
    if begun.startswith(b"["):
        yield from _Array(source, most_bytes).elements()
    else:
        yield from _lines(source, lines_before, most_bytes)


class _Source:
    """What was read ahead, and then the file."""

    def __init__(self, ahead: bytes, file: Readable) -> None:
        self._ahead = io.BytesIO(ahead)
        self._file = file

    def read(self, size: int, /) -> bytes:
        got = self._ahead.read(size)
        return got if len(got) == size else got + self._file.read(size - len(got))

    def readline(self, most: int, /) -> bytes:
        got = self._ahead.readline(most)
        whole = got.endswith(b"\n") or len(got) == most
        return got if whole else got + self._file.readline(most - len(got))


def _lines(source: _Source, number: int, most_bytes: int) -> Iterator[Read]:
    first = True
    while line := source.readline(most_bytes + 1):
        number += 1
        place = f"line {number}"
        if len(line) > most_bytes:
            yield Read(place, most_bytes, flaw=_too_long(most_bytes))
            while line and not line.endswith(b"\n"):
                line = source.readline(CHUNK)
        elif line.strip(_BLANK):
            read = _parsed(place, line)
            if first and read.flaw is not None:
                rest = source.read(most_bytes + 1 - len(line))
                whole = _parsed(place, line + rest)
                if whole.flaw is None and len(line) + len(rest) <= most_bytes:
                    yield whole  # one event, over several lines
                    return
                source = _Source(rest, source)
            yield read
        first = first and not line.strip(_BLANK)


def _parsed(place: str, line: bytes) -> Read:
    try:
        text = line.decode()
        value = STRICT.decode(text)
    except UnicodeDecodeError as error:
        return Read(place, len(line), flaw=f"Byte {error.start + 1} is no UTF-8.")
    except RecursionError:
        return Read(place, len(line), flaw=_TOO_DEEP)
    except json.JSONDecodeError as error:
        return Read(place, len(line), flaw=f"Is no JSON: {error.msg} (character {error.pos + 1}).")
    except ValueError as error:
        return Read(place, len(line), flaw=f"Is no JSON: {error}.")
    return Read(place, len(line), value)


class _Array:
    """Takes one element after the other out of the text, and reads on where one is incomplete."""

    def __init__(self, source: _Source, most_bytes: int) -> None:
        self._source = source
        self._most = most_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._passed = 0  # characters before the text
        self._ended = False

    def elements(self) -> Iterator[Read]:
        index = 0
        try:
            self._take("[")
            if self._peek() != "]":
                yield self._element("index 0")
                index += 1
            while self._peek() != "]":
                self._take(",")
                yield self._element(f"index {index}")
                index += 1
            self._take("]")
            if self._peek():
                raise _BrokenError("something follows the array")
        except _BrokenError as error:
            at = self._passed + self._at + 1
            flaw = f"The array cannot be read on from character {at:,}: {error}."
            yield Read(f"index {index}", 0, flaw=flaw)

    def _peek(self) -> str:
        """The next character that is no blank; none at the end of the file."""
        while True:
            gap = _GAP.match(self._text, self._at)
            self._at = gap.end() if gap else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._fill()

    def _take(self, sign: str) -> None:
        found = self._peek()
        if found != sign:
            raise _BrokenError(f"expecting ',' or ']', not {found!a}" if found else _CUT_OFF)
        self._at += 1

    def _element(self, place: str) -> Read:
        if not self._peek():
            raise _BrokenError(_CUT_OFF)
        while True:
            try:
                value, end, flaw = self._decoded()
            except RecursionError:
                raise _BrokenError("it is nested too deeply") from None
            # A number may go on behind the end of the text.
            if end is not None and (end < len(self._text) or self._ended):
                size = end - self._at
                self._at = end
                return Read(place, size, value, flaw)
            if self._ended:
                raise _BrokenError(flaw or _CUT_OFF)
            if len(self._text) - self._at > self._most:
                raise _BrokenError(f"no event within {self._most:,} characters ({flaw})")
            self._fill()

    def _decoded(self) -> tuple[Any, int | None, str | None]:
        """The value, where it ends, and what is wrong with it; None for an end not found."""
        try:
            value, end = STRICT.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            return None, None, f"{error.msg} at character {self._passed + error.pos + 1:,}"
        except ValueError as error:
            try:
                _, end = LENIENT.raw_decode(self._text, self._at)
            except ValueError:
                return None, None, str(error)
            return None, end, f"Is no JSON: {error}."
        if end - self._at > self._most:
            return None, end, _too_long(self._most)
        return value, end, None

    def _fill(self) -> None:
        """Reads on: as much as is there already, so that a long event is not begun too often."""
        chunk = self._source.read(max(CHUNK, len(self._text) - self._at))
        try:
            more = self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            raise _BrokenError("what follows is no UTF-8") from None
        self._ended = not chunk
        self._passed += self._at
        self._text = self._text[self._at :] + more
        self._at = 0


class _BrokenError(Exception):
    """Why the rest of an array cannot be read."""


_CUT_OFF = "the file ends within it"
_COMPRESSED = "Is compressed by gzip: zcat FILE | tocsin import -"
_TOO_DEEP = "Is nested too deeply to be read."


def _too_long(most_bytes: int) -> str:
    return f"Is longer than {most_bytes:,} bytes."
