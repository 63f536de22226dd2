"""Writer of mutation payloads: writes many objects in memory as JSON at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from graphql import (
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
)
from graphql.execution.collect_fields import FieldDetails

from app.graphql.plans.plan_steps import NotPlannedError
from app.graphql.plans.planned_operation import PlannedOperation
from app.graphql.plans.read_plan_builder import ReadPlanBuilder, require_table
from app.graphql.shared.field_sources import InMemoryRow, get_field_source, get_strawberry_field

Objects = Sequence[Any]
WriteObjects = Callable[[Objects], Sequence[str]]


class ObjectWriter:
    """Writes the selected fields of objects of one type."""

    def __init__(
        self, operation: PlannedOperation, type_: GraphQLObjectType, details: list[FieldDetails]
    ) -> None:
        """Compiles the writer. Raises NotPlannedError if a selected field is not supported."""
        self._operation = operation
        self._unsupported_lists: list[Callable[[Any], Any]] = []
        self._member_writers: list[WriteObjects] = []
        members = [
            f'"{key}":{self._member_template(type_, subfield_details)}'
            for key, subfield_details in operation.collect_subfields(type_, details).items()
        ]
        self._template = "{" + ",".join(members) + "}"  # GraphQL names contain no %

    def write_objects(self, objects: Objects) -> list[str]:
        """Returns the JSON of each object. Raises NotPlannedError on user errors and warnings."""
        for get_list in self._unsupported_lists:
            if any(map(get_list, objects)):
                raise NotPlannedError("user errors and warnings")
        template = self._template
        if not self._member_writers:
            return [template] * len(objects)
        columns = [write(objects) for write in self._member_writers]
        return [template % values for values in zip(*columns, strict=True)]

    def _member_template(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> str:
        name = details[0].node.name.value
        if name == "__typename":
            return f'"{type_.name}"'
        field = type_.fields[name]
        named_type, strawberry_field = get_named_type(field.type), get_strawberry_field(field)
        attribute = attrgetter(strawberry_field.python_name)
        if isinstance(source := get_field_source(type_, name), InMemoryRow):
            self._member_writers.append(
                self._create_row_writer(attrgetter(source.attribute), named_type, details)
            )
        elif strawberry_field.base_resolver is not None:
            raise NotPlannedError(f"{type_}.{name}")
        elif str(field.type) == "Boolean!":
            self._member_writers.append(
                lambda objects: [("false", "true")[attribute(item)] for item in objects]
            )
        elif str(field.type) == "Int!":
            self._member_writers.append(lambda objects: [str(attribute(item)) for item in objects])
        elif isinstance(named_type, GraphQLInterfaceType):
            self._unsupported_lists.append(attribute)
            return "[]"
        elif isinstance(get_nullable_type(field.type), GraphQLList):
            write_items = ObjectWriter(self._operation, named_type, details).write_objects
            self._member_writers.append(
                lambda objects: [f"[{','.join(write_items(attribute(item)))}]" for item in objects]
            )
        else:
            raise NotPlannedError(f"{type_}.{name}")
        return "%s"

    def _create_row_writer(
        self, get_row: Callable[[Any], Any], type_: GraphQLObjectType, details: list[FieldDetails]
    ) -> WriteObjects:
        """Creates a writer of rows in memory. Raises NotPlannedError if they refer to others."""
        builder = ReadPlanBuilder(self._operation, require_table(type_))
        builder.add_writer(type_, details)
        read_plan = builder.build()
        if read_plan.event_types or read_plan.projection.joins:
            raise NotPlannedError(f"references of a new {type_}")
        read_columns, [write_rows] = (
            attrgetter("id", *read_plan.projection.columns),
            read_plan.writers,
        )

        def write_objects(objects: Objects) -> Sequence[str]:
            rows = [get_row(item) for item in objects]
            row_texts = iter(
                write_rows([read_columns(row)[1:] for row in rows if row is not None], (), ())
            )
            return ["null" if row is None else next(row_texts) for row in rows]

        return write_objects
