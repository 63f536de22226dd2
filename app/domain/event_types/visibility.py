"""Which fields of an event are visible, and what becomes of the values of those that are not.

`visible = (no SHOW rule, or one of them holds) and no HIDE rule holds`, settled in dependency
order, so that a predicate never sees the value of a hidden field. The order of rules never matters.
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
    condition_holds,
    fields_of,
    in_force,
)
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.shared.problems import Problem, UserErrorCode


@dataclass(frozen=True)
class Settled:
    """Values without those of hidden fields and with defaults; names are in the form's order."""

    values: dict[str, Any]
    visible: tuple[str, ...]
    required: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def warnings(self) -> list[Problem]:
        return [
            Problem(
                UserErrorCode.FIELD_HIDDEN,
                f"{name} is hidden by a conditional rule: its value was dropped.",
                (name,),
            )
            for name in self.dropped
        ]


def settle(
    fields: tuple[FieldDefinition, ...],
    rules: tuple[ConditionalRule, ...],
    values: Mapping[str, Any],
    defaults: Container[str] | None = None,
) -> Settled:
    """Drops what is hidden and fills in defaults, field by field, each after those it depends on.

    `defaults` names the fields that may get theirs, None: all. A null counts as absent, and stays
    where there is no default.
    """
    plan = _plan(fields, rules)
    if plan.is_plain:
        return Settled(dict(values), tuple(plan.kinds), plan.required, ())
    settled = dict(values)
    visible, dropped = set(), set()
    for ruled in plan.order:
        name, default = ruled.field.name, ruled.field.default
        if not ruled.is_visible(plan.kinds, settled):
            if settled.pop(name, None) is not None:
                dropped.add(name)
            continue
        visible.add(name)
        may_default = default is not None and (defaults is None or name in defaults)
        if may_default and settled.get(name) is None:
            settled[name] = default
    required = {
        ruled.field.name
        for ruled in plan.order
        if ruled.field.name in visible and ruled.is_required(plan.kinds, settled)
    }
    return Settled(
        settled,
        tuple(name for name in plan.kinds if name in visible),
        tuple(name for name in plan.kinds if name in required),
        tuple(name for name in plan.kinds if name in dropped),
    )


def dependency_cycle(rules: Iterable[ConditionalRule]) -> list[str] | None:
    """Fields whose visibility hangs on itself, each named before the one it decides.

    Rules that are not enabled count, so that enabling one is never refused.
    """
    try:
        _sorter(rules).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return None


def decides(rule: ConditionalRule, field: str, target: str) -> bool:
    """Whether the rule makes the target's visibility depend on the field."""
    if rule.effect is ConditionalEffect.REQUIRE or target not in rule.targets:
        return False
    return field in fields_of(rule.condition)


def _sorter(rules: Iterable[ConditionalRule]) -> TopologicalSorter[str]:
    sorter = TopologicalSorter[str]()
    for rule in rules:
        if rule.effect is not ConditionalEffect.REQUIRE:
            for target in rule.targets:
                sorter.add(target, *fields_of(rule.condition))
    return sorter


@dataclass(frozen=True)
class _Ruled:
    """A field and the conditions on it."""

    field: FieldDefinition
    show: tuple[Condition, ...]
    hide: tuple[Condition, ...]
    require: tuple[Condition, ...]

    def is_visible(self, kinds: Mapping[str, FieldKind], values: Mapping[str, Any]) -> bool:
        shown = not self.show or any(condition_holds(each, kinds, values) for each in self.show)
        return shown and not any(condition_holds(each, kinds, values) for each in self.hide)

    def is_required(self, kinds: Mapping[str, FieldKind], values: Mapping[str, Any]) -> bool:
        return self.field.required or any(
            condition_holds(each, kinds, values) for each in self.require
        )


@dataclass(frozen=True)
class _Plan:
    kinds: dict[str, FieldKind]
    order: tuple[_Ruled, ...]

    @cached_property
    def is_plain(self) -> bool:
        """No rule and no default has anything to settle."""
        return not any(
            each.show or each.hide or each.require or each.field.default is not None
            for each in self.order
        )

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Without any rule, in the form's order."""
        required = {each.field.name for each in self.order if each.field.required}
        return tuple(name for name in self.kinds if name in required)


@lru_cache(maxsize=1024)
def _plan(fields: tuple[FieldDefinition, ...], rules: tuple[ConditionalRule, ...]) -> _Plan:
    by_name = {field.name: field for field in fields}
    sorter = _sorter(rules)
    for name in by_name:
        sorter.add(name)
    order = (_ruled(by_name[name], rules) for name in sorter.static_order())
    return _Plan({field.name: field.kind for field in fields}, tuple(order))


def _ruled(field: FieldDefinition, rules: tuple[ConditionalRule, ...]) -> _Ruled:
    def conditions(effect: ConditionalEffect) -> tuple[Condition, ...]:
        return tuple(rule.condition for rule in in_force(rules, effect, field.name))

    return _Ruled(
        field,
        conditions(ConditionalEffect.SHOW),
        conditions(ConditionalEffect.HIDE),
        conditions(ConditionalEffect.REQUIRE),
    )
