"""Conditional rules: while the condition holds, the effect applies to the targets.

The JSON form is that of ConditionInput: {all: [..]}, {any: [..]}, {not: ..} or
{field: {field, operator, value}}. An empty `all` holds, an empty `any` does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from app.domain.event_types.comparisons import value_satisfies
from app.domain.event_types.fields import FieldKind
from app.domain.events.predicates import FieldPredicate, PredicateOperator


class ConditionalEffect(Enum):
    SHOW = "SHOW"
    HIDE = "HIDE"
    REQUIRE = "REQUIRE"


@dataclass(frozen=True)
class AllOf:
    operands: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    operands: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    operand: Condition


Condition = AllOf | AnyOf | Not | FieldPredicate


@dataclass(frozen=True)
class ConditionalRule:
    """A conditional rule. `targets` are names of fields. A disabled rule has no effect."""

    name: str
    effect: ConditionalEffect
    targets: tuple[str, ...]
    condition: Condition
    enabled: bool = True


def parse_condition(condition: Mapping[str, Any]) -> Condition:
    """Parses the JSON form of a condition, which has exactly one of the four keys."""
    [(key, content)] = condition.items()
    match key:
        case "all":
            return AllOf(tuple(map(parse_condition, content)))
        case "any":
            return AnyOf(tuple(map(parse_condition, content)))
        case "not":
            return Not(parse_condition(content))
        case _:
            value = content.get("value")
            return FieldPredicate(
                content["field"],
                PredicateOperator(content["operator"]),
                tuple(value) if isinstance(value, list) else value,
            )


def format_condition(condition: Condition) -> dict[str, Any]:
    """Formats a condition as JSON for `parse_condition`."""
    match condition:
        case AllOf(operands):
            return {"all": [format_condition(operand) for operand in operands]}
        case AnyOf(operands):
            return {"any": [format_condition(operand) for operand in operands]}
        case Not(operand):
            return {"not": format_condition(operand)}
        case FieldPredicate(field, operator, value):
            json_value = list(value) if isinstance(value, tuple) else value
            content = {} if json_value is None else {"value": json_value}
            return {"field": {"field": field, "operator": operator.value} | content}


def parse_rule(rule: Mapping[str, Any]) -> ConditionalRule:
    """Parses a rule that `format_rule` formatted."""
    return ConditionalRule(
        rule["name"],
        ConditionalEffect(rule["effect"]),
        tuple(rule["targets"]),
        parse_condition(rule["condition"]),
        rule["enabled"],
    )


def format_rule(rule: ConditionalRule) -> dict[str, Any]:
    """Formats a rule as JSON for `parse_rule`."""
    return {
        "name": rule.name,
        "effect": rule.effect.value,
        "targets": list(rule.targets),
        "condition": format_condition(rule.condition),
        "enabled": rule.enabled,
    }


def condition_holds(
    condition: Condition, kinds: Mapping[str, FieldKind], values: Mapping[str, Any]
) -> bool:
    """Whether the condition holds. `values` must not contain those of hidden fields."""
    match condition:
        case AllOf(operands):
            return all(condition_holds(operand, kinds, values) for operand in operands)
        case AnyOf(operands):
            return any(condition_holds(operand, kinds, values) for operand in operands)
        case Not(operand):
            return not condition_holds(operand, kinds, values)
        case FieldPredicate(field):
            return value_satisfies(condition, kinds[field], values.get(field))


def iterate_predicates(
    condition: Condition, *path: str
) -> Iterator[tuple[tuple[str, ...], FieldPredicate]]:
    """Yields every predicate of the condition with its path in the JSON form."""
    match condition:
        case AllOf(operands) | AnyOf(operands):
            key = "all" if isinstance(condition, AllOf) else "any"
            for index, operand in enumerate(operands):
                yield from iterate_predicates(operand, *path, key, str(index))
        case Not(operand):
            yield from iterate_predicates(operand, *path, "not")
        case FieldPredicate():
            yield (*path, "field"), condition


def condition_fields(condition: Condition) -> tuple[str, ...]:
    """Returns the distinct names of the fields in the condition."""
    return tuple(dict.fromkeys(predicate.field for _, predicate in iterate_predicates(condition)))


def find_rules_using(field: str, rules: Iterable[ConditionalRule]) -> list[ConditionalRule]:
    """Returns the rules that use the field, as a target or in the condition."""
    return [
        rule for rule in rules if field in rule.targets or field in condition_fields(rule.condition)
    ]


def select_enabled_rules(
    rules: Iterable[ConditionalRule], effect: ConditionalEffect, target: str
) -> list[ConditionalRule]:
    """Returns the enabled rules with this effect on the field."""
    return [
        rule for rule in rules if rule.enabled and rule.effect is effect and target in rule.targets
    ]


def is_conditionally_visible(rules: Iterable[ConditionalRule], target: str) -> bool:
    """Whether the visibility of the field depends on a condition."""
    return any(
        rule.enabled and rule.effect is not ConditionalEffect.REQUIRE and target in rule.targets
        for rule in rules
    )
