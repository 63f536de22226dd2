"""Silences."""

from __future__ import annotations

from datetime import UTC, datetime

import strawberry
from strawberry.scalars import JSON

from app.graphql.shared.field_sources import backed_by_table
from app.graphql.shared.nodes import Node, format_id
from app.store import tables


@backed_by_table(tables.Silence)
@strawberry.type(
    description="Suppresses the notifications of matching events for a time, for example during "
    "maintenance. The events are stored and listed by `events` as usual, but they are not in "
    "`notifications`, are not counted as open, and `notificationAdded` does not deliver them. When "
    "the silence is over, those that are still OPEN notify, once."
)
class Silence(Node):
    filter: JSON = strawberry.field(
        description="Conditions on the events, in the format of `EventFilter`."
    )
    starts_at: datetime = strawberry.field(
        description="Time from which the silence suppresses notifications."
    )
    ends_at: datetime = strawberry.field(description="Time at which the silence is over.")
    comment: str = strawberry.field(
        description="Reason for the silence, at most 1,000 characters by default. Can be empty."
    )
    created_at: datetime = strawberry.field(description="Time of creation.")
    created_by: str = strawberry.field(
        description="Name of the API key or subject of the access token that created the silence."
    )
    silenced_count: int = strawberry.field(
        description="Number of notifications that the silence has suppressed so far. An event that "
        "would have notified several times, for example because it escalated, is counted "
        "each time."
    )

    @strawberry.field(
        description="Whether the silence suppresses notifications now: it has started and is not "
        "over."
    )
    def active(self) -> bool:
        # Not the time of the request: the silence may have been created or ended since.
        return self.starts_at <= datetime.now(UTC) < self.ends_at

    @classmethod
    def from_row(cls, row: tables.Silence) -> Silence:
        return cls(
            id=format_id(row.id),
            filter=JSON(row.filter),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            comment=row.comment,
            created_at=row.created_at,
            created_by=row.created_by,
            silenced_count=row.silenced_count,
        )
