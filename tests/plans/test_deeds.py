"""Reports that are logged without graphql-core: told as execution tells, and logged once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from strawberry.http import process_result

from app.domain.access.caller import Permission
from app.graphql.plans.compiled_mutations import Deeds
from app.services.events import event_queries
from app.store.engine.database import Database
from tests.plans.both import DOCUMENTS, SCHEMA, Both

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
UNFIT: tuple[Any, ...] = (
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
DEEDS = Deeds(SCHEMA)


async def planned(both: Both, query: str, **variables: Any) -> Any:
    answer = await DEEDS.answer(both.context, DOCUMENTS.read(query), None, variables)
    return None if answer is None else json.loads(answer)


async def over_http(both: Both, query: str, **variables: Any) -> Any:
    """As `protocols.http` asks: what the plan cannot tell is executed, with the same context."""
    context = both.context
    assert await DEEDS.answer(context, DOCUMENTS.read(query), None, variables) is None
    result = await SCHEMA.execute(query, variable_values=variables, context_value=context)
    return json.loads(json.dumps(process_result(result)))


async def stored(both: Both) -> int:
    return await event_queries.count(both.access.database, both.caller, ())


async def test_a_report_and_its_replay_are_told_as_execution_tells_them(database: Database) -> None:
    both = await Both.of(database)

    first = await planned(both, LOG, input=REPORT)

    assert first["data"]["logged"]["again"] is False
    again = await planned(both, LOG, input=REPORT)
    assert again["data"]["logged"]["one"] == first["data"]["logged"]["one"]
    assert json.dumps(again) == json.dumps(await both.executed(LOG, input=REPORT))
    assert await stored(both) == 1


async def test_a_list_is_told_as_execution_tells_it(database: Database) -> None:
    both = await Both.of(database)
    reports = [REPORT | {"sourceId": str(n)} for n in range(3)] + [{"sourceId": "9"}]
    await planned(both, LOG_MANY, input=reports[1:])

    told = await planned(both, LOG_MANY, input=reports)

    counts = {name: told["data"]["logEvents"][name] for name in ("accepted", "duplicates")}
    assert counts == {"accepted": 1, "duplicates": 3}
    again = await planned(both, LOG_MANY, input=reports)
    assert json.dumps(again) == json.dumps(await both.executed(LOG_MANY, input=reports))


async def test_what_is_refused_is_told_by_execution_and_the_others_are_logged_once(
    database: Database,
) -> None:
    both = await Both.of(database)

    told = await over_http(both, LOG_MANY, input=[{"summary": "good"}, {"summary": "x" * 1_001}])

    logged = told["data"]["logEvents"]
    assert (logged["accepted"], logged["rejected"]) == (1, 1)
    error = {"code": "INVALID_INPUT", "path": ["input", "1", "summary"]}
    assert logged["results"][1]["userErrors"] == [error]
    assert await stored(both) == 1


async def test_what_does_not_fit_is_told_by_execution_and_not_logged(database: Database) -> None:
    both = await Both.of(database)

    for unfit in UNFIT:
        told = await over_http(both, LOG, input=unfit)

        [error] = told["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT", unfit
    assert await stored(both) == 0


async def test_who_may_not_report_is_told_by_execution(database: Database) -> None:
    both = await Both.of(database)
    reader = both.as_caller(permissions=frozenset({Permission.EVENT_READ}))

    told = await over_http(reader, LOG, input=REPORT)

    assert told["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await stored(both) == 0


async def test_who_may_not_read_events_sees_only_what_is_new(database: Database) -> None:
    both = await Both.of(database)
    reporter = both.as_caller(permissions=frozenset({Permission.EVENT_CREATE}))

    first = await planned(reporter, LOG, input=REPORT)
    again = await planned(reporter, LOG, input=REPORT)

    assert first["data"]["logged"]["one"]["summary"] == REPORT["summary"]
    assert again["data"]["logged"] == {
        "again": True,
        "one": None,
        "warnings": [],
        "userErrors": [],
    }


async def test_a_comment_with_an_at_sign_is_no_directive(database: Database) -> None:
    both = await Both.of(database)
    selected = "logEvent(input: $input) { event { summary } }"
    query = f"mutation ($input: LogEventInput!) {{ {selected} }} # @skip"

    answer = await planned(both, query, input=REPORT)

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
async def test_what_no_plan_covers_is_left_to_execution(database: Database, selected: str) -> None:
    both = await Both.of(database)
    query = f"mutation ($input: LogEventInput!) {{ {selected} }}"
    assert DOCUMENTS.read(query).errors == ()

    assert await planned(both, query, input=REPORT) is None

    assert await stored(both) == 0
