"""Conditions: their JSON form, and the values for which they hold."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    Not,
    condition_holds,
    find_rules_using,
    format_condition,
    parse_condition,
)
from app.domain.event_types.fields import FieldKind
from tests.domain.rule_examples import field_exists, make_predicate, make_rule

FORMS: list[tuple[dict[str, Any], Condition]] = [
    (
        {"field": {"field": "cause", "operator": "EQ", "value": "Failure"}},
        make_predicate("cause", "EQ", "Failure"),
    ),
    (
        {"field": {"field": "a", "operator": "IN", "value": [1, 2.5]}},
        make_predicate("a", "IN", (1, 2.5)),
    ),
    ({"field": {"field": "a", "operator": "EQ", "value": False}}, make_predicate("a", "EQ", False)),
    ({"field": {"field": "a", "operator": "EXISTS"}}, field_exists("a")),
    ({"not": {"field": {"field": "a", "operator": "EXISTS"}}}, Not(field_exists("a"))),
    ({"all": []}, AllOf(())),
    (
        {"any": [{"all": [{"field": {"field": "a", "operator": "EXISTS"}}]}, {"any": []}]},
        AnyOf((AllOf((field_exists("a"),)), AnyOf(()))),
    ),
]


@pytest.mark.parametrize(("form", "condition"), FORMS)
def test_a_condition_is_read_from_its_json_form(form: dict[str, Any], condition: Condition) -> None:
    assert parse_condition(form) == condition


@pytest.mark.parametrize(("form", "condition"), FORMS)
def test_a_serialized_condition_is_parsed_unchanged(
    form: dict[str, Any], condition: Condition
) -> None:
    assert format_condition(condition) == form


def test_a_null_operand_is_parsed_as_none() -> None:
    form = {"field": {"field": "a", "operator": "EXISTS", "value": None}}

    assert parse_condition(form) == field_exists("a")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (AllOf(()), True),
        (AnyOf(()), False),
        (AllOf((field_exists("a"), field_exists("b"))), False),
        (AnyOf((field_exists("a"), field_exists("b"))), True),
        (Not(field_exists("a")), False),
        (Not(AnyOf(())), True),
        (AllOf((field_exists("a"), Not(field_exists("b")))), True),
        (make_predicate("a", "NE", 2), True),
        (make_predicate("b", "NE", 2), False),
        (Not(make_predicate("b", "EQ", 2)), True),
        (make_predicate("b", "NOT_EXISTS"), True),
    ],
)
def test_empty_all_is_true_and_empty_any_is_false(condition: Condition, holds: bool) -> None:
    kinds = {"a": FieldKind.NUMBER, "b": FieldKind.NUMBER}

    assert condition_holds(condition, kinds, {"a": 1}) is holds


def test_a_rule_names_its_targets_and_the_fields_of_its_condition() -> None:
    first = make_rule("SHOW", "a", AllOf((field_exists("b"), Not(field_exists("c")))))
    second = make_rule("REQUIRE", "d", field_exists("a"), enabled=False)

    naming = {name: find_rules_using(name, [first, second]) for name in "abcde"}

    assert naming == {"a": [first, second], "b": [first], "c": [first], "d": [second], "e": []}
