"""The scalars: instants with an offset, JSON with finite numbers. Nothing is guessed."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import strawberry
from graphql import GraphQLError, Undefined, ValueNode
from graphql.utilities import value_from_ast_untyped
from pydantic import TypeAdapter, ValidationError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from app.domain.shared.values import read_instant, write_instant


def _read_instant(value: Any) -> datetime:
    instant = read_instant(value) if isinstance(value, str) else None
    if instant is None:
        raise GraphQLError(
            "DateTime wants an RFC 3339 instant with an offset, as '2026-04-10T10:30:00Z', on the "
            "calendar of the years 0001 to 9999."
        )
    return instant


_DURATION = re.compile(
    r"P(?=[0-9T])([0-9]+W)?([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+([.][0-9]{1,6})?S)?)?"
)
_LENGTH = TypeAdapter(timedelta)


def _read_duration(value: Any) -> timedelta:
    if isinstance(value, str) and _DURATION.fullmatch(value):
        try:
            return _LENGTH.validate_python(value)
        except ValidationError:
            pass  # longer than the calendar
    raise GraphQLError(
        "Duration wants an ISO 8601 length of time in weeks, days, hours, minutes and seconds, as "
        "'PT15M' or 'P7D'; months and years have no length of their own."
    )


def write_duration(length: timedelta) -> Any:
    # Of 400 days the library would make a year and 35.
    rest = _LENGTH.dump_python(length - timedelta(days=length.days), mode="json")
    if not length.days:
        return rest
    return f"P{length.days}D{'' if rest == 'PT0S' else rest[1:]}"


def _read_json(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    return _said(value_from_ast_untyped(node, variables))


def _said(value: Any) -> Any:
    """What the client said: variables of other types as their JSON, without those left out."""
    if isinstance(value, datetime):
        return write_instant(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, dict):
        return {name: _said(each) for name, each in value.items() if each is not Undefined}
    if isinstance(value, list):
        return [None if each is Undefined else _said(each) for each in value]
    return value


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description=(
            "An instant. On input RFC 3339 with an offset, as `2026-04-10T12:30:00+02:00` or what "
            "JavaScript's `toISOString()` gives; "
            "on output always UTC with microseconds, as `2026-04-10T10:30:00.000000Z`."
        ),
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=write_instant,
        parse_value=_read_instant,
    ),
    timedelta: strawberry.scalar(
        name="Duration",
        description="A length of time, ISO 8601: `PT15M`, `P7D`. Months and years are refused: "
        "they have no length of their own.",
        specified_by_url="https://www.iso.org/iso-8601-date-and-time-format.html",
        serialize=write_duration,
        parse_value=_read_duration,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value: object, list, text, finite number, true, false, null.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=lambda value: value,
        parse_literal=_read_json,
    ),
}
