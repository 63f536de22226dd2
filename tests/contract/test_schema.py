"""The schema file matches the code; everything is described, and each root field has
permissions.
"""

from __future__ import annotations

import re
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    Undefined,
    build_schema,
    parse,
    parse_value,
    validate,
    value_from_ast,
)

from app.domain.access.caller import Permission
from app.graphql.schema import build_schema as build
from app.graphql.shared.permissions import REQUIRED_PERMISSIONS

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "schema.graphql").read_text()
OURS = build_schema(FILE)


def test_the_schema_file_matches_the_code() -> None:
    assert build().as_str() + "\n" == FILE, "run `make schema`"


def test_everything_is_described() -> None:
    blank = [
        coordinate for coordinate, description in _descriptions() if not (description or "").strip()
    ]

    assert blank == []


def test_examples_in_descriptions_are_valid() -> None:
    for coordinate, description in _descriptions():
        for example in re.findall(r"```graphql\n(.*?)\n```", description or "", re.DOTALL):
            type_ = OURS.type_map[coordinate.split(".")[0]]
            if isinstance(type_, GraphQLInputObjectType):
                assert value_from_ast(parse_value(example), type_) is not Undefined, coordinate
            else:
                assert validate(OURS, parse(example)) == [], coordinate


def test_every_root_field_has_an_entry_in_the_table_of_permissions() -> None:
    roots = [OURS.query_type, OURS.mutation_type, OURS.subscription_type]
    fields = {f"{root}.{name}" for root in roots if root for name in root.fields}

    below = {
        coordinate
        for coordinate in REQUIRED_PERMISSIONS
        if coordinate.split(".")[0] not in {str(root) for root in roots}
    }

    assert set(REQUIRED_PERMISSIONS) - below == fields
    assert all(needed <= set(Permission) for needed in REQUIRED_PERMISSIONS.values())
    without = {coordinate for coordinate, needed in REQUIRED_PERMISSIONS.items() if not needed}
    assert without == {"Query.viewer", "Query.logHead"}


def _descriptions() -> list[tuple[str, str | None]]:
    results: list[tuple[str, str | None]] = []
    for name, type_ in OURS.type_map.items():
        if name.startswith("__") or name in ("String", "Int", "Float", "Boolean", "ID"):
            continue
        results.append((name, type_.description))
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in type_.fields.items():
                results.append((f"{name}.{field_name}", field.description))
                for argument_name, argument in getattr(field, "args", {}).items():
                    results.append((f"{name}.{field_name}({argument_name})", argument.description))
        if isinstance(type_, GraphQLEnumType):
            results += [
                (f"{name}.{value}", each.description) for value, each in type_.values.items()
            ]
    return results
