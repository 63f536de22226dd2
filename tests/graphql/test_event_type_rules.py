"""Conditional rules as a client lives with them: fields shown, hidden and required, on logging,
on updating and on checking.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.definitions import (
    ADD_RULE,
    CHECK,
    CREATE,
    DELETE_RULE,
    FIND,
    NOWHERE,
    UPDATE_EVENT,
    UPDATE_RULE,
    asks,
    define,
    everything,
    field,
    refusal,
    rule,
    shape,
    told,
)

BOTH = {"all": [asks("a", "EQ", "x"), {"not": asks("b")}]}


async def outcome(client: Client, values: dict[str, Any]) -> Any:
    """What logging a gauge of these values comes to: the fields kept, or what is wrong; warnings.

    checkEvent must say the same.
    """
    report = {"type": "gauge", "fields": values}
    checked = await client.ask(CHECK, input=report)
    logged = await client.ask(LOG_EVENT, input=report)
    assert checked["accepted"] == (logged["event"] is not None)
    assert checked["warnings"] == logged["warnings"]
    assert checked["userErrors"] == logged["userErrors"]
    if logged["event"] is None:
        return told(logged["userErrors"])
    return logged["event"]["fields"], told(logged["warnings"])


def hidden(*names: str) -> list[tuple[str, str]]:
    return [("FIELD_HIDDEN", f"input.fields.{name}") for name in names]


def missing(*names: str) -> list[tuple[str, str]]:
    return [("FIELD_REQUIRED", f"input.fields.{name}") for name in names]


# Fields and rules of a type, then values with what becomes of them.
Case = tuple[list[dict[str, Any]], list[dict[str, Any]], list[tuple[dict[str, Any], Any]]]
CASES: dict[str, Case] = {
    "SHOW shows while it holds": (
        [field("a"), field("b")],
        [rule("SHOW", "b", asks("a", "EQ", "x"))],
        [
            ({"a": "x", "b": "1"}, ({"a": "x", "b": "1"}, [])),
            ({"a": "y", "b": "1"}, ({"a": "y"}, hidden("b"))),
            ({"b": "1"}, ({}, hidden("b"))),
            ({"a": "y"}, ({"a": "y"}, [])),
        ],
    ),
    "one of several SHOW is enough": (
        [field("a"), field("b"), field("c")],
        [rule("SHOW", "c", asks("a")), rule("SHOW", "c", asks("b"))],
        [
            ({"b": "1", "c": "2"}, ({"b": "1", "c": "2"}, [])),
            ({"c": "2"}, ({}, hidden("c"))),
        ],
    ),
    "HIDE hides while it holds, and wins": (
        [field("a"), field("b"), field("c")],
        [rule("SHOW", "c", asks("a")), rule("HIDE", "c", asks("b"))],
        [
            ({"a": "1", "c": "2"}, ({"a": "1", "c": "2"}, [])),
            ({"a": "1", "b": "1", "c": "2"}, ({"a": "1", "b": "1"}, hidden("c"))),
            ({"b": "1", "c": "2"}, ({"b": "1"}, hidden("c"))),
        ],
    ),
    "REQUIRE requires what is visible": (
        [field("a"), field("b"), field("c")],
        [rule("REQUIRE", "b", asks("a")), rule("HIDE", "b", asks("c"))],
        [
            ({}, ({}, [])),
            ({"a": "1"}, missing("b")),
            ({"a": "1", "b": "2"}, ({"a": "1", "b": "2"}, [])),
            ({"a": "1", "c": "1"}, ({"a": "1", "c": "1"}, [])),
        ],
    ),
    "both or neither is two REQUIRE": (
        [field("a"), field("b")],
        [rule("REQUIRE", "b", asks("a")), rule("REQUIRE", "a", asks("b"))],
        [({}, ({}, [])), ({"a": "1"}, missing("b")), ({"b": "1"}, missing("a"))],
    ),
    "hidden and required is not required": (
        [field("a"), field("b", required=True)],
        [rule("SHOW", "b", asks("a"))],
        [({}, ({}, [])), ({"a": "1"}, missing("b")), ({"b": "1"}, ({}, hidden("b")))],
    ),
    "hidden with a default gets none": (
        [field("a"), field("b", "NUMBER", default=7), field("c")],
        [rule("SHOW", "b", asks("a")), rule("SHOW", "c", asks("b", "EQ", 7))],
        [
            ({}, ({}, [])),
            ({"a": "1"}, ({"a": "1", "b": 7}, [])),
            ({"a": "1", "c": "2"}, ({"a": "1", "b": 7, "c": "2"}, [])),
            ({"a": "1", "b": 8, "c": "2"}, ({"a": "1", "b": 8}, hidden("c"))),
            ({"c": "2"}, ({}, hidden("c"))),
        ],
    ),
    "a chain settles from the top": (
        [field("d"), field("c"), field("b"), field("a")],
        [
            rule("SHOW", "d", asks("c")),
            rule("SHOW", "c", asks("b")),
            rule("HIDE", "b", asks("a", "NOT_EXISTS")),
        ],
        [
            (dict.fromkeys("abcd", "1"), (dict.fromkeys("abcd", "1"), [])),
            (dict.fromkeys("bcd", "1"), ({}, hidden("d", "c", "b"))),
            (dict.fromkeys("acd", "1"), ({"a": "1"}, hidden("d", "c"))),
        ],
    ),
    "what is absent or hidden makes a test false, NE included": (
        [field("a"), field("b"), field("c")],
        [rule("SHOW", "b", asks("a")), rule("SHOW", "c", asks("b", "NE", "x"))],
        [
            ({"a": "1", "b": "y", "c": "2"}, ({"a": "1", "b": "y", "c": "2"}, [])),
            ({"a": "1", "c": "2"}, ({"a": "1"}, hidden("c"))),
            ({"b": "y", "c": "2"}, ({}, hidden("b", "c"))),
        ],
    ),
    "conditions nest": (
        [field("a"), field("b"), field("c", "NUMBER"), field("d")],
        [
            rule(
                "SHOW",
                "d",
                {"any": [BOTH, {"all": [{"any": []}]}, {"not": {"not": asks("c", "GTE", 2)}}]},
            )
        ],
        [
            ({"a": "x", "d": "1"}, ({"a": "x", "d": "1"}, [])),
            ({"a": "x", "b": "y", "d": "1"}, ({"a": "x", "b": "y"}, hidden("d"))),
            ({"c": 2.0, "d": "1"}, ({"c": 2.0, "d": "1"}, [])),
            ({"c": 1.9, "d": "1"}, ({"c": 1.9}, hidden("d"))),
        ],
    ),
    "a rule that is not enabled does nothing": (
        [field("a"), field("b", required=True)],
        [rule("HIDE", "b", {"all": []}, enabled=False)],
        [({"b": "1"}, ({"b": "1"}, [])), ({}, missing("b"))],
    ),
    "what is hidden is not judged": (
        [field("a"), field("b", "NUMBER", maximum=5)],
        [rule("HIDE", "b", asks("a"))],
        [
            ({"a": "1", "b": 9}, ({"a": "1"}, hidden("b"))),
            ({"b": 9}, [("FIELD_INVALID", "input.fields.b")]),
        ],
    ),
    "a warning does not hide what is wrong": (
        [field("a"), field("b"), field("c", "NUMBER")],
        [rule("HIDE", "b", asks("a"))],
        [
            (
                {"a": "1", "b": "2", "c": "x", "z": 1},
                [("FIELD_INVALID", "input.fields.c"), ("FIELD_UNKNOWN", "input.fields.z")],
            )
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_rules_show_hide_and_require(client: Client, case: str) -> None:
    fields, rules, expected = CASES[case]
    await define(client, *fields, conditionalRules=rules)

    answers = [(values, await outcome(client, values)) for values, _ in expected]

    assert [(values, _in_order(answer)) for values, answer in answers] == [
        (values, _in_order(answer)) for values, answer in expected
    ]


def _in_order(answer: Any) -> Any:
    return sorted(answer) if isinstance(answer, list) else answer


async def test_a_hidden_value_is_told_and_stored_nowhere(
    own_client: Client, database: Database
) -> None:
    await define(own_client, *map(field, "ab"), conditionalRules=[rule("HIDE", "b", asks("a"))])

    payload = await own_client.ask(
        LOG_EVENT, input={"type": "gauge", "fields": {"a": "1", "b": "very secret"}}
    )

    assert payload["event"]["fields"] == {"a": "1"}
    assert payload["warnings"] == [
        {
            "code": "FIELD_HIDDEN",
            "message": "b is hidden by a conditional rule: its value was dropped.",
            "path": ["input", "fields", "b"],
        }
    ]
    assert "very secret" not in repr(await everything(database))
    found = """query ($fields: [FieldPredicate!]) { events(filter: {fields: $fields}) {
      totalCount } }"""
    assert await own_client.ask(found, fields=[{"field": "b", "operator": "EXISTS"}]) == {
        "totalCount": 0
    }


async def test_an_update_that_hides_a_field_drops_its_value_and_the_log_keeps_it(
    client: Client,
) -> None:
    await define(client, *map(field, "ab"), conditionalRules=[rule("HIDE", "b", asks("a"))])
    event = await client.log(type="gauge", fields={"b": "kept"})

    payload = await client.ask(UPDATE_EVENT, input={"id": event["id"], "fields": {"a": "1"}})

    assert payload == {
        "event": {"version": 2, "fields": {"a": "1"}, "eventTypeVersion": 1},
        "warnings": [{"code": "FIELD_HIDDEN", "path": ["input", "fields", "b"]}],
        "userErrors": [],
    }
    found = await client.ask(
        "query ($id: ID!) { event(id: $id) { fields history { nodes { kind changes } } } }",
        id=event["id"],
    )
    logged, updated = found["history"]["nodes"]
    assert found["fields"] == {"a": "1"}
    assert (logged["kind"], updated["kind"]) == ("LOGGED", "UPDATED")
    assert updated["changes"]["fields"] == [{"b": "kept"}, {"a": "1"}]


async def test_an_update_that_shows_a_required_field_needs_it(
    own_client: Client, database: Database
) -> None:
    await define(
        own_client,
        *(field("a"), field("b", required=True), field("c", default="of old")),
        conditionalRules=[rule("SHOW", "b c", asks("a"))],
    )
    event = await own_client.log(type="gauge")
    before = await everything(database)

    refused = await own_client.ask(UPDATE_EVENT, input={"id": event["id"], "fields": {"a": "1"}})
    unchanged = await everything(database)
    accepted = await own_client.ask(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"a": "1", "b": "2"}}
    )

    assert told(refused["userErrors"]) == missing("b")
    assert unchanged == before
    assert accepted["event"]["fields"] == {"a": "1", "b": "2", "c": "of old"}


async def test_what_is_read_of_a_condition_can_be_sent_back(client: Client) -> None:
    conditions: list[dict[str, Any]] = [
        {"all": []},
        {"any": [asks("a", "IN", ["x", "y"]), {"not": asks("n", "LT", -1.5)}]},
        {
            "all": [
                asks("t", "EQ", False),
                asks("m", "CONTAINS", "x"),
                asks("d", "GTE", "2026-04-10"),
            ]
        },
        asks("a", "EQ", ""),
        asks("a", "EQ", 'ü"\\/\n😀'),
        asks("n", "EQ", 9007199254740991),
        {"not": {"not": {"not": {"not": asks("a", "NOT_EXISTS")}}}},
    ]
    fields = [
        *(field("a"), field("n", "NUMBER"), field("t", "BOOLEAN"), field("d", "DATE"), field("z")),
        field("m", "MULTI_SELECT", options=["x"]),
    ]
    rules = [rule("SHOW", "z", each, name=str(n)) for n, each in enumerate(conditions)]
    made = await define(client, *fields, conditionalRules=rules)

    read = [each["condition"] for each in made["conditionalRules"]]
    again = [
        await shape(client, UPDATE_RULE, input={"id": each["id"], "condition": each["condition"]})
        for each in made["conditionalRules"]
    ]

    assert read == conditions
    assert again == [made] * len(conditions)


async def test_a_rule_is_added_changed_and_taken_away(client: Client) -> None:
    made = await define(client, *map(field, "abc"))

    added = await client.ask(ADD_RULE, id=made["id"], rule=rule("SHOW", "b", asks("a")))
    id = added["conditionalRule"]["id"]
    changed = await client.ask(
        UPDATE_RULE,
        input={
            "id": id,
            "name": "other",
            "effect": "HIDE",
            "targets": ["c", "b"],
            "condition": BOTH | {"all": [asks("a")]},
            "enabled": False,
        },
    )
    deleted = await client.ask(DELETE_RULE, id=id)

    assert added["conditionalRule"] == {
        "id": id,
        "name": "show b",
        "effect": "SHOW",
        "enabled": True,
        "condition": asks("a"),
        "targets": [{"name": "b"}],
        "eventType": {"id": made["id"]},
    }
    assert changed["conditionalRule"] == added["conditionalRule"] | {
        "name": "other",
        "effect": "HIDE",
        "enabled": False,
        "condition": {"all": [asks("a")]},
        "targets": [{"name": "c"}, {"name": "b"}],
    }
    assert deleted["conditionalRule"] == changed["conditionalRule"]
    assert [each["eventType"]["version"] for each in (added, changed, deleted)] == [2, 3, 4]
    assert deleted["eventType"]["conditionalRules"] == []
    assert await refusal(client, DELETE_RULE, id=id) == [("NOT_FOUND", "id")]


@pytest.mark.parametrize(("id", "code"), [("no id", "INVALID_INPUT"), (NOWHERE, "NOT_FOUND")])
async def test_what_is_not_there_has_no_rules_to_change(client: Client, id: str, code: str) -> None:
    assert await refusal(client, ADD_RULE, id=id, rule=rule("SHOW", "a", asks("b"))) == [
        (code, "eventTypeId")
    ]
    assert await refusal(client, UPDATE_RULE, input={"id": id, "name": "x"}) == [(code, "input.id")]
    assert await refusal(client, DELETE_RULE, id=id) == [(code, "id")]


KINDS = [
    *(field("t"), field("n", "NUMBER"), field("i", "INTEGER"), field("y", "BOOLEAN")),
    *(field("d", "DATE"), field("at", "DATETIME"), field("u", "URL"), field("e", "EMAIL")),
    *(field("s", "SELECT", options=["x"]), field("m", "MULTI_SELECT", options=["x"]), field("z")),
]
HUGE = 10**400
MISFITS: list[tuple[dict[str, Any], str]] = [
    (asks("t", "GT", "x"), "field.operator"),
    (asks("at", "EQ", "2026-04-10T10:30:00Z"), "field.operator"),
    (asks("m", "EQ", ["x"]), "field.operator"),
    (asks("y", "CONTAINS", True), "field.operator"),
    (asks("t", "EQ"), "field.value"),
    (asks("t", "EQ", None), "field.value"),
    (asks("t", "EQ", 1), "field.value"),
    (asks("t", "EQ", {"a": 1}), "field.value"),
    (asks("t", "EQ", ["x"]), "field.value"),
    (asks("t", "EQ", "\0"), "field.value"),
    (asks("t", "EQ", "\ud800"), "field.value"),
    (asks("t", "CONTAINS", "x" * 256), "field.value"),
    (asks("t", "IN", "x"), "field.value"),
    (asks("t", "IN", []), "field.value"),
    (asks("t", "IN", ["x", ["x"]]), "field.value.1"),
    (asks("t", "EXISTS", False), "field.value"),
    (asks("n", "EQ", "1"), "field.value"),
    (asks("n", "EQ", True), "field.value"),
    (asks("n", "GT", HUGE), "field.value"),
    (asks("n", "GT", float("inf")), "field.value"),
    (asks("n", "EQ", 2**53), "field.value"),
    (asks("i", "EQ", 1.5), "field.value"),
    (asks("i", "IN", [1, 1.5]), "field.value.1"),
    (asks("y", "EQ", 1), "field.value"),
    (asks("d", "EQ", "2026-02-30"), "field.value"),
    (asks("s", "EQ", "y"), "field.value"),
    (asks("s", "IN", ["x", "y"]), "field.value.1"),
    (asks("m", "CONTAINS", "y"), "field.value"),
    (asks("nope"), "field.field"),
    (asks("\ud800"), "field.field"),
    (asks("nope", "IN", [[{}]]), "field.field"),
    ({"any": [{"all": []}, {"not": asks("s", "LT", "x")}]}, "any.1.not.field.operator"),
]


async def test_what_does_not_fit_the_field_is_refused_at_its_place(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client, *KINDS)
    before = await everything(database)

    answers = [
        (
            condition,
            await refusal(own_client, ADD_RULE, id=made["id"], rule=rule("HIDE", "z", condition)),
        )
        for condition, _ in MISFITS
    ]

    assert repr(answers) == repr(
        [
            (condition, [("INVALID_INPUT", f"rule.condition.{place}")])
            for condition, place in MISFITS
        ]
    )
    assert await everything(database) == before


async def test_a_bad_rule_is_refused_at_its_place(own_client: Client, database: Database) -> None:
    made = await define(
        own_client, *map(field, "ab"), conditionalRules=[rule("SHOW", "b", asks("a"))]
    )
    [known] = made["conditionalRules"]
    before = await everything(database)
    bad: list[tuple[dict[str, Any], list[str]]] = [
        ({"name": ""}, ["name"]),
        ({"name": "n" * 256}, ["name"]),
        ({"name": "\0", "targets": []}, ["name", "targets"]),
        ({"targets": ["b", "b", "nope"]}, ["targets.1", "targets.2"]),
        ({"targets": ["\ud800"]}, ["targets.0"]),
        ({"condition": asks("b", "GT", "x"), "effect": "REQUIRE"}, ["condition.field.operator"]),
    ]

    for given, places in bad:
        said = rule("REQUIRE", "a", asks("b")) | given
        added = await refusal(own_client, ADD_RULE, id=made["id"], rule=said)
        updated = await refusal(own_client, UPDATE_RULE, input={"id": known["id"]} | given)
        assert added == [("INVALID_INPUT", f"rule.{place}") for place in places]
        assert updated == [("INVALID_INPUT", f"input.{place}") for place in places]
    cleared = dict.fromkeys(["name", "effect", "targets", "condition", "enabled"])
    assert await refusal(own_client, UPDATE_RULE, input={"id": known["id"]} | cleared) == [
        ("INVALID_INPUT", f"input.{name}") for name in cleared
    ]

    assert await everything(database) == before


async def test_a_cycle_is_refused_naming_the_path(own_client: Client, database: Database) -> None:
    made = await define(
        own_client,
        *map(field, "abcd"),
        conditionalRules=[rule("SHOW", "b", asks("a")), rule("HIDE", "c d", {"not": asks("b")})],
    )
    before = await everything(database)

    payload = await own_client.ask(ADD_RULE, id=made["id"], rule=rule("SHOW", "a", asks("d")))
    of_itself = await own_client.ask(
        ADD_RULE,
        id=made["id"],
        rule=rule("HIDE", "a", {"any": [{"not": asks("a")}]}, enabled=False),
    )
    by_update = await own_client.ask(
        UPDATE_RULE,
        input={"id": made["conditionalRules"][0]["id"], "condition": {"all": [asks("c")]}},
    )

    assert told(payload["userErrors"]) == [("CYCLE", "rule.condition")]
    assert told(of_itself["userErrors"]) == [("CYCLE", "rule.condition")]
    assert told(by_update["userErrors"]) == [("CYCLE", "input.condition")]
    ways = ("a -> b -> d -> a", "b -> d -> a -> b", "d -> a -> b -> d")
    assert any(way in payload["userErrors"][0]["message"] for way in ways)
    assert "a -> a" in of_itself["userErrors"][0]["message"]
    assert await everything(database) == before


async def test_a_new_type_with_a_cycle_is_refused_at_every_rule_in_it(
    own_client: Client, database: Database
) -> None:
    before = await everything(database)
    rules = [
        rule("SHOW", "b", asks("a")),
        rule("REQUIRE", "c", asks("a")),
        rule("HIDE", "a", asks("b")),
    ]

    wrong = await refusal(
        own_client,
        CREATE,
        input={"name": "G", "fields": [*map(field, "abc")], "conditionalRules": rules},
    )

    assert wrong == [("CYCLE", f"input.conditionalRules.{index}.condition") for index in (0, 2)]
    assert await everything(database) == before


async def test_require_makes_no_cycle(client: Client) -> None:
    made = await define(client, *map(field, "ab"), conditionalRules=[rule("SHOW", "b", asks("a"))])

    after = await shape(client, ADD_RULE, id=made["id"], rule=rule("REQUIRE", "a", asks("b")))
    itself = await shape(client, ADD_RULE, id=made["id"], rule=rule("REQUIRE", "a", asks("a")))

    assert (after["version"], itself["version"]) == (2, 3)


async def test_the_hundredth_rule_is_the_last(own_client: Client, database: Database) -> None:
    rules = [rule("REQUIRE", "b", asks("a"), name=str(n)) for n in range(99)]
    made = await define(own_client, *map(field, "ab"), conditionalRules=rules)

    last = await shape(own_client, ADD_RULE, id=made["id"], rule=rules[0])
    before = await everything(database)
    payload = await own_client.ask(ADD_RULE, id=made["id"], rule=rules[0])
    created = await refusal(
        own_client,
        CREATE,
        input={
            "name": "G",
            "fields": [*map(field, "ab")],
            "conditionalRules": [*rules, *rules[:2]],
        },
    )

    assert (len(last["conditionalRules"]), last["version"]) == (100, 2)
    assert told(payload["userErrors"]) == [("LIMIT_REACHED", "rule")]
    assert "100" in payload["userErrors"][0]["message"]
    assert created == [("LIMIT_REACHED", "input.conditionalRules")]
    assert await everything(database) == before


def _nested(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = asks("a")
    for _ in range(levels - 1):
        condition = {"not": condition}
    return condition


async def test_a_condition_is_of_bounded_size(own_client: Client, database: Database) -> None:
    made = await define(own_client, *map(field, "ab"))
    texts = [str(n) for n in range(101)]
    for fitting in (_nested(5), asks("a", "IN", texts[:100]), {"any": [asks("a")] * 99}):
        await shape(own_client, ADD_RULE, id=made["id"], rule=rule("HIDE", "b", fitting))
    before = await everything(database)

    too_large: list[dict[str, Any]] = [
        _nested(6),
        _nested(100),
        asks("a", "IN", texts),
        {"all": [asks("a")] * 101},
        {"all": [{"any": []}] * 101},
        {"all": [{"all": []}] * 5_000},
    ]
    for large in too_large:
        assert await refusal(
            own_client, ADD_RULE, id=made["id"], rule=rule("HIDE", "b", large)
        ) == [("INVALID_INPUT", "rule.condition")]

    assert await everything(database) == before


async def test_a_rule_has_no_more_targets_than_a_type_has_fields(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client, *map(field, "ab"))
    before = await everything(database)

    for targets in (["b"] * 10_000, [f"x{n}" for n in range(10_000)]):
        said = rule("HIDE", "b", asks("a")) | {"targets": targets}
        assert await refusal(own_client, ADD_RULE, id=made["id"], rule=said) == [
            ("INVALID_INPUT", "rule.targets")
        ]

    assert await everything(database) == before


@pytest.mark.parametrize("levels", [200, 1_000, 10_000])
async def test_an_abyss_of_conditions_is_refused(
    own_client: Client, database: Database, levels: int
) -> None:
    made = await define(own_client, *map(field, "ab"))
    before = await everything(database)
    deep = '{"not": ' * levels + '{"all": []}' + "}" * levels
    body = json.dumps({"query": ADD_RULE, "variables": {"id": made["id"], "rule": "RULE"}})
    said = json.dumps(rule("HIDE", "b", {})).replace("{}", deep)

    answer = await own_client.http.post(
        "/graphql",
        content=body.replace('"RULE"', said),
        headers={"content-type": "application/json"},
    )

    assert answer.status_code in (200, 400)
    assert '"conditionalRule"' not in answer.text
    assert "INTERNAL" not in answer.text
    assert await everything(database) == before


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"all": None},
        {"all": [], "any": []},
        {"all": [], "any": None},
        {"all": [None]},
        {"all": [{}]},
        {"not": {"any": [{"field": None}]}},
        {"not": {"all": [], "not": {"all": []}}},
        {"field": {"field": "a", "operator": "LIKE"}},
    ],
)
async def test_a_condition_is_one_of_four_forms(
    own_client: Client, database: Database, condition: dict[str, Any]
) -> None:
    made = await define(own_client, *map(field, "ab"))
    before = await everything(database)

    error = await own_client.error(ADD_RULE, id=made["id"], rule=rule("HIDE", "b", condition))

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert await everything(database) == before


async def test_a_rule_finds_the_fields_under_their_names(client: Client) -> None:
    made = await define(client, *map(field, "ab"), conditionalRules=[rule("SHOW", "b", asks("a"))])

    found = await client.ask(
        """query ($id: ID!) { node(id: $id) { ... on ConditionalRule {
             targets { id name } eventType { id conditionalRules { id } } } } }""",
        id=made["conditionalRules"][0]["id"],
    )

    assert found == {
        "targets": [{"id": made["fields"][1]["id"], "name": "b"}],
        "eventType": {
            "id": made["id"],
            "conditionalRules": [{"id": made["conditionalRules"][0]["id"]}],
        },
    }
    assert (await client.ask(FIND, id=made["id"])) == made
