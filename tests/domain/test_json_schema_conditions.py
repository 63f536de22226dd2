"""Conditional rules in the JSON Schema, and the problems of values that violate them."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.event_types.conditions import AllOf, AnyOf, Condition, Not
from app.domain.event_types.fields import FieldKind
from app.domain.event_types.json_schema import compile_schema, validate_values
from app.domain.shared.problems import Problem, UserErrorCode
from tests.domain.examples import make_field
from tests.domain.rule_examples import field_exists, make_number_fields, make_predicate, make_rule

A_EXISTS = {"properties": {"a": {"type": "number"}}, "required": ["a"]}
A_IS_1 = {"properties": {"a": {"type": "number", "const": 1}}, "required": ["a"]}
B_REQUIRED = {"properties": {"b": {"type": "number"}}, "required": ["b"]}
B_HIDDEN = {
    "if": {"not": {"properties": {"b": {"type": "null"}}, "required": ["b"]}},
    "then": {"properties": {"b": False}},
}


def test_fields_without_enabled_rules_have_no_conditions() -> None:
    rule = make_rule("SHOW", "b", field_exists("a"), enabled=False)

    schema = compile_schema(make_number_fields("a", "b", required=True), [rule])

    assert schema == compile_schema(make_number_fields("a", "b", required=True))
    assert "allOf" not in schema


@pytest.mark.parametrize(
    ("required", "rules", "conditions"),
    [
        (False, [("SHOW", field_exists("a"))], [{"if": A_EXISTS, "else": B_HIDDEN}]),
        (
            True,
            [("SHOW", field_exists("a"))],
            [{"if": A_EXISTS, "then": B_REQUIRED, "else": B_HIDDEN}],
        ),
        (False, [("HIDE", field_exists("a"))], [{"if": {"not": A_EXISTS}, "else": B_HIDDEN}]),
        (False, [("REQUIRE", field_exists("a"))], [{"if": A_EXISTS, "then": B_REQUIRED}]),
        (True, [("REQUIRE", field_exists("a"))], []),
        (
            False,
            [("SHOW", make_predicate("a", "EQ", 1)), ("SHOW", field_exists("a"))],
            [{"if": {"anyOf": [A_IS_1, A_EXISTS]}, "else": B_HIDDEN}],
        ),
        (
            False,
            [("SHOW", field_exists("a")), ("HIDE", make_predicate("a", "EQ", 1))],
            [{"if": {"allOf": [A_EXISTS, {"not": A_IS_1}]}, "else": B_HIDDEN}],
        ),
        (
            False,
            [("SHOW", field_exists("a")), ("REQUIRE", make_predicate("a", "EQ", 1))],
            [{"if": A_EXISTS, "then": {"if": A_IS_1, "then": B_REQUIRED}, "else": B_HIDDEN}],
        ),
    ],
)
def test_only_a_visible_field_may_be_present(
    required: bool, rules: list[tuple[str, Condition]], conditions: list[dict[str, Any]]
) -> None:
    fields = (*make_number_fields("a"), *make_number_fields("b", required=required))

    schema = compile_schema(
        fields, [make_rule(effect, "b", condition) for effect, condition in rules]
    )

    assert schema.get("allOf", []) == conditions
    hideable = any(effect != "REQUIRE" for effect, _ in rules)
    assert schema["required"] == (["b"] if required and not hideable else [])
    assert list(schema["properties"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("condition", "schema"),
    [
        (AllOf(()), {}),
        (AnyOf(()), {"not": {}}),
        (AllOf((field_exists("a"), AnyOf(()))), {"allOf": [A_EXISTS, {"not": {}}]}),
        (AnyOf((field_exists("a"),)), {"anyOf": [A_EXISTS]}),
        (Not(field_exists("a")), {"not": A_EXISTS}),
        (make_predicate("a", "NOT_EXISTS"), {"not": A_EXISTS}),
    ],
)
def test_nested_conditions_become_nested_schemas(
    condition: Condition, schema: dict[str, Any]
) -> None:
    compiled = compile_schema(make_number_fields("a", "b"), [make_rule("SHOW", "b", condition)])

    assert compiled["allOf"] == [{"if": schema, "else": B_HIDDEN}]


def test_all_violations_of_conditional_rules_are_reported_together() -> None:
    fields = (
        *make_number_fields("a", "b", "c", "d", required=True),
        make_field(name="e", kind=FieldKind.TEXT),
    )
    rules = (
        make_rule("HIDE", "b", field_exists("a"), targets=("b", "e")),
        make_rule("SHOW", "c", field_exists("a")),
        make_rule("REQUIRE", "e", field_exists("a")),
    )

    problems = validate_values(fields, {"a": 1, "b": 2, "d": "x", "e": "hidden"}, rules)

    hidden, required = UserErrorCode.FIELD_HIDDEN, UserErrorCode.FIELD_REQUIRED
    assert sorted(problems, key=lambda problem: problem.path) == [
        Problem(hidden, "Field 'b' is hidden by a conditional rule. Omit the field.", ("b",)),
        Problem(required, "Field 'c' is required.", ("c",)),
        Problem(UserErrorCode.FIELD_INVALID, "Invalid value 'x': expected a number.", ("d",)),
        Problem(hidden, "Field 'e' is hidden by a conditional rule. Omit the field.", ("e",)),
    ]


def test_a_field_that_several_rules_require_is_reported_once() -> None:
    rules = (make_rule("REQUIRE", "b", AllOf(())), make_rule("REQUIRE", "b", field_exists("a")))

    problems = validate_values(make_number_fields("a", "b"), {"a": 1}, rules)

    assert problems == [Problem(UserErrorCode.FIELD_REQUIRED, "Field 'b' is required.", ("b",))]


def test_types_whose_rules_differ_validate_differently() -> None:
    fields = make_number_fields("a", "b")
    rules = [(make_rule("SHOW", "b", make_predicate("a", "EQ", value)),) for value in (1, 2, 1)]

    results = [validate_values(fields, {"a": 1, "b": 1}, each) == [] for each in rules]

    assert results == [True, False, True]
