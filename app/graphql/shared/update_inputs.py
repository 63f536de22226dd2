"""Reading of inputs that update an object: an omitted attribute keeps its value."""

from __future__ import annotations

from typing import Any

import strawberry


def read_provided_attributes(input: Any, *list_names: str) -> dict[str, Any]:
    """Returns the provided attributes, null included. The lists of `list_names` become tuples."""
    attributes = {
        name: maybe.value
        for name, maybe in vars(input).items()
        if isinstance(maybe, strawberry.Some)
    }
    for name in list_names:
        if attributes.get(name) is not None:
            attributes[name] = tuple(attributes[name])
    return attributes
