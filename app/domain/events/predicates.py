"""A test on one custom field, as filters and conditional rules put it.

A field that is absent makes every test false but NOT_EXISTS; NE is false then, too. Numbers are
compared with numbers, truth values with truth values, texts with texts by code point, and among
texts instants by time: a value of another JSON type is just another value.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any

from app.domain.shared.problems import Problem, invalid
from app.domain.shared.values import read_instant, write_instant


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
    """`value` is a JSON scalar, for IN a tuple of them, for EXISTS and NOT_EXISTS None."""

    field: str
    operator: PredicateOperator
    value: Any = None


ORDERING: dict[PredicateOperator, Callable[[Any, Any], Any]] = {
    PredicateOperator.GT: operator.gt,
    PredicateOperator.GTE: operator.ge,
    PredicateOperator.LT: operator.lt,
    PredicateOperator.LTE: operator.le,
}

# An event is found by so many of its fields and elements of a list: who sends more has a
# document, not fields. Names longer than this are no field's either.
MOST_FIELDS = 1_000
MOST_ELEMENTS = 100
LONGEST_NAME = 255


@dataclass(frozen=True)
class Comparable:
    """A JSON scalar as it is compared: one of the three is not None."""

    number: float | None = None
    text: str | None = None
    truth: bool | None = None


def comparable(value: Any) -> Comparable | None:
    """None for what is no scalar: a list, an object, null."""
    if isinstance(value, bool):
        return Comparable(truth=value)
    if isinstance(value, int | float):
        return Comparable(number=float(value))
    if isinstance(value, str):
        instant = read_instant(value)
        return Comparable(text=value if instant is None else write_instant(instant))
    return None


def findable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that an event can be found by; one that is null is absent."""
    names = [
        name for name, value in fields.items() if value is not None and len(name) <= LONGEST_NAME
    ]
    if len(names) > MOST_FIELDS:
        names = sorted(names)[:MOST_FIELDS]
    return {name: fields[name] for name in names}


def elements(value: Any) -> list[Comparable]:
    """The scalars of a list, each once; nothing of any other value."""
    if not isinstance(value, list):
        return []
    found = (comparable(each) for each in islice(value, MOST_ELEMENTS))
    return list(dict.fromkeys(each for each in found if each is not None))


def holds(predicate: FieldPredicate, fields: Mapping[str, Any]) -> bool:
    value = _found(fields, predicate.field)
    if value is None:
        return predicate.operator is PredicateOperator.NOT_EXISTS
    here = comparable(value)
    match predicate.operator:
        case PredicateOperator.EXISTS:
            return True
        case PredicateOperator.NOT_EXISTS:
            return False
        case PredicateOperator.EQ:
            return here == comparable(predicate.value)
        case PredicateOperator.NE:
            return here != comparable(predicate.value)
        case PredicateOperator.IN:
            return here is not None and here in map(comparable, predicate.value)
        case PredicateOperator.CONTAINS:
            return _contains(value, here, comparable(predicate.value))
        case ordering:
            return _ordered(ordering, here, comparable(predicate.value))


def predicate_problems(predicate: FieldPredicate) -> list[Problem]:
    """A value that the operator cannot be asked with, whatever the field holds."""
    name, value = predicate.operator.value, predicate.value
    match predicate.operator:
        case PredicateOperator.EXISTS | PredicateOperator.NOT_EXISTS:
            told = None if value is None else f"{name} takes no value."
        case PredicateOperator.IN:
            several = isinstance(value, tuple)
            told = None if several and all(map(comparable, value)) else f"{name} takes a list."
        case each if each in ORDERING:
            sound = comparable(value)
            told = f"{name} takes a number, a text or an instant."
            if sound is not None and sound.truth is None:
                told = None
        case _:
            told = None if comparable(value) else f"{name} takes a text, a number, true or false."
    return [] if told is None else [invalid(told, "value")]


def _found(fields: Mapping[str, Any], name: str) -> Any:
    beyond = len(name) > LONGEST_NAME or (
        len(fields) > MOST_FIELDS and name not in findable(fields)
    )
    return None if beyond else fields.get(name)


def _contains(value: Any, here: Comparable | None, wanted: Comparable | None) -> bool:
    if wanted is None:
        return False
    if here is not None and here.text is not None:
        return wanted.text is not None and wanted.text in here.text
    return wanted in elements(value)


def _ordered(
    ordering: PredicateOperator, here: Comparable | None, bound: Comparable | None
) -> bool:
    if here is None or bound is None:
        return False
    for own, other in ((here.number, bound.number), (here.text, bound.text)):
        if own is not None and other is not None:
            return bool(ORDERING[ordering](own, other))
    return False
