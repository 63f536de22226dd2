"""Requests that plans do not answer: errors, missing permissions, and operations without a plan."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.domain.access.caller import Permission
from app.graphql.plans.plan_executor import MAX_PLANS_PER_OPERATION
from app.store.engine.database import Database
from app.store.reading import projection
from app.store.reading.pages import encode_cursor
from tests.client import Client
from tests.conftest import Statements
from tests.factories import create_api_key
from tests.plans.plan_and_execution import DOCUMENTS, PlanAndExecution

UNKNOWN = "00000000-0000-7000-8000-000000000000"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ('{ event(id: "nonsense") { id } }', {}, "BAD_USER_INPUT"),
    ("query ($id: ID!) { event(id: $id) { id } }", {"id": "x' OR 1=1"}, "BAD_USER_INPUT"),
    ("query ($id: ID!) { event(id: $id) { id } }", {"id": None}, "BAD_USER_INPUT"),
    ("query ($id: ID!) { event(id: $id) { id } }", {}, "BAD_USER_INPUT"),
    ("{ events(first: 0) { totalCount } }", {}, "BAD_USER_INPUT"),
    ("{ events(first: 101) { totalCount } }", {}, "BAD_USER_INPUT"),
    ("{ events(first: 1, last: 1) { totalCount } }", {}, "BAD_USER_INPUT"),
    ("{ events(offset: 10001) { nodes { id } } }", {}, "BAD_USER_INPUT"),
    ('{ events(after: "nonsense") { nodes { id } } }', {}, "INVALID_CURSOR"),
    ('{ events(filter: {ids: ["1"]}) { nodes { id } } }', {}, "BAD_USER_INPUT"),
    ('{ events(filter: {source: "\\u0000"}) { nodes { id } } }', {}, "BAD_USER_INPUT"),
    ("query ($f: EventFilter) { events(filter: $f) { nodes { id } } }", {"f": 1}, "BAD_USER_INPUT"),
    ('{ eventType(by: {id: "x"}) { id } }', {}, "BAD_USER_INPUT"),
    ('{ eventTypes(after: "x") { nodes { id } } }', {}, "INVALID_CURSOR"),
    ('{ eventBySource(source: "\\u0000", sourceId: "1") { id } }', {}, "BAD_USER_INPUT"),
    ("{ events { nodes { nonsense } } }", {}, "GRAPHQL_VALIDATION_FAILED"),
    ("{ events { nodes { id }", {}, "GRAPHQL_PARSE_FAILED"),
]


@pytest.mark.parametrize(("query", "variables", "code"), REFUSED)
async def test_an_invalid_request_affects_no_other_request(
    client: Client, query: str, variables: dict[str, Any], code: str
) -> None:
    await client.log_event(summary="there")

    [error, *_] = (await client.execute(query, **variables))["errors"]
    again = await client.execute_field("{ events { nodes { summary } } }")

    assert error["extensions"]["code"] == code
    assert again == {"nodes": [{"summary": "there"}]}


async def test_an_error_in_one_root_field_does_not_affect_the_others(
    client: Client,
) -> None:
    event = await client.log_event(summary="there")
    query = (
        f'{{ good: event(id: "{event["id"]}") {{ summary }} bad: event(id: "x") {{ summary }} }}'
    )

    answer = await client.execute(query)

    assert answer["data"] == {"good": {"summary": "there"}, "bad": None}
    assert [error["path"] for error in answer["errors"]] == [["bad"]]


async def test_a_plan_requires_every_permission_of_its_fields(
    own_client: Client, database: Database
) -> None:
    both = await PlanAndExecution.create(database)
    logged = await own_client.log_event(summary="there")
    creator = both.as_caller(permissions=frozenset({Permission.EVENT_CREATE}))
    reader = both.as_caller(permissions=frozenset({Permission.EVENT_READ}))
    of_types = "{ eventTypes { nodes { name } } }"
    of_events = "{ events { nodes { summary eventType { name } } } }"

    has_plan = {
        (name, query): await caller.execute_plan(query) is not None
        for name, caller in (("creator", creator), ("reader", reader))
        for query in (of_types, of_events, f'{{ event(id: "{logged["id"]}") {{ id }} }}')
    }

    assert [query for (name, query), is_planned in has_plan.items() if not is_planned] == [
        of_events,
        f'{{ event(id: "{logged["id"]}") {{ id }} }}',
    ]
    refused = await creator.execute_schema(of_events)
    assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_plan_returns_nothing_of_another_organization(
    own_client: Client, database: Database
) -> None:
    await own_client.execute_field(
        """mutation { createEventType(input: {name: "G", type: "g", state: PUBLISHED})
             { userErrors { code } } }"""
    )
    event = await own_client.log_event(summary="ours", type="g", source="s", sourceId="1")
    cursor = await own_client.execute_field("{ events { pageInfo { endCursor } } }")
    stranger = own_client.as_key(await create_api_key(database, *Permission, organization="other"))
    before = _count_planned()

    answer = await stranger.execute(
        """query ($id: ID!, $type: ID!) {
             event(id: $id) { id } events { totalCount nodes { id } }
             byIds: events(filter: {ids: [$id]}) { totalCount nodes { id } }
             eventBySource(source: "s", sourceId: "1") { id }
             eventType(by: {id: $type}) { id } byName: eventType(by: {type: "g"}) { id }
             eventTypes { totalCount nodes { id } } }""",
        id=event["id"],
        type=event["eventType"]["id"],
    )
    taken = _count_planned() - before
    theirs = await stranger.expect_error(
        "query ($after: String) { events(after: $after) { nodes { id } } }",
        after=cursor["pageInfo"]["endCursor"],
    )

    assert taken == 1
    nothing = {"totalCount": 0, "nodes": []}
    assert answer["data"] == {
        "event": None,
        "events": nothing,
        "byIds": nothing,
        "eventBySource": None,
        "eventType": None,
        "byName": None,
        "eventTypes": nothing,
    }
    assert theirs["extensions"]["code"] == "INVALID_CURSOR"


async def test_each_root_field_takes_one_statement(
    own_client: Client, statements: Statements
) -> None:
    await own_client.execute_field(
        """mutation { createEventType(input: {name: "G", type: "g", state: PUBLISHED,
             fields: [{name: "a", kind: NUMBER}]}) { userErrors { code } } }"""
    )
    for n in range(3):
        await own_client.log_event(type="g", fields={"a": n})
    query = """{ events { totalCount nodes { id eventType { name fields { name } } } }
                 eventTypes { nodes { name } } }"""
    first = await own_client.execute_data(query)
    statements.clear()

    again = await own_client.execute_data(query)

    assert again == first
    selects = [each for each in statements if each.lstrip().startswith("SELECT")]
    assert len(selects) == 2


def _count_planned() -> float:
    return _count_plans("planned")


def _count_plans(outcome: str) -> float:
    return REGISTRY.get_sample_value("tocsin_plans_total", {"result": outcome}) or 0.0


async def test_operations_without_a_plan_are_executed_and_counted(client: Client) -> None:
    event = await client.log_event(summary="there")
    deep = "duplicateOf { " * 7 + "id" + " }" * 7
    before = _count_plans("not_planned"), _count_plans("failed")

    history = await client.execute_field(
        "{ events { nodes { history { totalCount: nodes { kind } } } } }"
    )
    nested = await client.execute_field(f"{{ events {{ nodes {{ id {deep} }} }} }}")
    introspected = await client.execute_field("{ __schema { queryType { name } } }")

    assert history == {"nodes": [{"history": {"totalCount": [{"kind": "LOGGED"}]}}]}
    assert nested == {"nodes": [{"id": event["id"], "duplicateOf": None}]}
    assert introspected == {"queryType": {"name": "Query"}}
    assert (_count_plans("not_planned"), _count_plans("failed")) == (before[0] + 3, before[1])


async def test_the_plans_of_an_operation_are_bounded(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    names = [f"v{n}" for n in range(7)]
    head = ", ".join(f"${name}: Boolean!" for name in names)
    fields = " ".join(f"a{name}: summary @skip(if: ${name})" for name in names)
    query = f"query ({head}) {{ events {{ nodes {{ id {fields} }} }} }}"

    for combination in range(2 * MAX_PLANS_PER_OPERATION):
        variables = {name: bool(combination >> n & 1) for n, name in enumerate(names)}
        assert (await both.execute_plan(query, **variables))["data"] == {"events": {"nodes": []}}

    [operation] = DOCUMENTS.get_document(query).prepared_operations.values()
    assert len(operation.plans) == MAX_PLANS_PER_OPERATION


async def test_an_error_in_a_plan_is_logged_and_the_query_is_executed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("SELECT secret FROM api_key")

    await client.log_event(summary="there")
    monkeypatch.setattr("app.graphql.plans.response_writer._write_list_fields", broken)
    before = _count_plans("failed")

    with capture_logs() as logs:
        page = await client.execute_field("{ events { nodes { summary } } }")

    assert page == {"nodes": [{"summary": "there"}]}
    assert "plan_failed" in [each["event"] for each in logs]
    assert _count_plans("failed") == before + 1


@pytest.mark.parametrize(("changes", "is_planned"), [(1, True), (2, True), (3, False)])
async def test_rows_are_read_again_if_the_definitions_change_meanwhile(
    database: Database, monkeypatch: pytest.MonkeyPatch, changes: int, is_planned: bool
) -> None:
    both = await PlanAndExecution.create(database)
    created = await both.run_mutation(
        """mutation { createEventType(input: {name: "G", type: "g", state: PUBLISHED})
             { eventType { id } userErrors { code } } }"""
    )
    remaining = [*range(changes)]
    fetch_definitions_version = projection.fetch_definitions_version

    async def change_and_fetch(database: Database, organization_id: UUID) -> int:
        if remaining:
            await both.run_mutation(
                """mutation ($input: UpdateEventTypeInput!) { updateEventType(input: $input)
                     { userErrors { code } } }""",
                input={"id": created["eventType"]["id"], "name": f"{remaining.pop()} left"},
            )
        return await fetch_definitions_version(database, organization_id)

    monkeypatch.setattr(projection, "fetch_definitions_version", change_and_fetch)
    query = "{ eventTypes { nodes { name } } }"

    planned = await both.execute_plan(query)

    expected = {"data": {"eventTypes": {"nodes": [{"name": "0 left"}]}}}
    assert remaining == []
    assert (planned is not None) is is_planned
    assert planned is None or planned["data"] == expected["data"]
    assert (await both.execute_schema(query))["data"] == expected["data"]


async def test_invalid_documents_and_mutations_are_not_cached(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    queries = ["{ nothing }", "mutation { nothing }", "{ unfinished"]

    plans = [await both.execute_plan(query) for query in queries]

    assert plans == [None] * 3
    assert [DOCUMENTS.get_document(query).prepared_operations for query in queries] == [{}] * 3


BELL = "query ($after: String) { notifications(after: $after) { nodes { id } } }"


async def test_a_forged_cursor_is_rejected_by_plans_and_execution(
    database: Database,
) -> None:
    both = await PlanAndExecution.create(database)
    cursor = encode_cursor(both.caller.organization_id, "log", "", 2**63, 1, None)

    with capture_logs() as logs:
        planned = await both.execute_plan(BELL, after=cursor)
    executed = await both.execute_schema(BELL, after=cursor)

    assert planned is None
    assert [each["log_level"] for each in logs] == ["debug"]
    assert executed["errors"][0]["extensions"]["code"] == "CURSOR_EXPIRED"
