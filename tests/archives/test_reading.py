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
        ("line 1", "Invalid JSON: Expecting value (character 1)."),
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
        ("", "from character 3: unexpected end of the file."),
        (', {"b": tru}]', "from character 5: Expecting value at character 11."),
        (" {}]", "from character 4: expected ',' or ']' instead of '{'."),
        (", ]", "from character 5: Expecting value at character 5."),
        ("] []", "from character 5: unexpected text after the array."),
        (
            ', "' + "x" * 2000,
            "from character 5: no complete event within 1,000 characters (Unterminated str",
        ),
        (", " + "[" * 100_000, "from character 5: the event is nested too deeply."),
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
