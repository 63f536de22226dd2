"""Event types: creation with fields and rules, updates, deletion and queries."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.conftest import Statements
from tests.event_type_client import (
    ADD_FIELD,
    CREATE,
    DELETE,
    FIND,
    TRANSITION,
    UNKNOWN_ID,
    UPDATE,
    change_event_type,
    codes_and_paths,
    define_event_type,
    fetch_all_rows,
    fetch_refusal,
    field_input,
    predicate_input,
    rule_input,
)
from tests.factories import create_api_key

LIST = """query ($filter: EventTypeFilter, $first: Int, $after: String) {
  eventTypes(filter: $filter, first: $first, after: $after) {
    totalCount nodes { type } pageInfo { hasNextPage endCursor } } }"""
NODE = """query ($id: ID!) { node(id: $id) { id __typename
  ... on EventType { name } ... on EventField { name } ... on ConditionalRule { name } } }"""


async def test_a_type_is_created_with_its_fields_and_rules(client: Client) -> None:
    rules = [
        rule_input("SHOW", "b", predicate_input("a", "EQ", "x")),
        rule_input(
            "REQUIRE",
            "b c",
            {"all": [predicate_input("a"), {"not": predicate_input("c")}]},
            enabled=False,
        ),
    ]

    event_type = await define_event_type(client, *map(field_input, "abc"), conditionalRules=rules)

    show, require = event_type["conditionalRules"]
    assert show == {
        "id": show["id"],
        "name": "show b",
        "effect": "SHOW",
        "enabled": True,
        "condition": predicate_input("a", "EQ", "x"),
        "targets": [{"name": "b"}],
    }
    assert (require["effect"], require["enabled"]) == ("REQUIRE", False)
    assert require["condition"] == rules[1]["condition"]
    assert require["targets"] == [{"name": "b"}, {"name": "c"}]
    assert (event_type["version"], [each["position"] for each in event_type["fields"]]) == (
        1,
        [0, 1, 2],
    )
    assert await client.execute_field(FIND, id=event_type["id"]) == event_type


async def test_all_errors_of_a_definition_are_returned_together(
    client: Client, shared_database: Database
) -> None:
    before = await fetch_all_rows(shared_database, client)

    wrong = await fetch_refusal(
        client,
        CREATE,
        input={
            "name": "",
            "type": "a*",
            "category": "\0",
            "description": "\ud800",
            "state": "ARCHIVED",
            "fields": [
                field_input("1"),
                field_input("a", "SELECT"),
                field_input("b", "NUMBER", default="x"),
                field_input("b", pattern="("),
            ],
            "conditionalRules": [
                rule_input("SHOW", "", predicate_input("b"), name="", targets=[]),
                rule_input(
                    "HIDE",
                    "b nope",
                    {"any": [predicate_input("b", "GT"), {"not": predicate_input("gone")}]},
                ),
                rule_input("SHOW", "a", predicate_input("a", "EXISTS", 1)),
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
    assert await fetch_all_rows(shared_database, client) == before


async def test_an_update_changes_the_given_attributes_and_creates_a_version(client: Client) -> None:
    event_type = await define_event_type(
        client, field_input("a"), description="old", category="gauges"
    )
    renamed = {"name": "Meter", "type": "com.acme.meter"}

    after = await change_event_type(
        client, UPDATE, input={"id": event_type["id"], "ifVersion": 1} | renamed
    )

    assert after == event_type | renamed | {"version": 2, "updatedAt": after["updatedAt"]}
    assert after["updatedAt"] > event_type["updatedAt"]
    assert await client.execute_field(FIND, id=event_type["id"]) == after


async def test_null_clears_a_nullable_attribute(client: Client) -> None:
    event_type = await define_event_type(client, description="old", category="gauges")

    after = await change_event_type(
        client, UPDATE, input={"id": event_type["id"], "description": None, "category": None}
    )

    assert (after["description"], after["category"], after["version"]) == (None, "general", 2)


async def test_null_is_rejected_for_a_required_attribute(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client)
    before = await fetch_all_rows(shared_database, client)

    wrong = await fetch_refusal(
        client, UPDATE, input={"id": event_type["id"], "name": None, "type": None}
    )

    assert wrong == [("INVALID_INPUT", "input.name"), ("INVALID_INPUT", "input.type")]
    assert await fetch_all_rows(shared_database, client) == before


async def test_an_update_of_another_version_is_a_conflict(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client)
    await change_event_type(
        client, UPDATE, input={"id": event_type["id"], "name": "second", "ifVersion": 1}
    )
    before = await fetch_all_rows(shared_database, client)

    for version in (1, 0, -1, 3, 2**31 - 1):
        attributes = {"id": event_type["id"], "name": "third", "ifVersion": version}
        assert await fetch_refusal(client, UPDATE, input=attributes) == [
            ("CONFLICT", "input.ifVersion")
        ]

    assert await fetch_all_rows(shared_database, client) == before


@pytest.mark.parametrize(
    ("attributes", "wrong"),
    [
        ({"id": "no id"}, [("INVALID_INPUT", "input.id")]),
        ({"id": UNKNOWN_ID}, [("NOT_FOUND", "input.id")]),
        ({"name": "n" * 256}, [("INVALID_INPUT", "input.name")]),
        ({"description": "\0", "category": ""}, ["input.category", "input.description"]),
        ({"type": "other"}, [("ALREADY_EXISTS", "input.type")]),
        ({"type": "ends in *"}, [("INVALID_INPUT", "input.type")]),
    ],
)
async def test_an_invalid_update_is_rejected_with_its_path_and_changes_nothing(
    client: Client, shared_database: Database, attributes: dict[str, Any], wrong: list[Any]
) -> None:
    event_type = await define_event_type(client)
    await define_event_type(client, type="other")
    before = await fetch_all_rows(shared_database, client)

    answered = await fetch_refusal(client, UPDATE, input={"id": event_type["id"]} | attributes)

    assert answered == [
        each if isinstance(each, tuple) else ("INVALID_INPUT", each) for each in wrong
    ]
    assert await fetch_all_rows(shared_database, client) == before


async def test_a_type_cannot_be_renamed_once_it_has_events(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client)
    for _ in range(2):
        await client.log_event(type="gauge")
    before = await fetch_all_rows(shared_database, client)

    payload = await client.execute_field(
        UPDATE, input={"id": event_type["id"], "type": "meter", "name": "Meter"}
    )
    unchanged = await fetch_all_rows(shared_database, client)
    after = await change_event_type(
        client, UPDATE, input={"id": event_type["id"], "type": "gauge", "name": "Meter"}
    )

    assert codes_and_paths(payload["userErrors"]) == [("IN_USE", "input.type")]
    assert payload["userErrors"][0]["message"].startswith(
        "The type name 'gauge' cannot be changed: 2 events have this type. "
        "Create a new event type instead."
    )
    assert unchanged == before
    assert (after["type"], after["name"], after["version"]) == ("gauge", "Meter", 2)


async def test_a_former_name_of_a_type_can_be_used_again(client: Client) -> None:
    event_type = await define_event_type(client)
    await change_event_type(client, UPDATE, input={"id": event_type["id"], "type": "meter"})

    free_form = await client.log_event(type="gauge", fields={"any": 1})
    registered = await client.log_event(type="meter")
    again = await define_event_type(client)

    assert free_form["eventType"] is None
    assert registered["eventType"]["id"] == event_type["id"]
    assert again["id"] != event_type["id"]


async def test_deleting_a_type_returns_its_last_state(
    client: Client, shared_database: Database
) -> None:
    empty = await fetch_all_rows(shared_database, client)
    event_type = await define_event_type(
        client,
        *map(field_input, "ab"),
        conditionalRules=[rule_input("SHOW", "b", predicate_input("a"))],
    )
    event_type = await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("c")
    )

    payload = await client.execute_field(DELETE, id=event_type["id"])

    assert payload == {"eventType": event_type, "userErrors": []}
    assert await client.execute_field(FIND, id=event_type["id"]) is None
    assert await client.execute_field(NODE, id=event_type["fields"][0]["id"]) is None
    left = await fetch_all_rows(shared_database, client)
    assert left | {"change": []} == empty | {"change": []}
    assert len(left["change"]) == len(empty["change"]) + 11
    assert await fetch_refusal(client, DELETE, id=event_type["id"]) == [("NOT_FOUND", "id")]


async def test_every_field_of_a_deleted_type_can_be_requested(client: Client) -> None:
    rules = [rule_input("SHOW", "b", predicate_input("a"))]
    event_type = await define_event_type(client, *map(field_input, "ab"), conditionalRules=rules)
    selection = """{ type jsonSchema events { totalCount } fields { name eventType { type } }
      conditionalRules { name targets { name } eventType { type jsonSchema } } }"""
    find = f"query ($id: ID!) {{ eventType(by: {{id: $id}}) {selection} }}"
    before = await client.execute_field(find, id=event_type["id"])

    deleted = await client.execute_field(
        f"mutation ($id: ID!) {{ deleteEventType(id: $id) {{ eventType {selection} }} }}",
        id=event_type["id"],
    )

    assert deleted["eventType"] == before


async def test_a_deleted_type_can_be_created_again(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    await change_event_type(client, DELETE, id=event_type["id"])

    again = await define_event_type(client, field_input("a", "NUMBER"))

    assert (again["version"], again["id"] != event_type["id"]) == (1, True)
    assert (await client.log_event(type="gauge", fields={"a": 1}))["fields"] == {"a": 1}


async def test_a_type_with_events_is_not_deleted(client: Client, shared_database: Database) -> None:
    event_type = await define_event_type(client, field_input("a"))
    for _ in range(3):
        await client.log_event(type="gauge")
    before = await fetch_all_rows(shared_database, client)

    payload = await client.execute_field(DELETE, id=event_type["id"])

    assert payload["eventType"] is None
    assert codes_and_paths(payload["userErrors"]) == [("IN_USE", "id")]
    assert (
        payload["userErrors"][0]["message"]
        == "3 events have the type 'gauge'. Archive the event type instead."
    )
    assert await fetch_all_rows(shared_database, client) == before


async def test_events_logged_before_the_type_was_registered_do_not_prevent_deletion(
    client: Client,
) -> None:
    event = await client.log_event(type="gauge", fields={"any": 1})
    event_type = await define_event_type(client, field_input("a"))

    payload = await client.execute_field(DELETE, id=event_type["id"])

    assert payload["userErrors"] == []
    stored = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { type fields eventType { id } } }", id=event["id"]
    )
    assert stored == {"type": "gauge", "fields": {"any": 1}, "eventType": None}


@pytest.mark.parametrize(("id", "code"), [("no id", "INVALID_INPUT"), (UNKNOWN_ID, "NOT_FOUND")])
async def test_an_unknown_type_cannot_be_deleted(client: Client, id: str, code: str) -> None:
    assert await fetch_refusal(client, DELETE, id=id) == [(code, "id")]


async def test_a_type_of_another_organization_results_in_404(
    own_client: Client, database: Database
) -> None:
    event_type = await define_event_type(
        own_client, field_input("a"), conditionalRules=[rule_input("HIDE", "a", {"any": []})]
    )
    key = await create_api_key(database, *Permission, organization="other")
    other, before = own_client.as_key(key), await fetch_all_rows(database)

    assert await fetch_refusal(other, UPDATE, input={"id": event_type["id"], "name": "x"}) == [
        ("NOT_FOUND", "input.id")
    ]
    assert await fetch_refusal(other, DELETE, id=event_type["id"]) == [("NOT_FOUND", "id")]
    assert await fetch_refusal(other, TRANSITION, id=event_type["id"], to="ARCHIVED") == [
        ("NOT_FOUND", "id")
    ]
    assert await fetch_refusal(other, ADD_FIELD, id=event_type["id"], field=field_input("b")) == [
        ("NOT_FOUND", "eventTypeId")
    ]
    for node in (event_type, *event_type["fields"], *event_type["conditionalRules"]):
        assert await other.execute_field(NODE, id=node["id"]) is None
    assert await fetch_all_rows(database) == before
    assert (await define_event_type(other))["type"] == "gauge"


async def test_a_node_is_a_type_a_field_or_a_rule(client: Client) -> None:
    event_type = await define_event_type(
        client, field_input("a"), conditionalRules=[rule_input("HIDE", "a", {"any": []})]
    )
    [of_field], [of_rule] = event_type["fields"], event_type["conditionalRules"]

    payload = [
        await client.execute_field(NODE, id=each["id"]) for each in (event_type, of_field, of_rule)
    ]

    assert payload == [
        {"id": event_type["id"], "__typename": "EventType", "name": "Gauge"},
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
EVENT_TYPE_FILTERS: list[tuple[dict[str, Any] | None, list[str]]] = [
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
    ({"search": "海上"}, ["long"]),
    ({"search": " "}, [each["type"] for each in SHELF]),
    ({"search": "flar", "states": ["DRAFT"], "category": "flaring"}, ["com.acme.pump"]),
]


async def test_a_filter_selects_event_types(client: Client) -> None:
    for attributes in SHELF:
        await change_event_type(client, CREATE, input=attributes)

    answers = [
        (filter, await client.execute_field(LIST, filter=filter))
        for filter, _ in EVENT_TYPE_FILTERS
    ]

    assert [
        (filter, [node["type"] for node in page["nodes"]], page["totalCount"])
        for filter, page in answers
    ] == [(filter, types, len(types)) for filter, types in EVENT_TYPE_FILTERS]


async def test_an_updated_type_is_found_by_its_new_values(client: Client) -> None:
    event_type = await define_event_type(client, description="pressure")
    await change_event_type(
        client, UPDATE, input={"id": event_type["id"], "description": "heat", "name": "Probe"}
    )

    totals = {
        word: (await client.execute_field(LIST, filter={"search": word}))["totalCount"]
        for word in ("press", "heat", "probe", "gauge", "general")
    }

    assert totals == {"press": 0, "heat": 1, "probe": 1, "gauge": 1, "general": 1}


async def test_the_next_page_uses_the_same_filter(client: Client) -> None:
    for n in range(5):
        state = "PUBLISHED" if n % 2 == 0 else "DRAFT"
        await change_event_type(
            client, CREATE, input={"name": str(n), "type": f"t{n}", "state": state}
        )
    filter = {"states": ["PUBLISHED"], "search": "t"}

    first = await client.execute_field(LIST, filter=filter, first=2)
    second = await client.execute_field(
        LIST, filter=filter, first=2, after=first["pageInfo"]["endCursor"]
    )

    assert [node["type"] for node in first["nodes"]] == ["t0", "t2"]
    assert [node["type"] for node in second["nodes"]] == ["t4"]
    assert (first["totalCount"], second["totalCount"]) == (3, 3)
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)


@pytest.mark.parametrize(
    ("filter", "argument"),
    [
        ({"search": "\0"}, ["filter", "search"]),
        ({"search": "_"}, ["filter", "search"]),
        ({"search": "*"}, ["filter", "search"]),
        ({"search": "x" * 256}, ["filter", "search"]),
        ({"category": "\ud800"}, ["filter", "category"]),
    ],
)
async def test_an_invalid_filter_is_an_error_with_its_path(
    client: Client, filter: dict[str, Any], argument: list[str]
) -> None:
    error = await client.expect_error(LIST, filter=filter)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": argument}


PAGE = """{ eventTypes(first: 20) { totalCount nodes {
  name transitions jsonSchema fields { name eventType { name } }
  conditionalRules { name targets { name } eventType { name } } } } }"""


@pytest.mark.parametrize("types", [1, 20])
async def test_the_number_of_statements_is_independent_of_the_number_of_types(
    own_client: Client, statements: Statements, types: int
) -> None:
    rules = [rule_input("SHOW", "b", predicate_input("a"))]
    for n in range(types):
        await define_event_type(
            own_client, *map(field_input, "ab"), type=f"t{n}", conditionalRules=rules
        )

    pages, selects = [], []
    for _ in range(2):
        statements.clear()
        pages.append(await own_client.execute_field(PAGE))
        selects.append(len([each for each in statements if each.startswith("SELECT")]))
    first, again = selects

    # The page and its count; what is not cached of the types: themselves, their versions, fields
    # and rules, the fields of the rules, the types of fields and rules; and whether they were
    # changed meanwhile. This is a maximum, because two of them may be requested together.
    assert (len(pages[0]["nodes"]), pages[0]["totalCount"]) == (types, types)
    assert first <= 9
    assert again == 1
    assert pages[0] == pages[1]


async def test_one_request_can_change_a_type_in_several_steps(client: Client) -> None:
    event_type = await define_event_type(client)
    step = "addEventField(eventTypeId: $id, field: {name: %s, kind: TEXT}) { eventType { %s } }"
    selection = "version fields { name }"

    answer = await client.execute(
        "mutation ($id: ID!) {"
        + " ".join(
            f"{name}: {step % (repr(name).replace(chr(39), chr(34)), selection)}" for name in "ab"
        )
        + "}",
        id=event_type["id"],
    )

    assert answer["data"] == {
        "a": {"eventType": {"version": 2, "fields": [{"name": "a"}]}},
        "b": {"eventType": {"version": 3, "fields": [{"name": "a"}, {"name": "b"}]}},
    }


async def test_a_report_with_an_id_and_another_type_is_rejected(
    client: Client, shared_database: Database
) -> None:
    event_type = await define_event_type(client)
    before = await fetch_all_rows(shared_database, client)

    payload = await client.execute_field(
        LOG_EVENT, input={"eventTypeId": event_type["id"], "type": "meter"}
    )

    assert codes_and_paths(payload["userErrors"]) == [("INVALID_INPUT", "input.type")]
    assert await fetch_all_rows(shared_database, client) == before
