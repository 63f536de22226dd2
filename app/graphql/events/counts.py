"""eventCounts: numbers of events by attributes and over time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import strawberry

from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity as EntityName
from app.graphql.shared.context import Context, Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ComputedField, declare_source
from app.graphql.types.event import Entity
from app.graphql.types.event_inputs import EventFilter, parse_event_filter
from app.services.events import event_counts
from app.services.events.event_counts import EventCountRow, EventDimension


async def _get_entity(counted: EventCount, _context: Context) -> Entity | None:
    return counted.entity


@strawberry.type(
    description="Number of events in a group. The events of a group have the same values for the "
    "attributes in `by` of `Query.eventCounts` and, with `every`, occurred in the same time bucket."
)
class EventCount:
    severity: Severity | None = strawberry.field(
        description="Severity of the events. Null unless `by` contains SEVERITY."
    )
    type: str | None = strawberry.field(
        description="Type of the events. Null unless `by` contains TYPE."
    )
    category: str | None = strawberry.field(
        description="Category of the events. Null for free-form events, and unless `by` contains "
        "CATEGORY."
    )
    entity: Entity | None = strawberry.field(
        description="Entity that the events are about. Null for events without an entity, and "
        "unless `by` contains ENTITY.",
        metadata=declare_source(ComputedField(_get_entity)),
    )
    source: str | None = strawberry.field(
        description="Source of the events. Null unless `by` contains SOURCE."
    )
    outcome: Outcome | None = strawberry.field(
        description="Outcome of the events. Null for events without an outcome, and unless `by` "
        "contains OUTCOME."
    )
    acknowledged: bool | None = strawberry.field(
        description="Whether the events are acknowledged. Null unless `by` contains ACKNOWLEDGED."
    )
    bucket: datetime | None = strawberry.field(
        description="Start of the time bucket. Time buckets are aligned to 1970-01-01T00:00:00Z. "
        "Null without `every`."
    )
    count: int = strawberry.field(description="Number of events.")

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
        description=with_example(
            "Numbers of stored events, grouped by attributes and, with `every`, by time. They are "
            "ordered by number, largest first; with `every`, by time bucket, earliest first, and "
            "then by number, largest first. Groups and time buckets without events are "
            "omitted.\n\n"
            "Requires EVENT_READ. Request errors: `BAD_USER_INPUT` for an argument out of range.",
            """
            {
              eventCounts(
                by: [SEVERITY]
                every: "PT1H"
                filter: { occurredAt: { from: "2026-04-10T00:00:00Z", to: "2026-04-11T00:00:00Z" } }
              ) { bucket severity count }
            }
            """,
        ),
        metadata=declare_source(ComputedField(_fetch_event_counts)),
    )
    async def event_counts(
        self,
        info: Info,
        by: Annotated[
            list[EventDimension],
            strawberry.argument(
                description="Attributes by which events are grouped: one row for each combination "
                "of their values. With an empty list, all events form a single group."
            ),
        ],
        filter: Annotated[
            EventFilter | None,
            strawberry.argument(description="Conditions on the events. All events if omitted."),
        ] = None,
        every: Annotated[
            timedelta | None,
            strawberry.argument(
                description="Length of the time buckets into which events are grouped by "
                "`occurredAt`: a whole number of seconds, at least `PT1M`. Requires `from` and "
                "`to` in `filter.occurredAt`. No time buckets if omitted."
            ),
        ] = None,
        first: Annotated[
            int | None,
            strawberry.argument(
                description="Maximum number of rows to return. Default 100, minimum 1, maximum "
                "1,000, or 10,000 with `every` (configurable)."
            ),
        ] = 100,
    ) -> list[EventCount]:
        return await _fetch_event_counts(self, info.context, by, filter, every, first)
