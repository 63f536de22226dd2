"""The scalars: instants with an offset, JSON with finite numbers. Nothing is guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import strawberry
from graphql import GraphQLError, Undefined, ValueNode
from graphql.utilities import value_from_ast_untyped
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from app.domain.values import write_instant

_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def read_instant(value: Any) -> datetime:
    """RFC 3339 text as an instant in UTC; what is finer than a microsecond is cut off."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise GraphQLError(
            "DateTime wants an RFC 3339 instant with an offset, as '2026-04-10T10:30:00Z'."
        )
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        outside = f"DateTime {value} is on no calendar, or outside the years 0001 to 9999."
        raise GraphQLError(outside) from None


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
        parse_value=read_instant,
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
