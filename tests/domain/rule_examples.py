"""Fields and conditional rules for tests, and hypothesis strategies for them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from app.domain.event_types.comparisons import supported_operators
from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalEffect,
    ConditionalRule,
    Not,
)
from app.domain.event_types.fields import CHOICE_KINDS, FieldDefinition, FieldKind
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from tests.domain.examples import make_field

CAUSES = ("Maintenance", "Failure", "Other")


def make_predicate(field: str, operator: str, value: Any = None) -> FieldPredicate:
    return FieldPredicate(field, PredicateOperator(operator), value)


def make_rule(effect: str, target: str, condition: Condition, **overrides: Any) -> ConditionalRule:
    defaults: dict[str, Any] = {"name": f"{effect} {target}", "targets": (target,)}
    return ConditionalRule(
        effect=ConditionalEffect(effect), condition=condition, **defaults | overrides
    )


def make_number_fields(*names: str, **overrides: Any) -> tuple[FieldDefinition, ...]:
    """Fields of kind NUMBER with these names."""
    return tuple(make_field(name=name, **overrides) for name in names)


def field_exists(field: str) -> FieldPredicate:
    return make_predicate(field, "EXISTS")


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
_COMPARED_VALUES = _VALUES | {"d": list(CAUSES)}


def _field_strategy(name: str) -> st.SearchStrategy[FieldDefinition]:
    return st.builds(
        FieldDefinition,
        name=st.just(name),
        kind=st.just(_KINDS[name]),
        options=st.just(CAUSES if _KINDS[name] in CHOICE_KINDS else None),
        required=st.booleans(),
        default=st.sampled_from([None, None, *_VALUES[name]]),
    )


def _predicate_strategy(name: str) -> st.SearchStrategy[FieldPredicate]:
    """Predicates on the field, most of which are valid."""
    operators = sorted(supported_operators(_KINDS[name]), key=lambda operator: operator.value)
    compared = [
        make_predicate(
            name, operator.value, (value,) if operator is PredicateOperator.IN else value
        )
        for operator in operators
        if not operator.value.endswith("EXISTS")
        for value in _COMPARED_VALUES[name]
    ]
    operand = [make_predicate(name, "EXISTS"), make_predicate(name, "NOT_EXISTS")] * 3
    return st.sampled_from(
        [*compared, *operand, make_predicate(name, "GT", True), make_predicate(name, "IN", ())]
    )


def _composed_conditions(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, max_size=2).map(tuple)
    return several.map(AllOf) | several.map(AnyOf) | parts.map(Not)


_CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.one_of(*map(_predicate_strategy, _KINDS)), _composed_conditions, max_leaves=3
)

# Four valid fields; rules on them, of which about half are valid; values, most of which are valid.
DRAWN_FIELDS = st.tuples(*map(_field_strategy, _KINDS))
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
