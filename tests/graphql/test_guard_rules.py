"""Guard rules: drafts, publication, and their effect on events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy import update as sql_update
from sqlmodel import col
from structlog.testing import capture_logs

from app.domain.shared.limits import Limits
from app.services.definitions.event_types import version_cache
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import ADMINISTRATOR, Client
from tests.conftest import Serve

RULE = """{
  id name state expression message enforcement hasUnpublishedChanges
  eventType { type } publishedVersion { number expression } versions { number publishedBy }
}"""
ERRORS = "{ code message path ... on ExpressionError { line column } }"
CREATE = f"""mutation ($input: CreateGuardRuleInput!) {{
  createGuardRule(input: $input) {{ guardRule {RULE} userErrors {ERRORS} }}
}}"""
UPDATE = f"""mutation ($input: UpdateGuardRuleInput!) {{
  updateGuardRule(input: $input) {{ guardRule {RULE} userErrors {ERRORS} }}
}}"""
PUBLISH = f"""mutation ($id: ID!, $version: Int) {{
  publishGuardRule(id: $id, version: $version) {{ guardRule {RULE} userErrors {ERRORS} }}
}}"""
RETIRE = f"""mutation ($id: ID!) {{
  retireGuardRule(id: $id) {{ guardRule {RULE} userErrors {ERRORS} }}
}}"""
ERROR_FIELDS = "{ code message path ... on GuardViolation { rule { name } version reason } }"
LOG = f"""mutation ($input: LogEventInput!) {{
  logEvent(input: $input) {{
    event {{ id version }} warnings {ERROR_FIELDS} userErrors {ERROR_FIELDS} }}
}}"""
UPDATE_EVENT = f"""mutation ($input: UpdateEventInput!) {{
  updateEvent(input: $input) {{
    event {{ id fields }} warnings {ERROR_FIELDS} userErrors {ERROR_FIELDS} }}
}}"""
DEFINE = """
mutation {
  createEventType(input: {name: "Flaring Incident", category: "flaring", state: PUBLISHED, fields: [
    {name: "volume_mcf", kind: NUMBER}, {name: "duration_hours", kind: NUMBER}
    {name: "cause", kind: SELECT, options: ["equipment", "weather", "other"]}
  ]}) { eventType { id fields { id name } } }
}
"""
TYPE = "flaring.flaring_incident"
CREATE_ORGANIZATION = """mutation ($key: String!) {
  createOrganization(key: $key, name: $key) { userErrors { message } } }"""


async def create_event_type(client: Client) -> Any:
    return (await client.execute_field(DEFINE))["eventType"]


async def create_draft_rule(client: Client, expression: str, **overrides: Any) -> Any:
    defaults = {"name": "volume", "expression": expression, "message": "Too much."} | overrides
    return await client.execute_field(CREATE, input=defaults)


async def create_published_rule(client: Client, expression: str, **overrides: Any) -> Any:
    payload = await create_draft_rule(client, expression, **overrides)
    assert payload["userErrors"] == []
    published = await client.execute_field(PUBLISH, id=payload["guardRule"]["id"])
    assert published["userErrors"] == []
    return published["guardRule"]


async def log_event(client: Client, **fields: Any) -> Any:
    return await client.execute_field(LOG, input={"type": TYPE, "fields": fields})


async def test_a_draft_is_not_enforced(client: Client) -> None:
    kind = await create_event_type(client)

    payload = await create_draft_rule(
        client, "event.fields.volume_mcf < 100", eventTypeId=kind["id"]
    )

    rule = payload["guardRule"]
    assert (rule["state"], rule["publishedVersion"], rule["versions"]) == ("DRAFT", None, [])
    assert rule["hasUnpublishedChanges"] is True
    assert (await log_event(client, volume_mcf=150))["userErrors"] == []


async def test_a_published_rule_rejects_events_that_violate_it(client: Client) -> None:
    kind = await create_event_type(client)
    rule = await create_published_rule(
        client, "event.fields.volume_mcf < 100", eventTypeId=kind["id"]
    )

    refused = await log_event(client, volume_mcf=150)
    passed = await log_event(client, volume_mcf=99)

    assert rule["publishedVersion"] == {
        "number": 1,
        "expression": "event.fields.volume_mcf < 100",
    }
    assert refused == {
        "event": None,
        "warnings": [],
        "userErrors": [
            {
                "code": "GUARD_REJECTED",
                "message": "Too much.",
                "path": ["input", "fields"],
                "rule": {"name": "volume"},
                "version": 1,
                "reason": "VIOLATED",
            }
        ],
    }
    assert passed["event"] is not None
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 1}


async def test_a_violated_warning_rule_accepts_the_event(client: Client) -> None:
    kind = await create_event_type(client)
    await create_published_rule(
        client, "event.fields.volume_mcf < 100", eventTypeId=kind["id"], enforcement="WARN"
    )

    accepted = await log_event(client, volume_mcf=150)

    assert accepted["event"] is not None
    assert [warning["code"] for warning in accepted["warnings"]] == ["GUARD_REJECTED"]


async def test_all_violations_of_type_and_organization_rules_are_returned(client: Client) -> None:
    kind = await create_event_type(client)
    await create_published_rule(client, "event.fields.volume_mcf < 100", eventTypeId=kind["id"])
    await create_published_rule(client, "event.severity == 'ERROR'", name="grave")

    refused = await log_event(client, volume_mcf=150)
    free_form = await client.execute_field(LOG, input={"summary": "free"})

    assert [error["rule"]["name"] for error in refused["userErrors"]] == ["volume", "grave"]
    assert [error["rule"]["name"] for error in free_form["userErrors"]] == ["grave"]


async def test_the_published_version_is_enforced_until_the_next_publication(client: Client) -> None:
    kind = await create_event_type(client)
    rule = await create_published_rule(
        client, "event.fields.volume_mcf < 100", eventTypeId=kind["id"]
    )

    edited = await client.execute_field(
        UPDATE, input={"id": rule["id"], "expression": "event.fields.volume_mcf < 200"}
    )
    before = await log_event(client, volume_mcf=150)
    await client.execute_field(PUBLISH, id=rule["id"])
    after = await log_event(client, volume_mcf=150)
    back = await client.execute_field(PUBLISH, id=rule["id"], version=1)
    again = await log_event(client, volume_mcf=150)

    assert edited["guardRule"]["hasUnpublishedChanges"] is True
    assert before["userErrors"][0]["version"] == 1
    assert after["userErrors"] == []
    assert back["guardRule"]["publishedVersion"]["number"] == 3
    assert again["userErrors"][0]["version"] == 3


async def test_publishing_without_changes_is_a_conflict(client: Client) -> None:
    rule = await create_published_rule(client, "event.severity == 'INFO'")

    again = await client.execute_field(PUBLISH, id=rule["id"])
    retired = await client.execute_field(RETIRE, id=rule["id"])
    back = await client.execute_field(PUBLISH, id=rule["id"])

    assert [error["code"] for error in again["userErrors"]] == ["CONFLICT"]
    assert retired["guardRule"]["state"] == "RETIRED"
    assert retired["guardRule"]["publishedVersion"] is None
    assert back["guardRule"]["publishedVersion"]["number"] == 2


async def test_a_retired_rule_is_not_enforced(client: Client) -> None:
    rule = await create_published_rule(client, "false")

    await client.execute_field(RETIRE, id=rule["id"])

    assert (await client.execute_field(LOG, input={"summary": "passes"}))["userErrors"] == []


@pytest.mark.parametrize(
    ("expression", "line", "column"),
    [
        ("event.fields.volume > 1", 1, 13),
        ("event.fields.volume_mcf >\n  'a'", 1, 25),
        ("event.fields.volume_mcf > ", 1, 27),
        ("true &&\n event.severity == 'CRITICAL'", 2, 17),
        ("true ||\n now - event.occurred_at < duration('1d')", 2, 36),
        ("event.occurred_at > timestamp('2026-13-01T00:00:00Z')", 1, 30),
        ("now - event.occurred_at < duration(event.notification ? '1d' : '1h')", 1, 35),
        ("(event.notification ? 'weather' : 'wether') == event.fields.cause", 1, 45),
        ("['CRITICAL'].exists(severity, severity == event.severity)", 1, 40),
        ("event.occurred_at.getHours('+24:00') < 8", 1, 27),
    ],
)
async def test_an_invalid_expression_is_rejected_with_line_and_column(
    client: Client, expression: str, line: int, column: int
) -> None:
    kind = await create_event_type(client)

    payload = await create_draft_rule(client, expression, eventTypeId=kind["id"])

    assert payload["guardRule"] is None
    [error] = payload["userErrors"]
    assert error["code"] == "EXPRESSION_INVALID"
    assert error["path"] == ["input", "expression"]
    assert (error["line"], error["column"]) == (line, column)
    assert await client.execute_field("{ guardRules { totalCount } }") == {"totalCount": 0}


UNREADABLE = "now - event.occurred_at < duration('1d')"
UNREADABLE_ERROR = {
    "code": "EXPRESSION_INVALID",
    "message": "Invalid duration '1d': expected numbers with the units h, m, s, ms, us or ns, such "
    "as '36h' or '1h30m'; one day is '24h'.",
    "line": 1,
    "column": 35,
}


async def test_a_constant_that_can_never_be_evaluated_is_rejected_whenever_it_is_saved(
    client: Client,
) -> None:
    valid = "now - event.occurred_at < duration('24h')"
    rule = (await create_draft_rule(client, valid))["guardRule"]

    created = await create_draft_rule(client, UNREADABLE)
    updated = await client.execute_field(UPDATE, input={"id": rule["id"], "expression": UNREADABLE})
    trial = await client.execute_field(
        f"""query ($text: String!) {{
          tryGuardRule(expression: $text) {{ checked userErrors {ERRORS} }}
        }}""",
        text=UNREADABLE,
    )

    in_input = UNREADABLE_ERROR | {"path": ["input", "expression"]}
    assert created == updated == {"guardRule": None, "userErrors": [in_input]}
    assert trial == {"checked": 0, "userErrors": [UNREADABLE_ERROR | {"path": ["expression"]}]}
    stored = await client.execute_field("{ guardRules { nodes { expression } } }")
    assert stored == {"nodes": [{"expression": valid}]}


async def test_a_rule_that_an_older_version_saved_is_not_published_with_an_invalid_constant(
    own_client: Client, database: Database
) -> None:
    published = await create_published_rule(own_client, "event.summary != ''")
    draft = (await create_draft_rule(own_client, "event.summary != ''"))["guardRule"]
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(sql_update(tables.GuardRule).values(expression=UNREADABLE))
        await session.execute(sql_update(tables.GuardRuleVersion).values(expression=UNREADABLE))

    refused = await own_client.execute_field(PUBLISH, id=draft["id"])
    again = await own_client.execute_field(PUBLISH, id=published["id"], version=1)

    assert refused["userErrors"] == [UNREADABLE_ERROR | {"path": ["id"]}]
    assert [error["code"] for error in again["userErrors"]] == ["CONFLICT"]
    assert (await own_client.execute_field(LOG, input={}))["userErrors"][0]["version"] == 1


async def test_an_update_is_validated_by_the_current_rules_with_the_old_event(
    client: Client,
) -> None:
    kind = await create_event_type(client)
    event = (await log_event(client, volume_mcf=150))["event"]
    await create_published_rule(
        client,
        "old == null || event.fields.volume_mcf >= old.fields.volume_mcf",
        eventTypeId=kind["id"],
        message="Never less.",
    )

    less = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"volume_mcf": 1}}
    )
    more = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"volume_mcf": 200}}
    )

    assert [error["message"] for error in less["userErrors"]] == ["Never less."]
    assert more["event"]["fields"] == {"volume_mcf": 200}


async def test_a_field_used_by_a_guard_rule_cannot_be_removed_or_changed(client: Client) -> None:
    kind = await create_event_type(client)
    await create_published_rule(client, "event.fields.volume_mcf < 100", eventTypeId=kind["id"])
    [volume] = [field for field in kind["fields"] if field["name"] == "volume_mcf"]

    removed = await client.execute_field(
        "mutation ($id: ID!) { removeEventField(id: $id) { userErrors { code message path } } }",
        id=volume["id"],
    )
    changed = await client.execute_field(
        """mutation ($id: ID!) { updateEventField(input: {id: $id, kind: TEXT}) {
             userErrors { code message path } } }""",
        id=volume["id"],
    )

    error = {
        "code": "IN_USE",
        "message": "The change would make the guard rule 'volume' invalid. "
        "Change or retire the rule first.",
    }
    assert removed["userErrors"] == [error | {"path": ["id"]}]
    assert changed["userErrors"] == [error | {"path": ["input", "kind"]}]


@pytest.mark.parametrize("name", ["", "a b", "1a", "é", "in", "a" * 64])
async def test_a_field_with_an_invalid_name_is_rejected_on_a_type_with_a_guard_rule(
    client: Client, name: str
) -> None:
    kind = await create_event_type(client)
    await create_published_rule(client, "event.fields.volume_mcf < 100", eventTypeId=kind["id"])

    payload = await client.execute_field(
        """mutation ($id: ID!, $name: String!) {
             addEventField(eventTypeId: $id, field: {name: $name, kind: TEXT}) {
               userErrors { code path } } }""",
        id=kind["id"],
        name=name,
    )

    assert payload["userErrors"] == [{"code": "INVALID_INPUT", "path": ["field", "name"]}]


async def test_an_expression_is_evaluated_on_stored_events(client: Client) -> None:
    kind = await create_event_type(client)
    for volume in (50, 150, 250):
        await log_event(client, volume_mcf=volume)

    trial = await client.execute_field(
        """query ($id: ID!) { tryGuardRule(expression: "event.fields.volume_mcf < 100",
             eventTypeId: $id) { checked rejected examples { fields } userErrors { code } } }""",
        id=kind["id"],
    )

    assert trial == {
        "checked": 3,
        "rejected": 2,
        "examples": [{"fields": {"volume_mcf": 250}}, {"fields": {"volume_mcf": 150}}],
        "userErrors": [],
    }


async def test_events_for_which_an_expression_cannot_be_evaluated_are_counted_apart(
    client: Client,
) -> None:
    kind = await create_event_type(client)
    for fields in ({"volume_mcf": 50}, {"duration_hours": 1}, {"volume_mcf": 150}, {}):
        await log_event(client, **fields)

    trial = await client.execute_field(
        """query ($id: ID!) { tryGuardRule(expression: "event.fields.volume_mcf < 100",
             eventTypeId: $id) { checked rejected notEvaluable examples { fields }
               failures { event { fields } reason message } } }""",
        id=kind["id"],
    )

    assert trial == {
        "checked": 4,
        "rejected": 1,
        "notEvaluable": 2,
        "examples": [
            {"fields": {}},
            {"fields": {"volume_mcf": 150}},
            {"fields": {"duration_hours": 1}},
        ],
        "failures": [
            {"event": {"fields": {}}, "reason": "NOT_EVALUABLE", "message": VOLUME_IS_ABSENT},
            {
                "event": {"fields": {"volume_mcf": 150}},
                "reason": "VIOLATED",
                "message": "The expression is false: event.fields.volume_mcf is 150.",
            },
            {
                "event": {"fields": {"duration_hours": 1}},
                "reason": "NOT_EVALUABLE",
                "message": VOLUME_IS_ABSENT,
            },
        ],
    }


VOLUME_IS_ABSENT = (
    "event.fields.volume_mcf is absent. Add it to the event, or let the rule test it with has() "
    "first."
)


@pytest.mark.parametrize("enforcement", ["REJECT", "WARN"])
async def test_a_rule_that_cannot_be_evaluated_names_what_is_absent(
    client: Client, enforcement: str
) -> None:
    kind = await create_event_type(client)
    await create_published_rule(
        client,
        "event.fields.duration_hours <= 24",
        eventTypeId=kind["id"],
        name="duration",
        message="A flare lasts at most 24 hours.",
        enforcement=enforcement,
    )

    without = await log_event(client, volume_mcf=1)
    too_long = await log_event(client, duration_hours=25)

    errors = "userErrors" if enforcement == "REJECT" else "warnings"
    common = {
        "code": "GUARD_REJECTED",
        "path": ["input", "fields"],
        "rule": {"name": "duration"},
        "version": 1,
    }
    assert without[errors] == [
        common
        | {
            "reason": "NOT_EVALUABLE",
            "message": "The guard rule 'duration' cannot be evaluated: event.fields.duration_hours "
            "is absent. Add it to the event, or let the rule test it with has() first.",
        }
    ]
    assert too_long[errors] == [
        common | {"reason": "VIOLATED", "message": "A flare lasts at most 24 hours."}
    ]
    stored = 0 if enforcement == "REJECT" else 2
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": stored}


async def test_a_stored_event_lists_the_published_rules_that_it_does_not_pass(
    client: Client,
) -> None:
    kind = await create_event_type(client)
    await create_published_rule(
        client,
        "event.fields.volume_mcf <= 100",
        eventTypeId=kind["id"],
        message="That is much.",
        enforcement="WARN",
    )
    events = [(await log_event(client, volume_mcf=volume))["event"] for volume in (50, 150)]
    await create_published_rule(client, "event.type != 'notice'", message="Choose a type.")
    events.append(await client.log_event(type="free"))
    draft = await create_draft_rule(client, "false", message="A draft has no effect.")

    stored = await client.execute_field(VIOLATIONS)

    assert draft["userErrors"] == []
    much = {
        "code": "GUARD_REJECTED",
        "message": "That is much.",
        "path": ["fields"],
        "reason": "VIOLATED",
        "version": 1,
        "rule": {"message": "That is much."},
    }
    assert {node["id"]: node["guardViolations"] for node in stored["nodes"]} == {
        events[0]["id"]: [],
        events[1]["id"]: [much],
        events[2]["id"]: [],
    }


async def test_a_rule_that_is_published_later_is_listed_for_stored_events(client: Client) -> None:
    event = await client.log_event(summary="Pump stopped", severity="error")
    rule = await create_published_rule(
        client, "has(event.content)", message="Describe the event.", name="described"
    )

    [published] = (await client.execute_field(VIOLATIONS))["nodes"]
    await client.execute_field(RETIRE, id=rule["id"])
    [retired] = (await client.execute_field(VIOLATIONS))["nodes"]

    assert published == {
        "id": event["id"],
        "guardViolations": [
            {
                "code": "GUARD_REJECTED",
                "message": "Describe the event.",
                "path": [],
                "reason": "VIOLATED",
                "version": 1,
                "rule": {"message": "Describe the event."},
            }
        ],
    }
    assert retired == {"id": event["id"], "guardViolations": []}


VIOLATIONS = """{ events { nodes { id
  guardViolations { code message path reason version rule { message } } } } }"""


SET_OPTIONS = """mutation ($id: ID!, $options: [String!]!) {
  updateEventField(input: {id: $id, options: $options}) { userErrors { code message path } }
}"""


async def test_an_option_that_a_guard_rule_compares_with_cannot_be_removed(client: Client) -> None:
    kind = await create_event_type(client)
    cause = kind["fields"][2]["id"]
    published = await create_published_rule(
        client, "event.fields.cause != 'weather'", eventTypeId=kind["id"], name="published"
    )
    await client.execute_field(
        UPDATE, input={"id": published["id"], "expression": "event.fields.cause != 'other'"}
    )
    await create_draft_rule(
        client, "[event.fields.cause] != ['other']", eventTypeId=kind["id"], name="draft"
    )
    retired = await create_published_rule(
        client, "event.fields.cause == 'equipment'", eventTypeId=kind["id"], name="retired"
    )
    await client.execute_field(RETIRE, id=retired["id"])

    refused = await client.execute_field(SET_OPTIONS, id=cause, options=["equipment"])
    accepted = await client.execute_field(SET_OPTIONS, id=cause, options=["other", "weather", "x"])

    assert sorted(error["message"] for error in refused["userErrors"]) == [
        f"The change would make the guard rule {rule!r} invalid: it compares field 'cause' with "
        f"{option!r}. Change or retire the rule first."
        for rule, option in (("draft", "other"), ("published", "other"), ("published", "weather"))
    ]
    assert {error["code"] for error in refused["userErrors"]} == {"IN_USE"}
    assert {tuple(error["path"]) for error in refused["userErrors"]} == {("input", "options")}
    assert accepted["userErrors"] == []


async def test_a_comparison_with_no_option_is_invalid_until_the_option_is_added(
    client: Client,
) -> None:
    kind = await create_event_type(client)
    expression = "event.fields.cause in ['weather', 'fire']"

    refused = await create_draft_rule(client, expression, eventTypeId=kind["id"])
    await client.execute_field(
        SET_OPTIONS, id=kind["fields"][2]["id"], options=["equipment", "weather", "other", "fire"]
    )
    accepted = await create_draft_rule(client, expression, eventTypeId=kind["id"])

    assert refused["userErrors"] == [
        {
            "code": "EXPRESSION_INVALID",
            "message": "Unknown option 'fire' of field 'cause': expected one of 'equipment', "
            "'weather', 'other'.",
            "path": ["input", "expression"],
            "line": 1,
            "column": 20,
        }
    ]
    assert accepted["userErrors"] == []


async def test_a_comparison_that_an_older_version_saved_does_not_prevent_other_changes_of_options(
    own_client: Client, database: Database
) -> None:
    kind = await create_event_type(own_client)
    rule = await create_published_rule(
        own_client, "event.fields.cause != 'weather'", eventTypeId=kind["id"]
    )
    older = "event.fields.cause != 'weather' && event.fields.cause != 'gone'"
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(sql_update(tables.GuardRuleVersion).values(expression=older))

    cause = kind["fields"][2]["id"]
    added = await own_client.execute_field(SET_OPTIONS, id=cause, options=["weather", "x"])
    removed = await own_client.execute_field(SET_OPTIONS, id=cause, options=["x"])

    assert added["userErrors"] == []
    assert [error["message"] for error in removed["userErrors"]] == [
        "The change would make the guard rule 'volume' invalid: it compares field 'cause' with "
        "'weather'. Change or retire the rule first."
    ]
    assert (await log_event(own_client, cause="weather"))["userErrors"][0]["rule"] == {
        "name": rule["name"]
    }


async def test_rules_that_exceed_the_total_cost_limit_are_not_published(client: Client) -> None:
    slow = "event.content.matches('(a|b)*c') || event.summary != ''"
    published = 0
    while True:
        payload = await create_draft_rule(client, slow, name=f"slow {published}")
        response = await client.execute_field(PUBLISH, id=payload["guardRule"]["id"])
        if response["userErrors"]:
            break
        published += 1

    assert [error["code"] for error in response["userErrors"]] == ["LIMIT_REACHED"]
    assert "20,000,000" in response["userErrors"][0]["message"]
    assert 1 <= published < 100


async def test_a_rule_with_functions_of_the_extensions_is_enforced(client: Client) -> None:
    kind = await create_event_type(client)
    await create_published_rule(
        client,
        "event.fields.?volume_mcf.orValue(0) < 100 && math.abs(event.fields.?duration_hours"
        ".orValue(0)) <= 24 && event.summary.trim().lowerAscii() != 'test'",
        eventTypeId=kind["id"],
    )
    expensive = await create_draft_rule(
        client, "event.content.split('').join(event.content) != ''", name="expensive"
    )

    accepted = await log_event(client, volume_mcf=99)
    empty = await log_event(client)
    refused = [
        await log_event(client, duration_hours=-25),
        await client.execute_field(LOG, input={"type": TYPE, "summary": "  TEST "}),
    ]

    assert [error["code"] for error in expensive["userErrors"]] == ["EXPRESSION_INVALID"]
    assert accepted["userErrors"] == empty["userErrors"] == []
    for each in refused:
        assert [error["reason"] for error in each["userErrors"]] == ["VIOLATED"]
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 2}


async def test_published_rules_beyond_limits_that_were_changed_are_logged(
    serve: Serve, database_url: str
) -> None:
    async with serve(database_url) as client:
        kind = await create_event_type(client)
        costly = "event.content == null || event.content.matches('^[a-z]+$')"
        await create_published_rule(client, costly, name="costly", enforcement="WARN")
        await create_published_rule(client, "event.summary != ''", eventTypeId=kind["id"])

    limits = Limits(expression_steps=10_000, guard_steps=1)
    with capture_logs() as logs:
        async with serve(database_url, limits=limits) as client, asyncio.timeout(30):
            while len(warnings := _select_guard_warnings(logs)) < 2:
                await asyncio.sleep(0.01)
            payloads = [await log_event(client, volume_mcf=volume) for volume in (1, 2)]

    assert _select_guard_warnings(logs) == warnings  # not again for the first event
    assert [(each["event"], each["event_type"], each.get("guard_rule")) for each in warnings] == [
        ("guard_rule_not_evaluable", None, "costly"),
        ("guard_rules_exceed_limit", TYPE, None),
    ]
    assert "10,000 evaluation steps" in warnings[0]["reason"]
    assert (warnings[1]["limit"], warnings[1]["steps"] > 1) == (1, True)
    for payload in payloads:
        assert payload["userErrors"] == []
        [warning] = payload["warnings"]
        assert (warning["rule"]["name"], warning["reason"]) == ("costly", "NOT_EVALUABLE")


async def test_rules_are_checked_although_those_of_other_organizations_cannot_be_read(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with serve(database_url) as client:
        kind = await create_event_type(client)
        await create_published_rule(client, "event.summary != ''", eventTypeId=kind["id"])
        for key in ("first", "second"):
            await client.execute_field(CREATE_ORGANIZATION, key=key)
            other = client.as_key(ADMINISTRATOR, data_partition_id=key)
            damaged = await create_event_type(other)
            await create_published_rule(other, "event.summary != ''", eventTypeId=damaged["id"])
    version, organization = tables.EventTypeVersion, tables.Organization
    others = select(col(organization.id)).where(col(organization.key).in_(["first", "second"]))
    async with database.write(ALL_ORGANIZATIONS) as session:
        damaged_ids = set(map(str, await session.scalars(others)))
        await session.execute(
            sql_update(version).where(col(version.organization_id).in_(others)).values(form={})
        )
    version_cache.clear()

    with capture_logs() as logs:
        async with serve(database_url, limits=Limits(guard_steps=1)), asyncio.timeout(30):
            while len(_select_guard_warnings(logs)) < 3:
                await asyncio.sleep(0.01)

    warnings = _select_guard_warnings(logs)
    unchecked = [each for each in warnings if each["event"] == "guard_rules_not_checked"]
    [checked] = [each for each in warnings if each not in unchecked]
    assert {each["organization_id"] for each in unchecked} == damaged_ids
    assert (checked["event"], checked["event_type"]) == ("guard_rules_exceed_limit", TYPE)
    assert checked["organization_id"] not in damaged_ids


def _select_guard_warnings(logs: Iterable[Any]) -> list[Any]:
    return [each for each in logs if each["event"].startswith("guard_rule")]
