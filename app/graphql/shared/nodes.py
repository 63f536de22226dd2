"""What has an id."""

from __future__ import annotations

from uuid import UUID

import strawberry

from app.domain.shared.problems import Problem, bad_input, invalid
from app.domain.shared.values import read_id


@strawberry.interface(description="Whatever has an id of its own: `node(id:)` finds it.")
class Node:
    id: strawberry.ID = strawberry.field(description="A UUIDv7; later ids are greater.")


def id_of(row_id: UUID) -> strawberry.ID:
    return strawberry.ID(str(row_id))


def malformed(*argument: str) -> Problem:
    """What is wrong with the id in a mutation's argument."""
    return invalid("Is no id; ids are UUIDs.", *argument)


def wanted_id(text: str, *argument: str) -> UUID:
    """The id of a query's argument. RequestError BAD_USER_INPUT where it is none."""
    found = read_id(text)
    if found is None:
        raise bad_input(f"{text[:100]!r} is no id; ids are UUIDs.", *argument)
    return found
