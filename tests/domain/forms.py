"""A form to hang conditional rules on, rules in few words, and what hypothesis may make of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from app.domain.event_types.comparisons import operators_of
from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalEffect,
    ConditionalRule,
    Not,
)
from app.domain.event_types.fields import CHOICES, FieldDefinition, FieldKind
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from tests.domain.examples import a_field

CAUSES = ("Maintenance", "Failure", "Other")


def asks(field: str, operator: str, value: Any = None) -> FieldPredicate:
    return FieldPredicate(field, PredicateOperator(operator), value)


def a_rule(effect: str, target: str, condition: Condition, **given: Any) -> ConditionalRule:
    said: dict[str, Any] = {"name": f"{effect} {target}", "targets": (target,)}
    return ConditionalRule(effect=ConditionalEffect(effect), condition=condition, **said | given)


def a_form(*names: str, **given: Any) -> tuple[FieldDefinition, ...]:
    """Fields of kind NUMBER with these names."""
    return tuple(a_field(name=name, **given) for name in names)


def present(field: str) -> FieldPredicate:
    return asks(field, "EXISTS")


_KINDS = {
    "a": FieldKind.NUMBER,
    "b": FieldKind.TEXT,
    "c": FieldKind.SELECT,
    "d": FieldKind.MULTI_SELECT,
}
_VALUES: dict[str, list[Any]] = {
    "a": [0, 1, 1.5],
    "b": ["", "a", "a."],
    "c": list(CAUSES),
    "d": [[], ["Failure"], ["Other", "Failure"]],
}
_ASKED = _VALUES | {"d": list(CAUSES)}


def _fields(name: str) -> st.SearchStrategy[FieldDefinition]:
    return st.builds(
        FieldDefinition,
        name=st.just(name),
        kind=st.just(_KINDS[name]),
        options=st.just(CAUSES if _KINDS[name] in CHOICES else None),
        required=st.booleans(),
        default=st.sampled_from([None, None, *_VALUES[name]]),
    )


def _predicates(name: str) -> st.SearchStrategy[FieldPredicate]:
    """Predicates on the field, most of which fit it."""
    operators = sorted(operators_of(_KINDS[name]), key=lambda operator: operator.value)
    asked = [
        asks(name, operator.value, (value,) if operator is PredicateOperator.IN else value)
        for operator in operators
        if not operator.value.endswith("EXISTS")
        for value in _ASKED[name]
    ]
    there = [asks(name, "EXISTS"), asks(name, "NOT_EXISTS")] * 3
    return st.sampled_from([*asked, *there, asks(name, "GT", True), asks(name, "IN", ())])


def _composed(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, max_size=2).map(tuple)
    return several.map(AllOf) | several.map(AnyOf) | parts.map(Not)


_CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.one_of(*map(_predicates, _KINDS)), _composed, max_leaves=3
)

# Four sound fields; rules on them, of which about half can be saved; values of which most fit.
DRAWN_FIELDS = st.tuples(*map(_fields, _KINDS))
DRAWN_RULES = st.lists(
    st.builds(
        ConditionalRule,
        name=st.just("a rule"),
        effect=st.sampled_from(ConditionalEffect),
        targets=st.lists(st.sampled_from([*_KINDS]), min_size=1, max_size=2, unique=True).map(
            tuple
        ),
        condition=_CONDITIONS,
        enabled=st.sampled_from([True, True, True, False]),
    ),
    min_size=1,
    max_size=4,
).map(tuple)
DRAWN_VALUES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from([*_VALUES[name], None, True]) for name in _KINDS}
)
