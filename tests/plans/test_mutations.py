"""Mutations run by plans: equal responses, with errors and warnings, and each run once."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from graphql import (
    FragmentDefinitionNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    OperationDefinitionNode,
    get_named_type,
    is_leaf_type,
    parse,
)
from graphql.execution.values import VariableValues
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.domain.access.caller import Permission
from app.graphql.plans import value_writers
from app.graphql.plans.input_readers import InputReaders
from app.graphql.plans.planned_operation import PlannedOperation
from app.graphql.plans.planner import Planner
from app.graphql.shared.field_sources import (
    ConnectionPart,
    InMemoryRow,
    ListSource,
    get_field_source,
    get_strawberry_field,
)
from app.graphql.types import user_error
from app.services.events import event_queries
from app.services.events.event_queries import EventOrderField, EventPageRequest
from app.store.engine.database import Database
from app.store.reading.pages import PageRequest
from app.store.tables.columns import DriverCodec
from tests.plans.plan_and_execution import DOCUMENTS, PlanAndExecution
from tests.plans.random_documents import CORE

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
DRAWN = 12  # documents for each mutation
PREPARE = [
    """mutation { createEventType(input: {name: "Flare", type: "flare", state: PUBLISHED,
         fields: [{name: "volume", kind: NUMBER}]})
         { eventType { id } userErrors { message } } }""",
    """mutation { createDuplicationRule(input: {name: "once", fingerprint: ["subject"],
         window: "PT1H", action: REJECT}) { userErrors { message } } }""",
    """mutation { logEvent(input: {subject: "same", sourceId: "1", summary: "first"})
         { event { id } userErrors { message } } }""",
]
RULE = """
mutation ($expression: String!, $enforcement: GuardEnforcement!) {
  createGuardRule(input: {name: "rule", expression: $expression, message: "No \\"flares\\".",
    enforcement: $enforcement}) { guardRule { id } userErrors { message } }
}
"""
PUBLISH = "mutation ($id: ID!) { publishGuardRule(id: $id) { userErrors { message } } }"
REPORTS = [
    {"subject": "same", "sourceId": "1", "summary": "first"},  # a replay
    {"subject": "same"},  # a duplicate
    {"type": "flare", "fields": {"volume": 500}},  # violates a rule, which cannot judge the others
    {"type": "flare", "fields": {"volumes": 1}},
    {"summary": "x" * 1_001},
]
# Mutations whose payload is the same each time, because they change nothing.
REPEATABLE: list[tuple[str, dict[str, tuple[str, Any]]]] = [
    ("logEvents", {"input": ("[LogEventInput!]!", REPORTS)}),
    ("logEvents", {"input": ("[LogEventInput!]!", REPORTS[:1] * 501)}),
    *(("logEvent", {"input": ("LogEventInput!", report)}) for report in REPORTS),
    ("ingestCloudEvents", {"events": ("[JSON!]!", [{"id": "1"}, {"specversion": "1.0"}, 1])}),
    ("updateEvent", {"input": ("UpdateEventInput!", {"id": "EVENT", "ifVersion": 9})}),
    ("updateEvent", {"input": ("UpdateEventInput!", {"id": "x", "summary": None})}),
    ("deleteEvent", {"id": ("ID!", "nonsense")}),
    ("transitionEventType", {"id": ("ID!", "TYPE"), "to": ("EventTypeState!", "DRAFT")}),
    (
        "createGuardRule",
        {
            "input": (
                "CreateGuardRuleInput!",
                {"name": "r", "expression": "event.summary +", "message": "m"},
            )
        },
    ),
]


def count_plans(result: str) -> float:
    return REGISTRY.get_sample_value("tocsin_plans_total", {"result": result}) or 0.0


async def execute_planned(both: PlanAndExecution, query: str, **variables: Any) -> Any:
    """Returns the response, which the plan must have written."""
    before = count_plans("planned")
    with capture_logs() as logs:
        response = await both.execute_plan(query, **variables)
    assert count_plans("planned") == before + 1, (query, logs)
    return response


async def execute_by_core(both: PlanAndExecution, query: str, **variables: Any) -> Any:
    """Runs an operation that must not have a plan like the HTTP transport, by graphql-core."""
    assert await both.execute_plan(query, **variables) is None
    return await both.execute_schema(query, **variables)


async def count_stored_events(both: PlanAndExecution) -> int:
    order = event_queries.event_order(EventOrderField.OCCURRED_AT, True)
    request = EventPageRequest((), order, PageRequest(1))
    return await event_queries.EVENT_LIST.count_rows(both.access.database, both.caller, request)


async def test_a_report_and_its_replay_have_the_same_response_as_by_execution(
    database: Database,
) -> None:
    both = await PlanAndExecution.create(database)

    first = await execute_planned(both, LOG, input=REPORT)

    assert first["data"]["logged"]["again"] is False
    again = await execute_planned(both, LOG, input=REPORT)
    assert again["data"]["logged"]["one"] == first["data"]["logged"]["one"]
    assert json.dumps(again) == json.dumps(await both.execute_schema(LOG, input=REPORT))
    assert await count_stored_events(both) == 1


async def test_a_list_has_the_same_response_as_by_execution(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    reports = [REPORT | {"sourceId": str(n)} for n in range(3)] + [{"sourceId": "9"}]
    await execute_planned(both, LOG_MANY, input=reports[1:])

    response = await execute_planned(both, LOG_MANY, input=reports)

    counts = {name: response["data"]["logEvents"][name] for name in ("accepted", "duplicates")}
    assert counts == {"accepted": 1, "duplicates": 3}
    again = await execute_planned(both, LOG_MANY, input=reports)
    assert json.dumps(again) == json.dumps(await both.execute_schema(LOG_MANY, input=reports))


@pytest.mark.parametrize("reference", ["", "duplicateOf { id }"])  # written as rows, as objects
async def test_event_types_of_logged_events_have_the_same_response_as_by_execution(
    database: Database, reference: str
) -> None:
    both = await PlanAndExecution.create(database)
    await both.run_mutation(PREPARE[0])
    query = """mutation ($input: [LogEventInput!]!) {
      logEvents(input: $input) { results { event {
        id eventType { name fields { name eventType { type } } } kind: eventType { __typename }
        REFERENCE
      } } }
    }""".replace("REFERENCE", reference)
    reports = [{"type": type_, "sourceId": type_} for type_ in ("flare", "free", "flare")]
    first = await execute_planned(both, query, input=reports)

    planned = await execute_planned(both, query, input=reports)

    assert planned == first
    assert json.dumps(planned) == json.dumps(await both.execute_schema(query, input=reports))
    [of_type, free_form, _] = planned["data"]["logEvents"]["results"]
    assert of_type["event"]["eventType"]["name"] == "Flare"
    assert free_form["event"]["eventType"] is None


async def test_a_report_in_literals_with_nested_variables_is_planned(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    query = """mutation ($summary: String, $well: String! = "w-2", $tags: [String!]) {
      logEvent(input: {
        summary: $summary, entity: {type: "Well", id: $well}, tags: $tags, sourceId: "1",
        occurredAt: "2026-04-01T12:30:00Z", fields: {a: [1, 2.0]}
      }) { event { summary entity { entityId } tags fields } }
    }"""

    response = await execute_planned(both, query, summary="there")

    logged = response["data"]["logEvent"]["event"]
    assert logged == {
        "summary": "there",
        "entity": {"entityId": "w-2"},
        "tags": [],
        "fields": {"a": [1, 2.0]},
    }
    assert response == await both.execute_schema(query, summary="there")


async def test_rejected_reports_are_planned_and_the_others_logged_once(
    database: Database,
) -> None:
    both = await PlanAndExecution.create(database)

    response = await execute_planned(
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
        response = await execute_by_core(both, LOG, input=invalid_input)

        [error] = response["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT", invalid_input
    assert await count_stored_events(both) == 0


async def test_a_missing_permission_is_reported_by_execution(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    reader = both.as_caller(permissions=frozenset({Permission.EVENT_READ}))

    response = await execute_by_core(reader, LOG, input=REPORT)

    assert response["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await count_stored_events(both) == 0


async def test_without_event_read_only_new_events_are_returned(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    reporter = both.as_caller(permissions=frozenset({Permission.EVENT_CREATE}))

    first = await execute_planned(reporter, LOG, input=REPORT)
    again = await execute_planned(reporter, LOG, input=REPORT)

    assert first["data"]["logged"]["one"]["summary"] == REPORT["summary"]
    assert again["data"]["logged"] == {
        "again": True,
        "one": None,
        "warnings": [],
        "userErrors": [],
    }


async def test_directives_select_the_fields_of_a_payload(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    query = """mutation ($input: LogEventInput!, $with: Boolean!) {
      logEvent(input: $input) { duplicate @skip(if: $with) event @include(if: $with) { summary } }
    }"""

    with_event = await execute_planned(both, query, input=REPORT, **{"with": True})
    without_event = await execute_planned(both, query, input=REPORT, **{"with": False})

    assert with_event["data"] == {"logEvent": {"event": {"summary": REPORT["summary"]}}}
    assert without_event["data"] == {"logEvent": {"duplicate": True}}


@pytest.mark.parametrize(
    "selected",
    [
        "logEvent(input: $input) { event { history { nodes { at } } } }",
        "logEvent(input: $input) @skip(if: true) { duplicate }",
        "a: logEvent(input: $input) { duplicate } b: logEvent(input: $input) { duplicate }",
        """logEvent(input: $input) { duplicate
             userErrors { ... on DuplicateError { existing { history { nodes { at } } } } } }""",
    ],
)
async def test_operations_without_a_plan_are_executed(database: Database, selected: str) -> None:
    both = await PlanAndExecution.create(database)
    query = f"mutation ($input: LogEventInput!) {{ {selected} }}"
    assert DOCUMENTS.get_document(query).errors == ()

    assert await both.execute_plan(query, input=REPORT) is None

    assert await count_stored_events(both) == 0


def test_every_mutation_has_a_plan() -> None:
    root = CORE.mutation_type
    assert root is not None

    for name, field in root.fields.items():
        heads = ", ".join(f"${each}: {argument.type}" for each, argument in field.args.items())
        arguments = ", ".join(f"{each}: ${each}" for each in field.args)
        selected = "userErrors { ...Error } " * ("userErrors" in get_named_type(field.type).fields)
        text = f"mutation ({heads}) {{ {name}({arguments}) {{ {selected} __typename }} }}"
        document = parse(f"{text} fragment Error on UserError {{ message code path }}")
        [node, fragment] = document.definitions
        assert isinstance(node, OperationDefinitionNode)
        assert isinstance(fragment, FragmentDefinitionNode)
        operation = PlannedOperation(
            CORE, DriverCodec(None), node, {"Error": fragment}, VariableValues({}, {})
        )

        Planner(operation, InputReaders()).build_plan()  # raises NotPlannedError if there is none


async def test_random_payloads_have_the_same_response_from_plan_and_execution(
    database: Database,
) -> None:
    both = await PlanAndExecution.create(database)
    [event_type, _, logged] = [await both.run_mutation(each) for each in PREPARE]
    ids = {"EVENT": logged["event"]["id"], "TYPE": event_type["eventType"]["id"]}
    for expression, enforcement in (
        ("event.type != 'flare' || event.fields.volume < 100", "REJECT"),
        ("event.summary != 'first' && event.subject != 'odd'", "WARN"),
    ):
        rule = await both.run_mutation(RULE, expression=expression, enforcement=enforcement)
        await both.run_mutation(PUBLISH, id=rule["guardRule"]["id"])
    returned: set[str] = set()

    for index, (name, arguments) in enumerate(REPEATABLE):
        variables = {
            each: json.loads(_replace_ids(json.dumps(value), ids))
            for each, (_, value) in arguments.items()
        }
        for seed in range(DRAWN):
            drawn = PayloadDocument(f"{index} {seed}", name, arguments)
            planned = await execute_planned(both, drawn.text, **variables)
            executed = await both.execute_schema(drawn.text, **variables)
            assert planned is not None, drawn.text
            assert json.dumps(planned) == json.dumps(executed), drawn.text
            returned |= _find_values(executed["data"], "kindOfError")

    assert returned == {
        "InputError",
        "TransitionError",
        "GuardViolation",
        "ExpressionError",
        "DuplicateError",
    }


async def test_warnings_are_written_by_the_plan(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    rule = await both.run_mutation(RULE, expression="event.summary != 's'", enforcement="WARN")
    await both.run_mutation(PUBLISH, id=rule["guardRule"]["id"])
    query = """mutation { logEvent(input: {summary: "s", severity: "odd"}) {
      userErrors { message }
      warnings { __typename code path ... on GuardViolation { version rule { name message } } }
    } }"""

    planned = await execute_planned(both, query)

    assert planned == await both.execute_schema(query)
    warnings = planned["data"]["logEvent"]["warnings"]
    assert {each["__typename"]: each.get("rule") for each in warnings} == {
        "InputError": None,
        "GuardViolation": {"name": "rule", "message": 'No "flares".'},
    }


async def test_an_error_of_a_mutation_is_the_same_as_by_execution(database: Database) -> None:
    both = await PlanAndExecution.create(database)
    query = """mutation {
      failed: deleteEvents(filter: {ids: ["x"]}, expectedCount: 1) { changedCount }
    }"""

    planned = await both.execute_plan(query)

    [error] = planned["errors"]
    assert planned["data"] is None
    assert (error["path"], error["extensions"]["code"]) == (["failed"], "BAD_USER_INPUT")
    assert planned == await both.execute_schema(query)


async def test_an_error_in_a_payload_is_the_same_as_by_execution(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoRules:
        """The loaders of a request, after the rules have been deleted."""

        @property
        def rules(self) -> NoRules:
            return self

        async def load(self, _key: object) -> None:
            return None

    both = await PlanAndExecution.create(database)
    rule = await both.run_mutation(RULE, expression="event.type == 'x'", enforcement="REJECT")
    await both.run_mutation(PUBLISH, id=rule["guardRule"]["id"])
    query = """mutation ($input: [LogEventInput!]!) {
      logEvents(input: $input) { results { userErrors { ... on GuardViolation { rule { id } } } } }
    }"""
    monkeypatch.setattr(user_error, "get_loaders", lambda _info: NoRules())

    planned = await both.execute_plan(query, input=[{"type": "x"}, {}])

    [error] = planned["errors"]
    assert error["path"] == ["logEvents", "results", 1, "userErrors", 0, "rule"]
    assert planned == await both.execute_schema(query, input=[{"type": "x"}, {}])
    assert await count_stored_events(both) == 2  # one by each of the two calls


async def test_a_payload_that_cannot_be_written_is_executed_with_the_result_of_the_mutation(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_value: object) -> str:
        raise ValueError("cannot be encoded")

    both = await PlanAndExecution.create(database)
    query = """mutation ($input: [LogEventInput!]!) {
      logEvents(input: $input) { accepted results { event { summary } userErrors { code } } }
    }"""
    before = count_plans("failed")
    monkeypatch.setattr(value_writers, "encode_json", fail)

    response = await both.execute_plan(query, input=[{"summary": "s"}, {"summary": "x" * 1_001}])

    error = {"event": None, "userErrors": [{"code": "INVALID_INPUT"}]}
    assert response["data"]["logEvents"] == {
        "accepted": 1,
        "results": [{"event": {"summary": "s"}, "userErrors": []}, error],
    }
    assert await count_stored_events(both) == 1
    assert count_plans("failed") == before + 1


class PayloadDocument:
    """A mutation with a random selection of its payload."""

    def __init__(self, seed: str, name: str, arguments: dict[str, tuple[str, Any]]) -> None:
        root = CORE.mutation_type
        assert root is not None
        self._random = random.Random(seed)
        self._fragments: list[str] = []
        self._aliases = 0
        heads = ", ".join(f"${each}: {type_}" for each, (type_, _) in arguments.items())
        values = ", ".join(f"{each}: ${each}" for each in arguments)
        selection = self._draw_selection(get_named_type(root.fields[name].type), 0)
        operation = f"mutation ({heads}) {{ {name}({values}) {selection} }}"
        self.text = " ".join([operation, *self._fragments])

    def _draw_selection(self, type_: Any, depth: int) -> str:
        members = ["__typename"]
        if isinstance(type_, GraphQLInterfaceType):
            members = ["kindOfError: __typename"]
            for possible_type in CORE.get_possible_types(type_):
                if self._random.random() < 0.7:
                    members.append(self._draw_fragment(possible_type, depth))
        names = [each for each in type_.fields if _is_written(type_, each, depth)]
        chosen = self._random.sample(names, self._random.randint(1, min(len(names), 8)))
        if depth == 0:
            chosen = sorted({*chosen, "userErrors", *({"results"} & {*names})})
        members += [self._draw_field(type_, name, depth) for name in chosen]
        self._random.shuffle(members)
        return "{ " + " ".join(members) + " }"

    def _draw_fragment(self, type_: GraphQLObjectType, depth: int) -> str:
        if self._random.random() < 0.5:
            return f"... on {type_} {self._draw_selection(type_, depth)}"
        name = f"F{self._aliases}"
        self._aliases += 1
        self._fragments.append(f"fragment {name} on {type_} {self._draw_selection(type_, depth)}")
        return f"...{name}"

    def _draw_field(self, type_: Any, name: str, depth: int) -> str:
        self._aliases += 1
        named_type = get_named_type(type_.fields[name].type)
        leaf = is_leaf_type(named_type)
        selection = "" if leaf else f" {self._draw_selection(named_type, depth + 1)}"
        return f"a{self._aliases}: {name}{selection}"


def _is_written(type_: Any, name: str, depth: int) -> bool:
    """Whether plans write the field of an object in memory."""
    if depth > 3 and not is_leaf_type(get_named_type(type_.fields[name].type)):
        return False
    resolver = get_strawberry_field(type_.fields[name]).base_resolver
    source = get_field_source(type_, name)
    if resolver is None or isinstance(source, InMemoryRow):
        return True
    return source is not None and not isinstance(source, ConnectionPart | ListSource)


def _replace_ids(text: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        text = text.replace(f'"{name}"', f'"{value}"')
    return text


def _find_values(data: Any, key: str) -> set[Any]:
    """Returns the values of a key at any depth."""
    items = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    own = {data[key]} if isinstance(data, dict) and key in data else set()
    return own.union(*(_find_values(item, key) for item in items))
