"""An operation being planned, for one set of values of the variables in `@skip` and `@include`."""

from __future__ import annotations

from typing import Any

from graphql import (
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues

from app.domain.access.caller import Permission
from app.graphql.plans.cached_event_types import CachedEventTypes
from app.graphql.plans.plan_steps import NotPlannedError, collect_variables
from app.graphql.shared.field_sources import (
    Column,
    DefinitionField,
    EventTypeReference,
    get_field_source,
)
from app.graphql.shared.permissions import REQUIRED_PERMISSIONS
from app.store.tables.columns import DriverCodec

FieldGroups = dict[str, list[FieldDetails]]


class PlannedOperation:
    """Collects fields, and the permissions of each planned field in `required_permissions`."""

    def __init__(
        self,
        schema: GraphQLSchema,
        driver_codec: DriverCodec,
        node: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        self.schema = schema
        self.driver_codec = driver_codec
        self.required_permissions: set[frozenset[Permission]] = set()
        self._node = node
        self._fragments = {
            name: FragmentDetails(definition) for name, definition in fragments.items()
        }
        self._variables = variables

    @property
    def type(self) -> OperationType:
        return self._node.operation

    @property
    def root_type(self) -> GraphQLObjectType:
        root = self.schema.get_root_type(self._node.operation)
        if root is None:
            raise NotPlannedError(f"no type of a {self._node.operation.value}")
        return root

    def collect_root_fields(self) -> FieldGroups:
        return collect_fields(
            self.schema, self._fragments, self._variables, self.root_type, self._node
        ).grouped_field_set

    def collect_subfields(self, type_: Any, details: list[FieldDetails]) -> FieldGroups:
        return collect_subfields(
            self.schema, self._fragments, self._variables, self._node, type_, details
        ).grouped_field_set

    def resolve_source(self, parent: GraphQLObjectType, name: str) -> Any:
        """Returns the source of a field and requires its permission. Raises NotPlannedError."""
        source = None if name.startswith("__") else get_field_source(parent, name)
        if source is None:
            raise NotPlannedError(f"{parent.name}.{name}")
        self.require_permission(parent, name)
        return source

    def require_permission(self, parent: GraphQLObjectType, name: str) -> None:
        """Adds the permission of a field to those of the plan."""
        if permissions := REQUIRED_PERMISSIONS.get(f"{parent.name}.{name}"):
            self.required_permissions.add(permissions)

    def cache_event_types(self, details: list[FieldDetails]) -> CachedEventTypes:
        """Creates the cache of the event types selected here. Raises NotPlannedError."""
        event_type: Any = self.schema.type_map["EventType"]
        self._check_definition_fields(event_type, details)
        fragments = tuple(item.definition for item in self._fragments.values())
        nodes = tuple(item.node for item in details)
        return CachedEventTypes(self.schema, self._node, fragments, nodes)

    def _check_definition_fields(self, type_: Any, details: list[FieldDetails]) -> None:
        """Checks that all fields depend only on the definitions of the organization.

        Raises NotPlannedError otherwise.
        """
        for subfield_details in self.collect_subfields(type_, details).values():
            node = subfield_details[0].node
            name = node.name.value
            if name == "__typename":
                continue
            source = self.resolve_source(type_, name)
            if any(collect_variables(argument) for argument in node.arguments or ()):
                raise NotPlannedError(f"{type_}.{name} with variables")
            if not isinstance(source, Column | DefinitionField | EventTypeReference):
                raise NotPlannedError(f"{type_}.{name}")
            named_type = get_named_type(type_.fields[name].type)
            if isinstance(named_type, GraphQLObjectType):
                self._check_definition_fields(named_type, subfield_details)
