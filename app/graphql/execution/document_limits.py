"""Size limits of documents, checked before validation, in one pass and without recursion.

A fragment is measured once and counted at each spread. A fragment that spreads itself adds nothing
there: validation rejects it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
)

from app.domain.shared.limits import DocumentLimits
from app.domain.shared.problems import ErrorCode

_INTROSPECTION = ("__schema", "__type")


@dataclass(frozen=True)
class DocumentSize:
    """Size of an operation or a fragment, including the fragments that it spreads."""

    fields: int = 0
    aliases: int = 0
    depth: int = 0
    introspection_depth: int = 0

    def add_spread(self, spread: DocumentSize, depth: int, in_introspection: bool) -> DocumentSize:
        """Returns the size with a fragment spread at this depth."""
        regular_depth, introspection_depth = spread.depth, spread.introspection_depth
        if in_introspection:
            regular_depth, introspection_depth = 0, max(regular_depth, introspection_depth)
        return DocumentSize(
            self.fields + spread.fields,
            self.aliases + spread.aliases,
            max(self.depth, regular_depth and depth + regular_depth),
            max(self.introspection_depth, introspection_depth and depth + introspection_depth),
        )


def create_limit_error(
    message: str, nodes: Node | Iterable[Node] | None = None, **details: object
) -> GraphQLError:
    """Creates the error for a document that exceeds a limit."""
    extensions = {"code": ErrorCode.LIMIT_EXCEEDED.value, **details}
    error_nodes = [nodes] if isinstance(nodes, Node) else list(nodes or ())
    return GraphQLError(message, error_nodes or None, extensions=extensions)


def measure_definitions(document: DocumentNode) -> dict[Node, DocumentSize]:
    """Measures each operation and fragment, with its spreads expanded."""
    sizes = {
        definition: _DefinitionSize.from_selection_set(
            definition.selection_set, _is_introspection(definition)
        )
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode)
    }
    fragments = {
        definition.name.value: size
        for definition, size in sizes.items()
        if isinstance(definition, FragmentDefinitionNode)
    }
    expanded: dict[str, DocumentSize] = {}
    for name in fragments:
        _expand_fragment(name, fragments, expanded)
    return {node: size.expanded_size(expanded) for node, size in sizes.items()}


def find_limit_violations(document: DocumentNode, limits: DocumentLimits) -> list[GraphQLError]:
    """Returns the first violation of each limit."""
    counters = {kind: _NodeCounter(kind, limit) for kind, limit in _limits_by_kind(limits).items()}
    counters["operations"].add(_definitions_of_kind(document, OperationDefinitionNode))
    counters["fragments"].add(_definitions_of_kind(document, FragmentDefinitionNode))
    for node in _nodes_with_directives(document):
        directives = node.directives or ()  # type: ignore[attr-defined]
        counters["directives"].add(directives)
        counters["directives at one location"].add(directives, restart=True)
    errors = [error for counter in counters.values() for error in counter.errors()]
    # If there are too many definitions, measuring them takes too long.
    return errors or [
        error
        for node, size in measure_definitions(document).items()
        for error in _find_size_violations(node, size, limits)
    ]


def _limits_by_kind(limits: DocumentLimits) -> dict[str, int]:
    return {
        "operations": limits.operations,
        "fragments": limits.fragments,
        "directives": limits.directives,
        "directives at one location": limits.directives_per_location,
    }


@dataclass
class _NodeCounter:
    kind: str
    limit: int
    count: int = 0
    first_beyond: Node | None = None

    def add(self, nodes: Iterable[Node], restart: bool = False) -> None:
        if restart:
            self.count = 0
        for node in nodes:
            self.count += 1
            if self.count > self.limit and self.first_beyond is None:
                self.first_beyond = node

    def errors(self) -> Iterator[GraphQLError]:
        if self.first_beyond is not None:
            message = f"The document has too many {self.kind}; the maximum is {self.limit:,}."
            yield create_limit_error(message, self.first_beyond)


def _find_size_violations(
    node: Node, size: DocumentSize, limits: DocumentLimits
) -> Iterator[GraphQLError]:
    kind = "operation" if isinstance(node, OperationDefinitionNode) else "fragment"
    if size.fields > limits.fields:
        message = (
            f"The {kind} has too many fields, including those of its fragments; "
            f"the maximum is {limits.fields:,}."
        )
        yield create_limit_error(message, node)
    if size.aliases > limits.aliases:
        message = (
            f"The {kind} has too many aliases, including those of its fragments; "
            f"the maximum is {limits.aliases:,}."
        )
        yield create_limit_error(message, node)
    if size.depth > limits.depth:
        message = (
            f"The {kind} is nested {size.depth:,} fields deep; the maximum is {limits.depth:,}."
        )
        yield create_limit_error(message, node)
    if (depth := size.introspection_depth) > limits.introspection_depth:
        max_depth = limits.introspection_depth
        yield create_limit_error(
            f"The introspection fields are nested {depth:,} levels deep; the maximum is "
            f"{max_depth:,}.",
            node,
        )


@dataclass
class _DefinitionSize:
    """Size of a definition without its fragments, and its spreads: name, depth, introspection."""

    direct_size: DocumentSize
    spreads: list[tuple[str, int, bool]] = field(default_factory=list)

    @classmethod
    def from_selection_set(
        cls, selection_set: SelectionSetNode, is_introspection: bool
    ) -> _DefinitionSize:
        spreads: list[tuple[str, int, bool]] = []
        fields = aliases = deepest = deepest_introspection = 0
        pending = [(selection_set, 0, is_introspection)]
        while pending:
            selections, depth, in_introspection = pending.pop()
            for selection in selections.selections:
                if isinstance(selection, FragmentSpreadNode):
                    spreads.append((selection.name.value, depth, in_introspection))
                    continue
                child_depth, child_in_introspection = depth, in_introspection
                if isinstance(selection, FieldNode):
                    child_depth, child_in_introspection = (
                        depth + 1,
                        child_in_introspection or selection.name.value in _INTROSPECTION,
                    )
                    fields += 1
                    aliases += selection.alias is not None
                    if child_in_introspection:
                        deepest_introspection = max(deepest_introspection, child_depth)
                    else:
                        deepest = max(deepest, child_depth)
                if selection.selection_set is not None:  # type: ignore[attr-defined]
                    pending.append((selection.selection_set, child_depth, child_in_introspection))  # type: ignore[attr-defined]
        return cls(DocumentSize(fields, aliases, deepest, deepest_introspection), spreads)

    def expanded_size(self, expanded: Mapping[str, DocumentSize]) -> DocumentSize:
        total = self.direct_size
        for name, depth, in_introspection in self.spreads:
            total = total.add_spread(expanded.get(name, DocumentSize()), depth, in_introspection)
        return total


def _expand_fragment(
    root: str, fragments: Mapping[str, _DefinitionSize], expanded: dict[str, DocumentSize]
) -> None:
    """Expands a fragment, after the fragments that it spreads."""
    path = [root]
    while path:
        missing = [
            name
            for name, _, _ in fragments[path[-1]].spreads
            if name in fragments and name not in expanded and name not in path
        ]
        if missing:
            path.append(missing[0])
        else:
            name = path.pop()
            expanded[name] = fragments[name].expanded_size(expanded)


def _is_introspection(node: OperationDefinitionNode | FragmentDefinitionNode) -> bool:
    condition = getattr(node, "type_condition", None)
    return condition is not None and condition.name.value.startswith("__")


def _definitions_of_kind(document: DocumentNode, kind: type[Node]) -> list[Node]:
    return [definition for definition in document.definitions if isinstance(definition, kind)]


def _nodes_with_directives(document: DocumentNode) -> Iterator[Node]:
    for definition in document.definitions:
        if not isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            continue
        yield definition
        yield from definition.variable_definitions or ()
        pending = [definition.selection_set]
        while pending:
            for selection in pending.pop().selections:
                yield selection
                if (selection_set := getattr(selection, "selection_set", None)) is not None:
                    pending.append(selection_set)
