"""Readers of mutation arguments: they convert valid JSON values in one pass.

Anything else, from a wrong type to an unknown member, raises UnsupportedInputError. graphql-core
then reads the input again and reports the error: errors have one source.
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

ReadValue = Callable[[Any], Any]
_EXACT_TYPES = {GraphQLString.name: str, GraphQLID.name: str, GraphQLBoolean.name: bool}


class UnsupportedInputError(Exception):
    """The input is invalid or unsupported: graphql-core must read it."""


class ArgumentReader:
    """Reads the arguments of a field, each from a variable of the argument's type."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        field: GraphQLField,
        node: FieldNode,
    ) -> None:
        """Creates the readers of all arguments.

        Raises UnsupportedInputError if an argument is not a variable of its type.
        """
        variable_types = {
            definition.variable.name.value: type_from_ast(schema, definition.type)
            for definition in operation.variable_definitions or ()
            if definition.default_value is None
        }
        argument_values = {
            definition.name.value: definition.value for definition in node.arguments or ()
        }
        self._readers: list[tuple[str, str, ReadValue]] = []
        for name, argument in field.args.items():
            value = argument_values.get(name)
            variable = value.name.value if isinstance(value, VariableNode) else None
            if variable is None or str(variable_types.get(variable)) != str(argument.type):
                raise UnsupportedInputError(name)
            python_name = argument.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].python_name
            self._readers.append((python_name, variable, _create_reader(argument.type)))

    def read_arguments(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments by Python name. Raises UnsupportedInputError."""
        try:
            return {name: read(variables[variable]) for name, variable, read in self._readers}
        except KeyError as error:
            raise UnsupportedInputError(str(error)) from error


def _create_reader(type_: Any) -> ReadValue:
    """Creates the reader of a type. Raises UnsupportedInputError if it is not supported."""
    if isinstance(type_, GraphQLNonNull):
        return _create_non_null_reader(type_.of_type)
    read_value = _create_non_null_reader(type_)
    return lambda value: None if value is None else read_value(value)


def _create_non_null_reader(type_: Any) -> ReadValue:
    match type_:
        case GraphQLList():
            return _create_list_reader(_create_reader(type_.of_type))
        case GraphQLInputObjectType():
            return _create_object_reader(type_)
        case GraphQLScalarType() if type_.name in _EXACT_TYPES:
            return _create_exact_reader(_EXACT_TYPES[type_.name])
        case GraphQLScalarType() if type_.name in ("JSON", "DateTime"):
            return _create_scalar_reader(type_)
    return _reject_value


def _create_exact_reader(kind: type) -> ReadValue:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise UnsupportedInputError
        return value

    return read


def _create_scalar_reader(type_: GraphQLScalarType) -> ReadValue:
    parse = type_.parse_value

    def read(value: Any) -> Any:
        if value is None:
            raise UnsupportedInputError
        return parse(value)

    return read


def _reject_value(_: Any) -> Any:
    raise UnsupportedInputError


def _create_list_reader(read_item: ReadValue) -> ReadValue:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise UnsupportedInputError
        return [read_item(item) for item in value]

    return read


def _create_object_reader(type_: GraphQLInputObjectType) -> ReadValue:
    """Creates the reader of an input type. Only non-null members are required."""
    definition = type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    members: dict[str, tuple[str, ReadValue]] = {}
    required = set()
    for name, field in type_.fields.items():
        strawberry_field = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
        if isinstance(strawberry_field.type, StrawberryMaybe):
            raise UnsupportedInputError(strawberry_field.name)
        members[name] = strawberry_field.python_name, _create_reader(field.type)
        if isinstance(field.type, GraphQLNonNull):
            required.add(name)
    create = definition.origin

    def read(value: Any) -> Any:
        if type(value) is not dict or not required <= value.keys():
            raise UnsupportedInputError
        arguments = {}
        for name, member in value.items():
            python_name, read_member = members[name]
            arguments[python_name] = read_member(member)
        return create(**arguments)

    return read
