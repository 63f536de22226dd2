"""Which patterns and defaults make a schema."""

from __future__ import annotations

import math
from typing import Any

import pytest

from app.domain.event_types.fields import FieldKind
from app.domain.event_types.json_schema import schema_problems
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid
from tests.domain.examples import a_field, told

CAUSES = ("Maintenance", "Equipment failure")
NO_PATTERN = (
    "Is no regular expression that server and browsers read alike (no lookaround, backreference, "
    "flag or named group), or is larger than 262,144 bytes with its repetitions written out."
)


@pytest.mark.parametrize(
    "pattern", ["^(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", r"(a)\1", "(", "[", "a{"]
)
def test_a_pattern_compiles_without_lookaround_and_backreference(pattern: str) -> None:
    field = a_field(kind=FieldKind.TEXT, pattern=pattern)

    problems = schema_problems(field, Limits())

    assert problems == [invalid(NO_PATTERN, "pattern")]


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)a",
        "(?x)a b",
        "(?P<n>a)",
        r"^a\z",
        r"\Aa",
        "a**",
    ],
)
def test_a_pattern_that_a_browser_does_not_compile_is_refused(pattern: str) -> None:
    field = a_field(kind=FieldKind.TEXT, pattern=pattern)

    problems = schema_problems(field, Limits())

    assert problems == [invalid(NO_PATTERN, "pattern")]


def test_a_pattern_that_does_not_compile_is_told_without_its_default() -> None:
    field = a_field(kind=FieldKind.TEXT, pattern="(", default=1)

    problems = schema_problems(field, Limits())

    assert problems == [invalid(NO_PATTERN, "pattern")]


@pytest.mark.parametrize(
    "given",
    [
        {"kind": FieldKind.NUMBER, "default": 0},
        {"kind": FieldKind.BOOLEAN, "default": False},
        {"kind": FieldKind.TEXT, "default": ""},
        {"kind": FieldKind.SELECT, "options": CAUSES, "default": "Maintenance"},
        {"kind": FieldKind.MULTI_SELECT, "options": CAUSES, "default": list(CAUSES)},
        {"kind": FieldKind.DATE, "default": "2026-04-10"},
    ],
)
def test_a_default_that_its_field_takes_is_right(given: dict[str, Any]) -> None:
    assert schema_problems(a_field(**given), Limits()) == []


@pytest.mark.parametrize(
    "given",
    [
        {"kind": FieldKind.NUMBER, "default": "0"},
        {"kind": FieldKind.NUMBER, "minimum": 1.0, "default": 0},
        {"kind": FieldKind.BOOLEAN, "default": 0},
        {"kind": FieldKind.TEXT, "max_length": 2, "default": "abc"},
        {"kind": FieldKind.TEXT, "pattern": "^a", "default": "b"},
        {"kind": FieldKind.SELECT, "options": CAUSES, "default": "Weather"},
        {"kind": FieldKind.MULTI_SELECT, "options": CAUSES, "default": ["Weather"]},
        {"kind": FieldKind.DATE, "default": "tomorrow"},
    ],
)
def test_a_default_that_its_own_field_refuses_is_wrong(given: dict[str, Any]) -> None:
    problems = schema_problems(a_field(**given), Limits())

    assert told(problems) == [("INVALID_INPUT", ("default",))]


def test_everything_that_is_wrong_with_a_default_is_told_at_once() -> None:
    field = a_field(kind=FieldKind.TEXT, min_length=3, pattern="^a", default="b")

    problems = schema_problems(field, Limits())

    assert told(problems) == [("INVALID_INPUT", ("default",))] * 2


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"kind": FieldKind.TEXT, "default": "a\0"},
            invalid("Character 2 is U+0000, which cannot be kept.", "default"),
        ),
        ({"default": math.inf}, invalid("Must be a finite number.", "default")),
        (
            {"kind": FieldKind.TEXT, "default": "x" * 15},
            invalid("Is 17 bytes of JSON; at most 16 are kept.", "default"),
        ),
    ],
)
def test_a_default_that_cannot_be_kept_is_told_why(given: dict[str, Any], problem: Problem) -> None:
    assert schema_problems(a_field(**given), Limits(fields_bytes=16)) == [problem]
