"""One operation as its plan sees it, for one set of values of what `@skip` and `@include` ask."""

from __future__ import annotations

from typing import Any, cast

from graphql import (
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from strawberry.schema.base import BaseSchema

from app.domain.access.caller import Permission
from app.graphql.plans.cached_event_types import SharedPart
from app.graphql.plans.steps import NotPlannedError, variables_in
from app.graphql.shared.declared import Column, Defined, Shared, declared
from app.graphql.shared.permissions import NEEDED
from app.store.tables.columns import Raw

Fields = dict[str, list[FieldDetails]]


class Operation:
    """Every field that a plan takes from it leaves its permission in `needed`."""

    def __init__(
        self,
        schema: BaseSchema,
        raw: Raw,
        node: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        self.strawberry = schema
        self.schema: GraphQLSchema = cast("Any", schema)._schema
        self.raw = raw
        self.needed: set[frozenset[Permission]] = set()
        self._node = node
        self._fragments = {name: FragmentDetails(each) for name, each in fragments.items()}
        self._variables = variables

    def roots(self, query: GraphQLObjectType) -> Fields:
        return collect_fields(
            self.schema, self._fragments, self._variables, query, self._node
        ).grouped_field_set

    def below(self, type_: Any, details: list[FieldDetails]) -> Fields:
        return collect_subfields(
            self.schema, self._fragments, self._variables, self._node, type_, details
        ).grouped_field_set

    def declared(self, parent: GraphQLObjectType, name: str) -> Any:
        """What the field reads; its permission becomes the plan's. NotPlannedError."""
        what = None if name.startswith("__") else declared(parent, name)
        if what is None:
            raise NotPlannedError(f"{parent.name}.{name}")
        self.need(parent, name)
        return what

    def need(self, parent: GraphQLObjectType, name: str) -> None:
        """The permission of a field, whatever it reads, becomes the plan's."""
        if (needed := NEEDED.get(f"{parent.name}.{name}")) is not None:
            self.needed.add(needed)

    def share(self, details: list[FieldDetails]) -> SharedPart:
        """What is asked of event types here. NotPlannedError."""
        event_type: Any = self.schema.type_map["EventType"]
        self._defined(event_type, details)
        others = tuple(each.definition for each in self._fragments.values())
        nodes = tuple(each.node for each in details)
        return SharedPart(self.schema, self._node, others, nodes)

    def _defined(self, type_: Any, details: list[FieldDetails]) -> None:
        """NotPlannedError for what follows from more than the organization's definitions."""
        for inner in self.below(type_, details).values():
            node = inner[0].node
            name = node.name.value
            if name == "__typename":
                continue
            what = self.declared(type_, name)
            if any(variables_in(each) for each in node.arguments or ()):
                raise NotPlannedError(f"{type_}.{name} with variables")
            if not isinstance(what, Column | Defined | Shared):
                raise NotPlannedError(f"{type_}.{name}")
            within = get_named_type(type_.fields[name].type)
            if isinstance(within, GraphQLObjectType):
                self._defined(within, inner)
