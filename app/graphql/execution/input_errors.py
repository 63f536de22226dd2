"""Errors of invalid inputs, with the path of the invalid value as `extensions.path`.

The path is that of `userErrors`: it begins with the name of an argument, for a variable as for a
literal. graphql-core finds the errors.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    Undefined,
    ValidationRule,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    get_nullable_type,
    get_operation_ast,
    is_input_object_type,
    is_required_input_field,
    type_from_ast,
    validate_input_literal,
    validate_input_value,
    visit,
)

MAX_REPORTED_ERRORS = 5
OnError = Callable[[GraphQLError, list[str | int]], None]


class InputLiteralsRule(ValidationRule):
    """Rejects invalid literals in arguments, and as default values of variables.

    It replaces graphql-core's ValuesOfCorrectTypeRule, whose errors have no path.
    """

    def enter_argument(self, node: ArgumentNode, *_: Any) -> None:
        if (argument := self.context.get_argument()) is not None:
            self._validate(node.value, argument.type, [node.name.value])

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
        type_: Any = type_from_ast(self.context.schema, node.type)
        if node.default_value is not None and type_ is not None:
            path = find_variable_paths(self.context.document).get(node.variable.name.value, [])
            self._validate(node.default_value, type_, path)

    def _validate(self, literal: ValueNode, type_: GraphQLInputType, path: Sequence[str]) -> None:
        def validate(on_error: OnError) -> None:
            validate_input_literal(literal, type_, on_error, hide_suggestions=True)

        for error, error_path in _find_errors(validate, _read_names(literal), type_, path):
            if error_path:
                error.extensions = {"path": error_path}
            self.report_error(error)


def add_variable_paths(
    errors: Sequence[GraphQLError],
    schema: GraphQLSchema,
    document: DocumentNode,
    operation_name: str | None,
    json_values: Mapping[str, Any],
) -> None:
    """Adds the paths to the errors that graphql-core reports for the values of variables."""
    operation = get_operation_ast(document, operation_name)
    variable_paths = find_variable_paths(document)
    paths: list[list[str]] = []
    for definition in (operation and operation.variable_definitions) or ():
        name, type_ = definition.variable.name.value, type_from_ast(schema, definition.type)
        value = json_values.get(name, Undefined)
        if value is Undefined and definition.default_value is not None:
            continue

        def validate(on_error: OnError, value: Any = value, type_: Any = type_) -> None:
            validate_input_value(value, type_, on_error, hide_suggestions=True)

        found = _find_errors(validate, value, type_, variable_paths.get(name, []))
        paths += [path for _, path in found]
    for error, path in zip(errors, paths, strict=False):
        # The error of a value that is nested too deeply has no original error.
        if error.original_error is not None and path:
            error.extensions = {"path": path}


def add_argument_path(error: GraphQLError, document: DocumentNode) -> None:
    """Adds the path to the error of an argument that only its variables make invalid.

    This is found when the field is executed, such as null for a nullable variable with a default
    value where null is not allowed.
    """
    if error.path is None or not error.nodes or not isinstance(error.nodes[0], ValueNode):
        return
    for argument in _find_arguments(document):
        for node, path in _iterate_values(argument.value, [argument.name.value]):
            if node is error.nodes[0]:
                error.extensions = {"path": path}
                return


def find_variable_paths(document: DocumentNode) -> dict[str, list[str]]:
    """Returns the path of the first use of each variable in an argument."""
    paths: dict[str, list[str]] = {}
    for argument in _find_arguments(document):
        for node, path in _iterate_values(argument.value, [argument.name.value]):
            if isinstance(node, VariableNode):
                paths.setdefault(node.name.value, path)
    return paths


class _EnoughErrorsError(Exception):
    """There are as many errors as are reported."""


def _find_errors(
    validate: Callable[[OnError], None], value: Any, type_: Any, prefix: Sequence[str]
) -> list[tuple[GraphQLError, list[str]]]:
    """Returns errors with their paths in the arguments. The path is empty without a prefix.

    For graphql-core, a field that is missing or unknown is an error of its object. The path ends
    with the name of the field.
    """
    errors: list[tuple[GraphQLError, list[str]]] = []
    error_counts: Counter[tuple[str | int, ...]] = Counter()

    def add_error(error: GraphQLError, place: list[str | int]) -> None:
        names = _find_wrong_names(value, type_, place)
        number = error_counts[*place]
        error_counts[*place] += 1
        path = [*prefix, *map(str, place), *names[number : number + 1]]
        errors.append((error, path if prefix else []))
        if len(errors) == MAX_REPORTED_ERRORS:
            raise _EnoughErrorsError

    # graphql-core reports values that are nested too deeply.
    with contextlib.suppress(_EnoughErrorsError, RecursionError):
        validate(add_error)
    return errors


def _find_wrong_names(value: Any, type_: Any, place: Sequence[str | int]) -> list[str]:
    """Returns the missing and unknown fields of an object, in the order of graphql-core's errors.

    It is empty if there is no object at this place.
    """
    for key in place:
        if isinstance(key, int):
            type_ = get_nullable_type(type_).of_type
        else:
            type_ = get_named_type(type_).fields[key].type
        value = value[key]
    type_ = get_named_type(type_)
    if not is_input_object_type(type_) or not isinstance(value, dict):
        return []
    missing = [
        name
        for name, field in type_.fields.items()
        if name not in value and is_required_input_field(field)
    ]
    return [*missing, *(name for name in value if name not in type_.fields)]


def _read_names(literal: ValueNode) -> Any:
    """Returns the lists and the names of the objects of a literal, without its values."""
    if isinstance(literal, ObjectValueNode):
        return {field.name.value: _read_names(field.value) for field in literal.fields}
    if isinstance(literal, ListValueNode):
        return [_read_names(item) for item in literal.values]
    return None


def _find_arguments(document: DocumentNode) -> Collection[ArgumentNode]:
    """Returns the arguments of fields, and then those of directives."""
    arguments: list[ArgumentNode] = []
    of_directives: list[ArgumentNode] = []

    class ArgumentVisitor(Visitor):
        def enter_argument(self, node: ArgumentNode, *context: Any) -> None:
            *_, ancestors = context
            is_of_directive = isinstance(ancestors[-1], DirectiveNode)
            (of_directives if is_of_directive else arguments).append(node)

    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            visit(definition, ArgumentVisitor())
    return [*arguments, *of_directives]


def _iterate_values(value: ValueNode, path: list[str]) -> Iterator[tuple[ValueNode, list[str]]]:
    """Yields a value and all values in it, with their paths."""
    yield value, path
    if isinstance(value, ObjectValueNode):
        for field in value.fields:
            yield from _iterate_values(field.value, [*path, field.name.value])
    elif isinstance(value, ListValueNode):
        for index, item in enumerate(value.values):
            yield from _iterate_values(item, [*path, str(index)])
