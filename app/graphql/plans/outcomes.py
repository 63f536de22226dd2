"""What a mutation has led to, as JSON: objects in memory, written many at a time."""

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

from app.graphql.plans.building import Building, table_for
from app.graphql.plans.operation import Operation
from app.graphql.plans.steps import NotPlannedError
from app.graphql.shared.declared import Held, declared, definition_of

Objects = Sequence[Any]
Texts = Callable[[Objects], Sequence[str]]


class Outcome:
    """Objects of one type, and what is asked of them."""

    def __init__(
        self, operation: Operation, type_: GraphQLObjectType, details: list[FieldDetails]
    ) -> None:
        """NotPlannedError."""
        self._operation = operation
        self._empty: list[Callable[[Any], Any]] = []
        self._parts: list[Texts] = []
        members = [
            f'"{key}":{self._member(type_, inner)}'
            for key, inner in operation.below(type_, details).items()
        ]
        self._template = "{" + ",".join(members) + "}"  # of GraphQL's names: no % in it

    def texts(self, objects: Objects) -> list[str]:
        """NotPlannedError where there are user errors or warnings to be told."""
        for read in self._empty:
            if any(map(read, objects)):
                raise NotPlannedError("what is to be told as an error")
        template = self._template
        if not self._parts:
            return [template] * len(objects)
        columns = [texts(objects) for texts in self._parts]
        return [template % each for each in zip(*columns, strict=True)]

    def _member(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> str:
        name = details[0].node.name.value
        if name == "__typename":
            return f'"{type_.name}"'
        field = type_.fields[name]
        within, defined = get_named_type(field.type), definition_of(field)
        attribute = attrgetter(defined.python_name)
        if isinstance(what := declared(type_, name), Held):
            self._parts.append(self._rows(attrgetter(what.attribute), within, details))
        elif defined.base_resolver is not None:
            raise NotPlannedError(f"{type_}.{name}")
        elif str(field.type) == "Boolean!":
            self._parts.append(lambda each: [("false", "true")[attribute(one)] for one in each])
        elif str(field.type) == "Int!":
            self._parts.append(lambda each: [str(attribute(one)) for one in each])
        elif isinstance(within, GraphQLInterfaceType):
            self._empty.append(attribute)
            return "[]"
        elif isinstance(get_nullable_type(field.type), GraphQLList):
            below = Outcome(self._operation, within, details).texts
            self._parts.append(
                lambda each: [f"[{','.join(below(attribute(one)))}]" for one in each]
            )
        else:
            raise NotPlannedError(f"{type_}.{name}")
        return "%s"

    def _rows(
        self, held: Callable[[Any], Any], type_: GraphQLObjectType, details: list[FieldDetails]
    ) -> Texts:
        """Of rows in memory, which name no others there."""
        built = Building(self._operation, table_for(type_))
        built.writer(type_, details)
        found = built.rows()
        if found.shared or found.selection.joined:
            raise NotPlannedError(f"what a new {type_} names")
        read, [write] = attrgetter("id", *found.selection.columns), found.writers

        def texts(objects: Objects) -> Sequence[str]:
            rows = [held(each) for each in objects]
            written = iter(write([read(row)[1:] for row in rows if row is not None], (), ()))
            return ["null" if row is None else next(written) for row in rows]

        return texts
