"""Every list of the schema has a cost, or a reason to have none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)

from app.domain.shared.limits import Limits
from app.graphql.execution import field_costs
from app.graphql.execution.field_costs import COSTS, FREE_LISTS, find_field_cost
from app.graphql.schema import build_schema

SCHEMA = build_schema()._schema


def iterate_fields() -> Iterator[tuple[str, str, GraphQLField]]:
    for name, type_ in SCHEMA.type_map.items():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) and name[:2] != "__":
            for field_name, field in type_.fields.items():
                yield name, field_name, field


def test_each_list_has_a_cost_or_a_reason_to_have_none() -> None:
    # The rows of a connection are charged by each field that returns it.
    shown: dict[str, list[set[str]]] = {}
    for parent, name, field in iterate_fields():
        cost = find_field_cost(SCHEMA.type_map[parent], name, field)
        of = get_named_type(field.type).name
        shown.setdefault(of, []).append(set(cost.row_fields) if cost else set())

    without_cost = [
        f"{parent}.{name}"
        for parent, name, field in iterate_fields()
        if is_list_type(get_nullable_type(field.type))
        and not is_leaf_type(get_named_type(field.type))  # values of a row that is charged
        and find_field_cost(SCHEMA.type_map[parent], name, field) is None
        and name not in FREE_LISTS
        and not (shown.get(parent) and all(name in each for each in shown[parent]))
    ]

    assert without_cost == []


def test_no_entry_repeats_the_default_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = dict(COSTS)
    monkeypatch.setattr(field_costs, "COSTS", {})

    repeated = [
        f"{parent}.{name}"
        for parent, name, field in iterate_fields()
        if (cost := costs.get(f"{parent}.{name}")) is not None
        and cost == find_field_cost(SCHEMA.type_map[parent], name, field)
    ]

    assert repeated == []


def test_the_table_of_costs_names_existing_fields_and_limits() -> None:
    fields = {f"{parent}.{name}": field for parent, name, field in iterate_fields()}
    limits = vars(Limits())

    for coordinate, cost in COSTS.items():
        if coordinate.split(".")[1].startswith("__"):
            continue
        field = fields[coordinate]
        attributes = {cost.multiplier_argument} - {None} | set(cost.size_arguments)
        of: Any = get_named_type(field.type)
        assert cost.limit_name is None or cost.limit_name in limits, coordinate
        assert bool(attributes & set(field.args)) == bool(attributes), coordinate
        assert all(name in of.fields for name in cost.row_fields), coordinate
        usual = [
            field.args[name].default_value for name in cost.size_arguments if name in field.args
        ]
        assert all(each in (cost.default_rows, None) or not isinstance(each, int) for each in usual)
