"""Limits of a document, and the errors of a document that exceeds one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graphql import get_introspection_query
from strawberry.types.graphql import OperationType

from app.domain.shared.limits import DocumentLimits
from app.graphql.execution.documents import DocumentCache
from app.graphql.execution.input_errors import MAX_REPORTED_ERRORS
from app.graphql.schema import build_schema
from tests.client import Client
from tests.conftest import SQLITE, Serve

SCHEMA = build_schema()
DOCUMENTS = SCHEMA.documents
EVENTS = "text/event-stream"


@pytest.fixture
def dialect() -> str:
    """SQLite only: documents do not depend on the database."""
    return SQLITE


def new_document_cache(**limits: int) -> DocumentCache:
    return DocumentCache(
        SCHEMA.graphql_schema, DocumentLimits(**limits), SCHEMA.documents._request_limits
    )


def limit_errors(text: str) -> list[tuple[str, int | None]]:
    """Returns message and line of each error. All must be errors of limits."""
    errors = DOCUMENTS.get_document(text).errors
    assert {(error.extensions or {})["code"] for error in errors} <= {"LIMIT_EXCEEDED"}
    return [
        (error.message, error.locations[0].line if error.locations else None) for error in errors
    ]


def aliased_query(count: int) -> str:
    return "{" + " ".join(f"a{n}: logHead" for n in range(count)) + "}"


def nested_query(depth: int) -> str:
    """A query of `duplicateOf`, nested to the given depth."""
    return "{ event(id: 1)" + "{ duplicateOf" * (depth - 2) + "{ id" + "}" * depth


LARGE = {
    "tokens": (
        "{" + "logHead " * 1_999 + "}",
        "The document has too many tokens; the maximum is 2,000.",
    ),
    "comments": (
        "#\n" * 2_001 + "{ logHead }",
        "The document has too many comments; the maximum is 2,000.",
    ),
    "characters": (
        "{ logHead }" + " " * 1_000_000,
        "The document has 1,000,011 characters; the maximum is 1,000,000.",
    ),
    "operations": (
        "\n".join(f"query Q{n} {{ logHead }}" for n in range(11)),
        "The document has too many operations; the maximum is 10.",
    ),
    "fragments": (
        "\n".join(f"fragment F{n} on Query {{ logHead }}" for n in range(31)) + "{ logHead }",
        "The document has too many fragments; the maximum is 30.",
    ),
    "directives": (
        "query ($b: Boolean!) {" + "logHead @skip(if: $b) " * 51 + "}",
        "The document has too many directives; the maximum is 50.",
    ),
    "directives at one location": (
        "{ logHead" + " @include(if: true)" * 4 + "}",
        "The document has too many directives at one location; the maximum is 3.",
    ),
    "aliases": (
        aliased_query(16),
        "The operation has too many aliases, including those of its fragments; the maximum is 15.",
    ),
    "fields": (
        "{" + "logHead " * 401 + "}",
        "The operation has too many fields, including those of its fragments; the maximum is 400.",
    ),
    "depth": (nested_query(13), "The operation is nested 13 fields deep; the maximum is 12."),
    "nesting": (
        nested_query(300),
        "The document is nested too deeply; the maximum is 12 fields.",
    ),
    "a deep value": (
        "{ checkEvent(input: {fields: " + "[" * 300 + "]" * 300 + "}) { accepted } }",
        "The document is nested too deeply; the maximum is 12 fields.",
    ),
}
WITHIN = {
    "tokens": "{" + "logHead " * 400 + "}",
    "operations": "\n".join(f"query Q{n} {{ logHead }}" for n in range(10)),
    "fragments": " ".join(f"fragment F{n} on Query {{ logHead }}" for n in range(30))
    + "{"
    + " ".join(f"...F{n}" for n in range(30))
    + "}",
    "directives": "query ($b: Boolean!) {" + "logHead @skip(if: $b) " * 50 + "}",
    "aliases": aliased_query(15),
    "depth": nested_query(12),
    "introspection": get_introspection_query(),
    "everything that can be introspected": get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    ),
}


@pytest.mark.parametrize("kind", LARGE)
def test_a_document_over_a_limit_is_rejected_with_the_limit(kind: str) -> None:
    text, message = LARGE[kind]

    errors = limit_errors(text)

    assert [each for each, _ in errors] == [message]
    assert (errors[0][1] is None) == (kind == "characters")  # all other errors have a location


@pytest.mark.parametrize("kind", WITHIN)
def test_a_document_at_a_limit_is_accepted(kind: str) -> None:
    document = DOCUMENTS.get_document(WITHIN[kind])

    assert document.errors == ()


def test_an_error_of_a_limit_has_the_location_of_the_first_excess() -> None:
    of_operations = limit_errors(LARGE["operations"][0])
    of_fragments = limit_errors(LARGE["fragments"][0])

    assert [line for _, line in of_operations + of_fragments] == [11, 31]


def test_each_limit_can_be_configured() -> None:
    documents = new_document_cache(aliases=2, depth=1, fields=2)

    messages = [
        error.message
        for error in documents.get_document("{ a: viewer { b: name c: name } }").errors
    ]

    assert messages == [
        "The operation has too many fields, including those of its fragments; the maximum is 2.",
        "The operation has too many aliases, including those of its fragments; the maximum is 2.",
        "The operation is nested 2 fields deep; the maximum is 1.",
    ]


def test_a_fragment_counts_once_per_spread() -> None:
    doubling = "\n".join(
        f"fragment F{n} on Event {{ a: id ...F{n + 1} ...F{n + 1} }}" for n in range(28)
    )
    text = f"{{ event(id: 1) {{ ...F0 }} }} {doubling} fragment F28 on Event {{ id }}"

    errors = limit_errors(text)

    assert len(errors) == MAX_REPORTED_ERRORS
    assert errors[0] == (
        "The operation has too many fields, including those of its fragments; the maximum is 400.",
        1,
    )


def test_depth_includes_fragments() -> None:
    chain = " ".join(
        f"fragment F{n} on Event {{ duplicateOf {{ ...F{n + 1} }} }}" for n in range(12)
    )
    text = f"{{ event(id: 1) {{ ...F0 }} }} {chain} fragment F12 on Event {{ id }}"

    errors = limit_errors(text)

    assert errors[0] == ("The operation is nested 14 fields deep; the maximum is 12.", 1)


def test_introspection_has_its_own_depth_limit() -> None:
    deep = "{ __type(name: 1) { " + "ofType {" * 15 + "name" + "}" * 17
    beside = "{ __schema { description } event(id: 1)" + "{ duplicateOf" * 11 + "{ id" + "}" * 13

    assert limit_errors(deep) == [
        ("The introspection fields are nested 17 levels deep; the maximum is 15.", 1)
    ]
    assert limit_errors(beside) == [
        ("The operation is nested 13 fields deep; the maximum is 12.", 1)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "fragment A on Event { id ...A } { event(id: 1) { ...A } }",
        "fragment A on Event { ...B } fragment B on Event { id ...A } { event(id: 1) { ...A } }",
        "{ event(id: 1) { ...A } }",
    ],
)
def test_invalid_fragment_spreads_are_reported_by_validation(text: str) -> None:
    [error, *_] = DOCUMENTS.get_document(text).errors

    assert "Cannot spread fragment" in error.message or "Unknown fragment" in error.message


def test_validation_is_cancelled_after_its_time_limit() -> None:
    fragments = " ".join(f"fragment F{n} on Event {{ {'id ' * 390} }}" for n in range(4))

    errors = limit_errors(f"{{ event(id: 1) {{ ...F0 }} }} {fragments}")

    assert errors == [
        (
            "The document is too complex to validate: too many of its fields have the same name.",
            None,
        )
    ]


def test_at_most_five_errors_are_returned() -> None:
    errors = DOCUMENTS.get_document("{ a1 a2 a3 a4 a5 a6 a7 }").errors

    assert [error.message for error in errors] == [
        f"Cannot query field 'a{n}' on type 'Query'." for n in range(1, 6)
    ]


def test_documents_are_parsed_once_and_the_cache_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.graphql.execution.documents._MAX_CACHED_DOCUMENTS", 10)
    documents = new_document_cache()
    first = documents.get_document("{ logHead }")

    again = documents.get_document("{ logHead }")
    for n in range(15):
        documents.get_document(f"query Q{n} {{ logHead }}")
    long = documents.get_document("{ logHead } #" + "x" * 70_000)

    assert again is first
    assert len(documents) == 10
    assert documents.get_document(first.text) is not first
    assert documents.get_document(long.text) is not long


def test_the_document_cache_is_bounded_by_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.graphql.execution.documents._MAX_CACHED_TOKENS", 1_000)
    documents = new_document_cache()

    for n in range(15):
        documents.get_document(f"query Q{n} {{ " + "x " * 96 + "}")

    assert len(documents) == 1_000 // 102


async def test_every_graphql_transport_returns_the_same_error(client: Client) -> None:
    text, message = LARGE["aliases"]
    error = {
        "message": message,
        "locations": [{"line": 1, "column": 1}],
        "extensions": {"code": "LIMIT_EXCEEDED"},
    }

    answered = await client.post(text)
    streamed = await client.http.post("/graphql", json={"query": text}, headers={"accept": EVENTS})
    async with client.subscription(text) as subscription:
        over_socket = await subscription.receive_error()

    assert (answered.status_code, answered.json()) == (200, {"errors": [error]})
    assert f"data: {json.dumps({'errors': [error]}, separators=(',', ':'))}\n" in streamed.text
    assert over_socket == error


# Includes a missing selection, for which graphql-core also suggests a name.
UNNAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "a field": ("{ event }", {}),
    "another field": ("{ evens { totalCount } }", {}),
    "a selection": ("{ events }", {}),
    "an argument": ("{ events(frist: 1) { totalCount } }", {}),
    "a type": ("query ($a: Evnt) { logHead }", {}),
    "an enum value": ("{ eventCounts(by: [SEVERTY]) { count } }", {}),
    "an input field": ('{ events(filter: {typs: ["a"]}) { totalCount } }', {}),
    "an enum value in a variable": (
        "query ($by: [EventDimension!]!) { eventCounts(by: $by) { count } }",
        {"by": ["SEVERTY"]},
    ),
    "an input field in a variable": (
        "query ($f: EventFilter) { events(filter: $f) { totalCount } }",
        {"f": {"typs": ["a"]}},
    ),
    "a variable of a subscription": (
        "subscription ($f: EventFilter) { eventChanged(filter: $f) { kind } }",
        {"f": {"typs": ["a"]}},
    ),
}


async def test_errors_suggest_no_names(client: Client) -> None:
    for kind, (text, variables) in UNNAMED.items():
        answered = await client.post(text, **variables)
        async with client.subscription(text, **variables) as subscription:
            message = (await subscription.socket.receive())["payload"]

        assert "errors" in answered.json(), kind
        assert "Did you mean" not in answered.text + json.dumps(message), kind


async def test_at_most_five_errors_of_variables_are_returned(client: Client) -> None:
    wrong = [{"nothing": 1}] * 9

    answer = await client.execute(
        "mutation ($i: [LogEventInput!]!) { logEvents(input: $i) { accepted } }", i=wrong
    )

    assert len(answer["errors"]) == MAX_REPORTED_ERRORS
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}


async def test_a_server_uses_the_limits_of_its_settings(serve: Serve, database_url: str) -> None:
    async with serve(database_url, documents={"aliases": 20, "cost": 30}) as client:
        taken = await client.execute(aliased_query(20))
        refused = await client.expect_error(aliased_query(21))
        costly = await client.expect_error("{ events(first: 30) { nodes { id } } }")

    assert taken["extensions"] == {"cost": {"requested": 20, "limit": 30}}
    assert "maximum is 20" in refused["message"]
    assert "maximum is 30" in costly["message"]


@pytest.mark.parametrize(
    ("text", "name", "mutation"),
    [
        ("mutation { logEvent(input: {}) { duplicate } }", None, True),
        ('{ events(filter: {search: "mutation"}) { totalCount } }', None, False),
        ("subscription mutation { notificationAdded { cursor } }", "mutation", False),
        ("query A { logHead } mutation B { logEvent(input: {}) { duplicate } }", "A", False),
        ("query A { logHead } mutation B { logEvent(input: {}) { duplicate } }", "B", True),
        ("mutation {", None, False),
    ],
)
def test_mutations_of_a_document_are_detected(text: str, name: str | None, mutation: bool) -> None:
    type_ = DOCUMENTS.get_document(text).find_operation_type(name)

    assert (type_ is OperationType.MUTATION) is mutation
