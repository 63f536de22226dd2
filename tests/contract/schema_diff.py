"""Compares a schema with a contract: finds what a client written for the contract would miss.

The schema may have more: types, fields, optional arguments and enum values. Arguments and input
fields may require less than in the contract, and results may be more specific, but not the reverse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLType,
    GraphQLUnionType,
    print_ast,
)
from graphql.utilities.sort_value_node import sort_value_node

ROOTS = ("query_type", "mutation_type", "subscription_type")
Inputs = Mapping[str, GraphQLArgument] | Mapping[str, GraphQLInputField]


def find_differences(contract: GraphQLSchema, schema: GraphQLSchema) -> list[str]:
    """Returns one line per difference, beginning with its coordinate, for example
    `Query.event(id)`.
    """
    differences = [
        f"schema: its {root} is not {getattr(contract, root)}"
        for root in ROOTS
        if getattr(contract, root) and str(getattr(schema, root)) != str(getattr(contract, root))
    ]
    for name, expected_type in contract.type_map.items():
        actual_type = schema.type_map.get(name)
        if actual_type is None:
            differences.append(f"{name}: is missing")
        elif type(actual_type) is not type(expected_type):
            differences.append(f"{name}: has another kind")
        else:
            differences += _type_differences(expected_type, actual_type, schema)
    return differences


def _type_differences(
    expected_type: GraphQLNamedType, actual_type: Any, schema: GraphQLSchema
) -> Iterator[str]:
    match expected_type:
        case GraphQLObjectType() | GraphQLInterfaceType():
            yield from _missing_members(
                expected_type,
                "interface",
                _names(expected_type.interfaces),
                _names(actual_type.interfaces),
            )
            yield from _missing_members(
                expected_type, "field", expected_type.fields, actual_type.fields
            )
            for name in (each for each in expected_type.fields if each in actual_type.fields):
                coordinate = f"{expected_type}.{name}"
                yield from _field_differences(
                    coordinate, expected_type.fields[name], actual_type.fields[name], schema
                )
        case GraphQLInputObjectType():
            if expected_type.is_one_of != actual_type.is_one_of:
                adverb = "not" if expected_type.is_one_of else "additionally"
                yield f"{expected_type}: is {adverb} @oneOf"
            yield from _input_differences(
                f"{expected_type}.{{}}", expected_type.fields, actual_type.fields
            )
        case GraphQLEnumType():
            yield from _missing_members(
                expected_type, "value", expected_type.values, actual_type.values
            )
        case GraphQLUnionType():
            yield from _missing_members(
                expected_type, "member", _names(expected_type.types), _names(actual_type.types)
            )


def _field_differences(
    coordinate: str, expected_type: Any, actual_type: Any, schema: GraphQLSchema
) -> Iterator[str]:
    if not _output_type_compatible(actual_type.type, expected_type.type, schema):
        yield f"{coordinate}: gives {actual_type.type}, not {expected_type.type}"
    yield from _deprecation_differences(coordinate, expected_type, actual_type)
    yield from _input_differences(f"{coordinate}({{}})", expected_type.args, actual_type.args)


def _input_differences(
    coordinate: str, expected_type: Inputs, actual_type: Inputs
) -> Iterator[str]:
    """Compares arguments of a field, or fields of an input."""
    for name, expected in expected_type.items():
        where, our_input = coordinate.format(name), actual_type.get(name)
        if our_input is None:
            yield f"{where}: is missing"
            continue
        if not _input_type_compatible(our_input.type, expected.type):
            yield f"{where}: takes {our_input.type}, not {expected.type}"
        if _default_text(our_input) != _default_text(expected):
            ours_text, expected_text = _default_text(our_input), _default_text(expected)
            yield f"{where}: is {ours_text} by default, not {expected_text}"
        yield from _deprecation_differences(where, expected, our_input)
    for name, added in actual_type.items():
        required = isinstance(added.type, GraphQLNonNull) and _default_text(added) == "null"
        if required and name not in expected_type:
            yield f"{coordinate.format(name)}: is required, and not in the contract"


def _deprecation_differences(
    coordinate: str, expected_type: Any, actual_type: Any
) -> Iterator[str]:
    if bool(actual_type.deprecation_reason) != bool(expected_type.deprecation_reason):
        yield f"{coordinate}: is {'' if actual_type.deprecation_reason else 'not '}deprecated"


def _output_type_compatible(
    actual_type: GraphQLType, expected_type: GraphQLType, schema: GraphQLSchema
) -> bool:
    """Whether a client that expects `theirs` can read `ours`: the same type, or a narrower one."""
    if isinstance(expected_type, GraphQLNonNull):
        return isinstance(actual_type, GraphQLNonNull) and _output_type_compatible(
            actual_type.of_type, expected_type.of_type, schema
        )
    if isinstance(actual_type, GraphQLNonNull):
        return _output_type_compatible(actual_type.of_type, expected_type, schema)
    if isinstance(expected_type, GraphQLList):
        return isinstance(actual_type, GraphQLList) and _output_type_compatible(
            actual_type.of_type, expected_type.of_type, schema
        )
    if str(actual_type) == str(expected_type):
        return True
    wider, narrower = schema.type_map.get(str(expected_type)), schema.type_map.get(str(actual_type))
    return (
        isinstance(wider, GraphQLInterfaceType | GraphQLUnionType)
        and isinstance(narrower, GraphQLInterfaceType | GraphQLObjectType)
        and schema.is_sub_type(wider, narrower)
    )


def _input_type_compatible(actual_type: GraphQLType, expected_type: GraphQLType) -> bool:
    """Whether input for `theirs` is valid for `ours`: the same type, or a wider one."""
    if isinstance(actual_type, GraphQLNonNull):
        return isinstance(expected_type, GraphQLNonNull) and _input_type_compatible(
            actual_type.of_type, expected_type.of_type
        )
    if isinstance(expected_type, GraphQLNonNull):
        return _input_type_compatible(actual_type, expected_type.of_type)
    if isinstance(actual_type, GraphQLList):
        # A single literal is coerced to a list, but a variable is not.
        return isinstance(expected_type, GraphQLList) and _input_type_compatible(
            actual_type.of_type, expected_type.of_type
        )
    return str(actual_type) == str(expected_type)


def _default_text(input: GraphQLArgument | GraphQLInputField) -> str:
    """Returns the default value as text. In the contract, null is the same as no default."""
    default = input.ast_node and input.ast_node.default_value
    return print_ast(sort_value_node(default)) if default else "null"


def _missing_members(
    type_: GraphQLNamedType, noun: str, expected_names: Iterable[str], actual_names: Iterable[str]
) -> Iterator[str]:
    present = set(actual_names)
    return (f"{type_}.{name}: {noun} is missing" for name in expected_names if name not in present)


def _names(types: Iterable[GraphQLNamedType]) -> list[str]:
    return [str(each) for each in types]
