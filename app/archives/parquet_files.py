"""Parquet files, written and read in batches. Needs the extra `parquet`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import pyarrow
import pyarrow.parquet

from app.archives.reading import ParsedEvent
from app.archives.rows import BOOLEAN, INTEGER, JSON, TEXT, TIME, MappingError, Row, RowParser
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.values import format_instant, parse_instant

BATCH_ROWS = 500
_TYPES = {
    TEXT: pyarrow.string(),
    TIME: pyarrow.timestamp("us", tz="UTC"),
    INTEGER: pyarrow.int64(),
    BOOLEAN: pyarrow.bool_(),
    JSON: pyarrow.string(),
}


class ParquetEncoder:
    """Each page of an export is a row group. Objects and lists are JSON texts."""

    def __init__(self, format_object: Callable[[Any], Row], columns: Mapping[str, str]) -> None:
        self._format_object = format_object
        self._columns = columns
        self._schema = pyarrow.schema([(name, _TYPES[type]) for name, type in columns.items()])
        self._sink = _Sink()
        self._writer = pyarrow.parquet.ParquetWriter(self._sink, self._schema)

    def start(self) -> bytes:
        return self._sink.take()

    def encode(self, objects: Sequence[Any]) -> bytes:
        if objects:
            rows = [self._format_object(each) for each in objects]
            arrays = [
                pyarrow.array([_CONVERSIONS[type](row[name]) for row in rows], _TYPES[type])
                for name, type in self._columns.items()
            ]
            self._writer.write_table(pyarrow.Table.from_arrays(arrays, schema=self._schema))
        return self._sink.take()

    def finish(self) -> bytes:
        self._writer.close()
        return self._sink.take()


class _Sink(io.RawIOBase):
    """Keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def read_parquet(file: BinaryIO, parser: RowParser) -> Iterator[ParsedEvent]:
    """Reads rows, which are located by their number from 1."""
    try:
        parquet = pyarrow.parquet.ParquetFile(file)
        parser.check_columns(parquet.schema_arrow.names)
        number = 0
        for batch in parquet.iter_batches(BATCH_ROWS):
            for row in batch.to_pylist():
                number += 1
                values = {name: _convert_value(value) for name, value in row.items()}
                yield ParsedEvent(f"row {number}", len(str(row)), values)
    except (pyarrow.ArrowException, MappingError) as error:
        yield ParsedEvent("file", 0, error=f"Cannot read the file: {error}.".replace("..", "."))


def _convert_value(value: Any) -> Any:
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, list):
        return [_convert_value(each) for each in value]
    if isinstance(value, dict):
        return {name: _convert_value(each) for name, each in value.items()}
    if getattr(value, "tzinfo", None) is not None:
        return format_instant(value)
    return str(value)


def _dump_json(value: Any) -> str | None:
    return None if value is None else encode_json(value)


def _keep(value: Any) -> Any:
    return value


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    TEXT: _keep,
    TIME: lambda text: None if text is None else parse_instant(text),
    INTEGER: _keep,
    BOOLEAN: _keep,
    JSON: _dump_json,
}
