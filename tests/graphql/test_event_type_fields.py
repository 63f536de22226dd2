"""The fields of an event type: added, changed, removed, put into another order."""

from __future__ import annotations

from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import Client
from tests.definitions import (
    ADD_FIELD,
    FIND,
    NOWHERE,
    REMOVE_FIELD,
    REORDER,
    UPDATE_FIELD,
    asks,
    define,
    everything,
    field,
    refusal,
    rule,
    shape,
    told,
)


async def test_a_field_is_added_at_the_end_of_the_form(client: Client) -> None:
    made = await define(client, field("a"))
    said = field(
        *("b", "NUMBER"), label="B", required=True, helpText="h", unit="mcf", minimum=0, maximum=9
    )

    after = await shape(client, ADD_FIELD, id=made["id"], field=said | {"default": 3})

    added = after["fields"][1]
    assert after["version"] == 2
    assert added == {
        "id": added["id"],
        "name": "b",
        "label": "B",
        "kind": "NUMBER",
        "required": True,
        "position": 1,
        "helpText": "h",
        "unit": "mcf",
        "options": None,
        "minimum": 0.0,
        "maximum": 9.0,
        "minLength": None,
        "maxLength": None,
        "pattern": None,
        "default": 3,
    }
    assert await client.ask(FIND, id=made["id"]) == after


REFUSED: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    (field("a", "NUMBER"), [("ALREADY_EXISTS", "field.name")]),
    (field("B"), [("INVALID_INPUT", "field.name")]),
    (field("while"), [("INVALID_INPUT", "field.name")]),
    (field("\ud800"), [("INVALID_INPUT", "field.name")]),
    (field("b", "NUMBER", default="x"), [("INVALID_INPUT", "field.default")]),
    (field("b", default={"a": [1]}), [("INVALID_INPUT", "field.default")]),
    (field("b", "NUMBER", default=10**400), [("INVALID_INPUT", "field.default")]),
    (field("b", pattern="(?<=x)y"), [("INVALID_INPUT", "field.pattern")]),
    (field("b", helpText="\0"), [("INVALID_INPUT", "field.helpText")]),
    (
        field("b", "SELECT", options=[], minimum=1, label=""),
        [
            ("INVALID_INPUT", "field.label"),
            ("INVALID_INPUT", "field.options"),
            ("INVALID_INPUT", "field.minimum"),
        ],
    ),
    (
        field("b", "MULTI_SELECT", options=["x", "", "x"]),
        [("INVALID_INPUT", "field.options.1"), ("INVALID_INPUT", "field.options")],
    ),
]


async def test_a_field_that_cannot_be_added_is_told_at_its_place(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client, field("a"))
    before = await everything(database)

    answers = [
        (said, await refusal(own_client, ADD_FIELD, id=made["id"], field=said))
        for said, _ in REFUSED
    ]

    assert answers == REFUSED
    assert await everything(database) == before


@pytest.mark.parametrize(("id", "code"), [("no id", "INVALID_INPUT"), (NOWHERE, "NOT_FOUND")])
async def test_what_is_not_there_has_no_fields_to_change(
    client: Client, id: str, code: str
) -> None:
    assert await refusal(client, ADD_FIELD, id=id, field=field("a")) == [(code, "eventTypeId")]
    assert await refusal(client, REORDER, id=id, fieldIds=[]) == [(code, "eventTypeId")]
    assert await refusal(client, UPDATE_FIELD, input={"id": id, "label": "x"}) == [
        (code, "input.id")
    ]
    assert await refusal(client, REMOVE_FIELD, id=id) == [(code, "id")]


async def test_the_two_hundredth_field_is_the_last(own_client: Client, database: Database) -> None:
    made = await define(own_client, *(field(f"f{n}") for n in range(199)))

    last = await shape(own_client, ADD_FIELD, id=made["id"], field=field("f199"))
    before = await everything(database)
    payload = await own_client.ask(ADD_FIELD, id=made["id"], field=field("f200"))

    assert (len(last["fields"]), last["version"]) == (200, 2)
    assert told(payload["userErrors"]) == [("LIMIT_REACHED", "field")]
    assert "200" in payload["userErrors"][0]["message"]
    assert await everything(database) == before


CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"label": "Cause of it"}, {"label": "Cause of it"}),
    ({"label": None}, {"label": "cause"}),
    ({"required": True}, {"required": True}),
    ({"helpText": "What happened?"}, {"helpText": "What happened?"}),
    ({"helpText": None}, {"helpText": None}),
    ({"kind": "SELECT", "options": ["x", "y"]}, {"kind": "SELECT", "options": ["x", "y"]}),
    ({"options": ["y", "z"]}, {"options": ["y", "z"]}),
    ({"default": "z"}, {"default": "z"}),
    ({"default": None}, {"default": None}),
    (
        {"kind": "NUMBER", "options": None, "unit": "mcf", "minimum": -1.5, "maximum": 8},
        {"kind": "NUMBER", "options": None, "unit": "mcf", "minimum": -1.5, "maximum": 8.0},
    ),
    ({"minimum": None, "maximum": None}, {"minimum": None, "maximum": None}),
    (
        {"kind": "TEXT", "unit": None, "minLength": 1, "maxLength": 3, "pattern": "^x"},
        {"kind": "TEXT", "unit": None, "minLength": 1, "maxLength": 3, "pattern": "^x"},
    ),
    ({"minLength": None, "pattern": None}, {"minLength": None, "pattern": None}),
]


async def test_each_attribute_of_a_field_can_be_changed(client: Client) -> None:
    made = await define(client, field("cause"))
    expected, version = made["fields"][0], 1

    for given, changed in CHANGES:
        after = await shape(client, UPDATE_FIELD, input={"id": expected["id"]} | given)

        known = dict(expected)
        expected |= changed
        version += expected != known
        assert (given, after["fields"], after["version"]) == (given, [expected], version)
    assert (await client.ask(FIND, id=made["id"]))["fields"] == [expected]


BROKEN: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"kind": None, "required": None}, [("INVALID_INPUT", "kind"), ("INVALID_INPUT", "required")]),
    ({"kind": "NUMBER"}, [("INVALID_INPUT", "maxLength")]),
    ({"kind": "NUMBER", "maxLength": None}, [("INVALID_INPUT", "default")]),
    ({"kind": "SELECT", "maxLength": None}, [("INVALID_INPUT", "options")]),
    ({"default": "too long"}, [("INVALID_INPUT", "default")]),
    ({"maxLength": 2}, [("INVALID_INPUT", "default")]),
    ({"minLength": 4}, [("INVALID_INPUT", "minLength")]),
    ({"pattern": "^b"}, [("INVALID_INPUT", "default")]),
    ({"pattern": "("}, [("INVALID_INPUT", "pattern")]),
    ({"label": "", "unit": "\0"}, [("INVALID_INPUT", "label"), ("INVALID_INPUT", "unit")]),
]


async def test_a_change_that_makes_no_sense_is_told_at_its_place(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client, field("a", maxLength=3, default="aaa"))
    here = {"id": made["fields"][0]["id"]}
    before = await everything(database)

    answers = [
        (given, await refusal(own_client, UPDATE_FIELD, input=here | given)) for given, _ in BROKEN
    ]

    assert answers == [
        (given, [(code, f"input.{path}") for code, path in wrong]) for given, wrong in BROKEN
    ]
    assert await everything(database) == before


@pytest.mark.parametrize(
    ("given", "blamed"),
    [
        ({"kind": "TEXT", "options": None}, None),
        ({"kind": "BOOLEAN", "options": None}, "kind"),
        ({"kind": "MULTI_SELECT"}, "kind"),
        ({"options": ["y"]}, "options"),
        ({"options": ["y", "x"]}, None),
    ],
)
async def test_a_change_that_a_rule_would_not_fit_is_refused_naming_it(
    own_client: Client, database: Database, given: dict[str, Any], blamed: str | None
) -> None:
    made = await define(
        own_client,
        field("a", "SELECT", options=["x", "y"]),
        field("b"),
        conditionalRules=[rule("SHOW", "b", asks("a", "EQ", "x"), name="on x")],
    )
    before = await everything(database)

    payload = await own_client.ask(UPDATE_FIELD, input={"id": made["fields"][0]["id"]} | given)

    if blamed is None:
        assert payload["userErrors"] == []
        assert payload["eventType"]["version"] == 2
    else:
        assert told(payload["userErrors"]) == [("IN_USE", f"input.{blamed}")]
        assert "The conditional rule on x would not fit" in payload["userErrors"][0]["message"]
        assert await everything(database) == before


