"""Finds the constant parts of an expression that can never be evaluated, such as `duration("1d")`.

A part is constant if it uses neither the event nor the time nor the variable of an outer macro.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

from app.domain.rules.expression_problems import strip_status_code
from app.domain.rules.expression_trees import ExpressionTree, Node, child_nodes, literal_string
from app.domain.shared.messages import quote_value

VARIABLES = frozenset({"event", "old", "now"})
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
    """Searches a tree. `evaluate` returns the error of a constant node, or None."""

    tree: ExpressionTree
    evaluate: Callable[[Node], str | None]

    def find_errors(self) -> Iterator[tuple[Node, str]]:
        """Yields the innermost constant nodes that cannot be evaluated, with their errors."""
        names = {
            name
            for node in self.tree.iterate_nodes()
            if node.WhichOneof("kind") == "comprehension"
            for name in (node.comprehension.iter_var, node.comprehension.accu_var)
        }
        constants: dict[int, bool] = {}
        _find_constants(self.tree.root, VARIABLES | names, constants)
        yield from self._search(self.tree.root, constants)

    def _search(self, node: Node, constants: dict[int, bool]) -> Iterator[tuple[Node, str]]:
        children = child_nodes(node)
        is_constant = constants[node.id] and bool(children)
        error = self.evaluate(node) if is_constant else None
        if is_constant and error is None and not _has_lazy_operator(node):
            return
        inner_errors = [each for child in children for each in self._search(child, constants)]
        yield from inner_errors
        if inner_errors:
            return
        if error is None and not is_constant and node.WhichOneof("kind") == "call":
            error = self._find_division_error(node, constants) or self._find_format_error(node)
        if error is not None:
            yield node, error

    def _find_division_error(self, node: Node, constants: dict[int, bool]) -> str | None:
        """Returns an error for an integer that is divided by a constant zero."""
        if node.call.function not in _DIVISIONS:
            return None
        divisor = child_nodes(node)[1]
        if not constants[divisor.id]:
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
