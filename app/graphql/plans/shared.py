"""Event types, which many rows name, as JSON that is kept.

A text is kept under all that it can depend on: the part of the document that asked for it, and the
type's id, version, state, end and time of change. Rows carry these, so nothing has to be forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from graphql import (
    ArgumentNode,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLSchema,
    NameNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    execute,
)

from app.graphql.context import Context
from app.services import event_types

MARKS = event_types.MARKS
MOST_CHARACTERS = 64_000_000
_numbers = count()
_texts: dict[tuple[Any, ...], str] = {}
_size = 0


class MovedError(Exception):
    """An event type was changed while it was read."""


@dataclass(frozen=True)
class SharedPart:
    """What one place of a document asks of event types."""

    number: int
    schema: GraphQLSchema
    operation: OperationDefinitionNode
    others: tuple[Any, ...]
    nodes: tuple[FieldNode, ...]

    async def texts(
        self, context: Context, variables: dict[str, Any] | None, marks: Iterable[tuple[Any, ...]]
    ) -> Mapping[Any, str]:
        """The types with these marks, by the part's number and the marks. MovedError."""
        wanted = {(self.number, *each) for each in marks if each[0] is not None}
        found = {key: _texts[key] for key in wanted if key in _texts}
        if missing := wanted - found.keys():
            made = await self._execute(context, variables, {key[1:] for key in missing})
            _keep(made)
            found |= made
        return found

    async def _execute(
        self, context: Context, variables: dict[str, Any] | None, marks: set[tuple[Any, ...]]
    ) -> dict[Any, str]:
        """Asks for the types as any client would, and that nothing changed meanwhile."""
        ids = {UUID(str(each[0])): each for each in marks}
        asked = self._document([str(each) for each in ids])
        result: Any = execute(self.schema, asked, context_value=context, variable_values=variables)
        if not isinstance(result, ExecutionResult):
            result = await result
        if result.errors or result.data is None:
            raise MovedError
        now = await event_types.marks(context.database, context.caller, list(ids))
        if set(now) != marks:
            raise MovedError
        told = result.data.values()
        return {
            (self.number, *each): text_of(one) for each, one in zip(ids.values(), told, strict=True)
        }

    def _document(self, ids: list[str]) -> DocumentNode:
        selections = [
            each
            for node in self.nodes
            for each in (node.selection_set.selections if node.selection_set else ())
        ]
        roots = [
            FieldNode(
                alias=NameNode(value=f"t{n}"),
                name=NameNode(value="eventType"),
                arguments=(_by(each),),
                directives=(),
                selection_set=SelectionSetNode(selections=tuple(selections)),
            )
            for n, each in enumerate(ids)
        ]
        own = self.operation
        operation = OperationDefinitionNode(
            operation=own.operation,
            name=own.name,
            variable_definitions=own.variable_definitions,
            directives=(),
            selection_set=SelectionSetNode(selections=tuple(roots)),
        )
        return DocumentNode(definitions=(operation, *self.others))


def shared_part(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    others: Iterable[Any],
    nodes: Iterable[FieldNode],
) -> SharedPart:
    return SharedPart(next(_numbers), schema, operation, tuple(others), tuple(nodes))


def _by(type_id: str) -> ArgumentNode:
    own = ObjectFieldNode(name=NameNode(value="id"), value=StringValueNode(value=type_id))
    return ArgumentNode(name=NameNode(value="by"), value=ObjectValueNode(fields=(own,)))


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _keep(made: Mapping[tuple[Any, ...], str]) -> None:
    global _size
    _size += sum(map(len, made.values()))
    if _size > MOST_CHARACTERS:
        _texts.clear()
        _size = sum(map(len, made.values()))
    _texts.update(made)
