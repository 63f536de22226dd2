"""Guard rules and their published versions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry

from app.domain.rules.guards import GuardEnforcement, GuardRuleState
from app.graphql.shared.context import Info
from app.graphql.shared.field_sources import backed_by_table
from app.graphql.shared.nodes import Node, format_id
from app.graphql.types.event_type import EventType, create_rule_event_type_field
from app.graphql.types.loaders import get_loaders
from app.store import tables


@strawberry.type(description="A published version of a guard rule. It never changes.")
class GuardRuleVersion:
    number: int = strawberry.field(
        description="Version number, starting at 1. Each publication increments it."
    )
    expression: str = strawberry.field(description="CEL expression of this version.")
    message: str = strawberry.field(
        description="Message returned when an event violates this version."
    )
    enforcement: GuardEnforcement = strawberry.field(
        description="Enforcement mode of this version."
    )
    published_at: datetime = strawberry.field(description="Time of publication.")
    published_by: str = strawberry.field(
        description="Name of the API key or subject of the access token that published the version."
    )

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
    description="A rule against which events are validated: a CEL expression over `event`, such "
    "as `event.fields.volume_mcf > 0.0`, that is true for valid events. Changes apply to a draft; "
    "the published version stays in effect until the next publication."
)
class GuardRule(Node):
    name: str = strawberry.field(description="Display name of the rule.")
    state: GuardRuleState = strawberry.field(
        description="State of the rule. Only a PUBLISHED rule is in effect."
    )
    expression: str = strawberry.field(
        description="CEL expression in the draft. Requires EVENT_READ, EVENT_CREATE or RULE_MANAGE."
    )
    message: str = strawberry.field(
        description="Message in the draft. Once published, it is returned when an event violates "
        "the rule."
    )
    enforcement: GuardEnforcement = strawberry.field(description="Enforcement mode in the draft.")
    created_at: datetime = strawberry.field(description="Time of creation.")
    updated_at: datetime = strawberry.field(description="Time of the last change.")
    event_type_id: strawberry.Private[UUID | None]
    event_type: EventType | None = create_rule_event_type_field()
    published: strawberry.Private[int | None]

    @strawberry.field(
        description="Published version that is in effect. Null if the rule is not PUBLISHED."
    )
    async def published_version(self, info: Info) -> GuardRuleVersion | None:
        if self.state is not GuardRuleState.PUBLISHED:
            return None
        return await self._load_last_version(info)

    @strawberry.field(
        description="All published versions, oldest first. Requires EVENT_READ, EVENT_CREATE or "
        "RULE_MANAGE."
    )
    async def versions(self, info: Info) -> list[GuardRuleVersion]:
        return await get_loaders(info).guard_rule_versions.load(UUID(self.id)) or []

    @strawberry.field(
        description="Whether the draft differs from the last published version. True if the rule "
        "was never published. Requires EVENT_READ, EVENT_CREATE or RULE_MANAGE."
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
