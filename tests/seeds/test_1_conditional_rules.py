"""Seed 1, conditional rules: every row of its table, and what it says that they do."""

from __future__ import annotations

from typing import Any

from tests.client import LOG_EVENT, Client
from tests.definitions import (
    ADD_RULE,
    DELETE_RULE,
    UPDATE_RULE,
    asks,
    define,
    field,
    rule,
    shape,
    told,
)

ON_WEATHER = rule("SHOW", "wind_speed", asks("cause", "EQ", "weather"))


async def flaring_incident(client: Client) -> Any:
    return await define(
        client,
        field("volume_mcf", "NUMBER", required=True),
        field("cause", "SELECT", options=["equipment", "weather", "other"]),
        field("wind_speed", "NUMBER"),
    )


async def test_post_conditional_rules_adds_one(client: Client) -> None:
    made = await flaring_incident(client)

    payload = await client.ask(ADD_RULE, id=made["id"], rule=ON_WEATHER)

    added = payload["conditionalRule"]
    assert payload["userErrors"] == []
    assert (added["name"], added["effect"]) == ("show wind_speed", "SHOW")
    assert (added["targets"], added["enabled"]) == ([{"name": "wind_speed"}], True)
    assert added["condition"] == asks("cause", "EQ", "weather")


async def test_get_conditional_rules_lists_them(client: Client) -> None:
    made = await flaring_incident(client)
    await shape(client, ADD_RULE, id=made["id"], rule=ON_WEATHER)

    listed = await client.ask(
        "query ($id: ID!) { eventType(by: {id: $id}) { conditionalRules { name effect } } }",
        id=made["id"],
    )

    assert listed == {"conditionalRules": [{"name": "show wind_speed", "effect": "SHOW"}]}


async def test_patch_conditional_rules_rid_updates_one(client: Client) -> None:
    made = await flaring_incident(client)
    [added] = (await shape(client, ADD_RULE, id=made["id"], rule=ON_WEATHER))["conditionalRules"]

    after = await shape(client, UPDATE_RULE, input={"id": added["id"], "effect": "REQUIRE"})

    assert after["conditionalRules"] == [added | {"effect": "REQUIRE"}]


async def test_delete_conditional_rules_rid_deletes_one(client: Client) -> None:
    made = await flaring_incident(client)
    [added] = (await shape(client, ADD_RULE, id=made["id"], rule=ON_WEATHER))["conditionalRules"]

    after = await shape(client, DELETE_RULE, id=added["id"])

    assert after["conditionalRules"] == []


async def test_conditional_rules_control_visibility_by_other_fields_values(client: Client) -> None:
    made = await flaring_incident(client)
    await shape(client, ADD_RULE, id=made["id"], rule=ON_WEATHER)
    values = {"volume_mcf": 150, "wind_speed": 12}

    shown = await client.log(type="gauge", fields=values | {"cause": "weather"})
    hidden = await client.ask(
        LOG_EVENT, input={"type": "gauge", "fields": values | {"cause": "other"}}
    )

    assert shown["fields"] == values | {"cause": "weather"}
    assert hidden["event"]["fields"] == {"volume_mcf": 150, "cause": "other"}
    assert told(hidden["warnings"]) == [("FIELD_HIDDEN", "input.fields.wind_speed")]
