"""Cost of an operation: terms built once from the table of field costs, evaluated with variables.

Fields that are merged for execution are charged once. `@skip` and `@include` are ignored: a field
that may be selected is charged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
from app.graphql.execution.field_costs import ONE_ROW, FieldCost, find_field_cost

Variables = Mapping[str, Any]
CountRows = Callable[[Variables], int]


@dataclass(frozen=True)
class CostTerm:
    """The number of rows times the cost of a row and its children."""

    count_rows: CountRows | None  # None: one row
    row_cost: float = 0
    children: tuple[CostTerm, ...] = ()

    def evaluate(self, variables: Variables) -> float:
        rows = 1 if self.count_rows is None else self.count_rows(variables)
        return rows * (self.row_cost + sum(child.evaluate(variables) for child in self.children))


@dataclass(frozen=True)
class OperationCost:
    """Cost of one operation, at least 1. It is constant if no variable sets a number of rows."""

    terms: tuple[CostTerm, ...]
    is_constant: bool = True

    def calculate(self, variables: Variables) -> int:
        return self._constant_cost if self.is_constant else self._evaluate(variables)

    @cached_property
    def _constant_cost(self) -> int:
        return self._evaluate({})

    def _evaluate(self, variables: Variables) -> int:
        return max(1, ceil(sum(term.evaluate(variables) for term in self.terms)))


def build_operation_cost(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    limits: Limits,
) -> OperationCost:
    """Builds the cost of a valid operation."""
    root = schema.get_root_type(operation.operation)
    if root is None:
        return OperationCost(())
    builder = _CostBuilder(schema, fragments, limits, _default_values(operation))
    terms = builder.build_terms(root, [operation.selection_set], is_root=True)
    return OperationCost(terms, is_constant=not builder.size_variables)


@dataclass(frozen=True)
class _CollectedField:
    """A field of the response, with all selection sets that are merged below it."""

    parent: GraphQLNamedType
    node: FieldNode
    selection_sets: list[SelectionSetNode]


@dataclass(frozen=True)
class _CostBuilder:
    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    limits: Limits
    defaults: Mapping[str, ValueNode]
    size_variables: set[str] = field(default_factory=set)  # those that set a number of rows

    def build_terms(
        self,
        parent: GraphQLNamedType,
        selections: Sequence[SelectionSetNode],
        row_field_terms: Mapping[str, CostTerm] | None = None,
        is_root: bool = False,
    ) -> tuple[CostTerm, ...]:
        """`row_field_terms`: costs of the subfields that contain the rows of the parent field."""
        terms = []
        for collected in self._collect_fields(parent, selections):
            field = self.schema.get_field(collected.parent, collected.node.name.value)  # type: ignore[arg-type]
            name = collected.node.name.value
            if field is None or name == "__typename":
                continue
            if row_field_terms is not None and name in row_field_terms:
                row_term = row_field_terms[name]
                terms.append(
                    CostTerm(
                        row_term.count_rows,
                        row_term.row_cost,
                        self._build_child_terms(field, collected),
                    )
                )
                continue
            field_cost = find_field_cost(collected.parent, name, field)
            if field_cost is None and is_root:
                field_cost = ONE_ROW
            terms += self._build_field_terms(field_cost, field, collected)
        return tuple(terms)

    def _build_field_terms(
        self, field_cost: FieldCost | None, field: GraphQLField, collected: _CollectedField
    ) -> list[CostTerm]:
        if field_cost is None:
            return list(self._build_child_terms(field, collected))
        count_rows = self._row_counter(field_cost, collected.node)
        if not field_cost.row_fields and not field_cost.charges_rows_once:
            return [
                CostTerm(count_rows, field_cost.row_cost, self._build_child_terms(field, collected))
            ]
        row_term = CostTerm(count_rows, 0 if field_cost.charges_rows_once else field_cost.row_cost)
        children = self._build_child_terms(
            field, collected, dict.fromkeys(field_cost.row_fields, row_term)
        )
        if not field_cost.charges_rows_once:
            return [CostTerm(None, 1), *children]
        return [
            CostTerm(
                self._multiplied_counter(field_cost, count_rows, collected.node),
                field_cost.row_cost,
            ),
            *children,
        ]

    def _build_child_terms(
        self,
        field: GraphQLField,
        collected: _CollectedField,
        row_field_terms: Mapping[str, CostTerm] | None = None,
    ) -> tuple[CostTerm, ...]:
        named_type = get_named_type(field.type)
        if not collected.selection_sets or not is_composite_type(named_type):
            return ()
        return tuple(
            term
            for term in self.build_terms(named_type, collected.selection_sets, row_field_terms)
            if term.row_cost or term.children
        )

    def _collect_fields(
        self, parent: GraphQLNamedType, selections: Sequence[SelectionSetNode]
    ) -> list[_CollectedField]:
        """Collects the fields by response key, merged as the executor merges them."""
        collected: dict[tuple[str, str], _CollectedField] = {}
        visited_spreads: set[tuple[str, str]] = set()
        pending = [(parent, selection) for selection in reversed(selections)]
        while pending:
            parent_type, selection_set = pending.pop()
            for selection in selection_set.selections:
                if isinstance(selection, FieldNode):
                    key = (parent_type.name, (selection.alias or selection.name).value)
                    field = collected.setdefault(key, _CollectedField(parent_type, selection, []))
                    if selection.selection_set is not None:
                        field.selection_sets.append(selection.selection_set)
                elif isinstance(selection, InlineFragmentNode):
                    pending.append(
                        (self._condition_type(parent_type, selection), selection.selection_set)
                    )
                elif (parent_type.name, selection.name.value) not in visited_spreads:  # type: ignore[attr-defined]
                    visited_spreads.add((parent_type.name, selection.name.value))  # type: ignore[attr-defined]
                    fragment = self.fragments[selection.name.value]  # type: ignore[attr-defined]
                    pending.append(
                        (self._condition_type(parent_type, fragment), fragment.selection_set)
                    )
        return list(collected.values())

    def _condition_type(
        self, parent: GraphQLNamedType, node: InlineFragmentNode | FragmentDefinitionNode
    ) -> GraphQLNamedType:
        condition = node.type_condition
        if condition is None:
            return parent
        return self.schema.get_type(condition.name.value) or parent

    def _row_counter(self, field_cost: FieldCost, node: FieldNode) -> CountRows:
        max_rows = (
            1_000_000
            if field_cost.limit_name is None
            else getattr(self.limits, field_cost.limit_name)
        )
        return self._argument_counter(
            field_cost.size_arguments, node, field_cost.default_rows, max_rows
        )

    def _multiplied_counter(
        self, field_cost: FieldCost, count_rows: CountRows, node: FieldNode
    ) -> CountRows:
        if field_cost.multiplier_argument is None:
            return count_rows
        multiplier = self._argument_counter(
            (field_cost.multiplier_argument,), node, 1, self.limits.correlation_depth
        )
        return lambda variables: count_rows(variables) * multiplier(variables)

    def _argument_counter(
        self, names: tuple[str, ...], node: FieldNode, default: int, max_count: int
    ) -> CountRows:
        """Counts by the first argument that is a number or a list."""
        values = {argument.name.value: argument.value for argument in node.arguments or ()}
        readers = [self._size_reader(values[name]) for name in names if name in values]

        def count(variables: Variables) -> int:
            sizes = (read_size(variables) for read_size in readers)
            size = next((size for size in sizes if size is not None), default)
            return max(0, min(size, max_count))

        return count

    def _size_reader(self, value: ValueNode) -> Callable[[Variables], int | None]:
        if not isinstance(value, VariableNode):
            size = _literal_size(value)
            return lambda _: size
        name = value.name.value
        self.size_variables.add(name)
        default = _literal_size(self.defaults[name]) if name in self.defaults else None
        return lambda variables: _variable_size(variables[name]) if name in variables else default


def _default_values(operation: OperationDefinitionNode) -> dict[str, ValueNode]:
    return {
        definition.variable.name.value: definition.default_value
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }


def _literal_size(value: ValueNode) -> int | None:
    if isinstance(value, NullValueNode):
        return None
    if isinstance(value, IntValueNode):
        return int(value.value[:20])  # Python rejects numbers with thousands of digits
    return len(value.values) if isinstance(value, ListValueNode) else 1


def _variable_size(value: Any) -> int | None:
    """None if absent or not a number."""
    if isinstance(value, list):
        return len(value)
    if isinstance(value, dict):
        return 1
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(max(-1.0, min(float(value), 1e9)))
