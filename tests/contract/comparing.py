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


def differences(contract: GraphQLSchema, schema: GraphQLSchema) -> list[str]:
    """Each in a line that begins with its coordinate, as `Query.event(id)`; `[]`: all is there."""
    found = [
        f"schema: its {root} is not {getattr(contract, root)}"
        for root in ROOTS
        if getattr(contract, root) and str(getattr(schema, root)) != str(getattr(contract, root))
    ]
    for name, theirs in contract.type_map.items():
        ours = schema.type_map.get(name)
        if ours is None:
            found.append(f"{name}: is missing")
        elif type(ours) is not type(theirs):
            found.append(f"{name}: is of another kind")
        else:
            found += _of_type(theirs, ours, schema)
    return found


def _of_type(theirs: GraphQLNamedType, ours: Any, schema: GraphQLSchema) -> Iterator[str]:
    match theirs:
        case GraphQLObjectType() | GraphQLInterfaceType():
            yield from _lost(
                theirs, "interface", _names(theirs.interfaces), _names(ours.interfaces)
            )
            yield from _lost(theirs, "field", theirs.fields, ours.fields)
            for name in (each for each in theirs.fields if each in ours.fields):
                place = f"{theirs}.{name}"
                yield from _of_field(place, theirs.fields[name], ours.fields[name], schema)
        case GraphQLInputObjectType():
            if theirs.is_one_of != ours.is_one_of:
                yield f"{theirs}: is @oneOf {'no more' if theirs.is_one_of else 'of a sudden'}"
            yield from _of_inputs(f"{theirs}.{{}}", theirs.fields, ours.fields)
        case GraphQLEnumType():
            yield from _lost(theirs, "value", theirs.values, ours.values)
        case GraphQLUnionType():
            yield from _lost(theirs, "member", _names(theirs.types), _names(ours.types))


def _of_field(place: str, theirs: Any, ours: Any, schema: GraphQLSchema) -> Iterator[str]:
    if not _gives(ours.type, theirs.type, schema):
        yield f"{place}: gives {ours.type}, not {theirs.type}"
    yield from _of_deprecation(place, theirs, ours)
    yield from _of_inputs(f"{place}({{}})", theirs.args, ours.args)


def _of_inputs(place: str, theirs: Inputs, ours: Inputs) -> Iterator[str]:
    """Of the arguments of a field, or of the fields of an input."""
    for name, wanted in theirs.items():
        where, given = place.format(name), ours.get(name)
        if given is None:
            yield f"{where}: is missing"
            continue
        if not _takes(given.type, wanted.type):
            yield f"{where}: takes {given.type}, not {wanted.type}"
        if _default(given) != _default(wanted):
            yield f"{where}: is {_default(given)} by default, not {_default(wanted)}"
        yield from _of_deprecation(where, wanted, given)
    for name, added in ours.items():
        required = isinstance(added.type, GraphQLNonNull) and _default(added) == "null"
        if required and name not in theirs:
            yield f"{place.format(name)}: is required, and not in the contract"


def _of_deprecation(place: str, theirs: Any, ours: Any) -> Iterator[str]:
    if bool(ours.deprecation_reason) != bool(theirs.deprecation_reason):
        yield f"{place}: is {'' if ours.deprecation_reason else 'not '}deprecated"


def _gives(ours: GraphQLType, theirs: GraphQLType, schema: GraphQLSchema) -> bool:
    """Whether who expects `theirs` can read `ours`: the same, or something narrower."""
    if isinstance(theirs, GraphQLNonNull):
        return isinstance(ours, GraphQLNonNull) and _gives(ours.of_type, theirs.of_type, schema)
    if isinstance(ours, GraphQLNonNull):
        return _gives(ours.of_type, theirs, schema)
    if isinstance(theirs, GraphQLList):
        return isinstance(ours, GraphQLList) and _gives(ours.of_type, theirs.of_type, schema)
    if str(ours) == str(theirs):
        return True
    wider, narrower = schema.type_map.get(str(theirs)), schema.type_map.get(str(ours))
    return (
        isinstance(wider, GraphQLInterfaceType | GraphQLUnionType)
        and isinstance(narrower, GraphQLInterfaceType | GraphQLObjectType)
        and schema.is_sub_type(wider, narrower)
    )


def _takes(ours: GraphQLType, theirs: GraphQLType) -> bool:
    """Whether what fits `theirs` fits `ours`: the same, or something wider."""
    if isinstance(ours, GraphQLNonNull):
        return isinstance(theirs, GraphQLNonNull) and _takes(ours.of_type, theirs.of_type)
    if isinstance(theirs, GraphQLNonNull):
        return _takes(ours, theirs.of_type)
    if isinstance(ours, GraphQLList):
        # A literal alone would do for a list of it; a variable would not.
        return isinstance(theirs, GraphQLList) and _takes(ours.of_type, theirs.of_type)
    return str(ours) == str(theirs)


def _default(input: GraphQLArgument | GraphQLInputField) -> str:
    """What is taken where nothing is given. In the contract null is the same as nothing."""
    given = input.ast_node and input.ast_node.default_value
    return print_ast(sort_value_node(given)) if given else "null"


def _lost(
    type_: GraphQLNamedType, noun: str, theirs: Iterable[str], ours: Iterable[str]
) -> Iterator[str]:
    present = set(ours)
    return (f"{type_}.{name}: {noun} is missing" for name in theirs if name not in present)


def _names(types: Iterable[GraphQLNamedType]) -> list[str]:
    return [str(each) for each in types]
