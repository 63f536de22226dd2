"""The custom scalars of the schema: DateTime, Duration and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import strawberry
from graphql import (
    FloatValueNode,
    GraphQLError,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    print_ast,
)
from graphql.utilities import value_from_ast_untyped
from pydantic import TypeAdapter, ValidationError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from app.domain.shared.durations import Duration, format_duration
from app.domain.shared.exact_decimals import parse_decimal
from app.domain.shared.problems import invalid_input
from app.domain.shared.values import EXPECTED_INSTANT, format_instant, parse_instant
from app.graphql.shared.nodes import InvalidArgumentsError


def _parse_datetime(value: Any) -> datetime:
    instant = parse_instant(value) if isinstance(value, str) else None
    if instant is None:
        raise _invalid_value_error("DateTime", value, _EXPECTED_DATETIME)
    return instant


def _invalid_value_error(name: str, value: Any, expected: str) -> GraphQLError:
    return GraphQLError(f"Invalid {name} {json.dumps(value)[:100]}: {expected}")


_EXPECTED_DATETIME = f"expected {EXPECTED_INSTANT}, in the years 0001 to 9999."


_MONTHS_PATTERN = re.compile(r"P(?=[0-9])(?:([0-9]{1,6})Y)?(?:([0-9]{1,6})M)?")
_DURATION_PATTERN = re.compile(
    r"P(?=[0-9T])([0-9]+W)?([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+([.][0-9]{1,6})?S)?)?"
)
_TIMEDELTA_ADAPTER = TypeAdapter(timedelta)


def _parse_duration(value: Any) -> Duration:
    if isinstance(value, str):
        if match := _MONTHS_PATTERN.fullmatch(value):
            years, months = (int(number or 0) for number in match.groups())
            return Duration(months=12 * years + months)
        if _DURATION_PATTERN.fullmatch(value):
            try:
                return Duration(_TIMEDELTA_ADAPTER.validate_python(value))
            except ValidationError:
                pass  # exceeds the range of timedelta
    raise _invalid_value_error("Duration", value, _EXPECTED_DURATION)


_EXPECTED_DURATION = (
    "expected an ISO 8601 duration in weeks, days, hours, minutes and seconds, such as 'PT15M' "
    "or 'P7D', or in years and months, such as 'P1M'. Years and months cannot be combined with "
    "other units."
)


def parse_input_length(duration: Duration, *path: str) -> timedelta:
    """Returns a fixed length in an argument of a mutation. Raises InvalidArgumentsError."""
    if duration.months is not None:
        message = (
            f"{path[-1]} must not be in years or months, because their length varies. Use days, "
            "such as P30D."
        )
        raise InvalidArgumentsError([invalid_input(message, *path)])
    return duration.length


def _create_literal_parser(
    name: str, expected: str, parse_value: Callable[[Any], Any]
) -> Callable[[ValueNode, dict[str, Any] | None], Any]:
    """Creates the parser of a literal, whose error has the literal and its location."""

    def parse_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
        try:
            return parse_value(value_from_ast_untyped(node, variables))
        except GraphQLError:
            literal = print_ast(node)[:100]
            raise GraphQLError(f"Invalid {name} {literal}: {expected}", node) from None

    return parse_literal


def _parse_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    return _convert_variable(read_literal(node, variables))


def read_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    """Reads a literal like value_from_ast_untyped, but keeps all digits of decimal numbers."""
    match node:
        case FloatValueNode():
            return parse_decimal(node.value)
        case ListValueNode():
            return [read_literal(item, variables) for item in node.values]
        case ObjectValueNode():
            return {field.name.value: read_literal(field.value, variables) for field in node.fields}
    return value_from_ast_untyped(node, variables)


def _convert_variable(value: Any) -> Any:
    """Converts values of GraphQL variables to JSON values. Omits undefined variables."""
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, dict):
        return {
            name: _convert_variable(item) for name, item in value.items() if item is not Undefined
        }
    if isinstance(value, list):
        return [None if item is Undefined else _convert_variable(item) for item in value]
    return value


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description=(
            "A time in RFC 3339 format. Input must have a UTC offset or `Z`, such as "
            "`2026-04-10T12:30:00+02:00` or the result of JavaScript's `toISOString()`. Output is "
            "always in UTC with microseconds, such as `2026-04-10T10:30:00.000000Z`."
        ),
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=format_instant,
        parse_value=_parse_datetime,
        parse_literal=_create_literal_parser("DateTime", _EXPECTED_DATETIME, _parse_datetime),
    ),
    Duration: strawberry.scalar(
        name="Duration",
        description="A duration in ISO 8601 format, in weeks, days, hours, minutes and seconds, "
        "such as `PT15M` or `P7D`. Arguments that take calendar units also accept years and "
        "months, such as `P1M` or `P1Y`; others reject them because their length varies.",
        specified_by_url="https://www.iso.org/iso-8601-date-and-time-format.html",
        serialize=lambda duration: format_duration(duration.length),
        parse_value=_parse_duration,
        parse_literal=_create_literal_parser("Duration", _EXPECTED_DURATION, _parse_duration),
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value: an object, a list, a string, a finite number, true, false or "
        "null.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=lambda value: value,
        parse_literal=_parse_json_literal,
    ),
}
