"""The predicates of conditional rules for each kind of field, in two equivalent forms.

`value_satisfies` evaluates a predicate here; `build_value_schema` expresses it in standard JSON
Schema. If the value is absent, null or not of the field's JSON type, every predicate is false
except NOT_EXISTS. EXISTS is false and NOT_EXISTS true for a blank value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from operator import ge, gt, le, lt
from typing import Any

from app.domain.event_types.fields import (
    CHOICE_KINDS,
    MAX_SAFE_INTEGER,
    NUMERIC_KINDS,
    TEXT_KINDS,
    FieldDefinition,
    FieldKind,
)
from app.domain.event_types.instants import build_instant_schema, parse_field_instant
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from app.domain.shared.exact_decimals import ExactDecimal
from app.domain.shared.limits import Limits
from app.domain.shared.messages import format_subject, quote_value, unknown_option_message
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import (
    EXPECTED_INSTANT,
    NON_BLANK_PATTERN,
    is_blank,
    validate_text,
)

Op = PredicateOperator

_PRESENCE_OPERATORS = frozenset({Op.EXISTS, Op.NOT_EXISTS})
_EQUALITY_OPERATORS = frozenset({Op.EQ, Op.NE, Op.IN})
_ORDER_OPERATORS: dict[PredicateOperator, Callable[[Any, Any], bool]] = {
    Op.GT: gt,
    Op.GTE: ge,
    Op.LT: lt,
    Op.LTE: le,
}
_BOUND_KEYWORDS = {
    Op.GT: "exclusiveMinimum",
    Op.GTE: "minimum",
    Op.LT: "exclusiveMaximum",
    Op.LTE: "maximum",
}
_NON_BLANK_KEYWORDS: dict[str, dict[str, Any]] = {
    "string": {"pattern": NON_BLANK_PATTERN},
    "array": {"minItems": 1},
}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def supported_operators(kind: FieldKind) -> frozenset[PredicateOperator]:
    """Returns the operators that conditional rules support for fields of this kind."""
    if kind in TEXT_KINDS:
        return _PRESENCE_OPERATORS | _EQUALITY_OPERATORS | {Op.CONTAINS}
    if kind in NUMERIC_KINDS or kind is FieldKind.DATE:
        return _PRESENCE_OPERATORS | _EQUALITY_OPERATORS | _ORDER_OPERATORS.keys()
    if kind is FieldKind.MULTI_SELECT:
        return _PRESENCE_OPERATORS | {Op.CONTAINS}
    if kind is FieldKind.DATETIME:  # no equality: an instant has several notations
        return _PRESENCE_OPERATORS | _ORDER_OPERATORS.keys()
    return _PRESENCE_OPERATORS | _EQUALITY_OPERATORS


def value_satisfies(predicate: FieldPredicate, kind: FieldKind, value: Any) -> bool:
    """Whether the predicate holds for a field's value; None if absent."""
    if not _has_json_type(kind, value):
        return predicate.operator is Op.NOT_EXISTS
    expected = predicate.value
    match predicate.operator:
        case Op.EXISTS:
            return not is_blank(value)
        case Op.NOT_EXISTS:
            return is_blank(value)
        case Op.EQ:
            return bool(value == expected)
        case Op.NE:
            return bool(value != expected)
        case Op.IN:
            return value in expected
        case Op.CONTAINS:
            return expected in value
        case order if kind is FieldKind.DATETIME:
            instant, bound = parse_field_instant(value), parse_field_instant(expected)
            return instant is not None and _ORDER_OPERATORS[order](instant, bound)
        case order:
            is_comparable = kind in NUMERIC_KINDS or _DATE.fullmatch(value) is not None
            return is_comparable and _ORDER_OPERATORS[order](value, expected)


