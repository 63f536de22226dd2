"""The schema keeps its promises: in step with its file, described, and within the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    build_schema,
    introspection_from_schema,
)
from graphql.utilities import BreakingChangeType, find_breaking_changes

from app.domain.access import Permission
from app.graphql.permissions import NEEDED
from app.graphql.schema import build_schema as build

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "schema.graphql").read_text()
CONTRACT = build_schema((ROOT / "tests/contract/contract.graphql").read_text())
OURS = build_schema(FILE)


def test_the_file_is_in_step_with_the_code() -> None:
    assert build().as_str() + "\n" == FILE, "run `make schema`"


def test_everything_is_described() -> None:
    blank = [
        coordinate for coordinate, description in _descriptions() if not (description or "").strip()
    ]

    assert blank == []


def test_what_is_there_is_what_the_contract_says() -> None:
    missing = {
        BreakingChangeType.TYPE_REMOVED,
        BreakingChangeType.FIELD_REMOVED,
        BreakingChangeType.ARG_REMOVED,
        BreakingChangeType.VALUE_REMOVED_FROM_ENUM,
    }

    changed = [
        change.description
        for change in find_breaking_changes(CONTRACT, OURS)
        if change.type not in missing
    ]

    assert changed == []


def test_every_argument_has_the_contract_s_default() -> None:
    ours = dict(_defaults(OURS))

    different = {
        place: (default, ours[place])
        for place, default in _defaults(CONTRACT)
        if place in ours and ours[place] != default
    }

    assert different == {}


def test_an_input_of_which_one_member_is_wanted_says_so() -> None:
    one_of = {name for name, type_ in CONTRACT.type_map.items() if _is_one_of(type_)}

    ours = {name for name in one_of if name in OURS.type_map}

    assert {name for name in ours if not _is_one_of(OURS.type_map[name])} == set()


def test_every_root_field_needs_a_permission() -> None:
    roots = [OURS.query_type, OURS.mutation_type, OURS.subscription_type]
    fields = {f"{root}.{name}" for root in roots if root for name in root.fields}

    below = {place for place in NEEDED if place.split(".")[0] not in {str(root) for root in roots}}

    assert set(NEEDED) - below == fields
    assert all(needed and needed <= set(Permission) for needed in NEEDED.values())


def _is_one_of(type_: Any) -> bool:
    return bool(getattr(type_, "is_one_of", False))


def _descriptions() -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for name, type_ in OURS.type_map.items():
        if name.startswith("__") or name in ("String", "Int", "Float", "Boolean", "ID"):
            continue
        found.append((name, type_.description))
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in type_.fields.items():
                found.append((f"{name}.{field_name}", field.description))
                for argument_name, argument in getattr(field, "args", {}).items():
                    found.append((f"{name}.{field_name}({argument_name})", argument.description))
        if isinstance(type_, GraphQLEnumType):
            found += [(f"{name}.{value}", each.description) for value, each in type_.values.items()]
    return found


def _defaults(schema: Any) -> list[tuple[str, str | None]]:
    introspected = json.loads(json.dumps(introspection_from_schema(schema)))["__schema"]["types"]
    return [
        (f"{type_['name']}.{field['name']}({argument['name']})", argument["defaultValue"] or "null")
        for type_ in introspected
        if not type_["name"].startswith("__")
        for field in type_.get("fields") or ()
        for argument in field["args"]
    ]
