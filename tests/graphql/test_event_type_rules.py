"""Conditional rules: fields shown, hidden and required in logEvent, updateEvent and checkEvent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.event_type_client import (
    ADD_RULE,
    CHECK,
    CREATE,
    DELETE_RULE,
    FIND,
    UNKNOWN_ID,
    UPDATE_EVENT,
    UPDATE_RULE,
    change_event_type,
    codes_and_paths,
    define_event_type,
    fetch_all_rows,
    fetch_refusal,
    field_input,
    predicate_input,
    rule_input,
)

BOTH = {"all": [predicate_input("a", "EQ", "x"), {"not": predicate_input("b")}]}


async def log_gauge(client: Client, values: dict[str, Any]) -> Any:
    """Logs a gauge with these values. Returns the stored fields and the warnings, or the errors.

    checkEvent must return the same.
    """
    report = {"type": "gauge", "fields": values}
    checked = await client.execute_field(CHECK, input=report)
    logged = await client.execute_field(LOG_EVENT, input=report)
    assert checked["accepted"] == (logged["event"] is not None)
    assert checked["warnings"] == logged["warnings"]
    assert checked["userErrors"] == logged["userErrors"]
    if logged["event"] is None:
        return codes_and_paths(logged["userErrors"])
    return logged["event"]["fields"], codes_and_paths(logged["warnings"])


def hidden_errors(*names: str) -> list[tuple[str, str]]:
    return [("FIELD_HIDDEN", f"input.fields.{name}") for name in names]


def missing_errors(*names: str) -> list[tuple[str, str]]:
    return [("FIELD_REQUIRED", f"input.fields.{name}") for name in names]


# Fields and rules of a type, then values with their results.
Case = tuple[list[dict[str, Any]], list[dict[str, Any]], list[tuple[dict[str, Any], Any]]]
CASES: dict[str, Case] = {
    "SHOW shows while it holds": (
        [field_input("a"), field_input("b")],
        [rule_input("SHOW", "b", predicate_input("a", "EQ", "x"))],
        [
            ({"a": "x", "b": "1"}, ({"a": "x", "b": "1"}, [])),
            ({"a": "y", "b": "1"}, ({"a": "y"}, hidden_errors("b"))),
            ({"b": "1"}, ({}, hidden_errors("b"))),
            ({"a": "y"}, ({"a": "y"}, [])),
        ],
    ),
    "times are compared by instant": (
        [field_input("at", "DATETIME"), field_input("b")],
        [rule_input("SHOW", "b", predicate_input("at", "GT", "2026-04-10T12:30:00+02:00"))],
        [
            (
                {"at": "2026-04-10T08:30:00.000001-02:00", "b": "1"},
                ({"at": "2026-04-10T08:30:00.000001-02:00", "b": "1"}, []),
            ),
            (
                {"at": "2026-04-10T08:30:00.000000999-02:00", "b": "1"},
                ({"at": "2026-04-10T08:30:00.000000999-02:00"}, hidden_errors("b")),
            ),
            (
                {"at": "2026-04-10T20:29:59+10:00", "b": "1"},
                ({"at": "2026-04-10T20:29:59+10:00"}, hidden_errors("b")),
            ),
            ({"b": "1"}, ({}, hidden_errors("b"))),
        ],
    ),
    "one of several SHOW is enough": (
        [field_input("a"), field_input("b"), field_input("c")],
        [
            rule_input("SHOW", "c", predicate_input("a")),
            rule_input("SHOW", "c", predicate_input("b")),
        ],
        [
            ({"b": "1", "c": "2"}, ({"b": "1", "c": "2"}, [])),
            ({"c": "2"}, ({}, hidden_errors("c"))),
        ],
    ),
    "HIDE hides while it holds, and wins": (
        [field_input("a"), field_input("b"), field_input("c")],
        [
            rule_input("SHOW", "c", predicate_input("a")),
            rule_input("HIDE", "c", predicate_input("b")),
        ],
        [
            ({"a": "1", "c": "2"}, ({"a": "1", "c": "2"}, [])),
            ({"a": "1", "b": "1", "c": "2"}, ({"a": "1", "b": "1"}, hidden_errors("c"))),
            ({"b": "1", "c": "2"}, ({"b": "1"}, hidden_errors("c"))),
        ],
    ),
    "REQUIRE requires what is visible": (
        [field_input("a"), field_input("b"), field_input("c")],
        [
            rule_input("REQUIRE", "b", predicate_input("a")),
            rule_input("HIDE", "b", predicate_input("c")),
        ],
        [
            ({}, ({}, [])),
            ({"a": "1"}, missing_errors("b")),
            ({"a": "1", "b": "2"}, ({"a": "1", "b": "2"}, [])),
            ({"a": "1", "c": "1"}, ({"a": "1", "c": "1"}, [])),
        ],
    ),
    "both or neither is two REQUIRE": (
        [field_input("a"), field_input("b")],
        [
            rule_input("REQUIRE", "b", predicate_input("a")),
            rule_input("REQUIRE", "a", predicate_input("b")),
        ],
        [({}, ({}, [])), ({"a": "1"}, missing_errors("b")), ({"b": "1"}, missing_errors("a"))],
    ),
    "hidden and required is not required": (
        [field_input("a"), field_input("b", required=True)],
        [rule_input("SHOW", "b", predicate_input("a"))],
        [({}, ({}, [])), ({"a": "1"}, missing_errors("b")), ({"b": "1"}, ({}, hidden_errors("b")))],
    ),
    "hidden with a default gets none": (
        [field_input("a"), field_input("b", "NUMBER", default=7), field_input("c")],
        [
            rule_input("SHOW", "b", predicate_input("a")),
            rule_input("SHOW", "c", predicate_input("b", "EQ", 7)),
        ],
        [
            ({}, ({}, [])),
            ({"a": "1"}, ({"a": "1", "b": 7}, [])),
            ({"a": "1", "c": "2"}, ({"a": "1", "b": 7, "c": "2"}, [])),
            ({"a": "1", "b": 8, "c": "2"}, ({"a": "1", "b": 8}, hidden_errors("c"))),
            ({"c": "2"}, ({}, hidden_errors("c"))),
        ],
    ),
    "a chain settles from the top": (
        [field_input("d"), field_input("c"), field_input("b"), field_input("a")],
        [
            rule_input("SHOW", "d", predicate_input("c")),
            rule_input("SHOW", "c", predicate_input("b")),
            rule_input("HIDE", "b", predicate_input("a", "NOT_EXISTS")),
        ],
        [
            (dict.fromkeys("abcd", "1"), (dict.fromkeys("abcd", "1"), [])),
            (dict.fromkeys("bcd", "1"), ({}, hidden_errors("d", "c", "b"))),
            (dict.fromkeys("acd", "1"), ({"a": "1"}, hidden_errors("d", "c"))),
        ],
    ),
    "what is absent or hidden makes a test false, NE included": (
        [field_input("a"), field_input("b"), field_input("c")],
        [
            rule_input("SHOW", "b", predicate_input("a")),
            rule_input("SHOW", "c", predicate_input("b", "NE", "x")),
        ],
        [
            ({"a": "1", "b": "y", "c": "2"}, ({"a": "1", "b": "y", "c": "2"}, [])),
            ({"a": "1", "c": "2"}, ({"a": "1"}, hidden_errors("c"))),
            ({"b": "y", "c": "2"}, ({}, hidden_errors("b", "c"))),
        ],
    ),
    "conditions nest": (
        [field_input("a"), field_input("b"), field_input("c", "NUMBER"), field_input("d")],
        [
            rule_input(
                "SHOW",
                "d",
                {
                    "any": [
                        BOTH,
                        {"all": [{"any": []}]},
                        {"not": {"not": predicate_input("c", "GTE", 2)}},
                    ]
                },
            )
        ],
        [
            ({"a": "x", "d": "1"}, ({"a": "x", "d": "1"}, [])),
            ({"a": "x", "b": "y", "d": "1"}, ({"a": "x", "b": "y"}, hidden_errors("d"))),
            ({"c": 2.0, "d": "1"}, ({"c": 2.0, "d": "1"}, [])),
            ({"c": 1.9, "d": "1"}, ({"c": 1.9}, hidden_errors("d"))),
        ],
    ),
    "a rule that is not enabled does nothing": (
        [field_input("a"), field_input("b", required=True)],
        [rule_input("HIDE", "b", {"all": []}, enabled=False)],
        [({"b": "1"}, ({"b": "1"}, [])), ({}, missing_errors("b"))],
    ),
    "what is hidden is not judged": (
        [field_input("a"), field_input("b", "NUMBER", maximum=5)],
        [rule_input("HIDE", "b", predicate_input("a"))],
        [
            ({"a": "1", "b": 9}, ({"a": "1"}, hidden_errors("b"))),
            ({"b": 9}, [("FIELD_INVALID", "input.fields.b")]),
        ],
    ),
    "a warning does not hide what is wrong": (
        [field_input("a"), field_input("b"), field_input("c", "NUMBER")],
        [rule_input("HIDE", "b", predicate_input("a"))],
        [
            (
                {"a": "1", "b": "2", "c": "x", "z": 1},
                [("FIELD_INVALID", "input.fields.c"), ("FIELD_UNKNOWN", "input.fields.z")],
            )
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_rules_show_hide_and_require_fields(client: Client, case: str) -> None:
    fields, rules, expected = CASES[case]
    await define_event_type(client, *fields, conditionalRules=rules)

    answers = [(values, await log_gauge(client, values)) for values, _ in expected]

    assert [(values, _sort_errors(answer)) for values, answer in answers] == [
        (values, _sort_errors(answer)) for values, answer in expected
    ]


def _sort_errors(answer: Any) -> Any:
    return sorted(answer) if isinstance(answer, list) else answer


async def test_a_hidden_value_is_a_warning_and_not_stored(
    client: Client, shared_database: Database
) -> None:
    await define_event_type(
        client,
        *map(field_input, "ab"),
        conditionalRules=[rule_input("HIDE", "b", predicate_input("a"))],
    )

    payload = await client.execute_field(
        LOG_EVENT, input={"type": "gauge", "fields": {"a": "1", "b": "very secret"}}
    )

    assert payload["event"]["fields"] == {"a": "1"}
    assert payload["warnings"] == [
        {
            "code": "FIELD_HIDDEN",
            "message": "Field 'b' is hidden by a conditional rule, so its value was dropped.",
            "path": ["input", "fields", "b"],
        }
    ]
    assert "very secret" not in repr(await fetch_all_rows(shared_database, client))
    count_query = """query ($fields: [FieldPredicate!]) { events(filter: {fields: $fields}) {
      totalCount } }"""
    assert await client.execute_field(
        count_query, fields=[{"field": "b", "operator": "EXISTS"}]
    ) == {"totalCount": 0}


async def test_an_update_that_hides_a_field_drops_its_value_except_in_the_change_log(
    client: Client,
) -> None:
    await define_event_type(
        client,
        *map(field_input, "ab"),
        conditionalRules=[rule_input("HIDE", "b", predicate_input("a"))],
    )
    event = await client.log_event(type="gauge", fields={"b": "kept"})

    payload = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"a": "1"}}
    )

    assert payload == {
        "event": {"version": 2, "fields": {"a": "1"}, "eventTypeVersion": 1},
        "warnings": [{"code": "FIELD_HIDDEN", "path": ["input", "fields", "b"]}],
        "userErrors": [],
    }
    count_query = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { fields history { nodes { kind changes } } } }",
        id=event["id"],
    )
    logged, updated = count_query["history"]["nodes"]
    assert count_query["fields"] == {"a": "1"}
    assert (logged["kind"], updated["kind"]) == ("LOGGED", "UPDATED")
    assert updated["changes"]["fields"] == [{"b": "kept"}, {"a": "1"}]


async def test_an_update_that_shows_a_required_field_must_set_it(
    client: Client, shared_database: Database
) -> None:
    await define_event_type(
        client,
        *(field_input("a"), field_input("b", required=True), field_input("c", default="of old")),
        conditionalRules=[rule_input("SHOW", "b c", predicate_input("a"))],
    )
    event = await client.log_event(type="gauge")
    before = await fetch_all_rows(shared_database, client)

    refused = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"a": "1"}}
    )
    unchanged = await fetch_all_rows(shared_database, client)
    accepted = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"a": "1", "b": "2"}}
    )

    assert codes_and_paths(refused["userErrors"]) == missing_errors("b")
    assert unchanged == before
    assert accepted["event"]["fields"] == {"a": "1", "b": "2", "c": "of old"}


async def test_a_returned_condition_is_valid_input(client: Client) -> None:
    conditions: list[dict[str, Any]] = [
        {"all": []},
        {
            "any": [
                predicate_input("a", "IN", ["x", "y"]),
                {"not": predicate_input("n", "LT", -1.5)},
            ]
        },
        {
            "all": [
                predicate_input("t", "EQ", False),
                predicate_input("m", "CONTAINS", "x"),
                predicate_input("d", "GTE", "2026-04-10"),
            ]
        },
        predicate_input("a", "EQ", ""),
        predicate_input("a", "EQ", 'ü"\\/\n😀'),
        predicate_input("n", "EQ", 9007199254740991),
        {"not": {"not": {"not": {"not": predicate_input("a", "NOT_EXISTS")}}}},
    ]
    fields = [
        *(
            field_input("a"),
            field_input("n", "NUMBER"),
            field_input("t", "BOOLEAN"),
            field_input("d", "DATE"),
            field_input("z"),
        ),
        field_input("m", "MULTI_SELECT", options=["x"]),
    ]
    rules = [rule_input("SHOW", "z", each, name=str(n)) for n, each in enumerate(conditions)]
    event_type = await define_event_type(client, *fields, conditionalRules=rules)

    read = [each["condition"] for each in event_type["conditionalRules"]]
    again = [
        await change_event_type(
            client, UPDATE_RULE, input={"id": each["id"], "condition": each["condition"]}
        )
        for each in event_type["conditionalRules"]
    ]

    assert read == conditions
    assert again == [event_type] * len(conditions)


async def test_a_rule_is_added_changed_and_deleted(client: Client) -> None:
    event_type = await define_event_type(client, *map(field_input, "abc"))

    added = await client.execute_field(
        ADD_RULE, id=event_type["id"], rule=rule_input("SHOW", "b", predicate_input("a"))
    )
    id = added["conditionalRule"]["id"]
    changed = await client.execute_field(
        UPDATE_RULE,
        input={
            "id": id,
            "name": "other",
            "effect": "HIDE",
            "targets": ["c", "b"],
            "condition": BOTH | {"all": [predicate_input("a")]},
            "enabled": False,
        },
    )
    deleted = await client.execute_field(DELETE_RULE, id=id)

    assert added["conditionalRule"] == {
        "id": id,
        "name": "show b",
        "effect": "SHOW",
        "enabled": True,
        "condition": predicate_input("a"),
        "targets": [{"name": "b"}],
        "eventType": {"id": event_type["id"]},
    }
    assert changed["conditionalRule"] == added["conditionalRule"] | {
        "name": "other",
        "effect": "HIDE",
        "enabled": False,
        "condition": {"all": [predicate_input("a")]},
        "targets": [{"name": "c"}, {"name": "b"}],
    }
    assert deleted["conditionalRule"] == changed["conditionalRule"]
    assert [each["eventType"]["version"] for each in (added, changed, deleted)] == [2, 3, 4]
    assert deleted["eventType"]["conditionalRules"] == []
    assert await fetch_refusal(client, DELETE_RULE, id=id) == [("NOT_FOUND", "id")]


@pytest.mark.parametrize(("id", "code"), [("no id", "INVALID_INPUT"), (UNKNOWN_ID, "NOT_FOUND")])
async def test_rules_of_an_unknown_type_cannot_be_changed(
    client: Client, id: str, code: str
) -> None:
    assert await fetch_refusal(
        client, ADD_RULE, id=id, rule=rule_input("SHOW", "a", predicate_input("b"))
    ) == [(code, "eventTypeId")]
    assert await fetch_refusal(client, UPDATE_RULE, input={"id": id, "name": "x"}) == [
        (code, "input.id")
    ]
    assert await fetch_refusal(client, DELETE_RULE, id=id) == [(code, "id")]


KINDS = [
    *(
        field_input("t"),
        field_input("n", "NUMBER"),
        field_input("i", "INTEGER"),
        field_input("y", "BOOLEAN"),
    ),
    *(
        field_input("d", "DATE"),
        field_input("at", "DATETIME"),
        field_input("u", "URL"),
        field_input("e", "EMAIL"),
    ),
    *(
        field_input("s", "SELECT", options=["x"]),
        field_input("m", "MULTI_SELECT", options=["x"]),
        field_input("z"),
    ),
]
HUGE = 10**400
MISFITS: list[tuple[dict[str, Any], str]] = [
    (predicate_input("t", "GT", "x"), "field.operator"),
    (predicate_input("at", "EQ", "2026-04-10T10:30:00Z"), "field.operator"),
    (predicate_input("at", "GT", "2026-04-10T10:30:00"), "field.value"),
    (predicate_input("at", "GT", "2026-02-30T10:30:00Z"), "field.value"),
    (predicate_input("m", "EQ", ["x"]), "field.operator"),
    (predicate_input("y", "CONTAINS", True), "field.operator"),
    (predicate_input("t", "EQ"), "field.value"),
    (predicate_input("t", "EQ", None), "field.value"),
    (predicate_input("t", "EQ", 1), "field.value"),
    (predicate_input("t", "EQ", {"a": 1}), "field.value"),
    (predicate_input("t", "EQ", ["x"]), "field.value"),
    (predicate_input("t", "EQ", "\0"), "field.value"),
    (predicate_input("t", "EQ", "\ud800"), "field.value"),
    (predicate_input("t", "CONTAINS", "x" * 256), "field.value"),
    (predicate_input("t", "IN", "x"), "field.value"),
    (predicate_input("t", "IN", []), "field.value"),
    (predicate_input("t", "IN", ["x", ["x"]]), "field.value.1"),
    (predicate_input("t", "EXISTS", False), "field.value"),
    (predicate_input("n", "EQ", "1"), "field.value"),
    (predicate_input("n", "EQ", True), "field.value"),
    (predicate_input("n", "GT", HUGE), "field.value"),
    (predicate_input("n", "GT", float("inf")), "field.value"),
    (predicate_input("n", "EQ", 2**53), "field.value"),
    (predicate_input("i", "EQ", 1.5), "field.value"),
    (predicate_input("i", "IN", [1, 1.5]), "field.value.1"),
    (predicate_input("y", "EQ", 1), "field.value"),
    (predicate_input("d", "EQ", "2026-02-30"), "field.value"),
    (predicate_input("s", "EQ", "y"), "field.value"),
    (predicate_input("s", "IN", ["x", "y"]), "field.value.1"),
    (predicate_input("m", "CONTAINS", "y"), "field.value"),
    (predicate_input("nope"), "field.field"),
    (predicate_input("\ud800"), "field.field"),
    (predicate_input("nope", "IN", [[{}]]), "field.field"),
    ({"any": [{"all": []}, {"not": predicate_input("s", "LT", "x")}]}, "any.1.not.field.operator"),
]


async def test_an_operator_or_value_of_another_kind_is_rejected_with_its_path(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client, *KINDS)
    before = await fetch_all_rows(shared_database, client)

    answers = [
        (
            condition,
            await fetch_refusal(
                client, ADD_RULE, id=event_type["id"], rule=rule_input("HIDE", "z", condition)
            ),
        )
        for condition, _ in MISFITS
    ]

    assert repr(answers) == repr(
        [(condition, [("INVALID_INPUT", f"rule.condition.{path}")]) for condition, path in MISFITS]
    )
    assert await fetch_all_rows(shared_database, client) == before


async def test_an_invalid_rule_is_rejected_with_its_path(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(
        client,
        *map(field_input, "ab"),
        conditionalRules=[rule_input("SHOW", "b", predicate_input("a"))],
    )
    [rules] = event_type["conditionalRules"]
    before = await fetch_all_rows(shared_database, client)
    bad: list[tuple[dict[str, Any], list[str]]] = [
        ({"name": ""}, ["name"]),
        ({"name": "n" * 256}, ["name"]),
        ({"name": "\0", "targets": []}, ["name", "targets"]),
        ({"targets": ["b", "b", "nope"]}, ["targets.1", "targets.2"]),
        ({"targets": ["\ud800"]}, ["targets.0"]),
        (
            {"condition": predicate_input("b", "GT", "x"), "effect": "REQUIRE"},
            ["condition.field.operator"],
        ),
    ]

    for overrides, paths in bad:
        new_rule = rule_input("REQUIRE", "a", predicate_input("b")) | overrides
        added = await fetch_refusal(client, ADD_RULE, id=event_type["id"], rule=new_rule)
        updated = await fetch_refusal(client, UPDATE_RULE, input={"id": rules["id"]} | overrides)
        assert added == [("INVALID_INPUT", f"rule.{path}") for path in paths]
        assert updated == [("INVALID_INPUT", f"input.{path}") for path in paths]
    cleared = dict.fromkeys(["name", "effect", "targets", "condition", "enabled"])
    assert await fetch_refusal(client, UPDATE_RULE, input={"id": rules["id"]} | cleared) == [
        ("INVALID_INPUT", f"input.{name}") for name in cleared
    ]

    assert await fetch_all_rows(shared_database, client) == before


async def test_a_cycle_is_rejected_with_its_path(client: Client, shared_database: Database) -> None:
    event_type = await define_event_type(
        client,
        *map(field_input, "abcd"),
        conditionalRules=[
            rule_input("SHOW", "b", predicate_input("a")),
            rule_input("HIDE", "c d", {"not": predicate_input("b")}),
        ],
    )
    before = await fetch_all_rows(shared_database, client)

    payload = await client.execute_field(
        ADD_RULE, id=event_type["id"], rule=rule_input("SHOW", "a", predicate_input("d"))
    )
    of_itself = await client.execute_field(
        ADD_RULE,
        id=event_type["id"],
        rule=rule_input("HIDE", "a", {"any": [{"not": predicate_input("a")}]}, enabled=False),
    )
    by_update = await client.execute_field(
        UPDATE_RULE,
        input={
            "id": event_type["conditionalRules"][0]["id"],
            "condition": {"all": [predicate_input("c")]},
        },
    )

    assert codes_and_paths(payload["userErrors"]) == [("CYCLE", "rule.condition")]
    assert codes_and_paths(of_itself["userErrors"]) == [("CYCLE", "rule.condition")]
    assert codes_and_paths(by_update["userErrors"]) == [("CYCLE", "input.condition")]
    ways = ("a -> b -> d -> a", "b -> d -> a -> b", "d -> a -> b -> d")
    assert any(way in payload["userErrors"][0]["message"] for way in ways)
    assert "a -> a" in of_itself["userErrors"][0]["message"]
    assert await fetch_all_rows(shared_database, client) == before


async def test_a_new_type_with_a_cycle_has_an_error_for_each_rule_of_it(
    client: Client, shared_database: Database
) -> None:
    before = await fetch_all_rows(shared_database, client)
    rules = [
        rule_input("SHOW", "b", predicate_input("a")),
        rule_input("REQUIRE", "c", predicate_input("a")),
        rule_input("HIDE", "a", predicate_input("b")),
    ]

    wrong = await fetch_refusal(
        client,
        CREATE,
        input={"name": "G", "fields": [*map(field_input, "abc")], "conditionalRules": rules},
    )

    assert wrong == [("CYCLE", f"input.conditionalRules.{index}.condition") for index in (0, 2)]
    assert await fetch_all_rows(shared_database, client) == before


async def test_require_rules_create_no_cycle(client: Client) -> None:
    event_type = await define_event_type(
        client,
        *map(field_input, "ab"),
        conditionalRules=[rule_input("SHOW", "b", predicate_input("a"))],
    )

    after = await change_event_type(
        client, ADD_RULE, id=event_type["id"], rule=rule_input("REQUIRE", "a", predicate_input("b"))
    )
    itself = await change_event_type(
        client, ADD_RULE, id=event_type["id"], rule=rule_input("REQUIRE", "a", predicate_input("a"))
    )

    assert (after["version"], itself["version"]) == (2, 3)


async def test_a_type_has_at_most_100_rules(client: Client, shared_database: Database) -> None:
    rules = [rule_input("REQUIRE", "b", predicate_input("a"), name=str(n)) for n in range(99)]
    event_type = await define_event_type(client, *map(field_input, "ab"), conditionalRules=rules)

    last = await change_event_type(client, ADD_RULE, id=event_type["id"], rule=rules[0])
    before = await fetch_all_rows(shared_database, client)
    payload = await client.execute_field(ADD_RULE, id=event_type["id"], rule=rules[0])
    created = await fetch_refusal(
        client,
        CREATE,
        input={
            "name": "G",
            "fields": [*map(field_input, "ab")],
            "conditionalRules": [*rules, *rules[:2]],
        },
    )

    assert (len(last["conditionalRules"]), last["version"]) == (100, 2)
    assert codes_and_paths(payload["userErrors"]) == [("LIMIT_REACHED", "rule")]
    assert "100" in payload["userErrors"][0]["message"]
    assert created == [("LIMIT_REACHED", "input.conditionalRules")]
    assert await fetch_all_rows(shared_database, client) == before


def _nested_condition(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = predicate_input("a")
    for _ in range(levels - 1):
        condition = {"not": condition}
    return condition


async def test_the_size_of_a_condition_is_limited(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client, *map(field_input, "ab"))
    texts = [str(n) for n in range(101)]
    for fitting in (
        _nested_condition(5),
        predicate_input("a", "IN", texts[:100]),
        {"any": [predicate_input("a")] * 99},
    ):
        await change_event_type(
            client, ADD_RULE, id=event_type["id"], rule=rule_input("HIDE", "b", fitting)
        )
    before = await fetch_all_rows(shared_database, client)

    too_large: list[dict[str, Any]] = [
        _nested_condition(6),
        _nested_condition(100),
        predicate_input("a", "IN", texts),
        {"all": [predicate_input("a")] * 101},
        {"all": [{"any": []}] * 101},
        {"all": [{"all": []}] * 5_000},
    ]
    for large in too_large:
        assert await fetch_refusal(
            client, ADD_RULE, id=event_type["id"], rule=rule_input("HIDE", "b", large)
        ) == [("INVALID_INPUT", "rule.condition")]

    assert await fetch_all_rows(shared_database, client) == before


async def test_the_number_of_targets_is_limited(client: Client, shared_database: Database) -> None:
    event_type = await define_event_type(client, *map(field_input, "ab"))
    before = await fetch_all_rows(shared_database, client)

    for targets in (["b"] * 10_000, [f"x{n}" for n in range(10_000)]):
        new_rule = rule_input("HIDE", "b", predicate_input("a")) | {"targets": targets}
        assert await fetch_refusal(client, ADD_RULE, id=event_type["id"], rule=new_rule) == [
            ("INVALID_INPUT", "rule.targets")
        ]

    assert await fetch_all_rows(shared_database, client) == before


@pytest.mark.parametrize("levels", [200, 1_000, 10_000])
async def test_a_very_deeply_nested_condition_is_rejected(
    own_client: Client, database: Database, levels: int
) -> None:
    event_type = await define_event_type(own_client, *map(field_input, "ab"))
    before = await fetch_all_rows(database)
    deep = '{"not": ' * levels + '{"all": []}' + "}" * levels
    body = json.dumps({"query": ADD_RULE, "variables": {"id": event_type["id"], "rule": "RULE"}})
    new_rule = json.dumps(rule_input("HIDE", "b", {})).replace("{}", deep)

    answer = await own_client.http.post(
        "/graphql",
        content=body.replace('"RULE"', new_rule),
        headers={"content-type": "application/json"},
    )

    assert answer.status_code in (200, 400)
    # With a plan, which an earlier call of the document compiles, more levels can be read.
    result = answer.json()
    assert result.get("errors") or result["data"]["addConditionalRule"]["userErrors"]
    assert "INTERNAL" not in answer.text
    assert await fetch_all_rows(database) == before


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
async def test_a_condition_has_exactly_one_of_four_forms(
    client: Client, shared_database: Database, condition: dict[str, Any]
) -> None:
    event_type = await define_event_type(client, *map(field_input, "ab"))
    before = await fetch_all_rows(shared_database, client)

    error = await client.expect_error(
        ADD_RULE, id=event_type["id"], rule=rule_input("HIDE", "b", condition)
    )

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert await fetch_all_rows(shared_database, client) == before


async def test_a_rule_returns_its_target_fields_and_its_type(client: Client) -> None:
    event_type = await define_event_type(
        client,
        *map(field_input, "ab"),
        conditionalRules=[rule_input("SHOW", "b", predicate_input("a"))],
    )

    count_query = await client.execute_field(
        """query ($id: ID!) { node(id: $id) { ... on ConditionalRule {
             targets { id name } eventType { id conditionalRules { id } } } } }""",
        id=event_type["conditionalRules"][0]["id"],
    )

    assert count_query == {
        "targets": [{"id": event_type["fields"][1]["id"], "name": "b"}],
        "eventType": {
            "id": event_type["id"],
            "conditionalRules": [{"id": event_type["conditionalRules"][0]["id"]}],
        },
    }
    assert (await client.execute_field(FIND, id=event_type["id"])) == event_type
