"""Event types made with all they have, renamed, deleted and found."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.conftest import Statements
from tests.definitions import (
    ADD_FIELD,
    CREATE,
    DELETE,
    FIND,
    MOVE,
    NOWHERE,
    UPDATE,
    asks,
    define,
    everything,
    field,
    refusal,
    rule,
    shape,
    told,
)
from tests.worlds import a_key

LIST = """query ($filter: EventTypeFilter, $first: Int, $after: String) {
  eventTypes(filter: $filter, first: $first, after: $after) {
    totalCount nodes { type } pageInfo { hasNextPage endCursor } } }"""
NODE = """query ($id: ID!) { node(id: $id) { id __typename
  ... on EventType { name } ... on EventField { name } ... on ConditionalRule { name } } }"""


async def test_a_type_is_made_with_its_fields_and_rules(client: Client) -> None:
    said = [
        rule("SHOW", "b", asks("a", "EQ", "x")),
        rule("REQUIRE", "b c", {"all": [asks("a"), {"not": asks("c")}]}, enabled=False),
    ]

    made = await define(client, *map(field, "abc"), conditionalRules=said)

    show, require = made["conditionalRules"]
    assert show == {
        "id": show["id"],
        "name": "show b",
        "effect": "SHOW",
        "enabled": True,
        "condition": asks("a", "EQ", "x"),
        "targets": [{"name": "b"}],
    }
    assert (require["effect"], require["enabled"]) == ("REQUIRE", False)
    assert require["condition"] == said[1]["condition"]
    assert require["targets"] == [{"name": "b"}, {"name": "c"}]
    assert (made["version"], [each["position"] for each in made["fields"]]) == (1, [0, 1, 2])
    assert await client.ask(FIND, id=made["id"]) == made


async def test_all_that_is_wrong_with_a_definition_is_told_at_once(
    own_client: Client, database: Database
) -> None:
    before = await everything(database)

    wrong = await refusal(
        own_client,
        CREATE,
        input={
            "name": "",
            "type": "a*",
            "category": "\0",
            "description": "\ud800",
            "state": "ARCHIVED",
            "fields": [
                field("A"),
                field("a", "SELECT"),
                field("b", "NUMBER", default="x"),
                field("b", pattern="("),
            ],
            "conditionalRules": [
                rule("SHOW", "", asks("b"), name="", targets=[]),
                rule("HIDE", "b nope", {"any": [asks("b", "GT"), {"not": asks("gone")}]}),
                rule("SHOW", "a", asks("a", "EXISTS", 1)),
            ],
        },
    )

    rules = "input.conditionalRules"
    assert sorted(wrong) == [
        ("CYCLE", f"{rules}.1.condition"),
        ("INVALID_INPUT", "input.category"),
        ("INVALID_INPUT", f"{rules}.0.name"),
        ("INVALID_INPUT", f"{rules}.0.targets"),
        ("INVALID_INPUT", f"{rules}.1.condition.any.0.field.operator"),
        ("INVALID_INPUT", f"{rules}.1.condition.any.1.not.field.field"),
        ("INVALID_INPUT", f"{rules}.1.targets.1"),
        ("INVALID_INPUT", f"{rules}.2.condition.field.value"),
        ("INVALID_INPUT", "input.description"),
        ("INVALID_INPUT", "input.fields.0.name"),
        ("INVALID_INPUT", "input.fields.1.options"),
        ("INVALID_INPUT", "input.fields.2.default"),
        ("INVALID_INPUT", "input.fields.3.name"),
        ("INVALID_INPUT", "input.name"),
        ("INVALID_INPUT", "input.state"),
        ("INVALID_INPUT", "input.type"),
    ]
    assert await everything(database) == before


async def test_an_update_changes_what_is_given_and_makes_a_version(client: Client) -> None:
    made = await define(client, field("a"), description="old", category="gauges")
    renamed = {"name": "Meter", "type": "com.acme.meter"}

    after = await shape(client, UPDATE, input={"id": made["id"], "ifVersion": 1} | renamed)

    assert after == made | renamed | {"version": 2, "updatedAt": after["updatedAt"]}
    assert after["updatedAt"] > made["updatedAt"]
    assert await client.ask(FIND, id=made["id"]) == after


async def test_null_clears_what_may_be_empty(client: Client) -> None:
    made = await define(client, description="old", category="gauges")

    after = await shape(
        client, UPDATE, input={"id": made["id"], "description": None, "category": None}
    )

    assert (after["description"], after["category"], after["version"]) == (None, "general", 2)


async def test_null_for_what_may_not_be_empty_is_refused(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client)
    before = await everything(database)

    wrong = await refusal(own_client, UPDATE, input={"id": made["id"], "name": None, "type": None})

    assert wrong == [("INVALID_INPUT", "input.name"), ("INVALID_INPUT", "input.type")]
    assert await everything(database) == before


async def test_an_update_of_another_version_is_a_conflict(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client)
    await shape(own_client, UPDATE, input={"id": made["id"], "name": "second", "ifVersion": 1})
    before = await everything(database)

    for version in (1, 0, -1, 3, 2**31 - 1):
        given = {"id": made["id"], "name": "third", "ifVersion": version}
        assert await refusal(own_client, UPDATE, input=given) == [("CONFLICT", "input.ifVersion")]

    assert await everything(database) == before


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"id": "no id"}, [("INVALID_INPUT", "input.id")]),
        ({"id": NOWHERE}, [("NOT_FOUND", "input.id")]),
        ({"name": "n" * 256}, [("INVALID_INPUT", "input.name")]),
        ({"description": "\0", "category": ""}, ["input.category", "input.description"]),
        ({"type": "other"}, [("ALREADY_EXISTS", "input.type")]),
        ({"type": "ends in *"}, [("INVALID_INPUT", "input.type")]),
    ],
)
async def test_a_bad_update_is_refused_at_its_place_and_changes_nothing(
    own_client: Client, database: Database, given: dict[str, Any], wrong: list[Any]
) -> None:
    made = await define(own_client)
    await define(own_client, type="other")
    before = await everything(database)

    answered = await refusal(own_client, UPDATE, input={"id": made["id"]} | given)

    assert answered == [
        each if isinstance(each, tuple) else ("INVALID_INPUT", each) for each in wrong
    ]
    assert await everything(database) == before


async def test_a_type_is_fixed_once_there_are_events(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client)
    for _ in range(2):
        await own_client.log(type="gauge")
    before = await everything(database)

    payload = await own_client.ask(
        UPDATE, input={"id": made["id"], "type": "meter", "name": "Meter"}
    )
    unchanged = await everything(database)
    after = await shape(
        own_client, UPDATE, input={"id": made["id"], "type": "gauge", "name": "Meter"}
    )

    assert told(payload["userErrors"]) == [("IN_USE", "input.type")]
    assert payload["userErrors"][0]["message"].startswith("2 events have the type gauge")
    assert unchanged == before
    assert (after["type"], after["name"], after["version"]) == ("gauge", "Meter", 2)


async def test_a_type_that_was_given_up_can_be_taken(client: Client) -> None:
    made = await define(client)
    await shape(client, UPDATE, input={"id": made["id"], "type": "meter"})

    free_form = await client.log(type="gauge", fields={"any": 1})
    registered = await client.log(type="meter")
    again = await define(client)

    assert free_form["eventType"] is None
    assert registered["eventType"]["id"] == made["id"]
    assert again["id"] != made["id"]


async def test_a_deleted_type_is_answered_as_it_was_and_gone(
    own_client: Client, database: Database
) -> None:
    empty = await everything(database)
    made = await define(
        own_client, *map(field, "ab"), conditionalRules=[rule("SHOW", "b", asks("a"))]
    )
    made = await shape(own_client, ADD_FIELD, id=made["id"], field=field("c"))

    payload = await own_client.ask(DELETE, id=made["id"])

    assert payload == {"eventType": made, "userErrors": []}
    assert await own_client.ask(FIND, id=made["id"]) is None
    assert await own_client.ask(NODE, id=made["fields"][0]["id"]) is None
    left = await everything(database)
    assert left | {"change": []} == empty | {"change": []}
    assert len(left["change"]) == len(empty["change"]) + 3
    assert await refusal(own_client, DELETE, id=made["id"]) == [("NOT_FOUND", "id")]


async def test_of_a_deleted_type_everything_can_be_asked(client: Client) -> None:
    rules = [rule("SHOW", "b", asks("a"))]
    made = await define(client, *map(field, "ab"), conditionalRules=rules)
    asked = """{ type jsonSchema events { totalCount } fields { name eventType { type } }
      conditionalRules { name targets { name } eventType { type jsonSchema } } }"""
    find = f"query ($id: ID!) {{ eventType(by: {{id: $id}}) {asked} }}"
    before = await client.ask(find, id=made["id"])

    deleted = await client.ask(
        f"mutation ($id: ID!) {{ deleteEventType(id: $id) {{ eventType {asked} }} }}",
        id=made["id"],
    )

    assert deleted["eventType"] == before


async def test_a_type_that_was_deleted_can_be_made_again(client: Client) -> None:
    made = await define(client, field("a"))
    await shape(client, DELETE, id=made["id"])

    again = await define(client, field("a", "NUMBER"))

    assert (again["version"], again["id"] != made["id"]) == (1, True)
    assert (await client.log(type="gauge", fields={"a": 1}))["fields"] == {"a": 1}


async def test_a_type_with_events_is_not_deleted(own_client: Client, database: Database) -> None:
    made = await define(own_client, field("a"))
    for _ in range(3):
        await own_client.log(type="gauge")
    before = await everything(database)

    payload = await own_client.ask(DELETE, id=made["id"])

    assert payload["eventType"] is None
    assert told(payload["userErrors"]) == [("IN_USE", "id")]
    assert payload["userErrors"][0]["message"] == "3 events have the type gauge: archive it."
    assert await everything(database) == before


async def test_events_of_before_the_type_was_registered_do_not_count(client: Client) -> None:
    event = await client.log(type="gauge", fields={"any": 1})
    made = await define(client, field("a"))

    payload = await client.ask(DELETE, id=made["id"])

    assert payload["userErrors"] == []
    found = await client.ask(
        "query ($id: ID!) { event(id: $id) { type fields eventType { id } } }", id=event["id"]
    )
    assert found == {"type": "gauge", "fields": {"any": 1}, "eventType": None}


@pytest.mark.parametrize(("id", "code"), [("no id", "INVALID_INPUT"), (NOWHERE, "NOT_FOUND")])
async def test_what_is_not_there_is_not_deleted(client: Client, id: str, code: str) -> None:
    assert await refusal(client, DELETE, id=id) == [(code, "id")]


async def test_another_organization_s_type_is_not_there(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client, field("a"), conditionalRules=[rule("HIDE", "a", {"any": []})])
    key = await a_key(database, *Permission, organization="other")
    other, before = own_client.as_key(key), await everything(database)

    assert await refusal(other, UPDATE, input={"id": made["id"], "name": "x"}) == [
        ("NOT_FOUND", "input.id")
    ]
    assert await refusal(other, DELETE, id=made["id"]) == [("NOT_FOUND", "id")]
    assert await refusal(other, MOVE, id=made["id"], to="ARCHIVED") == [("NOT_FOUND", "id")]
    assert await refusal(other, ADD_FIELD, id=made["id"], field=field("b")) == [
        ("NOT_FOUND", "eventTypeId")
    ]
    for node in (made, *made["fields"], *made["conditionalRules"]):
        assert await other.ask(NODE, id=node["id"]) is None
    assert await everything(database) == before
    assert (await define(other))["type"] == "gauge"


async def test_a_node_is_a_type_a_field_or_a_rule(client: Client) -> None:
    made = await define(client, field("a"), conditionalRules=[rule("HIDE", "a", {"any": []})])
    [of_field], [of_rule] = made["fields"], made["conditionalRules"]

    found = [await client.ask(NODE, id=each["id"]) for each in (made, of_field, of_rule)]

    assert found == [
        {"id": made["id"], "__typename": "EventType", "name": "Gauge"},
        {"id": of_field["id"], "__typename": "EventField", "name": "a"},
        {"id": of_rule["id"], "__typename": "ConditionalRule", "name": "hide a"},
    ]


SHELF: list[dict[str, Any]] = [
    {"type": "flare", "name": "Flaring Incident", "category": "flaring", "state": "PUBLISHED"},
    {"type": "gauge", "name": "Gauge read", "description": "Pressure at the well's head"},
    {"type": "com.acme.pump", "name": "Pump", "category": "flaring"},
    {"type": "naïve", "name": "ﬁre №5", "category": "Ünusual"},
    {
        "type": "long",
        "name": "Erdölbohrplattformversorgungsschiff",
        "category": "海上石油平台补给船事件记录",
    },
]
FOUND: list[tuple[dict[str, Any] | None, list[str]]] = [
    (None, [each["type"] for each in SHELF]),
    ({}, [each["type"] for each in SHELF]),
    ({"states": None, "category": None, "search": None}, [each["type"] for each in SHELF]),
    ({"states": []}, []),
    ({"states": ["PUBLISHED"]}, ["flare"]),
    ({"states": ["DRAFT", "ARCHIVED"]}, ["gauge", "com.acme.pump", "naïve", "long"]),
    ({"category": "flaring"}, ["flare", "com.acme.pump"]),
    ({"category": "flar"}, []),
    ({"category": "general"}, ["gauge"]),
    ({"search": "flar inc"}, ["flare"]),
    ({"search": "FLARING"}, ["flare", "com.acme.pump"]),
    ({"search": "laring"}, []),
    ({"search": "press"}, ["gauge"]),
    ({"search": "general"}, ["gauge"]),
    ({"search": "acme"}, ["com.acme.pump"]),
    ({"search": "NAÏV"}, ["naïve"]),
    ({"search": "fire üNUS"}, ["naïve"]),
    ({"search": "erdöl"}, ["long"]),
    ({"search": "海上石油"}, ["long"]),
    ({"search": "g%"}, ["gauge"]),
    ({"search": "_"}, [each["type"] for each in SHELF]),
    ({"search": "flar", "states": ["DRAFT"], "category": "flaring"}, ["com.acme.pump"]),
]


async def test_event_types_are_found_by_what_the_filter_says(client: Client) -> None:
    for said in SHELF:
        await shape(client, CREATE, input=said)

    answers = [(filter, await client.ask(LIST, filter=filter)) for filter, _ in FOUND]

    assert [
        (filter, [node["type"] for node in page["nodes"]], page["totalCount"])
        for filter, page in answers
    ] == [(filter, types, len(types)) for filter, types in FOUND]


async def test_a_type_is_found_by_what_it_has_become(client: Client) -> None:
    made = await define(client, description="pressure")
    await shape(client, UPDATE, input={"id": made["id"], "description": "heat", "name": "Probe"})

    totals = {
        word: (await client.ask(LIST, filter={"search": word}))["totalCount"]
        for word in ("press", "heat", "probe", "gauge", "general")
    }

    assert totals == {"press": 0, "heat": 1, "probe": 1, "gauge": 1, "general": 1}


async def test_a_page_goes_on_with_its_filter(client: Client) -> None:
    for n in range(5):
        state = "PUBLISHED" if n % 2 == 0 else "DRAFT"
        await shape(client, CREATE, input={"name": str(n), "type": f"t{n}", "state": state})
    filter = {"states": ["PUBLISHED"], "search": "t"}

    first = await client.ask(LIST, filter=filter, first=2)
    second = await client.ask(LIST, filter=filter, first=2, after=first["pageInfo"]["endCursor"])

    assert [node["type"] for node in first["nodes"]] == ["t0", "t2"]
    assert [node["type"] for node in second["nodes"]] == ["t4"]
    assert (first["totalCount"], second["totalCount"]) == (3, 3)
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)


@pytest.mark.parametrize(
    ("filter", "argument"),
    [
        ({"search": "\0"}, ["filter", "search"]),
        ({"search": "x" * 256}, ["filter", "search"]),
        ({"category": "\ud800"}, ["filter", "category"]),
    ],
)
async def test_what_no_type_can_be_asked_is_an_error(
    client: Client, filter: dict[str, Any], argument: list[str]
) -> None:
    error = await client.error(LIST, filter=filter)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}


PAGE = """{ eventTypes(first: 20) { totalCount nodes {
  name transitions jsonSchema fields { name eventType { name } }
  conditionalRules { name targets { name } eventType { name } } } } }"""


@pytest.mark.parametrize("types", [1, 20])
async def test_a_page_of_types_costs_the_same_whatever_it_holds(
    own_client: Client, statements: Statements, types: int
) -> None:
    rules = [rule("SHOW", "b", asks("a"))]
    for n in range(types):
        await define(own_client, *map(field, "ab"), type=f"t{n}", conditionalRules=rules)

    pages, selects = [], []
    for _ in range(2):
        statements.clear()
        pages.append(await own_client.ask(PAGE))
        own = (" ".join(each.split()) for each in statements)
        selects.append(
            len([each for each in own if each.startswith("SELECT") and "FROM change " not in each])
        )
    first, again = selects

    # The page with its count; what is not known of the types: themselves, their versions, fields
    # and rules, the fields of the rules, the types that fields and rules belong to; and whether
    # they were changed meanwhile. At most, for two of them may be asked for at once.
    assert (len(pages[0]["nodes"]), pages[0]["totalCount"]) == (types, types)
    assert first <= 9
    assert again == 1
    assert pages[0] == pages[1]


async def test_one_request_may_shape_a_type_in_several_steps(client: Client) -> None:
    made = await define(client)
    step = "addEventField(eventTypeId: $id, field: {name: %s, kind: TEXT}) { eventType { %s } }"
    asked = "version fields { name }"

    answer = await client.answer(
        "mutation ($id: ID!) {"
        + " ".join(
            f"{name}: {step % (repr(name).replace(chr(39), chr(34)), asked)}" for name in "ab"
        )
        + "}",
        id=made["id"],
    )

    assert answer["data"] == {
        "a": {"eventType": {"version": 2, "fields": [{"name": "a"}]}},
        "b": {"eventType": {"version": 3, "fields": [{"name": "a"}, {"name": "b"}]}},
    }


async def test_a_report_names_a_type_once(own_client: Client, database: Database) -> None:
    made = await define(own_client)
    before = await everything(database)

    payload = await own_client.ask(LOG_EVENT, input={"eventTypeId": made["id"], "type": "meter"})

    assert told(payload["userErrors"]) == [("INVALID_INPUT", "input.type")]
    assert await everything(database) == before
