"""Seed 1, guard rules and duplication rules: each row of its tables, with the names of the API."""

from __future__ import annotations

from typing import Any

from tests.client import LOG_EVENT, Client
from tests.seeds.test_1_event_endpoints import EVENT, FLARING_INCIDENT, create_event_type

CREATE_GUARD = """mutation ($input: CreateGuardRuleInput!) { createGuardRule(input: $input) {
  guardRule { id name state expression eventType { type } } userErrors { code message } } }"""
PUBLISH_GUARD = """mutation ($id: ID!) { publishGuardRule(id: $id) {
  guardRule { state publishedVersion { number expression } } userErrors { code message } } }"""
CREATE_DUPLICATION = """mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) {
    duplicationRule { id name fingerprint window action enabled eventType { type } }
    userErrors { code message } } }"""
VOLUME, _ = FLARING_INCIDENT["fields"]
# The type of the seed, with the three fields of its event.
THREE_FIELDS: dict[str, Any] = FLARING_INCIDENT | {
    "fields": [
        VOLUME,
        {"name": "duration_hours", "kind": "NUMBER"},
        {"name": "cause", "kind": "SELECT", "options": ["equipment_malfunction", "weather"]},
    ]
}
DAY_LONG = {
    "name": "no longer than a day",
    "expression": "event.fields.duration_hours <= 24",
    "message": "Flaring lasts a day at most.",
}
SAME_WELL = {
    "name": "same well, same volume",
    "fingerprint": ["entity", "fields.volume_mcf"],
    "window": "PT15M",
    "action": "REJECT",
}


async def create_flaring(client: Client) -> Any:
    return await create_event_type(client, THREE_FIELDS)


async def create_draft_rule(client: Client, kind: Any) -> Any:
    payload = await client.execute_field(CREATE_GUARD, input=DAY_LONG | {"eventTypeId": kind["id"]})
    assert payload["userErrors"] == []
    return payload["guardRule"]


async def create_duplication_rule(client: Client, kind: Any) -> Any:
    payload = await client.execute_field(
        CREATE_DUPLICATION, input=SAME_WELL | {"eventTypeId": kind["id"]}
    )
    assert payload["userErrors"] == []
    return payload["duplicationRule"]


async def log_report(client: Client, kind: Any, **fields: Any) -> Any:
    """Logs the event of the seed with other values."""
    attributes = EVENT | {"eventTypeId": kind["id"], "fields": EVENT["fields"] | fields}
    return await client.execute_field(LOG_EVENT, input=attributes)


def error_codes(payload: Any) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


async def test_post_guard_rules(client: Client) -> None:
    kind = await create_flaring(client)

    rule = await create_draft_rule(client, kind)

    assert rule == {
        "id": rule["id"],
        "name": "no longer than a day",
        "state": "DRAFT",
        "expression": "event.fields.duration_hours <= 24",
        "eventType": {"type": "flaring.flaring_incident"},
    }


async def test_get_guard_rules(client: Client) -> None:
    rule = await create_draft_rule(client, await create_flaring(client))

    listed = await client.execute_field("{ guardRules { totalCount nodes { id name state } } }")

    assert listed == {
        "totalCount": 1,
        "nodes": [{"id": rule["id"], "name": "no longer than a day", "state": "DRAFT"}],
    }


async def test_patch_guard_rules_id(client: Client) -> None:
    rule = await create_draft_rule(client, await create_flaring(client))

    payload = await client.execute_field(
        """mutation ($id: ID!) {
             updateGuardRule(input: {id: $id, expression: "event.fields.duration_hours < 12"}) {
               guardRule { id name state expression } userErrors { code } } }""",
        id=rule["id"],
    )

    assert payload == {
        "guardRule": {
            "id": rule["id"],
            "name": "no longer than a day",
            "state": "DRAFT",
            "expression": "event.fields.duration_hours < 12",
        },
        "userErrors": [],
    }


async def test_post_guard_rules_id_publish(client: Client) -> None:
    rule = await create_draft_rule(client, await create_flaring(client))

    payload = await client.execute_field(PUBLISH_GUARD, id=rule["id"])

    assert payload == {
        "guardRule": {
            "state": "PUBLISHED",
            "publishedVersion": {"number": 1, "expression": "event.fields.duration_hours <= 24"},
        },
        "userErrors": [],
    }


async def test_guard_rules_enforce_validation_before_events_can_be_submitted(
    client: Client,
) -> None:
    kind = await create_flaring(client)
    rule = await create_draft_rule(client, kind)
    before = await log_report(client, kind, duration_hours=25)
    await client.execute_field(PUBLISH_GUARD, id=rule["id"])

    refused = await log_report(client, kind, duration_hours=25)
    accepted = await log_report(client, kind)

    assert before["event"] is not None
    assert refused["event"] is None
    assert refused["userErrors"] == [
        {
            "code": "GUARD_REJECTED",
            "message": "Flaring lasts a day at most.",
            "path": ["input", "fields"],
        }
    ]
    assert accepted["event"]["fields"] == EVENT["fields"]
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 2}


async def test_post_duplication_rules(client: Client) -> None:
    kind = await create_flaring(client)

    rule = await create_duplication_rule(client, kind)

    assert rule == SAME_WELL | {
        "id": rule["id"],
        "enabled": True,
        "eventType": {"type": "flaring.flaring_incident"},
    }
    first, again, other = [
        await log_report(client, kind, volume_mcf=volume) for volume in (150, 150.0, 151)
    ]
    assert first["event"] is not None
    assert (again["event"], error_codes(again)) == (None, ["DUPLICATE"])
    assert other["event"] is not None
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 2}


async def test_get_duplication_rules(client: Client) -> None:
    kind = await create_flaring(client)
    rule = await create_duplication_rule(client, kind)
    await log_report(client, kind)
    await log_report(client, kind)

    listed = await client.execute_field(
        "{ duplicationRules { totalCount nodes { id name matchCount } } }"
    )

    assert listed == {
        "totalCount": 1,
        "nodes": [{"id": rule["id"], "name": "same well, same volume", "matchCount": 1}],
    }


async def test_patch_duplication_rules_id(client: Client) -> None:
    kind = await create_flaring(client)
    rule = await create_duplication_rule(client, kind)
    await log_report(client, kind)

    payload = await client.execute_field(
        """mutation ($id: ID!) { updateDuplicationRule(input: {id: $id, action: COUNT}) {
             duplicationRule { id name action } userErrors { code } } }""",
        id=rule["id"],
    )
    counted = await log_report(client, kind)

    assert payload == {
        "duplicationRule": {
            "id": rule["id"],
            "name": "same well, same volume",
            "action": "COUNT",
        },
        "userErrors": [],
    }
    assert (counted["duplicate"], error_codes(counted)) == (True, [])
    listed = await client.execute_field("{ events { nodes { occurrences } } }")
    assert listed == {"nodes": [{"occurrences": 2}]}


async def test_post_duplication_rules_reset(client: Client) -> None:
    kind = await create_flaring(client)
    await create_duplication_rule(client, kind)
    await log_report(client, kind)
    assert error_codes(await log_report(client, kind)) == ["DUPLICATE"]

    reset = await client.execute_field(
        "mutation { resetDuplication { clearedCount userErrors { code } } }"
    )

    assert reset == {"clearedCount": 1, "userErrors": []}
    assert (await log_report(client, kind))["event"] is not None
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 2}
