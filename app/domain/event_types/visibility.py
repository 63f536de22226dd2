"""Resolution of which fields of an event are visible and required, and of their defaults.

`visible = (no SHOW rule, or one of them holds) and no HIDE rule holds`, resolved in dependency
order, so that a predicate never sees the value of a hidden field. The order of rules does not
matter.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

from app.domain.event_types.conditions import (
    Condition,
    ConditionalEffect,
    ConditionalRule,
    condition_fields,
    condition_holds,
    select_enabled_rules,
)
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.shared.messages import quote_value
from app.domain.shared.problems import Problem, UserErrorCode


@dataclass(frozen=True)
class ResolvedFields:
    """Values with defaults and without those of hidden fields. Names are in field order."""

    values: dict[str, Any]
    visible: tuple[str, ...]
    required: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def warnings(self) -> list[Problem]:
        reason = "is hidden by a conditional rule, so its value was dropped."
        return [
            Problem(UserErrorCode.FIELD_HIDDEN, f"Field {quote_value(name)} {reason}", (name,))
            for name in self.dropped
        ]


def resolve_fields(
    fields: tuple[FieldDefinition, ...],
    rules: tuple[ConditionalRule, ...],
    values: Mapping[str, Any],
    defaults: Container[str] | None = None,
) -> ResolvedFields:
    """Drops values of hidden fields and applies defaults, in dependency order.

    `defaults` contains the names of the fields whose default may be applied; None for all. Null is
    absent, also under a name that no field has.
    """
    resolution = _build_resolution_order(fields, rules)
    resolved_values = {name: value for name, value in values.items() if value is not None}
    if resolution.is_trivial:
        return ResolvedFields(resolved_values, tuple(resolution.kinds), resolution.required, ())
    visible, dropped = set(), set()
    for field_rules in resolution.order:
        name, default = field_rules.field.name, field_rules.field.default
        if not field_rules.is_visible(resolution.kinds, resolved_values):
            if name in resolved_values:
                dropped.add(name)
                del resolved_values[name]
            continue
        visible.add(name)
        if default is not None and (defaults is None or name in defaults):
            resolved_values.setdefault(name, default)
    required = {
        field_rules.field.name
        for field_rules in resolution.order
        if field_rules.field.name in visible
        and field_rules.is_required(resolution.kinds, resolved_values)
    }
    return ResolvedFields(
        resolved_values,
        tuple(name for name in resolution.kinds if name in visible),
        tuple(name for name in resolution.kinds if name in required),
        tuple(name for name in resolution.kinds if name in dropped),
    )


def find_dependency_cycle(rules: Iterable[ConditionalRule]) -> list[str] | None:
    """Finds a cycle of fields whose visibility depends on itself, each before its dependent.

    Disabled rules are included, so that enabling a rule never fails.
    """
    try:
        _build_sorter(rules).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return None


def affects_visibility(rule: ConditionalRule, field: str, target: str) -> bool:
    """Whether the rule makes the target's visibility depend on the field."""
    if rule.effect is ConditionalEffect.REQUIRE or target not in rule.targets:
        return False
    return field in condition_fields(rule.condition)


def _build_sorter(rules: Iterable[ConditionalRule]) -> TopologicalSorter[str]:
    sorter = TopologicalSorter[str]()
    for rule in rules:
        if rule.effect is not ConditionalEffect.REQUIRE:
            for target in rule.targets:
                sorter.add(target, *condition_fields(rule.condition))
    return sorter


@dataclass(frozen=True)
class _FieldRules:
    """A field and the conditions of the rules for it."""

    field: FieldDefinition
    show: tuple[Condition, ...]
    hide: tuple[Condition, ...]
    require: tuple[Condition, ...]

    def is_visible(self, kinds: Mapping[str, FieldKind], values: Mapping[str, Any]) -> bool:
        is_shown = not self.show or any(
            condition_holds(condition, kinds, values) for condition in self.show
        )
        return is_shown and not any(
            condition_holds(condition, kinds, values) for condition in self.hide
        )

    def is_required(self, kinds: Mapping[str, FieldKind], values: Mapping[str, Any]) -> bool:
        return self.field.required or any(
            condition_holds(condition, kinds, values) for condition in self.require
        )


@dataclass(frozen=True)
class _ResolutionOrder:
    kinds: dict[str, FieldKind]
    order: tuple[_FieldRules, ...]

    @cached_property
    def is_trivial(self) -> bool:
        """Whether there are no rules and no defaults."""
        return not any(
            rules.show or rules.hide or rules.require or rules.field.default is not None
            for rules in self.order
        )

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The fields that are required independently of rules, in field order."""
        required = {rules.field.name for rules in self.order if rules.field.required}
        return tuple(name for name in self.kinds if name in required)


@lru_cache(maxsize=1024)
def _build_resolution_order(
    fields: tuple[FieldDefinition, ...], rules: tuple[ConditionalRule, ...]
) -> _ResolutionOrder:
    by_name = {field.name: field for field in fields}
    sorter = _build_sorter(rules)
    for name in by_name:
        sorter.add(name)
    order = (_collect_rules(by_name[name], rules) for name in sorter.static_order())
    return _ResolutionOrder({field.name: field.kind for field in fields}, tuple(order))


def _collect_rules(field: FieldDefinition, rules: tuple[ConditionalRule, ...]) -> _FieldRules:
    def conditions(effect: ConditionalEffect) -> tuple[Condition, ...]:
        return tuple(rule.condition for rule in select_enabled_rules(rules, effect, field.name))

    return _FieldRules(
        field,
        conditions(ConditionalEffect.SHOW),
        conditions(ConditionalEffect.HIDE),
        conditions(ConditionalEffect.REQUIRE),
    )
