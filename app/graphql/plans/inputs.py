"""The arguments of a mutation, read in one go where all of them are plainly in order.

Whatever is not, from a wrong type to an unknown member, raises NotPlainError: graphql-core reads it
once more and says what is wrong. Nothing is told here: errors have one source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    GraphQLBoolean,
    GraphQLField,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    VariableNode,
    type_from_ast,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryMaybe

Read = Callable[[Any], Any]
_EXACTLY = {GraphQLString.name: str, GraphQLID.name: str, GraphQLBoolean.name: bool}


class NotPlainError(Exception):
    """It takes graphql-core to read this, or to say what is wrong with it."""


class PlainArguments:
    """Of a field that is given each argument by a variable of the argument's own type."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        field: GraphQLField,
        node: FieldNode,
    ) -> None:
        """NotPlainError where they are given in another way."""
        declared = {
            each.variable.name.value: type_from_ast(schema, each.type)
            for each in operation.variable_definitions or ()
            if each.default_value is None
        }
        given = {each.name.value: each.value for each in node.arguments or ()}
        self._readers: list[tuple[str, str, Read]] = []
        for name, argument in field.args.items():
            value = given.get(name)
            variable = value.name.value if isinstance(value, VariableNode) else None
            if variable is None or str(declared.get(variable)) != str(argument.type):
                raise NotPlainError(name)
            python_name = argument.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].python_name
            self._readers.append((python_name, variable, _reader(argument.type)))

    def read(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """By their Python names, as the resolver gets them. NotPlainError."""
        try:
            return {name: read(variables[variable]) for name, variable, read in self._readers}
        except KeyError as error:
            raise NotPlainError(str(error)) from error


def _reader(type_: Any) -> Read:
    """What makes the Python value of a JSON value of this type. NotPlainError."""
    if isinstance(type_, GraphQLNonNull):
        return _nullable(type_.of_type)
    read = _nullable(type_)
    return lambda value: None if value is None else read(value)


def _nullable(type_: Any) -> Read:
    match type_:
        case GraphQLList():
            return _list(_reader(type_.of_type))
        case GraphQLInputObjectType():
            return _object(type_)
        case GraphQLScalarType() if type_.name in _EXACTLY:
            return _exactly(_EXACTLY[type_.name])
        case GraphQLScalarType() if type_.name in ("JSON", "DateTime"):
            return _scalar(type_)
    return _refuse


def _exactly(kind: type) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise NotPlainError
        return value

    return read


def _scalar(type_: GraphQLScalarType) -> Read:
    parse = type_.parse_value

    def read(value: Any) -> Any:
        if value is None:
            raise NotPlainError
        return parse(value)

    return read


def _refuse(_: Any) -> Any:
    raise NotPlainError


def _list(read_each: Read) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise NotPlainError
        return [read_each(each) for each in value]

    return read


def _object(type_: GraphQLInputObjectType) -> Read:
    """Of an input type whose members may all be left out unless they are non-null."""
    definition = type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    members: dict[str, tuple[str, Read]] = {}
    needed = set()
    for name, field in type_.fields.items():
        own = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
        if isinstance(own.type, StrawberryMaybe):
            raise NotPlainError(own.name)
        members[name] = own.python_name, _reader(field.type)
        if isinstance(field.type, GraphQLNonNull):
            needed.add(name)
    make = definition.origin

    def read(value: Any) -> Any:
        if type(value) is not dict or not needed <= value.keys():
            raise NotPlainError
        said = {}
        for name, each in value.items():
            own, read_member = members[name]
            said[own] = read_member(each)
        return make(**said)

    return read
