"""checkEvent: the result of logEvent, without logging the event."""

from __future__ import annotations

from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import Client
from tests.event_type_client import (
    CHECK,
    DELETE,
    TRANSITION,
    UNKNOWN_ID,
    change_event_type,
    codes_and_paths,
    define_event_type,
    fetch_all_rows,
    field_input,
    predicate_input,
    rule_input,
)

FORM = [
    field_input("cause", "SELECT", options=["weather", "failure"], required=True),
    field_input("part"),
    field_input("hours", "NUMBER", required=True, minimum=0),
    field_input("note", default="none"),
]
RULES = [
    rule_input("SHOW", "part", predicate_input("cause", "EQ", "failure")),
    rule_input("REQUIRE", "part", predicate_input("cause", "EQ", "failure")),
    rule_input("HIDE", "hours", predicate_input("cause", "NOT_EXISTS")),
]


async def check_event(client: Client, **report: Any) -> Any:
    return await client.execute_field(CHECK, input=report)


async def test_a_check_returns_visible_and_required_fields(client: Client) -> None:
    await define_event_type(client, *FORM, conditionalRules=RULES)

    empty = await check_event(client, type="gauge")
    weather = await check_event(client, type="gauge", fields={"cause": "weather"})
    failure = await check_event(client, type="gauge", fields={"cause": "failure", "hours": 1})

    assert empty == {
        "accepted": False,
        "visibleFields": ["cause", "note"],
        "requiredFields": ["cause"],
        "duplicateOf": None,
        "warnings": [],
        "userErrors": [
            {
                "code": "FIELD_REQUIRED",
                "message": "Field 'cause' is required.",
                "path": ["input", "fields", "cause"],
            }
        ],
    }
    assert weather["visibleFields"] == ["cause", "hours", "note"]
    assert weather["requiredFields"] == ["cause", "hours"]
    assert failure["visibleFields"] == ["cause", "part", "hours", "note"]
    assert failure["requiredFields"] == ["cause", "part", "hours"]
    assert codes_and_paths(failure["userErrors"]) == [("FIELD_REQUIRED", "input.fields.part")]


async def test_a_check_stores_nothing(client: Client, shared_database: Database) -> None:
    event_type = await define_event_type(client, *FORM, conditionalRules=RULES)
    good = {"cause": "failure", "part": "valve", "hours": 4}
    before = await fetch_all_rows(shared_database, client)

    accepted = await check_event(
        client, eventTypeId=event_type["id"], fields=good, sourceId="1", tags=["t"]
    )
    refused = await check_event(
        client, eventTypeId=event_type["id"], fields={"hours": "x"}, sourceId="1"
    )

    assert (accepted["accepted"], refused["accepted"]) == (True, False)
    assert await fetch_all_rows(shared_database, client) == before
    event = await client.log_event(
        eventTypeId=event_type["id"], fields=good, sourceId="1", tags=["t"]
    )
    assert event["fields"] == good | {"note": "none"}


async def test_a_hidden_value_is_a_warning(client: Client) -> None:
    await define_event_type(client, *FORM, conditionalRules=RULES)

    checked = await check_event(
        client, type="gauge", fields={"cause": "weather", "part": "valve", "hours": 1}
    )

    assert (checked["accepted"], checked["userErrors"]) == (True, [])
    assert codes_and_paths(checked["warnings"]) == [("FIELD_HIDDEN", "input.fields.part")]
    assert "part" not in checked["visibleFields"]


async def test_a_replay_is_accepted_and_different_content_is_a_conflict(client: Client) -> None:
    report = {"type": "free", "sourceId": "1", "source": "//pump", "summary": "s"}
    await client.log_event(**report)

    again = await check_event(client, **report)
    other = await check_event(client, **report | {"summary": "other"})

    assert (again["accepted"], again["userErrors"]) == (True, [])
    assert (other["accepted"], codes_and_paths(other["userErrors"])) == (
        *(False, [("CONFLICT", "input.sourceId")]),
    )


async def test_a_free_form_report_has_no_visible_fields(client: Client) -> None:
    checked = await check_event(client, type="free", fields={"any": [1]})

    assert (checked["accepted"], checked["visibleFields"], checked["requiredFields"]) == (
        *(True, [], []),
    )


@pytest.mark.parametrize(("id", "code"), [("no id", "INVALID_INPUT"), (UNKNOWN_ID, "NOT_FOUND")])
async def test_an_unknown_type_is_an_error(client: Client, id: str, code: str) -> None:
    checked = await check_event(client, eventTypeId=id)

    assert (checked["accepted"], checked["visibleFields"]) == (False, [])
    assert codes_and_paths(checked["userErrors"]) == [(code, "input.eventTypeId")]


async def test_a_draft_has_visible_fields_but_rejects_events(client: Client) -> None:
    event_type = await define_event_type(client, *FORM, state="DRAFT")

    checked = await check_event(client, type="gauge", fields={"cause": "weather", "hours": 1})

    assert checked["visibleFields"] == ["cause", "part", "hours", "note"]
    assert codes_and_paths(checked["userErrors"]) == [("EVENT_TYPE_CLOSED", "input.type")]
    await change_event_type(client, TRANSITION, id=event_type["id"], to="PUBLISHED")
    checked = await check_event(client, type="gauge", fields={"cause": "weather", "hours": 1})
    assert checked["accepted"] is True
    await change_event_type(client, DELETE, id=event_type["id"])
    assert (await check_event(client, type="gauge"))["visibleFields"] == []


VALUES: list[Any] = [
    *(None, "x", [], 7, {"cause": None}, {"cause": {"a": 1}}, {"cause": ["weather"]}),
    *({"cause": True}, {"hours": 10**400, "cause": "weather"}, {"part": "\0"}, {"\ud800": 1}),
    {"cause": "failure", "part": "p", "hours": -0.5, "note": None},
]


async def test_invalid_values_have_the_same_errors_as_in_log_event(
    client: Client, shared_database: Database
) -> None:
    await define_event_type(client, *FORM, conditionalRules=RULES)
    log = CHECK.replace("query", "mutation").replace("checkEvent", "logEvent")
    log = log.replace("accepted visibleFields requiredFields duplicateOf", "event")
    before = await fetch_all_rows(shared_database, client)

    for values in VALUES:
        checked = await check_event(client, type="gauge", fields=values)
        logged = await client.execute_field(log, input={"type": "gauge", "fields": values})
        assert (values, logged["event"], checked["accepted"]) == (values, None, False)
        assert checked["userErrors"] == logged["userErrors"]

    assert await fetch_all_rows(shared_database, client) == before