def build_value_schema(predicate: FieldPredicate, kind: FieldKind) -> dict[str, Any]:
    """Returns the JSON Schema of the present values for which the predicate holds.

    NOT_EXISTS has no schema: it holds if EXISTS does not.
    """
    expected, json_type = predicate.value, _json_type(kind)
    match predicate.operator:
        case Op.EQ:
            keywords: dict[str, Any] = {"const": expected}
        case Op.NE:
            keywords = {"not": {"const": expected}}
        case Op.IN:
            # Draft-07 does not allow repeated values.
            keywords = {"enum": list(dict.fromkeys(expected))}
        case Op.CONTAINS if kind is FieldKind.MULTI_SELECT:
            keywords = {"contains": {"const": expected}}
        case Op.CONTAINS:
            keywords = {"pattern": re.sub(r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>", expected)}
        case order if order in _BOUND_KEYWORDS and kind in NUMERIC_KINDS:
            keywords = {_BOUND_KEYWORDS[order]: expected}
        case order if order in _BOUND_KEYWORDS and kind is FieldKind.DATETIME:
            return build_instant_schema(
                expected,
                later=order in (Op.GT, Op.GTE),
                inclusive=order in (Op.GTE, Op.LTE),
            )
        case order if order in _BOUND_KEYWORDS:
            keywords = {"pattern": _date_pattern(order, expected)}
        case _:
            keywords = _NON_BLANK_KEYWORDS.get(json_type, {})
    return {"type": json_type} | keywords


def validate_field_predicate(
    predicate: FieldPredicate, field: FieldDefinition, limits: Limits
) -> list[Problem]:
    """Validates that the operator and the value fit the kind of the field."""
    kind, name, value = field.kind, predicate.operator.value, predicate.value
    if predicate.operator not in (supported := supported_operators(kind)):
        names = ", ".join(operator.value for operator in Op if operator in supported)
        return [
            invalid_input(
                f"Operator {name} cannot be applied to field {quote_value(field.name)} of kind "
                f"{kind.value}. Use one of {names}.",
                "operator",
            )
        ]
    if predicate.operator in _PRESENCE_OPERATORS:
        message = f"Operator {name} does not accept a value. Omit the value."
        return [] if value is None else [invalid_input(message, "value")]
    if predicate.operator is not Op.IN:
        return _validate_value(value, field, limits, "value")
    if not isinstance(value, tuple) or not value:
        return [invalid_input("Operator IN requires a list with at least one value.", "value")]
    return [
        problem
        for index, item in enumerate(value)
        for problem in _validate_value(item, field, limits, "value", str(index))
    ]


def _validate_value(
    value: Any, field: FieldDefinition, limits: Limits, *path: str
) -> list[Problem]:
    if field.kind in CHOICE_KINDS:
        is_option = isinstance(value, str) and value in (field.options or ())
        message = unknown_option_message(value, field.name, field.options or ())
        return [] if is_option else [invalid_input(message, *path)]
    subject = format_subject(path)
    if field.kind in TEXT_KINDS:
        if not isinstance(value, str):
            return [invalid_input(f"{subject} must be a string.", *path)]
        return validate_text(value, limits.name_characters, *path)
    if field.kind is FieldKind.BOOLEAN:
        is_boolean = isinstance(value, bool)
        return [] if is_boolean else [invalid_input(f"{subject} must be true or false.", *path)]
    if field.kind is FieldKind.DATE:
        message = f"Invalid date {quote_value(value)}: expected a date such as 2026-04-10."
        return [] if _is_date(value) else [invalid_input(message, *path)]
    if field.kind is FieldKind.DATETIME:
        message = f"Invalid time {quote_value(value)}: expected {EXPECTED_INSTANT}."
        return [] if parse_field_instant(value) else [invalid_input(message, *path)]
    if not _has_json_type(field.kind, value) or not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        bounds = f"from -{MAX_SAFE_INTEGER:,} to {MAX_SAFE_INTEGER:,}"
        return [invalid_input(f"{subject} must be a number {bounds}.", *path)]
    if field.kind is FieldKind.INTEGER and (isinstance(value, ExactDecimal) or value != int(value)):
        return [invalid_input(f"{subject} must be an integer.", *path)]
    return []


def _json_type(kind: FieldKind) -> str:
    if kind in NUMERIC_KINDS:
        return "number"
    if kind is FieldKind.BOOLEAN:
        return "boolean"
    return "array" if kind is FieldKind.MULTI_SELECT else "string"


def _has_json_type(kind: FieldKind, value: Any) -> bool:
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


def _date_pattern(order: PredicateOperator, bound: str) -> str:
    """Returns a pattern for the dates on one side of the bound, by the first digit that differs."""
    is_lower_bound = order in (Op.GT, Op.GTE)
    alternatives = [bound] if order in (Op.GTE, Op.LTE) else []
    for position, digit in enumerate(bound):
        digits = "0123456789".partition(digit)[2 if is_lower_bound else 0]
        if digit != "-" and digits:
            rest = re.sub("[0-9]", "[0-9]", bound[position + 1 :])
            alternatives.append(f"{bound[:position]}[{digits}]{rest}")
    return f"^(?:{'|'.join(alternatives)})$"
