"""Which fields are visible, and the effect on their values and defaults."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.domain.event_types.conditional_rules import validate_conditional_rules
from app.domain.event_types.conditions import AllOf, AnyOf, ConditionalRule, Not, condition_holds
from app.domain.event_types.fields import FieldDefinition
from app.domain.event_types.json_schema import compile_schema, validate_values
from app.domain.event_types.visibility import ResolvedFields, resolve_fields
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.values import is_blank
from tests.domain.examples import make_field
from tests.domain.rule_examples import (
    DRAWN_FIELDS,
    DRAWN_RULES,
    DRAWN_VALUES,
    field_exists,
    make_number_fields,
    make_predicate,
    make_rule,
)

ALWAYS, NEVER = AllOf(()), AnyOf(())
CHAIN = (
    make_rule("SHOW", "b", make_predicate("a", "EQ", 1)),
    make_rule("SHOW", "c", make_predicate("b", "EQ", 2)),
    make_rule("SHOW", "d", make_predicate("c", "EQ", 3)),
)


@pytest.mark.parametrize(
    ("rules", "visible"),
    [
        ([], True),
        ([("SHOW", ALWAYS)], True),
        ([("SHOW", NEVER)], False),
        ([("HIDE", ALWAYS)], False),
        ([("HIDE", NEVER)], True),
        ([("SHOW", NEVER), ("SHOW", ALWAYS)], True),
        ([("SHOW", NEVER), ("SHOW", NEVER)], False),
        ([("HIDE", NEVER), ("HIDE", ALWAYS)], False),
        ([("SHOW", ALWAYS), ("HIDE", ALWAYS)], False),
        ([("HIDE", ALWAYS), ("SHOW", ALWAYS)], False),
        ([("SHOW", ALWAYS), ("HIDE", NEVER)], True),
        ([("SHOW", NEVER), ("HIDE", NEVER)], False),
        ([("REQUIRE", ALWAYS), ("SHOW", NEVER)], False),
    ],
)
def test_hide_takes_precedence_and_one_show_rule_is_sufficient(
    rules: list[tuple[str, Any]], visible: bool
) -> None:
    ruled = tuple(make_rule(effect, "a", condition) for effect, condition in rules)

    settled = resolve_fields(make_number_fields("a"), ruled, {"a": 1})

    assert settled.visible == (("a",) if visible else ())
    assert settled.values == ({"a": 1} if visible else {})
    assert settled.dropped == (() if visible else ("a",))
    assert settled.required == ()


@pytest.mark.parametrize("effect", ["SHOW", "HIDE", "REQUIRE"])
def test_a_disabled_rule_has_no_effect(effect: str) -> None:
    rule = make_rule(effect, "a", NEVER if effect == "SHOW" else ALWAYS, enabled=False)

    settled = resolve_fields(make_number_fields("a"), (rule,), {"a": 1})

    assert settled == ResolvedFields({"a": 1}, visible=("a",), required=(), dropped=())


@pytest.mark.parametrize(
    ("values", "visible", "dropped"),
    [
        ({"a": 1, "b": 2, "c": 3, "d": 4}, "abcd", ""),
        ({"a": 1, "b": 0, "c": 3, "d": 4}, "ab", "cd"),
        ({"a": 0, "b": 2, "c": 3, "d": 4}, "a", "bcd"),
        ({"b": 2, "c": 3, "d": 4}, "a", "bcd"),
        ({"d": 4}, "a", "d"),
        ({}, "a", ""),
    ],
)
def test_a_chain_of_rules_is_resolved_from_the_top(
    values: dict[str, Any], visible: str, dropped: str
) -> None:
    settled = resolve_fields(make_number_fields("d", "c", "b", "a"), CHAIN, values)

    assert settled.visible == tuple(reversed(visible))
    assert settled.dropped == tuple(reversed(dropped))
    assert settled.values == {name: values[name] for name in values if name in visible}


def test_a_predicate_on_a_hidden_field_is_false_except_not_exists() -> None:
    rules = (
        make_rule("HIDE", "a", ALWAYS),
        make_rule("SHOW", "b", make_predicate("a", "NE", 2)),
        make_rule("SHOW", "c", make_predicate("a", "NOT_EXISTS")),
        make_rule("SHOW", "d", Not(make_predicate("a", "EQ", 1))),
    )

    settled = resolve_fields(make_number_fields("a", "b", "c", "d"), rules, {"a": 1})

    assert settled.visible == ("c", "d")


def test_a_default_is_applied_if_visible_and_used_by_dependents() -> None:
    fields = (
        make_field(name="a", default=1),
        make_field(name="b", default=2),
        *make_number_fields("c", "off"),
    )
    rules = (*CHAIN[:2], make_rule("HIDE", "a", field_exists("off")))

    filled = resolve_fields(fields, rules, {"c": 5})
    hidden = resolve_fields(fields, rules, {"c": 5, "off": 1})

    assert filled == ResolvedFields({"a": 1, "b": 2, "c": 5}, ("a", "b", "c", "off"), (), ())
    assert hidden == ResolvedFields({"off": 1}, ("off",), (), ("c",))


def test_a_null_counts_as_absent() -> None:
    fields = (make_field(name="a", default=1), *make_number_fields("b", "c"))
    rules = (make_rule("SHOW", "c", field_exists("b")),)

    settled = resolve_fields(fields, rules, {"a": None, "b": None, "c": None})

    assert settled == ResolvedFields({"a": 1}, ("a", "b"), (), ())


def test_defaults_can_be_limited_to_some_fields() -> None:
    fields = make_number_fields("a", "b", default=1)

    assert resolve_fields(fields, (), {}, {"b"}).values == {"b": 1}
    assert resolve_fields(fields, (), {}, ()).values == {}
    assert resolve_fields(fields, (), {"a": 2}).values == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("required", "rules", "names"),
    [
        (False, [], ()),
        (True, [], ("a",)),
        (False, [("REQUIRE", ALWAYS)], ("a",)),
        (False, [("REQUIRE", NEVER)], ()),
        (False, [("REQUIRE", NEVER), ("REQUIRE", ALWAYS)], ("a",)),
        (True, [("REQUIRE", NEVER)], ("a",)),
        (True, [("HIDE", ALWAYS)], ()),
        (False, [("HIDE", ALWAYS), ("REQUIRE", ALWAYS)], ()),
        (False, [("SHOW", ALWAYS), ("REQUIRE", ALWAYS)], ("a",)),
    ],
)
def test_only_visible_fields_are_required(
    required: bool, rules: list[tuple[str, Any]], names: tuple[str, ...]
) -> None:
    ruled = tuple(make_rule(effect, "a", condition) for effect, condition in rules)

    assert resolve_fields(make_number_fields("a", required=required), ruled, {}).required == names


def test_a_dropped_value_is_reported_under_its_name() -> None:
    settled = resolve_fields(
        make_number_fields("a", "b"), (make_rule("HIDE", "b", field_exists("a")),), {"a": 1, "b": 2}
    )

    message = "Field 'b' is hidden by a conditional rule, so its value was dropped."
    assert settled.warnings == [Problem(UserErrorCode.FIELD_HIDDEN, message, ("b",))]


@settings(max_examples=200)
@given(DRAWN_FIELDS, DRAWN_RULES, DRAWN_VALUES, st.randoms())
def test_the_order_of_rules_and_fields_does_not_matter(
    fields: tuple[FieldDefinition, ...],
    rules: tuple[ConditionalRule, ...],
    values: dict[str, Any],
    random: Any,
) -> None:
    assume(not validate_conditional_rules(rules, fields, Limits()))
    settled = resolve_fields(fields, rules, values)

    for mixed in (random.sample(rules, len(rules)), rules[::-1]):
        again = resolve_fields(fields[::-1], tuple(mixed), values)
        assert again.values == settled.values
        assert again.visible == settled.visible[::-1]
        assert again.required == settled.required[::-1]


@settings(max_examples=200)
@given(DRAWN_FIELDS, DRAWN_RULES, DRAWN_VALUES)
def test_valid_rules_have_exactly_one_consistent_resolution(
    fields: tuple[FieldDefinition, ...], rules: tuple[ConditionalRule, ...], values: dict[str, Any]
) -> None:
    assume(not validate_conditional_rules(rules, fields, Limits()))

    settled = resolve_fields(fields, rules, values)

    assert _consistent_choices(fields, rules, values) == [(settled.visible, settled.values)]
    assert resolve_fields(fields, rules, settled.values) == ResolvedFields(
        settled.values, settled.visible, settled.required, ()
    )


@settings(max_examples=200)
@given(DRAWN_FIELDS, DRAWN_RULES, DRAWN_VALUES)
def test_the_schema_and_valid_rules_agree(
    fields: tuple[FieldDefinition, ...], rules: tuple[ConditionalRule, ...], values: dict[str, Any]
) -> None:
    assume(not validate_conditional_rules(rules, fields, Limits()))
    settled = resolve_fields(fields, rules, values)

    problems = validate_values(fields, settled.values, rules)
    hidden = [each.name for each in fields if each.name not in settled.visible]
    shown_anyway = validate_values(fields, settled.values | dict.fromkeys(hidden, 1), rules)

    assert jsonschema_rs.meta.is_valid(compile_schema(fields, rules))
    missing = {
        name
        for name in settled.required
        if settled.values.get(name) is None or is_blank(settled.values[name])
    }
    assert _problem_fields(problems, UserErrorCode.FIELD_REQUIRED) == missing
    assert _problem_fields(problems, UserErrorCode.FIELD_HIDDEN) == set()
    assert _problem_fields(shown_anyway, UserErrorCode.FIELD_HIDDEN) == set(hidden)


def _problem_fields(problems: list[Problem], code: UserErrorCode) -> set[str]:
    return {problem.path[0] for problem in problems if problem.code is code}


def _consistent_choices(
    fields: tuple[FieldDefinition, ...], rules: tuple[ConditionalRule, ...], values: dict[str, Any]
) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yields every set of visible fields that is consistent with the rules and the values."""
    kinds = {field.name: field.kind for field in fields}
    results = []
    for count in range(len(fields) + 1):
        for shown in combinations(fields, count):
            names = tuple(field.name for field in shown)
            attributes = {
                name: value for name, value in values.items() if name in names and value is not None
            }
            defaults = {
                field.name: field.default
                for field in shown
                if field.default is not None and field.name not in attributes
            }
            all_values = attributes | defaults
            effects = {
                (rule.effect.value, target, condition_holds(rule.condition, kinds, all_values))
                for rule in rules
                if rule.enabled
                for target in rule.targets
            }
            agreed = tuple(
                name
                for name in kinds
                if ("HIDE", name, True) not in effects
                and (("SHOW", name, True) in effects or ("SHOW", name, False) not in effects)
            )
            if agreed == names:
                results.append((names, all_values))
    return results
