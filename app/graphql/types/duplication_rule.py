"""Duplication rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import strawberry

from app.domain.rules.duplicates import DuplicateAction
from app.graphql.shared.context import Info
from app.graphql.shared.field_sources import (
    Column,
    EventTypeReference,
    backed_by_table,
    declare_source,
)
from app.graphql.shared.nodes import Node, format_id
from app.graphql.types.event_type import EventType
from app.graphql.types.loaders import get_loaders
from app.store import tables


@backed_by_table(tables.DuplicationRule)
@strawberry.type(
    description="A duplication rule. Two events are duplicates if their fingerprints under the "
    "rule are equal and their `occurredAt` differs by at most `window`; the event that was logged "
    "first is the original. Enabled rules are tried in order of creation, and the first that "
    "finds an original decides. A rule only compares events that were logged since it was created "
    "or last reset."
)
class DuplicationRule(Node):
    name: str = strawberry.field(description="Display name of the rule.")
    fingerprint: list[str] = strawberry.field(
        description="Attributes that make up the fingerprint: `type`, `entity`, `entity.type`, "
        "`entity.id`, `source`, `subject`, `severity`, `outcome`, `summary`, `content`, `tags`, "
        "`fields` or `fields.<name>`. Numbers compare by value: 150 equals 150.0. For a custom "
        "field, absent, null and empty are three different values. The rule does not apply to an "
        "event that has none of the attributes."
    )
    window: timedelta = strawberry.field(
        description="Maximum difference between the `occurredAt` of a duplicate and of its "
        "original, in either direction. `PT0S` matches events of the same instant only.",
        metadata=declare_source(Column("window_us")),
    )
    action: DuplicateAction = strawberry.field(description="What happens to a duplicate.")
    escalate: bool = strawberry.field(
        description="With COUNT: whether a more severe duplicate (ERROR > WARN > INFO > SUCCESS) "
        "escalates the original. The original then takes the severity and `severityText` of the "
        "duplicate, is no longer acknowledged, gets a new `version`, and, if the duplicate has "
        "`notification: true`, moves to the top of `notifications` and is delivered by "
        "`notificationAdded` again. Without effect on REJECT and FLAG."
    )
    enabled: bool = strawberry.field(description="Whether the rule is in effect.")
    reset_at: datetime | None = strawberry.field(
        description="Time at which the stored fingerprints were last cleared, by "
        "`resetDuplication` or by a change of the fingerprint or the window. Null if they never "
        "were."
    )
    created_at: datetime = strawberry.field(description="Time of creation.")
    updated_at: datetime = strawberry.field(description="Time of the last change.")
    event_type_id: strawberry.Private[UUID | None]
    preloaded_match_count: strawberry.Private[int | None] = None  # set for a deleted rule

    @strawberry.field(
        description="Event type that the rule is limited to. Null if the rule applies to all "
        "events of the organization. Requires EVENT_READ, EVENT_CREATE or EVENT_TYPE_MANAGE.",
        metadata=declare_source(EventTypeReference("event_type_id")),
    )
    async def event_type(self, info: Info) -> EventType | None:
        if self.event_type_id is None:
            return None
        return await get_loaders(info).event_types.load(self.event_type_id)

    @strawberry.field(
        description="Number of duplicates that the rule has found since it was created or last "
        "reset."
    )
    async def match_count(self, info: Info) -> int:
        if self.preloaded_match_count is not None:
            return self.preloaded_match_count
        return await get_loaders(info).match_counts.load(UUID(self.id)) or 0

    @classmethod
    def from_row(cls, row: tables.DuplicationRule) -> DuplicationRule:
        return cls(
            id=format_id(row.id),
            name=row.name,
            fingerprint=list(row.fingerprint),
            window=timedelta(microseconds=row.window_us),
            action=row.action,
            escalate=row.escalate,
            enabled=row.enabled,
            reset_at=row.reset_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            event_type_id=row.event_type_id,
        )
