"""Validation of patterns and defaults."""

from __future__ import annotations

import math
from typing import Any

import pytest

from app.domain.event_types.fields import FieldKind
from app.domain.event_types.json_schema import validate_field_schema
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid_input
from tests.domain.examples import codes_and_paths, make_field

CAUSES = ("Maintenance", "Equipment failure")
NO_PATTERN = (
    "pattern must be a regular expression that the server and browsers interpret in the same "
    "way: without lookaround, backreferences, flags or named groups. With its repetitions "
    "expanded, the pattern must have at most 262,144 bytes."
)


@pytest.mark.parametrize(
    "pattern", ["^(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", r"(a)\1", "(", "[", "a{"]
)
def test_a_pattern_compiles_without_lookaround_and_backreference(pattern: str) -> None:
    field = make_field(kind=FieldKind.TEXT, pattern=pattern)

    problems = validate_field_schema(field, Limits())

    assert problems == [invalid_input(NO_PATTERN, "pattern")]


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
def test_a_pattern_that_a_browser_cannot_compile_is_rejected(pattern: str) -> None:
    field = make_field(kind=FieldKind.TEXT, pattern=pattern)

    problems = validate_field_schema(field, Limits())

    assert problems == [invalid_input(NO_PATTERN, "pattern")]


def test_an_invalid_pattern_is_reported_without_validating_the_default() -> None:
    field = make_field(kind=FieldKind.TEXT, pattern="(", default=1)

    problems = validate_field_schema(field, Limits())

    assert problems == [invalid_input(NO_PATTERN, "pattern")]


@pytest.mark.parametrize(
    "attributes",
    [
        {"kind": FieldKind.NUMBER, "default": 0},
        {"kind": FieldKind.BOOLEAN, "default": False},
        {"kind": FieldKind.TEXT, "default": ""},
        {"kind": FieldKind.SELECT, "options": CAUSES, "default": "Maintenance"},
        {"kind": FieldKind.MULTI_SELECT, "options": CAUSES, "default": list(CAUSES)},
        {"kind": FieldKind.DATE, "default": "2026-04-10"},
    ],
)
def test_a_default_that_its_field_accepts_is_valid(attributes: dict[str, Any]) -> None:
    assert validate_field_schema(make_field(**attributes), Limits()) == []


@pytest.mark.parametrize(
    "attributes",
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
def test_a_default_that_its_own_field_rejects_is_invalid(attributes: dict[str, Any]) -> None:
    problems = validate_field_schema(make_field(**attributes), Limits())

    assert codes_and_paths(problems) == [("INVALID_INPUT", ("default",))]


def test_all_problems_of_a_default_are_reported_together() -> None:
    field = make_field(kind=FieldKind.TEXT, min_length=3, pattern="^a", default="b")

    problems = validate_field_schema(field, Limits())

    assert codes_and_paths(problems) == [("INVALID_INPUT", ("default",))] * 2


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        (
            {"kind": FieldKind.TEXT, "default": "a\0"},
            invalid_input(
                "Character 2 is U+0000, which is not allowed. Remove the character.", "default"
            ),
        ),
        (
            {"default": math.inf},
            invalid_input(
                "The number must be finite and within the range of a double-precision number "
                "(about ±1.8e308).",
                "default",
            ),
        ),
        (
            {"kind": FieldKind.TEXT, "default": "x" * 15},
            invalid_input("At most 16 bytes of JSON are allowed; the value has 17.", "default"),
        ),
    ],
)
def test_a_default_that_cannot_be_stored_is_reported_with_the_reason(
    attributes: dict[str, Any], problem: Problem
) -> None:
    assert validate_field_schema(make_field(**attributes), Limits(fields_bytes=16)) == [problem]
