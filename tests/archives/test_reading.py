"""Files of CloudEvents in all formats are read event by event, each with its location."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc

import pytest

from app.archives.reading import CHUNK_BYTES, ParsedEvent, read_events
from tests.archives.command_runner import cloud_event, event_lines

MOST = 1_000_000
A, B = cloud_event("a"), cloud_event("b")


def read_all(content: bytes | str, most: int = MOST) -> list[tuple[str, object]]:
    raw = content.encode() if isinstance(content, str) else content
    reads = read_events(io.BytesIO(raw), most)
    return [(read.location, read.error if read.value is None else read.value) for read in reads]


@pytest.mark.parametrize(
    ("content", "place_of_b"),
    [
        (f"{json.dumps(A)}\n{json.dumps(B)}\n", "line 2"),
        (f"\ufeff\r\n{json.dumps(A)}\r\n \r\n{json.dumps(B)}", "line 4"),
        (json.dumps([A, B]), "index 1"),
        (f"\ufeff \n{json.dumps([A, B], indent=2)}\n\n", "index 1"),
    ],
)
def test_lines_and_arrays_are_recognized(content: str, place_of_b: str) -> None:
    [(_, first), second] = read_all(content)

    assert first == A
    assert second == (place_of_b, B)


def test_a_single_event_may_span_several_lines() -> None:
    assert read_all(json.dumps(A)) == [("line 1", A)]
    assert read_all("\n" + json.dumps(A, indent=2) + "\n") == [("line 2", A)]


def test_events_may_follow_each_other_on_several_lines_each() -> None:
    pretty = [json.dumps(cloud_event(str(n), data={"x": "}{\n"}), indent=2) for n in range(3)]
    lines = len(pretty[0].splitlines())

    for between, step in (("\n", lines), (" ", lines - 1), ("", lines - 1), ("\r\n\n", lines + 1)):
        reads = read_all(between.join(pretty))
        assert [place for place, _ in reads] == [f"line {n * step + 1}" for n in range(3)]
        assert [value for _, value in reads] == [json.loads(each) for each in pretty]
    assert read_all(json.dumps(A) + json.dumps(B)) == [("line 1", A), ("line 1", B)]


def test_events_on_several_lines_may_follow_events_on_one_line() -> None:
    compact, pretty = json.dumps(A), json.dumps(B, indent=2)
    long = json.dumps(cloud_event("c", data=["x" * CHUNK_BYTES, "y" * CHUNK_BYTES]), indent=2)

    reads = read_all(f"{compact}\n{compact}\n{pretty}\n{compact}\n{long}{pretty}")

    lines = len(pretty.splitlines())
    long_lines = len(long.splitlines())
    assert reads == [
        ("line 1", A),
        ("line 2", A),
        ("line 3", B),
        (f"line {lines + 3}", A),
        (f"line {lines + 4}", json.loads(long)),
        (f"line {lines + 3 + long_lines}", B),
    ]
    assert read_all(f"{compact}\n{compact}{compact}") == [
        ("line 1", A),
        ("line 2", A),
        ("line 2", A),
    ]
    assert read_all(f"{compact}\n{pretty}\n", len(pretty)) == [("line 1", A), ("line 2", B)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"a": ', "Invalid JSON: Expecting value (column 8)."),
        ('{"a": "x', "Invalid JSON: Invalid control character at (column 9)."),
        ('{"a": tru}', "Invalid JSON: Expecting value (column 7)."),
        (
            '{"a": 1,',
            "Invalid JSON: Expecting property name enclosed in double quotes (column 10).",
        ),
        ('{"a": 1, "a": 2}', "Invalid JSON: the member 'a' occurs more than once in an object."),
        ('{"a": 1} x', "Invalid JSON: Extra data (column 10)."),
    ],
)
def test_an_invalid_line_between_events_on_one_line_hides_no_other(bad: str, message: str) -> None:
    lines = [json.dumps(A), bad, json.dumps(B), bad, json.dumps(A)]

    assert read_all("".join(f"{line}\n" for line in lines)) == [
        ("line 1", A),
        ("line 2", message),
        ("line 3", B),
        ("line 4", message),
        ("line 5", A),
    ]


def test_an_error_in_such_a_file_has_its_line_and_column() -> None:
    twice = '{\n"a": 1,\n"a": 2}'
    content = f"{json.dumps(A, indent=1)}\n{twice}\n{json.dumps(B, indent=1)}\n{{\n  'a'"

    reads = read_all(content)

    lines = len(json.dumps(A, indent=1).splitlines())
    last = 2 * lines + 4
    assert reads == [
        ("line 1", A),
        (
            f"line {lines + 1}",
            "Invalid JSON: the member 'a' occurs more than once in an object.",
        ),
        (f"line {lines + 4}", B),
        (
            f"line {last}",
            f"Cannot read the rest of the file from line {last}, column 1: Expecting property "
            f"name enclosed in double quotes at line {last + 1}, column 3.",
        ),
    ]


def test_an_invalid_first_line_does_not_hide_the_other_lines() -> None:
    assert read_all(f'{{"a": \n{json.dumps(B)}\n') == [
        ("line 1", "Invalid JSON: Expecting value (column 8)."),
        ("line 2", B),
    ]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("indent", [None, 2])
def test_utf_16_with_a_byte_order_mark_is_read(encoding: str, indent: int | None) -> None:
    events = [cloud_event(str(n), data={"text": "é😀" * n}) for n in range(300)]
    texts = [json.dumps(each, ensure_ascii=False, indent=indent) for each in events]
    array = json.dumps(events, ensure_ascii=False, indent=indent)

    for content in ("\n".join(texts), array):
        reads = read_all(f"\ufeff{content}\n".encode(encoding))
        assert [value for _, value in reads] == events


def test_damaged_utf_16_is_an_error_after_the_events_before_it() -> None:
    good = f"\ufeff{json.dumps(A)}\n".encode("utf-16-le")

    message = "Cannot read the rest of the file: it is not valid UTF-16 ({})."
    truncated = ("file", message.format("truncated data"))
    illegal = ("file", message.format("illegal encoding"))
    assert read_all(good + b"{") == [("line 1", A), truncated]
    assert read_all(good + b"\x00\xdc{\x00") == [("line 1", A), illegal]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_complete_event_before_damaged_utf_16_is_read(encoding: str) -> None:
    damage = "file", "Cannot read the rest of the file: it is not valid UTF-16 (truncated data)."
    for text, location in (
        (json.dumps(A), "line 1"),
        (json.dumps(A, indent=1), "line 1"),
        (json.dumps([A]), "index 0"),
        ("[" + " " * CHUNK_BYTES + json.dumps(A) + "]", "index 0"),
    ):
        damaged = f"\ufeff{text}".encode(encoding) + b"\0"
        assert read_all(damaged) == [(location, A), damage]


@pytest.mark.parametrize("content", ["", "\ufeff", " \n\r\n\t", "[]", " [ ] \n"])
def test_an_input_without_content_has_no_events(content: str) -> None:
    assert read_all(content) == []


def test_the_error_for_a_compressed_file_says_how_to_import_it() -> None:
    message = "The file is compressed with gzip. Run: zcat FILE | tocsin import -"

    assert read_all(gzip.compress(json.dumps(A).encode())) == [("line 1", message)]


STRICTLY = [
    ('{"a": 1, "a": 2}', "Invalid JSON: the member 'a' occurs more than once in an object."),
    ('{"a": NaN}', "Invalid JSON: NaN is not valid JSON."),
    ('{"a": {"b": [-Infinity]}}', "Invalid JSON: -Infinity is not valid JSON."),
]


@pytest.mark.parametrize(("bad", "expected_message"), STRICTLY)
def test_json_that_a_lenient_parser_would_change_is_an_error_of_its_event(
    bad: str, expected_message: str
) -> None:
    assert read_all(f"{bad}\n{json.dumps(B)}") == [("line 1", expected_message), ("line 2", B)]
    assert read_all(f"[{bad}, {json.dumps(B)}]") == [("index 0", expected_message), ("index 1", B)]


def test_numbers_are_parsed_as_by_the_other_apis() -> None:
    text = f'{{"a": 1e400, "b": {10**30}, "c": 1{"0" * 5000}}}'

    expected = {"a": float("inf"), "b": 10**30, "c": float("inf")}
    assert read_all(text) == [("line 1", expected)]
    assert read_all(f"[{text}]") == [("index 0", expected)]


def test_an_invalid_line_is_an_error_and_the_other_lines_are_read() -> None:
    content = b"\n".join([b"no", json.dumps(A).encode(), b'{"a": "\xff"}', b"[" * 100_000, b"{}"])

    assert read_all(content) == [
        ("line 1", "Invalid JSON: Expecting value (column 1)."),
        ("line 2", A),
        ("line 3", "Invalid UTF-8 at byte 8."),
        ("line 4", "The event is nested too deeply."),
        ("line 5", {}),
    ]


def test_a_line_that_exceeds_the_limit_is_skipped() -> None:
    content = f'{{"a": "{"x" * 3 * CHUNK_BYTES}"}}\n{json.dumps(B)}\n'

    assert read_all(content, 1000) == [("line 1", "The event exceeds 1,000 bytes."), ("line 2", B)]


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ("", "from line 1, column 3: unexpected end of the file."),
        (', {"b": tru}]', "from line 1, column 5: Expecting value at line 1, column 11."),
        (" {}]", "from line 1, column 4: expected ',' or ']' instead of '{'."),
        (", ]", "from line 1, column 5: Expecting value at line 1, column 5."),
        ("] []", "from line 1, column 5: unexpected text after the array."),
        (
            ', "' + "x" * 2000,
            "from line 1, column 5: no complete event within 1,000 characters (Unterminated str",
        ),
        (", " + "[" * 100_000, "from line 1, column 5: the event is nested too deeply."),
    ],
)
def test_a_broken_array_is_an_error_with_its_location_after_the_events_before_it(
    rest: str, why: str
) -> None:
    first, (location, reads) = read_all("[7" + rest, 1000)

    assert first == ("index 0", 7)
    assert location == "index 1"
    assert str(reads).startswith("Cannot read the array " + why)


def test_an_event_may_span_several_chunks() -> None:
    events = [cloud_event(str(n), data={"text": 'é\\"{[' * n}) for n in range(300)]

    content = json.dumps(events, ensure_ascii=False)

    assert len(content) > 3 * CHUNK_BYTES
    assert [value for _, value in read_all(content)] == events
    assert read_all(f"[{'1' * 2 * CHUNK_BYTES}]") == [("index 0", float("inf"))]


@pytest.mark.parametrize("array", [False, True])
def test_memory_does_not_grow_with_the_file(array: bool) -> None:
    class Endless:
        """A file with this many events, generated as they are read."""

        def __init__(self, blocks: int) -> None:
            self.block = event_lines(range(1000))
            if array:
                self.block = self.block.replace(b"\n", b",")
            self.left = blocks
            self.ready = io.BytesIO(b"[" if array else b"")

        def _take(self, got: bytes) -> bytes:
            if not got and self.left:
                self.left -= 1
                self.ready = io.BytesIO(self.block)
            return got

        def read(self, size: int, /) -> bytes:
            return self._take(self.ready.read(size)) or self.ready.read(size)

        def readline(self, size: int, /) -> bytes:
            return self._take(self.ready.readline(size)) or self.ready.readline(size)

    def peak(blocks: int) -> int:
        tracemalloc.start()
        reads = sum(isinstance(read, ParsedEvent) for read in read_events(Endless(blocks), MOST))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert reads >= blocks * 1000
        return most

    assert peak(8) < 1.5 * peak(2)
