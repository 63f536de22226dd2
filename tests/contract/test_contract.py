"""`schema.graphql` contains the whole contract, and the comparison detects every omission."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from graphql import build_schema

from tests.contract.schema_diff import find_differences

ROOT = Path(__file__).parents[2]
SCHEMA = re.sub(r'\s*""".*?"""\n', "\n", (ROOT / "schema.graphql").read_text(), flags=re.DOTALL)
CONTRACT = build_schema((ROOT / "tests/contract/contract.graphql").read_text())

# A schema with what the contract does not have: a union, an input without a default.
SMALL = """
type Query { any(of: In, must: ID!, by: In = {a: 1, b: [2]}): Any one: Thing things: [Thing!] }
union Any = Thing | Other
interface Named { name: String }
type Thing implements Named { name: String }
type Other { id: ID }
input In { a: Int b: [Int] }
"""


def test_the_schema_contains_the_whole_contract() -> None:
    assert find_differences(CONTRACT, build_schema(SCHEMA)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected_message"),
    [
        ("type Viewer {", "interface Viewer {", "Viewer: has another kind"),
        ("  severity: Severity!\n", "", "Event.severity: field is missing"),
        ("  depth: Int!\n", "  depth: Int\n", "Correlation.depth: gives Int, not Int!"),
        (
            "  tags: [String!]!\n",
            "  tags: [String]!\n",
            "Event.tags: gives [String]!, not [String!]!",
        ),
        ("  logHead: String!", "  logHead: ID!", "Query.logHead: gives ID!, not String!"),
        (
            "  logHead: String!",
            "  logHead: [String!]!",
            "Query.logHead: gives [String!]!, not String!",
        ),
        ("type Event implements Node", "type Event", "Event.Node: interface is missing"),
        ("  DEPRECATED\n", "", "EventTypeState.DEPRECATED: value is missing"),
        ("EventTypeBy @oneOf", "EventTypeBy", "EventTypeBy: is not @oneOf"),
        ("  logHead: String!", "  logHead: String! @deprecated", "Query.logHead: is deprecated"),
        (
            "  logHead: String!",
            "  logHead(of: ID!): String!",
            "Query.logHead(of): is required, and not in the contract",
        ),
        (
            "input EntityInput {",
            "input EntityInput { at: ID!",
            "EntityInput.at: is required, and not in the contract",
        ),
        ("(\n    by: EventTypeBy!\n  )", "", "Query.eventType(by): is missing"),
        ("  sourceIds: [String!] = null\n", "", "EventFilter.sourceIds: is missing"),
        ("  ids: [ID!] = null", "  ids: [ID!]!", "EventFilter.ids: takes [ID!]!, not [ID!]"),
        ("  ids: [ID!] = null", "  ids: ID", "EventFilter.ids: takes ID, not [ID!]"),
        ("  ids: [ID!] = null", "  ids: [ID!] = []", "EventFilter.ids: is [] by default, not null"),
        (
            "  pageSize: Int = 20",
            "  pageSize: Int",
            "Query.cloudEvents(pageSize): is null by default, not 20",
        ),
        (
            'null @deprecated(reason: "Use planningTags: \\"StudyId:<id>\\".")',
            "null",
            "Query.cloudEvents(studyId): is not deprecated",
        ),
    ],
)
def test_every_omission_is_reported(old: str, new: str, expected_message: str) -> None:
    assert old in SCHEMA

    differences = find_differences(CONTRACT, build_schema(SCHEMA.replace(old, new, 1)))

    assert differences == [expected_message]


def test_a_missing_type_is_reported_with_the_fields_that_return_it() -> None:
    changed = SCHEMA.replace("EventCount", "Tally").replace("Mutation", "Change")

    differences = find_differences(
        CONTRACT, build_schema(f"schema {{ query: Query mutation: Change }} {changed}")
    )

    assert differences == [
        "schema: its mutation_type is not Mutation",
        "schema: its subscription_type is not Subscription",
        "EventCount: is missing",
        "Query.eventCounts: gives [Tally!]!, not [EventCount!]!",
        "Mutation: is missing",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Any = Thing | Other", "Any = Thing", ["Any.Other: member is missing"]),
        ("of: In,", "of: In = {a: 1},", ["Query.any(of): is { a: 1 } by default, not null"]),
        (
            "b: [2]}",
            "b: [3]}",
            ["Query.any(by): is { a: 1, b: [3] } by default, not { a: 1, b: [2] }"],
        ),
        ("input In", "input In @oneOf", ["In: is additionally @oneOf"]),
        ("{a: 1, b: [2]}", "{b: [2], a: 1}", []),
        ("(of: In,", "(more: In, most: ID! = 1, of: In,", []),
        ("(of: In,", "(of: In!,", ["Query.any(of): takes In!, not In"]),
        ("must: ID!", "must: ID", []),
        ("one: Thing", "one: Thing!", []),
        ("any(", "all: Any any(", []),
        ("): Any", "): Thing", []),
        ("): Any", "): [Any]", ["Query.any: gives [Any], not Any"]),
        ("): Any", "): Named", ["Query.any: gives Named, not Any"]),
        ("one: Thing", "one: Any", ["Query.one: gives Any, not Thing"]),
        ("things: [Thing!]", "things: [Thing!]!", []),
        ("things: [Thing!]", "things: [Any!]", ["Query.things: gives [Any!], not [Thing!]"]),
    ],
)
def test_results_may_be_narrower_and_inputs_wider(old: str, new: str, expected: list[str]) -> None:
    assert old in SMALL

    assert find_differences(build_schema(SMALL), build_schema(SMALL.replace(old, new))) == expected
