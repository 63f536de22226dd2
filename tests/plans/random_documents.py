"""Random documents over the fields that plans cover: aliases, fragments, variables, directives."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from graphql import GraphQLObjectType, get_named_type, is_leaf_type

from app.graphql.shared.field_sources import (
    ComputedField,
    EventTypeReference,
    ListSource,
    get_field_source,
    get_strawberry_field,
)
from tests.plans.plan_and_execution import SCHEMA

CORE = SCHEMA.graphql_schema


def is_planned(type_: GraphQLObjectType, name: str) -> bool:
    """Whether any plan covers the field."""
    return get_field_source(type_, name) is not None or is_in_memory_attribute(type_, name)


def is_in_memory_attribute(type_: GraphQLObjectType, name: str) -> bool:
    """Whether it is an attribute of an object that is created in memory."""
    has_resolver = get_strawberry_field(type_.fields[name]).base_resolver is not None
    return type_ in _types_in_memory() and not has_resolver


@cache
def _types_in_memory() -> set[GraphQLObjectType]:
    """Returns the types of computed fields, of the items of subscriptions, and of attributes."""
    assert CORE.subscription_type is not None
    waiting = [get_named_type(field.type) for field in CORE.subscription_type.fields.values()]
    for parent in CORE.type_map.values():
        if isinstance(parent, GraphQLObjectType) and not parent.name.startswith("__"):
            waiting += [
                get_named_type(field.type)
                for name, field in parent.fields.items()
                if isinstance(get_field_source(parent, name), ComputedField)
            ]
    types: set[GraphQLObjectType] = set()
    while waiting:
        type_ = waiting.pop()
        if isinstance(type_, GraphQLObjectType) and type_ not in types:
            types.add(type_)
            waiting += [
                get_named_type(field.type)
                for name, field in type_.fields.items()
                if get_field_source(type_, name) is None
                and get_strawberry_field(field).base_resolver is None
            ]
    return types


@dataclass
class RandomDocument:
    """A random document. `arguments` has the choices for each field, as GraphQL literals and
    values.
    """

    seed: int
    arguments: dict[str, list[dict[str, tuple[str, Any]]]]
    variables: dict[str, Any] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._declared: list[str] = []
        self._fragments: list[str] = []

    def text(self) -> str:
        query = CORE.query_type
        assert query is not None
        roots = self._random.sample(
            [name for name in query.fields if is_planned(query, name)], self._random.randint(1, 2)
        )
        members = " ".join(self._field(query, name, 0) for name in roots)
        head = f"query Drawn({', '.join(self._declared)})" if self._declared else "query Drawn"
        return " ".join([head, "{", members, "}", *self._fragments])

    def subscription_text(self, name: str, arguments: str = "", *declared: str) -> str:
        """Returns a subscription to the field, with the variable `after`."""
        root = CORE.subscription_type
        assert root is not None
        selection = self._selection(get_named_type(root.fields[name].type), 1, False)
        heads = ", ".join(["$after: String", *declared, *self._declared])
        field = f"{name}(after: $after{arguments}) {selection}"
        return " ".join([f"subscription ({heads}) {{ {field} }}", *self._fragments])

    def _field(self, type_: GraphQLObjectType, name: str, depth: int) -> str:
        self.used.add(f"{type_.name}.{name}")
        alias = f"a{self._random.randint(0, 10**6)}: " if self._random.random() < 0.2 else ""
        arguments = self._arguments(f"{type_.name}.{name}")
        if arguments and self._random.random() < 0.5:
            alias = f"b{self._random.randint(0, 10**6)}: "
        within = get_named_type(type_.fields[name].type)
        shown = f"{alias}{name}{arguments}{self._directive()}"
        if is_leaf_type(within):
            return shown
        shared = (
            isinstance(get_field_source(type_, name), EventTypeReference)
            or within.name == "EventType"
        )
        return f"{shown} {self._selection(within, depth + 1, shared)}"

    def _selection(self, type_: Any, depth: int, shared: bool) -> str:
        names = [each for each in type_.fields if is_planned(type_, each)]
        if shared or type_.name in ("EventType", "EventField", "ConditionalRule"):
            names = [
                each for each in names if not isinstance(get_field_source(type_, each), ListSource)
            ]
        if depth > 4:
            names = [
                each for each in names if is_leaf_type(get_named_type(type_.fields[each].type))
            ]
        if type_.name == "Entity" and depth > 1:
            names = ["type", "entityId"]
        few = self._random.sample(
            names, self._random.randint(min(len(names), 1), min(len(names), 7))
        )
        members = ["__typename"]
        for name in few:
            member = self._field(type_, name, depth)
            if self._random.random() < 0.15:
                member = f"... on {type_.name} {{ {member} }}"
            elif self._random.random() < 0.1:
                self._fragments.append(
                    f"fragment F{len(self._fragments)} on {type_.name} {{ {member} }}"
                )
                member = f"...F{len(self._fragments) - 1}"
            members.append(member)
        self._random.shuffle(members)
        return "{ " + " ".join(members) + " }"

    def _arguments(self, coordinate: str) -> str:
        choices = self.arguments.get(coordinate)
        if not choices:
            return ""
        chosen = self._random.choice(choices)
        if not chosen:
            return ""
        return f"({', '.join(self._argument(*each) for each in chosen.items())})"

    def _argument(self, name: str, pair: tuple[str, Any]) -> str:
        type_, value = pair
        variable = f"v{len(self._declared)}"
        if self._random.random() < 0.3 and not type_.endswith("!") and value is not None:
            # Omitted, so that the default applies.
            self._declared.append(f"${variable}: {type_} = {_literal(value)}")
        elif self._random.random() < 0.5:
            self._declared.append(f"${variable}: {type_}")
            self.variables[variable] = value
        else:
            return f"{name}: {_literal(value)}"
        return f"{name}: ${variable}"

    def _directive(self) -> str:
        if self._random.random() > 0.1:
            return ""
        variable = f"v{len(self._declared)}"
        self._declared.append(f"${variable}: Boolean!")
        self.variables[variable] = self._random.random() < 0.5
        return f" @{self._random.choice(('skip', 'include'))}(if: ${variable})"


ENUMS = {
    "OCCURRED_AT",
    "RECORDED_AT",
    "LAST_OCCURRED_AT",
    "CATEGORY",
    "ASC",
    "DESC",
    "INFO",
    "WARN",
    "ERROR",
    "SUCCESS",
}
ENUMS |= {
    "SEVERITY",
    "ACKNOWLEDGED",
    "FAILURE",
    "PUBLISHED",
    "DRAFT",
    "GT",
    "EXISTS",
    "ACCESS",
    "EQ",
    "TYPE",
    "ENTITY",
    "OUTCOME",
    "SILENCED_BY",
}


def _literal(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value if value in ENUMS else f'"{value}"'
        case list():
            return f"[{', '.join(map(_literal, value))}]"
        case dict():
            return "{" + ", ".join(f"{key}: {_literal(each)}" for key, each in value.items()) + "}"
    return str(value)
