"""What a schema lacks of a contract: everything that a client written for the contract would miss.

The schema may hold more: types, fields, optional arguments, values. Arguments and input fields may
ask for less than the contract, and results may promise more, never the other way round.
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
    """Each in a line that begins with its coordinate, as `Query.event(id)`; `[]`: all is there."""
    differences = [
        f"schema: its {root} is not {getattr(contract, root)}"
        for root in ROOTS
        if getattr(contract, root) and str(getattr(schema, root)) != str(getattr(contract, root))
    ]
    for name, theirs in contract.type_map.items():
        ours = schema.type_map.get(name)
        if ours is None:
            differences.append(f"{name}: is missing")
        elif type(ours) is not type(theirs):
            differences.append(f"{name}: is of another kind")
        else:
            differences += _type_differences(theirs, ours, schema)
    return differences


def _type_differences(theirs: GraphQLNamedType, ours: Any, schema: GraphQLSchema) -> Iterator[str]:
    match theirs:
        case GraphQLObjectType() | GraphQLInterfaceType():
            yield from _missing_members(
                theirs, "interface", _names(theirs.interfaces), _names(ours.interfaces)
            )
            yield from _missing_members(theirs, "field", theirs.fields, ours.fields)
            for name in (each for each in theirs.fields if each in ours.fields):
                place = f"{theirs}.{name}"
                yield from _field_differences(place, theirs.fields[name], ours.fields[name], schema)
        case GraphQLInputObjectType():
            if theirs.is_one_of != ours.is_one_of:
                yield f"{theirs}: is @oneOf {'no more' if theirs.is_one_of else 'of a sudden'}"
            yield from _input_differences(f"{theirs}.{{}}", theirs.fields, ours.fields)
        case GraphQLEnumType():
            yield from _missing_members(theirs, "value", theirs.values, ours.values)
        case GraphQLUnionType():
            yield from _missing_members(theirs, "member", _names(theirs.types), _names(ours.types))


def _field_differences(place: str, theirs: Any, ours: Any, schema: GraphQLSchema) -> Iterator[str]:
    if not _output_type_compatible(ours.type, theirs.type, schema):
        yield f"{place}: gives {ours.type}, not {theirs.type}"
    yield from _deprecation_differences(place, theirs, ours)
    yield from _input_differences(f"{place}({{}})", theirs.args, ours.args)


def _input_differences(place: str, theirs: Inputs, ours: Inputs) -> Iterator[str]:
    """Of the arguments of a field, or of the fields of an input."""
    for name, expected in theirs.items():
        where, our_input = place.format(name), ours.get(name)
        if our_input is None:
            yield f"{where}: is missing"
            continue
        if not _input_type_compatible(our_input.type, expected.type):
            yield f"{where}: takes {our_input.type}, not {expected.type}"
        if _default_text(our_input) != _default_text(expected):
            ours_text, expected_text = _default_text(our_input), _default_text(expected)
            yield f"{where}: is {ours_text} by default, not {expected_text}"
        yield from _deprecation_differences(where, expected, our_input)
    for name, added in ours.items():
        required = isinstance(added.type, GraphQLNonNull) and _default_text(added) == "null"
        if required and name not in theirs:
            yield f"{place.format(name)}: is required, and not in the contract"


def _deprecation_differences(place: str, theirs: Any, ours: Any) -> Iterator[str]:
    if bool(ours.deprecation_reason) != bool(theirs.deprecation_reason):
        yield f"{place}: is {'' if ours.deprecation_reason else 'not '}deprecated"


def _output_type_compatible(ours: GraphQLType, theirs: GraphQLType, schema: GraphQLSchema) -> bool:
    """Whether who expects `theirs` can read `ours`: the same, or something narrower."""
    if isinstance(theirs, GraphQLNonNull):
        return isinstance(ours, GraphQLNonNull) and _output_type_compatible(
            ours.of_type, theirs.of_type, schema
        )
    if isinstance(ours, GraphQLNonNull):
        return _output_type_compatible(ours.of_type, theirs, schema)
    if isinstance(theirs, GraphQLList):
        return isinstance(ours, GraphQLList) and _output_type_compatible(
            ours.of_type, theirs.of_type, schema
        )
    if str(ours) == str(theirs):
        return True
    wider, narrower = schema.type_map.get(str(theirs)), schema.type_map.get(str(ours))
    return (
        isinstance(wider, GraphQLInterfaceType | GraphQLUnionType)
        and isinstance(narrower, GraphQLInterfaceType | GraphQLObjectType)
        and schema.is_sub_type(wider, narrower)
    )


def _input_type_compatible(ours: GraphQLType, theirs: GraphQLType) -> bool:
    """Whether what fits `theirs` fits `ours`: the same, or something wider."""
    if isinstance(ours, GraphQLNonNull):
        return isinstance(theirs, GraphQLNonNull) and _input_type_compatible(
            ours.of_type, theirs.of_type
        )
    if isinstance(theirs, GraphQLNonNull):
        return _input_type_compatible(ours, theirs.of_type)
    if isinstance(ours, GraphQLList):
        # A literal alone would do for a list of it; a variable would not.
        return isinstance(theirs, GraphQLList) and _input_type_compatible(
            ours.of_type, theirs.of_type
        )
    return str(ours) == str(theirs)


def _default_text(input: GraphQLArgument | GraphQLInputField) -> str:
    """What is taken where nothing is given. In the contract null is the same as nothing."""
    default = input.ast_node and input.ast_node.default_value
    return print_ast(sort_value_node(default)) if default else "null"


def _missing_members(
    type_: GraphQLNamedType, noun: str, theirs: Iterable[str], ours: Iterable[str]
) -> Iterator[str]:
    present = set(ours)
    return (f"{type_}.{name}: {noun} is missing" for name in theirs if name not in present)


def _names(types: Iterable[GraphQLNamedType]) -> list[str]:
    return [str(each) for each in types]
