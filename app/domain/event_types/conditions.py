"""Conditional rules as values: while the condition holds, the effect applies to the targets.

The JSON form is ConditionInput's: {all: [..]}, {any: [..]}, {not: ..} or
{field: {field, operator, value}}. All of nothing holds, any of nothing does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from app.domain.event_types.comparisons import compares
from app.domain.event_types.fields import FieldKind
from app.domain.events.predicates import FieldPredicate, PredicateOperator


class ConditionalEffect(Enum):
    SHOW = "SHOW"
    HIDE = "HIDE"
    REQUIRE = "REQUIRE"


@dataclass(frozen=True)
class AllOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    part: Condition


Condition = AllOf | AnyOf | Not | FieldPredicate


@dataclass(frozen=True)
class ConditionalRule:
    """`targets` are names of fields. A rule that is not enabled has no effect."""

    name: str
    effect: ConditionalEffect
    targets: tuple[str, ...]
    condition: Condition
    enabled: bool = True


def read_condition(given: Mapping[str, Any]) -> Condition:
    """A condition in its JSON form, which has exactly one of the four keys."""
    [(form, inner)] = given.items()
    match form:
        case "all":
            return AllOf(tuple(map(read_condition, inner)))
        case "any":
            return AnyOf(tuple(map(read_condition, inner)))
        case "not":
            return Not(read_condition(inner))
        case _:
            value = inner.get("value")
            return FieldPredicate(
                inner["field"],
                PredicateOperator(inner["operator"]),
                tuple(value) if isinstance(value, list) else value,
            )


def write_condition(condition: Condition) -> dict[str, Any]:
    """The JSON form, which can be read back."""
    match condition:
        case AllOf(parts):
            return {"all": [write_condition(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [write_condition(part) for part in parts]}
        case Not(part):
            return {"not": write_condition(part)}
        case FieldPredicate(field, operator, value):
            kept = list(value) if isinstance(value, tuple) else value
            said = {} if kept is None else {"value": kept}
            return {"field": {"field": field, "operator": operator.value} | said}


def read_rule(kept: Mapping[str, Any]) -> ConditionalRule:
    """A rule as `write_rule` wrote it."""
    return ConditionalRule(
        kept["name"],
        ConditionalEffect(kept["effect"]),
        tuple(kept["targets"]),
        read_condition(kept["condition"]),
        kept["enabled"],
    )


def write_rule(rule: ConditionalRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "effect": rule.effect.value,
        "targets": list(rule.targets),
        "condition": write_condition(rule.condition),
        "enabled": rule.enabled,
    }


def condition_holds(
    condition: Condition, kinds: Mapping[str, FieldKind], values: Mapping[str, Any]
) -> bool:
    """Whether the condition holds for values from which hidden ones have been dropped."""
    match condition:
        case AllOf(parts):
            return all(condition_holds(part, kinds, values) for part in parts)
        case AnyOf(parts):
            return any(condition_holds(part, kinds, values) for part in parts)
        case Not(part):
            return not condition_holds(part, kinds, values)
        case FieldPredicate(field):
            return compares(condition, kinds[field], values.get(field))


def predicates_in(
    condition: Condition, *path: str
) -> Iterator[tuple[tuple[str, ...], FieldPredicate]]:
    """Every predicate of the condition, with its place in the JSON form."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            form = "all" if isinstance(condition, AllOf) else "any"
            for index, part in enumerate(parts):
                yield from predicates_in(part, *path, form, str(index))
        case Not(part):
            yield from predicates_in(part, *path, "not")
        case FieldPredicate():
            yield (*path, "field"), condition


def fields_of(condition: Condition) -> tuple[str, ...]:
    """The names that the condition asks about, each once."""
    return tuple(dict.fromkeys(predicate.field for _, predicate in predicates_in(condition)))


def rules_naming(field: str, rules: Iterable[ConditionalRule]) -> list[ConditionalRule]:
    """The rules that the field cannot be removed under: it is a target, or asked about."""
    return [rule for rule in rules if field in rule.targets or field in fields_of(rule.condition)]


def in_force(
    rules: Iterable[ConditionalRule], effect: ConditionalEffect, target: str
) -> list[ConditionalRule]:
    """The enabled rules with this effect on the field."""
    return [
        rule for rule in rules if rule.enabled and rule.effect is effect and target in rule.targets
    ]


def may_hide(rules: Iterable[ConditionalRule], target: str) -> bool:
    """Whether the field is visible only while something holds, or does not."""
    return any(
        rule.enabled and rule.effect is not ConditionalEffect.REQUIRE and target in rule.targets
        for rule in rules
    )
