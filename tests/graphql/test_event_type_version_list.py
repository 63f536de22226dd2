"""EventType.versions: who changed an event type, when, and what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import Client
from tests.event_type_client import (
    ADD_FIELD,
    ADD_RULE,
    CREATE,
    DELETE_RULE,
    REMOVE_FIELD,
    REORDER,
    SCHEMA,
    UPDATE,
    UPDATE_FIELD,
    UPDATE_RULE,
    change_event_type,
    define_event_type,
    field_input,
    predicate_input,
    rule_input,
)
from tests.graphql.test_api_keys import create_key

_PAGE = """totalCount edges { cursor } nodes { number createdAt createdBy summary definition }
  pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"""
VERSIONS = f"""query ($id: ID!, $first: Int, $after: String) {{
  eventType(by: {{id: $id}}) {{ versions(first: $first, after: $after) {{ {_PAGE} }} }} }}"""
ALL = """query ($first: Int) {
  eventTypes { nodes { type versions(first: $first) { totalCount nodes { number summary } } } } }"""


async def fetch_versions(client: Client, event_type: Any, **page: Any) -> Any:
    return (await client.execute_field(VERSIONS, id=event_type["id"], **page))["versions"]


async def test_every_change_is_described(client: Client) -> None:
    event_type = await define_event_type(client, *map(field_input, "abc"))
    id, (a, b, c) = event_type["id"], [each["id"] for each in event_type["fields"]]
    rule = rule_input("SHOW", "b", predicate_input("a"))
    await change_event_type(client, UPDATE, input={"id": id, "name": "Meter", "category": "tanks"})
    await change_event_type(client, ADD_FIELD, id=id, field=field_input("d", "INTEGER"))
    await change_event_type(client, UPDATE_FIELD, input={"id": a, "required": True})
    ruled = await change_event_type(client, ADD_RULE, id=id, rule=rule)
    of_rule = ruled["conditionalRules"][0]["id"]
    await change_event_type(client, UPDATE_RULE, input={"id": of_rule, "enabled": False})
    await change_event_type(client, DELETE_RULE, id=of_rule)
    after = await change_event_type(client, REMOVE_FIELD, id=c)
    d = after["fields"][-1]["id"]
    await change_event_type(client, REORDER, id=id, fieldIds=[d, b, a])

    versions = await fetch_versions(client, event_type)

    assert [(each["number"], each["summary"]) for each in versions["nodes"]] == [
        (9, "Reordered the fields."),
        (8, "Removed field 'c'."),
        (7, "Deleted conditional rule 'show b'."),
        (6, "Changed conditional rule 'show b': enabled from true to false."),
        (5, "Added conditional rule 'show b'."),
        (4, "Changed field 'a': required from false to true."),
        (3, "Added field 'd' (INTEGER)."),
        (2, "Changed name from 'Gauge' to 'Meter'. Changed category from 'general' to 'tanks'."),
        (1, "Created with 3 fields and 0 conditional rules."),
    ]
    assert versions["totalCount"] == 9
    assert versions["pageInfo"] | {"startCursor": None, "endCursor": None} == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }


async def test_changes_of_choices_are_described(client: Client) -> None:
    choices = [{"value": "p", "label": "Pea"}, {"value": "q"}]
    event_type = await define_event_type(client, field_input("s", "SELECT", choices=choices))
    id = event_type["fields"][0]["id"]
    for changes in (
        {"choices": [{"value": "p", "label": "Pea2"}, {"value": "q"}]},
        {"options": ["p", "q", "r"]},
        {"choices": None},
    ):
        await change_event_type(client, UPDATE_FIELD, input={"id": id, **changes})

    versions = await fetch_versions(client, event_type)

    assert [each["summary"] for each in versions["nodes"]] == [
        "Changed field 's': labels removed.",
        "Changed field 's': options added 'r'.",
        "Changed field 's': label of 'p' from 'Pea' to 'Pea2'.",
        "Created with 1 field and 0 conditional rules.",
    ]


async def test_a_version_names_its_author_and_time(own_client: Client) -> None:
    event_type = await define_event_type(own_client, field_input("a"))
    _, secret = await create_key(own_client, name="author", permissions=["EVENT_TYPE_MANAGE"])
    author = own_client.as_key(secret)
    changed = await change_event_type(
        author, ADD_FIELD, id=event_type["id"], field=field_input("b")
    )

    versions = await fetch_versions(author, event_type)

    assert [(each["createdBy"], each["createdAt"]) for each in versions["nodes"]] == [
        ("author", changed["updatedAt"]),
        ("administrator", event_type["updatedAt"]),
    ]


async def test_a_definition_can_be_sent_to_create_event_type(client: Client) -> None:
    event_type = await define_event_type(
        client,
        field_input(
            "volume", "NUMBER", label="Volume", unit="mcf", minimum=0, maximum=2.5, required=True
        ),
        field_input("cause", "SELECT", options=["é", "y"], default="y", helpText="Why?"),
        field_input("note", "LONG_TEXT", minLength=1, maxLength=9, pattern="^a"),
        description="Read twice a day.",
        conditionalRules=[
            rule_input("HIDE", "note", {"not": predicate_input("cause", "IN", ["é"])}),
        ],
    )
    await change_event_type(
        client, UPDATE, input={"id": event_type["id"], "description": None, "category": "c"}
    )
    first = (await fetch_versions(client, event_type))["nodes"][1]["definition"]

    copied = await change_event_type(
        client, CREATE, input=first | {"type": "copy", "state": "PUBLISHED"}
    )

    assert copied["description"] == "Read twice a day."
    identities = {"id", "type", "fields", "conditionalRules", "updatedAt"}
    assert {name: copied[name] for name in copied.keys() - identities} == {
        name: event_type[name] for name in event_type.keys() - identities
    }
    schemas = [
        (await client.execute_field(SCHEMA, id=each["id"]))["jsonSchema"]
        for each in (event_type, copied)
    ]
    assert schemas[0] == schemas[1]
    assert [{**each, "id": None, "targets": None} for each in copied["conditionalRules"]] == [
        {**each, "id": None, "targets": None} for each in event_type["conditionalRules"]
    ]


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_pages_contain_every_version_once(client: Client, size: int) -> None:
    event_type = await define_event_type(client)
    for number in range(4):
        await change_event_type(
            client, ADD_FIELD, id=event_type["id"], field=field_input(f"f{number}")
        )
    seen: list[int] = []
    page = await fetch_versions(client, event_type, first=size)
    pages = [page]

    while page["pageInfo"]["hasNextPage"]:
        page = await fetch_versions(
            client, event_type, first=size, after=page["pageInfo"]["endCursor"]
        )
        pages.append(page)

    seen = [node["number"] for page in pages for node in page["nodes"]]
    summaries = [node["summary"] for page in pages for node in page["nodes"]]
    assert seen == [5, 4, 3, 2, 1]
    assert summaries[0] == "Added field 'f3' (TEXT)."
    assert summaries[-1] == "Created with 0 fields and 0 conditional rules."
    assert [page["pageInfo"]["hasPreviousPage"] for page in pages] == [
        *([False] + [True] * (len(pages) - 1))
    ]
    assert {page["totalCount"] for page in pages} == {5}


async def test_a_page_after_the_first_version_is_empty(client: Client) -> None:
    event_type = await define_event_type(client)
    page = await fetch_versions(client, event_type)

    after = await fetch_versions(client, event_type, after=page["pageInfo"]["endCursor"])

    assert (after["nodes"], after["pageInfo"]["hasNextPage"]) == ([], False)


async def test_the_versions_of_several_types_are_returned_together(own_client: Client) -> None:
    gauge = await define_event_type(own_client)
    await define_event_type(own_client, field_input("a"), type="bare")
    for name in "xyz":
        await change_event_type(own_client, ADD_FIELD, id=gauge["id"], field=field_input(name))

    payload = await own_client.execute_field(ALL, first=2)

    assert payload["nodes"] == [
        {
            "type": "gauge",
            "versions": {
                "totalCount": 4,
                "nodes": [
                    {"number": 4, "summary": "Added field 'z' (TEXT)."},
                    {"number": 3, "summary": "Added field 'y' (TEXT)."},
                ],
            },
        },
        {
            "type": "bare",
            "versions": {
                "totalCount": 1,
                "nodes": [
                    {"number": 1, "summary": "Created with 1 field and 0 conditional rules."}
                ],
            },
        },
    ]


async def test_a_deleted_type_has_no_versions(client: Client) -> None:
    event_type = await define_event_type(client)

    payload = await client.execute_field(
        "mutation ($id: ID!) { deleteEventType(id: $id) { eventType { versions { totalCount "
        "nodes { number } pageInfo { hasNextPage } } } } }",
        id=event_type["id"],
    )

    assert payload["eventType"]["versions"] == {
        "totalCount": 0,
        "nodes": [],
        "pageInfo": {"hasNextPage": False},
    }


@pytest.mark.parametrize(
    ("page", "code", "argument"),
    [
        ({"first": 0}, "BAD_USER_INPUT", ["first"]),
        ({"first": 101}, "BAD_USER_INPUT", ["first"]),
        ({"after": "nonsense"}, "INVALID_CURSOR", ["after"]),
    ],
)
async def test_an_invalid_page_is_an_error(
    client: Client, page: dict[str, Any], code: str, argument: list[str]
) -> None:
    event_type = await define_event_type(client)

    error = await client.expect_error(VERSIONS, id=event_type["id"], **page)

    assert error["extensions"] == {"code": code, "path": argument}


async def test_a_cursor_of_another_list_is_an_error(client: Client) -> None:
    event_type = await define_event_type(client)
    listed = await client.execute_field("{ eventTypes { pageInfo { endCursor } } }")

    error = await client.expect_error(
        VERSIONS, id=event_type["id"], after=listed["pageInfo"]["endCursor"]
    )

    assert error["extensions"] == {"code": "INVALID_CURSOR", "path": ["after"]}
