"""The Node interface and the conversion of IDs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import strawberry

from app.domain.shared.messages import invalid_id_message
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


class InvalidArgumentsError(Exception):
    """Problems of the arguments of a mutation, which returns them in `userErrors`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


def parse_input_id(text: str, *path: str) -> UUID:
    """Returns the ID in an argument of a mutation. Raises InvalidArgumentsError."""
    return parse_input_ids({path: text})[0]


def parse_optional_input_id(text: str | None, *path: str) -> UUID | None:
    """Returns the ID in an argument of a mutation, or None. Raises InvalidArgumentsError."""
    return None if text is None else parse_input_id(text, *path)


def parse_input_ids(
    texts: Mapping[tuple[str, ...], str],
    *problems: Problem,
    later_problems: Sequence[Problem] = (),
) -> list[UUID]:
    """Returns the IDs by path in the arguments of a mutation.

    Raises InvalidArgumentsError if an ID is invalid, or if there are other problems. Invalid IDs
    are reported between `problems` and `later_problems`.
    """
    parsed_ids = {path: parse_id(text) for path, text in texts.items()}
    id_problems = [
        invalid_input(invalid_id_message(texts[path]), *path)
        for path, parsed_id in parsed_ids.items()
        if parsed_id is None
    ]
    if all_problems := (*problems, *id_problems, *later_problems):
        raise InvalidArgumentsError(all_problems)
    return [parsed_id for parsed_id in parsed_ids.values() if parsed_id is not None]


def paths_of_items(texts: Sequence[str], argument: str) -> dict[tuple[str, ...], str]:
    """Returns the items of a list argument by path, for `parse_input_ids`."""
    return {(argument, str(index)): text for index, text in enumerate(texts)}


def parse_id_argument(text: str, *argument: str) -> UUID:
    """Returns the ID in an argument of a query. Raises RequestError BAD_USER_INPUT if invalid."""
    parsed_id = parse_id(text)
    if parsed_id is None:
        raise bad_user_input(invalid_id_message(text), *argument)
    return parsed_id
