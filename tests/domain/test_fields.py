"""Validation of field definitions."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
from hypothesis import given

from app.domain.event_types.fields import FieldDefinition, FieldKind, validate_fields
from app.domain.shared.limits import Limits
from app.domain.shared.messages import quote_value
from app.domain.shared.problems import Problem, invalid_input
from tests.domain.examples import codes_and_paths, make_field
from tests.domain.strategies import valid_definitions

OUT_OF_RANGE = "must be from -9,007,199,254,740,991 to 9,007,199,254,740,991 (less than 2^53)."

NAMING = "expected 1 to 63 characters from a-z, A-Z, 0-9 and _, starting with a letter."

CEL_RESERVES = (
    "as break const continue else false for function if import in let loop namespace null package "
    "return true var void while"
)

# Attributes that only some kinds have: a value, and the name in the API.
BOUNDS: dict[str, tuple[Any, str, set[str]]] = {
    "options": (("a", "b"), "options", {"SELECT", "MULTI_SELECT"}),
    "minimum": (0.0, "minimum", {"NUMBER", "INTEGER"}),
    "maximum": (0.0, "maximum", {"NUMBER", "INTEGER"}),
    "min_length": (0, "minLength", {"TEXT", "LONG_TEXT", "URL", "EMAIL"}),
    "max_length": (0, "maxLength", {"TEXT", "LONG_TEXT", "URL", "EMAIL"}),
    "pattern": ("^x", "pattern", {"TEXT", "LONG_TEXT", "URL", "EMAIL"}),
}


@given(valid_definitions())
def test_a_valid_definition_has_no_problems(field: FieldDefinition) -> None:
    assert _problems(field) == []


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "A",
        "volume_mcf",
        "contentLength",
        "a1_",
        "a" * 63,
        "double",
        "event",
        "In",
        "DESCRIPTOR",
    ],
)
def test_letters_digits_and_underscores_are_allowed_in_field_names(name: str) -> None:
    assert _problems(make_field(name=name)) == []


@pytest.mark.parametrize(
    "name", ["", "a" * 64, "1a", "_a", "a-b", "a.b", "a b", "é", "a\n", "a\ud800", "a١"]
)
def test_any_other_field_name_is_rejected(name: str) -> None:
    message = f"Invalid field name {quote_value(name)}: {NAMING}"
    assert _problems(make_field(name=name)) == [invalid_input(message, "0", "name")]


@pytest.mark.parametrize(
    "name",
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ],
)
def test_the_reserved_words_of_cel_are_not_field_names(name: str) -> None:
    problems = _problems(make_field(name=name))

    assert problems == [
        invalid_input(
            f"Invalid field name '{name}': the name is a reserved word of CEL. Use a different "
            "name.",
            "0",
            "name",
        )
    ]


def test_a_repeated_name_is_reported_at_the_second_field() -> None:
    fields = [
        make_field(name="a"),
        make_field(name="b"),
        make_field(name="a"),
        make_field(name="a"),
    ]

    problems = _problems(*fields)

    message = "Field name 'a' is used more than once."
    assert problems == [invalid_input(message, "2", "name"), invalid_input(message, "3", "name")]


@pytest.mark.parametrize(("kind", "attribute"), list(product(FieldKind, BOUNDS)))
def test_bounds_are_allowed_only_for_their_kinds(kind: FieldKind, attribute: str) -> None:
    value, api_name, kinds = BOUNDS[attribute]
    options = ("a",) if kind.value in ("SELECT", "MULTI_SELECT") else None
    field = make_field(**{"kind": kind, "options": options} | {attribute: value})

    problems = _problems(field)

    message = f"A field of kind {kind.value} cannot have {api_name}."
    assert problems == ([] if kind.value in kinds else [invalid_input(message, "0", api_name)])


@pytest.mark.parametrize("options", [None, ()])
@pytest.mark.parametrize("kind", [FieldKind.SELECT, FieldKind.MULTI_SELECT])
def test_a_select_field_has_at_least_one_option(kind: FieldKind, options: Any) -> None:
    problems = _problems(make_field(kind=kind, options=options))

    assert problems == [
        invalid_input(
            f"A field of kind {kind.value} must have at least one option.", "0", "options"
        )
    ]


@pytest.mark.parametrize("kind", [FieldKind.SELECT, FieldKind.MULTI_SELECT])
def test_options_of_a_select_field_are_unique(kind: FieldKind) -> None:
    problems = _problems(make_field(kind=kind, options=("a", "b", "a")))

    assert problems == [invalid_input("Option 'a' is listed more than once.", "0", "options")]


def test_options_that_differ_in_case_or_blanks_are_distinct() -> None:
    assert _problems(make_field(kind=FieldKind.SELECT, options=("a", "A", "a "))) == []


def test_every_invalid_option_is_reported_with_its_index() -> None:
    problems = _problems(
        make_field(kind=FieldKind.SELECT, options=("a", "", "b\0", "x" * 256, " "))
    )

    assert problems == [
        invalid_input("options[1] must not be empty.", "0", "options", "1"),
        invalid_input(
            "Character 2 is U+0000, which is not allowed. Remove the character.",
            "0",
            "options",
            "2",
        ),
        invalid_input(
            "At most 255 characters are allowed; options[3] has 256.", "0", "options", "3"
        ),
        invalid_input("An option must not be blank.", "0", "options", "4"),
    ]


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        (
            {"label": "x" * 256},
            invalid_input("At most 255 characters are allowed; label has 256.", "label"),
        ),
        ({"label": ""}, invalid_input("label must not be empty.", "label")),
        (
            {"unit": "x" * 256},
            invalid_input("At most 255 characters are allowed; unit has 256.", "unit"),
        ),
        (
            {"help_text": "x" * 1_001},
            invalid_input("At most 1,000 characters are allowed; helpText has 1,001.", "helpText"),
        ),
        (
            {"kind": FieldKind.TEXT, "pattern": "x" * 1_001},
            invalid_input("At most 1,000 characters are allowed; pattern has 1,001.", "pattern"),
        ),
        (
            {"kind": FieldKind.TEXT, "pattern": "\ud800"},
            invalid_input(
                "Character 1 is U+D800, which is not allowed. Remove the character.", "pattern"
            ),
        ),
    ],
)
def test_the_texts_of_a_definition_have_limits(
    attributes: dict[str, Any], problem: Problem
) -> None:
    assert _problems(make_field(), make_field(name="b", **attributes)) == [
        problem.prepend_path("1")
    ]


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"minimum": math.nan}, invalid_input("minimum must be a finite number.", "minimum")),
        ({"minimum": -math.inf}, invalid_input("minimum must be a finite number.", "minimum")),
        ({"maximum": math.inf}, invalid_input("maximum must be a finite number.", "maximum")),
        ({"maximum": 2.0**53}, invalid_input(f"maximum {OUT_OF_RANGE}", "maximum")),
        ({"minimum": -1e300}, invalid_input(f"minimum {OUT_OF_RANGE}", "minimum")),
        (
            {"minimum": 2.0, "maximum": 1.0},
            invalid_input("minimum must not be greater than maximum.", "minimum"),
        ),
        (
            {"kind": FieldKind.TEXT, "min_length": -1},
            invalid_input("minLength must not be negative.", "minLength"),
        ),
        (
            {"kind": FieldKind.TEXT, "max_length": -1},
            invalid_input("maxLength must not be negative.", "maxLength"),
        ),
        (
            {"kind": FieldKind.TEXT, "min_length": 2, "max_length": 1},
            invalid_input("minLength must not be greater than maxLength.", "minLength"),
        ),
    ],
)
def test_a_minimum_over_the_maximum_is_rejected(
    attributes: dict[str, Any], problem: Problem
) -> None:
    assert _problems(make_field(**attributes)) == [problem.prepend_path("0")]


@pytest.mark.parametrize(
    "attributes",
    [
        {"minimum": 1.0, "maximum": 1.0},
        {"minimum": 1.0 - 2**53, "maximum": 2.0**53 - 1},
        {"kind": FieldKind.TEXT, "min_length": 0, "max_length": 0},
    ],
)
def test_equal_bounds_are_allowed(attributes: dict[str, Any]) -> None:
    assert _problems(make_field(**attributes)) == []


def test_all_problems_are_reported_together() -> None:
    fields = [
        make_field(name="_volume", minimum=2.0, maximum=1.0, pattern="x"),
        make_field(name="cause", kind=FieldKind.SELECT, label="", minimum=math.inf),
        make_field(name="cause"),
    ]

    problems = _problems(*fields)

    assert codes_and_paths(problems) == [
        ("INVALID_INPUT", ("0", "minimum")),
        ("INVALID_INPUT", ("0", "name")),
        ("INVALID_INPUT", ("0", "pattern")),
        ("INVALID_INPUT", ("1", "label")),
        ("INVALID_INPUT", ("1", "minimum")),
        ("INVALID_INPUT", ("1", "minimum")),
        ("INVALID_INPUT", ("1", "options")),
        ("INVALID_INPUT", ("2", "name")),
    ]


def _problems(*fields: FieldDefinition) -> list[Problem]:
    return validate_fields(fields, Limits())
