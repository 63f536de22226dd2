"""The guides for users of the four source systems list an operation for every endpoint."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.client import Client

GUIDES = Path(__file__).parents[2] / "docs/guides"
PAGES = [file.read_text() for file in sorted(GUIDES.glob("coming-from-*.md"))]
ROWS = re.findall(r"^\| (.+) \| `((?:\{|query|mutation) ?.+)` \|$", "\n".join(PAGES), re.MULTILINE)
# Data for the operations. It is created again after each row that deletes some of it.
SAMPLE_DATA = """
mutation ($name: String!, $unused: String!) {
  eventType: createEventType(input: {name: $name, state: PUBLISHED, fields: [
    {name: "volume_mcf", kind: NUMBER}
    {name: "cause", kind: SELECT, options: ["equipment", "weather", "other"]}
    {name: "notes", kind: TEXT}
  ]}) { eventType { id fields { id } } userErrors { message } }
  unusedType: createEventType(input: {name: $unused}) { eventType { id } userErrors { message } }
  event: logEvent(input: {summary: "the one", notification: true}) {
    event { id } userErrors { message } }
  related: logEvent(input: {summary: "the other"}) { event { id } userErrors { message } }
}
"""
RULES = """
mutation ($eventTypeId: ID!) {
  rule: addConditionalRule(eventTypeId: $eventTypeId, rule: {name: "bad weather", effect: REQUIRE,
    targets: ["volume_mcf"],
    condition: {field: {field: "cause", operator: EQ, value: "weather"}}}) {
    conditionalRule { id } userErrors { message } }
  guardRule: createGuardRule(input: {eventTypeId: $eventTypeId, name: "not too much",
    expression: "event.fields.volume_mcf < 900", message: "That is too much."}) {
    guardRule { id } userErrors { message } }
  duplicationRule: createDuplicationRule(input: {eventTypeId: $eventTypeId, name: "same volume",
    fingerprint: ["entity", "fields.volume_mcf"], window: "PT1M", action: COUNT}) {
    duplicationRule { id } userErrors { message } }
}
"""


def test_the_guides_list_every_endpoint_of_the_four_systems() -> None:
    endpoints = [
        endpoint for endpoint, _ in ROWS if re.match("`(GET|POST|PATCH|PUT|DELETE) ", endpoint)
    ]

    assert len(endpoints) == len(set(endpoints)) == 28 + 1 + 7 + 8


async def test_each_operation_runs(client: Client) -> None:
    ids: dict[str, str] = {}
    for number, (endpoint, operation) in enumerate(ROWS):
        ids = ids or await create_sample_data(client, f"Flaring {number}")
        expected = {name: ids[name] for name in re.findall(r"\$(\w+): ID!", operation)}

        answer = await client.execute(operation, **expected)

        assert "errors" not in answer, (endpoint, answer)
        [data] = answer["data"].values()
        assert data, endpoint
        assert data.get("userErrors", []) == [], (endpoint, data)
        if "DELETE" in endpoint:
            ids = {}


async def create_sample_data(client: Client, name: str) -> dict[str, str]:
    """Returns the IDs by the variable names of the guides."""
    data = (await client.execute(SAMPLE_DATA, name=name, unused=f"{name}, unused"))["data"]
    event_type = data["eventType"]["eventType"]
    volume, cause, notes = (each["id"] for each in event_type["fields"])
    rules: dict[str, Any] = (await client.execute(RULES, eventTypeId=event_type["id"]))["data"]
    assert all(each["userErrors"] == [] for each in (*data.values(), *rules.values()))
    return {
        "eventTypeId": event_type["id"],
        "unusedTypeId": data["unusedType"]["eventType"]["id"],
        "fieldId": volume,
        "causeId": cause,
        "spareFieldId": notes,
        "eventId": data["event"]["event"]["id"],
        "relatedId": data["related"]["event"]["id"],
        "ruleId": rules["rule"]["conditionalRule"]["id"],
        "guardRuleId": rules["guardRule"]["guardRule"]["id"],
        "duplicationRuleId": rules["duplicationRule"]["duplicationRule"]["id"],
    }
