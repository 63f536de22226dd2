"""Duplication rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import strawberry

from app.domain.rules.duplicates import FINGERPRINT_PATHS, DuplicateAction
from app.domain.shared.durations import Duration
from app.graphql.shared.context import Info
from app.graphql.shared.field_sources import (
    Column,
    backed_by_table,
    declare_source,
)
from app.graphql.shared.nodes import Node, format_id
from app.graphql.types.event_type import EventType, create_rule_event_type_field
from app.graphql.types.loaders import get_loaders
from app.store import tables

FINGERPRINT_PATH_NAMES = (
    f"{', '.join(f'`{path}`' for path in FINGERPRINT_PATHS)} or `fields.<name>`"
)


@backed_by_table(tables.DuplicationRule)
@strawberry.type(
    description="A rule that finds duplicates of earlier events. Two events are duplicates if the "
    "attributes in `fingerprint` are equal and their `occurredAt` differs by at most `window`; "
    "the event that was logged first is the original. Rules are tried by `position`, and only "
    "the first rule that finds an original applies. A rule compares only events that were "
    "logged while it was in effect, and after it was last reset."
)
class DuplicationRule(Node):
    name: str = strawberry.field(description="Display name of the rule.")
    fingerprint: list[str] = strawberry.field(
        description="Paths of the attributes that must be equal in duplicates: "
        f"{FINGERPRINT_PATH_NAMES}. Values are equal as in a repeated report: 150 equals 150.0, "
        "timestamps are compared by instant, and tags and the values of MULTI_SELECT fields in "
        "any order. `fields.labels.host` is the custom field `labels.host` or, if the event has "
        "no such field, the value of `host` in the object `labels`. For a custom field, null is "
        "the same as absent, and different from an empty text or list. The rule does not apply to "
        "an event that has none of the attributes."
    )
    window: Duration = strawberry.field(
        description="Maximum difference between the `occurredAt` of a duplicate and that of its "
        "original, in either direction. `PT0S` matches only events with the same `occurredAt`.",
        metadata=declare_source(Column("window_us")),
    )
    action: DuplicateAction = strawberry.field(description="Action taken on a duplicate.")
    escalate: bool = strawberry.field(
        description="Whether a more severe duplicate (ERROR > WARN > INFO > SUCCESS) escalates "
        "the original. Applies only with the action COUNT. An escalated original takes on the "
        "severity and `severityText` of the duplicate, is no longer acknowledged, and gets a new "
        "`version`. If the duplicate has `notification: true`, the original also moves to the top "
        "of `notifications` and is delivered again by `notificationAdded`."
    )
    enabled: bool = strawberry.field(description="Whether the rule is in effect.")
    position: int = strawberry.field(
        description="Position of the rule among all duplication rules of the organization, "
        "starting at 0, without gaps. Rules are tried in this order; the first rule that finds an "
        "original applies. The position changes when other rules are created, moved or deleted."
    )
    reset_at: datetime | None = strawberry.field(
        description="Time at which the stored fingerprints of the rule were last cleared, by "
        "`resetDuplication` or by a change to `fingerprint` or `window`. Null if they were never "
        "cleared."
    )
    created_at: datetime = strawberry.field(description="Time of creation.")
    updated_at: datetime = strawberry.field(description="Time of the last change.")
    event_type_id: strawberry.Private[UUID | None]
    event_type: EventType | None = create_rule_event_type_field()
    preloaded_match_count: strawberry.Private[int | None] = None  # set for a deleted rule

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
            window=Duration(timedelta(microseconds=row.window_us)),
            action=row.action,
            escalate=row.escalate,
            enabled=row.enabled,
            position=row.position,
            reset_at=row.reset_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            event_type_id=row.event_type_id,
        )
