"""Cached event types: every process returns their current definition."""

from __future__ import annotations

from pathlib import Path

from tests.client import Client
from tests.concurrency.test_duplicates_under_fire import start_two_servers

DEFINE = """
mutation {
  createEventType(input: {name: "First", type: "g", state: PUBLISHED,
    fields: [{name: "a", kind: NUMBER}]}) { eventType { id fields { id } } userErrors { code } }
}
"""
CHANGES = [
    'updateEventType(input: {id: $type, name: "Second"})',
    'addEventField(eventTypeId: $type, field: {name: "b", kind: NUMBER})',
    'updateEventField(input: {id: $field, label: "A"})',
    'addConditionalRule(eventTypeId: $type, rule: {name: "r", effect: SHOW, targets: ["b"], '
    'condition: {field: {field: "a", operator: EXISTS}}})',
    "transitionEventType(id: $type, to: DEPRECATED)",
    'transitionEventType(id: $type, to: DEPRECATED, sunsetAt: "2030-01-01T00:00:00Z")',
    "transitionEventType(id: $type, to: PUBLISHED)",
    'updateEventType(input: {id: $type, description: "d", category: "c"})',
    'createGuardRule(input: {name: "h", eventTypeId: $type, expression: "true", message: "m"})',
    'createDuplicationRule(input: {name: "k", eventTypeId: $type, fingerprint: ["source"], '
    'window: "PT1H", action: COUNT})',
]
PARTS = "name category description state sunsetAt updatedAt fields { name label } "
PARTS += "conditionalRules { name targets { name } } guardRules { name eventType { id } } "
PARTS += "duplicationRules { name window }"
READ = f"""{{
  events {{ nodes {{ eventType {{ {PARTS} }} }} }}
  eventType(by: {{type: "g"}}) {{ {PARTS} }}
  eventTypes {{ nodes {{ {PARTS} }} }}
}}"""


async def test_a_change_by_one_process_is_in_the_next_response_of_the_other(
    database_url: str, tmp_path: Path
) -> None:
    async with start_two_servers(tmp_path, database_url) as [one, other]:
        event_type = (await one.execute_field(DEFINE))["eventType"]
        await one.log_event(type="g", fields={"a": 1})
        seen = [await _read_event_type(each) for each in (one, other)]
        for change in CHANGES:
            [field] = [each["id"] for each in event_type["fields"]]
            head = "mutation ($type: ID!" + (", $field: ID!" if "$field" in change else "") + ")"
            named = {"type": event_type["id"]} | ({"field": field} if "$field" in change else {})
            head = head if "$type" in change else "mutation ($field: ID!)"
            if "$type" not in change:
                del named["type"]
            await one.execute_field(
                f"{head} {{ {change} {{ userErrors {{ code message }} }} }}", **named
            )

            readings = [await _read_event_type(each) for each in (other, one)]

            assert readings[0] == readings[1], change
            assert readings[0] not in seen, change
            seen += readings
        plan_counts = [await _count_planned(each) for each in (one, other)]

    # The event type and its changes are planned by the first process, too.
    assert plan_counts == [2 * len(CHANGES) + 3, len(CHANGES) + 1]


async def _read_event_type(client: Client) -> str:
    answer = await client.execute_data(READ)
    nodes = [*answer["events"]["nodes"], {"eventType": answer["eventType"]}]
    nodes += [{"eventType": each} for each in answer["eventTypes"]["nodes"]]
    assert nodes == [nodes[0]] * 3
    return str(nodes[0])


async def _count_planned(client: Client) -> float:
    text = (await client.http.get("/metrics")).text
    [line] = [
        each for each in text.splitlines() if each.startswith('tocsin_plans_total{result="planned')
    ]
    return float(line.split()[-1])
