"""Plans read the same inputs as graphql-core and Strawberry, and accept no others."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    OperationDefinitionNode,
    get_argument_values,
    get_variable_values,
    parse,
)
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.types.arguments import convert_arguments

from app.graphql.plans.input_readers import (
    FieldArguments,
    InputReaders,
    UnsupportedInputError,
    VariableReader,
)
from app.graphql.plans.plan_steps import NotPlannedError, OperationRequest
from app.graphql.shared.field_sources import get_strawberry_field
from tests.plans.plan_and_execution import SCHEMA
from tests.plans.random_documents import CORE

VALUES = 40  # for each field
READERS = InputReaders()
JSON_VALUES = [None, True, 0, 1.5, "text", [1, {"a": None}], {"b": [2.0]}]
# Values of scalars: valid ones first, then those that are coerced or rejected.
SCALARS: dict[str, list[Any]] = {
    "String": ["text", "", 'q"\\\u00e9\U0001f525', 1, True, {}, ["a"]],
    "ID": ["01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f", "x", 5, 5.0, 5.5, True, []],
    "Boolean": [True, False, 0, "true", []],
    "Int": [0, -3, 2**31 - 1, 4.0, 2**31, 1.5, "1", True],
    "Float": [1.5, 2, -0.0, 1e300, "1.5", False],
    "DateTime": ["2026-04-01T12:30:00.5+02:00", "2026-04-01T00:00:00Z", "2026-04-01", 5, {}],
    "Duration": ["PT1H", "P7D", "P1Y", 60],
    "JSON": JSON_VALUES[1:],
}


def _fields() -> list[tuple[GraphQLObjectType, str]]:
    return [
        (type_, name)
        for type_ in CORE.type_map.values()
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__")
        for name, field in type_.fields.items()
        if field.args
    ]


class DrawnArguments:
    """Arguments of one field as literals and variables, with the JSON values of the variables."""

    def __init__(self, seed: str, type_: GraphQLObjectType, name: str, invalid: float) -> None:
        self._random = random.Random(seed)
        self._invalid = invalid
        self.declarations: list[str] = []
        self.variables: dict[str, Any] = {}
        self.field = type_.fields[name]
        arguments = []
        for argument_name, argument in self.field.args.items():
            if not isinstance(argument.type, GraphQLNonNull) and self._random.random() < 0.4:
                continue
            arguments.append(f"{argument_name}: {self._draw_node(argument.type, 0)}")
        written = f"({', '.join(arguments)})" if arguments else ""
        head = f"({', '.join(self.declarations)})" if self.declarations else ""
        self.text = f"query {head} {{ {name}{written} }}"

    def _draw_node(self, type_: Any, depth: int) -> str:
        """Returns a variable or a literal, in which variables may be nested."""
        if self._random.random() < 0.35:
            return self._draw_variable(type_)
        nullable = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if nullable is type_ and self._random.random() < 0.1:
            return "null"
        if isinstance(nullable, GraphQLList):
            count = self._random.randint(0, 2)
            items = [self._draw_node(nullable.of_type, depth + 1) for _ in range(count)]
            return (
                items[0] if count == 1 and not items[0].startswith("$") else f"[{', '.join(items)}]"
            )
        if isinstance(nullable, GraphQLInputObjectType):
            names = self._draw_members(nullable, depth)
            members = [
                f"{each}: {self._draw_node(nullable.fields[each].type, depth + 1)}"
                for each in names
            ]
            return "{" + ", ".join(members) + "}"
        return _format_literal(self._draw_json(type_, depth, valid=True), nullable)

    def _draw_variable(self, type_: Any) -> str:
        name = f"v{len(self.declarations)}"
        declared = type_
        default = ""
        if not isinstance(type_, GraphQLNonNull) and self._random.random() < 0.2:
            declared = GraphQLNonNull(type_)
        elif _is_scalar(type_) and self._random.random() < 0.3:
            default = f" = {_format_literal(self._draw_json(type_, 9, valid=True), type_)}"
            if isinstance(type_, GraphQLNonNull):
                declared = type_.of_type
        self.declarations.append(f"${name}: {declared}{default}")
        is_optional = default or self._invalid or not isinstance(declared, GraphQLNonNull)
        if self._random.random() < 0.85 or not is_optional:
            self.variables[name] = self._draw_json(declared, 0)
        return f"${name}"

    def _draw_members(self, type_: GraphQLInputObjectType, depth: int) -> list[str]:
        if type_.is_one_of and self._random.random() > self._invalid:
            return [self._random.choice(list(type_.fields))]
        return [
            name
            for name, field in type_.fields.items()
            if isinstance(field.type, GraphQLNonNull)
            or (depth < 3 and self._random.random() < 3 / len(type_.fields))
        ]

    def _draw_json(self, type_: Any, depth: int, valid: bool = False) -> Any:
        invalid = 0.0 if valid else self._invalid
        if isinstance(type_, GraphQLNonNull):
            if self._random.random() < invalid:
                return None
            type_ = type_.of_type
        elif not valid and self._random.random() < 0.15:
            return None
        if self._random.random() < invalid / 2:
            return self._random.choice(JSON_VALUES)
        if isinstance(type_, GraphQLList):
            count = self._random.randint(0, 2)
            items = [self._draw_json(type_.of_type, depth + 1, valid) for _ in range(count)]
            return items[0] if count == 1 and self._random.random() < 0.3 else items
        if isinstance(type_, GraphQLInputObjectType):
            members = {
                name: self._draw_json(type_.fields[name].type, depth + 1, valid)
                for name in self._draw_members(type_, depth)
            }
            if self._random.random() < invalid / 3:
                members["nobody"] = 1
            if self._random.random() < invalid / 3 and members:
                del members[next(iter(members))]
            return members
        if isinstance(type_, GraphQLEnumType):
            return self._random.choice(list(type_.values))
        choices = SCALARS[type_.name]
        return self._random.choice(choices[:2] if valid or invalid == 0.0 else choices)


@pytest.mark.parametrize("invalid", [0.0, 0.15])
def test_plans_read_the_same_inputs_as_execution(invalid: float) -> None:
    results = {"read": 0, "rejected": 0}

    for type_, name in _fields():
        for seed in range(VALUES):
            drawn = DrawnArguments(f"{type_}.{name} {seed}", type_, name, invalid)
            document = parse(drawn.text)
            [operation] = document.definitions
            assert isinstance(operation, OperationDefinitionNode)
            [node] = operation.selection_set.selections
            assert isinstance(node, FieldNode)
            expected = _read_by_execution(drawn, operation, node)
            try:
                arguments = _read_by_plan(drawn, operation, node)
            except (UnsupportedInputError, GraphQLError):
                results["rejected"] += 1
                assert expected is None, (drawn.text, json.dumps(drawn.variables))
                continue
            except NotPlannedError:
                continue
            results["read"] += 1
            assert arguments == expected, (drawn.text, json.dumps(drawn.variables))

    assert results["read"] > 1_000
    assert (results["rejected"] > 200) is (invalid > 0), results


def _read_by_execution(
    drawn: DrawnArguments, operation: OperationDefinitionNode, node: FieldNode
) -> dict[str, Any] | None:
    """Returns the arguments as the resolver gets them. None if they are invalid."""
    values = get_variable_values(CORE, operation.variable_definitions or (), drawn.variables)
    if isinstance(values, list):
        return None
    definitions = get_strawberry_field(drawn.field).arguments
    try:
        converted = convert_arguments(
            get_argument_values(drawn.field, node, values),
            definitions,
            SCHEMA.schema_converter.scalar_registry,
            SCHEMA.config,
        )
    except (GraphQLError, StrawberryInputCoercionError):
        return None
    return converted


def _read_by_plan(
    drawn: DrawnArguments, operation: OperationDefinitionNode, node: FieldNode
) -> dict[str, Any]:
    context: Any = None
    reader = VariableReader(CORE, READERS, operation.variable_definitions or ())
    json_values, inputs = reader.read_variables(drawn.variables)
    request = OperationRequest(context, json_values, inputs)
    return FieldArguments(READERS, drawn.field, node).read_arguments(request)


def _is_scalar(type_: Any) -> bool:
    named = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    return not isinstance(named, GraphQLList | GraphQLInputObjectType)


def _format_literal(value: Any, type_: Any) -> str:
    named = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(named, GraphQLEnumType):
        return str(value)
    return json.dumps(value)
