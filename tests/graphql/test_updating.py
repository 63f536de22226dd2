"""updateEvent and deleteEvent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import Client

UPDATE = """
mutation ($input: UpdateEventInput!) {
  updateEvent(input: $input) {
    event {
      id version severity summary content outcome occurredAt fields tags notification
      entity { type entityId } updatedAt
    }
    warnings { code }
    userErrors { code message path }
  }
}
"""
DELETE = """
mutation ($id: ID!) { deleteEvent(id: $id) { event { id summary } userErrors { code path } } }
"""

ONE = "query ($id: ID!) { event(id: $id) { version summary fields } }"


async def test_an_update_changes_only_the_given_attributes(client: Client) -> None:
    event = await client.log_event(
        summary="before", content="kept", fields={"a": 1, "b": 2, "c": 3}
    )

    payload = await client.execute_field(
        UPDATE,
        input={
            "id": event["id"],
            "severity": "error",
            "summary": "after",
            "fields": {"a": 10, "b": None},
            "tags": ["x", "y"],
            "entity": {"type": "Well", "id": "1"},
        },
    )

    after = payload["event"]
    assert payload["userErrors"] == []
    assert (after["version"], after["severity"], after["summary"]) == (2, "ERROR", "after")
    assert (after["content"], after["fields"]) == ("kept", {"a": 10, "c": 3})
    assert (after["tags"], after["entity"]) == (["x", "y"], {"type": "Well", "entityId": "1"})
    assert after["updatedAt"] > event["updatedAt"]


async def test_null_clears_a_nullable_attribute(client: Client) -> None:
    event = await client.log_event(
        content="c", outcome="SUCCESS", tags=["x"], entity={"type": "Well", "id": "1"}
    )
    cleared = {"content": None, "outcome": None, "tags": None, "entity": None}

    payload = await client.execute_field(UPDATE, input={"id": event["id"]} | cleared)

    after = payload["event"]
    assert [after[name] for name in cleared] == [None, None, [], None]


@pytest.mark.parametrize("name", ["severity", "summary", "occurredAt", "notification"])
async def test_null_is_rejected_for_a_required_attribute(client: Client, name: str) -> None:
    event = await client.log_event(summary="kept")

    payload = await client.execute_field(UPDATE, input={"id": event["id"], name: None})

    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("INVALID_INPUT", ["input", name])
    ]
    assert (await client.execute_field(ONE, id=event["id"]))["version"] == 1


async def test_an_update_of_another_version_is_a_conflict(client: Client) -> None:
    event = await client.log_event(summary="kept")
    await client.execute_field(
        UPDATE, input={"id": event["id"], "summary": "second", "ifVersion": 1}
    )

    late = await client.execute_field(
        UPDATE, input={"id": event["id"], "summary": "third", "ifVersion": 1}
    )

    assert [(error["code"], error["path"]) for error in late["userErrors"]] == [
        ("CONFLICT", ["input", "ifVersion"])
    ]
    stored = await client.execute_field(ONE, id=event["id"])
    assert (stored["version"], stored["summary"]) == (2, "second")


@pytest.mark.parametrize(
    ("attributes", "code", "path"),
    [
        ({"summary": "s" * 1001}, "INVALID_INPUT", ["input", "summary"]),
        ({"fields": "text"}, "INVALID_INPUT", ["input", "fields"]),
        ({"fields": {"a": "\0"}}, "INVALID_INPUT", ["input", "fields", "a"]),
        ({"id": "no-id"}, "INVALID_INPUT", ["input", "id"]),
        ({"id": "018f0000-0000-7000-8000-000000000000"}, "NOT_FOUND", ["input", "id"]),
    ],
)
async def test_an_invalid_update_is_rejected_with_its_path_and_changes_nothing(
    client: Client, attributes: dict[str, Any], code: str, path: list[str]
) -> None:
    event = await client.log_event(summary="kept", fields={"a": 1})

    payload = await client.execute_field(UPDATE, input={"id": event["id"]} | attributes)

    assert payload["event"] is None
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [(code, path)]
    stored = await client.execute_field(ONE, id=event["id"])
    assert stored == {"version": 1, "summary": "kept", "fields": {"a": 1}}


async def test_deleting_an_event_returns_its_last_state(client: Client) -> None:
    event = await client.log_event(summary="gone", tags=["x"])

    payload = await client.execute_field(DELETE, id=event["id"])

    assert payload == {"event": {"id": event["id"], "summary": "gone"}, "userErrors": []}
    assert await client.execute_field(ONE, id=event["id"]) is None


async def test_deleting_an_event_twice_is_not_found(client: Client) -> None:
    event = await client.log_event()
    await client.execute_field(DELETE, id=event["id"])

    payload = await client.execute_field(DELETE, id=event["id"])

    assert payload == {"event": None, "userErrors": [{"code": "NOT_FOUND", "path": ["id"]}]}
