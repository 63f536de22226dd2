"""Reports logged by compiled mutations, without graphql-core: equal responses, logged once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from strawberry.http import process_result

from app.domain.access.caller import Permission
from app.graphql.plans.compiled_mutations import CompiledMutations
from app.services.events import event_queries
from app.services.events.event_queries import EventOrderField, EventPageRequest
from app.store.engine.database import Database
from app.store.reading.pages import PageRequest
from tests.plans.plan_and_execution import DOCUMENTS, SCHEMA, PlanAndExecution

EVENT = """
  id type eventTypeVersion category entity { type entityId } severity summary content source
  sourceId subject outcome occurredAt recordedAt updatedAt fields tags occurrences lastOccurredAt
  notification acknowledged acknowledgedAt acknowledgedBy version __typename
"""
RESULT = "{ again: duplicate one: event { %s } warnings { message } userErrors { code path } }"
LOG = "mutation ($input: LogEventInput!) { logged: logEvent(input: $input) %s }" % (RESULT % EVENT)
LOG_MANY = (
    """
mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) { accepted duplicates rejected userErrors { code } results %s }
}
"""
    % (RESULT % "...Own")
    + (f"fragment Own on Event {{ {EVENT} }}")
)
REPORT = {
    "type": "a.b",
    "entity": {"type": "Well", "id": "w-1"},
    "severity": "warn",
    "summary": 'Quoted "here" \\ \u00e9\U0001f525\u2028 %s {x}',
    "source": "/a",
    "sourceId": "1",
    "occurredAt": "2026-04-01T12:30:00.5+02:00",
    "fields": {"a": [1, {"b": None}], "c\u00e9": 1e300, "d": 1.0},
    "tags": ["a:b", 'c"d'],
    "notification": True,
    "acknowledged": True,
}
INVALID_INPUTS: tuple[Any, ...] = (
    None,
    "text",
    {"summary": 1},
    {"tags": [None]},
    {"notification": "yes"},
    {"occurredAt": "yesterday"},
    {"entity": {"type": "Well"}},
    {"outcome": "PERHAPS"},
    {"nobody": "knows"},
)
COMPILED = CompiledMutations(SCHEMA)


async def execute_plan(both: PlanAndExecution, query: str, **variables: Any) -> Any:
    answer = await COMPILED.execute_mutation(
        both.context, DOCUMENTS.get_document(query), None, variables
    )
    return None if answer is None else json.loads(answer)


async def execute_as_http(both: PlanAndExecution, query: str, **variables: Any) -> Any:
    """Runs a mutation like the HTTP transport: graphql-core executes it if the plan returns
    nothing.
    """
    context = both.context
    assert (
        await COMPILED.execute_mutation(context, DOCUMENTS.get_document(query), None, variables)
        is None
    )
    result = await SCHEMA.execute(query, variable_values=variables, context_value=context)
    return json.loads(json.dumps(process_result(result)))


async def count_stored_events(both: PlanAndExecution) -> int:
    order = event_queries.event_order(EventOrderField.OCCURRED_AT, True)
    request = EventPageRequest((), order, PageRequest(1))
    return await event_queries.EVENT_LIST.count_rows(both.access.database, both.caller, request)


async def test_a_report_and_its_replay_have_the_same_response_as_by_execution(
    database: Database,
) -> None:
    both = await PlanAndExecution.create(database)

    first = await execute_plan(both, LOG, input=REPORT)

    assert first["data"]["logged"]["again"] is False
    again = await execute_plan(both, LOG, input=REPORT)
    assert again["data"]["logged"]["one"] == first["data"]["logged"]["one"]
    assert json.dumps(again) == json.dumps(await both.execute_schema(LOG, input=REPORT))
    assert await count_stored_events(both) == 1


async def test_a_list_has_the_same_response_as_by_execution(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    reports = [REPORT | {"sourceId": str(n)} for n in range(3)] + [{"sourceId": "9"}]
    await execute_plan(both, LOG_MANY, input=reports[1:])

    response = await execute_plan(both, LOG_MANY, input=reports)

    counts = {name: response["data"]["logEvents"][name] for name in ("accepted", "duplicates")}
    assert counts == {"accepted": 1, "duplicates": 3}
    again = await execute_plan(both, LOG_MANY, input=reports)
    assert json.dumps(again) == json.dumps(await both.execute_schema(LOG_MANY, input=reports))


async def test_rejected_reports_are_executed_and_the_others_logged_once(
    database: Database,
) -> None:
    both = await PlanAndExecution.create(database)

    response = await execute_as_http(
        both, LOG_MANY, input=[{"summary": "good"}, {"summary": "x" * 1_001}]
    )

    logged = response["data"]["logEvents"]
    assert (logged["accepted"], logged["rejected"]) == (1, 1)
    error = {"code": "INVALID_INPUT", "path": ["input", "1", "summary"]}
    assert logged["results"][1]["userErrors"] == [error]
    assert await count_stored_events(both) == 1


async def test_invalid_input_is_reported_by_execution_and_not_logged(database: Database) -> None:
    both = await PlanAndExecution.create(database)

    for invalid_input in INVALID_INPUTS:
        response = await execute_as_http(both, LOG, input=invalid_input)

        [error] = response["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT", invalid_input
    assert await count_stored_events(both) == 0


async def test_a_missing_permission_is_reported_by_execution(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    reader = both.as_caller(permissions=frozenset({Permission.EVENT_READ}))

    response = await execute_as_http(reader, LOG, input=REPORT)

    assert response["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await count_stored_events(both) == 0


async def test_without_event_read_only_new_events_are_returned(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    reporter = both.as_caller(permissions=frozenset({Permission.EVENT_CREATE}))

    first = await execute_plan(reporter, LOG, input=REPORT)
    again = await execute_plan(reporter, LOG, input=REPORT)

    assert first["data"]["logged"]["one"]["summary"] == REPORT["summary"]
    assert again["data"]["logged"] == {
        "again": True,
        "one": None,
        "warnings": [],
        "userErrors": [],
    }


async def test_a_comment_with_an_at_sign_is_not_a_directive(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    selected = "logEvent(input: $input) { event { summary } }"
    query = f"mutation ($input: LogEventInput!) {{ {selected} }} # @skip"

    answer = await execute_plan(both, query, input=REPORT)

    assert answer["data"] == {"logEvent": {"event": {"summary": REPORT["summary"]}}}


@pytest.mark.parametrize(
    "selected",
    [
        "logEvent(input: $input) { event { history { nodes { at } } } }",
        "logEvent(input: $input) { event { eventType { id } } }",
        "logEvent(input: $input) { duplicate @skip(if: true) event { id } }",
        "a: logEvent(input: $input) { duplicate } b: logEvent(input: $input) { duplicate }",
    ],
)
async def test_operations_without_a_plan_are_executed(database: Database, selected: str) -> None:
    both = await PlanAndExecution.create(database)
    query = f"mutation ($input: LogEventInput!) {{ {selected} }}"
    assert DOCUMENTS.get_document(query).errors == ()

    assert await execute_plan(both, query, input=REPORT) is None

    assert await count_stored_events(both) == 0
