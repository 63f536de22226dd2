"""Entries of the change log and their connection."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import strawberry
from strawberry.scalars import JSON

from app.domain.events.filters import MATCH_ALL, EventFilter, find_transition
from app.domain.events.state import EventChangeKind, ListTransition, diff_states
from app.graphql.shared.field_sources import InMemoryRow, declare_source
from app.graphql.shared.nodes import format_id
from app.graphql.shared.pages import PageInfo, build_page_info
from app.graphql.types.event import Event
from app.services.change_log import history
from app.store import tables
from app.store.change_log.changes import REPORT, Entry


def _resolve_event(root: strawberry.Parent[EventChange]) -> Event | None:
    return None if root.row is None else Event.from_row(root.row)


@strawberry.type(
    description="An entry about an event in the change log. The change log is append-only; it is "
    "the audit trail, and the source of all subscriptions."
)
class EventChange:
    cursor: str = strawberry.field(
        description="Cursor of the entry. Pass it as `after` to `eventChanges`, or to a "
        "subscription, to continue after this entry."
    )
    kind: EventChangeKind = strawberry.field(description="Kind of change.")
    at: datetime = strawberry.field(description="Time of the change.")
    actor: str = strawberry.field(
        description="Actor that made the change: the name of the API key, the subject of the "
        "access token, or the `--actor` of `tocsin import`."
    )
    transition: ListTransition = strawberry.field(
        description="How the change moved the event relative to the filter of the subscription "
        "or the query. In `Event.history`, it is relative to a list of all events."
    )
    changed_fields: list[str] = strawberry.field(
        description="Names of the fields of `Event` whose values the change changed, such as "
        '`["acknowledged", "acknowledgedAt", "acknowledgedBy", "status"]`. For LOGGED and '
        "DELETED, the fields that have a value. `cloudEvent`, which contains nearly all other "
        "values, is listed only for CloudEvents attributes that no other field contains."
    )
    event_id: strawberry.ID = strawberry.field(description="ID of the event.")
    event: Event | None = strawberry.field(
        resolver=_resolve_event,
        description="The event in its current state. Null if the event has been deleted.",
        metadata=declare_source(InMemoryRow("row")),
    )
    changes: JSON = strawberry.field(
        description="Changed attributes with their values before and after the change, such as "
        '`{"severity": ["WARN", "ERROR"]}`. For LOGGED, all values before are null; for DELETED, '
        "all values after are. For CORRELATED and "
        "UNCORRELATED, `correlations` contains the removed links before and the added links "
        'after, each as `{"eventId": ..., "relation": ...}`. For DUPLICATED, `report` contains '
        "the attributes of the counted duplicate, without null values."
    )
    row: strawberry.Private[tables.Event | None]

    @classmethod
    def from_entry(cls, cursor: str, entry: Entry, filter: EventFilter = MATCH_ALL) -> EventChange:
        """Converts an entry that matches the filter before or after the change."""
        changes = entry.changes or diff_states(entry.before, entry.after)
        statuses = [state and state.status for state in (entry.before, entry.after)]
        status_fields = [] if statuses[0] is statuses[1] else ["status"]
        return cls(
            cursor=cursor,
            kind=EventChangeKind(entry.kind),
            at=entry.at,
            actor=entry.actor,
            transition=_find_transition(filter, entry),
            changed_fields=list_changed_fields(changes) + status_fields,
            event_id=format_id(entry.subject_id),
            row=entry.event,
            # Stored for filters. To a client, `at` is the time of the change.
            changes=JSON({name: change for name, change in changes.items() if name != "updatedAt"}),
        )


# Fields of Event by the attribute they show, unless it is the field of the same name alone.
_FIELDS_BY_ATTRIBUTE = {
    "acknowledgedAt": ("acknowledged", "acknowledgedAt"),
    "duplicateOfId": ("duplicateOf",),
    "eventTypeId": ("eventType",),
    "extensions": ("cloudEvent",),
    "fields": ("fields", "fieldValues"),
    "payload": ("cloudEvent",),
    "silencedById": ("silencedBy",),
    "updatedAt": ("updatedAt", "version"),
}


def list_changed_fields(changes: dict[str, Any]) -> list[str]:
    names = [
        name
        for attribute in changes
        if attribute != REPORT
        for name in _FIELDS_BY_ATTRIBUTE.get(attribute, (attribute,))
    ]
    return list(dict.fromkeys(names))


def _find_transition(filter: EventFilter, entry: Entry) -> ListTransition:
    transition = find_transition(filter, entry.before, entry.after)
    if transition is None:
        raise AssertionError(f"the filter does not match the change log entry {entry.position}")
    return transition


@strawberry.type(description="An entry of the change log and its cursor.")
class EventChangeEdge:
    cursor: str = strawberry.field(description="Cursor of the entry in the change log.")
    node: EventChange = strawberry.field(description="The entry.")


@strawberry.type(
    description="A page of the change log, oldest entries first. With conditions, the number of "
    "entries that are examined per page is limited, so a page can be short or empty even though "
    "`hasNextPage` is true: continue with `endCursor`."
)
class EventChangeConnection:
    edges: list[EventChangeEdge] = strawberry.field(
        description="Entries of this page with their cursors."
    )
    page_info: PageInfo = strawberry.field(description="Pagination information.")
    begins_at: datetime | None = strawberry.field(
        description="Time before which the operator has pruned entries from the change log. A "
        "cursor of a pruned entry is rejected with `CURSOR_EXPIRED`. Null if the change log is "
        "complete."
    )

    @strawberry.field(description="Entries of this page without their cursors.")
    def nodes(self) -> list[EventChange]:
        return [edge.node for edge in self.edges]

    @classmethod
    def from_history(
        cls, page: history.HistoryPage, filter: EventFilter = MATCH_ALL
    ) -> EventChangeConnection:
        edges = [
            EventChangeEdge(cursor=cursor, node=EventChange.from_entry(cursor, entry, filter))
            for cursor, entry in page.entries
        ]
        return cls(
            edges=edges,
            page_info=build_page_info(page, edges, page.end),
            begins_at=page.begins_at,
        )
