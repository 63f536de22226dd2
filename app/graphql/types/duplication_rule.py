"""Duplication rules: which events are repeats of an earlier one."""

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
    description="Events with the same fingerprint, whose times lie within the window of each "
    "other, are duplicates of the first. Of several rules the first that finds one acts."
)
class DuplicationRule(Node):
    name: str = strawberry.field(description="What people call it.")
    fingerprint: list[str] = strawberry.field(
        description="What the fingerprint is taken over: `type`, `entity`, `entity.type`, "
        "`entity.id`, `source`, `subject`, `severity`, `outcome`, `summary`, `content`, `tags`, "
        "`fields`, `fields.<name>`. 150 equals 150.0; absent differs from null and from empty."
    )
    window: timedelta = strawberry.field(
        description="How far from the first, before or after, a duplicate may have occurred.",
        metadata=declare_source(Column("window_us")),
    )
    action: DuplicateAction = strawberry.field(description="What becomes of a duplicate.")
    enabled: bool = strawberry.field(description="Whether it is in force.")
    reset_at: datetime | None = strawberry.field(
        description="When it last forgot: by a reset, or by another fingerprint or window."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")
    event_type_id: strawberry.Private[UUID | None]
    preloaded_match_count: strawberry.Private[int | None] = None  # of a deleted rule

    @strawberry.field(
        description="The event type whose events it is for; null for every event.",
        metadata=declare_source(EventTypeReference("event_type_id")),
    )
    async def event_type(self, info: Info) -> EventType | None:
        if self.event_type_id is None:
            return None
        return await get_loaders(info).event_types.load(self.event_type_id)

    @strawberry.field(description="Duplicates caught since the last reset.")
    async def caught(self, info: Info) -> int:
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
            enabled=row.enabled,
            reset_at=row.reset_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            event_type_id=row.event_type_id,
        )
