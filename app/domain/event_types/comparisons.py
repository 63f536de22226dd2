"""What a predicate of a conditional rule means on a field of each kind, said twice: `compares`
decides a value here, `value_schema` says the same in JSON Schema, with no keyword of our own.

A value that is absent, null or not of its field's JSON type makes every predicate false but
NOT_EXISTS. Instants have no order here: ajv-formats 2 (react-jsonschema-form) compares their texts,
ajv-formats 3 cuts them to milliseconds, and one instant is written in many ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from operator import ge, gt, le, lt
from typing import Any

from app.domain.event_types.fields import CHOICES, NUMERIC, TEXTUAL, FieldDefinition, FieldKind
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid
from app.domain.shared.values import text_problems

Op = PredicateOperator

# A browser reads JSON numbers as doubles, which tell integers apart up to here.
LARGEST_NUMBER = 2**53 - 1

_PRESENCE = frozenset({Op.EXISTS, Op.NOT_EXISTS})
_EQUALITY = frozenset({Op.EQ, Op.NE, Op.IN})
_ORDER: dict[PredicateOperator, Callable[[Any, Any], bool]] = {
    Op.GT: gt,
    Op.GTE: ge,
    Op.LT: lt,
    Op.LTE: le,
}
_BOUND = {
    Op.GT: "exclusiveMinimum",
    Op.GTE: "minimum",
    Op.LT: "exclusiveMaximum",
    Op.LTE: "maximum",
}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def operators_of(kind: FieldKind) -> frozenset[PredicateOperator]:
    """The operators that a conditional rule may ask a field of this kind with."""
    if kind in TEXTUAL:
        return _PRESENCE | _EQUALITY | {Op.CONTAINS}
    if kind in NUMERIC or kind is FieldKind.DATE:
        return _PRESENCE | _EQUALITY | _ORDER.keys()
    if kind is FieldKind.MULTI_SELECT:
        return _PRESENCE | {Op.CONTAINS}
    if kind is FieldKind.DATETIME:
        return _PRESENCE
    return _PRESENCE | _EQUALITY


def compares(predicate: FieldPredicate, kind: FieldKind, value: Any) -> bool:
    """Whether the predicate holds for the field's value, None where it is absent."""
    if not _is_of(kind, value):
        return predicate.operator is Op.NOT_EXISTS
    wanted = predicate.value
    match predicate.operator:
        case Op.EXISTS:
            return True
        case Op.NOT_EXISTS:
            return False
        case Op.EQ:
            return bool(value == wanted)
        case Op.NE:
            return bool(value != wanted)
        case Op.IN:
            return value in wanted
        case Op.CONTAINS:
            return wanted in value
        case order:
            sound = kind in NUMERIC or _DATE.fullmatch(value) is not None
            return sound and _ORDER[order](value, wanted)


def value_schema(predicate: FieldPredicate, kind: FieldKind) -> dict[str, Any]:
    """The schema of the values that are there and for which the predicate holds.

    NOT_EXISTS has none: it holds where EXISTS does not.
    """
    wanted = predicate.value
    match predicate.operator:
        case Op.EQ:
            told: dict[str, Any] = {"const": wanted}
        case Op.NE:
            told = {"not": {"const": wanted}}
        case Op.IN:
            told = {"enum": list(wanted)}
        case Op.CONTAINS if kind is FieldKind.MULTI_SELECT:
            told = {"contains": {"const": wanted}}
        case Op.CONTAINS:
            told = {"pattern": re.sub(r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>", wanted)}
        case order if order in _BOUND and kind in NUMERIC:
            told = {_BOUND[order]: wanted}
        case order if order in _BOUND:
            told = {"pattern": _dates(order, wanted)}
        case _:
            told = {}
    return {"type": _json_type(kind)} | told


def fit_problems(
    predicate: FieldPredicate, field: FieldDefinition, limits: Limits
) -> list[Problem]:
    """An operator or a value that does not fit the field's kind."""
    kind, name, value = field.kind, predicate.operator.value, predicate.value
    if predicate.operator not in (fitting := operators_of(kind)):
        takes = ", ".join(each.value for each in Op if each in fitting)
        return [invalid(f"{field.name} is of kind {kind.value}, which takes {takes}.", "operator")]
    if predicate.operator in _PRESENCE:
        return [] if value is None else [invalid(f"{name} takes no value.", "value")]
    if predicate.operator is not Op.IN:
        return _value_problems(value, field, limits, "value")
    if not isinstance(value, tuple) or not value:
        return [invalid("IN takes a list of at least one value.", "value")]
    return [
        problem
        for index, each in enumerate(value)
        for problem in _value_problems(each, field, limits, "value", str(index))
    ]


def _value_problems(
    value: Any, field: FieldDefinition, limits: Limits, *path: str
) -> list[Problem]:
    if field.kind in CHOICES:
        known = isinstance(value, str) and value in (field.options or ())
        return [] if known else [invalid(f"Is no option of {field.name}.", *path)]
    if field.kind in TEXTUAL:
        if not isinstance(value, str):
            return [invalid("Must be a text.", *path)]
        return text_problems(value, limits.name, *path)
    if field.kind is FieldKind.BOOLEAN:
        return [] if isinstance(value, bool) else [invalid("Must be true or false.", *path)]
    if field.kind is FieldKind.DATE:
        return [] if _is_date(value) else [invalid("Must be a date, as 2026-04-10.", *path)]
    if not _is_of(field.kind, value) or not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        return [invalid(f"Must be a number of at most {LARGEST_NUMBER:,}.", *path)]
    if field.kind is FieldKind.INTEGER and value != int(value):
        return [invalid("Must be a whole number.", *path)]
    return []


def _json_type(kind: FieldKind) -> str:
    if kind in NUMERIC:
        return "number"
    if kind is FieldKind.BOOLEAN:
        return "boolean"
    return "array" if kind is FieldKind.MULTI_SELECT else "string"


def _is_of(kind: FieldKind, value: Any) -> bool:
    match _json_type(kind):
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case _:
            return isinstance(value, str)


def _is_date(value: Any) -> bool:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _dates(order: PredicateOperator, bound: str) -> str:
    """A pattern of the dates on one side of the bound, by the first digit that differs."""
    later = order in (Op.GT, Op.GTE)
    sides = [bound] if order in (Op.GTE, Op.LTE) else []
    for place, digit in enumerate(bound):
        others = "0123456789".partition(digit)[2 if later else 0]
        if digit != "-" and others:
            rest = re.sub("[0-9]", "[0-9]", bound[place + 1 :])
            sides.append(f"{bound[:place]}[{others}]{rest}")
    return f"^(?:{'|'.join(sides)})$"
