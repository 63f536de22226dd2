"""Planner of queries: which rows each root field reads, and how they are written.

A field without a declared source raises NotPlannedError: graphql-core executes the operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from graphql import GraphQLObjectType, get_named_type, is_leaf_type
from graphql.execution.collect_fields import FieldDetails

from app.graphql.plans.plan_steps import (
    ComputedPlan,
    FieldArguments,
    ListPlan,
    NotPlannedError,
    QueryPlan,
    RowPlan,
    SelectedField,
)
from app.graphql.plans.planned_operation import PlannedOperation
from app.graphql.plans.read_plan_builder import ReadPlanBuilder, require_table
from app.graphql.shared.field_sources import (
    COUNT_NAMES,
    ComputedField,
    ConnectionPart,
    ListSource,
    LookupSource,
    get_field_source,
    get_strawberry_field,
)


class Planner:
    def __init__(self, operation: PlannedOperation) -> None:
        self._operation = operation

    def build_plan(self) -> QueryPlan:
        """Plans the query. Raises NotPlannedError if a field is not supported."""
        query = self._operation.schema.query_type
        if query is None:
            raise NotPlannedError("no queries")
        root_fields = [
            self._plan_field(query, key, details)
            for key, details in self._operation.collect_root_fields(query).items()
        ]
        return QueryPlan(tuple(root_fields), frozenset(self._operation.required_permissions))

    def _plan_field(
        self, parent: GraphQLObjectType, key: str, details: list[FieldDetails]
    ) -> tuple[str, Any]:
        name = details[0].node.name.value
        if name == "__typename":
            return key, f'"{parent.name}"'
        source = self._operation.resolve_source(parent, name)
        field = parent.fields[name]
        arguments = FieldArguments(self._operation.strawberry_schema, field, details[0].node)
        type_ = get_named_type(field.type)
        match source:
            case ListSource():
                return key, self._plan_list(source, arguments, type_, details)
            case LookupSource():
                return key, self._plan_row(source, arguments, type_, details)
            case ComputedField():
                return key, self._plan_computed(source, arguments, type_, details)
        raise NotPlannedError(f"{parent}.{name}")

    def _plan_list(
        self, source: ListSource, arguments: FieldArguments, type_: Any, details: list[FieldDetails]
    ) -> ListPlan:
        node_type = _find_node_type(type_)
        builder = ReadPlanBuilder(self._operation, require_table(node_type))
        selected_fields = tuple(self._select_list_fields(type_, details, builder, node_type))
        sources = {selected_field.source for selected_field in _flatten_fields(selected_fields)}
        sort_columns: tuple[str, ...] = ()
        needs_every_cursor = builder.needs_cursors
        if needs_every_cursor or sources & {ConnectionPart.START_CURSOR, ConnectionPart.END_CURSOR}:
            sort_columns = source.reader.sort_columns
        counts = tuple(name for part, name in COUNT_NAMES.items() if part in sources)
        return ListPlan(
            source,
            arguments,
            builder.build(sort_columns),
            selected_fields,
            counts,
            needs_every_cursor,
        )

    def _select_list_fields(
        self, type_: Any, details: list[FieldDetails], builder: ReadPlanBuilder, node_type: Any
    ) -> Iterator[SelectedField]:
        for key, subfield_details in self._operation.collect_subfields(type_, details).items():
            name = subfield_details[0].node.name.value
            if name == "__typename":
                yield SelectedField(key, f'"{type_.name}"')
                continue
            source = self._operation.resolve_source(type_, name)
            field_type = get_named_type(type_.fields[name].type)
            if source is ConnectionPart.NODES:
                yield SelectedField(
                    key, source, writer_index=builder.add_writer(node_type, subfield_details)
                )
            elif source is ConnectionPart.EDGES:
                yield SelectedField(
                    key, source, writer_index=builder.add_writer(field_type, subfield_details)
                )
            elif source is ConnectionPart.PAGE_INFO:
                yield SelectedField(
                    key,
                    source,
                    tuple(
                        self._select_list_fields(field_type, subfield_details, builder, node_type)
                    ),
                )
            elif isinstance(source, ConnectionPart):
                yield SelectedField(key, source)
            else:
                raise NotPlannedError(f"{type_}.{name}")

    def _plan_row(
        self,
        source: LookupSource,
        arguments: FieldArguments,
        type_: Any,
        details: list[FieldDetails],
    ) -> RowPlan:
        builder = ReadPlanBuilder(self._operation, require_table(type_))
        builder.add_writer(type_, details)
        return RowPlan(source, arguments, builder.build())

    def _plan_computed(
        self,
        source: ComputedField,
        arguments: FieldArguments,
        type_: Any,
        details: list[FieldDetails],
    ) -> ComputedPlan:
        fields = []
        if is_leaf_type(type_):
            return ComputedPlan(source, arguments, (), type_)
        for key, subfield_details in self._operation.collect_subfields(type_, details).items():
            name = subfield_details[0].node.name.value
            field = None if name == "__typename" else type_.fields[name]
            if field is None:
                fields.append((key, f'"{type_.name}"'))
            elif (
                is_leaf_type(get_named_type(field.type))
                and not get_strawberry_field(field).base_resolver
            ):
                self._operation.require_permission(type_, name)
                fields.append((key, field))
            else:
                fields.append(self._plan_field(type_, key, subfield_details))
        return ComputedPlan(source, arguments, tuple(fields), None)


def _find_node_type(type_: Any) -> Any:
    """Returns the type of the list's `nodes`."""
    for name, field in type_.fields.items():
        if get_field_source(type_, name) is ConnectionPart.NODES:
            return get_named_type(field.type)
    raise NotPlannedError(str(type_))


def _flatten_fields(selected_fields: Sequence[SelectedField]) -> Iterator[SelectedField]:
    for selected_field in selected_fields:
        yield selected_field
        yield from _flatten_fields(selected_field.subfields)
