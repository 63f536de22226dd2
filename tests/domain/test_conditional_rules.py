"""Which conditional rules can be saved."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings

from app.domain.event_types.conditional_rules import rule_problems
from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalEffect,
    ConditionalRule,
    Not,
    fields_of,
)
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, invalid
from tests.domain.examples import a_field, told
from tests.domain.forms import CAUSES, DRAWN_FIELDS, DRAWN_RULES, a_form, a_rule, asks, present

FIELDS = (*a_form("a", "b", "c"), a_field(name="cause", kind=FieldKind.SELECT, options=CAUSES))


def test_rules_that_make_sense_can_be_saved() -> None:
    rules = [
        a_rule("SHOW", "a", asks("cause", "EQ", "Other")),
        a_rule("HIDE", "b", AnyOf((present("a"), asks("c", "GT", 1)))),
        a_rule("REQUIRE", "c", Not(present("b")), targets=("c", "a")),
    ]

    assert rule_problems(rules, FIELDS, Limits()) == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"name": ""}, invalid("Must not be empty.", "0", "name")),
        ({"targets": ()}, invalid("A rule has at least one target.", "0", "targets")),
        ({"targets": ("a", "x")}, invalid("The type has no field x.", "0", "targets", "1")),
        ({"targets": ("a", "a")}, invalid("Field a is there twice.", "0", "targets", "1")),
        (
            {"condition": AllOf((present("b"), present("x")))},
            invalid("The type has no field x.", "0", "condition", "all", "1", "field", "field"),
        ),
        (
            {"condition": Not(asks("b", "EQ", "1"))},
            invalid(
                "Must be a number of at most 9,007,199,254,740,991.",
                *("0", "condition", "not", "field", "value"),
            ),
        ),
        (
            {"condition": AnyOf((asks("cause", "IN", ("Other", "Weather")),))},
            invalid("Is no option of cause.", "0", "condition", "any", "0", "field", "value", "1"),
        ),
        (
            {"condition": asks("b", "CONTAINS", 1)},
            invalid(
                "b is of kind NUMBER, which takes EQ, NE, GT, GTE, LT, LTE, IN, EXISTS, "
                "NOT_EXISTS.",
                *("0", "condition", "field", "operator"),
            ),
        ),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(given: dict[str, Any], problem: Problem) -> None:
    rule = a_rule("SHOW", "a", **{"condition": present("b")} | given)

    assert rule_problems([rule], FIELDS, Limits()) == [problem]


def test_everything_that_is_wrong_with_the_rules_is_told_at_once() -> None:
    rules = [
        a_rule("SHOW", "x", asks("b", "EQ", "1"), name="\0"),
        a_rule("HIDE", "a", present("a"), enabled=False),
    ]

    problems = rule_problems(rules, FIELDS, Limits())

    assert told(problems) == [
        ("CYCLE", ("1", "condition")),
        ("INVALID_INPUT", ("0", "condition", "field", "value")),
        ("INVALID_INPUT", ("0", "name")),
        ("INVALID_INPUT", ("0", "targets", "0")),
    ]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Not(Not(Not(Not(Not(present("b")))))), "Is 6 conditions deep; at most 5."),
        (AllOf((present("b"),) * 101), "Asks for 101 values; at most 100."),
        (
            AnyOf((asks("b", "IN", (1,) * 99), asks("b", "EQ", 1), present("b"))),
            "Asks for 101 values; at most 100.",
        ),
    ],
)
def test_a_condition_that_is_too_large_is_refused(condition: Condition, message: str) -> None:
    problems = rule_problems([a_rule("SHOW", "a", condition)], FIELDS, Limits())

    assert problems == [invalid(message, "0", "condition")]


def test_a_type_has_a_hundred_rules_and_no_more() -> None:
    rules = [a_rule("SHOW", "a", present("b"))] * 100

    enough = rule_problems(rules, FIELDS, Limits())
    too_many = rule_problems([*rules, rules[0]], FIELDS, Limits())

    assert enough == []
    assert too_many == [
        Problem(UserErrorCode.LIMIT_REACHED, "An event type has at most 100 conditional rules.")
    ]


def test_the_rules_of_a_type_stay_within_what_its_schema_can_say() -> None:
    rules = [a_rule("SHOW", "a", AllOf((present("c"),) * 5), targets=("a", "b"))] * 2

    enough = rule_problems(rules, FIELDS, Limits(rule_values=20))
    too_much = rule_problems(rules, FIELDS, Limits(rule_values=19))

    assert enough == []
    assert told(too_much) == [("LIMIT_REACHED", ())]


@pytest.mark.parametrize(
    ("rules", "cycle", "partakers"),
    [
        ([a_rule("SHOW", "a", present("a"))], "a -> a", ["0"]),
        ([a_rule("HIDE", "a", Not(asks("a", "EQ", 1)))], "a -> a", ["0"]),
        (
            [a_rule("SHOW", "a", present("b")), a_rule("HIDE", "b", present("a"))],
            "a -> b -> a",
            ["0", "1"],
        ),
        (
            [
                a_rule("SHOW", "b", present("a")),
                a_rule("SHOW", "cause", present("a")),
                a_rule("SHOW", "c", AllOf((present("cause"), present("b")))),
                a_rule("HIDE", "a", AnyOf((present("c"),)), enabled=False),
            ],
            "a -> b -> c -> a",
            ["0", "2", "3"],
        ),
    ],
)
def test_a_cycle_is_refused_with_its_path(
    rules: list[ConditionalRule], cycle: str, partakers: list[str]
) -> None:
    problems = rule_problems(rules, FIELDS, Limits())

    assert {problem.code for problem in problems} == {UserErrorCode.CYCLE}
    assert [problem.path for problem in problems] == [(each, "condition") for each in partakers]
    assert _turned(problems[0].message.removesuffix(".").split(": ")[1]) == _turned(cycle)


def test_both_or_neither_is_two_rules_that_require() -> None:
    rules = [a_rule("REQUIRE", "a", present("b")), a_rule("REQUIRE", "b", present("a"))]

    assert rule_problems(rules, FIELDS, Limits()) == []


@settings(max_examples=200)
@given(DRAWN_FIELDS, DRAWN_RULES)
def test_a_cycle_is_found_exactly_where_no_order_of_the_fields_settles(
    fields: tuple[FieldDefinition, ...],
    rules: tuple[ConditionalRule, ...],
) -> None:
    problems = rule_problems(rules, fields, Limits())

    found = any(problem.code is UserErrorCode.CYCLE for problem in problems)
    assert found != any(_settles(rules, order) for order in permutations("abcd"))


def _settles(rules: tuple[ConditionalRule, ...], order: tuple[str, ...]) -> bool:
    return all(
        order.index(field) < order.index(target)
        for rule in rules
        if rule.effect is not ConditionalEffect.REQUIRE
        for target in rule.targets
        for field in fields_of(rule.condition)
    )


def _turned(cycle: str) -> list[str]:
    """The same cycle from its least name on."""
    names = cycle.split(" -> ")[:-1]
    start = names.index(min(names))
    return names[start:] + names[:start]
