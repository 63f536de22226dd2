"""Cache of event types as JSON, because many rows refer to the same event type.

An entry is valid for one definitions version of the organization; every change of an event type or
a rule increments the version in its transaction. Rows carry the version at which they were read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from cachetools import LRUCache
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
    OperationType,
    SelectionSetNode,
    StringValueNode,
    execute,
)

from app.domain.shared.json_encoding import encode_json
from app.graphql.shared.context import Context
from app.store.reading import projection

MAX_CACHED_CHARACTERS = 64_000_000  # of all selections and organizations together
ENTRY_OVERHEAD = 300  # characters counted per entry for its memory overhead


class StaleCacheError(Exception):
    """The definitions of the organization changed while event types were read."""


@dataclass
class _VersionedTexts:
    """JSON of event types by ID, at one definitions version of an organization."""

    definitions_version: int
    texts_by_id: dict[Any, str] = field(default_factory=dict)
    characters: int = 0


@dataclass(eq=False)
class CachedEventTypes:
    """One selection of event types in a document, with the JSON cached for it."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: tuple[Any, ...]
    nodes: tuple[FieldNode, ...]

    async def fetch_texts(
        self,
        context: Context,
        variables: Mapping[str, Any],
        definitions_version: int,
        ids: Sequence[Any],
    ) -> Mapping[Any, str]:
        """Returns the JSON of the event types by ID, at this definitions version.

        Raises StaleCacheError if the definitions changed meanwhile.
        """
        organization_id = context.caller.organization_id
        entry = _cache.get((self, organization_id))
        if entry is None or entry.definitions_version != definitions_version:
            entry = _VersionedTexts(definitions_version)
        texts = entry.texts_by_id
        if missing := {type_id for type_id in ids if type_id not in texts and type_id is not None}:
            new_texts = await self._execute_document(context, variables, list(missing))
            if (
                await projection.fetch_definitions_version(context.database, organization_id)
                != definitions_version
            ):
                raise StaleCacheError
            texts |= zip(missing, new_texts, strict=True)
            entry.characters += sum(map(len, new_texts)) + ENTRY_OVERHEAD * len(new_texts)
            _cache.pop((self, organization_id), None)
            with contextlib.suppress(ValueError):  # larger than the whole cache
                _cache[self, organization_id] = entry
        return texts

    async def _execute_document(
        self, context: Context, variables: Mapping[str, Any], ids: Sequence[Any]
    ) -> list[str]:
        """Queries the event types by graphql-core. Raises StaleCacheError if one is missing."""
        document = self._build_document([str(UUID(str(type_id))) for type_id in ids])
        result: Any = execute(
            self.schema, document, context_value=context, variable_values=dict(variables)
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        if result.errors or result.data is None or None in result.data.values():
            raise StaleCacheError
        return [encode_json(event_type) for event_type in result.data.values()]

    def _build_document(self, ids: list[str]) -> DocumentNode:
        selections = [
            selection
            for node in self.nodes
            for selection in (node.selection_set.selections if node.selection_set else ())
        ]
        roots = [
            FieldNode(
                alias=NameNode(value=f"t{index}"),
                name=NameNode(value="eventType"),
                arguments=(_build_id_argument(type_id),),
                directives=(),
                selection_set=SelectionSetNode(selections=tuple(selections)),
            )
            for index, type_id in enumerate(ids)
        ]
        operation = OperationDefinitionNode(
            operation=OperationType.QUERY,  # also for the payload of a mutation
            name=self.operation.name,
            variable_definitions=self.operation.variable_definitions,
            directives=(),
            selection_set=SelectionSetNode(selections=tuple(roots)),
        )
        return DocumentNode(definitions=(operation, *self.fragments))


def _build_id_argument(type_id: str) -> ArgumentNode:
    field = ObjectFieldNode(name=NameNode(value="id"), value=StringValueNode(value=type_id))
    return ArgumentNode(name=NameNode(value="by"), value=ObjectValueNode(fields=(field,)))


_cache: LRUCache[tuple[CachedEventTypes, UUID], _VersionedTexts] = LRUCache(
    MAX_CACHED_CHARACTERS, getsizeof=lambda entry: entry.characters
)
