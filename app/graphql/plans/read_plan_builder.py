"""Builder of read plans: the columns and joins of one statement, and the writers of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import get_named_type
from graphql.execution.collect_fields import FieldDetails

from app.graphql.plans.cached_event_types import CachedEventTypes
from app.graphql.plans.plan_steps import NotPlannedError, ReadPlan
from app.graphql.plans.planned_operation import PlannedOperation
from app.graphql.plans.row_writers import RowLayout, RowWriterCompiler
from app.graphql.shared.field_sources import (
    Column,
    ConnectionPart,
    EmbeddedObject,
    EventStatusOf,
    EventTypeReference,
    ForeignRow,
    IsNotNull,
    LatestOf,
    get_backing_table,
    get_strawberry_field,
)
from app.store.tables import OrganizationOwned
from app.store.tables.columns import DriverCodec

MAX_JOIN_DEPTH = 5  # SQLite joins at most 64 tables


class ReadPlanBuilder:
    """Collects the columns of one statement while the row writers are compiled."""

    def __init__(
        self,
        operation: PlannedOperation,
        table: type[OrganizationOwned],
        driver_codec: DriverCodec,
    ) -> None:
        self._operation = operation
        self._driver_codec = driver_codec
        self.layout = RowLayout(table)
        self._templates: list[tuple[RowWriterCompiler, str]] = []
        self._event_type_caches: list[tuple[CachedEventTypes, str]] = []
        self.needs_cursors = False

    def add_writer(self, type_: Any, details: list[FieldDetails]) -> int:
        """Adds a writer for rows, or edges of rows, and returns its index."""
        compiler = RowWriterCompiler(self._driver_codec)
        self._templates.append(
            (compiler, self._object_template(compiler, type_, details, self.layout))
        )
        return len(self._templates) - 1

    def build(self, sort_columns: Sequence[str] = ()) -> ReadPlan:
        """Builds the plan. `sort_columns`: columns that cursors are encoded from."""
        for name in sort_columns or ("id",):
            self.layout.add_column(name)
        writers = tuple(
            compiler.compile_writer(self.layout, template) for compiler, template in self._templates
        )
        positions = {name: position for position, name in enumerate(self.layout.variables)}
        event_types = tuple(
            (cache, positions[variable]) for cache, variable in self._event_type_caches
        )
        sort_key_readers = {
            name: self.layout.create_column_reader(self._driver_codec, name)
            for name in sort_columns
        }
        return ReadPlan(self.layout.projection, writers, event_types, sort_key_readers)

    def _object_template(
        self,
        compiler: RowWriterCompiler,
        type_: Any,
        details: list[FieldDetails],
        layout: RowLayout,
    ) -> str:
        if type_.name == "EventType":
            return self._event_type_template(compiler, EventTypeReference(None), details, layout)
        subfields = self._operation.collect_subfields(type_, details)
        members = [
            f'"{key}":{self._value_template(compiler, type_, subfield_details, layout)}'
            for key, subfield_details in subfields.items()
        ]
        return "{{" + ",".join(members) + "}}"

    def _value_template(
        self,
        compiler: RowWriterCompiler,
        type_: Any,
        details: list[FieldDetails],
        layout: RowLayout,
    ) -> str:
        name = details[0].node.name.value
        if name == "__typename":
            return f'"{type_.name}"'
        source = self._operation.resolve_source(type_, name)
        field = type_.fields[name].type
        named_type = get_named_type(field)
        match source:
            case Column(column):
                return compiler.format_column(layout.add_column(column), field)
            case LatestOf():
                return compiler.format_latest(source, layout)
            case IsNotNull():
                return compiler.format_is_not_null(source, layout)
            case EventStatusOf():
                return compiler.format_event_status(source, layout)
            case ConnectionPart.CURSOR:
                self.needs_cursors = True
                return compiler.format_cursor()
            case ConnectionPart.NODE:
                return self._object_template(compiler, named_type, details, layout)
            case EmbeddedObject(columns):
                variables = [layout.add_column(column_name) for column_name in columns.values()]
                return compiler.format_object(
                    variables,
                    lambda: self._embedded_template(compiler, named_type, details, layout, columns),
                )
            case ForeignRow(id_column):
                if layout.depth == MAX_JOIN_DEPTH:
                    raise NotPlannedError(f"{type_}.{name} too often")
                joined_layout = layout.add_join(id_column, require_table(named_type))
                return compiler.format_object(
                    [joined_layout.add_column("id")],
                    lambda: self._object_template(compiler, named_type, details, joined_layout),
                )
            case EventTypeReference():
                return self._event_type_template(compiler, source, details, layout)
        raise NotPlannedError(f"{type_}.{name}")

    def _embedded_template(
        self,
        compiler: RowWriterCompiler,
        type_: Any,
        details: list[FieldDetails],
        layout: RowLayout,
        columns: Any,
    ) -> str:
        members = []
        for key, subfield_details in self._operation.collect_subfields(type_, details).items():
            name = subfield_details[0].node.name.value
            if name == "__typename":
                members.append(f'"{key}":"{type_.name}"')
                continue
            python_name = get_strawberry_field(type_.fields[name]).python_name
            if python_name not in columns:
                raise NotPlannedError(f"{type_}.{name}")
            self._operation.require_permission(type_, name)
            value = compiler.format_column(
                layout.add_column(columns[python_name]), type_.fields[name].type
            )
            members.append(f'"{key}":{value}')
        return "{{" + ",".join(members) + "}}"

    def _event_type_template(
        self,
        compiler: RowWriterCompiler,
        source: EventTypeReference,
        details: list[FieldDetails],
        layout: RowLayout,
    ) -> str:
        variable = layout.add_column(source.id_column or "id")
        self._event_type_caches.append((self._operation.cache_event_types(details), variable))
        self.layout.has_definitions_version = True
        return compiler.format_event_type(len(self._event_type_caches) - 1, variable)


def require_table(type_: Any) -> type[OrganizationOwned]:
    table = get_backing_table(type_)
    if table is None:
        raise NotPlannedError(str(type_))
    return table
