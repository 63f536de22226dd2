"""The Node interface and the conversion of IDs."""

from __future__ import annotations

from uuid import UUID

import strawberry

from app.domain.shared.problems import Problem, bad_user_input, invalid_input
from app.domain.shared.values import parse_id


@strawberry.interface(
    description="An object with a globally unique ID. `Query.node` returns an object by its ID."
)
class Node:
    id: strawberry.ID = strawberry.field(
        description="ID of the object, a UUIDv7. Newer objects have greater IDs."
    )


def format_id(row_id: UUID) -> strawberry.ID:
    return strawberry.ID(str(row_id))


def invalid_id_problem(text: str, *argument: str) -> Problem:
    """Returns the problem of an invalid ID in an argument of a mutation."""
    return invalid_input(_invalid_id_message(text), *argument)


def parse_input_id(text: str, problems: list[Problem], *path: str) -> UUID | None:
    """Returns the ID in an argument of a mutation. If it is invalid, adds the problem."""
    parsed_id = parse_id(text)
    if parsed_id is None:
        problems.append(invalid_id_problem(text, *path))
    return parsed_id


def parse_id_argument(text: str, *argument: str) -> UUID:
    """Returns the ID in an argument of a query. Raises RequestError BAD_USER_INPUT if invalid."""
    parsed_id = parse_id(text)
    if parsed_id is None:
        raise bad_user_input(_invalid_id_message(text), *argument)
    return parsed_id


def _invalid_id_message(text: str) -> str:
    return f"Invalid ID {text[:100]!a}: expected a UUID."
