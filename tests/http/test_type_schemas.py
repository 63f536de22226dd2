"""The JSON Schema of an event type at its URL."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import Client
from tests.event_type_client import (
    ADD_FIELD,
    SCHEMA,
    UPDATE,
    change_event_type,
    define_event_type,
    field_input,
    predicate_input,
    rule_input,
)
from tests.factories import create_api_key


def schema_url(type_name: str = "gauge") -> str:
    return f"/event-types/{quote(type_name, safe='')}/schema.json"


async def test_the_schema_equals_that_of_graphql(client: Client) -> None:
    event_type = await define_event_type(
        client,
        *(
            field_input("a", "NUMBER", label="Größe ≥ 0", minimum=0),
            field_input("b", required=True),
        ),
        conditionalRules=[rule_input("SHOW", "b", predicate_input("a", "GT", 1.5))],
    )

    answer = await client.http.get(schema_url())

    response = await client.execute_field(SCHEMA, id=event_type["id"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/schema+json")
    assert answer.json() == response["jsonSchema"]
    assert list(answer.json()["properties"]) == ["a", "b"]
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "Authorization, data-partition-id, slb-data-partition-id"


async def test_every_version_remains_available(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("b"))

    answers = [
        await client.http.get(schema_url(), params=params)
        for params in ({"version": "1"}, {"version": "2"}, {})
    ]

    assert [list(answer.json()["properties"]) for answer in answers] == [
        *(["a"], ["a", "b"], ["a", "b"]),
    ]
    assert answers[1].headers["etag"] == answers[2].headers["etag"] != answers[0].headers["etag"]


@pytest.mark.parametrize(
    ("header_template", "status"),
    [
        ("{tag}", 304),
        ("W/{tag}", 304),
        ('"other", {tag}', 304),
        ('W/"other" ,W/{tag},"more"', 304),
        ("*", 304),
        ('"other"', 200),
        ("", 200),
        ("not quoted", 200),
    ],
)
async def test_a_known_etag_results_in_304(
    client: Client, header_template: str, status: int
) -> None:
    await define_event_type(client, field_input("a"))
    tag = (await client.http.get(schema_url())).headers["etag"]

    answer = await client.http.get(
        schema_url(), headers={"if-none-match": header_template.format(tag=tag)}
    )

    assert (answer.status_code, answer.headers["etag"]) == (status, tag)
    assert (answer.content == b"") == (status == 304)


async def test_a_changed_definition_has_another_etag(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    first = (await client.http.get(schema_url())).headers["etag"]
    await change_event_type(client, UPDATE, input={"id": event_type["id"], "description": "new"})
    same = await client.http.get(schema_url(), headers={"if-none-match": first})
    await change_event_type(client, ADD_FIELD, id=event_type["id"], field=field_input("b"))

    changed = await client.http.get(schema_url(), headers={"if-none-match": first})

    assert (same.status_code, changed.status_code) == (304, 200)


@pytest.mark.parametrize(
    "type_name",
    [
        "com.acme/gauge",
        "a/schema.json",
        "//",
        "white space",
        "100%",
        "%2F",
        "?#&=+",
        "für Öl 😀",
        "x" * 255,
    ],
)
async def test_a_type_of_any_name_has_a_url(client: Client, type_name: str) -> None:
    await define_event_type(client, field_input("a"), type=type_name)

    answer = await client.http.get(schema_url(type_name))

    assert (answer.status_code, [*answer.json()["properties"]]) == (200, ["a"])


@pytest.mark.parametrize("permission", ["EVENT_READ", "EVENT_CREATE", "EVENT_TYPE_MANAGE"])
async def test_callers_that_can_read_event_types_can_read_the_schema(
    own_client: Client, database: Database, permission: str
) -> None:
    await define_event_type(own_client, field_input("a"))
    reader = own_client.as_key(await create_api_key(database, Permission[permission]))

    assert (await reader.http.get(schema_url())).status_code == 200


async def test_without_a_key_the_response_is_401(client: Client) -> None:
    await define_event_type(client, field_input("a"))

    for stranger in (client.as_key(None), client.as_key("wrong")):
        for path in (schema_url(), schema_url("nope"), schema_url() + "?version=x"):
            answer = await stranger.http.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_without_a_permission_the_response_is_403(
    own_client: Client, database: Database
) -> None:
    await define_event_type(own_client, field_input("a"))
    key = await create_api_key(database, Permission.EVENT_UPDATE, Permission.ORGANIZATION_MANAGE)
    other = own_client.as_key(key)

    for path in (schema_url(), schema_url("nope")):
        answer = await other.http.get(path)
        assert answer.status_code == 403
        assert answer.json()["errors"][0]["extensions"] == {"code": "FORBIDDEN"}


MISSING: list[tuple[str, str]] = [
    (schema_url("nope"), "There is no event type 'nope'."),
    (schema_url("gaug"), "There is no event type 'gaug'."),
    (schema_url("Gauge"), "There is no event type 'Gauge'."),
    ("/event-types//schema.json", "There is no event type ''."),
    (schema_url("\0"), "There is no event type '\\x00'."),
    ("/event-types/%ff%ed%a0%80/schema.json", "There is no event type '\\ufffd"),
    (schema_url("x" * 5_000), "There is no event type 'xxx"),
    (schema_url() + "?version=2", "Event type 'gauge' has no version 2; its latest version is 1."),
    (
        schema_url() + "?version=999999999",
        "Event type 'gauge' has no version 999999999; its latest version is 1.",
    ),
]


async def test_an_unknown_type_or_version_results_in_404(client: Client) -> None:
    await define_event_type(client, field_input("a"))

    for path, detail in MISSING:
        answer = await client.http.get(path)

        body: dict[str, Any] = answer.json()
        assert (path, answer.status_code) == (path, 404)
        assert answer.headers["content-type"] == "application/problem+json"
        assert body.pop("detail").startswith(detail)
        assert body == {"type": "about:blank", "title": "Not Found", "status": 404}


@pytest.mark.parametrize("version", ["", "x", "0", "-1", "1.0", "+1", "2147483648", "9" * 5_000])
async def test_an_invalid_version_results_in_400(client: Client, version: str) -> None:
    await define_event_type(client, field_input("a"))

    answer = await client.http.get(schema_url(), params={"version": version})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_type_of_another_organization_results_in_404(
    own_client: Client, database: Database
) -> None:
    await define_event_type(own_client, field_input("a"))
    key = await create_api_key(database, Permission.EVENT_READ, organization="other")

    foreign = await own_client.as_key(key).http.get(schema_url())
    unknown = await own_client.as_key(key).http.get(schema_url("nope"))

    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.json()["detail"] == "There is no event type 'gauge'."


async def test_the_data_partition_selects_the_organization(
    own_client: Client, database: Database
) -> None:
    await define_event_type(own_client, field_input("a"))
    await create_api_key(database, organization="other")
    other = own_client.as_key(own_client.key, data_partition_id="other")
    await define_event_type(other, field_input("b"))

    answers = [
        await own_client.http.get(schema_url(), headers=headers)
        for headers in (
            {"data-partition-id": "other"},
            {"slb-data-partition-id": "other"},
            {"data-partition-id": "default"},
            {},
        )
    ]
    unknown = await own_client.http.get(schema_url(), headers={"data-partition-id": "nope"})

    assert [[*answer.json()["properties"]] for answer in answers] == [["b"], ["b"], ["a"], ["a"]]
    assert unknown.status_code == 403
