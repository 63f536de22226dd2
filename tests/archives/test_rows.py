"""Tables of events: every event survives each format, and errors name line and column."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.archives.csv_files import format_cells, read_csv, write_lines
from app.archives.formats import FileFormat, create_encoder
from app.archives.parquet_files import read_parquet
from app.archives.reading import ParsedEvent, read_events
from app.archives.rows import EVENT_COLUMNS, Row, RowParser, format_event
from app.domain.event_types.fields import FieldKind
from app.domain.events.severity import Severity
from app.domain.events.state import EventDraft, EventState
from app.domain.shared.problems import Problem
from tests.domain.strategies import EVENTS, STORABLE_TEXT

MAX_BYTES = 1_000_000
TABLES = [each for each in FileFormat if each is not FileFormat.CLOUDEVENTS]


def encode(events: list[EventState], format: FileFormat, *, raw: bool = False) -> bytes:
    encoder = create_encoder(format, format_event, EVENT_COLUMNS, raw=raw, public_url=None)
    half = len(events) // 2
    pages = [encoder.encode(page) for page in (events[:half], [], events[half:])]
    return b"".join([encoder.start(), *pages, encoder.finish()])


def decode(
    data: bytes, format: FileFormat, parser: RowParser, *, raw: bool = False
) -> Iterator[ParsedEvent]:
    match format:
        case FileFormat.CSV:
            return read_csv(io.BytesIO(data), MAX_BYTES, parser, raw=raw)
        case FileFormat.PARQUET:
            return read_parquet(io.BytesIO(data), parser)
    return read_events(io.BytesIO(data), MAX_BYTES)


def read_drafts(data: bytes, format: FileFormat, *, raw: bool = False) -> list[Any]:
    parser = RowParser()
    reads = list(decode(data, format, parser, raw=raw))
    assert [read.error for read in reads if read.error] == []
    return [parser.parse(read.value, "x") for read in reads]


def draft_of(event: EventState, format: FileFormat) -> EventDraft:
    """The draft that an import of an event makes.

    An empty text counts as absent in CSV, and where events have none.
    """
    absent = None if format is FileFormat.CSV else ""
    return EventDraft(
        type=event.type or None,
        occurred_at=event.occurred_at,
        severity=event.severity.value,
        severity_level=event.severity,
        severity_text=event.severity_text or None,
        summary=event.summary or absent,
        content=event.content or (absent if event.content == "" else None),
        source=event.source or None,
        source_id=event.source_id or str(event.id),
        subject=event.subject or None,
        entity=event.entity if event.entity and (event.entity.type or event.entity.id) else None,
        outcome=event.outcome,
        tags=event.tags,
        fields=event.fields,
        notification=event.notification,
        acknowledged=True if event.acknowledged_at else None,
        alert_key=event.alert_key or None,
        resolved_at=event.resolved_at,
    )


def with_stored_numbers(event: EventState) -> EventState:
    """The event with numbers that the database can store."""
    version = event.event_type_version
    return replace(
        event,
        version=event.version % 2**31,
        occurrences=event.occurrences % 2**31,
        event_type_version=None if version is None else version % 2**31,
    )


@given(st.lists(EVENTS.map(with_stored_numbers), max_size=6))
def test_each_event_survives_each_format(events: list[EventState]) -> None:
    for format in TABLES:
        expected = [draft_of(event, format) for event in events]
        assert read_drafts(encode(events, format), format) == expected, format
    expected = [draft_of(event, FileFormat.CSV) for event in events]
    raw = encode(events, FileFormat.CSV, raw=True)
    assert read_drafts(raw, FileFormat.CSV, raw=True) == expected


LIKE_FORMULAS = st.text("'=+-@\t\r\n\",;a1", max_size=6)


@given(st.lists(LIKE_FORMULAS | STORABLE_TEXT, min_size=1, max_size=5).filter(any))
def test_a_guarded_cell_is_no_formula_and_comes_back_unchanged(texts: list[str]) -> None:
    names = [f"c{number}" for number in range(len(texts))]
    cells = format_cells(dict(zip(names, texts, strict=True)), raw=False)

    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]
    [read] = read_csv(io.BytesIO(write_lines([names, cells])), MAX_BYTES, RowParser(), raw=False)
    assert read.value == {name: text or None for name, text in zip(names, texts, strict=True)}


def test_only_cells_that_look_like_formulas_are_guarded() -> None:
    texts = ["=1+1", "+1", "-5", "@a", "\ta", "\ra", "'=1", "a=1", "'a", "", " =1", "1"]
    row: Row = {str(number): text for number, text in enumerate(texts)}

    guarded = ["'=1+1", "'+1", "'-5", "'@a", "'\ta", "'\ra", "''=1"]
    assert format_cells(row, raw=False) == [*guarded, *texts[7:]]
    assert format_cells(row, raw=True) == texts


def parse_csv(
    content: str | bytes, parser: RowParser | None = None, *, raw: bool = False
) -> list[Any]:
    """Returns the draft, the problems or the error of each row, with its location."""
    parser = parser or RowParser("t")
    data = content.encode() if isinstance(content, str) else content
    return [
        (read.location, read.error or parser.parse(read.value, read.location))
        for read in read_csv(io.BytesIO(data), 200, parser, raw=raw)
    ]


def test_columns_are_attributes_or_custom_fields() -> None:
    [(location, draft)] = parse_csv(
        "id,severity,Volume,fields.source,occurredAt,version\n"
        'a,high,"1,5",x,2026-04-10T12:00:00+02:00,7\n'
    )

    assert location == "line 2"
    assert (draft.type, draft.source_id, draft.source) == ("t", "a", None)
    assert (draft.severity, draft.severity_level, draft.severity_text) == ("high", None, "high")
    assert draft.fields == {"Volume": "1,5", "source": "x"}
    assert draft.occurred_at.isoformat() == "2026-04-10T10:00:00+00:00"


def test_map_names_the_target_of_a_column() -> None:
    mapping = {"Well ID": "entityId", "kind": "entityType", "version": "version", "No": ""}
    mapping |= {"source": "fields.source", "Vol=m3": "volume"}

    [(_, draft)] = parse_csv(
        "Well ID,kind,version,No,source,Vol=m3\nw-1,Well,2,9,x,5\n", RowParser("t", {}, mapping)
    )

    assert (draft.entity.type, draft.entity.id, draft.source) == ("Well", "w-1", None)
    assert draft.fields == {"version": "2", "source": "x", "volume": "5"}
    assert draft.source_id == "line 2"


KINDS = {
    "n": FieldKind.NUMBER,
    "i": FieldKind.INTEGER,
    "b": FieldKind.BOOLEAN,
    "m": FieldKind.MULTI_SELECT,
    "t": FieldKind.TEXT,
}


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        *(("n", "1.50", 1.5), ("n", "'-5", -5), ("n", "-5", -5), ("n", "1e3", 1e3)),
        *(("n", "1,5", "1,5"), ("n", "true", "true"), ("n", "007", "007"), ("n", "NaN", "NaN")),
        *(("i", "12345678901234567890", 12345678901234567890), ("i", "x", "x")),
        *(("b", "TRUE", True), ("b", "false", False), ("b", "1", "1")),
        *(("m", '["a;b"]', ["a;b"]), ("m", "a;b", ["a", "b"]), ("m", "a", ["a"])),
        *(("t", "007", "007"), ("t", "true", "true"), ("other", "5", "5")),
    ],
)
def test_texts_become_values_of_the_kind_of_the_field(name: str, cell: str, value: Any) -> None:
    data = write_lines([[name], [cell]])

    [(_, draft)] = parse_csv(data, RowParser("t", KINDS))

    assert draft.fields == {name: value}
    assert type(draft.fields[name]) is type(value)


@pytest.mark.parametrize(
    ("content", "delimiter"), [("a;b,c;d\n1;2;3\n", ";"), ("a\tb,c\td\n1\t2\t3\n", "\t")]
)
def test_the_delimiter_is_the_most_frequent_one_of_the_header(content: str, delimiter: str) -> None:
    [(_, draft)] = parse_csv(content)

    assert draft.fields == dict(
        zip(content.splitlines()[0].split(delimiter), ["1", "2", "3"], strict=True)
    )


def test_byte_order_marks_blank_lines_and_short_rows_are_accepted() -> None:
    content = '\ufeff"a",b\r\n\r\n1\r\n"x\r\ny",2,,\r\n'

    for data in (content.encode(), content.encode("utf-16-le"), content.encode("utf-16-be")):
        rows = [(location, draft.fields) for location, draft in parse_csv(data)]
        assert rows == [("line 3", {"a": "1"}), ("line 4", {"a": "x\r\ny", "b": "2"})]


def test_a_row_that_cannot_be_read_is_an_error_with_its_line_and_the_others_are_read() -> None:
    content = (
        b'a,b\n1,2,3\n"x"y,2\n' + b"z" * 300 + b"\n\xff,1\nok,1\n" + b'"open\n' + b"line\n" * 60
    )

    reads = parse_csv(content)

    assert reads[:4] == [
        ("line 2", "The row has 3 cells, but the header has 2."),
        ("line 3", "Invalid CSV: ',' expected after '\"'."),
        ("line 4", "Invalid CSV: the row exceeds 200 bytes, or a quoted cell has no end."),
        ("line 5", "Invalid CSV: the line is not valid UTF-8 at byte 1."),
    ]
    assert (reads[4][0], reads[4][1].fields) == ("line 6", {"a": "ok", "b": "1"})
    assert reads[5] == (
        "line 7",
        "Invalid CSV: the row exceeds 200 bytes, or a quoted cell has no end.",
    )


@pytest.mark.parametrize(
    ("header", "mapping", "message"),
    [
        ("a,,b", {}, "A column has no name. Name all columns in the first line."),
        (
            "a,b,a",
            {},
            "Columns 'a' and 'a' have the same target 'fields.a'. Rename one, map it with --map to "
            "another target, or ignore it with --map 'column='.",
        ),
        (
            "severity,Level",
            {"Level": "severity"},
            "Columns 'severity' and 'Level' have the same target 'severity'. Rename one, map it "
            "with --map to another target, or ignore it with --map 'column='.",
        ),
        ("a,b", {"c": "d"}, "--map: There is no column 'c'. The columns are 'a', 'b'."),
        ("", {"c": "d"}, "--map: There is no column 'c'. The file has no columns."),
    ],
)
def test_an_invalid_header_is_an_error(header: str, mapping: dict[str, str], message: str) -> None:
    assert parse_csv(f"{header}\nx\n", RowParser("t", {}, mapping)) == [("line 1", message)]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("occurredAt", "10.4.2026", "Invalid time '10.4.2026': expected an RFC 3339 timestamp"),
        ("outcome", "ok", "Invalid outcome 'ok': expected one of 'SUCCESS'"),
        ("tags", "a", "Invalid JSON: Expecting value (character 1)."),
        ("tags", '["a", 1]', "Invalid tags: expected a JSON array of strings."),
        ("fields", "[]", "Invalid fields: expected a JSON object."),
        ("fields", '{"a": 1, "a": 2}', "Invalid JSON: the member 'a' occurs more than once"),
        ("fields", "[" * 100_000, "Invalid JSON: the value is nested too deeply."),
        ("notification", "yes", "Invalid value 'yes': expected true or false."),
        ("summary", 5, "Invalid value 5: expected a string."),
        ("severity", True, "Invalid value true: expected a string."),
        ("source", ["a"], "Invalid value […]: expected a string."),
    ],
)
def test_an_invalid_value_is_a_problem_of_its_column(column: str, value: Any, message: str) -> None:
    problems = RowParser("t").parse({column: value, "a": "x"}, "1")

    assert isinstance(problems, list)
    [problem] = problems
    assert isinstance(problem, Problem)
    assert problem.path == (column,)
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    ("path", "column"),
    [
        (("fields", "volume"), "Vol"),
        (("fields", "cause", "x"), "cause"),
        (("fields", "raw"), "Raw"),
        (("fields",), "fields"),
        (("entity", "id"), "Well ID"),
        (("entity", "type"), "entityType"),
        (("occurredAt",), "When"),
        (("tags", "3"), "tags"),
    ],
)
def test_the_column_of_a_problem_is_that_of_the_file(path: tuple[str, ...], column: str) -> None:
    mapping = {"Vol": "volume", "Raw": "fields.raw", "Well ID": "entityId", "When": "occurredAt"}

    assert RowParser("t", {}, mapping).find_column(path) == column


def test_the_severity_of_an_event_is_its_own_and_its_text_is_kept() -> None:
    draft = RowParser("t").parse({"severity": "ERROR", "severityText": "P1"}, "1")

    assert isinstance(draft, EventDraft)
    assert (draft.severity_level, draft.severity_text) == (Severity.ERROR, "P1")


def test_an_exported_csv_file_is_read_by_other_programs() -> None:
    text = '=1+1,"x"\r\ny'
    row: Row = {"a": text, "b": None, "c": 5, "d": {"é": [True]}}

    data = write_lines([list(row), format_cells(row, raw=False)])

    assert list(csv.reader(io.StringIO(data.decode(), newline=""))) == [
        ["a", "b", "c", "d"],
        [f"'{text}", "", "5", json.dumps({"é": [True]}, ensure_ascii=False, separators=(",", ":"))],
    ]


def test_memory_does_not_grow_with_a_csv_file() -> None:
    class Endless:
        def __init__(self, lines: int) -> None:
            self.left = lines
            self.line = b"a,b\n"

        def read(self, size: int, /) -> bytes:
            return b""

        def readline(self, limit: int, /) -> bytes:
            line = self.line if self.left else b""
            self.line, self.left = b"1,%s\n" % (b"x" * 500), self.left - 1
            return line

    def peak(lines: int) -> int:
        tracemalloc.start()
        reads = sum(1 for _ in read_csv(Endless(lines), MAX_BYTES, RowParser(), raw=False))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert reads == lines - 1
        return most

    assert peak(8_000) < 1.5 * peak(2_000)
