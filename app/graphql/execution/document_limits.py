"""How large a document is, counted before it is validated: in one pass, and without recursion.

A fragment is measured once, and counts in each operation as often as it is spread there. One that
spreads itself counts nothing there: validation refuses it.
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
class Measures:
    """Of an operation or a fragment, everything that it spreads included."""

    fields: int = 0
    aliases: int = 0
    depth: int = 0
    introspection_depth: int = 0

    def plus(self, other: Measures, depth: int, introspecting: bool) -> Measures:
        """With `other` spread at this depth."""
        plain, introspection = other.depth, other.introspection_depth
        if introspecting:
            plain, introspection = 0, max(plain, introspection)
        return Measures(
            self.fields + other.fields,
            self.aliases + other.aliases,
            max(self.depth, plain and depth + plain),
            max(self.introspection_depth, introspection and depth + introspection),
        )


def too_large(
    message: str, nodes: Node | Iterable[Node] | None = None, **more: object
) -> GraphQLError:
    """The error of a document that passes a limit, which the message names."""
    told = {"code": ErrorCode.LIMIT_EXCEEDED.value, **more}
    places = [nodes] if isinstance(nodes, Node) else list(nodes or ())
    return GraphQLError(message, places or None, extensions=told)


def measure(document: DocumentNode) -> dict[Node, Measures]:
    """Each operation and each fragment, expanded."""
    parts = {
        each: _Part.of(each.selection_set, _introspects(each))
        for each in document.definitions
        if isinstance(each, OperationDefinitionNode | FragmentDefinitionNode)
    }
    named = {
        each.name.value: part
        for each, part in parts.items()
        if isinstance(each, FragmentDefinitionNode)
    }
    expanded: dict[str, Measures] = {}
    for name in named:
        _expand(name, named, expanded)
    return {node: part.total(expanded) for node, part in parts.items()}


def violations(document: DocumentNode, limits: DocumentLimits) -> list[GraphQLError]:
    """What of the document is too much; the first place of each kind."""
    of_kind = {kind: _Count(kind, most) for kind, most in _kinds(limits).items()}
    of_kind["operations"].add(_all(document, OperationDefinitionNode))
    of_kind["fragments"].add(_all(document, FragmentDefinitionNode))
    for place in _places_of_directives(document):
        directives = place.directives or ()  # type: ignore[attr-defined]
        of_kind["directives"].add(directives)
        of_kind["directives at a place"].add(directives, anew=True)
    errors = [error for each in of_kind.values() for error in each.error()]
    # Where there are too many definitions, what they come to is not worth the time.
    return errors or [
        error
        for node, measures in measure(document).items()
        for error in _excess(node, measures, limits)
    ]


def _kinds(limits: DocumentLimits) -> dict[str, int]:
    return {
        "operations": limits.operations,
        "fragments": limits.fragments,
        "directives": limits.directives,
        "directives at a place": limits.directives_at_a_place,
    }


@dataclass
class _Count:
    kind: str
    most: int
    count: int = 0
    first_beyond: Node | None = None

    def add(self, nodes: Iterable[Node], anew: bool = False) -> None:
        if anew:
            self.count = 0
        for node in nodes:
            self.count += 1
            if self.count > self.most and self.first_beyond is None:
                self.first_beyond = node

    def error(self) -> Iterator[GraphQLError]:
        if self.first_beyond is not None:
            told = f"The document has too many {self.kind}: at most {self.most:,}."
            yield too_large(told, self.first_beyond)


def _excess(node: Node, measures: Measures, limits: DocumentLimits) -> Iterator[GraphQLError]:
    what = "operation" if isinstance(node, OperationDefinitionNode) else "fragment"
    if measures.fields > limits.fields:
        told = f"The {what} has too many fields, with its fragments: at most {limits.fields:,}."
        yield too_large(told, node)
    if measures.aliases > limits.aliases:
        told = f"The {what} has too many aliases, with its fragments: at most {limits.aliases:,}."
        yield too_large(told, node)
    if measures.depth > limits.depth:
        told = f"The {what} is nested {measures.depth:,} fields deep: at most {limits.depth:,}."
        yield too_large(told, node)
    if (deep := measures.introspection_depth) > limits.introspection_depth:
        most = limits.introspection_depth
        yield too_large(
            f"The introspection is nested {deep:,} fields deep: at most {most:,}.", node
        )


@dataclass
class _Part:
    """What a definition says itself, and what it spreads: where, and whether in introspection."""

    own: Measures
    spreads: list[tuple[str, int, bool]] = field(default_factory=list)

    @classmethod
    def of(cls, selection_set: SelectionSetNode, introspects: bool) -> _Part:
        spreads: list[tuple[str, int, bool]] = []
        fields = aliases = deepest = deepest_introspection = 0
        waiting = [(selection_set, 0, introspects)]
        while waiting:
            selections, depth, introspecting = waiting.pop()
            for each in selections.selections:
                if isinstance(each, FragmentSpreadNode):
                    spreads.append((each.name.value, depth, introspecting))
                    continue
                below, inside = depth, introspecting
                if isinstance(each, FieldNode):
                    below, inside = depth + 1, inside or each.name.value in _INTROSPECTION
                    fields += 1
                    aliases += each.alias is not None
                    if inside:
                        deepest_introspection = max(deepest_introspection, below)
                    else:
                        deepest = max(deepest, below)
                if each.selection_set is not None:  # type: ignore[attr-defined]
                    waiting.append((each.selection_set, below, inside))  # type: ignore[attr-defined]
        return cls(Measures(fields, aliases, deepest, deepest_introspection), spreads)

    def total(self, expanded: Mapping[str, Measures]) -> Measures:
        total = self.own
        for name, depth, introspecting in self.spreads:
            total = total.plus(expanded.get(name, Measures()), depth, introspecting)
        return total


def _expand(root: str, named: Mapping[str, _Part], expanded: dict[str, Measures]) -> None:
    """Those that a fragment spreads first."""
    path = [root]
    while path:
        missing = [
            name
            for name, _, _ in named[path[-1]].spreads
            if name in named and name not in expanded and name not in path
        ]
        if missing:
            path.append(missing[0])
        else:
            name = path.pop()
            expanded[name] = named[name].total(expanded)


def _introspects(node: OperationDefinitionNode | FragmentDefinitionNode) -> bool:
    condition = getattr(node, "type_condition", None)
    return condition is not None and condition.name.value.startswith("__")


def _all(document: DocumentNode, kind: type[Node]) -> list[Node]:
    return [each for each in document.definitions if isinstance(each, kind)]


def _places_of_directives(document: DocumentNode) -> Iterator[Node]:
    for definition in document.definitions:
        if not isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            continue
        yield definition
        yield from definition.variable_definitions or ()
        waiting = [definition.selection_set]
        while waiting:
            for each in waiting.pop().selections:
                yield each
                if (below := getattr(each, "selection_set", None)) is not None:
                    waiting.append(below)
