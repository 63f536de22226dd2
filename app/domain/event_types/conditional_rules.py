"""Which conditional rules make sense on a type's fields. All of it is told, whether or not a rule
is enabled, so that enabling one is never refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from app.domain.event_types.comparisons import fit_problems
from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalRule,
    Not,
    predicates_in,
)
from app.domain.event_types.fields import FieldDefinition
from app.domain.event_types.visibility import decides, dependency_cycle
from app.domain.events.predicates import FieldPredicate
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, invalid
from app.domain.shared.values import name_problems


def rule_problems(
    rules: Sequence[ConditionalRule], fields: Sequence[FieldDefinition], limits: Limits
) -> list[Problem]:
    """What is wrong with a type's rules, each told under its index.

    A cycle is told under every rule that takes part in it.
    """
    if len(rules) > limits.rules_per_type:
        full = f"An event type has at most {limits.rules_per_type} conditional rules."
        return [Problem(UserErrorCode.LIMIT_REACHED, full)]
    by_name = {field.name: field for field in fields}
    problems = [
        problem.under(str(index))
        for index, rule in enumerate(rules)
        for problem in (
            *name_problems(rule.name, limits.name, "name"),
            *_target_problems(rule.targets, by_name, limits),
            *_condition_problems(rule.condition, by_name, limits),
        )
    ]
    problems += _cycle_problems(rules)
    written = sum(_size(rule.condition) * len(rule.targets) for rule in rules)
    if not problems and written > limits.rule_values:
        full = (
            f"The rules of a type ask for at most {limits.rule_values:,} values, for each target."
        )
        problems.append(Problem(UserErrorCode.LIMIT_REACHED, full))
    return problems


def _target_problems(
    targets: tuple[str, ...], fields: dict[str, FieldDefinition], limits: Limits
) -> list[Problem]:
    if not targets:
        return [invalid("A rule has at least one target.", "targets")]
    if len(targets) > limits.fields_per_type:
        return [
            invalid(f"Has {len(targets):,} targets; at most {limits.fields_per_type}.", "targets")
        ]
    problems = []
    for index, target in enumerate(targets):
        if target not in fields:
            problems.append(_unknown(target, "targets", str(index)))
        elif target in targets[:index]:
            problems.append(invalid(f"Field {target} is there twice.", "targets", str(index)))
    return problems


def _condition_problems(
    condition: Condition, fields: dict[str, FieldDefinition], limits: Limits
) -> list[Problem]:
    if (deep := _depth(condition)) > limits.condition_depth:
        told = f"Is {deep} conditions deep; at most {limits.condition_depth}."
        return [invalid(told, "condition")]
    if (said := _size(condition)) > limits.condition_values:
        told = f"Asks for {said:,} values; at most {limits.condition_values}."
        return [invalid(told, "condition")]
    problems = []
    for path, predicate in predicates_in(condition, "condition"):
        if (field := fields.get(predicate.field)) is None:
            problems.append(_unknown(predicate.field, *path, "field"))
        else:
            wrong = fit_problems(predicate, field, limits)
            problems += [problem.under(*path) for problem in wrong]
    return problems


def _cycle_problems(rules: Sequence[ConditionalRule]) -> list[Problem]:
    cycle = dependency_cycle(rules)
    if cycle is None:
        return []
    told = f"The visibility of a field would hang on itself: {' -> '.join(cycle)}."
    return [
        Problem(UserErrorCode.CYCLE, told, (str(index), "condition"))
        for index, rule in enumerate(rules)
        if any(decides(rule, field, target) for field, target in pairwise(cycle))
    ]


def _unknown(name: str, *path: str) -> Problem:
    return invalid(f"The type has no field {name[:100]}.", *path)


def _size(condition: Condition) -> int:
    """How many values it asks for: IN as many as it lists, and whatever asks for none, one."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return max(1, sum(map(_size, parts)))
        case Not(part):
            return _size(part)
        case FieldPredicate(value=value):
            return len(value) if isinstance(value, tuple) else 1


def _depth(condition: Condition) -> int:
    """How deep conditions lie within it, itself counted."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return 1 + max(map(_depth, parts), default=0)
        case Not(part):
            return 1 + _depth(part)
        case FieldPredicate():
            return 1
