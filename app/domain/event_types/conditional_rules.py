"""Validation of the conditional rules of an event type.

Disabled rules are validated, too, so that enabling a rule never fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from app.domain.event_types.comparisons import validate_field_predicate
from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalRule,
    Not,
    iterate_predicates,
)
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.visibility import affects_visibility, find_dependency_cycle
from app.domain.events.predicates import FieldPredicate
from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message, quote_value, unknown_field_message
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input
from app.domain.shared.values import validate_name

# The schema of an order comparison of instants has about 22 KB.
_VALUES_PER_INSTANT = 250


def validate_conditional_rules(
    rules: Sequence[ConditionalRule], fields: Sequence[FieldDefinition], limits: Limits
) -> list[Problem]:
    """Validates the rules of an event type. Paths start with the index of the rule.

    A cycle is reported for every rule in it.
    """
    if len(rules) > limits.rules_per_type:
        message = limit_message(
            limits.rules_per_type, "conditional rule", "this event type", len(rules)
        )
        return [Problem(UserErrorCode.LIMIT_REACHED, message)]
    by_name = {field.name: field for field in fields}
    problems = [
        problem.prepend_path(str(index))
        for index, rule in enumerate(rules)
        for problem in (
            *validate_name(rule.name, limits.name_characters, "name"),
            *_validate_targets(rule.targets, by_name, limits),
            *_validate_condition(rule.condition, by_name, limits),
        )
    ]
    problems += _validate_acyclic(rules)
    total_values = sum(_weigh_values(rule.condition, by_name) * len(rule.targets) for rule in rules)
    if not problems and total_values > limits.rule_values:
        # Without the count: the same message before and after an edit means the same problem.
        message = (
            f"At most {limits.rule_values:,} values are allowed in the conditions of all "
            "conditional rules of an event type. Each value counts once for each target of its "
            f"rule; a time in an order comparison counts as {_VALUES_PER_INSTANT} values."
        )
        problems.append(Problem(UserErrorCode.LIMIT_REACHED, message))
    return problems


def _validate_targets(
    targets: tuple[str, ...], fields: dict[str, FieldDefinition], limits: Limits
) -> list[Problem]:
    if not targets:
        return [invalid_input("A conditional rule must have at least one target.", "targets")]
    if len(targets) > limits.fields_per_type:
        message = limit_message(limits.fields_per_type, "target", "this rule", len(targets))
        return [invalid_input(message, "targets")]
    problems = []
    for index, target in enumerate(targets):
        if target not in fields:
            problems.append(_unknown_field(target, "targets", str(index)))
        elif target in targets[:index]:
            message = f"Target {quote_value(target)} is listed more than once."
            problems.append(invalid_input(message, "targets", str(index)))
    return problems


def _validate_condition(
    condition: Condition, fields: dict[str, FieldDefinition], limits: Limits
) -> list[Problem]:
    if (depth := _measure_depth(condition)) > limits.condition_depth:
        message = limit_message(
            limits.condition_depth,
            "level of nested conditions",
            "this condition",
            depth,
            plural="levels of nested conditions",
        )
        return [invalid_input(message, "condition")]
    if (count := _count_values(condition)) > limits.condition_values:
        message = limit_message(limits.condition_values, "value", "this condition", count)
        return [invalid_input(message, "condition")]
    problems = []
    for path, predicate in iterate_predicates(condition, "condition"):
        if (field := fields.get(predicate.field)) is None:
            problems.append(_unknown_field(predicate.field, *path, "field"))
        else:
            predicate_problems = validate_field_predicate(predicate, field, limits)
            problems += [problem.prepend_path(*path) for problem in predicate_problems]
    return problems


def _validate_acyclic(rules: Sequence[ConditionalRule]) -> list[Problem]:
    cycle = find_dependency_cycle(rules)
    if cycle is None:
        return []
    message = f"The visibility of a field would depend on itself: {' -> '.join(cycle)}."
    return [
        Problem(UserErrorCode.CYCLE, message, (str(index), "condition"))
        for index, rule in enumerate(rules)
        if any(affects_visibility(rule, field, target) for field, target in pairwise(cycle))
    ]


def _unknown_field(name: str, *path: str) -> Problem:
    return invalid_input(unknown_field_message(name), *path)


def _count_values(condition: Condition) -> int:
    """Counts the values in a condition: each value of IN, and one for any other predicate."""
    match condition:
        case AllOf(operands) | AnyOf(operands):
            return max(1, sum(map(_count_values, operands)))
        case Not(operand):
            return _count_values(operand)
        case FieldPredicate(value=value):
            return len(value) if isinstance(value, tuple) else 1


def _weigh_values(condition: Condition, fields: Mapping[str, FieldDefinition]) -> int:
    """Counts the values in a condition by the size of their schemas."""
    instants = sum(
        predicate.value is not None
        for _, predicate in iterate_predicates(condition)
        if predicate.field in fields and fields[predicate.field].kind is FieldKind.DATETIME
    )
    return _count_values(condition) + (_VALUES_PER_INSTANT - 1) * instants


def _measure_depth(condition: Condition) -> int:
    """Returns the nesting depth of a condition, including itself."""
    match condition:
        case AllOf(operands) | AnyOf(operands):
            return 1 + max(map(_measure_depth, operands), default=0)
        case Not(operand):
            return 1 + _measure_depth(operand)
        case FieldPredicate():
            return 1
