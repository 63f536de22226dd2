"""Entries of the change log and their connection."""

from __future__ import annotations

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from app.domain.events.state import EventChangeKind
from app.domain.events.state import diff_states as diff_states
from app.graphql.shared.nodes import format_id
from app.graphql.shared.pages import PageInfo
from app.graphql.types.event import Event
from app.services.change_log import history
from app.store.change_log.changes import Entry


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
    event_id: strawberry.ID = strawberry.field(description="ID of the event.")
    event: Event | None = strawberry.field(
        description="The event in its current state. Null if the event has been deleted."
    )
    changes: JSON = strawberry.field(
        description="Changed attributes with their values before and after the change, such as "
        '`{"severity": ["WARN", "ERROR"]}`. Empty for LOGGED and DELETED. For CORRELATED and '
        "UNCORRELATED, `correlations` contains the removed links before and the added links "
        'after, each as `{"eventId": ..., "relation": ...}`. For DUPLICATED, `report` contains '
        "the attributes of the counted duplicate, without null values."
    )

    @classmethod
    def from_entry(cls, cursor: str, entry: Entry) -> EventChange:
        changes = entry.changes or diff_states(entry.before, entry.after)
        return cls(
            cursor=cursor,
            kind=EventChangeKind(entry.kind),
            at=entry.at,
            actor=entry.actor,
            event_id=format_id(entry.subject_id),
            event=None if entry.event is None else Event.from_row(entry.event),
            # Stored for filters. To a client, `at` is the time of the change.
            changes=JSON({name: change for name, change in changes.items() if name != "updatedAt"}),
        )


@strawberry.type(description="An entry of the change log and its cursor.")
class EventChangeEdge:
    cursor: str = strawberry.field(description="Cursor of the entry in the change log.")
    node: EventChange = strawberry.field(description="The entry.")


@strawberry.type(
    description="A page of the change log, oldest entries first. With a filter, at most 10,000 "
    "entries are examined per page, so a page can be short or empty even though `hasNextPage` is "
    "true: continue with `endCursor`."
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
    def from_history(cls, page: history.HistoryPage) -> EventChangeConnection:
        edges = [
            EventChangeEdge(cursor=cursor, node=EventChange.from_entry(cursor, entry))
            for cursor, entry in page.entries
        ]
        return cls(
            edges=edges,
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=page.has_previous,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=page.end,
            ),
            begins_at=page.begins_at,
        )
