"""Every list of the schema has a cost, or a reason to have none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import graphql
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
from app.graphql.execution.field_costs import COSTS, FEW_ROWS, FREE_LISTS, PAGE, find_field_cost
from app.graphql.schema import build_schema

SCHEMA = build_schema().graphql_schema


def iterate_fields() -> Iterator[tuple[str, str, GraphQLField]]:
    for name, type_ in SCHEMA.type_map.items():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) and name[:2] != "__":
            for field_name, field in type_.fields.items():
                yield name, field_name, field


# Points of each field that returns rows and is not in the table of costs.
DERIVED_COSTS = {
    "Channel.deliveries": 20,
    "ConditionalRule.eventType": 1,
    "ConditionalRule.targets": 2,
    "Delivery.channel": 1,
    "Delivery.event": 1,
    "DuplicationRule.eventType": 1,
    "Entity.events": 20,
    "Event.duplicateOf": 1,
    "Event.eventType": 1,
    "Event.history": 20,
    "Event.silencedBy": 1,
    "EventField.eventType": 1,
    "EventType.duplicationRules": 2,
    "EventType.events": 20,
    "EventType.guardRules": 2,
    "EventType.versions": 20,
    "GuardRule.eventType": 1,
    "Organization.containerEvents": 20,
    "Organization.events": 20,
    "Query.auditEntries": 20,
    "Query.channels": 20,
    "Query.duplicationRules": 20,
    "Query.eventChanges": 20,
    "Query.eventTypes": 20,
    "Query.events": 20,
    "Query.guardRules": 20,
    "Query.notifications": 20,
    "Query.retentionPolicies": 20,
    "Query.silences": 20,
    "Query.sources": 20,
}


def test_the_derived_costs_of_all_fields() -> None:
    derived = {
        f"{parent}.{name}": cost
        for parent, name, field in iterate_fields()
        if (cost := find_field_cost(SCHEMA.type_map[parent], name, field)) is not None
        and f"{parent}.{name}" not in COSTS
    }

    points = {name: cost.default_rows * cost.row_cost for name, cost in derived.items()}
    assert points == DERIVED_COSTS
    assert {cost.size_arguments for cost in derived.values() if cost.default_rows == 20} == {
        ("first", "last")
    }


def test_only_a_connection_costs_a_page() -> None:
    schema = graphql.build_schema(
        """
        interface Node { id: ID! }
        type PageInfo { endCursor: String }
        type Rows { nodes: [Row!]! pageInfo: PageInfo! }
        type Row implements Node {
          id: ID!
          list(first: Int = 10): [Row!]!
          names(first: Int): [String!]!
          connection(first: Int): Rows!
        }
        """
    )
    row = schema.type_map["Row"]
    assert isinstance(row, GraphQLObjectType)

    costs = {name: find_field_cost(row, name, field) for name, field in row.fields.items()}

    assert costs == {"id": None, "list": FEW_ROWS, "names": None, "connection": PAGE}


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