async def test_a_field_is_removed_and_its_values_stay(client: Client) -> None:
    made = await define(client, field("a"), field("b"), field("c"))
    event = await client.log(type="gauge", fields={"a": "1", "b": "2"})

    after = await shape(client, REMOVE_FIELD, id=made["fields"][1]["id"])

    assert [(each["name"], each["position"]) for each in after["fields"]] == [("a", 0), ("c", 1)]
    assert after["version"] == 2
    stored = await client.ask("query ($id: ID!) { event(id: $id) { fields } }", id=event["id"])
    assert stored == {"fields": {"a": "1", "b": "2"}}
    assert await refusal(client, REMOVE_FIELD, id=made["fields"][1]["id"]) == [("NOT_FOUND", "id")]


async def test_a_field_that_was_removed_can_be_made_again(client: Client) -> None:
    made = await define(client, field("a"))
    await shape(client, REMOVE_FIELD, id=made["fields"][0]["id"])

    after = await shape(client, ADD_FIELD, id=made["id"], field=field("a", "NUMBER"))

    assert [(each["name"], each["kind"]) for each in after["fields"]] == [("a", "NUMBER")]
    assert after["fields"][0]["id"] != made["fields"][0]["id"]
    assert after["version"] == 3


async def test_a_field_that_rules_name_stays_and_all_of_them_are_told(
    own_client: Client, database: Database
) -> None:
    made = await define(
        own_client,
        *map(field, "abc"),
        conditionalRules=[
            rule("SHOW", "b", asks("a"), name="by its condition"),
            rule("REQUIRE", "c", asks("b"), name="not this one"),
            rule("REQUIRE", "b a", {"all": []}, name="as target"),
            rule("HIDE", "c", {"not": {"any": [asks("a")]}}, name="deep, not", enabled=False),
        ],
    )
    before = await everything(database)

    payload = await own_client.ask(REMOVE_FIELD, id=made["fields"][0]["id"])

    assert payload == {
        "eventType": None,
        "userErrors": [
            {
                "code": "IN_USE",
                "message": "Conditional rules name the field a: by its condition, as target, "
                "deep, not.",
                "path": ["id"],
            }
        ],
    }
    assert await everything(database) == before


async def test_fields_are_put_into_another_order(client: Client) -> None:
    made = await define(client, *map(field, "abc"))
    a, b, c = (each["id"] for each in made["fields"])

    after = await shape(client, REORDER, id=made["id"], fieldIds=[c, a, b])
    same = await shape(client, REORDER, id=made["id"], fieldIds=[c, a, b])

    assert [(each["name"], each["position"]) for each in after["fields"]] == [
        *(("c", 0), ("a", 1), ("b", 2))
    ]
    assert {each["id"] for each in after["fields"]} == {a, b, c}
    assert (after["version"], same["version"]) == (2, 2)
    assert await client.ask(FIND, id=made["id"]) == after


async def test_an_order_of_other_fields_is_refused_saying_what_is_wrong(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client, *map(field, "abc"))
    a, b, c = (each["id"] for each in made["fields"])
    cases = {
        "missing: b, c": [a],
        "missing: a, b, c": [],
        f"not of this type: {NOWHERE}": [a, b, c, NOWHERE],
        "repeated: a": [a, b, c, a],
        f"missing: c; not of this type: {NOWHERE}; repeated: b": [a, b, b, NOWHERE],
    }
    before = await everything(database)

    for wrong, ids in cases.items():
        payload = await own_client.ask(REORDER, id=made["id"], fieldIds=ids)

        assert told(payload["userErrors"]) == [("INVALID_INPUT", "fieldIds")]
        assert f"({wrong})" in payload["userErrors"][0]["message"]
    assert await refusal(own_client, REORDER, id=made["id"], fieldIds=[a, "b", c]) == [
        ("INVALID_INPUT", "fieldIds.1")
    ]
    assert await everything(database) == before


async def test_an_order_of_many_unknown_fields_is_refused_in_few_words(client: Client) -> None:
    made = await define(client, field("a"))
    ids = [f"018f0000-0000-7000-8000-{n:012}" for n in range(5_000)]

    payload = await client.ask(REORDER, id=made["id"], fieldIds=ids)

    assert told(payload["userErrors"]) == [("INVALID_INPUT", "fieldIds")]
    assert len(payload["userErrors"][0]["message"]) < 1_000
