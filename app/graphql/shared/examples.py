"""Descriptions of the schema with an example in GraphQL.

`tests/contract/test_schema.py` validates the examples against the schema.
"""

from __future__ import annotations

from inspect import cleandoc


def with_example(description: str, example: str) -> str:
    """Returns the description with an example: an operation, or a value of an input type."""
    return f"{description}\n\nExample:\n\n```graphql\n{cleandoc(example)}\n```"
