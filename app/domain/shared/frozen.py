"""Creation of frozen dataclasses with many attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, TypeVar

Frozen = TypeVar("Frozen")


def create_frozen(cls: type[Frozen], attributes: Mapping[str, Any]) -> Frozen:
    """Creates an object with these attributes, and the defaults of the others.

    The constructor takes ten times as long, because it sets each attribute by a call. Attributes
    with a default factory are required; nothing checks the names.
    """
    key: Any = cls
    created = object.__new__(cls)
    vars(created).update(_list_defaults(key), **attributes)
    return created


@cache
def _list_defaults(cls: Any) -> dict[str, Any]:
    return {field.name: field.default for field in fields(cls) if field.default is not MISSING}
