"""Fields of an event type: addition, changes, removal and order."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client
from tests.event_type_client import (
    ADD_FIELD,
    FIND,
    REMOVE_FIELD,
    REORDER,
    UNKNOWN_ID,
    UPDATE_FIELD,
    change_event_type,
    codes_and_paths,
    define_event_type,
    fetch_all_rows,
    fetch_refusal,
    field_input,
    predicate_input,
    rule_input,
)


async def test_a_field_is_added_at_the_end(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    new_field = field_input(
        *("b", "NUMBER"), label="B", required=True, helpText="h", unit="mcf", minimum=0, maximum=9
    )
    new_field["sourceKey"] = "api.b"

    after = await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=new_field | {"default": 3}
    )

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
        "sourceKey": "api.b",
    }
    assert await client.execute_field(FIND, id=event_type["id"]) == after


REFUSED: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    (field_input("a", "NUMBER"), [("ALREADY_EXISTS", "field.name")]),
    (field_input("_b"), [("INVALID_INPUT", "field.name")]),
    (field_input("b", sourceKey=""), [("INVALID_INPUT", "field.sourceKey")]),
    (field_input("b", sourceKey="a..b"), [("INVALID_INPUT", "field.sourceKey")]),
    (field_input("b", sourceKey="a" * 256), [("INVALID_INPUT", "field.sourceKey")]),
    (field_input("while"), [("INVALID_INPUT", "field.name")]),
    (field_input("\ud800"), [("INVALID_INPUT", "field.name")]),
    (field_input("b", "NUMBER", default="x"), [("INVALID_INPUT", "field.default")]),
    (field_input("b", default={"a": [1]}), [("INVALID_INPUT", "field.default")]),
    (field_input("b", "NUMBER", default=10**400), [("INVALID_INPUT", "field.default")]),
    (field_input("b", pattern="(?<=x)y"), [("INVALID_INPUT", "field.pattern")]),
    (field_input("b", helpText="\0"), [("INVALID_INPUT", "field.helpText")]),
    (
        field_input("b", "SELECT", options=[], minimum=1, label=""),
        [
            ("INVALID_INPUT", "field.label"),
            ("INVALID_INPUT", "field.options"),
            ("INVALID_INPUT", "field.minimum"),
        ],
    ),
    (
        field_input("b", "MULTI_SELECT", options=["x", "", "x"]),
        [("INVALID_INPUT", "field.options.1"), ("INVALID_INPUT", "field.options")],
    ),
]


async def test_an_invalid_new_field_is_rejected_with_its_path(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client, field_input("a"))
    before = await fetch_all_rows(shared_database, client)

    answers = [
        (
            attributes,
            await fetch_refusal(client, ADD_FIELD, id=event_type["id"], field=attributes),
        )
        for attributes, _ in REFUSED
    ]

    assert answers == REFUSED
    assert await fetch_all_rows(shared_database, client) == before


@pytest.mark.parametrize(("id", "code"), [("no id", "INVALID_INPUT"), (UNKNOWN_ID, "NOT_FOUND")])
async def test_fields_of_an_unknown_type_cannot_be_changed(
    client: Client, id: str, code: str
) -> None:
    assert await fetch_refusal(client, ADD_FIELD, id=id, field=field_input("a")) == [
        (code, "eventTypeId")
    ]
    assert await fetch_refusal(client, REORDER, id=id, fieldIds=[]) == [(code, "eventTypeId")]
    assert await fetch_refusal(client, UPDATE_FIELD, input={"id": id, "label": "x"}) == [
        (code, "input.id")
    ]
    assert await fetch_refusal(client, REMOVE_FIELD, id=id) == [(code, "id")]


async def test_a_type_has_at_most_200_fields(client: Client, shared_database: Database) -> None:
    event_type = await define_event_type(client, *(field_input(f"f{n}") for n in range(199)))

    last = await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("f199")
    )
    before = await fetch_all_rows(shared_database, client)
    payload = await client.execute_field(ADD_FIELD, id=event_type["id"], field=field_input("f200"))

    assert (len(last["fields"]), last["version"]) == (200, 2)
    assert codes_and_paths(payload["userErrors"]) == [("LIMIT_REACHED", "field")]
    assert "200" in payload["userErrors"][0]["message"]
    assert await fetch_all_rows(shared_database, client) == before


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
    event_type = await define_event_type(client, field_input("cause"))
    expected, version = event_type["fields"][0], 1

    for attributes, changed in CHANGES:
        after = await change_event_type(
            client, UPDATE_FIELD, input={"id": expected["id"]} | attributes
        )

        expected_field = dict(expected)
        expected |= changed
        version += expected != expected_field
        assert (attributes, after["fields"], after["version"]) == (attributes, [expected], version)
    assert (await client.execute_field(FIND, id=event_type["id"]))["fields"] == [expected]


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


async def test_an_invalid_change_is_rejected_with_its_path(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client, field_input("a", maxLength=3, default="aaa"))
    valid_change = {"id": event_type["fields"][0]["id"]}
    before = await fetch_all_rows(shared_database, client)

    answers = [
        (attributes, await fetch_refusal(client, UPDATE_FIELD, input=valid_change | attributes))
        for attributes, _ in BROKEN
    ]

    assert answers == [
        (attributes, [(code, f"input.{path}") for code, path in wrong])
        for attributes, wrong in BROKEN
    ]
    assert await fetch_all_rows(shared_database, client) == before


@pytest.mark.parametrize(
    ("attributes", "blamed"),
    [
        ({"kind": "TEXT", "options": None}, None),
        ({"kind": "BOOLEAN", "options": None}, "kind"),
        ({"kind": "MULTI_SELECT"}, "kind"),
        ({"options": ["y"]}, "options"),
        ({"options": ["y", "x"]}, None),
    ],
)
async def test_a_change_that_conflicts_with_a_rule_is_rejected_with_its_name(
    client: Client, shared_database: Database, attributes: dict[str, Any], blamed: str | None
) -> None:
    event_type = await define_event_type(
        client,
        field_input("a", "SELECT", options=["x", "y"]),
        field_input("b"),
        conditionalRules=[rule_input("SHOW", "b", predicate_input("a", "EQ", "x"), name="on x")],
    )
    before = await fetch_all_rows(shared_database, client)

    payload = await client.execute_field(
        UPDATE_FIELD, input={"id": event_type["fields"][0]["id"]} | attributes
    )

    if blamed is None:
        assert payload["userErrors"] == []
        assert payload["eventType"]["version"] == 2
    else:
        assert codes_and_paths(payload["userErrors"]) == [("IN_USE", f"input.{blamed}")]
        message = payload["userErrors"][0]["message"]
        assert message.startswith("The change would make the conditional rule 'on x' invalid: ")
        assert message.endswith(". Change or delete the rule first.")
        assert await fetch_all_rows(shared_database, client) == before


async def test_removing_a_field_keeps_its_stored_values(client: Client) -> None:
    event_type = await define_event_type(
        client, field_input("a"), field_input("b"), field_input("c")
    )
    event = await client.log_event(type="gauge", fields={"a": "1", "b": "2"})

    after = await change_event_type(client, REMOVE_FIELD, id=event_type["fields"][1]["id"])

    assert [(each["name"], each["position"]) for each in after["fields"]] == [("a", 0), ("c", 1)]
    assert after["version"] == 2
    stored = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { fields } }", id=event["id"]
    )
    assert stored == {"fields": {"a": "1", "b": "2"}}
    assert await fetch_refusal(client, REMOVE_FIELD, id=event_type["fields"][1]["id"]) == [
        ("NOT_FOUND", "id")
    ]


async def test_a_removed_field_can_be_added_again(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    await change_event_type(client, REMOVE_FIELD, id=event_type["fields"][0]["id"])

    after = await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("a", "NUMBER")
    )

    assert [(each["name"], each["kind"]) for each in after["fields"]] == [("a", "NUMBER")]
    assert after["fields"][0]["id"] != event_type["fields"][0]["id"]
    assert after["version"] == 3


async def test_a_field_used_by_rules_cannot_be_removed_and_all_are_named(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(
        client,
        *map(field_input, "abc"),
        conditionalRules=[
            rule_input("SHOW", "b", predicate_input("a"), name="by its condition"),
            rule_input("REQUIRE", "c", predicate_input("b"), name="not this one"),
            rule_input("REQUIRE", "b a", {"all": []}, name="as target"),
            rule_input(
                "HIDE",
                "c",
                {"not": {"any": [predicate_input("a")]}},
                name="deep, not",
                enabled=False,
            ),
        ],
    )
    before = await fetch_all_rows(shared_database, client)

    payload = await client.execute_field(REMOVE_FIELD, id=event_type["fields"][0]["id"])

    assert payload == {
        "eventType": None,
        "userErrors": [
            {
                "code": "IN_USE",
                "message": "Field 'a' is used by 3 conditional rules: "
                "'by its condition', 'as target', 'deep, not'. Change or delete the rules first.",
                "path": ["id"],
            }
        ],
    }
    assert await fetch_all_rows(shared_database, client) == before


async def test_fields_are_reordered(client: Client) -> None:
    event_type = await define_event_type(client, *map(field_input, "abc"))
    a, b, c = (each["id"] for each in event_type["fields"])

    after = await change_event_type(client, REORDER, id=event_type["id"], fieldIds=[c, a, b])
    same = await change_event_type(client, REORDER, id=event_type["id"], fieldIds=[c, a, b])

    assert [(each["name"], each["position"]) for each in after["fields"]] == [
        *(("c", 0), ("a", 1), ("b", 2))
    ]
    assert {each["id"] for each in after["fields"]} == {a, b, c}
    assert (after["version"], same["version"]) == (2, 2)
    assert await client.execute_field(FIND, id=event_type["id"]) == after


async def test_an_invalid_order_is_rejected_with_the_reason(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client, *map(field_input, "abc"))
    a, b, c = (each["id"] for each in event_type["fields"])
    cases = {
        "missing: b, c": [a],
        "missing: a, b, c": [],
        f"not in this event type: {UNKNOWN_ID}": [a, b, c, UNKNOWN_ID],
        "repeated: a": [a, b, c, a],
        f"missing: c; not in this event type: {UNKNOWN_ID}; repeated: b": [a, b, b, UNKNOWN_ID],
    }
    before = await fetch_all_rows(shared_database, client)

    for wrong, ids in cases.items():
        payload = await client.execute_field(REORDER, id=event_type["id"], fieldIds=ids)

        assert codes_and_paths(payload["userErrors"]) == [("INVALID_INPUT", "fieldIds")]
        assert f"({wrong})" in payload["userErrors"][0]["message"]
    assert await fetch_refusal(client, REORDER, id=event_type["id"], fieldIds=[a, "b", c]) == [
        ("INVALID_INPUT", "fieldIds.1")
    ]
    assert await fetch_all_rows(shared_database, client) == before


async def test_the_message_for_many_unknown_fields_is_short(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    ids = [f"018f0000-0000-7000-8000-{n:012}" for n in range(5_000)]

    payload = await client.execute_field(REORDER, id=event_type["id"], fieldIds=ids)

    assert codes_and_paths(payload["userErrors"]) == [("INVALID_INPUT", "fieldIds")]
    assert len(payload["userErrors"][0]["message"]) < 1_000


# In variables, graphql-core rejects the number itself.
SET_MAXIMUM = """
mutation ($id: ID!) {
  updateEventField(input: {id: $id, maximum: 9007199254740993}) {
    eventType { id }
    userErrors { code path }
  }
}
"""


async def test_a_bound_that_an_older_version_rounded_cannot_be_set_again(
    own_client: Client, database: Database
) -> None:
    event_type = await define_event_type(own_client, field_input("n", "INTEGER", maximum=9))
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(update(tables.EventField).values(maximum=2.0**53))
    field_id = event_type["fields"][0]["id"]

    refusal = await fetch_refusal(own_client, SET_MAXIMUM, id=field_id)

    assert refusal == [("INVALID_INPUT", "input.maximum")]
    for change in ({"label": "N"}, {"maximum": None}):
        await change_event_type(own_client, UPDATE_FIELD, input={"id": field_id} | change)
