"""The lifecycle of event types: DRAFT, PUBLISHED, DEPRECATED, ARCHIVED, and the effect on
events.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.event_type_client import (
    ADD_FIELD,
    CHECK,
    CREATE,
    FIND,
    TRANSITION,
    UNKNOWN_ID,
    UPDATE_EVENT,
    change_event_type,
    codes_and_paths,
    define_event_type,
    fetch_all_rows,
    fetch_refusal,
    field_input,
)

# Allowed transitions of each state. A transition to the same state is always allowed.
TRANSITIONS = {
    "DRAFT": ["PUBLISHED", "ARCHIVED"],
    "PUBLISHED": ["DEPRECATED", "ARCHIVED"],
    "DEPRECATED": ["PUBLISHED", "ARCHIVED"],
    "ARCHIVED": ["DEPRECATED"],
}
# The shortest path from DRAFT to each state.
STEPS = {
    "DRAFT": [],
    "PUBLISHED": ["PUBLISHED"],
    "DEPRECATED": ["PUBLISHED", "DEPRECATED"],
    "ARCHIVED": ["ARCHIVED"],
}
LONG_AGO = "2020-01-01T00:00:00Z"


async def create_in_state(client: Client, state: str) -> Any:
    """Creates an event type in this state."""
    event_type = await change_event_type(
        client, CREATE, input={"name": state, "type": state.lower()}
    )
    for step in STEPS[state]:
        event_type = await change_event_type(client, TRANSITION, id=event_type["id"], to=step)
    return event_type


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="microseconds")


@pytest.mark.parametrize("start", TRANSITIONS)
@pytest.mark.parametrize("to", TRANSITIONS)
async def test_only_allowed_transitions_are_accepted(
    client: Client, shared_database: Database, start: str, to: str
) -> None:
    event_type = await create_in_state(client, start)
    before = await fetch_all_rows(shared_database, client)

    payload = await client.execute_field(TRANSITION, id=event_type["id"], to=to)

    stored = await client.execute_field(FIND, id=event_type["id"])
    if to == start:
        assert payload == {"eventType": event_type, "userErrors": []}
        assert await fetch_all_rows(shared_database, client) == before
    elif to in TRANSITIONS[start]:
        assert payload == {"eventType": stored, "userErrors": []}
        assert (stored["state"], stored["version"], stored["transitions"]) == (
            to,
            1,
            TRANSITIONS[to],
        )
        assert (
            len((await fetch_all_rows(shared_database, client))["change"])
            == len(before["change"]) + 1
        )
    else:
        allowed = " or ".join(TRANSITIONS[start])
        assert payload == {
            "eventType": None,
            "userErrors": [
                {
                    "code": "ILLEGAL_TRANSITION",
                    "message": f"Invalid transition from {start} to {to}: expected {allowed}.",
                    "path": ["to"],
                    "from": start,
                    "allowed": TRANSITIONS[start],
                }
            ],
        }
        assert await fetch_all_rows(shared_database, client) == before


@pytest.mark.parametrize("state", TRANSITIONS)
async def test_an_event_type_returns_its_allowed_transitions(client: Client, state: str) -> None:
    event_type = await create_in_state(client, state)

    assert (event_type["state"], event_type["transitions"]) == (state, TRANSITIONS[state])


@pytest.mark.parametrize("state", ["DRAFT", "ARCHIVED"])
async def test_draft_and_archived_types_reject_events(
    client: Client, shared_database: Database, state: str
) -> None:
    event_type = await create_in_state(client, state)
    before = await fetch_all_rows(shared_database, client)

    by_type = await client.execute_field(LOG_EVENT, input={"type": event_type["type"]})
    by_id = await client.execute_field(LOG_EVENT, input={"eventTypeId": event_type["id"]})
    checked = await client.execute_field(CHECK, input={"type": event_type["type"]})

    assert (by_type["event"], by_id["event"], checked["accepted"]) == (None, None, False)
    assert codes_and_paths(by_type["userErrors"]) == [("EVENT_TYPE_CLOSED", "input.type")]
    assert codes_and_paths(by_id["userErrors"]) == [("EVENT_TYPE_CLOSED", "input.eventTypeId")]
    assert codes_and_paths(checked["userErrors"]) == [("EVENT_TYPE_CLOSED", "input.type")]
    assert state in by_type["userErrors"][0]["message"]
    assert await fetch_all_rows(shared_database, client) == before


async def test_events_of_an_archived_type_can_still_be_updated(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    event = await client.log_event(type="gauge", fields={"a": "before"})
    await change_event_type(client, TRANSITION, id=event_type["id"], to="ARCHIVED")

    payload = await client.execute_field(
        UPDATE_EVENT, input={"id": event["id"], "fields": {"a": "after"}}
    )

    assert payload["userErrors"] == []
    assert payload["event"]["fields"] == {"a": "after"}


async def test_a_deprecated_type_accepts_events_with_a_warning(client: Client) -> None:
    await create_in_state(client, "DEPRECATED")

    payload = await client.execute_field(LOG_EVENT, input={"type": "deprecated"})

    assert payload["userErrors"] == []
    assert payload["event"]["type"] == "deprecated"
    assert payload["warnings"] == [
        {
            "code": "EVENT_TYPE_CLOSED",
            "message": "Event type 'deprecated' is DEPRECATED.",
            "path": ["input", "type"],
        }
    ]


async def test_before_its_sunset_a_type_accepts_events_with_a_dated_warning(client: Client) -> None:
    event_type = await create_in_state(client, "PUBLISHED")
    moved = await change_event_type(
        client, TRANSITION, id=event_type["id"], to="DEPRECATED", sunsetAt=in_an_hour()
    )

    payload = await client.execute_field(LOG_EVENT, input={"eventTypeId": event_type["id"]})

    assert payload["event"]["type"] == "published"
    assert codes_and_paths(payload["warnings"]) == [("EVENT_TYPE_CLOSED", "input.eventTypeId")]
    assert moved["sunsetAt"] in payload["warnings"][0]["message"]


async def test_after_its_sunset_a_type_rejects_events(
    client: Client, shared_database: Database
) -> None:
    event_type = await create_in_state(client, "PUBLISHED")
    moved = await change_event_type(
        client, TRANSITION, id=event_type["id"], to="DEPRECATED", sunsetAt=LONG_AGO
    )
    before = await fetch_all_rows(shared_database, client)

    payload = await client.execute_field(LOG_EVENT, input={"type": "published"})
    checked = await client.execute_field(CHECK, input={"type": "published"})

    assert moved["sunsetAt"] == "2020-01-01T00:00:00.000000Z"
    assert (payload["event"], payload["warnings"], checked["accepted"]) == (None, [], False)
    assert codes_and_paths(payload["userErrors"]) == [("EVENT_TYPE_CLOSED", "input.type")]
    assert moved["sunsetAt"] in payload["userErrors"][0]["message"]
    assert await fetch_all_rows(shared_database, client) == before


@pytest.mark.parametrize("to", ["PUBLISHED", "ARCHIVED"])
async def test_a_transition_clears_the_sunset(client: Client, to: str) -> None:
    event_type = await create_in_state(client, "PUBLISHED")
    await change_event_type(
        client, TRANSITION, id=event_type["id"], to="DEPRECATED", sunsetAt=LONG_AGO
    )

    moved = await change_event_type(client, TRANSITION, id=event_type["id"], to=to)
    again = await change_event_type(client, TRANSITION, id=event_type["id"], to="DEPRECATED")

    assert (moved["sunsetAt"], again["sunsetAt"]) == (None, None)
    assert (await client.log_event(type="published"))["type"] == "published"


async def test_a_sunset_can_be_postponed_and_is_otherwise_kept(client: Client) -> None:
    event_type = await create_in_state(client, "DEPRECATED")
    await change_event_type(
        client, TRANSITION, id=event_type["id"], to="DEPRECATED", sunsetAt=LONG_AGO
    )

    later = await change_event_type(
        client, TRANSITION, id=event_type["id"], to="DEPRECATED", sunsetAt=in_an_hour()
    )
    stayed = await change_event_type(client, TRANSITION, id=event_type["id"], to="DEPRECATED")

    assert later["sunsetAt"] > LONG_AGO
    assert stayed == later
    assert stayed["version"] == 1


@pytest.mark.parametrize(("start", "to"), [("DRAFT", "PUBLISHED"), ("DEPRECATED", "ARCHIVED")])
async def test_a_sunset_is_accepted_only_for_deprecated(
    client: Client, shared_database: Database, start: str, to: str
) -> None:
    event_type = await create_in_state(client, start)
    before = await fetch_all_rows(shared_database, client)

    wrong = await fetch_refusal(
        client, TRANSITION, id=event_type["id"], to=to, sunsetAt=in_an_hour()
    )

    assert wrong == [("INVALID_INPUT", "sunsetAt")]
    assert await fetch_all_rows(shared_database, client) == before


@pytest.mark.parametrize(("id", "code"), [("no id", "INVALID_INPUT"), (UNKNOWN_ID, "NOT_FOUND")])
async def test_an_unknown_type_has_no_transitions(client: Client, id: str, code: str) -> None:
    assert await fetch_refusal(client, TRANSITION, id=id, to="PUBLISHED") == [(code, "id")]


async def test_a_draft_can_be_changed_and_published_to_accept_events(client: Client) -> None:
    event_type = await create_in_state(client, "DRAFT")
    await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("a", "NUMBER", required=True)
    )

    moved = await change_event_type(client, TRANSITION, id=event_type["id"], to="PUBLISHED")
    event = await client.log_event(type="draft", fields={"a": 1})

    assert (moved["state"], moved["version"]) == ("PUBLISHED", 2)
    assert (event["eventTypeVersion"], event["fields"]) == (2, {"a": 1})
