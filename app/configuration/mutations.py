"""The mutations that plans consist of. Each is one transaction of the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from app.configuration.configuration import Key


class Phase(IntEnum):
    """The order in which the mutations of a plan are executed.

    Rules are in effect before a new event type accepts events. A field that only a changed rule
    used is removed after that rule was changed.
    """

    ORGANIZATION = 0
    RULE_REMOVALS = 1
    EVENT_TYPES = 2
    RULES = 3
    FIELD_REMOVALS = 4
    TRANSITIONS = 5
    EVENT_TYPE_REMOVALS = 6
    RETENTION_POLICIES = 7
    SILENCES = 8
    SOURCES = 9
    CHANNELS = 10


Ids = dict[tuple[str, Key], str]  # IDs of objects that the plan created, by section and key


@dataclass(frozen=True)
class Step:
    """One mutation, which is one transaction.

    `build_variables` gets the IDs of the objects that earlier steps created. `created`: section and
    key of the object that this step creates. `secret_names`: fields of the payload that the server
    returns only now.
    """

    phase: Phase
    document: str
    build_variables: Callable[[Ids], dict[str, Any]]
    created: tuple[str, Key] | None = None
    secret_names: tuple[str, ...] = ()


def transition_step(
    phase: Phase, find_id: Callable[[Ids], str], state: str, sunset: str | None
) -> Step:
    document = """
mutation TransitionEventType($id: ID!, $to: EventTypeState!, $sunsetAt: DateTime) {
  payload: transitionEventType(id: $id, to: $to, sunsetAt: $sunsetAt) {
    userErrors { message path }
  }
}
"""
    sunset = sunset if state == "DEPRECATED" else None
    return Step(phase, document, lambda ids: {"id": find_id(ids), "to": state, "sunsetAt": sunset})


def replace_step(phase: Phase, id: str, definition: Mapping[str, Any], version: int | None) -> Step:
    document = """
mutation ReplaceEventType($input: ReplaceEventTypeInput!) {
  payload: replaceEventType(input: $input) { userErrors { message path } }
}
"""
    variables = {"input": {"id": id, "ifVersion": version, "definition": definition}}
    return Step(phase, document, lambda _: variables)


def update_step(
    input_type: str,
    mutation: str,
    id: str,
    attributes: Mapping[str, Any],
    phase: Phase = Phase.RULES,
) -> Step:
    document = f"""
mutation Update($input: {input_type}!) {{
  payload: {mutation}(input: $input) {{ userErrors {{ message path }} }}
}}
"""
    return Step(phase, document, lambda _: {"input": {"id": id} | dict(attributes)})


def publish_step(find_id: Callable[[Ids], str]) -> Step:
    document = """
mutation PublishGuardRule($id: ID!) {
  payload: publishGuardRule(id: $id) { userErrors { message path } }
}
"""
    return Step(Phase.RULES, document, lambda ids: {"id": find_id(ids)})


def retire_step(phase: Phase, id: str) -> Step:
    return delete_step(phase, "retireGuardRule", id)


def delete_step(phase: Phase, mutation: str, id: str) -> Step:
    document = f"""
mutation Remove($id: ID!) {{ payload: {mutation}(id: $id) {{ userErrors {{ message path }} }} }}
"""
    return Step(phase, document, lambda _: {"id": id})
