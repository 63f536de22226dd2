"""Every error code over HTTP and over a socket; errors contain no internal details."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from graphql import GraphQLInputObjectType
from sqlalchemy.exc import TimeoutError as PoolTimeout
from strawberry.types.base import StrawberryMaybe, StrawberryOptional
from structlog.testing import capture_logs

from app.domain.access.caller import Permission
from app.domain.shared.problems import ErrorCode
from app.graphql.schema import build_schema
from app.services.change_log.pruning import prune_entries
from app.store.engine.database import Database
from tests.client import Client
from tests.factories import create_api_key

COUNT = "{ events { totalCount } }"
GRAPHQL_JSON = "application/graphql-response+json"
# A document, and the HTTP status of its response as application/graphql-response+json.
WRONG = {
    ErrorCode.GRAPHQL_PARSE_FAILED: ("{", 400),
    ErrorCode.GRAPHQL_VALIDATION_FAILED: ("{ nothing }", 400),
    ErrorCode.LIMIT_EXCEEDED: ("{" + "logHead " * 401 + "}", 400),
    ErrorCode.BAD_USER_INPUT: ("{ events(first: 101) { totalCount } }", 200),
    ErrorCode.INVALID_CURSOR: ('{ events(after: "nowhere") { totalCount } }', 200),
}
# These need more than a document: they have tests of their own below.
TESTED_ELSEWHERE = {
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN,
    ErrorCode.CURSOR_EXPIRED,
    ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED,
    ErrorCode.UNAVAILABLE,
    ErrorCode.INTERNAL_SERVER_ERROR,
}


@pytest.mark.parametrize(
    "mutation",
    [
        'deleteEvent(id: "nope")',
        'updateEvent(input: { id: "nope" })',
        'correlateEvents(eventId: "nope", relatedIds: [])',
        'deleteEventType(id: "nope")',
        'retireGuardRule(id: "nope")',
        'deleteDuplicationRule(id: "nope")',
        'resetDuplication(ruleId: "nope")',
        'revokeApiKey(id: "nope")',
    ],
)
async def test_an_invalid_id_in_a_mutation_is_quoted(client: Client, mutation: str) -> None:
    payload = await client.execute_field(
        f"mutation {{ {mutation} {{ userErrors {{ message }} }} }}"
    )

    assert {"message": "Invalid ID 'nope': expected a UUID."} in payload["userErrors"]


async def fetch_error(client: Client, text: str, **variables: Any) -> tuple[int, dict[str, Any]]:
    """Returns the HTTP status and the only error. The error over a socket must be the same."""
    body = {"query": text, "variables": variables}
    answer = await client.http.post("/graphql", json=body, headers={"accept": GRAPHQL_JSON})
    async with client.subscription(text, **variables) as subscription:
        over_socket = await subscription.receive_error()
    [error] = answer.json()["errors"]
    ignored_extensions = {"reference"}
    assert {
        name: error["extensions"][name] for name in error["extensions"].keys() - ignored_extensions
    } == {
        name: over_socket["extensions"][name]
        for name in over_socket["extensions"].keys() - ignored_extensions
    }
    assert error["message"] == over_socket["message"]
    return answer.status_code, error


def test_every_code_has_a_test() -> None:
    assert WRONG.keys() | TESTED_ELSEWHERE == set(ErrorCode)


async def test_every_error_of_a_document_has_its_code_and_status(client: Client) -> None:
    seen = {}
    for code, (text, _) in WRONG.items():
        status, error = await fetch_error(client, text)
        seen[code] = (error["extensions"]["code"], status)

    assert seen == {code: (code.value, status) for code, (_, status) in WRONG.items()}


async def test_unauthenticated_and_forbidden_have_their_status(
    own_client: Client, database: Database
) -> None:
    stranger = own_client.as_key("nobody")
    reporter = own_client.as_key(await create_api_key(database, Permission.EVENT_CREATE))

    unknown = await stranger.post(COUNT)
    status, forbidden = await fetch_error(reporter, COUNT)

    assert unknown.status_code == 401
    assert unknown.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert (status, forbidden["extensions"]) == (200, {"code": "FORBIDDEN"})


async def test_a_cursor_before_the_start_of_the_change_log_is_expired(
    own_client: Client, database: Database
) -> None:
    await own_client.log_event(summary="old")
    await own_client.log_event(summary="old too")
    edges = (await own_client.execute_field("{ eventChanges { edges { cursor } } }"))["edges"]
    await prune_entries(database, datetime.now(UTC) + timedelta(days=1))

    status, error = await fetch_error(
        own_client,
        "query ($after: String) { eventChanges(after: $after) { nodes { kind } } }",
        after=edges[0]["cursor"],
    )

    assert (status, error["extensions"]["code"]) == (200, "CURSOR_EXPIRED")


async def test_a_persisted_query_is_not_supported(client: Client) -> None:
    hashed = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}

    answer = await client.http.post("/graphql", json={"extensions": hashed})

    [error] = answer.json()["errors"]
    assert error["extensions"] == {"code": "PERSISTED_QUERY_NOT_SUPPORTED"}


@pytest.mark.parametrize(
    ("failure", "code", "status"),
    [
        (PoolTimeout("QueuePool limit of size 4 for secret"), "UNAVAILABLE", 503),
        (RuntimeError("SELECT secret FROM api_key"), "INTERNAL_SERVER_ERROR", 200),
    ],
)
async def test_an_internal_error_contains_only_a_reference(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    code: str,
    status: int,
) -> None:
    async def broken(*_: object) -> None:
        raise failure

    monkeypatch.setattr("app.store.reading.statements.fetch_rows", broken)

    with capture_logs() as logged:
        answered, error = await fetch_error(client, COUNT)

    assert (answered, error["extensions"]["code"]) == (status, code)
    assert "secret" not in str(error)
    references = [entry["reference"] for entry in logged if entry["event"] == "internal_error"]
    assert (error["extensions"].get("reference") in references) == (code[:2] == "IN")


async def test_an_error_of_log_head_has_its_path(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise PoolTimeout("QueuePool limit of size 4 for secret")

    monkeypatch.setattr("app.services.change_log.feed.fetch_log_head", broken)

    response = await client.post("{ organization { id } head: logHead }")

    [error] = response.json()["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["head"], "UNAVAILABLE")
    assert response.json()["data"] is None
    assert response.status_code == 503


ONE_OF = (
    "Within OneOf Input Object type '{}', exactly one field must be specified, and the value for "
    "that field must be non-null."
)
NULLABLE = "Variable '${}' has the nullable type '{}': " + ONE_OF
BY = "query ($by: EventTypeBy!) { eventType(by: $by) { id } }"
ADD_RULE = """
mutation ($condition: ConditionInput!) {
  addConditionalRule(
    eventTypeId: "018f0000-0000-7000-8000-000000000000"
    rule: {name: "a", effect: SHOW, targets: ["a"], condition: $condition}
  ) { userErrors { code } }
}
"""


@pytest.mark.parametrize(
    ("by", "path"),
    [
        ("{type: null}", ["by", "type"]),
        ("{}", ["by"]),
        ('{type: "a", id: "b"}', ["by"]),
        ('{type: "a", id: null}', ["by"]),
    ],
)
async def test_an_invalid_one_of_literal_is_one_error_with_its_location(
    client: Client, by: str, path: list[str]
) -> None:
    _, error = await fetch_error(client, f"{{ eventType(by: {by}) {{ id }} }}")

    assert error == {
        "message": ONE_OF.format("EventTypeBy"),
        "locations": [{"line": 1, "column": 17}],
        "extensions": {"code": "BAD_USER_INPUT", "path": path},
    }


@pytest.mark.parametrize(
    ("query", "variables", "place", "path", "type_name"),
    [
        (BY, {"by": {"type": None}}, " at .type", ["by", "type"], "EventTypeBy"),
        (BY, {"by": {}}, "", ["by"], "EventTypeBy"),
        (BY, {"by": {"type": "a", "id": "b"}}, "", ["by"], "EventTypeBy"),
        (BY, {"by": {"type": "a", "id": None}}, "", ["by"], "EventTypeBy"),
        (
            ADD_RULE,
            {"condition": {"all": [{"any": []}, {"not": {}}]}},
            " at .all[1].not",
            ["rule", "condition", "all", "1", "not"],
            "ConditionInput",
        ),
    ],
)
async def test_an_invalid_one_of_variable_is_one_error_with_its_path(
    client: Client,
    query: str,
    variables: dict[str, Any],
    place: str,
    path: list[str],
    type_name: str,
) -> None:
    _, error = await fetch_error(client, query, **variables)

    [name] = variables
    prefix = f"Variable '${name}' has invalid value{place}: "
    assert error["message"] == prefix + ONE_OF.format(type_name)
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": path}


@pytest.mark.parametrize("variables", [{}, {"type": None}, {"type": "a"}])
async def test_a_nullable_variable_in_a_one_of_input_is_an_error(
    client: Client, variables: dict[str, Any]
) -> None:
    query = "query ($type: String) { eventType(by: {type: $type}) { id } }"

    _, error = await fetch_error(client, query, **variables)

    assert error == {
        "message": NULLABLE.format("type", "String", "EventTypeBy"),
        "locations": [{"line": 1, "column": 8}, {"line": 1, "column": 46}],
        "extensions": {"code": "BAD_USER_INPUT"},
    }


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "query ($type: String!, $id: ID) { eventType(by: {type: $type, id: $id}) { id } }",
            NULLABLE.format("id", "ID", "EventTypeBy"),
        ),
        (
            "query ($type: String) { eventType(by: {type: $type, id: null}) { id } }",
            NULLABLE.format("type", "String", "EventTypeBy"),
        ),
        (
            "{ eventType(by: {foo: 1}) { id } }",
            "Expected value of type 'EventTypeBy' not to include unknown field 'foo', "
            "found: { foo: 1 }.",
        ),
    ],
)
async def test_two_mistakes_in_a_one_of_input_are_one_error(
    client: Client, query: str, message: str
) -> None:
    _, error = await fetch_error(client, query, type="a", id="b")

    assert error["message"] == message


async def test_a_variable_without_a_definition_in_a_one_of_input_is_an_error(
    client: Client,
) -> None:
    _, error = await fetch_error(client, "{ eventType(by: {type: $type}) { id } }")

    assert error["message"] == "Variable '$type' is not defined."
    assert error["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}


async def test_messages_about_null_use_the_graphql_name(client: Client) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("{ eventType(by: null) { id } }", {}),
        (BY, {"by": None}),
        ("query ($by: [ID!]) { events(filter: {ids: $by}) { totalCount } }", {"by": [None]}),
    ]

    messages = [
        (await fetch_error(client, query, **variables))[1]["message"] for query, variables in wrong
    ]

    assert messages == [
        "Expected value of non-null type 'EventTypeBy!' not to be null.",
        "Variable '$by' has invalid value: "
        "Expected value of non-null type 'EventTypeBy!' not to be null.",
        "Variable '$by' has invalid value at [0]: "
        "Expected value of non-null type 'ID!' not to be null.",
    ]


def test_every_optional_input_accepts_null_except_in_one_of_inputs() -> None:
    # For a `Maybe[T]`, Strawberry answers null with an error that explains Python types.
    types = build_schema().graphql_schema.type_map.values()
    definitions = [
        type_.extensions["strawberry-definition"]
        for type_ in types
        if isinstance(type_, GraphQLInputObjectType)
    ]
    fields = [
        f"{definition.name}.{field.python_name}"
        for definition in definitions
        if not definition.is_one_of
        for field in definition.fields
        if isinstance(field.type, StrawberryMaybe)
        and not isinstance(field.type.of_type, StrawberryOptional)
    ]

    assert fields == []
