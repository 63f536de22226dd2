"""What a changed duplication rule would do to stored events. The server tries guard rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from app.api_client import ApiClient
from app.configuration.file_schema import EVENT_TYPES
from app.configuration.stored_state import StoredState
from app.domain.events.state import EventState, Use, attributes_with
from app.domain.rules.duplicates import DuplicationRule, OriginalEvents, compute_fingerprints

_SELECTIONS = {"entity": "entity { type id: entityId }"}
_FINGERPRINT_ATTRIBUTES = " ".join(
    _SELECTIONS.get(attribute.api_name, attribute.api_name)
    for attribute in attributes_with(Use.FINGERPRINT)
)
_EVENTS = f"""
query NewestEvents($filter: EventFilter, $first: Int, $after: String) {{
  events(
    filter: $filter
    orderBy: {{ field: RECORDED_AT, direction: DESC }}
    first: $first
    after: $after
  ) {{
    nodes {{
      id occurredAt recordedAt updatedAt {_FINGERPRINT_ATTRIBUTES}
      eventType {{ id }}
    }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""


@dataclass(frozen=True)
class DuplicationTrial:
    """The number of events that were compared, and how many of them are duplicates."""

    checked: int
    duplicates: int


def try_duplication_rule(
    client: ApiClient, state: StoredState, rule: DuplicationRule, last: int
) -> DuplicationTrial:
    """Compares the newest stored events with each other, as if they were logged in their order.

    Raises ApiError.
    """
    type_id = rule.event_type_id
    filter = None if type_id is None else {"eventTypeId": str(type_id)}
    rows = list(islice(client.iterate_nodes(_EVENTS, "events", filter=filter), last))
    set_fields = _find_set_fields(state)
    originals, duplicates = OriginalEvents(), 0
    for order, row in enumerate(reversed(rows)):
        event = _read_event(row)
        fingerprints = compute_fingerprints([rule], event, set_fields.get(event.event_type_id, ()))
        if originals.find_match(fingerprints, event) is None:
            originals.add_original(fingerprints, event, order)
        else:
            duplicates += 1
    return DuplicationTrial(len(rows), duplicates)


def _find_set_fields(state: StoredState) -> dict[UUID | None, list[str]]:
    """Returns the fields of each event type whose values have no order."""
    return {
        UUID(stored.id): [
            field["name"]
            for field in stored.value.get("fields", ())
            if field["kind"] == "MULTI_SELECT"
        ]
        for stored in state.items[EVENT_TYPES.name]
    }


def _read_event(row: Mapping[str, Any]) -> EventState:
    attributes = dict(row)
    event_type = attributes.pop("eventType")
    return EventState.from_json(
        attributes | {"eventTypeId": None if event_type is None else event_type["id"]}
    )
