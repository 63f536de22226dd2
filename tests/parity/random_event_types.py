"""Random event types with conditional rules, and random values for them. A seed determines both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any

from app.domain.event_types.comparisons import supported_operators
from app.domain.event_types.conditional_rules import validate_conditional_rules
from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalEffect,
    ConditionalRule,
    Not,
    condition_fields,
    iterate_predicates,
)
from app.domain.event_types.fields import (
    TEXT_KINDS,
    AdditionalFields,
    FieldDefinition,
    FieldKind,
)
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from app.domain.shared.limits import Limits
from app.domain.shared.problems import UserErrorCode

# A name that no event type defines.
UNKNOWN = "unknown"
OPTIONS = ("Maintenance", "Failure", "a.b", "é")
VALID_VALUES: dict[FieldKind, list[Any]] = {
    FieldKind.TEXT: [
        "",
        " \t\u0085\ufeff",
        "a",
        "pump (3)",
        "a.b\r",
        "axb",
        "é\u2028\U0001f600",
        "^$[]{}|\\/*+?-",
    ],
    FieldKind.LONG_TEXT: ["", "\n ", "A", "line\nline", "pump (3) tripped"],
    FieldKind.NUMBER: [0, -0.0, 1, 1.0, 1.5, -2, 0.1, 1e-7, 1e300, 2**53 - 1],
    FieldKind.INTEGER: [0, 1, 2.0, -1, 2**53 - 1],
    FieldKind.BOOLEAN: [True, False],
    FieldKind.DATE: ["2026-04-09", "2026-04-10", "2026-12-31", "1999-12-31", "2024-02-29"],
    FieldKind.DATETIME: [
        "2026-04-10T10:30:00Z",
        "2026-04-10T12:30:00.123456789+02:00",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00-23:59",
        "2026-04-10T09:45:00.000-00:45",
        "2026-04-10T12:30:00+02:00",
        "2026-04-10T10:30:00.000000001Z",
        "2026-04-11T09:00:00.123456790+22:30",
        "2026-04-10T10:30:00.123457Z",
        "2026-04-10T10:30:00.000001Z",
        "2026-04-09T23:59:59-10:31",
    ],
    FieldKind.SELECT: [*OPTIONS],
    FieldKind.MULTI_SELECT: [[], ["Failure"], ["a.b", "Maintenance"], [*OPTIONS]],
    FieldKind.URL: ["https://example.org/a?b#c", "s3://bucket/Gr%C3%B6%C3%9Fe"],
    FieldKind.EMAIL: ["a@b.org", "o'neil+a@b-c.example.org"],
}
INVALID_VALUES: list[Any] = [
    "",
    " ",
    "a",
    1,
    1.5,
    True,
    [],
    ["x"],
    {},
    "2026-02-30",
    "2026-04-10 10:30:00Z",
    "2016-12-31T23:59:60Z",
    "0000-01-01T00:00:00Z",
    "2026-04-10T10:30:00+24:00",
    "Weather",
    ["Failure", "Failure"],
    ["Failure", 1],
]
_BOUNDED = {FieldKind.NUMBER: {"minimum": -1.0}, FieldKind.INTEGER: {"maximum": 1.0}} | {
    kind: {"max_length": 20} for kind in TEXT_KINDS
}


@dataclass(frozen=True)
class RandomEventType:
    fields: tuple[FieldDefinition, ...]
    rules: tuple[ConditionalRule, ...]
    additional_fields: AdditionalFields

    @property
    def predicates(self) -> list[FieldPredicate]:
        return [each for rule in self.rules for _, each in iterate_predicates(rule.condition)]

    @property
    def parts(self) -> Iterator[Enum]:
        """Every kind, effect and operator, and what happens to additional fields."""
        yield self.additional_fields
        yield from (field.kind for field in self.fields)
        yield from (rule.effect for rule in self.rules)
        yield from (predicate.operator for predicate in self.predicates)

    @property
    def longest_chain(self) -> int:
        """The length of the longest chain of fields whose visibility depends on the previous
        one.
        """
        dependencies: dict[str, set[str]] = {field.name: set() for field in self.fields}
        for rule in self.rules:
            if rule.enabled and rule.effect is not ConditionalEffect.REQUIRE:
                for target in rule.targets:
                    dependencies[target].update(condition_fields(rule.condition))

        def length(name: str) -> int:
            return max((1 + length(each) for each in dependencies[name]), default=0)

        return max(map(length, dependencies))


def draw_types(seed: int, count: int) -> Iterator[RandomEventType]:
    random = Random(seed)
    for _ in range(count):
        fields = tuple(_draw_field(random, f"f{index}") for index in range(random.randint(3, 8)))
        rules = _draw_rules(random, fields)
        yield RandomEventType(fields, rules, random.choice(list(AdditionalFields)))


def draw_values(random: Random, drawn: RandomEventType) -> dict[str, Any]:
    """Mostly valid values, including blanks and those that the rules compare with."""
    compared_values: dict[str, list[Any]] = {}
    for each in drawn.predicates:
        operands = each.value if isinstance(each.value, tuple) else (each.value,)
        compared_values.setdefault(each.field, []).extend(
            one for one in operands if one is not None
        )
    values: dict[str, Any] = {}
    for field in drawn.fields:
        if random.random() < 0.8:
            candidates = VALID_VALUES[field.kind]
            if field.kind is not FieldKind.MULTI_SELECT and random.random() < 0.4:
                candidates = compared_values.get(field.name) or candidates
            values[field.name] = random.choice(
                INVALID_VALUES if random.random() < 0.03 else candidates
            )
    if random.random() < 0.1:
        values[UNKNOWN] = random.choice([1, "", [], {"a": None}])
    return values


def add_nulls(random: Random, drawn: RandomEventType, values: dict[str, Any]) -> dict[str, Any]:
    """Sets some of the absent fields to null, hidden, required and undefined ones included."""
    names = [*(field.name for field in drawn.fields), UNKNOWN]
    absent = [name for name in names if name not in values]
    return values | {name: None for name in absent if random.random() < 0.3}


def _draw_field(random: Random, name: str) -> FieldDefinition:
    kind = random.choice(list(FieldKind))
    attributes: dict[str, Any] = {"required": random.random() < 0.3}
    if kind in (FieldKind.SELECT, FieldKind.MULTI_SELECT):
        attributes["options"] = OPTIONS
    if random.random() < 0.25:
        attributes["default"] = random.choice(VALID_VALUES[kind])
    elif random.random() < 0.1:
        attributes |= _BOUNDED.get(kind, {})
    elif random.random() < 0.1 and kind in TEXT_KINDS:
        attributes["pattern"] = "^a.b"
    return FieldDefinition(name, kind, **attributes)


def _draw_rules(random: Random, fields: tuple[FieldDefinition, ...]) -> tuple[ConditionalRule, ...]:
    """Valid rules: a rule that would create a cycle is drawn again."""
    rules: list[ConditionalRule] = []
    count, condition_candidates = random.randint(1, 6), fields
    while len(rules) < count:
        targets = random.sample(fields, random.choice([1, 1, 2]))
        rule = ConditionalRule(
            name=f"rule {len(rules)}",
            effect=random.choice(list(ConditionalEffect)),
            targets=tuple(field.name for field in targets),
            condition=_draw_condition(random, condition_candidates, random.choice([1, 1, 2, 3])),
            enabled=random.random() < 0.9,
        )
        problems = validate_conditional_rules([*rules, rule], fields, Limits())
        assert {problem.code for problem in problems} <= {UserErrorCode.CYCLE}, problems
        if not problems:
            rules.append(rule)
            condition_candidates = (
                tuple(targets) if random.random() < 0.5 else fields
            )  # creates chains
    return tuple(rules)


def _draw_condition(random: Random, fields: tuple[FieldDefinition, ...], depth: int) -> Condition:
    if depth == 1:
        return _draw_predicate(random, random.choice(fields))
    form = random.choice([AllOf, AnyOf, Not])
    if form is Not:
        return Not(_draw_condition(random, fields, depth - 1))
    parts = (_draw_condition(random, fields, depth - 1) for _ in range(random.choice([0, 1, 2, 2])))
    return AllOf(tuple(parts)) if form is AllOf else AnyOf(tuple(parts))


def _draw_predicate(random: Random, field: FieldDefinition) -> FieldPredicate:
    operator = random.choice(
        [each for each in PredicateOperator if each in supported_operators(field.kind)]
    )
    if operator in (PredicateOperator.EXISTS, PredicateOperator.NOT_EXISTS):
        return FieldPredicate(field.name, operator)
    choices = OPTIONS if field.kind is FieldKind.MULTI_SELECT else VALID_VALUES[field.kind]
    operands = [each for each in choices if each != 1e300]
    if operator is PredicateOperator.IN:
        return FieldPredicate(field.name, operator, tuple(random.choices(operands, k=2)))
    value = random.choice(operands)
    if operator is PredicateOperator.CONTAINS and field.kind in TEXT_KINDS:
        start = random.randint(0, len(value))
        value = value[start : start + random.randint(1, 4)]
    return FieldPredicate(field.name, operator, value)
