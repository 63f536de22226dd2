"""checkEvent: what logEvent would do, without doing it."""

from __future__ import annotations

from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import Client
from tests.definitions import (
    CHECK,
    DELETE,
    MOVE,
    NOWHERE,
    asks,
    define,
    everything,
    field,
    rule,
    shape,
    told,
)

FORM = [
    field("cause", "SELECT", options=["weather", "failure"], required=True),
    field("part"),
    field("hours", "NUMBER", required=True, minimum=0),
    field("note", default="none"),
]
RULES = [
    rule("SHOW", "part", asks("cause", "EQ", "failure")),
    rule("REQUIRE", "part", asks("cause", "EQ", "failure")),
    rule("HIDE", "hours", asks("cause", "NOT_EXISTS")),
]


async def check(client: Client, **report: Any) -> Any:
    return await client.ask(CHECK, input=report)


async def test_a_form_is_told_what_to_show_and_what_to_ask_for(client: Client) -> None:
    await define(client, *FORM, conditionalRules=RULES)

    empty = await check(client, type="gauge")
    weather = await check(client, type="gauge", fields={"cause": "weather"})
    failure = await check(client, type="gauge", fields={"cause": "failure", "hours": 1})

    assert empty == {
        "accepted": False,
        "visibleFields": ["cause", "note"],
        "requiredFields": ["cause"],
        "duplicateOf": None,
        "warnings": [],
        "userErrors": [
            {
                "code": "FIELD_REQUIRED",
                "message": "cause is required.",
                "path": ["input", "fields", "cause"],
            }
        ],
    }
    assert weather["visibleFields"] == ["cause", "hours", "note"]
    assert weather["requiredFields"] == ["cause", "hours"]
    assert failure["visibleFields"] == ["cause", "part", "hours", "note"]
    assert failure["requiredFields"] == ["cause", "part", "hours"]
    assert told(failure["userErrors"]) == [("FIELD_REQUIRED", "input.fields.part")]


async def test_a_check_stores_nothing_whatever_it_finds(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client, *FORM, conditionalRules=RULES)
    good = {"cause": "failure", "part": "valve", "hours": 4}
    before = await everything(database)

    accepted = await check(
        own_client, eventTypeId=made["id"], fields=good, sourceId="1", tags=["t"]
    )
    refused = await check(own_client, eventTypeId=made["id"], fields={"hours": "x"}, sourceId="1")

    assert (accepted["accepted"], refused["accepted"]) == (True, False)
    assert await everything(database) == before
    event = await own_client.log(eventTypeId=made["id"], fields=good, sourceId="1", tags=["t"])
    assert event["fields"] == good | {"note": "none"}


async def test_what_is_hidden_is_warned_of(client: Client) -> None:
    await define(client, *FORM, conditionalRules=RULES)

    checked = await check(
        client, type="gauge", fields={"cause": "weather", "part": "valve", "hours": 1}
    )

    assert (checked["accepted"], checked["userErrors"]) == (True, [])
    assert told(checked["warnings"]) == [("FIELD_HIDDEN", "input.fields.part")]
    assert "part" not in checked["visibleFields"]


async def test_a_replay_would_be_accepted_and_other_content_not(client: Client) -> None:
    report = {"type": "free", "sourceId": "1", "source": "//pump", "summary": "s"}
    await client.log(**report)

    again = await check(client, **report)
    other = await check(client, **report | {"summary": "other"})

    assert (again["accepted"], again["userErrors"]) == (True, [])
    assert (other["accepted"], told(other["userErrors"])) == (
        *(False, [("CONFLICT", "input.sourceId")]),
    )


async def test_a_free_form_report_has_no_fields_to_show(client: Client) -> None:
    checked = await check(client, type="free", fields={"any": [1]})

    assert (checked["accepted"], checked["visibleFields"], checked["requiredFields"]) == (
        *(True, [], []),
    )


@pytest.mark.parametrize(("id", "code"), [("no id", "NOT_FOUND"), (NOWHERE, "NOT_FOUND")])
async def test_a_type_that_there_is_not_is_told(client: Client, id: str, code: str) -> None:
    checked = await check(client, eventTypeId=id)

    assert (checked["accepted"], checked["visibleFields"]) == (False, [])
    assert told(checked["userErrors"]) == [(code, "input.eventTypeId")]


async def test_a_draft_shows_its_form_but_takes_nothing(client: Client) -> None:
    made = await define(client, *FORM, state="DRAFT")

    checked = await check(client, type="gauge", fields={"cause": "weather", "hours": 1})

    assert checked["visibleFields"] == ["cause", "part", "hours", "note"]
    assert told(checked["userErrors"]) == [("EVENT_TYPE_CLOSED", "input.type")]
    await shape(client, MOVE, id=made["id"], to="PUBLISHED")
    checked = await check(client, type="gauge", fields={"cause": "weather", "hours": 1})
    assert checked["accepted"] is True
    await shape(client, DELETE, id=made["id"])
    assert (await check(client, type="gauge"))["visibleFields"] == []


VALUES: list[Any] = [
    *(None, "x", [], 7, {"cause": None}, {"cause": {"a": 1}}, {"cause": ["weather"]}),
    *({"cause": True}, {"hours": 10**400, "cause": "weather"}, {"part": "\0"}, {"\ud800": 1}),
    {"cause": "failure", "part": "p", "hours": -0.5, "note": None},
]


async def test_whatever_is_given_is_judged_as_logging_would(
    own_client: Client, database: Database
) -> None:
    await define(own_client, *FORM, conditionalRules=RULES)
    log = CHECK.replace("query", "mutation").replace("checkEvent", "logEvent")
    log = log.replace("accepted visibleFields requiredFields duplicateOf", "event")
    before = await everything(database)

    for values in VALUES:
        checked = await check(own_client, type="gauge", fields=values)
        logged = await own_client.ask(log, input={"type": "gauge", "fields": values})
        assert (values, logged["event"], checked["accepted"]) == (values, None, False)
        assert checked["userErrors"] == logged["userErrors"]

    assert await everything(database) == before
