"""Reads CloudEvents from a file: a JSON array, one event per line, or a single event.

Memory is bounded by the longest event that is accepted, regardless of the file size.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from app.domain.shared.strict_json import LENIENT_DECODER, STRICT_DECODER

CHUNK_BYTES = 65_536
_WHITESPACE_BYTES = b" \t\r\n"
_GZIP_MAGIC = b"\x1f\x8b"
_WHITESPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class ParsedEvent:
    """The JSON value of an event, or the error that prevented it. `size` is in bytes, or close."""

    location: str
    size: int
    value: Any = None
    error: str | None = None


class BinaryReader(Protocol):
    """The methods of a binary file that `read_events` uses."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, limit: int, /) -> bytes: ...


def read_events(file: BinaryReader, max_bytes: int) -> Iterator[ParsedEvent]:
    """Reads the events of a file or standard input. Events longer than `max_bytes` are errors."""
    head = file.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
    lines_before = 0
    while not head.lstrip(_WHITESPACE_BYTES):
        lines_before += head.count(b"\n")
        if not (head := file.read(1)):
            return
    start = head.lstrip(_WHITESPACE_BYTES)
    lines_before += head[: len(head) - len(start)].count(b"\n")
    if start.startswith(_GZIP_MAGIC):
        yield ParsedEvent("line 1", 0, error=_COMPRESSED_ERROR)
        return
    source = _BufferedSource(start, file)
    if start.startswith(b"["):
        yield from _ArrayReader(source, max_bytes).elements()
    else:
        yield from _read_lines(source, lines_before, max_bytes)


class _BufferedSource:
    """A file with bytes that were already read from it in front."""

    def __init__(self, buffered: bytes, file: BinaryReader) -> None:
        self._buffer = io.BytesIO(buffered)
        self._file = file

    def read(self, size: int, /) -> bytes:
        data = self._buffer.read(size)
        return data if len(data) == size else data + self._file.read(size - len(data))

    def readline(self, limit: int, /) -> bytes:
        line = self._buffer.readline(limit)
        complete = line.endswith(b"\n") or len(line) == limit
        return line if complete else line + self._file.readline(limit - len(line))


def _read_lines(source: _BufferedSource, line_number: int, max_bytes: int) -> Iterator[ParsedEvent]:
    first = True
    while line := source.readline(max_bytes + 1):
        line_number += 1
        location = f"line {line_number}"
        if len(line) > max_bytes:
            yield ParsedEvent(location, max_bytes, error=_size_error(max_bytes))
            while line and not line.endswith(b"\n"):
                line = source.readline(CHUNK_BYTES)
        elif line.strip(_WHITESPACE_BYTES):
            event = _parse_event(location, line)
            if first and event.error is not None:
                rest = source.read(max_bytes + 1 - len(line))
                single_event = _parse_event(location, line + rest)
                if single_event.error is None and len(line) + len(rest) <= max_bytes:
                    yield single_event  # one event that spans several lines
                    return
                source = _BufferedSource(rest, source)
            yield event
        first = first and not line.strip(_WHITESPACE_BYTES)


def _parse_event(location: str, line: bytes) -> ParsedEvent:
    try:
        text = line.decode()
        value = STRICT_DECODER.decode(text)
    except UnicodeDecodeError as error:
        return ParsedEvent(location, len(line), error=f"Invalid UTF-8 at byte {error.start + 1}.")
    except RecursionError:
        return ParsedEvent(location, len(line), error=_TOO_DEEP_ERROR)
    except json.JSONDecodeError as error:
        return ParsedEvent(
            location, len(line), error=f"Invalid JSON: {error.msg} (character {error.pos + 1})."
        )
    except ValueError as error:
        return ParsedEvent(location, len(line), error=f"Invalid JSON: {error}.")
    return ParsedEvent(location, len(line), value)


class _ArrayReader:
    """Decodes the elements of a JSON array one by one, and reads more text when it needs to."""

    def __init__(self, source: _BufferedSource, max_bytes: int) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._index = 0
        self._consumed_characters = 0  # characters before `_text`
        self._at_end = False

    def elements(self) -> Iterator[ParsedEvent]:
        index = 0
        try:
            self._expect("[")
            if self._peek() != "]":
                yield self._read_element("index 0")
                index += 1
            while self._peek() != "]":
                self._expect(",")
                yield self._read_element(f"index {index}")
                index += 1
            self._expect("]")
            if self._peek():
                raise _ArrayError("unexpected text after the array")
        except _ArrayError as error:
            character = self._consumed_characters + self._index + 1
            message = f"Cannot read the array from character {character:,}: {error}."
            yield ParsedEvent(f"index {index}", 0, error=message)

    def _peek(self) -> str:
        """Returns the next character that is not whitespace, or an empty text at the end."""
        while True:
            whitespace = _WHITESPACE.match(self._text, self._index)
            self._index = whitespace.end() if whitespace else self._index
            if self._index < len(self._text):
                return self._text[self._index]
            if self._at_end:
                return ""
            self._fill()

    def _expect(self, expected: str) -> None:
        character = self._peek()
        if character != expected:
            raise _ArrayError(
                f"expected ',' or ']' instead of {character!a}" if character else _UNEXPECTED_END
            )
        self._index += 1

    def _read_element(self, location: str) -> ParsedEvent:
        if not self._peek():
            raise _ArrayError(_UNEXPECTED_END)
        while True:
            try:
                value, end, error = self._decode_element()
            except RecursionError:
                raise _ArrayError("the event is nested too deeply") from None
            # A number at the end of the text may be incomplete.
            if end is not None and (end < len(self._text) or self._at_end):
                size = end - self._index
                self._index = end
                return ParsedEvent(location, size, value, error)
            if self._at_end:
                raise _ArrayError(error or _UNEXPECTED_END)
            if len(self._text) - self._index > self._max_bytes:
                raise _ArrayError(
                    f"no complete event within {self._max_bytes:,} characters ({error})"
                )
            self._fill()

    def _decode_element(self) -> tuple[Any, int | None, str | None]:
        """Returns the value, its end and its error. The end is None if it was not found."""
        try:
            value, end = STRICT_DECODER.raw_decode(self._text, self._index)
        except json.JSONDecodeError as error:
            return (
                None,
                None,
                f"{error.msg} at character {self._consumed_characters + error.pos + 1:,}",
            )
        except ValueError as error:
            try:
                _, end = LENIENT_DECODER.raw_decode(self._text, self._index)
            except ValueError:
                return None, None, str(error)
            return None, end, f"Invalid JSON: {error}."
        if end - self._index > self._max_bytes:
            return None, end, _size_error(self._max_bytes)
        return value, end, None

    def _fill(self) -> None:
        """Doubles the text, so that the number of decoding attempts of a long event is small."""
        chunk = self._source.read(max(CHUNK_BYTES, len(self._text) - self._index))
        try:
            more = self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            raise _ArrayError("the rest of the file is not valid UTF-8") from None
        self._at_end = not chunk
        self._consumed_characters += self._index
        self._text = self._text[self._index :] + more
        self._index = 0


class _ArrayError(Exception):
    """The rest of the array cannot be read."""


_UNEXPECTED_END = "unexpected end of the file"
_COMPRESSED_ERROR = "The file is compressed with gzip. Run: zcat FILE | tocsin import -"
_TOO_DEEP_ERROR = "The event is nested too deeply."


def _size_error(max_bytes: int) -> str:
    return f"The event exceeds {max_bytes:,} bytes."
