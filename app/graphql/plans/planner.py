"""Planner of operations: which rows and attributes each field reads, and how they are written.

If a field is not supported, NotPlannedError is raised: graphql-core executes the operation.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    OperationType,
    get_named_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetails
from strawberry.types.fields.resolver import StrawberryResolver

from app.domain.access.caller import Permission
from app.graphql.plans.input_readers import FieldArguments, InputReaders
from app.graphql.plans.plan_steps import (
    NotPlannedError,
    SelectedField,
    WriteValues,
)
from app.graphql.plans.planned_operation import FieldGroups, PlannedOperation
from app.graphql.plans.read_plan_builder import ReadPlanBuilder, require_table
from app.graphql.plans.response_writer import ListPlan, RowPlan, create_reading_writer
from app.graphql.plans.value_writers import (
    create_abstract_writer,
    create_attribute_writer,
    create_leaf_writer,
    create_list_writer,
    create_memory_row_writer,
    create_nullable_writer,
    create_object_writer,
    create_resolver_writer,
)
from app.graphql.shared.context import Context, ContextInfo
from app.graphql.shared.field_sources import (
    COUNT_NAMES,
    ConnectionPart,
    FirstValue,
    InMemoryRow,
    ListSource,
    LookupSource,
    get_field_source,
    get_first_value,
    get_in_memory_source,
    get_python_type,
    get_strawberry_field,
)
from app.graphql.types.user_error import catch_argument_problems
from app.store.tables.columns import DriverCodec

CallResolver = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class QueryPlan:
    """Writes the data of a query."""

    write_data: WriteValues
    required_permissions: frozenset[frozenset[Permission]]


@dataclass(frozen=True)
class ResolverPlan:
    """Calls the resolver of the only root field of a mutation or subscription.

    `write_result` writes the payload of the mutation, or the items of the subscription.
    """

    response_key: str
    arguments: FieldArguments
    call_resolver: CallResolver
    write_result: WriteValues
    required_permissions: frozenset[frozenset[Permission]]


Plan = QueryPlan | ResolverPlan


class Planner:
    def __init__(self, operation: PlannedOperation, input_readers: InputReaders) -> None:
        self._operation = operation
        self._input_readers = input_readers

    def build_plan(self) -> Plan:
        """Plans the operation. Raises NotPlannedError if a field is not supported."""
        root = self._operation.root_type
        root_fields = self._operation.collect_root_fields()
        if self._operation.type is not OperationType.QUERY:
            return self._plan_root_field(root, root_fields)
        write_data = self._plan_object(root, root_fields)
        return QueryPlan(write_data, frozenset(self._operation.required_permissions))

    def _plan_root_field(self, root: GraphQLObjectType, root_fields: FieldGroups) -> ResolverPlan:
        if len(root_fields) != 1:
            raise NotPlannedError("several root fields")
        [(response_key, details)] = root_fields.items()
        node = details[0].node
        name = node.name.value
        if name.startswith("__"):
            raise NotPlannedError(name)
        self._operation.require_permission(root, name)
        field = root.fields[name]
        resolver = get_strawberry_field(field).base_resolver
        if resolver is None:
            raise NotPlannedError(f"{root}.{name}")
        call_resolver = _create_resolver_call(resolver)
        if self._operation.type is OperationType.MUTATION:
            call_resolver = catch_argument_problems(call_resolver, get_named_type(field.type))
        return ResolverPlan(
            response_key,
            FieldArguments(self._input_readers, field, node),
            call_resolver,
            self._plan_value(field.type, details),
            frozenset(self._operation.required_permissions),
        )

    def _plan_object(self, type_: GraphQLObjectType, fields: FieldGroups) -> WriteValues:
        return create_object_writer(
            {key: self._plan_field(type_, details) for key, details in fields.items()},
            [key for key, [item, *_] in fields.items() if get_first_value(type_, item.node)],
        )

    def _plan_field(
        self, parent: GraphQLObjectType, details: list[FieldDetails]
    ) -> str | WriteValues:
        """Returns the JSON of the field, or its writer."""
        node = details[0].node
        name = node.name.value
        if name == "__typename":
            return f'"{parent.name}"'
        if name.startswith("__"):
            raise NotPlannedError(name)
        self._operation.require_permission(parent, name)
        field = parent.fields[name]
        strawberry_field, type_ = get_strawberry_field(field), get_named_type(field.type)
        arguments = FieldArguments(self._input_readers, field, node)
        source, resolver = get_in_memory_source(parent, name), strawberry_field.base_resolver
        match source:
            case ListSource():
                return create_reading_writer(self._plan_list(source, arguments, type_, details))
            case LookupSource():
                return create_reading_writer(self._plan_row(source, arguments, type_, details))
            case InMemoryRow(attribute):
                with contextlib.suppress(NotPlannedError):  # then it is written as an object
                    write_rows = self._plan_row_in_memory(type_, details)
                    return create_attribute_writer(attribute, write_rows)
        write_values = self._plan_value(field.type, details)
        if isinstance(source, FirstValue):
            return create_resolver_writer(source.fetch, arguments, write_values)
        if resolver is None:
            return create_attribute_writer(strawberry_field.python_name, write_values)
        if source is None:
            raise NotPlannedError(f"{parent}.{name}")
        return create_resolver_writer(_create_resolver_call(resolver), arguments, write_values)

    def _plan_value(self, type_: Any, details: list[FieldDetails]) -> WriteValues:
        """Returns the writer of values in memory."""
        if isinstance(type_, GraphQLNonNull):
            return self._plan_present_value(type_.of_type, details)
        return create_nullable_writer(self._plan_present_value(type_, details))

    def _plan_present_value(self, type_: Any, details: list[FieldDetails]) -> WriteValues:
        if isinstance(type_, GraphQLList):
            return create_list_writer(self._plan_value(type_.of_type, details))
        if is_leaf_type(type_):
            return create_leaf_writer(type_)
        if isinstance(type_, GraphQLObjectType):
            return self._plan_object(type_, self._operation.collect_subfields(type_, details))
        return create_abstract_writer(
            {
                get_python_type(possible_type): self._plan_present_value(possible_type, details)
                for possible_type in self._operation.schema.get_possible_types(type_)
            }
        )

    def _plan_row_in_memory(
        self, type_: GraphQLObjectType, details: list[FieldDetails]
    ) -> WriteValues:
        builder = ReadPlanBuilder(self._operation, require_table(type_), DriverCodec(None))
        builder.add_writer(type_, details)
        read_plan = builder.build()
        if read_plan.projection.joins:
            raise NotPlannedError(f"references of a new {type_}")
        return create_nullable_writer(create_memory_row_writer(read_plan))

    def _plan_list(
        self, source: ListSource, arguments: FieldArguments, type_: Any, details: list[FieldDetails]
    ) -> ListPlan:
        node_type = _find_node_type(type_)
        builder = self._create_builder(node_type)
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
        builder = self._create_builder(type_)
        builder.add_writer(type_, details)
        return RowPlan(source, arguments, builder.build())

    def _create_builder(self, type_: Any) -> ReadPlanBuilder:
        return ReadPlanBuilder(self._operation, require_table(type_), self._operation.driver_codec)


def _create_resolver_call(resolver: StrawberryResolver[Any]) -> CallResolver:
    """Creates a function that calls a resolver, which may use only the context of its `info`."""
    has_parent = (resolver.self_parameter or resolver.parent_parameter) is not None
    info_name = None if resolver.info_parameter is None else resolver.info_parameter.name

    async def call(parent: Any, context: Context, **arguments: Any) -> Any:
        if info_name is not None:
            arguments[info_name] = ContextInfo(context)
        parents = (parent,) if has_parent else ()  # always the first parameter
        result = resolver(*parents, **arguments)
        return await result if inspect.isawaitable(result) else result

    return call


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
