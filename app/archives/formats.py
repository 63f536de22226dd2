"""The formats of exports: CloudEvents, or tables of events and of change log entries."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from app.archives.csv_files import format_cells, write_lines
from app.archives.rows import Row
from app.domain.events.cloudevents import format_cloud_event, schema_url
from app.domain.events.state import EventState
from app.domain.shared.exact_decimals import encode_exactly

_ENCODER = json.JSONEncoder(separators=(",", ":"))


class FileFormat(Enum):
    CLOUDEVENTS = "cloudevents"
    CSV = "csv"
    NDJSON = "ndjson"
    JSON = "json"
    PARQUET = "parquet"

    @property
    def is_appendable(self) -> bool:
        """Whether a file can be continued: it has no end."""
        return self not in (FileFormat.JSON, FileFormat.PARQUET)


class Encoder(Protocol):
    """Encodes the objects of an export, page by page. `start` is not called to continue a file."""

    def start(self) -> bytes: ...

    def encode(self, objects: Sequence[Any]) -> bytes: ...

    def finish(self) -> bytes: ...


@dataclass(frozen=True)
class LineEncoder:
    """One JSON value per line."""

    format_object: Callable[[Any], Any]

    def start(self) -> bytes:
        return b""

    def encode(self, objects: Sequence[Any]) -> bytes:
        # In ASCII: some readers treat U+2028 and U+0085 as line ends.
        return b"".join(_dump_json(self.format_object(each)) + b"\n" for each in objects)

    def finish(self) -> bytes:
        return b""


@dataclass
class ArrayEncoder:
    """A JSON array, with one value per line."""

    format_object: Callable[[Any], Any]
    _separator: bytes = field(default=b"", init=False)

    def start(self) -> bytes:
        return b"["

    def encode(self, objects: Sequence[Any]) -> bytes:
        encoded = b""
        for each in objects:
            encoded += self._separator + b"\n" + _dump_json(self.format_object(each))
            self._separator = b","
        return encoded

    def finish(self) -> bytes:
        return b"\n]\n"


@dataclass(frozen=True)
class CsvEncoder:
    format_object: Callable[[Any], Row]
    columns: Mapping[str, str]
    raw: bool

    def start(self) -> bytes:
        return write_lines([list(self.columns)])

    def encode(self, objects: Sequence[Any]) -> bytes:
        rows = map(self.format_object, objects)
        return write_lines([format_cells(row, raw=self.raw) for row in rows])

    def finish(self) -> bytes:
        return b""


def create_encoder(
    format: FileFormat,
    format_row: Callable[[Any], Row],
    columns: Mapping[str, str],
    *,
    raw: bool,
    public_url: str | None,
) -> Encoder:
    """`public_url` is the base of `dataschema` of CloudEvents, which is omitted without it."""

    def format_event(event: EventState) -> Any:
        return format_cloud_event(event, schema_url(public_url, event) if public_url else None)

    match format:
        case FileFormat.CLOUDEVENTS:
            return LineEncoder(format_event)
        case FileFormat.CSV:
            return CsvEncoder(format_row, columns, raw)
        case FileFormat.NDJSON:
            return LineEncoder(format_row)
        case FileFormat.JSON:
            return ArrayEncoder(format_row)
    from app.archives.parquet_files import ParquetEncoder

    return ParquetEncoder(format_row, columns)


def _dump_json(value: Any) -> bytes:
    return encode_exactly(_ENCODER.encode, value).encode()
