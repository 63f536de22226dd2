"""Every list of the schema has a price, or a reason to have none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from app.domain.shared.limits import Limits
from app.graphql.execution.field_costs import COSTS, FREE_LISTS
from app.graphql.schema import build_schema

SCHEMA = build_schema()._schema


def iterate_fields() -> Iterator[tuple[str, str, GraphQLField]]:
    for name, type_ in SCHEMA.type_map.items():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) and name[:2] != "__":
            for field_name, field in type_.fields.items():
                yield name, field_name, field


def is_free(coordinate: str) -> bool:
    name = coordinate.split(".")[1]
    return any({coordinate, f"*.{name}"} & each for each in FREE_LISTS.values())


def test_each_list_has_a_price_or_a_reason_to_have_none() -> None:
    # A connection's rows are priced by each field that leads to it.
    shown: dict[str, list[set[str]]] = {}
    for parent, name, field in iterate_fields():
        price = COSTS.get(f"{parent}.{name}")
        of = get_named_type(field.type).name
        shown.setdefault(of, []).append(set(price.row_fields) if price else set())

    unpriced = [
        f"{parent}.{name}"
        for parent, name, field in iterate_fields()
        if is_list_type(get_nullable_type(field.type))
        and f"{parent}.{name}" not in COSTS
        and not is_free(f"{parent}.{name}")
        and not (shown.get(parent) and all(name in each for each in shown[parent]))
    ]

    assert unpriced == []


def test_no_list_has_both() -> None:
    assert [coordinate for coordinate in COSTS if is_free(coordinate)] == []


def test_the_table_speaks_of_what_there_is() -> None:
    there = {f"{parent}.{name}": field for parent, name, field in iterate_fields()}
    limits = vars(Limits())

    for coordinate, price in COSTS.items():
        if coordinate.split(".")[1].startswith("__"):
            continue
        field = there[coordinate]
        attributes = {price.multiplier_argument} - {None} | set(price.size_arguments)
        of: Any = get_named_type(field.type)
        assert price.limit_name is None or price.limit_name in limits, coordinate
        assert bool(attributes & set(field.args)) == bool(attributes), coordinate
        assert all(name in of.fields for name in price.row_fields), coordinate
        usual = [
            field.args[name].default_value for name in price.size_arguments if name in field.args
        ]
        assert all(
            each in (price.default_rows, None) or not isinstance(each, int) for each in usual
        )
    named = {each for reasons in FREE_LISTS.values() for each in reasons if each[0] != "*"}
    assert named <= there.keys()
