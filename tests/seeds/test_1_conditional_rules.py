"""Seed 1, conditional rules: every row of its table, and the described behavior."""

from __future__ import annotations

from typing import Any

from tests.client import LOG_EVENT, Client
from tests.event_type_client import (
    ADD_RULE,
    DELETE_RULE,
    UPDATE_RULE,
    change_event_type,
    codes_and_paths,
    define_event_type,
    field_input,
    predicate_input,
    rule_input,
)

ON_WEATHER = rule_input("SHOW", "wind_speed", predicate_input("cause", "EQ", "weather"))


async def create_flaring_incident(client: Client) -> Any:
    return await define_event_type(
        client,
        field_input("volume_mcf", "NUMBER", required=True),
        field_input("cause", "SELECT", options=["equipment", "weather", "other"]),
        field_input("wind_speed", "NUMBER"),
    )


async def test_post_conditional_rules_adds_one(client: Client) -> None:
    event_type = await create_flaring_incident(client)

    payload = await client.execute_field(ADD_RULE, id=event_type["id"], rule=ON_WEATHER)

    added = payload["conditionalRule"]
    assert payload["userErrors"] == []
    assert (added["name"], added["effect"]) == ("show wind_speed", "SHOW")
    assert (added["targets"], added["enabled"]) == ([{"name": "wind_speed"}], True)
    assert added["condition"] == predicate_input("cause", "EQ", "weather")


async def test_get_conditional_rules_lists_them(client: Client) -> None:
    event_type = await create_flaring_incident(client)
    await change_event_type(client, ADD_RULE, id=event_type["id"], rule=ON_WEATHER)

    listed = await client.execute_field(
        "query ($id: ID!) { eventType(by: {id: $id}) { conditionalRules { name effect } } }",
        id=event_type["id"],
    )

    assert listed == {"conditionalRules": [{"name": "show wind_speed", "effect": "SHOW"}]}


async def test_patch_conditional_rules_rid_updates_one(client: Client) -> None:
    event_type = await create_flaring_incident(client)
    [added] = (await change_event_type(client, ADD_RULE, id=event_type["id"], rule=ON_WEATHER))[
        "conditionalRules"
    ]

    after = await change_event_type(
        client, UPDATE_RULE, input={"id": added["id"], "effect": "REQUIRE"}
    )

    assert after["conditionalRules"] == [added | {"effect": "REQUIRE"}]


async def test_delete_conditional_rules_rid_deletes_one(client: Client) -> None:
    event_type = await create_flaring_incident(client)
    [added] = (await change_event_type(client, ADD_RULE, id=event_type["id"], rule=ON_WEATHER))[
        "conditionalRules"
    ]

    after = await change_event_type(client, DELETE_RULE, id=added["id"])

    assert after["conditionalRules"] == []


async def test_conditional_rules_control_visibility_by_other_fields_values(client: Client) -> None:
    event_type = await create_flaring_incident(client)
    await change_event_type(client, ADD_RULE, id=event_type["id"], rule=ON_WEATHER)
    values = {"volume_mcf": 150, "wind_speed": 12}

    shown = await client.log_event(type="gauge", fields=values | {"cause": "weather"})
    hidden = await client.execute_field(
        LOG_EVENT, input={"type": "gauge", "fields": values | {"cause": "other"}}
    )

    assert shown["fields"] == values | {"cause": "weather"}
    assert hidden["event"]["fields"] == {"volume_mcf": 150, "cause": "other"}
    assert codes_and_paths(hidden["warnings"]) == [("FIELD_HIDDEN", "input.fields.wind_speed")]
