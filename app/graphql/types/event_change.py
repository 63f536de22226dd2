"""Entries of the change log, in pages."""

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
    description="One entry of the append-only log. The log is the audit trail, and what "
    "subscriptions follow."
)
class EventChange:
    cursor: str = strawberry.field(
        description="The entry's place in the log: give it as `after` to go on from here."
    )
    kind: EventChangeKind = strawberry.field(description="What happened to the event.")
    at: datetime = strawberry.field(description="When.")
    actor: str = strawberry.field(description="Who did it: the name of the credential.")
    event_id: strawberry.ID = strawberry.field(description="The event's id.")
    event: Event | None = strawberry.field(
        description="The event as it is now; null once it is deleted."
    )
    changes: JSON = strawberry.field(
        description="What changed: `{attribute: [before, after]}`. Links are told as "
        "`correlations`: of those that were made or taken away, which were there before and after, "
        "each as `{eventId, relation}`."
    )

    @classmethod
    def from_entry(cls, cursor: str, entry: Entry) -> EventChange:
        return cls(
            cursor=cursor,
            kind=EventChangeKind(entry.kind),
            at=entry.at,
            actor=entry.actor,
            event_id=format_id(entry.subject_id),
            event=None if entry.event is None else Event.from_row(entry.event),
            # Correlations are not attributes of the event: only the log entry contains them.
            changes=JSON(diff_states(entry.before, entry.after) or entry.changes),
        )


@strawberry.type(description="An entry of the log, with its place.")
class EventChangeEdge:
    cursor: str = strawberry.field(description="The entry's place in the log.")
    node: EventChange = strawberry.field(description="The entry.")


@strawberry.type(
    description="A page of the log, the oldest first. A filter looks at up to 10,000 entries for a "
    "page: a page may be short, even empty, and `hasNextPage` all the same."
)
class EventChangeConnection:
    edges: list[EventChangeEdge] = strawberry.field(description="The entries with their places.")
    page_info: PageInfo = strawberry.field(description="Whether and where the log goes on.")
    begins_at: datetime | None = strawberry.field(
        description="Where the log begins: the operator has removed older entries from it, and a "
        "cursor from among them is `CURSOR_EXPIRED`. Null while the log holds everything."
    )

    @strawberry.field(description="The entries alone.")
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
