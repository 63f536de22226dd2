"""The life of an event type: DRAFT, PUBLISHED, DEPRECATED, ARCHIVED, and what each means for
events.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.definitions import (
    ADD_FIELD,
    CHECK,
    CREATE,
    FIND,
    MOVE,
    NOWHERE,
    UPDATE_EVENT,
    define,
    everything,
    field,
    refusal,
    shape,
    told,
)

# Where each state leads; to itself every state may go.
WAYS = {
    "DRAFT": ["PUBLISHED", "ARCHIVED"],
    "PUBLISHED": ["DEPRECATED", "ARCHIVED"],
    "DEPRECATED": ["PUBLISHED", "ARCHIVED"],
    "ARCHIVED": ["DEPRECATED"],
}
# From DRAFT, the shortest way there.
STEPS = {
    "DRAFT": [],
    "PUBLISHED": ["PUBLISHED"],
    "DEPRECATED": ["PUBLISHED", "DEPRECATED"],
    "ARCHIVED": ["ARCHIVED"],
}
LONG_AGO = "2020-01-01T00:00:00Z"


async def a_type(client: Client, state: str) -> Any:
    """An event type that has come to this state."""
    made = await shape(client, CREATE, input={"name": state, "type": state.lower()})
    for step in STEPS[state]:
        made = await shape(client, MOVE, id=made["id"], to=step)
    return made


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="microseconds")


@pytest.mark.parametrize("start", WAYS)
@pytest.mark.parametrize("to", WAYS)
async def test_the_lifecycle_leads_where_it_leads_and_nowhere_else(
    own_client: Client, database: Database, start: str, to: str
) -> None:
    made = await a_type(own_client, start)
    before = await everything(database)

    payload = await own_client.ask(MOVE, id=made["id"], to=to)

    stored = await own_client.ask(FIND, id=made["id"])
    if to == start:
        assert payload == {"eventType": made, "userErrors": []}
        assert await everything(database) == before
    elif to in WAYS[start]:
        assert payload == {"eventType": stored, "userErrors": []}
        assert (stored["state"], stored["version"], stored["transitions"]) == (to, 1, WAYS[to])
        assert len((await everything(database))["change"]) == len(before["change"]) + 1
    else:
        allowed = " or ".join(WAYS[start])
        assert payload == {
            "eventType": None,
            "userErrors": [
                {
                    "code": "ILLEGAL_TRANSITION",
                    "message": f"From {start} it may become {allowed}, not {to}.",
                    "path": ["to"],
                    "from": start,
                    "allowed": WAYS[start],
                }
            ],
        }
        assert await everything(database) == before


@pytest.mark.parametrize("state", WAYS)
async def test_an_event_type_says_where_it_may_go(client: Client, state: str) -> None:
    made = await a_type(client, state)

    assert (made["state"], made["transitions"]) == (state, WAYS[state])


@pytest.mark.parametrize("state", ["DRAFT", "ARCHIVED"])
async def test_a_type_that_is_not_in_use_takes_no_events(
    own_client: Client, database: Database, state: str
) -> None:
    made = await a_type(own_client, state)
    before = await everything(database)

    by_type = await own_client.ask(LOG_EVENT, input={"type": made["type"]})
    by_id = await own_client.ask(LOG_EVENT, input={"eventTypeId": made["id"]})
    checked = await own_client.ask(CHECK, input={"type": made["type"]})

    assert (by_type["event"], by_id["event"], checked["accepted"]) == (None, None, False)
    assert told(by_type["userErrors"]) == [("EVENT_TYPE_CLOSED", "input.type")]
    assert told(by_id["userErrors"]) == [("EVENT_TYPE_CLOSED", "input.eventTypeId")]
    assert told(checked["userErrors"]) == [("EVENT_TYPE_CLOSED", "input.type")]
    assert state in by_type["userErrors"][0]["message"]
    assert await everything(database) == before


async def test_events_of_an_archived_type_can_still_be_updated(client: Client) -> None:
    made = await define(client, field("a"))
    event = await client.log(type="gauge", fields={"a": "before"})
    await shape(client, MOVE, id=made["id"], to="ARCHIVED")

    payload = await client.ask(UPDATE_EVENT, input={"id": event["id"], "fields": {"a": "after"}})

    assert payload["userErrors"] == []
    assert payload["event"]["fields"] == {"a": "after"}


async def test_a_deprecated_type_takes_events_with_a_warning(client: Client) -> None:
    await a_type(client, "DEPRECATED")

    payload = await client.ask(LOG_EVENT, input={"type": "deprecated"})

    assert payload["userErrors"] == []
    assert payload["event"]["type"] == "deprecated"
    assert payload["warnings"] == [
        {
            "code": "EVENT_TYPE_CLOSED",
            "message": "Event type deprecated is DEPRECATED.",
            "path": ["input", "type"],
        }
    ]


async def test_before_its_sunset_a_type_takes_events_and_says_until_when(client: Client) -> None:
    made = await a_type(client, "PUBLISHED")
    moved = await shape(client, MOVE, id=made["id"], to="DEPRECATED", sunsetAt=in_an_hour())

    payload = await client.ask(LOG_EVENT, input={"eventTypeId": made["id"]})

    assert payload["event"]["type"] == "published"
    assert told(payload["warnings"]) == [("EVENT_TYPE_CLOSED", "input.eventTypeId")]
    assert moved["sunsetAt"] in payload["warnings"][0]["message"]


async def test_from_its_sunset_on_a_type_takes_no_events(
    own_client: Client, database: Database
) -> None:
    made = await a_type(own_client, "PUBLISHED")
    moved = await shape(own_client, MOVE, id=made["id"], to="DEPRECATED", sunsetAt=LONG_AGO)
    before = await everything(database)

    payload = await own_client.ask(LOG_EVENT, input={"type": "published"})
    checked = await own_client.ask(CHECK, input={"type": "published"})

    assert moved["sunsetAt"] == "2020-01-01T00:00:00.000000Z"
    assert (payload["event"], payload["warnings"], checked["accepted"]) == (None, [], False)
    assert told(payload["userErrors"]) == [("EVENT_TYPE_CLOSED", "input.type")]
    assert moved["sunsetAt"] in payload["userErrors"][0]["message"]
    assert await everything(database) == before


@pytest.mark.parametrize("to", ["PUBLISHED", "ARCHIVED"])
async def test_a_sunset_goes_when_the_type_does(client: Client, to: str) -> None:
    made = await a_type(client, "PUBLISHED")
    await shape(client, MOVE, id=made["id"], to="DEPRECATED", sunsetAt=LONG_AGO)

    moved = await shape(client, MOVE, id=made["id"], to=to)
    again = await shape(client, MOVE, id=made["id"], to="DEPRECATED")

    assert (moved["sunsetAt"], again["sunsetAt"]) == (None, None)
    assert (await client.log(type="published"))["type"] == "published"


async def test_a_sunset_can_be_put_off_and_stays_unless_said(client: Client) -> None:
    made = await a_type(client, "DEPRECATED")
    await shape(client, MOVE, id=made["id"], to="DEPRECATED", sunsetAt=LONG_AGO)

    later = await shape(client, MOVE, id=made["id"], to="DEPRECATED", sunsetAt=in_an_hour())
    stayed = await shape(client, MOVE, id=made["id"], to="DEPRECATED")

    assert later["sunsetAt"] > LONG_AGO
    assert stayed == later
    assert stayed["version"] == 1


@pytest.mark.parametrize(("start", "to"), [("DRAFT", "PUBLISHED"), ("DEPRECATED", "ARCHIVED")])
async def test_a_sunset_goes_with_deprecated_alone(
    own_client: Client, database: Database, start: str, to: str
) -> None:
    made = await a_type(own_client, start)
    before = await everything(database)

    wrong = await refusal(own_client, MOVE, id=made["id"], to=to, sunsetAt=in_an_hour())

    assert wrong == [("INVALID_INPUT", "sunsetAt")]
    assert await everything(database) == before


@pytest.mark.parametrize(("id", "code"), [("no id", "INVALID_INPUT"), (NOWHERE, "NOT_FOUND")])
async def test_only_a_type_that_is_there_can_move(client: Client, id: str, code: str) -> None:
    assert await refusal(client, MOVE, id=id, to="PUBLISHED") == [(code, "id")]


async def test_a_draft_can_be_shaped_and_then_takes_events(client: Client) -> None:
    made = await a_type(client, "DRAFT")
    await shape(client, ADD_FIELD, id=made["id"], field=field("a", "NUMBER", required=True))

    moved = await shape(client, MOVE, id=made["id"], to="PUBLISHED")
    event = await client.log(type="draft", fields={"a": 1})

    assert (moved["state"], moved["version"]) == ("PUBLISHED", 2)
    assert (event["eventTypeVersion"], event["fields"]) == (2, {"a": 1})
