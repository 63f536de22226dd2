"""What clients say to define event types and to change them, and all that lies in the database
about them: a refusal leaves it as it was.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from app.store.engine.database import EVERYWHERE, Database
from tests.client import Client

TYPE = """
  id type name description category state version sunsetAt transitions updatedAt
  fields {
    id name label kind required position helpText unit options minimum maximum minLength maxLength
    pattern default
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
MOVE = f"""mutation ($id: ID!, $to: EventTypeState!, $sunsetAt: DateTime) {{
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
NOWHERE = "018f0000-0000-7000-8000-000000000000"
_TABLES = ("event_type", "event_field", "conditional_rule", "event_type_version", "event", "change")


async def define(client: Client, *fields: dict[str, Any], **given: Any) -> Any:
    """A published event type `gauge` with these fields."""
    said = {"name": "Gauge", "type": "gauge", "state": "PUBLISHED", "fields": list(fields)}
    return await shape(client, CREATE, input=said | given)


async def shape(client: Client, mutation: str, **variables: Any) -> Any:
    """The event type after a mutation that is accepted."""
    payload = await client.ask(mutation, **variables)
    assert payload["userErrors"] == []
    return payload["eventType"]


async def refusal(client: Client, mutation: str, **variables: Any) -> list[tuple[str, str]]:
    """Code and dotted path of everything that is wrong."""
    payload = await client.ask(mutation, **variables)
    assert payload.get("eventType") is None
    return told(payload["userErrors"])


def told(errors: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(error["code"], ".".join(error["path"])) for error in errors]


def field(name: str, kind: str = "TEXT", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, **more}


def asks(field: str, operator: str = "EXISTS", *value: Any) -> dict[str, Any]:
    """A condition on one field."""
    return {
        "field": {"field": field, "operator": operator} | ({"value": value[0]} if value else {})
    }


def rule(effect: str, target: str, condition: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A conditional rule on one field, or on several: `a b`."""
    name = f"{effect.lower()} {target}"
    targets = target.split()
    return {"name": name, "effect": effect, "targets": targets, "condition": condition} | more


async def everything(database: Database) -> dict[str, list[Any]]:
    """All rows of event types, of what belongs to them, of events and of the log."""
    async with database.read(EVERYWHERE) as session:
        return {
            table: sorted(map(repr, await session.execute(text(f"SELECT * FROM {table}"))))
            for table in _TABLES
        }
