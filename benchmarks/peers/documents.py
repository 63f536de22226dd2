"""The documents for each server: the same operation in terms of the server's schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.data import type_name
from benchmarks.peers.load import UNIQUE

READS = ("list", "nested", "single", "deep", "count", "filtered")
COMPARED_WRITES = ("log", "bulk")
WRITES = (*COMPARED_WRITES, "bulk at once")
# Only Tocsin has it: it is compared with itself, with fewer events.
STATE_CHANGE = "acknowledge"
OPERATIONS = (*READS, STATE_CHANGE, *WRITES)
DESCRIPTIONS = {
    "list": "list of 50 with event type",
    "nested": "list of 50 with event type, its fields, tags",
    "single": "one event",
    "deep": "page deep in the list, by cursor",
    "count": "`totalCount` of all",
    "filtered": "`totalCount` of a source, 5% of the events",
    STATE_CHANGE: "`acknowledgeEvent` and `unacknowledgeEvent` in turn",
    "log": "`logEvent`",
    "bulk": "`logEvents` of 500",
    "bulk at once": "`logEvents` of 500; naive Strawberry commits once",
}
PAGE = 50
BULK = 500

_PAGE_OF = """
query list($first: Int!, $after: String) {
  events(first: $first, after: $after) {
    nodes { id summary severity source occurredAt eventType { id type name category } }
  }
}
"""
_GRAPHQL = {
    "list": _PAGE_OF,
    "deep": _PAGE_OF,
    "nested": """
query nested($first: Int!) {
  events(first: $first) {
    nodes {
      id summary severity occurredAt tags
      eventType { type name fields { name kind label required unit } }
    }
  }
}
""",
    "single": """
query single($id: ID!) {
  event(id: $id) { id type summary severity source occurredAt tags fields }
}
""",
    "count": "query count { events { totalCount } }",
    "filtered": """
query filtered($source: String!) { events(filter: { source: $source }) { totalCount } }
""",
    STATE_CHANGE: """
mutation acknowledge($id: ID!) { acknowledgeEvent(id: $id) { event { id acknowledged } } }
""",
    "unacknowledge": """
mutation unacknowledge($id: ID!) { unacknowledgeEvent(id: $id) { event { id acknowledged } } }
""",
    "unacknowledge all": """
mutation { unacknowledgeEvents(filter: { acknowledged: true }) { remainingCount } }
""",
    "log": """
mutation log($input: LogEventInput!) { logEvent(input: $input) { event { id type summary } } }
""",
    "bulk": """
mutation bulk($input: [LogEventInput!]!) { logEvents(input: $input) { results { event { id } } } }
""",
}
_ALL = (
    'events: allEvents(first: $first, %scondition: { organizationId: "%s" }, '
    "orderBy: [OCCURRED_AT_DESC, ROW_ID_DESC])"
)
_TYPE = "eventType: eventTypeByEventTypeId"
_OWN_FIELDS = "fields: eventFieldsByEventTypeIdList(orderBy: [PRIMARY_KEY_ASC])"


@dataclass(frozen=True)
class PeerOperation:
    """The request bodies of one operation, which are sent in turn, repeatedly."""

    bodies: tuple[str, ...]

    def __add__(self, other: PeerOperation) -> PeerOperation:
        return PeerOperation(self.bodies + other.bodies)

    @classmethod
    def from_document(
        cls, name: str, document: str, variables: Sequence[dict[str, Any]]
    ) -> PeerOperation:
        named = {"operationName": name, "query": document.strip()}
        return cls(tuple(json.dumps(named | {"variables": each}) for each in variables))


def postgraphile_documents(organization_id: str) -> dict[str, str]:
    """The documents for the schema that PostGraphile creates from the tables and functions."""
    condition = f'condition: {{ organizationId: "{organization_id}"'
    events_at_offset = _ALL % ("offset: $offset, ", organization_id)
    page_of = f"""
query list($first: Int!, $after: Cursor) {{
  {_ALL % ("after: $after, ", organization_id)} {{
    nodes {{
      id: rowId summary severity source occurredAt {_TYPE} {{ id: rowId type name category }}
    }}
  }}
}}
"""
    return {
        "list": page_of,
        "deep": page_of,
        "nested": f"""
query nested($first: Int!) {{
  {_ALL % ("", organization_id)} {{
    nodes {{
      id: rowId summary severity occurredAt tags
      {_TYPE} {{ type name {_OWN_FIELDS} {{ name kind label required unit }} }}
    }}
  }}
}}
""",
        "single": """
query single($id: UUID!) {
  event: eventByRowId(rowId: $id) {
    id: rowId type summary severity source occurredAt tags fields
  }
}
""",
        "count": f"query count {{ events: allEvents({condition} }}) {{ totalCount }} }}",
        "filtered": f"""
query filtered($source: String!) {{
  events: allEvents({condition}, source: $source }}) {{ totalCount }}
}}
""",
        "log": """
mutation log($input: JSON!) {
  logEvent(input: { report: $input }) { event: result { id: rowId type summary } }
}
""",
        "bulk": """
mutation bulk($input: JSON!) {
  logEvents(input: { reports: $input }) { results: result { id: rowId } }
}
""",
        "place": "query place($first: Int!, $offset: Int!) "
        f"{{ {events_at_offset} {{ pageInfo {{ endCursor }} }} }}",
    }


def tocsin_document(name: str) -> str:
    """The document of this operation for all other servers."""
    if name == "bulk at once":
        return _GRAPHQL["bulk"].replace("logEvents(", "logEvents: logEventsAtOnce(")
    return _GRAPHQL[name]


def build_report(number: int) -> dict[str, Any]:
    """The input of `logEvent`: of a registered type, so that fields are validated.

    Its source ID must be replaced in each request.
    """
    return {
        "type": type_name(number),
        "severity": "warn",
        "summary": f"Reading {number % 500:03} of the process has come",
        "source": "/site/sensors/7",
        "sourceId": f"{UNIQUE}-{number:03}",
        "tags": ["StudyId:007", "Well:007"],
        "fields": {"volume_mcf": 150.5, "hours": 7, "cause": "weather"},
    }
