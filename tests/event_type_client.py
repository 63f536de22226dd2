"""Documents and helpers that define and change event types, and read stored rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client

TYPE = """
  id type name description category state version sunsetAt transitions updatedAt
  additionalFields
  fields {
    id name label kind required position helpText unit options minimum maximum minLength maxLength
    pattern default sourceKey
  }
  conditionalRules { id name effect enabled condition targets { name } }
"""
_ANSWER = f"""
  eventType {{ {TYPE} }}
  userErrors {{ code message path ... on TransitionError {{ from allowed }} }}
"""
_RULE = "conditionalRule { id name effect enabled condition targets { name } eventType { id } }"
CREATE = f"""mutation ($input: CreateEventTypeInput!) {{
  createEventType(input: $input) {{ {_ANSWER} }} }}"""
UPDATE = f"""mutation ($input: UpdateEventTypeInput!) {{
  updateEventType(input: $input) {{ {_ANSWER} }} }}"""
DELETE = f"mutation ($id: ID!) {{ deleteEventType(id: $id) {{ {_ANSWER} }} }}"
TRANSITION = f"""mutation ($id: ID!, $to: EventTypeState!, $sunsetAt: DateTime) {{
  transitionEventType(id: $id, to: $to, sunsetAt: $sunsetAt) {{ {_ANSWER} }} }}"""
ADD_FIELD = f"""mutation ($id: ID!, $field: EventFieldInput!) {{
  addEventField(eventTypeId: $id, field: $field) {{ {_ANSWER} }} }}"""
UPDATE_FIELD = f"""mutation ($input: UpdateEventFieldInput!) {{
  updateEventField(input: $input) {{ {_ANSWER} }} }}"""
REMOVE_FIELD = f"mutation ($id: ID!) {{ removeEventField(id: $id) {{ {_ANSWER} }} }}"
REORDER = f"""mutation ($id: ID!, $fieldIds: [ID!]!) {{
  reorderEventFields(eventTypeId: $id, fieldIds: $fieldIds) {{ {_ANSWER} }} }}"""
ADD_RULE = f"""mutation ($id: ID!, $rule: ConditionalRuleInput!) {{
  addConditionalRule(eventTypeId: $id, rule: $rule) {{ {_RULE} {_ANSWER} }} }}"""
UPDATE_RULE = f"""mutation ($input: UpdateConditionalRuleInput!) {{
  updateConditionalRule(input: $input) {{ {_RULE} {_ANSWER} }} }}"""
DELETE_RULE = f"mutation ($id: ID!) {{ deleteConditionalRule(id: $id) {{ {_RULE} {_ANSWER} }} }}"
FIND = f"query ($id: ID!) {{ eventType(by: {{id: $id}}) {{ {TYPE} }} }}"
SCHEMA = """query ($id: ID!, $version: Int) {
  eventType(by: {id: $id}) { jsonSchema(version: $version) } }"""
CHECK = """query ($input: LogEventInput!) {
  checkEvent(input: $input) {
    accepted visibleFields requiredFields duplicateOf { id }
    warnings { code message path } userErrors { code message path }
  } }"""
UPDATE_EVENT = """mutation ($input: UpdateEventInput!) {
  updateEvent(input: $input) {
    event { version fields eventTypeVersion }
    warnings { code path } userErrors { code path }
  } }"""
UNKNOWN_ID = "018f0000-0000-7000-8000-000000000000"
_TABLES = ("event_type", "event_field", "conditional_rule", "event_type_version", "event", "change")


async def define_event_type(client: Client, *fields: dict[str, Any], **overrides: Any) -> Any:
    """A published event type `gauge` with these fields."""
    defaults = {"name": "Gauge", "type": "gauge", "state": "PUBLISHED", "fields": list(fields)}
    return await change_event_type(client, CREATE, input=defaults | overrides)


async def change_event_type(client: Client, mutation: str, **variables: Any) -> Any:
    """Runs the mutation, checks that it succeeds, and returns the event type."""
    payload = await client.execute_field(mutation, **variables)
    assert payload["userErrors"] == []
    return payload["eventType"]


async def fetch_refusal(client: Client, mutation: str, **variables: Any) -> list[tuple[str, str]]:
    """Runs a mutation that must fail. Returns code and dotted path of each error."""
    payload = await client.execute_field(mutation, **variables)
    assert payload.get("eventType") is None
    return codes_and_paths(payload["userErrors"])


def codes_and_paths(errors: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(error["code"], ".".join(error["path"])) for error in errors]


def field_input(name: str, kind: str = "TEXT", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, **more}


def predicate_input(field: str, operator: str = "EXISTS", *value: Any) -> dict[str, Any]:
    """A condition on one field."""
    return {
        "field": {"field": field, "operator": operator} | ({"value": value[0]} if value else {})
    }


def rule_input(effect: str, target: str, condition: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A conditional rule for one or several targets: `a b`."""
    name = f"{effect.lower()} {target}"
    targets = target.split()
    return {"name": name, "effect": effect, "targets": targets, "condition": condition} | more


async def fetch_all_rows(database: Database, client: Client | None = None) -> dict[str, list[Any]]:
    """All rows of event types and their parts, of events, and of the change log.

    With a client, those of its organization.
    """
    owned, parameters = "", {}
    if client is not None:
        owned = "WHERE organization_id = (SELECT id FROM organization WHERE key = :key)"
        parameters["key"] = client.headers.get("data-partition-id", "default")
    async with database.read(ALL_ORGANIZATIONS) as session:
        return {
            table: sorted(
                map(repr, await session.execute(text(f"SELECT * FROM {table} {owned}"), parameters))
            )
            for table in _TABLES
        }
