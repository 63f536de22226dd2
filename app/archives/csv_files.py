"""CSV files: reading with locations, and cells that spreadsheets do not run as formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from app.archives.reading import CHUNK_BYTES, BinaryReader, ParsedEvent, decode_utf_16
from app.archives.rows import MappingError, Row, RowParser
from app.domain.shared.json_encoding import encode_json

# Spreadsheets evaluate cells that begin like this. Quotes in front are kept apart from the added
# one, so that every text survives.
_GUARDED = re.compile(r"'*[=+\-@\t\r]")
_DELIMITERS = ",;\t"
# Excel reads and writes the delimiter in a line before the header.
_DELIMITER_LINE = re.compile(r"sep=([^\w\s\"]|\t)\r?\n")
_CARRIAGE_RETURNS_ERROR = (
    "The lines of the file end in a carriage return alone. Use line feeds, for example: "
    "tr '\\r' '\\n' < FILE | tocsin import --format csv -"
)


class _LineError(Exception):
    """A line that cannot be read. The next one can be."""


def format_cells(row: Row, *, raw: bool) -> list[str]:
    """Returns the cells of a row. Without `raw`, texts that look like formulas get a quote."""
    cells = [_format_cell(value) for value in row.values()]
    return cells if raw else [f"'{cell}" if _GUARDED.match(cell) else cell for cell in cells]


def write_lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def read_csv(
    file: BinaryReader, max_bytes: int, parser: RowParser, *, raw: bool
) -> Iterator[ParsedEvent]:
    """Reads rows with a header. Rows longer than `max_bytes` are errors."""
    csv.field_size_limit(max_bytes)
    source = decode_utf_16(file)
    head = source.peek(CHUNK_BYTES)
    if b"\r" in head and b"\n" not in head:
        yield ParsedEvent("line 1", 0, error=_CARRIAGE_RETURNS_ERROR)
        return
    lines = _Lines(source, max_bytes)
    try:
        first = next(lines, "").removeprefix("\ufeff")
        if match := _DELIMITER_LINE.fullmatch(first):
            delimiter, first = match[1], next(lines, "")
        else:
            delimiter = max(_DELIMITERS, key=first.count)
        records = csv.reader(_Chained(first, lines), delimiter=delimiter, strict=True)
        header = [_remove_guard(cell, raw) for cell in next(records, [])]
        parser.check_columns(header)
    except (csv.Error, _LineError, MappingError) as error:
        yield ParsedEvent(f"line {lines.number}", 0, error=str(error))
        return
    while True:
        lines.record_bytes, line = 0, lines.number + 1
        try:
            cells = next(records)
        except StopIteration:
            yield from source.report_end()
            return
        except (csv.Error, _LineError) as error:
            # Python adds advice for programmers after a dash.
            message = f"Invalid CSV: {str(error).partition(' - ')[0]}."
            yield ParsedEvent(f"line {line}", lines.record_bytes, error=message)
            continue
        if any(cells):
            yield _read_record(f"line {line}", lines.record_bytes, header, cells, raw)


def _read_record(
    location: str, size: int, header: Sequence[str], cells: Sequence[str], raw: bool
) -> ParsedEvent:
    if any(cells[len(header) :]):
        message = f"The row has {len(cells):,} cells, but the header has {len(header):,}."
        return ParsedEvent(location, size, error=message)
    values = [_remove_guard(cell, raw) if cell else None for cell in cells]
    return ParsedEvent(location, size, dict(zip(header, values, strict=False)))


def _remove_guard(cell: str, raw: bool) -> str:
    return cell[1:] if not raw and cell.startswith("'") and _GUARDED.match(cell) else cell


def _format_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return encode_json(value)


class _Chained(Iterator[str]):
    """A line, and then the lines of an iterator, also after an error."""

    def __init__(self, first: str, rest: Iterator[str]) -> None:
        self._first: str | None = first
        self._rest = rest

    def __next__(self) -> str:
        line, self._first = self._first, None
        return next(self._rest) if line is None else line


class _Lines(Iterator[str]):
    """The lines of a file in UTF-8. `record_bytes` counts the bytes since it was set to 0."""

    def __init__(self, file: BinaryReader, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self.number = 0
        self.record_bytes = 0

    def __next__(self) -> str:
        line = self._file.readline(self._max_bytes + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.record_bytes += len(line)
        if len(line) > self._max_bytes:
            while line and not line.endswith(b"\n"):
                line = self._file.readline(self._max_bytes)
        if self.record_bytes > self._max_bytes:
            raise _LineError(
                f"the row exceeds {self._max_bytes:,} bytes, or a quoted cell has no end"
            )
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise _LineError(f"the line is not valid UTF-8 at byte {error.start + 1}") from None
