"""Readers of variables and arguments: they convert JSON values to Strawberry inputs in one pass.

They accept the same values as graphql-core and Strawberry. For an invalid value they raise
UnsupportedInputError or GraphQLError: graphql-core then executes the operation and reports the
error, because errors have one source.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING
from typing import Any

import strawberry
from graphql import (
    FieldNode,
    GraphQLBoolean,
    GraphQLField,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLString,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    get_nullable_type,
    is_required_input_field,
    type_from_ast,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryMaybe, StrawberryOptional

from app.graphql.plans.plan_steps import NotPlannedError, OperationRequest, collect_variables
from app.graphql.shared.scalars import read_literal

MAX_CACHED_CHARACTERS = 1_000
ReadValue = Callable[[Any], Any]
ReadArgument = Callable[[OperationRequest], Any]
_EXACT_TYPES = {GraphQLString.name: str, GraphQLID.name: str, GraphQLBoolean.name: bool}


class UnsupportedInputError(Exception):
    """The input is invalid: graphql-core must read it."""


class InputReaders:
    """Creates the readers of types. There is one reader for each input object type."""

    def __init__(self) -> None:
        self._object_readers: dict[str, ReadValue] = {}

    def create_reader(self, type_: Any) -> ReadValue:
        read_value = self._create_value_reader(get_nullable_type(type_))
        if not isinstance(type_, GraphQLNonNull):
            return lambda value: None if value is None else read_value(value)

        def read(value: Any) -> Any:
            if value is None:
                raise UnsupportedInputError
            return read_value(value)

        return read

    def _create_value_reader(self, type_: Any) -> ReadValue:
        if isinstance(type_, GraphQLList):
            read_item = self.create_reader(type_.of_type)
            return lambda value: [
                read_item(item) for item in (value if type(value) is list else [value])
            ]
        if isinstance(type_, GraphQLInputObjectType):
            return self._create_object_reader(type_)
        coerce: ReadValue = type_.coerce_input_value
        if (kind := _EXACT_TYPES.get(type_.name)) is None:
            return coerce
        return lambda value: value if type(value) is kind else coerce(value)

    def _create_object_reader(self, type_: GraphQLInputObjectType) -> ReadValue:
        if (reader := self._object_readers.get(type_.name)) is not None:
            return reader
        create: Any = type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].origin
        is_one_of = type_.is_one_of
        members: dict[str, tuple[str, ReadValue]] = {}
        required: set[str] = set()
        nulls: dict[str, Any] = {}  # Strawberry's values of omitted members without a default

        def read(value: Any) -> Any:
            if type(value) is not dict or not required <= value.keys():
                raise UnsupportedInputError
            if is_one_of and (len(value) != 1 or None in value.values()):
                raise UnsupportedInputError
            attributes = nulls.copy()
            for name, member in value.items():
                if name not in members:
                    raise UnsupportedInputError(name)
                python_name, read_member = members[name]
                attributes[python_name] = read_member(member)
            return create(**attributes)

        self._object_readers[type_.name] = read  # before its members, which may be of this type
        for name, field in type_.fields.items():
            definition = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
            members[name] = definition.python_name, self._create_member_reader(field)
            if is_required_input_field(field):
                required.add(name)
            if definition.default_value is MISSING and definition.default_factory is MISSING:
                nulls[definition.python_name] = None
        return read

    def _create_member_reader(self, field: GraphQLInputField) -> ReadValue:
        read_value = self.create_reader(field.type)
        member_type = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].type
        if not isinstance(member_type, StrawberryMaybe):
            return read_value
        accepts_null = isinstance(member_type.of_type, StrawberryOptional)

        def read(value: Any) -> Any:
            if value is None and not accepts_null:
                raise UnsupportedInputError
            return strawberry.Some(read_value(value))

        return read


class VariableReader:
    """Reads the variables of an operation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        readers: InputReaders,
        definitions: Sequence[VariableDefinitionNode],
    ) -> None:
        self._variables: list[tuple[str, ReadValue, bool]] = []
        self._default_nodes: dict[str, ValueNode] = {}
        for definition in definitions:
            name, type_ = definition.variable.name.value, type_from_ast(schema, definition.type)
            is_required = isinstance(type_, GraphQLNonNull)
            self._variables.append((name, readers.create_reader(type_), is_required))
            if definition.default_value is not None:
                self._default_nodes[name] = definition.default_value

    def read_variables(
        self, json_values: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Returns the values as JSON, with the defaults, and as inputs.

        Raises UnsupportedInputError or GraphQLError.
        """
        if self._default_nodes:
            defaults = {name: read_literal(node) for name, node in self._default_nodes.items()}
            json_values = {**defaults, **json_values}
        inputs = {}
        for name, read, is_required in self._variables:
            if name in json_values:
                inputs[name] = read(json_values[name])
            elif is_required:
                raise UnsupportedInputError(name)
        return json_values, inputs


class FieldArguments:
    """Arguments of one field, as its resolver gets them."""

    def __init__(self, readers: InputReaders, field: GraphQLField, node: FieldNode) -> None:
        """Creates the readers. Raises NotPlannedError if an argument is not supported."""
        nodes = {argument.name.value: argument.value for argument in node.arguments or ()}
        self._defaults: dict[str, Any] = {}  # by Python name
        self._readers: list[tuple[str, ReadArgument]] = []
        for name, argument in field.args.items():
            definition = argument.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
            if definition.default is not strawberry.UNSET:
                self._defaults[definition.python_name] = definition.default
            if name in nodes:
                read = _create_argument_reader(readers, argument.type, nodes[name])
                self._readers.append((definition.python_name, read))
        self._variable_names = tuple(collect_variables(*nodes.values()))
        self._last_request: tuple[Hashable, Any] = None, None

    def build_request(
        self,
        create_request: Callable[..., Any],
        parent: Any,
        request: OperationRequest,
    ) -> Any:
        """Returns the request that `create_request` builds from the arguments.

        Without a parent, the last request is cached. Only one, because a request may have a hundred
        filters, and each field of each plan has its own cache.
        """
        context = request.context
        values = tuple([request.json_values.get(name, Undefined) for name in self._variable_names])
        if parent is not None or not _are_cacheable(values):
            return create_request(parent, context, **self.read_arguments(request))
        # With their types: 1 is equal to True. With the limits themselves, not their values.
        key = id(context.limits), values, tuple(map(type, values))
        last_key, last_request = self._last_request
        if last_key != key:
            last_request = create_request(None, context, **self.read_arguments(request))
            self._last_request = key, last_request
        return last_request

    def read_arguments(self, request: OperationRequest) -> dict[str, Any]:
        """Returns the arguments by Python name. Raises UnsupportedInputError or GraphQLError."""
        arguments = self._defaults.copy()
        for python_name, read in self._readers:
            value = read(request)
            if value is not Undefined:
                arguments[python_name] = value
        return arguments


def _are_cacheable(values: tuple[Any, ...]) -> bool:
    texts = [value for value in values if isinstance(value, str)]
    others = [value for value in values if not isinstance(value, str)]
    are_scalars = all(
        value is None or value is Undefined or isinstance(value, int) for value in others
    )
    return are_scalars and sum(map(len, texts)) <= MAX_CACHED_CHARACTERS


def _create_argument_reader(readers: InputReaders, type_: Any, node: ValueNode) -> ReadArgument:
    """Creates the reader of an argument; it returns Undefined if its variable is omitted.

    Raises NotPlannedError if it is not supported.
    """
    if isinstance(node, VariableNode):
        name, is_required = node.name.value, isinstance(type_, GraphQLNonNull)

        def read_variable(request: OperationRequest) -> Any:
            value = request.inputs.get(name, Undefined)
            if value is None and is_required:
                raise UnsupportedInputError(name)
            return value

        return read_variable
    if _has_variable_in_scalar(type_, node):
        raise NotPlannedError("a variable in a scalar")
    read_value = readers.create_reader(type_)
    return lambda request: read_value(_to_json(node, request.json_values))


def _has_variable_in_scalar(type_: Any, node: ValueNode) -> bool:
    """Whether a scalar contains variables: graphql-core gets their coerced values, not JSON."""
    type_ = get_nullable_type(type_)
    if isinstance(type_, GraphQLList):
        items = node.values if isinstance(node, ListValueNode) else (node,)
        return any(_has_variable_in_scalar(type_.of_type, item) for item in items)
    if isinstance(type_, GraphQLInputObjectType) and isinstance(node, ObjectValueNode):
        return any(
            _has_variable_in_scalar(type_.fields[member.name.value].type, member.value)
            for member in node.fields
        )
    return not isinstance(node, VariableNode) and bool(collect_variables(node))


def _to_json(node: ValueNode, json_values: Mapping[str, Any]) -> Any:
    """Returns the JSON value of a literal. Members whose variable is omitted are omitted."""
    match node:
        case ListValueNode():
            items = (_to_json(item, json_values) for item in node.values)
            return [None if item is Undefined else item for item in items]
        case ObjectValueNode():
            members = {
                member.name.value: _to_json(member.value, json_values) for member in node.fields
            }
            return {name: value for name, value in members.items() if value is not Undefined}
        case VariableNode():
            return json_values.get(node.name.value, Undefined)
    return read_literal(node)
