"""Retention policies."""

from __future__ import annotations

from datetime import datetime, timedelta

import strawberry
from strawberry.scalars import JSON

from app.domain.access.retention import RetentionTarget
from app.domain.shared.durations import Duration
from app.graphql.shared import enums  # noqa: F401 (describes the enums before they are used)
from app.graphql.shared.field_sources import Column, backed_by_table, declare_source
from app.graphql.shared.nodes import Node, format_id
from app.store import tables


@backed_by_table(tables.RetentionPolicy)
@strawberry.type(
    description="A retention policy of an organization: what the server deletes once it is older "
    "than a period. Without policies, nothing is deleted. Several policies apply independently "
    "of each other: an event is deleted as soon as one of them selects it."
)
class RetentionPolicy(Node):
    name: str = strawberry.field(
        description="Display name of the policy. In the change log, the actor of its deletions is "
        "`retention policy` with this name."
    )
    target: RetentionTarget = strawberry.field(description="What the policy removes.")
    filter: JSON | None = strawberry.field(
        description="Conditions on the events to delete, in the format of `EventFilter`. Null if "
        "the target is HISTORY."
    )
    keep_for: Duration = strawberry.field(
        description="Period after which the policy deletes. An event is deleted when it was "
        "logged, last updated and last repeated (`lastOccurredAt`) longer ago than this; an entry "
        "of the change log when it was written longer ago.",
        metadata=declare_source(Column("keep_for_us")),
    )
    created_at: datetime = strawberry.field(description="Time of creation.")
    updated_at: datetime = strawberry.field(description="Time of the last change.")
    last_applied_at: datetime | None = strawberry.field(
        description="Time at which the policy was last applied: everything that it selected at "
        "that time is deleted. Null if it has not been applied since it was created or changed."
    )

    @classmethod
    def from_row(cls, row: tables.RetentionPolicy) -> RetentionPolicy:
        return cls(
            id=format_id(row.id),
            name=row.name,
            target=row.target,
            filter=None if row.filter is None else JSON(row.filter),
            keep_for=Duration(timedelta(microseconds=row.keep_for_us)),
            created_at=row.created_at,
            updated_at=row.updated_at,
            last_applied_at=row.last_applied_at,
        )
