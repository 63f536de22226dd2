"""Predicates on one custom field, for filters and conditional rules.

If the field is absent, every predicate is false except NOT_EXISTS; NE is false, too. Null and an
empty list are absent. A blank string is a value, but does not exist for EXISTS. Numbers are
compared with numbers, booleans with booleans, strings with strings by code point, and strings that
are instants by time. Values of different JSON types are unequal and have no order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any

from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import format_instant, is_blank, parse_instant


class PredicateOperator(Enum):
    EQ = "EQ"
    NE = "NE"
    GT = "GT"
    GTE = "GTE"
    LT = "LT"
    LTE = "LTE"
    IN = "IN"
    CONTAINS = "CONTAINS"
    EXISTS = "EXISTS"
    NOT_EXISTS = "NOT_EXISTS"


@dataclass(frozen=True)
class FieldPredicate:
    """A predicate on a field.

    `value` is a JSON scalar; a tuple of scalars for IN; None for EXISTS and NOT_EXISTS.
    """

    field: str
    operator: PredicateOperator
    value: Any = None


ORDERING_OPERATORS: dict[PredicateOperator, Callable[[Any, Any], Any]] = {
    PredicateOperator.GT: operator.gt,
    PredicateOperator.GTE: operator.ge,
    PredicateOperator.LT: operator.lt,
    PredicateOperator.LTE: operator.le,
}

# The index contains at most this many fields of an event and elements of a list. Fields with
# longer names are not indexed.
MAX_INDEXED_FIELDS = 1_000
MAX_INDEXED_ELEMENTS = 100
MAX_INDEXED_NAME_LENGTH = 255


@dataclass(frozen=True)
class Comparable:
    """A JSON scalar in comparable form: exactly one of the attributes is not None.

    Python compares integers and floats exactly, whatever their size.
    """

    number: int | float | None = None
    text: str | None = None
    boolean: bool | None = None


def to_comparable(value: Any) -> Comparable | None:
    """Returns the comparable form of a scalar. None for a list, an object or null."""
    if isinstance(value, bool):
        return Comparable(boolean=value)
    if isinstance(value, int | float):
        return Comparable(number=value)
    if isinstance(value, str):
        instant = parse_instant(value)
        return Comparable(text=value if instant is None else format_instant(instant))
    return None


def indexed_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that filters can match. Null and an empty list count as absent."""
    names = [
        name
        for name, value in fields.items()
        if value is not None and value != [] and len(name) <= MAX_INDEXED_NAME_LENGTH
    ]
    if len(names) > MAX_INDEXED_FIELDS:
        names = sorted(names)[:MAX_INDEXED_FIELDS]
    return {name: fields[name] for name in names}


def comparable_elements(value: Any) -> list[Comparable]:
    """Returns the distinct scalars of a list; empty for any other value."""
    if not isinstance(value, list):
        return []
    scalars = (to_comparable(element) for element in islice(value, MAX_INDEXED_ELEMENTS))
    return list(dict.fromkeys(scalar for scalar in scalars if scalar is not None))


def predicate_holds(predicate: FieldPredicate, fields: Mapping[str, Any]) -> bool:
    """Whether the predicate holds for the fields of an event."""
    value = _indexed_value(fields, predicate.field)
    if value is None or value == []:
        return predicate.operator is PredicateOperator.NOT_EXISTS
    actual = to_comparable(value)
    match predicate.operator:
        case PredicateOperator.EXISTS:
            return not is_blank(value)
        case PredicateOperator.NOT_EXISTS:
            return is_blank(value)
        case PredicateOperator.EQ:
            return actual == to_comparable(predicate.value)
        case PredicateOperator.NE:
            return actual != to_comparable(predicate.value)
        case PredicateOperator.IN:
            return actual is not None and actual in map(to_comparable, predicate.value)
        case PredicateOperator.CONTAINS:
            return _contains(value, actual, to_comparable(predicate.value))
        case ordering:
            return _compare(ordering, actual, to_comparable(predicate.value))


def validate_predicate(predicate: FieldPredicate) -> list[Problem]:
    """Validates that the value suits the operator, independently of the kind of the field."""
    name, value = predicate.operator.value, predicate.value
    match predicate.operator:
        case PredicateOperator.EXISTS | PredicateOperator.NOT_EXISTS:
            error = (
                None
                if value is None
                else f"Operator {name} does not accept a value. Omit the value."
            )
        case PredicateOperator.IN:
            is_list = isinstance(value, tuple)
            error = f"Operator {name} requires a list of strings, numbers or booleans."
            if is_list and all(map(to_comparable, value)):
                error = None
        case ordering if ordering in ORDERING_OPERATORS:
            bound = to_comparable(value)
            error = f"Operator {name} requires a number, or a string such as a date or time."
            if bound is not None and bound.boolean is None:
                error = None
        case _:
            error = (
                None
                if to_comparable(value)
                else f"Operator {name} requires a string, a number or a boolean."
            )
    if error is not None and value is None:
        error += " To select events without the field, use NOT_EXISTS."
    return [] if error is None else [invalid_input(error, "value")]


def _indexed_value(fields: Mapping[str, Any], name: str) -> Any:
    is_not_indexed = len(name) > MAX_INDEXED_NAME_LENGTH or (
        len(fields) > MAX_INDEXED_FIELDS and name not in indexed_fields(fields)
    )
    return None if is_not_indexed else fields.get(name)


def _contains(value: Any, actual: Comparable | None, element: Comparable | None) -> bool:
    if element is None:
        return False
    if actual is not None and actual.text is not None:
        return element.text is not None and element.text in actual.text
    return element in comparable_elements(value)


def _compare(
    ordering: PredicateOperator, actual: Comparable | None, bound: Comparable | None
) -> bool:
    if actual is None or bound is None:
        return False
    for left, right in ((actual.number, bound.number), (actual.text, bound.text)):
        if left is not None and right is not None:
            return bool(ORDERING_OPERATORS[ordering](left, right))
    return False
