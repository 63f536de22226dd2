"""The fields of an event type as JSON Schema 2020-12, and the problems of values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.event_types.conditions import AllOf, ConditionalEffect, ConditionalRule
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.json_schema import (
    compile_schema,
    validate_field_schema,
    validate_values,
)
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.values import NON_BLANK_PATTERN, WHITESPACE, is_blank
from tests.domain.examples import codes_and_paths, make_field
from tests.domain.strategies import valid_definitions

CAUSES = ("Maintenance", "Equipment failure")


def test_the_schema_contains_the_definitions() -> None:
    fields = [
        make_field(
            name="volume",
            label="Volume",
            required=True,
            help_text="Gas flared.",
            unit="mcf",
            minimum=0.0,
            maximum=1e6,
        ),
        make_field(name="hours", kind=FieldKind.INTEGER, required=True, default=1),
        make_field(name="note", kind=FieldKind.TEXT, required=True),
        make_field(name="impact", kind=FieldKind.SELECT, required=True, options=("High", "Low")),
        make_field(name="areas", kind=FieldKind.MULTI_SELECT, required=True, options=("North",)),
        make_field(name="planned", kind=FieldKind.BOOLEAN, default=False),
        make_field(name="day", kind=FieldKind.DATE),
        make_field(name="cause", kind=FieldKind.SELECT, options=CAUSES),
        make_field(
            name="causes", kind=FieldKind.MULTI_SELECT, options=CAUSES, default=["Maintenance"]
        ),
        make_field(
            name="permit", kind=FieldKind.TEXT, min_length=2, max_length=9, pattern="^[A-Z]"
        ),
        make_field(name="remarks", kind=FieldKind.LONG_TEXT),
    ]

    schema = compile_schema(fields)

    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "volume": {
                "type": "number",
                "title": "Volume",
                "description": "Gas flared.",
                "x-unit": "mcf",
                "minimum": 0,
                "maximum": 1_000_000,
            },
            "hours": {"type": "integer", "title": "hours", "default": 1},
            "note": {"type": "string", "title": "note", "pattern": NON_BLANK_PATTERN},
            "impact": {"type": "string", "title": "impact", "enum": ["High", "Low"]},
            "areas": {
                "type": "array",
                "title": "areas",
                "items": {"type": "string", "enum": ["North"]},
                "uniqueItems": True,
                "minItems": 1,
            },
            "planned": {"type": ["boolean", "null"], "title": "planned", "default": False},
            "day": {"type": ["string", "null"], "title": "day", "format": "date"},
            "cause": {
                "type": ["string", "null"],
                "title": "cause",
                "enum": [*CAUSES, None],
            },
            "causes": {
                "type": ["array", "null"],
                "title": "causes",
                "items": {"type": "string", "enum": list(CAUSES)},
                "uniqueItems": True,
                "default": ["Maintenance"],
            },
            "permit": {
                "type": ["string", "null"],
                "title": "permit",
                "minLength": 2,
                "maxLength": 9,
                "allOf": [{"pattern": "^[A-Z]"}],
            },
            "remarks": {"type": ["string", "null"], "title": "remarks"},
        },
        "required": ["volume", "hours", "note", "impact", "areas"],
        "additionalProperties": False,
    }
    assert list(schema["properties"]) == [field.name for field in fields]


@given(st.lists(valid_definitions(), max_size=3, unique_by=lambda field: field.name))
def test_valid_definitions_have_a_valid_schema(fields: list[FieldDefinition]) -> None:
    schema = compile_schema(fields)

    assert jsonschema_rs.meta.is_valid(schema)
    assert [validate_field_schema(field, Limits()) for field in fields] == [[]] * len(fields)


@pytest.mark.parametrize(
    ("attributes", "value", "bound"),
    [
        ({"minimum": 17.0}, 1, "17"),
        ({"maximum": 17.0}, 18, "17"),
        ({"kind": FieldKind.TEXT, "min_length": 17}, "a", "17"),
        ({"kind": FieldKind.TEXT, "max_length": 17}, "a" * 18, "17"),
        ({"kind": FieldKind.TEXT, "pattern": "^AB"}, "CD", "^AB"),
        ({"kind": FieldKind.SELECT, "options": CAUSES}, "Weather", "Equipment failure"),
        ({"kind": FieldKind.TEXT, "max_length": 17}, "a" * 500, "17"),
        ({"kind": FieldKind.TEXT, "pattern": "^AB"}, "C" * 500, "^AB"),
        ({"kind": FieldKind.SELECT, "options": CAUSES}, "W" * 500, "Equipment failure"),
    ],
)
def test_a_problem_names_the_bound(attributes: dict[str, Any], value: Any, bound: str) -> None:
    field = make_field(**{"name": "f"} | attributes)

    [problem] = validate_values((field,), {"f": value})

    assert bound in problem.message
    assert not problem.message.endswith("…")


def test_dots_of_a_pattern_are_expanded_in_the_schema_but_not_in_messages() -> None:
    field = make_field(name="f", kind=FieldKind.TEXT, pattern=r"^a.[.]\.$")

    schema = compile_schema([field])
    [problem] = validate_values((field,), {"f": "a\r.."})

    spelled_out = r"^a[^\n\r\u2028\u2029][.]\.$"
    assert schema["properties"]["f"]["allOf"] == [{"pattern": spelled_out}]
    assert problem.message.endswith(" expected a string that matches the pattern '^a.[.]\\\\.$'.")


def test_a_problem_shows_only_the_beginning_of_a_long_value() -> None:
    field = make_field(name="f", kind=FieldKind.TEXT, max_length=17)

    [problem] = validate_values((field,), {"f": "a" * 60_000})

    assert problem.message == f"Invalid value '{'a' * 100}…': expected at most 17 characters."


@pytest.mark.parametrize(
    ("value", "shown"), [(["a"], "[…]"), ([], "[]"), ({"a": 1}, "{…}"), ({}, "{}")]
)
def test_a_problem_shows_the_brackets_of_a_list_or_an_object(value: Any, shown: str) -> None:
    field = make_field(name="f", kind=FieldKind.TEXT)

    [problem] = validate_values((field,), {"f": value})

    assert problem.message == f"Invalid value {shown}: expected a string."


def test_an_absent_required_field_is_reported_under_its_name() -> None:
    fields = (
        make_field(name="a", required=True),
        make_field(name="b", required=True),
        make_field(name="c"),
    )

    problems = validate_values(fields, {"b": 1})

    assert problems == [Problem(UserErrorCode.FIELD_REQUIRED, "Field 'a' is required.", ("a",))]


@pytest.mark.parametrize(
    ("kind", "value", "blank"),
    [
        *(
            (
                kind,
                value,
                f"{value!r}, which is blank. Send a string with a character that is "
                "not whitespace.",
            )
            for kind in ("TEXT", "LONG_TEXT", "EMAIL", "URL", "DATE", "DATETIME", "SELECT")
            for value in ("", "  ")
        ),
        ("MULTI_SELECT", [], "an empty list. Send a list with at least one element."),
    ],
)
def test_a_required_field_must_not_be_blank(kind: str, value: Any, blank: str) -> None:
    options = CAUSES if "SELECT" in kind else None
    min_length = 1 if "TEXT" in kind else None
    optional = make_field(name="a", kind=FieldKind(kind), options=options, min_length=min_length)
    always_required = (replace(optional, required=True),)
    required_while = (ConditionalRule("r", ConditionalEffect.REQUIRE, ("a",), AllOf(())),)
    visible_while = (ConditionalRule("s", ConditionalEffect.SHOW, ("a",), AllOf(())),)

    results = [
        validate_values(always_required, {"a": value}),
        validate_values(always_required, {"a": value}, visible_while),
        validate_values((optional,), {"a": value}, required_while),
    ]

    message = f"Field 'a' is required, but its value is {blank}"
    assert results == [[Problem(UserErrorCode.FIELD_REQUIRED, message, ("a",))]] * 3


@pytest.mark.parametrize(
    ("kind", "value"), [("TEXT", ""), ("LONG_TEXT", " \n"), ("MULTI_SELECT", [])]
)
def test_an_optional_field_may_be_blank(kind: str, value: Any) -> None:
    options = CAUSES if kind == "MULTI_SELECT" else None
    field = make_field(name="a", kind=FieldKind(kind), options=options)

    assert validate_values((field,), {"a": value}) == []


@pytest.mark.parametrize(("kind", "default"), [("TEXT", "  "), ("MULTI_SELECT", [])])
def test_the_default_of_a_required_field_must_not_be_blank(kind: str, default: Any) -> None:
    options = CAUSES if kind == "MULTI_SELECT" else None
    field = make_field(kind=FieldKind(kind), options=options, default=default)

    required = validate_field_schema(replace(field, required=True), Limits())

    assert validate_field_schema(field, Limits()) == []
    assert codes_and_paths(required) == [("INVALID_INPUT", ("default",))]


def test_blank_strings_consist_of_the_whitespace_of_browsers() -> None:
    required = (make_field(name="a", kind=FieldKind.TEXT, required=True),)
    characters = [chr(code) for code in range(1, 0x10000) if not 0xD800 <= code < 0xE000]

    blank = [each for each in characters if validate_values(required, {"a": each})]

    assert blank == sorted(WHITESPACE)
    assert [each for each in characters if is_blank(each)] == blank


def test_an_unknown_field_is_reported_under_its_name() -> None:
    problems = validate_values((make_field(name="a"),), {"a": 1, "A": 1, "b.c": None})

    unknown = UserErrorCode.FIELD_UNKNOWN
    assert sorted(problems, key=lambda problem: problem.path) == [
        Problem(unknown, "Unknown field 'A': the event type has no such field.", ("A",)),
        Problem(unknown, "Unknown field 'b.c': the event type has no such field.", ("b.c",)),
    ]


def test_a_type_without_fields_rejects_all_values() -> None:
    accepted, refused = validate_values((), {}), validate_values((), {"a": 1})

    assert accepted == []
    assert codes_and_paths(refused) == [("FIELD_UNKNOWN", ("a",))]


def test_all_problems_of_the_values_are_reported_together() -> None:
    fields = (
        make_field(name="volume", required=True),
        make_field(name="hours", required=True),
        make_field(name="cause", kind=FieldKind.SELECT, options=CAUSES),
        make_field(name="causes", kind=FieldKind.MULTI_SELECT, options=CAUSES),
        make_field(name="permit", kind=FieldKind.TEXT, min_length=4, pattern="^[A-Z]"),
    )
    values = {"cause": 1, "causes": ["Weather"], "permit": "x", "weather": "fine", "wind": 3}

    problems = validate_values(fields, values)

    assert sorted(set(codes_and_paths(problems))) == [
        ("FIELD_INVALID", ("cause",)),
        ("FIELD_INVALID", ("causes", "0")),
        ("FIELD_INVALID", ("permit",)),
        ("FIELD_REQUIRED", ("hours",)),
        ("FIELD_REQUIRED", ("volume",)),
        ("FIELD_UNKNOWN", ("weather",)),
        ("FIELD_UNKNOWN", ("wind",)),
    ]
    assert [problem.path for problem in problems].count(("permit",)) == 2


def test_a_type_with_a_list_as_default_can_validate_values() -> None:
    causes = make_field(kind=FieldKind.MULTI_SELECT, options=CAUSES, default=["Maintenance"])

    problems = validate_values((causes,), {"volume": ["Equipment failure"]})

    assert problems == []


def test_types_whose_fields_differ_in_one_bound_validate_differently() -> None:
    one, other = make_field(name="f", maximum=1.0), make_field(name="f", maximum=2.0)

    results = [validate_values((field,), {"f": 1.5}) for field in (one, other, one)]

    assert [codes_and_paths(problems) for problems in results] == [
        [("FIELD_INVALID", ("f",))],
        [],
        [("FIELD_INVALID", ("f",))],
    ]


def test_the_time_to_match_a_pattern_is_linear_in_the_text() -> None:
    field = make_field(name="f", kind=FieldKind.TEXT, pattern="^(a+)+$")

    problems = validate_values((field,), {"f": "a" * 50_000 + "!"})

    assert codes_and_paths(problems) == [("FIELD_INVALID", ("f",))]
