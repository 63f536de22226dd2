"""Conditions: their JSON form, and which values they hold for."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    Not,
    condition_holds,
    read_condition,
    rules_naming,
    write_condition,
)
from app.domain.event_types.fields import FieldKind
from tests.domain.forms import a_rule, asks, present

FORMS: list[tuple[dict[str, Any], Condition]] = [
    (
        {"field": {"field": "cause", "operator": "EQ", "value": "Failure"}},
        asks("cause", "EQ", "Failure"),
    ),
    ({"field": {"field": "a", "operator": "IN", "value": [1, 2.5]}}, asks("a", "IN", (1, 2.5))),
    ({"field": {"field": "a", "operator": "EQ", "value": False}}, asks("a", "EQ", False)),
    ({"field": {"field": "a", "operator": "EXISTS"}}, present("a")),
    ({"not": {"field": {"field": "a", "operator": "EXISTS"}}}, Not(present("a"))),
    ({"all": []}, AllOf(())),
    (
        {"any": [{"all": [{"field": {"field": "a", "operator": "EXISTS"}}]}, {"any": []}]},
        AnyOf((AllOf((present("a"),)), AnyOf(()))),
    ),
]


@pytest.mark.parametrize(("form", "condition"), FORMS)
def test_a_condition_is_read_from_its_json_form(form: dict[str, Any], condition: Condition) -> None:
    assert read_condition(form) == condition


@pytest.mark.parametrize(("form", "condition"), FORMS)
def test_what_is_written_can_be_read_again(form: dict[str, Any], condition: Condition) -> None:
    assert write_condition(condition) == form


def test_a_null_that_is_no_value_is_read_as_none() -> None:
    form = {"field": {"field": "a", "operator": "EXISTS", "value": None}}

    assert read_condition(form) == present("a")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (AllOf(()), True),
        (AnyOf(()), False),
        (AllOf((present("a"), present("b"))), False),
        (AnyOf((present("a"), present("b"))), True),
        (Not(present("a")), False),
        (Not(AnyOf(())), True),
        (AllOf((present("a"), Not(present("b")))), True),
        (asks("a", "NE", 2), True),
        (asks("b", "NE", 2), False),
        (Not(asks("b", "EQ", 2)), True),
        (asks("b", "NOT_EXISTS"), True),
    ],
)
def test_all_of_nothing_holds_and_any_of_nothing_does_not(
    condition: Condition, holds: bool
) -> None:
    kinds = {"a": FieldKind.NUMBER, "b": FieldKind.NUMBER}

    assert condition_holds(condition, kinds, {"a": 1}) is holds


def test_a_rule_names_its_targets_and_every_field_that_its_condition_asks() -> None:
    first = a_rule("SHOW", "a", AllOf((present("b"), Not(present("c")))))
    second = a_rule("REQUIRE", "d", present("a"), enabled=False)

    naming = {name: rules_naming(name, [first, second]) for name in "abcde"}

    assert naming == {"a": [first, second], "b": [first], "c": [first], "d": [second], "e": []}
