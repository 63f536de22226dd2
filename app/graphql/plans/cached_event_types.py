"""Event types, which many rows name, as JSON that is kept.

A text holds as long as the organization's number of definitions, which every change of an event
type or a rule raises in its own transaction. Rows carry the number, as it was when they were read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID
from weakref import WeakSet

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

from app.graphql.shared.context import Context
from app.store.reading import projection

MOST_CHARACTERS = 64_000_000  # of all texts; past that they are all forgotten
EACH = 300  # counted for a text beside its own: what it takes in memory


class MovedError(Exception):
    """An event type was changed while it was read."""


@dataclass
class _Known:
    """An organization's event types at one number of its definitions, by id."""

    at: int
    texts: dict[Any, str] = field(default_factory=dict)


@dataclass(eq=False)
class SharedPart:
    """What one place of a document asks of event types, and what is known of the answer."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    others: tuple[Any, ...]
    nodes: tuple[FieldNode, ...]
    known: dict[UUID, _Known] = field(default_factory=dict)

    async def texts(
        self, context: Context, variables: dict[str, Any] | None, at: int, ids: Sequence[Any]
    ) -> Mapping[Any, str]:
        """The types with these ids, as they are at this number of definitions. MovedError."""
        own = context.caller.organization_id
        known = self.known.get(own)
        if known is None or known.at != at:
            known = self.known[own] = _Known(at)
        texts = known.texts
        if missing := {each for each in ids if each not in texts and each is not None}:
            made = await self._execute(context, variables, list(missing))
            if await projection.definitions(context.database, own) != at:
                raise MovedError
            _count(self, sum(map(len, made)) + EACH * len(made))
            texts |= zip(missing, made, strict=True)
        return texts

    async def _execute(
        self, context: Context, variables: dict[str, Any] | None, ids: Sequence[Any]
    ) -> list[str]:
        """Asks for the types as any client would. MovedError where one is gone."""
        asked = self._document([str(UUID(str(each))) for each in ids])
        result: Any = execute(self.schema, asked, context_value=context, variable_values=variables)
        if not isinstance(result, ExecutionResult):
            result = await result
        if result.errors or result.data is None or None in result.data.values():
            raise MovedError
        return [text_of(each) for each in result.data.values()]

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


def _by(type_id: str) -> ArgumentNode:
    own = ObjectFieldNode(name=NameNode(value="id"), value=StringValueNode(value=type_id))
    return ArgumentNode(name=NameNode(value="by"), value=ObjectValueNode(fields=(own,)))


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


_parts: WeakSet[SharedPart] = WeakSet()
_characters = 0


def _count(part: SharedPart, characters: int) -> None:
    global _characters
    _parts.add(part)
    _characters += characters
    if _characters > MOST_CHARACTERS:
        for each in _parts:
            each.known = {}
        _parts.clear()
        _characters = 0
