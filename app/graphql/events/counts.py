"""Counts of events by attributes and time, for dashboards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import strawberry

from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity as EntityName
from app.graphql.shared.context import Context, Info
from app.graphql.shared.field_sources import ComputedField, declare_source
from app.graphql.types.event import Entity
from app.graphql.types.event_filter import EventFilter, parse_event_filter
from app.services.events import event_counts
from app.services.events.event_counts import EventCountRow, EventDimension


async def _get_entity(counted: EventCount, _context: Context) -> Entity | None:
    return counted.entity


@strawberry.type(
    description="How many events have one combination of the dimensions asked for and, with "
    "`every`, occurred in one stretch of time. What was not asked for is null."
)
class EventCount:
    severity: Severity | None = strawberry.field(description="By SEVERITY.")
    type: str | None = strawberry.field(description="By TYPE.")
    category: str | None = strawberry.field(
        description="By CATEGORY; null for free-form events, too."
    )
    entity: Entity | None = strawberry.field(
        description="By ENTITY; null for events about none, too.",
        metadata=declare_source(ComputedField(_get_entity)),
    )
    source: str | None = strawberry.field(description="By SOURCE.")
    outcome: Outcome | None = strawberry.field(
        description="By OUTCOME; null for events without one, too."
    )
    acknowledged: bool | None = strawberry.field(description="By ACKNOWLEDGED.")
    bucket: datetime | None = strawberry.field(
        description="With `every`: when the stretch begins. Stretches are counted from "
        "1970-01-01T00:00:00Z."
    )
    count: int = strawberry.field(description="How many events.")

    @classmethod
    def from_domain(cls, counted: EventCountRow) -> EventCount:
        def get_value(dimension: EventDimension) -> Any:
            return counted.values.get(dimension, (None,))[0]

        entity_values = counted.values.get(EventDimension.ENTITY, (None, None))
        entity = None if None in entity_values else Entity.from_domain(EntityName(*entity_values))
        return cls(
            severity=get_value(EventDimension.SEVERITY),
            type=get_value(EventDimension.TYPE),
            category=get_value(EventDimension.CATEGORY),
            entity=entity,
            source=get_value(EventDimension.SOURCE),
            outcome=get_value(EventDimension.OUTCOME),
            acknowledged=get_value(EventDimension.ACKNOWLEDGED),
            bucket=counted.bucket,
            count=counted.count,
        )


async def _fetch_event_counts(
    _root: Any,
    context: Context,
    by: list[EventDimension],
    filter: EventFilter | None = None,
    every: timedelta | None = None,
    first: int | None = 100,
) -> list[EventCount]:
    event_filter = parse_event_filter(filter, context.limits)
    row_limit = 100 if first is None else first
    event_counts.check_count_request(event_filter, every, row_limit, context.limits)
    counts = await event_counts.count_by_dimensions(
        context.database, context.caller, event_filter, by, every, row_limit
    )
    return [EventCount.from_domain(count) for count in counts]


@strawberry.type
class EventCountQueries:
    @strawberry.field(
        description="Counts events by their attributes, the largest count first; with `every` over "
        "time, by `occurredAt`, the earliest stretch first. Combinations without events are "
        "absent.",
        metadata=declare_source(ComputedField(_fetch_event_counts)),
    )
    async def event_counts(
        self,
        info: Info,
        by: Annotated[
            list[EventDimension],
            strawberry.argument(
                description="One row for each combination of these; `[]` for one row in all."
            ),
        ],
        filter: Annotated[
            EventFilter | None, strawberry.argument(description="Only these events.")
        ] = None,
        every: Annotated[
            timedelta | None,
            strawberry.argument(
                description="One row for each stretch of this length, at least `PT1M`, as well. "
                "Needs `from` and `to` in `filter.occurredAt`."
            ),
        ] = None,
        first: Annotated[
            int | None,
            strawberry.argument(
                description="How many rows: 1 to 1,000, with `every` to 10,000; 100 if null."
            ),
        ] = 100,
    ) -> list[EventCount]:
        return await _fetch_event_counts(self, info.context, by, filter, every, first)
