"""What an operation costs: a shape made of the table of prices once, and counted with variables.

Fields that are executed as one are paid as one. `@skip` and `@include` change nothing: what may be
asked for is what counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)

from app.domain.shared.limits import Limits
from app.graphql.execution.costs import COSTS, ONE, Price

Variables = Mapping[str, Any]
Count = Callable[[Variables], int]


@dataclass(frozen=True)
class Shape:
    """`rows` times: what a row costs itself, and what is asked for below it."""

    rows: Count | None  # 1 where there is none
    own: float = 0
    below: tuple[Shape, ...] = ()

    def cost(self, variables: Variables) -> float:
        rows = 1 if self.rows is None else self.rows(variables)
        return rows * (self.own + sum(each.cost(variables) for each in self.below))


@dataclass(frozen=True)
class OperationCost:
    """Of one operation, at least 1."""

    shapes: tuple[Shape, ...]

    def of(self, variables: Variables) -> int:
        return max(1, ceil(sum(each.cost(variables) for each in self.shapes)))


def cost_of(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    limits: Limits,
) -> OperationCost:
    """Of an operation that is valid."""
    root = schema.get_root_type(operation.operation)
    if root is None:
        return OperationCost(())
    pricing = _Pricing(schema, fragments, limits, _defaults(operation))
    return OperationCost(pricing.shapes(root, [operation.selection_set], is_root=True))


@dataclass(frozen=True)
class _Asked:
    """A field of the answer: all that is selected below it, wherever the document says so."""

    parent: GraphQLNamedType
    node: FieldNode
    below: list[SelectionSetNode]


@dataclass(frozen=True)
class _Pricing:
    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    limits: Limits
    defaults: Mapping[str, ValueNode]

    def shapes(
        self,
        parent: GraphQLNamedType,
        selections: Sequence[SelectionSetNode],
        shown: Mapping[str, Shape] | None = None,
        is_root: bool = False,
    ) -> tuple[Shape, ...]:
        """`shown`: the prices of fields that have the rows of the field above."""
        found = []
        for asked in self._asked(parent, selections):
            field = self.schema.get_field(asked.parent, asked.node.name.value)  # type: ignore[arg-type]
            name = asked.node.name.value
            if field is None or name == "__typename":
                continue
            if shown is not None and name in shown:
                rows = shown[name]
                found.append(Shape(rows.rows, rows.own, self._below(field, asked)))
                continue
            price = COSTS.get(f"{asked.parent.name}.{name}", ONE if is_root else None)
            found += self._priced(price, field, asked)
        return tuple(found)

    def _priced(self, price: Price | None, field: GraphQLField, asked: _Asked) -> list[Shape]:
        if price is None:
            return list(self._below(field, asked))
        rows = self._count(price, asked.node)
        if not price.shown and not price.at_once:
            return [Shape(rows, price.each, self._below(field, asked))]
        each = Shape(rows, 0 if price.at_once else price.each)
        below = self._below(field, asked, dict.fromkeys(price.shown, each))
        if not price.at_once:
            return [Shape(None, 1), *below]
        return [Shape(self._times(price, rows, asked.node), price.each), *below]

    def _below(
        self, field: GraphQLField, asked: _Asked, shown: Mapping[str, Shape] | None = None
    ) -> tuple[Shape, ...]:
        of = get_named_type(field.type)
        if not asked.below or not is_composite_type(of):
            return ()
        return tuple(
            shape for shape in self.shapes(of, asked.below, shown) if shape.own or shape.below
        )

    def _asked(
        self, parent: GraphQLNamedType, selections: Sequence[SelectionSetNode]
    ) -> list[_Asked]:
        """The fields by their names in the answer, put together as the executor does."""
        asked: dict[tuple[str, str], _Asked] = {}
        spread: set[tuple[str, str]] = set()
        waiting = [(parent, each) for each in reversed(selections)]
        while waiting:
            of, selection_set = waiting.pop()
            for each in selection_set.selections:
                if isinstance(each, FieldNode):
                    key = (of.name, (each.alias or each.name).value)
                    same = asked.setdefault(key, _Asked(of, each, []))
                    if each.selection_set is not None:
                        same.below.append(each.selection_set)
                elif isinstance(each, InlineFragmentNode):
                    waiting.append((self._narrowed(of, each), each.selection_set))
                elif (of.name, each.name.value) not in spread:  # type: ignore[attr-defined]
                    spread.add((of.name, each.name.value))  # type: ignore[attr-defined]
                    fragment = self.fragments[each.name.value]  # type: ignore[attr-defined]
                    waiting.append((self._narrowed(of, fragment), fragment.selection_set))
        return list(asked.values())

    def _narrowed(
        self, of: GraphQLNamedType, node: InlineFragmentNode | FragmentDefinitionNode
    ) -> GraphQLNamedType:
        condition = node.type_condition
        if condition is None:
            return of
        return self.schema.get_type(condition.name.value) or of

    def _count(self, price: Price, node: FieldNode) -> Count:
        most = 1_000_000 if price.most is None else getattr(self.limits, price.most)
        return self._argument(price.by, node, price.rows, most)

    def _times(self, price: Price, rows: Count, node: FieldNode) -> Count:
        if price.times is None:
            return rows
        times = self._argument((price.times,), node, 1, self.limits.correlation_depth)
        return lambda variables: rows(variables) * times(variables)

    def _argument(self, names: tuple[str, ...], node: FieldNode, usual: int, most: int) -> Count:
        """The first of the arguments that says a number, or the length of the list it is."""
        given = {each.name.value: each.value for each in node.arguments or ()}
        sizes = [self._size(given[name]) for name in names if name in given]

        def count(variables: Variables) -> int:
            said = (size(variables) for size in sizes)
            found = next((each for each in said if each is not None), usual)
            return max(0, min(found, most))

        return count

    def _size(self, value: ValueNode) -> Callable[[Variables], int | None]:
        if not isinstance(value, VariableNode):
            constant = _constant(value)
            return lambda _: constant
        name = value.name.value
        default = _constant(self.defaults[name]) if name in self.defaults else None
        return lambda variables: _said(variables[name]) if name in variables else default


def _defaults(operation: OperationDefinitionNode) -> dict[str, ValueNode]:
    return {
        each.variable.name.value: each.default_value
        for each in operation.variable_definitions or ()
        if each.default_value is not None
    }


def _constant(value: ValueNode) -> int | None:
    if isinstance(value, NullValueNode):
        return None
    if isinstance(value, IntValueNode):
        return int(value.value[:20])  # thousands of digits are no number that Python reads
    return len(value.values) if isinstance(value, ListValueNode) else 1


def _said(value: Any) -> int | None:
    """None where nothing is said, or what no number is: then the variables do not fit."""
    if isinstance(value, list):
        return len(value)
    if isinstance(value, dict):
        return 1
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(max(-1.0, min(float(value), 1e9)))
