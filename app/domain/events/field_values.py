"""Values of custom fields: how a path finds them, and the form in which equal values are equal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from app.domain.shared.exact_decimals import ExactDecimal, to_integer
from app.domain.shared.values import canonical_json, normalize_instant

# The names of nested properties, from the outermost to that of a value.
Keys = tuple[str, ...]


def value_at(value: Any, path: str) -> Any:
    """Returns the value at a path. None if it is absent or null.

    `a.b` is the key `a.b`, or otherwise the key `b` of the object `a`. In a list, it is the list of
    the values that the path has in the elements.
    """
    if isinstance(value, list):
        found = [each for element in value if (each := value_at(element, path)) is not None]
        return found or None
    if not isinstance(value, dict):
        return None
    end = len(path)
    while end >= 0:  # the longest key first
        nested = value.get(path[:end])
        if nested is not None and end < len(path):
            nested = value_at(nested, path[end + 1 :])
        if nested is not None:
            return nested
        end = path.rfind(".", 0, end)
    return None


def normalize_fields(fields: Mapping[str, Any], set_fields: Collection[str]) -> dict[str, Any]:
    """Returns the fields in a form in which equal fields are equal, without nulls.

    `set_fields` are the names of the fields whose values are sets.
    """
    return {
        name: normalize_set(value)
        if name in set_fields and isinstance(value, list)
        else normalize_value(value)
        for name, value in fields.items()
        if value is not None
    }


def normalize_sets(fields: Mapping[str, Any], set_paths: Iterable[Keys]) -> dict[str, Any]:
    """Returns the fields with each list at the keys of a path as a set, in its normalized form."""
    normalized = dict(fields)
    for path in set_paths:
        _normalize_set_at(normalized, path)
    return normalized


def _normalize_set_at(value: dict[str, Any], path: Keys) -> None:
    key, rest = path[0], path[1:]
    nested = value.get(key)
    if isinstance(nested, list) and not rest:
        value[key] = normalize_set(nested)
    elif isinstance(nested, dict) and rest:
        value[key] = dict(nested)
        _normalize_set_at(value[key], rest)


def normalize_value(value: Any) -> Any:
    """Returns a form in which equal values are equal.

    It has timestamps in UTC, no null members, and integers without a fraction or an exponent.
    """
    if isinstance(value, str):
        return normalize_instant(value)
    if isinstance(value, dict):
        return {
            name: normalize_value(member) for name, member in value.items() if member is not None
        }
    if isinstance(value, list):
        return [normalize_value(element) for element in value]
    if isinstance(value, ExactDecimal):
        return to_integer(value)
    return value


def normalize_set(elements: Collection[Any]) -> list[Any]:
    """Returns the distinct elements, each normalized, in an order that depends only on them."""
    distinct = {canonical_json(each): each for each in map(normalize_value, elements)}
    return [distinct[key] for key in sorted(distinct)]
