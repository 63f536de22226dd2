"""The values that a field of each kind accepts."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.json_schema import validate_values
from app.domain.shared.problems import Problem, UserErrorCode
from tests.domain.examples import codes_and_paths, make_field

CAUSES = ("Maintenance", "Equipment failure")

ACCEPTED: dict[str, list[Any]] = {
    "TEXT": ["", "a", "a\nb", "\U0001f600"],
    "LONG_TEXT": ["", "x" * 60_000],
    "NUMBER": [0, -1.5, 2**64, 10**300, 5e-324],
    "INTEGER": [0, -7, 2**64, 10**300, 3.0],
    "BOOLEAN": [True, False],
    "DATE": ["2026-04-10", "2024-02-29", "1969-12-31"],
    "DATETIME": [
        "2026-04-10T10:30:00Z",
        "2026-04-10T10:30:00.123456789Z",
        "2026-04-10T12:30:00+02:00",
        "2026-04-10T12:30:00-00:30",
        "0001-01-01T00:00:00-23:59",
        "2026-04-10T23:59:59Z",
    ],
    "SELECT": ["Maintenance", "Equipment failure"],
    "MULTI_SELECT": [[], ["Maintenance"], ["Equipment failure", "Maintenance"]],
    "URL": [
        "https://example.org/a?b#c",
        "ftp://h",
        "s3://bucket/Gr%C3%B6%C3%9Fe",
        "file:///a",
        "http://[::1]:80",
    ],
    "EMAIL": ["a@b.org", "first.last+tag@sub.example.org", "jose@xn--exmple-cua.org"],
}


REFUSED: dict[str, list[Any]] = {
    "TEXT": [1, True, [], {}],
    "LONG_TEXT": [1.5, ["a"]],
    "NUMBER": ["1", True, [1], {}],
    "INTEGER": ["1", 1.5, True, 5e-324],
    "BOOLEAN": [0, 1, "true"],
    "DATE": [20260410, "", "2026-4-1", "2023-02-29", "2026-04-10T00:00:00Z", "10.04.2026"],
    "DATETIME": [
        0,
        "",
        "2026-04-10",
        "2026-04-10T10:30:00",
        "2026-04-10 10:30:00Z",
        "2026-04-10t10:30:00Z",
        "2026-04-10T10:30:00z",
        "2026-04-10T10:30Z",
        "2026-04-10T24:00:00Z",
        "2026-02-30T10:30:00Z",
        "2026-04-10T10:30:00Z\n",
        "2016-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "2026-04-10T10:30:00.1234567890Z",
        "2026-04-10T10:30:00+24:00",
        "2026-04-10T10:30:00+02:60",
    ],
    "SELECT": ["", "maintenance", "Other", ["Maintenance"]],
    "MULTI_SELECT": ["Maintenance", {}, ["Maintenance", "Maintenance"]],
    "URL": [
        "https://example.org/Größe",
        "https://example.org/?filter[a]=1",
        "https://example.org:x/",
        "http://[1:2]/",
        "",
        "example.org",
        "https://",
        "https://a b",
        "https://a\n",
        "//host/path",
        "1://a",
    ],
    "EMAIL": [
        "",
        "a",
        "a@b",
        "a b@c.org",
        "a@@b.org",
        "@b.org",
        "a@b.org\n",
        "a@b.",
        "josé@b.org",
        "a..b@c.org",
    ],
}


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in ACCEPTED.items() for value in values]
)
def test_a_field_accepts_values_of_its_kind(kind: str, value: Any) -> None:
    field = _field_of_kind(kind)

    assert validate_values((field,), {"f": value}) == []


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in REFUSED.items() for value in values]
)
def test_a_field_rejects_every_other_value(kind: str, value: Any) -> None:
    field = _field_of_kind(kind)

    problems = validate_values((field,), {"f": value})

    assert set(codes_and_paths(problems)) == {("FIELD_INVALID", ("f",))}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (
            "DATETIME",
            "soon",
            "an RFC 3339 timestamp with a UTC offset or Z, such as 2026-04-10T10:30:00Z",
        ),
        (
            *("URL", "example.org"),
            "an absolute URL such as https://example.com/a, in which spaces, brackets and "
            "characters that are not ASCII are percent-encoded",
        ),
        ("EMAIL", "a", "an email address such as name@example.com, in ASCII characters"),
    ],
)
def test_a_mismatch_of_a_built_in_pattern_is_reported_once_in_words(
    kind: str, value: str, expected: str
) -> None:
    field = _field_of_kind(kind)

    problems = validate_values((field,), {"f": value})

    message = f"Invalid value '{value}': expected {expected}."
    assert problems == [Problem(UserErrorCode.FIELD_INVALID, message, ("f",))]


def test_an_unknown_option_is_reported_with_its_index() -> None:
    field = _field_of_kind("MULTI_SELECT")

    problems = validate_values((field,), {"f": ["Maintenance", "Weather", 3]})

    assert set(codes_and_paths(problems)) == {
        ("FIELD_INVALID", ("f", "1")),
        ("FIELD_INVALID", ("f", "2")),
    }


@pytest.mark.parametrize(
    ("attributes", "value", "accepted"),
    [
        ({"minimum": 1.0}, 1, True),
        ({"minimum": 1.0}, 0.999, False),
        ({"maximum": 2.5}, 2.5, True),
        ({"maximum": 2.5}, 2.501, False),
        ({"kind": FieldKind.INTEGER, "minimum": 0.5}, 0, False),
        ({"kind": FieldKind.TEXT, "min_length": 2}, "é", False),
        ({"kind": FieldKind.TEXT, "min_length": 2}, "éé", True),
        ({"kind": FieldKind.TEXT, "max_length": 2}, "\U0001f600" * 2, True),
        ({"kind": FieldKind.TEXT, "max_length": 2}, "abc", False),
        ({"kind": FieldKind.TEXT, "pattern": "^[A-Z]{2}-[0-9]+$"}, "AB-12", True),
        ({"kind": FieldKind.TEXT, "pattern": "^[A-Z]{2}-[0-9]+$"}, "AB-12\n", False),
        ({"kind": FieldKind.TEXT, "pattern": "b"}, "abc", True),
        ({"kind": FieldKind.TEXT, "pattern": "^\\d$"}, "\u0661", False),
        ({"kind": FieldKind.TEXT, "pattern": "^\\w$"}, "é", False),
        ({"kind": FieldKind.TEXT, "pattern": "^\\p{L}$"}, "é", True),
        ({"kind": FieldKind.URL, "pattern": "^https:"}, "https://a", True),
        ({"kind": FieldKind.URL, "pattern": "^https:"}, "http://a", False),
        ({"kind": FieldKind.URL, "pattern": "^https:"}, "https:", False),
        ({"kind": FieldKind.EMAIL, "max_length": 7}, "a@b.orgs", False),
    ],
)
def test_bounds_are_inclusive_and_count_characters(
    attributes: dict[str, Any], value: Any, accepted: bool
) -> None:
    field = make_field(**{"name": "f"} | attributes)

    problems = validate_values((field,), {"f": value})

    assert codes_and_paths(problems) == ([] if accepted else [("FIELD_INVALID", ("f",))])


def _field_of_kind(kind: str) -> FieldDefinition:
    options = CAUSES if kind in ("SELECT", "MULTI_SELECT") else None
    return make_field(name="f", kind=FieldKind(kind), options=options)
