"""Validation of conditional rules."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings

from app.domain.event_types.conditional_rules import validate_conditional_rules
from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalEffect,
    ConditionalRule,
    Not,
    condition_fields,
)
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input
from tests.domain.examples import codes_and_paths, make_field
from tests.domain.rule_examples import (
    CAUSES,
    DRAWN_FIELDS,
    DRAWN_RULES,
    field_exists,
    make_number_fields,
    make_predicate,
    make_rule,
)

FIELDS = (
    *make_number_fields("a", "b", "c"),
    make_field(name="cause", kind=FieldKind.SELECT, options=CAUSES),
)


def test_valid_rules_have_no_problems() -> None:
    rules = [
        make_rule("SHOW", "a", make_predicate("cause", "EQ", "Other")),
        make_rule("HIDE", "b", AnyOf((field_exists("a"), make_predicate("c", "GT", 1)))),
        make_rule("REQUIRE", "c", Not(field_exists("b")), targets=("c", "a")),
    ]

    assert validate_conditional_rules(rules, FIELDS, Limits()) == []


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"name": ""}, invalid_input("name must not be empty.", "0", "name")),
        (
            {"targets": ()},
            invalid_input("A conditional rule must have at least one target.", "0", "targets"),
        ),
        (
            {"targets": ("a", "x")},
            invalid_input(
                "Unknown field 'x': the event type has no such field.", "0", "targets", "1"
            ),
        ),
        (
            {"targets": ("a", "a")},
            invalid_input("Target 'a' is listed more than once.", "0", "targets", "1"),
        ),
        (
            {"condition": AllOf((field_exists("b"), field_exists("x")))},
            invalid_input(
                "Unknown field 'x': the event type has no such field.",
                "0",
                "condition",
                "all",
                "1",
                "field",
                "field",
            ),
        ),
        (
            {"condition": Not(make_predicate("b", "EQ", "1"))},
            invalid_input(
                "value must be a number from -9,007,199,254,740,991 to 9,007,199,254,740,991.",
                *("0", "condition", "not", "field", "value"),
            ),
        ),
        (
            {"condition": AnyOf((make_predicate("cause", "IN", ("Other", "Weather")),))},
            invalid_input(
                "Unknown option 'Weather' of field 'cause': expected one of 'Maintenance', "
                "'Failure', 'Other'.",
                "0",
                "condition",
                "any",
                "0",
                "field",
                "value",
                "1",
            ),
        ),
        (
            {"condition": make_predicate("b", "CONTAINS", 1)},
            invalid_input(
                "Operator CONTAINS cannot be applied to field 'b' of kind NUMBER. Use one of EQ, "
                "NE, GT, GTE, LT, LTE, IN, EXISTS, NOT_EXISTS.",
                *("0", "condition", "field", "operator"),
            ),
        ),
    ],
)
def test_an_invalid_rule_is_rejected(attributes: dict[str, Any], problem: Problem) -> None:
    rule = make_rule("SHOW", "a", **{"condition": field_exists("b")} | attributes)

    assert validate_conditional_rules([rule], FIELDS, Limits()) == [problem]


def test_all_problems_of_the_rules_are_reported_together() -> None:
    rules = [
        make_rule("SHOW", "x", make_predicate("b", "EQ", "1"), name="\0"),
        make_rule("HIDE", "a", field_exists("a"), enabled=False),
    ]

    problems = validate_conditional_rules(rules, FIELDS, Limits())

    assert codes_and_paths(problems) == [
        ("CYCLE", ("1", "condition")),
        ("INVALID_INPUT", ("0", "condition", "field", "value")),
        ("INVALID_INPUT", ("0", "name")),
        ("INVALID_INPUT", ("0", "targets", "0")),
    ]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (
            Not(Not(Not(Not(Not(field_exists("b")))))),
            "At most 5 levels of nested conditions are allowed; this condition has 6.",
        ),
        (
            AllOf((field_exists("b"),) * 101),
            "At most 100 values are allowed; this condition has 101.",
        ),
        (
            AnyOf(
                (
                    make_predicate("b", "IN", (1,) * 99),
                    make_predicate("b", "EQ", 1),
                    field_exists("b"),
                )
            ),
            "At most 100 values are allowed; this condition has 101.",
        ),
    ],
)
def test_a_condition_that_is_too_large_is_rejected(condition: Condition, message: str) -> None:
    problems = validate_conditional_rules([make_rule("SHOW", "a", condition)], FIELDS, Limits())

    assert problems == [invalid_input(message, "0", "condition")]


def test_a_type_has_at_most_100_rules() -> None:
    rules = [make_rule("SHOW", "a", field_exists("b"))] * 100

    enough = validate_conditional_rules(rules, FIELDS, Limits())
    too_many = validate_conditional_rules([*rules, rules[0]], FIELDS, Limits())

    assert enough == []
    assert too_many == [
        Problem(
            UserErrorCode.LIMIT_REACHED,
            "At most 100 conditional rules are allowed; this event type has 101.",
        )
    ]


def test_the_values_of_all_rules_have_a_limit() -> None:
    rules = [make_rule("SHOW", "a", AllOf((field_exists("c"),) * 5), targets=("a", "b"))] * 2

    enough = validate_conditional_rules(rules, FIELDS, Limits(rule_values=20))
    too_much = validate_conditional_rules(rules, FIELDS, Limits(rule_values=19))

    assert enough == []
    assert codes_and_paths(too_much) == [("LIMIT_REACHED", ())]


@pytest.mark.parametrize(
    ("rules", "cycle", "partakers"),
    [
        ([make_rule("SHOW", "a", field_exists("a"))], "a -> a", ["0"]),
        ([make_rule("HIDE", "a", Not(make_predicate("a", "EQ", 1)))], "a -> a", ["0"]),
        (
            [make_rule("SHOW", "a", field_exists("b")), make_rule("HIDE", "b", field_exists("a"))],
            "a -> b -> a",
            ["0", "1"],
        ),
        (
            [
                make_rule("SHOW", "b", field_exists("a")),
                make_rule("SHOW", "cause", field_exists("a")),
                make_rule("SHOW", "c", AllOf((field_exists("cause"), field_exists("b")))),
                make_rule("HIDE", "a", AnyOf((field_exists("c"),)), enabled=False),
            ],
            "a -> b -> c -> a",
            ["0", "2", "3"],
        ),
    ],
)
def test_a_cycle_is_rejected_with_its_path(
    rules: list[ConditionalRule], cycle: str, partakers: list[str]
) -> None:
    problems = validate_conditional_rules(rules, FIELDS, Limits())

    assert {problem.code for problem in problems} == {UserErrorCode.CYCLE}
    assert [problem.path for problem in problems] == [(each, "condition") for each in partakers]
    assert _normalize_cycle(
        problems[0].message.removesuffix(".").split(": ")[1]
    ) == _normalize_cycle(cycle)


def test_two_fields_can_require_each_other() -> None:
    rules = [
        make_rule("REQUIRE", "a", field_exists("b")),
        make_rule("REQUIRE", "b", field_exists("a")),
    ]

    assert validate_conditional_rules(rules, FIELDS, Limits()) == []


@settings(max_examples=200)
@given(DRAWN_FIELDS, DRAWN_RULES)
def test_a_cycle_is_found_exactly_if_no_resolution_order_exists(
    fields: tuple[FieldDefinition, ...],
    rules: tuple[ConditionalRule, ...],
) -> None:
    problems = validate_conditional_rules(rules, fields, Limits())

    has_cycle = any(problem.code is UserErrorCode.CYCLE for problem in problems)
    assert has_cycle != any(_is_resolution_order(rules, order) for order in permutations("abcd"))


def _is_resolution_order(rules: tuple[ConditionalRule, ...], order: tuple[str, ...]) -> bool:
    return all(
        order.index(field) < order.index(target)
        for rule in rules
        if rule.effect is not ConditionalEffect.REQUIRE
        for target in rule.targets
        for field in condition_fields(rule.condition)
    )


def _normalize_cycle(cycle: str) -> list[str]:
    """The same cycle, starting with its least name."""
    names = cycle.split(" -> ")[:-1]
    start = names.index(min(names))
    return names[start:] + names[:start]
