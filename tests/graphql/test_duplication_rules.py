"""Duplication rules, as their authors keep them: changed, switched off, reset, deleted."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import Client
from tests.conftest import Serve
from tests.factories import create_api_key

RULE = """{
  id name fingerprint window action escalate enabled position matchCount resetAt createdAt updatedAt
  eventType { type }
}"""
ERRORS = "{ code message path }"
CREATE = f"""mutation ($input: CreateDuplicationRuleInput!) {{
  createDuplicationRule(input: $input) {{ duplicationRule {RULE} userErrors {ERRORS} }} }}"""
UPDATE = f"""mutation ($input: UpdateDuplicationRuleInput!) {{
  updateDuplicationRule(input: $input) {{ duplicationRule {RULE} userErrors {ERRORS} }} }}"""
DELETE = f"""mutation ($id: ID!) {{
  deleteDuplicationRule(id: $id) {{ duplicationRule {RULE} userErrors {ERRORS} }} }}"""
RESET = f"""mutation ($id: ID) {{
  resetDuplication(ruleId: $id) {{ clearedCount userErrors {ERRORS} }} }}"""
LIST = f"""query ($type: ID, $first: Int, $after: String) {{
  duplicationRules(eventTypeId: $type, first: $first, after: $after) {{
    totalCount nodes {RULE} pageInfo {{ hasNextPage endCursor }} }} }}"""
LOG = """mutation ($input: LogEventInput!) { logEvent(input: $input) {
  event { id occurrences version duplicateOf { id } } duplicate
  userErrors { code path ... on DuplicateError { rule { name } existing { id } } } } }"""
DEFINE = """mutation ($type: String!) {
  createEventType(input: {name: "Pump", type: $type, state: PUBLISHED, fields: [
    {name: "a", kind: NUMBER}, {name: "b", kind: TEXT}
  ]}) { eventType { id fields { id name } } userErrors { code } } }"""
NOON = "2026-04-10T12:00:00Z"
NOT_FOUND = ["NOT_FOUND"]


async def create_rule(client: Client, *fingerprint: str, **overrides: Any) -> Any:
    defaults = {"name": "r", "fingerprint": fingerprint or ["source"], "window": "PT15M"}
    payload = await client.execute_field(CREATE, input=defaults | {"action": "COUNT"} | overrides)
    assert payload["userErrors"] == []
    return payload["duplicationRule"]


async def update_rule(client: Client, rule: Any, **overrides: Any) -> Any:
    payload = await client.execute_field(UPDATE, input={"id": rule["id"]} | overrides)
    assert payload["userErrors"] == []
    return payload["duplicationRule"]


async def log_event(client: Client, at: str = NOON, **overrides: Any) -> Any:
    return await client.execute_field(LOG, input={"source": "/a", "occurredAt": at} | overrides)


async def list_rules(client: Client, **arguments: Any) -> Any:
    return (await client.execute_field(LIST, **arguments))["nodes"]


async def create_event_type(client: Client, type: str = "pump") -> Any:
    return (await client.execute_field(DEFINE, type=type))["eventType"]


def error_codes(payload: Any) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


async def test_a_rule_is_listed_as_it_was_made(client: Client) -> None:
    kind = await create_event_type(client)

    rule = await create_rule(
        client, "fields.a", "entity.id", eventTypeId=kind["id"], window="P1DT2H"
    )

    assert rule == {
        "id": rule["id"],
        "name": "r",
        "fingerprint": ["fields.a", "entity.id"],
        "window": "P1DT2H",
        "action": "COUNT",
        "escalate": True,
        "enabled": True,
        "position": 0,
        "matchCount": 0,
        "resetAt": None,
        "createdAt": rule["createdAt"],
        "updatedAt": rule["createdAt"],
        "eventType": {"type": "pump"},
    }
    assert await list_rules(client) == [rule]


@pytest.mark.parametrize(
    ("attributes", "forgets"),
    [
        ({"name": "another"}, False),
        ({"action": "FLAG"}, False),
        ({"escalate": False}, False),
        ({"enabled": True}, False),
        ({"fingerprint": ["source"]}, False),
        ({"window": "PT900S"}, False),
        ({"fingerprint": ["source", "type"]}, True),
        ({"fingerprint": ["type"]}, True),
        ({"window": "PT16M"}, True),
        ({"name": "another", "window": "PT0S"}, True),
    ],
)
async def test_another_fingerprint_or_window_forgets_and_nothing_else_does(
    client: Client, attributes: dict[str, Any], forgets: bool
) -> None:
    rule = await create_rule(client)
    await log_event(client)
    await log_event(client)

    updated = await update_rule(client, rule, **attributes)

    changed = {**attributes, "window": {"PT900S": "PT15M"}.get(attributes.get("window", ""))}
    rule_input = {name: changed[name] or attributes[name] for name in attributes}
    assert updated == rule | rule_input | {
        "updatedAt": updated["updatedAt"],
        "resetAt": updated["updatedAt"] if forgets else None,
        "matchCount": 0 if forgets else 1,
    }
    assert updated["updatedAt"] > rule["updatedAt"]
    assert await list_rules(client) == [updated]
    assert (await log_event(client))["duplicate"] is not forgets


async def test_another_action_acts_on_the_firsts_that_are_known(client: Client) -> None:
    rule = await create_rule(client)
    first = await log_event(client)

    await update_rule(client, rule, action="REJECT")

    [error] = (await log_event(client))["userErrors"]
    assert error["existing"] == {"id": first["event"]["id"]}


async def test_a_rule_that_is_switched_off_catches_nothing_and_learns_nothing(
    client: Client,
) -> None:
    rule = await create_rule(client)
    first = await log_event(client)

    off = await update_rule(client, rule, enabled=False)
    missed = [await log_event(client), await log_event(client, "2026-04-10T12:20:00Z")]
    on = await update_rule(client, rule, enabled=True)
    again = [await log_event(client), await log_event(client, "2026-04-10T12:20:00Z")]

    assert (off["enabled"], on["enabled"]) == (False, True)
    assert [each["duplicate"] for each in missed] == [False, False]
    assert [each["duplicate"] for each in again] == [True, False]
    assert again[0]["event"]["id"] == first["event"]["id"]
    assert (off["resetAt"], on["resetAt"]) == (None, None)


async def test_a_rule_may_be_made_switched_off(client: Client) -> None:
    rule = await create_rule(client, enabled=False)

    await log_event(client)

    assert rule["enabled"] is False
    assert (await log_event(client))["duplicate"] is False


@pytest.mark.parametrize(
    ("attributes", "escalate"),
    [({}, True), ({"escalate": None}, True), ({"escalate": False}, False)],
)
async def test_a_rule_escalates_unless_escalate_is_false(
    client: Client, attributes: dict[str, Any], escalate: bool
) -> None:
    rule = await create_rule(client, **attributes)

    assert rule["escalate"] is escalate
    assert await list_rules(client) == [rule]


@pytest.mark.parametrize(
    "name", ["name", "fingerprint", "window", "action", "escalate", "enabled", "position"]
)
async def test_nothing_of_a_rule_can_be_null(client: Client, name: str) -> None:
    rule = await create_rule(client)

    payload = await client.execute_field(UPDATE, input={"id": rule["id"], name: None})

    assert payload == {
        "duplicationRule": None,
        "userErrors": [
            {
                "code": "INVALID_INPUT",
                "message": f"{name} must not be null. Omit it to keep the current value.",
                "path": ["input", name],
            }
        ],
    }
    assert await list_rules(client) == [rule]


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"name": ""}, ["name"]),
        ({"fingerprint": []}, ["fingerprint"]),
        ({"fingerprint": ["source", "fields.c"]}, ["fingerprint", "1"]),
        ({"fingerprint": ["source"] * 51}, ["fingerprint"]),
        ({"window": "P3660DT1S"}, ["window"]),
        ({"window": "P1M"}, ["window"]),
    ],
)
async def test_an_update_that_makes_no_sense_changes_nothing(
    client: Client, attributes: dict[str, Any], path: list[str]
) -> None:
    kind = await create_event_type(client)
    rule = await create_rule(client, eventTypeId=kind["id"])
    await log_event(client, type="pump")

    payload = await client.execute_field(UPDATE, input={"id": rule["id"]} | attributes)

    assert payload["duplicationRule"] is None
    assert [error["path"] for error in payload["userErrors"]] == [["input", *path]]
    assert await list_rules(client) == [rule]
    assert (await log_event(client, type="pump"))["duplicate"] is True


async def test_a_window_in_months_or_years_is_rejected(client: Client) -> None:
    for window in ("P1M", "P1Y", "P0M"):
        rule = {"name": "r", "fingerprint": ["source"], "window": window, "action": "COUNT"}
        payload = await client.execute_field(CREATE, input=rule)

        assert payload["duplicationRule"] is None
        assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
            ("INVALID_INPUT", ["input", "window"])
        ]
        assert payload["userErrors"][0]["message"] == (
            "window must not be in years or months, because their length varies. Use days, such "
            "as P30D."
        )
    assert await list_rules(client) == []


async def test_a_rule_that_is_deleted_is_answered_as_it_was(client: Client) -> None:
    kind = await create_event_type(client)
    rule = await create_rule(client, eventTypeId=kind["id"])
    await log_event(client, type="pump")
    await log_event(client, type="pump")

    deleted = await client.execute_field(DELETE, id=rule["id"])

    assert deleted == {"duplicationRule": rule | {"matchCount": 1}, "userErrors": []}
    assert await list_rules(client) == []
    assert (await log_event(client, type="pump"))["duplicate"] is False
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 2}


async def test_a_reset_forgets_one_rule_or_all(client: Client) -> None:
    one = await create_rule(client, "source", name="one")
    await create_rule(client, "subject", name="two")
    for n in range(3):
        await log_event(client, source=f"/{n}", subject=f"s{n}")
    await log_event(client, source="/0")
    await log_event(client, source="/1")

    of_one = await client.execute_field(RESET, id=one["id"])
    between = await list_rules(client)
    everything = await client.execute_field(RESET)

    assert of_one == {"clearedCount": 3, "userErrors": []}
    assert [each["matchCount"] for each in between] == [0, 0]
    assert [each["resetAt"] is not None for each in between] == [True, False]
    assert everything == {"clearedCount": 3, "userErrors": []}
    assert all(each["resetAt"] is not None for each in await list_rules(client))
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 3}
    assert (await log_event(client, source="/0"))["duplicate"] is False


async def test_what_was_refused_leaves_nothing_to_forget(client: Client) -> None:
    await create_rule(client, "source", action="REJECT")
    other = await create_rule(client, "subject")
    await log_event(client, subject="first")

    refused = await log_event(client, subject="refused")

    assert error_codes(refused) == ["DUPLICATE"]
    assert await client.execute_field(RESET, id=other["id"]) == {
        "clearedCount": 1,
        "userErrors": [],
    }


async def test_a_reset_of_no_rule_forgets_nothing(client: Client) -> None:
    assert await client.execute_field(RESET) == {"clearedCount": 0, "userErrors": []}


@pytest.mark.parametrize("wrong", ["malformed", "unknown"])
async def test_a_rule_that_is_not_there_cannot_be_changed(client: Client, wrong: str) -> None:
    rule_id = "x" if wrong == "malformed" else str(uuid4())

    updated = await client.execute_field(UPDATE, input={"id": rule_id, "name": "n"})
    deleted = await client.execute_field(DELETE, id=rule_id)
    reset = await client.execute_field(RESET, id=rule_id)

    code = "INVALID_INPUT" if wrong == "malformed" else "NOT_FOUND"
    assert [error_codes(each) for each in (updated, deleted, reset)] == [[code]] * 3
    assert updated["userErrors"][0]["path"] == ["input", "id"]
    assert deleted["userErrors"][0]["path"] == ["id"]
    assert reset["userErrors"][0]["path"] == ["ruleId"]


async def test_rules_of_another_organization_are_not_there_and_do_not_act(
    own_client: Client, database: Database
) -> None:
    kind = await create_event_type(own_client)
    rule = await create_rule(own_client, eventTypeId=kind["id"])
    everywhere = await create_rule(own_client, "subject")
    await log_event(own_client, subject="s")
    other = own_client.as_key(await create_api_key(database, *Permission, organization="other"))

    seen = await own_client.execute_field(LIST), await other.execute_field(LIST)
    answers = [
        await other.execute_field(UPDATE, input={"id": rule["id"], "name": "theirs"}),
        await other.execute_field(DELETE, id=everywhere["id"]),
        await other.execute_field(RESET, id=everywhere["id"]),
        await other.execute_field(CREATE, input=FOREIGN | {"eventTypeId": kind["id"]}),
    ]
    of_type = await list_rules(other, type=kind["id"])
    everything = await other.execute_field(RESET)
    foreign = [await log_event(other, subject="s"), await log_event(other, subject="s")]
    own = await log_event(own_client, subject="s")

    assert (seen[0]["totalCount"], seen[1]["totalCount"]) == (2, 0)
    assert [error_codes(each) for each in answers] == [NOT_FOUND] * 4
    assert (of_type, everything["clearedCount"]) == ([], 0)
    assert [each["duplicate"] for each in foreign] == [False, False]
    assert own["duplicate"] is True
    assert await list_rules(own_client) == [rule, everywhere | {"matchCount": 1}]


FOREIGN = {"name": "f", "fingerprint": ["source"], "window": "PT1M", "action": "COUNT"}


@pytest.mark.parametrize("typed", [True, False])
async def test_a_type_and_the_organization_have_a_hundred_rules_each(
    client: Client, typed: bool
) -> None:
    kind = await create_event_type(client)
    of_it = {"eventTypeId": kind["id"]} if typed else {}
    query = " ".join(
        f"r{n}: createDuplicationRule(input: $input) {{ userErrors {{ code }} }}" for n in range(10)
    )
    rule_input = FOREIGN | of_it
    for _ in range(10):
        answer = await client.execute(
            f"mutation ($input: CreateDuplicationRuleInput!) {{ {query} }}", input=rule_input
        )
        assert all(each["userErrors"] == [] for each in answer["data"].values())

    one_more = await client.execute_field(CREATE, input=rule_input)
    other = {} if typed else {"eventTypeId": kind["id"]}
    elsewhere = await client.execute_field(CREATE, input=FOREIGN | other)

    assert error_codes(one_more) == ["LIMIT_REACHED"]
    assert elsewhere["userErrors"] == []
    assert (await client.execute_field(LIST))["totalCount"] == 101


async def test_a_field_that_a_rule_names_cannot_be_removed(client: Client) -> None:
    kind = await create_event_type(client)
    rule = await create_rule(
        client, "fields.a", name="same a", eventTypeId=kind["id"], enabled=False
    )
    fields = {field["name"]: field["id"] for field in kind["fields"]}
    remove = (
        "mutation ($id: ID!) { removeEventField(id: $id) { userErrors { code message path } } }"
    )

    named = await client.execute_field(remove, id=fields["a"])
    not_named = await client.execute_field(remove, id=fields["b"])
    await client.execute_field(DELETE, id=rule["id"])
    later = await client.execute_field(remove, id=fields["a"])

    assert named["userErrors"] == [
        {
            "code": "IN_USE",
            "message": "The duplication rule 'same a' uses field 'a'. Change or delete the rule "
            "first.",
            "path": ["id"],
        }
    ]
    assert (not_named["userErrors"], later["userErrors"]) == ([], [])


async def test_a_type_takes_its_rules_along(client: Client) -> None:
    kind = await create_event_type(client)
    await create_rule(client, eventTypeId=kind["id"])
    kept_rule = await create_rule(client)

    deleted = await client.execute_field(
        "mutation ($id: ID!) { deleteEventType(id: $id) { userErrors { code } } }", id=kind["id"]
    )

    assert deleted == {"userErrors": []}
    assert await list_rules(client) == [kept_rule | {"position": 0}]


async def test_of_several_rules_the_first_in_order_of_creation_acts(client: Client) -> None:
    kind = await create_event_type(client)
    await create_rule(client, "subject", name="one", action="COUNT", eventTypeId=kind["id"])
    await create_rule(client, "source", name="two", action="REJECT")
    first = await log_event(client, type="pump", subject="s")

    both = await log_event(client, type="pump", subject="s")
    second_only = await log_event(client, type="pump", subject="other")
    free_form = await log_event(client, subject="s")

    assert both["event"] == first["event"] | {"occurrences": 2}
    for refused in (second_only, free_form):
        [error] = refused["userErrors"]
        assert (error["rule"], error["existing"]) == (
            {"name": "two"},
            {"id": first["event"]["id"]},
        )
    assert [each["matchCount"] for each in await list_rules(client)] == [1, 2]


async def test_match_count_is_the_sum_over_the_fingerprints(client: Client) -> None:
    await create_rule(client)
    sources = ["/a"] * 3 + ["/b"] * 2 + ["/c"] + ["/a"]

    payload = await client.execute_field(
        "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { duplicates } }",
        input=[{"source": source, "occurredAt": NOON} for source in sources],
    )

    assert payload == {"duplicates": 4}
    assert (await list_rules(client))[0]["matchCount"] == 4


async def test_what_a_guard_refuses_claims_nothing(client: Client) -> None:
    await create_rule(client)
    guard = await client.execute_field(
        """mutation { createGuardRule(input: {name: "g", message: "No.",
             expression: "event.subject != 'bad'"}) { guardRule { id } userErrors { code } } }"""
    )
    await client.execute_field(
        "mutation ($id: ID!) { publishGuardRule(id: $id) { userErrors { code } } }",
        id=guard["guardRule"]["id"],
    )

    refused = await log_event(client, subject="bad")
    first = await log_event(client, subject="good")
    refused_again = await log_event(client, subject="bad")

    assert error_codes(refused) == error_codes(refused_again) == ["GUARD_REJECTED"]
    assert first["duplicate"] is False
    assert (await list_rules(client))[0]["matchCount"] == 0
    assert await client.execute_field(RESET) == {"clearedCount": 1, "userErrors": []}


async def test_an_update_of_an_event_leaves_its_fingerprints_as_they_were(client: Client) -> None:
    await create_rule(client, "summary")
    first = await log_event(client, summary="old")

    updated = await client.execute_field(
        """mutation ($id: ID!, $at: DateTime) {
             updateEvent(input: {id: $id, summary: "new", occurredAt: $at}) { userErrors { code } }
           }""",
        id=first["event"]["id"],
        at="2026-04-10T18:00:00Z",
    )
    by_the_old, by_the_new = [await log_event(client, summary=each) for each in ("old", "new")]

    assert updated == {"userErrors": []}
    assert by_the_old["event"]["id"] == first["event"]["id"]
    assert by_the_old["duplicate"] is True
    assert by_the_new["duplicate"] is False


async def test_an_equal_duplicate_that_is_counted_neither_rings_again_nor_makes_a_version(
    client: Client,
) -> None:
    await create_rule(client)
    first = await log_event(client, notification=True)
    await log_event(client, source="/b", notification=True)
    bell = """{ notifications { unacknowledgedCount nodes { id } edges { cursor } } }"""
    before = await client.execute_field(bell)

    counted = await log_event(client, notification=True)

    assert counted["event"] == first["event"] | {"occurrences": 2}
    assert counted["event"]["version"] == 1
    after = await client.execute_field(bell)
    assert [node["id"] for node in after["nodes"]] == [node["id"] for node in before["nodes"]]
    assert after["unacknowledgedCount"] == 2


async def test_the_log_tells_of_a_duplicate_what_it_changed(client: Client) -> None:
    await create_rule(client)
    first = await log_event(client)

    await log_event(client, "2026-04-10T12:05:00Z", content="Still", tags=["a:1"])
    await log_event(client, "2026-04-10T11:55:00Z")

    history = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { history { nodes { kind changes } } } }",
        id=first["event"]["id"],
    )
    later, earlier = "2026-04-10T12:05:00.000000Z", "2026-04-10T11:55:00.000000Z"
    report = {
        "type": "notice",
        "severity": "INFO",
        "summary": "notice",
        "source": "/a",
        "occurredAt": earlier,
        "fields": {},
        "tags": [],
        "notification": False,
    }
    assert history["history"]["nodes"][1:] == [
        {
            "kind": "DUPLICATED",
            "changes": {
                "occurrences": [1, 2],
                "lastOccurredAt": [None, later],
                "report": report | {"occurredAt": later, "content": "Still", "tags": ["a:1"]},
            },
        },
        {"kind": "DUPLICATED", "changes": {"occurrences": [2, 3], "report": report}},
    ]


async def test_duplicates_of_one_list_are_told_one_by_one_and_in_order(client: Client) -> None:
    await create_rule(client)

    await client.execute_field(
        "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }",
        input=[{"source": "/a", "occurredAt": f"2026-04-10T12:0{n}:00Z"} for n in range(5)],
    )

    changes = await client.execute_field("{ eventChanges { nodes { kind changes } } }")
    occurrences = [each["changes"].get("occurrences") for each in changes["nodes"]]
    assert occurrences == [[None, 1], [1, 2], [2, 3], [3, 4], [4, 5]]


async def test_rules_are_paged_in_order_of_creation(client: Client) -> None:
    kind = await create_event_type(client)
    rules = [
        await create_rule(client, name=f"r{n}", **({"eventTypeId": kind["id"]} if n % 2 else {}))
        for n in range(5)
    ]

    front = await client.execute_field(LIST, first=2)
    rest = await client.execute_field(LIST, first=100, after=front["pageInfo"]["endCursor"])
    of_type = await client.execute_field(LIST, type=kind["id"])

    assert front["nodes"] + rest["nodes"] == rules
    assert [front["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]] == [True, False]
    assert (front["totalCount"], of_type["totalCount"]) == (5, 2)
    assert of_type["nodes"] == [rules[1], rules[3]]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"type": "x"}, "BAD_USER_INPUT"),
        ({"first": 0}, "BAD_USER_INPUT"),
        ({"first": 101}, "BAD_USER_INPUT"),
        ({"after": "x"}, "INVALID_CURSOR"),
    ],
)
async def test_a_list_that_makes_no_sense_is_an_error(
    client: Client, arguments: dict[str, Any], code: str
) -> None:
    assert (await client.expect_error(LIST, **arguments))["extensions"]["code"] == code


async def test_who_may_not_read_is_not_shown_what_was_there(
    own_client: Client, database: Database
) -> None:
    await create_rule(own_client, "source", name="counts", action="COUNT")
    await create_rule(own_client, "subject", name="refuses", action="REJECT")
    await log_event(own_client, source="/x", subject="s")
    reporter = own_client.as_key(await create_api_key(database, Permission.EVENT_CREATE))

    counted = await reporter.execute_field(REPORTED, input={"source": "/x", "occurredAt": NOON})
    refused = await reporter.execute_field(REPORTED, input={"subject": "s", "occurredAt": NOON})
    checked = await reporter.execute_field(
        """query ($input: LogEventInput!) { checkEvent(input: $input) {
             accepted duplicateOf { id } userErrors { code } } }""",
        input={"subject": "s", "occurredAt": NOON},
    )

    assert counted == {"event": None, "duplicate": True, "userErrors": []}
    [error] = refused["userErrors"]
    assert (error["rule"], error["existing"]) == ({"name": "refuses"}, None)
    assert checked["duplicateOf"] is None
    assert [each["code"] for each in checked["userErrors"]] == ["DUPLICATE"]


REPORTED = """mutation ($input: LogEventInput!) { logEvent(input: $input) {
  event { id } duplicate
  userErrors { code ... on DuplicateError { rule { name } existing { id } } } } }"""


async def test_a_window_holds_its_ends_to_the_microsecond(client: Client) -> None:
    await create_rule(client, window="PT0.000001S")
    await log_event(client, "2026-04-10T12:00:00.000005Z")

    answers = [await log_event(client, f"2026-04-10T12:00:00.00000{n}Z") for n in (6, 4, 5, 7, 3)]

    assert [each["duplicate"] for each in answers] == [True, True, True, False, False]


async def test_the_first_instant_of_the_calendar_is_no_trap(client: Client) -> None:
    await create_rule(client, window="P3660D")
    instants = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000001Z", "0011-01-08T00:00:00Z"]
    first = await log_event(client, instants[0])

    answers = [await log_event(client, instant) for instant in (*instants, NOON)]

    assert first["duplicate"] is False
    assert [each["duplicate"] for each in answers] == [True, True, True, False]


async def test_of_several_firsts_the_nearest_is_matched(client: Client) -> None:
    await create_rule(client, window="PT10M")
    early = await log_event(client, "2026-04-10T12:00:00Z")
    late = await log_event(client, "2026-04-10T12:20:00Z")

    answers = [
        (await log_event(client, f"2026-04-10T12:{minute}:00Z"))["event"]["id"]
        for minute in ("09", "10", "11")
    ]

    # At the middle both are as near: the earliest logged is matched.
    assert answers == [early["event"]["id"], early["event"]["id"], late["event"]["id"]]


async def test_absent_null_empty_and_equal_numbers_of_a_field(client: Client) -> None:
    await create_rule(client, "fields.a", "fields.\N{FIRE}", "source")

    answers = [
        await log_event(client, fields=fields)
        for fields in ({}, {"a": None}, {"a": ""}, {"a": 150}, {"a": 150.0}, {"\N{FIRE}": 1}, {})
    ]

    assert [each["duplicate"] for each in answers] == [
        *(False, True, False, False),
        *(True, False, True),
    ]


async def test_several_servers_know_the_same_rules(
    own_client: Client, database_url: str, serve: Serve
) -> None:
    async with serve(database_url) as elsewhere:
        rule = await create_rule(own_client)
        first = await log_event(elsewhere)
        counted = await log_event(own_client)
        await update_rule(elsewhere, rule, action="REJECT")
        refused = await log_event(own_client)
        await elsewhere.execute_field(RESET)
        anew = await log_event(own_client)

    assert counted["event"]["id"] == first["event"]["id"]
    assert error_codes(refused) == ["DUPLICATE"]
    assert anew["duplicate"] is False
