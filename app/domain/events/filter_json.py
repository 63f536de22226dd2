"""Event filters as JSON values with the names of the API, to store them and to return them.

The JSON of a filter is also a valid value of a GraphQL variable of the type `EventFilter`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

from app.domain.events.filters import EventFilter, TimeRange
from app.domain.shared.values import parse_instant, to_camel_case, to_json_value

_RANGE_NAMES = {"start": "from", "end": "to"}


class UnreadableFilterError(ValueError):
    """A stored filter that this version cannot read, such as one that a newer version stored."""


def filter_to_json(filter: EventFilter) -> dict[str, Any]:
    """Returns the conditions of a filter that are set."""
    return _write_object(filter)


def filter_from_json(values: Mapping[str, Any]) -> EventFilter:
    """Returns the filter of which `filter_to_json` returned these values.

    Raises UnreadableFilterError: a filter without one of its conditions would select more events.
    """
    try:
        filter: EventFilter = _read_object(EventFilter, values)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableFilterError(f"The stored filter cannot be read: {error!r}") from error
    return filter


def _write_object(value: Any) -> dict[str, Any]:
    return {
        name: _write_value(getattr(value, attribute))
        for attribute, name in _api_names(value.__class__).items()
        if getattr(value, attribute) is not None
    }


def _write_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _write_object(value)
    if isinstance(value, tuple):
        return [_write_value(each) for each in value]
    return to_json_value(value)


def _read_object(type: Any, values: Mapping[str, Any]) -> Any:
    hints = _type_hints(type)
    attributes = {name: attribute for attribute, name in _api_names(type).items()}
    return type(
        **{
            attributes[name]: _read_value(hints[attributes[name]], value)
            for name, value in values.items()
        }
    )


def _read_value(hint: Any, value: Any) -> Any:
    [hint, *_] = [each for each in get_args(hint) if each is not NoneType] or [hint]
    if isinstance(value, list):
        element = get_args(hint)[0] if get_origin(hint) is tuple else hint
        return tuple(_read_value(element, each) for each in value)
    if get_origin(hint) is tuple:
        raise TypeError(f"{value!r} is not a list")
    if dataclasses.is_dataclass(hint):
        return _read_object(hint, value)
    if hint is datetime:
        if (instant := parse_instant(value)) is None:
            raise ValueError(value)
        return instant
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint[value]
    return UUID(value) if hint is UUID else value


@cache
def _type_hints(type: Any) -> dict[str, Any]:
    return get_type_hints(type)


@cache
def _api_names(type: Any) -> dict[str, str]:
    """The names in the API of the attributes of a class of filters."""
    names = {
        field.name: to_camel_case(field.name.rstrip("_")) for field in dataclasses.fields(type)
    }
    return names | _RANGE_NAMES if type is TimeRange else names
