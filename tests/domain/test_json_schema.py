"""The fields of an event type as JSON Schema 2020-12, and the problems of values."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.json_schema import (
    compile_schema,
    validate_field_schema,
    validate_values,
)
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode
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
                "minimum": 0,
                "maximum": 1_000_000,
            },
            "hours": {"type": "integer", "title": "hours", "default": 1},
            "planned": {"type": "boolean", "title": "planned", "default": False},
            "day": {"type": "string", "title": "day", "format": "date"},
            "cause": {"type": "string", "title": "cause", "enum": list(CAUSES)},
            "causes": {
                "type": "array",
                "title": "causes",
                "items": {"type": "string", "enum": list(CAUSES)},
                "uniqueItems": True,
                "default": ["Maintenance"],
            },
            "permit": {
                "type": "string",
                "title": "permit",
                "minLength": 2,
                "maxLength": 9,
                "allOf": [{"pattern": "^[A-Z]"}],
            },
            "remarks": {"type": "string", "title": "remarks"},
        },
        "required": ["volume", "hours"],
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


def test_an_absent_required_field_is_reported_under_its_name() -> None:
    fields = (
        make_field(name="a", required=True),
        make_field(name="b", required=True),
        make_field(name="c"),
    )

    problems = validate_values(fields, {"b": 1})

    assert problems == [Problem(UserErrorCode.FIELD_REQUIRED, "Field 'a' is required.", ("a",))]


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
