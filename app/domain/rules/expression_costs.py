"""Estimates of the maximum cost of an expression, made before it is evaluated.

CEL limits only the iterations of an evaluation. A regular expression over a long text, or a value
that each of thirty macros doubles, could take seconds and gigabytes. A step is about the time that
a regular expression takes for one character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from app.domain.event_types.fields import NUMERIC_KINDS, FieldKind
from app.domain.rules.expression_messages import (
    EVENT_ATTRIBUTES,
    EVENT_MESSAGE,
    FIELDS_MESSAGE,
    TypeFields,
)
from app.domain.rules.expression_trees import ExpressionTree, Node, child_nodes, literal_string
from app.domain.shared.limits import Limits

# The iteration budget of CEL, which no macro exceeds.
MAX_ITERATIONS = 10_000
_STEPS_PER_VISIT = 4
_STEPS_PER_VALUE = 8
_STEPS_PER_COPY = 4


@dataclass(frozen=True)
class ValueSize:
    """Maximum size of a value: the number of values in it, including itself, and of characters."""

    values: int = 1
    characters: int = 0

    def __add__(self, other: ValueSize) -> ValueSize:
        return ValueSize(self.values + other.values, self.characters + other.characters)

    def __or__(self, other: ValueSize) -> ValueSize:
        characters = max(self.characters, other.characters)
        return ValueSize(max(self.values, other.values), characters)

    def multiply(self, count: int) -> ValueSize:
        return ValueSize(self.values * count, self.characters * count)

    @property
    def steps(self) -> int:
        return self.values * _STEPS_PER_VALUE + self.characters


_SCALAR = ValueSize()


def max_value_sizes(type_fields: TypeFields, limits: Limits) -> dict[str, dict[str, ValueSize]]:
    """Returns the maximum sizes of an event's attributes and fields, by message type."""
    name = ValueSize(1, limits.name_characters)
    all_fields = ValueSize(limits.fields_bytes // 2, limits.fields_bytes)
    event = dict.fromkeys(EVENT_ATTRIBUTES, name) | {
        "summary": ValueSize(1, limits.summary_characters),
        "content": ValueSize(1, limits.content_characters),
        "tags": ValueSize(
            1 + limits.tags_per_event, limits.tags_per_event * limits.name_characters
        ),
        "entity": ValueSize(3, 2 * limits.name_characters),
        "fields": all_fields,
    }
    fields = {}
    for field in type_fields or ():
        if field.kind in NUMERIC_KINDS or field.kind in (FieldKind.BOOLEAN, FieldKind.DATETIME):
            fields[field.name] = _SCALAR
        elif field.kind is FieldKind.MULTI_SELECT:
            options = field.options or ()
            fields[field.name] = ValueSize(1 + len(options), sum(map(len, options)))
        else:
            fields[field.name] = ValueSize(1, limits.fields_bytes)
    return {EVENT_MESSAGE: event, FIELDS_MESSAGE: fields}


def estimate_cost(tree: ExpressionTree, type_fields: TypeFields, limits: Limits) -> int:
    """Returns the maximum number of steps that the expression takes."""
    sizes = max_value_sizes(type_fields, limits)
    event = reduce(ValueSize.__add__, sizes[EVENT_MESSAGE].values())
    _, steps = _CostEstimator(tree, sizes).estimate(tree.root, {"event": event, "old": event})
    return steps


def estimate_mapping_cost(tree: ExpressionTree, limits: Limits) -> int:
    """Returns the maximum number of steps that an expression of a mapping takes."""
    size = ValueSize(limits.fields_bytes // 2, limits.fields_bytes)
    _, steps = _CostEstimator(tree, {}).estimate(tree.root, {"body": size, "headers": size})
    return steps


def compute_pattern_size(pattern: str) -> int:
    """Returns the size of a regular expression with its counted repetitions expanded."""
    sizes, last = [0], 0
    for match in _PATTERN_TOKEN.finditer(pattern):
        symbol = match.group()
        if symbol == "(":
            sizes.append(0)
            last = 0
        elif symbol == ")" and len(sizes) > 1:
            last = sizes.pop() + 1
            sizes[-1] += last
        elif minimum := match.group("minimum"):
            repetitions = max(int(minimum), int(match.group("maximum") or 0))
            sizes[-1] += last * max(repetitions - 1, 0)
            last *= max(repetitions, 1)
        else:
            # A class, an escape or a character of several bytes takes several instructions.
            last = 1 if len(symbol) == 1 and symbol.isascii() and symbol != "." else 8 + len(symbol)
            sizes[-1] += last
    return 1 + sum(sizes)


_PATTERN_TOKEN = re.compile(
    r"\\.|\[(?:\\.|[^\]\\])*\]|\{(?P<minimum>[0-9]{1,9})(?:,(?P<maximum>[0-9]{0,9}))?\}|.",
    re.DOTALL,
)
_SIZE_INDEPENDENT_FUNCTIONS = frozenset(
    {"_&&_", "_||_", "!_", "_?_:_", "_[_]", "dyn", "@not_strictly_false"}
    | {"_[?_]", "optional.of", "optional.ofNonZeroValue", "hasValue", "value"}
)
_SAME_SIZE_FUNCTIONS = frozenset({"lowerAscii", "upperAscii", "trim", "reverse", "substring"})
_MAX_NUMBER_CHARACTERS = 320  # "%f" of the largest double, without its decimal places
_MAX_DECIMAL_PLACES = 1_000  # CEL's limit for the precision in a format
_SHORTER_OPERAND_FUNCTIONS = frozenset(
    {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "startsWith", "endsWith"}
)


_STRING_FUNCTIONS = _SAME_SIZE_FUNCTIONS | {
    "charAt",
    "split",
    "join",
    "replace",
    "strings.quote",
    "format",
}


def _search_cost(arguments: list[ValueSize]) -> int:
    """Returns the steps of a search for a string in another one."""
    return arguments[0].characters * (1 + arguments[1].characters // 1024)


@dataclass(frozen=True)
class _CostEstimator:
    tree: ExpressionTree
    sizes: Mapping[str, Mapping[str, ValueSize]]

    def estimate(self, node: Node, variables: Mapping[str, ValueSize]) -> tuple[ValueSize, int]:
        """Returns the maximum size of the node's value, and the steps to compute it."""
        match node.WhichOneof("kind"):
            case "const":
                text = node.const.text or node.const.bytes
                return ValueSize(1, len(text)), _STEPS_PER_VISIT
            case "ident":
                return variables.get(node.ident.name, _SCALAR), _STEPS_PER_VISIT
            case "comprehension":
                return self._estimate_comprehension(node.comprehension, variables)
        operands = [self.estimate(child, variables) for child in child_nodes(node)]
        steps = _STEPS_PER_VISIT + sum(cost for _, cost in operands)
        sizes = [size for size, _ in operands]
        match node.WhichOneof("kind"):
            case "select":
                return self._field_size(node, sizes[0]), steps
            case "call":
                result, cost = self._estimate_call(node, sizes)
                return _SCALAR if self.tree.is_scalar(node) else result, steps + cost
            case _:
                result = reduce(ValueSize.__add__, sizes, _SCALAR)
                return result, steps + _STEPS_PER_VALUE * len(sizes)

    def _field_size(self, node: Node, operand: ValueSize) -> ValueSize:
        if node.select.test_only or self.tree.is_scalar(node):
            return _SCALAR
        field_sizes = self.sizes.get(self.tree.message_type(node.select.operand), {})
        return field_sizes.get(node.select.field, operand)

    def _estimate_call(self, node: Node, arguments: list[ValueSize]) -> tuple[ValueSize, int]:
        function = node.call.function
        total = reduce(ValueSize.__add__, arguments, _SCALAR)
        if function == "_?_:_":
            return arguments[1] | arguments[2], 0
        if function in ("orValue", "or"):
            return arguments[0] | arguments[1], 0
        if function == "_?._":
            operand, name = node.call.args
            field_sizes = self.sizes.get(self.tree.message_type(operand), {})
            return field_sizes.get(literal_string(name) or "", arguments[0]), 0
        if function in _SIZE_INDEPENDENT_FUNCTIONS:
            return arguments[0], 0
        if function in _SHORTER_OPERAND_FUNCTIONS:
            return _SCALAR, 2 * min(arguments[0].steps, arguments[1].steps)
        if function == "matches":
            return _SCALAR, arguments[0].characters * compute_pattern_size(
                literal_string(child_nodes(node)[1]) or ""
            )
        if function in ("contains", "indexOf", "lastIndexOf"):
            return _SCALAR, _search_cost(arguments)
        if function in _STRING_FUNCTIONS:
            return self._estimate_string_function(node, arguments, total)
        if function in ("string", "bytes"):
            characters = total.characters * (
                4 if function == "bytes" else 1
            )  # as UTF-8; 32 for a number
            return ValueSize(1, 32 + characters), total.characters
        if function in ("size", "int", "uint", "double", "timestamp", "duration", "type"):
            return _SCALAR, total.characters
        return total, total.steps

    def _estimate_string_function(
        self, node: Node, arguments: list[ValueSize], total: ValueSize
    ) -> tuple[ValueSize, int]:
        """A search for an empty string succeeds between all characters."""
        function, characters = node.call.function, arguments[0].characters
        match function:
            case "charAt":
                return ValueSize(1, 1), characters
            case "split":
                pieces = ValueSize(characters + 2, characters)
                return pieces, 2 * pieces.steps + _search_cost(arguments)
            case "join":
                separators = arguments[0].values * sum(each.characters for each in arguments[1:])
                result = ValueSize(1, characters + separators)
                return result, total.steps + result.characters
            case "replace":
                added = (characters + 1) * arguments[2].characters
                result = ValueSize(1, characters + added)
                return result, result.characters + _search_cost(arguments)
            case "strings.quote":
                return ValueSize(1, 2 * characters + 2), 2 * characters
            case "format":
                clauses = (literal_string(child_nodes(node)[0]) or "").count("%")
                numbers = _MAX_NUMBER_CHARACTERS * total.values + _MAX_DECIMAL_PLACES * clauses
                result = ValueSize(1, 2 * total.characters + numbers)
                return result, result.characters + total.steps
            case _:  # _SAME_SIZE_FUNCTIONS
                return ValueSize(1, characters), characters

    def _estimate_comprehension(
        self, loop: Node, variables: Mapping[str, ValueSize]
    ) -> tuple[ValueSize, int]:
        """Assumes one element as large as the whole list and all others of minimum size.

        That is the worst case, because steps grow at least linearly with the size of an element.
        """
        elements, steps = self.estimate(loop.iter_range, variables)
        accumulator, initial_cost = self.estimate(loop.accu_init, variables)
        steps += initial_cost
        if not self.tree.is_scalar(loop.accu_init):
            # For every element, map() and filter() copy the list that they have built so far.
            steps += _STEPS_PER_COPY * min(elements.values, MAX_ITERATIONS) ** 2
        for element, count in ((elements, 1), (_SCALAR, min(elements.values, MAX_ITERATIONS))):
            loop_variables = {**variables, loop.iter_var: element, loop.accu_var: _SCALAR}
            _, condition_cost = self.estimate(loop.condition, loop_variables)
            increment, step_cost = self.estimate(loop.step, loop_variables)
            accumulator += increment.multiply(count)
            steps += (condition_cost + step_cost) * count
        result, result_cost = self.estimate(loop.result, {**variables, loop.accu_var: accumulator})
        return result, steps + result_cost
