"""Guard rules and their published versions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry

from app.domain.rules.guards import GuardEnforcement, GuardRuleState
from app.graphql.shared.context import Info
from app.graphql.shared.field_sources import EventTypeReference, backed_by_table, declare_source
from app.graphql.shared.nodes import Node, format_id
from app.graphql.types.event_type import EventType
from app.graphql.types.loaders import get_loaders
from app.store import tables


@strawberry.type(description="What a guard rule said when it was published. It never changes.")
class GuardRuleVersion:
    number: int = strawberry.field(description="From 1; one more with every publish.")
    expression: str = strawberry.field(description="What had to hold, in CEL.")
    message: str = strawberry.field(description="What people were told where it did not.")
    enforcement: GuardEnforcement = strawberry.field(description="What became of the event.")
    published_at: datetime = strawberry.field(description="When.")
    published_by: str = strawberry.field(description="By whom: the name of the credential.")

    @classmethod
    def from_row(cls, row: tables.GuardRuleVersion) -> GuardRuleVersion:
        return cls(
            number=row.number,
            expression=row.expression,
            message=row.message,
            enforcement=row.enforcement,
            published_at=row.published_at,
            published_by=row.published_by,
        )


@backed_by_table(tables.GuardRule)
@strawberry.type(
    description="A published guard rule is checked before an event is accepted. Its expression is "
    "CEL over `event`, as `event.fields.volume_mcf > 0.0`, and lets the event pass where it is "
    "true. Updates edit a draft; the published version keeps enforcing until the next publish."
)
class GuardRule(Node):
    name: str = strawberry.field(description="What people call it.")
    state: GuardRuleState = strawberry.field(description="Whether it enforces something.")
    expression: str = strawberry.field(description="What must hold, in CEL: the draft.")
    message: str = strawberry.field(
        description="What people are told where it does not: the draft."
    )
    enforcement: GuardEnforcement = strawberry.field(
        description="What becomes of an event for which it does not hold: the draft."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")
    event_type_id: strawberry.Private[UUID | None]
    published: strawberry.Private[int | None]

    @strawberry.field(
        description="The event type whose events it is for; null: every event of the organization. "
        "A rule never becomes that by losing its type.",
        metadata=declare_source(EventTypeReference("event_type_id")),
    )
    async def event_type(self, info: Info) -> EventType | None:
        if self.event_type_id is None:
            return None
        return await get_loaders(info).event_types.load(self.event_type_id)

    @strawberry.field(
        description="The version in force; null until the first publish, and once RETIRED."
    )
    async def published_version(self, info: Info) -> GuardRuleVersion | None:
        if self.state is not GuardRuleState.PUBLISHED:
            return None
        return await self._load_last_version(info)

    @strawberry.field(description="All that was published, the first version first.")
    async def versions(self, info: Info) -> list[GuardRuleVersion]:
        return await get_loaders(info).guard_rule_versions.load(UUID(self.id)) or []

    @strawberry.field(
        description="Whether the draft says something else than what was published last."
    )
    async def has_unpublished_changes(self, info: Info) -> bool:
        last_version = await self._load_last_version(info)
        if last_version is None:
            return True
        published_content = (
            last_version.expression,
            last_version.message,
            last_version.enforcement,
        )
        return published_content != (self.expression, self.message, self.enforcement)

    async def _load_last_version(self, info: Info) -> GuardRuleVersion | None:
        if self.published is None:
            return None
        return await get_loaders(info).guard_rule_version.load((UUID(self.id), self.published))

    @classmethod
    def from_row(cls, row: tables.GuardRule) -> GuardRule:
        return cls(
            id=format_id(row.id),
            name=row.name,
            state=row.state,
            expression=row.expression,
            message=row.message,
            enforcement=row.enforcement,
            created_at=row.created_at,
            updated_at=row.updated_at,
            event_type_id=row.event_type_id,
            published=row.published,
        )
