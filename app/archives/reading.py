"""Reads JSON values from a file: an array, one value per line, or values one after the other.

The text is UTF-8, or UTF-16 with a byte order mark. Memory is bounded by the longest event that is
accepted, regardless of the file size.
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
    """The value of an event, or the error that prevented it. `size` is in bytes, or close."""

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
    source = decode_utf_16(file)
    yield from _read_values(source, max_bytes)
    yield from source.report_end()


def _read_values(file: BinaryReader, max_bytes: int) -> Iterator[ParsedEvent]:
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
    source = BufferedSource(start, file)
    if start.startswith(b"["):
        yield from _ValueReader(source, lines_before, max_bytes).read_array()
    else:
        yield from _read_lines(source, lines_before, max_bytes)


_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def decode_utf_16(file: BinaryReader) -> BufferedSource:
    """Returns the file, in UTF-8 if it begins with a byte order mark of UTF-16."""
    head = file.read(len(codecs.BOM_UTF16_LE))
    if (encoding := _UTF_16.get(head)) is None:
        return BufferedSource(head, file)
    utf_16 = _Utf16File(file, encoding)
    return BufferedSource(b"", io.BufferedReader(utf_16, CHUNK_BYTES), utf_16)


class _Utf16File(io.RawIOBase):
    """A file in UTF-16, read as UTF-8. It ends where it is invalid, with the reason in `error`."""

    def __init__(self, file: BinaryReader, encoding: str) -> None:
        self._file = file
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._decoded = b""
        self.error: str | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        is_at_end = self.error is not None
        while not (self._decoded or is_at_end):
            chunk = self._file.read(CHUNK_BYTES)
            is_at_end = not chunk
            try:
                text = self._decoder.decode(chunk, final=is_at_end)
            except UnicodeDecodeError as error:
                is_at_end, self.error = True, f"it is not valid UTF-16 ({error.reason})"
                text = error.object[: error.start].decode(self._encoding)
            self._decoded = text.encode()
        count = min(len(buffer), len(self._decoded))
        buffer[:count] = self._decoded[:count]
        self._decoded = self._decoded[count:]
        return count


class BufferedSource:
    """A file with bytes that were already read from it in front."""

    def __init__(
        self, buffered: bytes, file: BinaryReader, utf_16: _Utf16File | None = None
    ) -> None:
        self._buffer = io.BytesIO(buffered)
        self._file = file
        self._utf_16 = utf_16

    def read(self, size: int, /) -> bytes:
        data = self._buffer.read(size)
        return data if len(data) == size else data + self._file.read(size - len(data))

    def readline(self, limit: int, /) -> bytes:
        line = self._buffer.readline(limit)
        complete = line.endswith(b"\n") or len(line) == limit
        return line if complete else line + self._file.readline(limit - len(line))

    def peek(self, size: int) -> bytes:
        """Returns the next bytes, which are read again later. Fewer only at the end."""
        data = self.read(size)
        self._buffer = io.BytesIO(data + self._buffer.read())
        return data

    def report_end(self) -> Iterator[ParsedEvent]:
        """Yields an error if the file ends before the last of its bytes."""
        if self._utf_16 is not None and self._utf_16.error is not None:
            message = f"Cannot read the rest of the file: {self._utf_16.error}."
            yield ParsedEvent("file", 0, error=message)


def _read_lines(source: BufferedSource, line_number: int, max_bytes: int) -> Iterator[ParsedEvent]:
    while line := source.readline(max_bytes + 1):
        line_number += 1
        location = f"line {line_number}"
        if len(line) > max_bytes:
            yield ParsedEvent(location, max_bytes, error=_size_error(max_bytes))
            while line and not line.endswith(b"\n"):
                line = source.readline(CHUNK_BYTES)
        elif line.strip(_WHITESPACE_BYTES):
            event = _parse_event(location, line)
            if event.error is not None and _continues(line, source, max_bytes):
                values = BufferedSource(line, source)
                yield from _ValueReader(values, line_number - 1, max_bytes).read_sequence()
                return
            yield event


def _continues(line: bytes, source: BufferedSource, max_bytes: int) -> bool:
    """Whether the line begins with an object that another one, or the next lines, follow.

    Reads ahead only while more lines could complete the object.
    """
    line = line.lstrip(_WHITESPACE_BYTES)
    size = 0
    while line.startswith(b"{"):
        ahead = source.peek(size)
        is_at_end = len(ahead) < size
        if not is_at_end:  # whole lines: no value of JSON is cut off at the end of a line
            ahead = ahead[: ahead.rfind(b"\n") + 1]
        text = (line + ahead).decode(errors="replace")
        try:
            _, end = LENIENT_DECODER.raw_decode(text)
        except json.JSONDecodeError as error:
            if is_at_end or size > max_bytes or text[error.pos :].strip():
                return False
            size = max(CHUNK_BYTES, 2 * size)
        except (ValueError, RecursionError):
            return False
        else:
            rest = text[end:].lstrip()
            return rest.startswith("{") or (not rest and size > 0)
    return False


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
            location, len(line), error=f"Invalid JSON: {error.msg} (column {error.pos + 1})."
        )
    except ValueError as error:
        return ParsedEvent(location, len(line), error=f"Invalid JSON: {error}.")
    return ParsedEvent(location, len(line), value)


class _ValueReader:
    """Decodes JSON values one by one, and reads more text when it needs to."""

    def __init__(self, source: BufferedSource, lines_before: int, max_bytes: int) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._index = 0
        # Of what precedes `_text`: the number of line ends, and of characters after the last one.
        self._lines, self._characters = lines_before, 0
        self._at_end = False

    def read_array(self) -> Iterator[ParsedEvent]:
        """Reads the elements of an array."""
        index = 0
        try:
            self._expect("[")
            if self._peek() != "]":
                yield self._read_value("index 0")
                index += 1
            while self._peek() != "]":
                self._expect(",")
                yield self._read_value(f"index {index}")
                index += 1
            self._expect("]")
            if self._peek():
                raise _JsonError("unexpected text after the array")
        except _JsonError as error:
            message = f"Cannot read the array from {self._locate(self._index)}: {error}."
            yield ParsedEvent(f"index {index}", 0, error=message)

    def read_sequence(self) -> Iterator[ParsedEvent]:
        """Reads values that follow each other, each on one or more lines."""
        try:
            while self._peek():
                yield self._read_value(self._locate_line())
        except _JsonError as error:
            message = f"Cannot read the rest of the file from {self._locate(self._index)}: {error}."
            yield ParsedEvent(self._locate_line(), 0, error=message)

    def _locate_line(self) -> str:
        return self._locate(self._index).partition(",")[0]

    def _locate(self, index: int) -> str:
        """Returns the line and column of a character of `_text`."""
        lines = self._text.count("\n", 0, index)
        line_start = self._text.rfind("\n", 0, index) + 1
        column = index - line_start + 1 + (0 if lines else self._characters)
        return f"line {self._lines + lines + 1}, column {column}"

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
            raise _JsonError(
                f"expected ',' or ']' instead of {character!a}" if character else _UNEXPECTED_END
            )
        self._index += 1

    def _read_value(self, location: str) -> ParsedEvent:
        if not self._peek():
            raise _JsonError(_UNEXPECTED_END)
        while True:
            try:
                value, end, error = self._decode_value()
            except RecursionError:
                raise _JsonError("the event is nested too deeply") from None
            # A number at the end of the text may be incomplete.
            if end is not None and (end < len(self._text) or self._at_end):
                size = end - self._index
                self._index = end
                return ParsedEvent(location, size, value, error)
            if self._at_end:
                raise _JsonError(error or _UNEXPECTED_END)
            if len(self._text) - self._index > self._max_bytes:
                raise _JsonError(
                    f"no complete event within {self._max_bytes:,} characters ({error})"
                )
            self._fill()

    def _decode_value(self) -> tuple[Any, int | None, str | None]:
        """Returns the value, its end and its error. The end is None if it was not found."""
        try:
            value, end = STRICT_DECODER.raw_decode(self._text, self._index)
        except json.JSONDecodeError as error:
            return (
                None,
                None,
                f"{error.msg} at {self._locate(error.pos)}",
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
            raise _JsonError("the rest of the file is not valid UTF-8") from None
        self._at_end = not chunk
        if lines := self._text.count("\n", 0, self._index):
            self._lines += lines
            self._characters = self._index - self._text.rfind("\n", 0, self._index) - 1
        else:
            self._characters += self._index
        self._text = self._text[self._index :] + more
        self._index = 0


class _JsonError(Exception):
    """The rest of the values cannot be read."""


_UNEXPECTED_END = "unexpected end of the file"
_COMPRESSED_ERROR = "The file is compressed with gzip. Run: zcat FILE | tocsin import -"
_TOO_DEEP_ERROR = "The event is nested too deeply."


def _size_error(max_bytes: int) -> str:
    return f"The event exceeds {max_bytes:,} bytes."
