"""Finds the constant parts of an expression that can never be evaluated, such as `duration("1d")`.

A part is constant if it uses none of the variables, and not the variable of an outer macro.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

from app.domain.rules.expression_problems import strip_status_code
from app.domain.rules.expression_trees import ExpressionTree, Node, child_nodes, literal_string
from app.domain.shared.messages import quote_value

VARIABLES = frozenset({"event", "old", "now", "body", "headers"})
# Operators and macros that can have a result although an operand has none.
_LAZY_OPERATORS = frozenset({"_&&_", "_||_", "_?_:_"})
_DIVISIONS = frozenset({"_/_", "_%_"})
_EXPECTED_LITERALS = {
    "duration": "numbers with the units h, m, s, ms, us or ns, such as '36h' or '1h30m'; "
    "one day is '24h'",
    "timestamp": "a date and a time with a time zone, such as '2026-04-10T10:30:00Z'",
}


@dataclass(frozen=True)
class ConstantFinder:
    """Searches a tree. `evaluate` returns the error of a constant node, or None.

    `constants`: whether a node is constant, by its ID.
    """

    tree: ExpressionTree
    evaluate: Callable[[Node], str | None]
    constants: Mapping[int, bool]

    @classmethod
    def create(cls, tree: ExpressionTree, evaluate: Callable[[Node], str | None]) -> ConstantFinder:
        names = {
            name
            for node in tree.iterate_nodes()
            if node.WhichOneof("kind") == "comprehension"
            for name in (node.comprehension.iter_var, node.comprehension.accu_var)
        }
        constants: dict[int, bool] = {}
        _find_constants(tree.root, VARIABLES | names, constants)
        return cls(tree, evaluate, constants)

    def find_errors(self) -> Iterator[tuple[Node, str]]:
        """Yields the innermost constant nodes that cannot be evaluated, with their errors."""
        return self._search(self.tree.root)

    def _search(self, node: Node) -> Iterator[tuple[Node, str]]:
        children = child_nodes(node)
        is_constant = self.constants[node.id] and bool(children)
        error = self.evaluate(node) if is_constant else None
        if is_constant and error is None and not _has_lazy_operator(node):
            return
        inner_errors = [each for child in children for each in self._search(child)]
        yield from inner_errors
        if inner_errors:
            return
        if error is not None:
            yield node, error
        elif not is_constant and node.WhichOneof("kind") == "call":
            yield from self._find_errors_of_call(node)

    def _find_errors_of_call(self, node: Node) -> Iterator[tuple[Node, str]]:
        """Yields errors of a call with an operand that is not constant."""
        error = self._find_format_error(node)
        if error is not None:
            yield node, error
        for variant in self._find_variants(node):
            error = self.evaluate(variant) if self._is_call_of_constants(variant) else None
            if error is None:
                error = self._find_division_error(variant)
            if error is not None:
                yield variant, error

    def _find_variants(self, node: Node) -> list[Node]:
        """Returns a copy of the node for each value that an operand may have, and the node.

        Only operands are varied whose values are branches of `?:`, or defaults of `orValue()`.
        """
        if node.call.function in _LAZY_OPERATORS:
            return [node]
        variants = [node]
        for index, operand in enumerate(child_nodes(node)):
            for branch in self._find_branches(operand):
                variant = type(node)()
                variant.CopyFrom(node)
                child_nodes(variant)[index].CopyFrom(branch)
                variants.append(variant)
        return variants

    def _find_branches(self, node: Node) -> list[Node]:
        if node.WhichOneof("kind") != "call" or self.constants[node.id]:
            return []
        match node.call.function:
            case "_?_:_":
                parts = child_nodes(node)[1:]
            case "orValue":
                parts = child_nodes(node)
            case "dyn":
                return self._find_branches(node.call.args[0])
            case _:
                return []
        branches = []
        for part in parts:
            branches += [part] if self.constants[part.id] else self._find_branches(part)
        return branches

    def _is_call_of_constants(self, node: Node) -> bool:
        return all(self.constants[operand.id] for operand in child_nodes(node))

    def _find_division_error(self, node: Node) -> str | None:
        """Returns an error for an integer that is divided by a constant zero."""
        if node.call.function not in _DIVISIONS:
            return None
        divisor = child_nodes(node)[1]
        if not self.constants[divisor.id]:
            return None
        quotient = type(node)()
        quotient.CopyFrom(node)
        quotient.call.args[0].CopyFrom(divisor)
        return self.evaluate(quotient)

    def _find_format_error(self, node: Node) -> str | None:
        """Returns an error for a format that is invalid for any arguments."""
        if node.call.function != "format" or not node.call.args[0].HasField("list"):
            return None
        example = type(node)()
        example.CopyFrom(node)
        for argument in example.call.args[0].list.elements:
            argument.const.int64 = 0
        return self.evaluate(example)


def describe_constant_error(node: Node, error: str) -> str:
    """Returns the message for a node that can never be evaluated."""
    if node.WhichOneof("kind") == "call" and node.call.function in _EXPECTED_LITERALS:
        [*_, literal] = map(literal_string, child_nodes(node))
        if literal is not None:
            function = node.call.function
            expected = _EXPECTED_LITERALS[function]
            return f"Invalid {function} {quote_value(literal)}: expected {expected}."
    return f"This part of the expression can never be evaluated: {strip_status_code(error)}."


def _find_constants(
    node: Node, variables: frozenset[str], constants: dict[int, bool]
) -> frozenset[str]:
    """Records which nodes are constant. Returns the variables that the node uses."""
    uses = [_find_constants(child, variables, constants) for child in child_nodes(node)]
    used: frozenset[str] = reduce(frozenset.union, uses, frozenset())
    match node.WhichOneof("kind"):
        case "ident":
            used = variables & {node.ident.name}
        case "comprehension":
            loop = node.comprehension
            iterated, initial, *in_loop = uses
            own = {loop.iter_var, loop.accu_var}
            used = iterated | initial | (frozenset.union(*in_loop) - own)
    constants[node.id] = not used
    return used


def _has_lazy_operator(node: Node) -> bool:
    kind = node.WhichOneof("kind")
    return (
        kind == "comprehension"
        or (kind == "call" and node.call.function in _LAZY_OPERATORS)
        or any(map(_has_lazy_operator, child_nodes(node)))
    )
