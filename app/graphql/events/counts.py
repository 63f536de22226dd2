"""eventCounts: numbers of events by attributes and over time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import strawberry
from strawberry.scalars import JSON

from app.domain.events.filters import TimeRange, TypedField, find_required_types
from app.domain.events.predicates import validate_field_path
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity as EntityName
from app.domain.events.time_buckets import TimeBuckets, find_time_zone
from app.domain.shared.durations import Duration
from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message, quote_value
from app.domain.shared.problems import bad_user_input
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ComputedField, declare_source
from app.graphql.types.event import Entity
from app.graphql.types.event_inputs import (
    EventFilter,
    parse_checked_filter,
)
from app.services.definitions.event_types import check_typed_fields
from app.services.events import event_counts
from app.services.events.event_counts import EventCountRequest, EventCountRow, EventDimension


@strawberry.type(
    description="Number of events in a group. The events of a group have the same values for the "
    "attributes in `by` and the custom fields in `byFields` of `Query.eventCounts` and, with "
    "`every`, occurred in the same time bucket."
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
        "unless `by` contains ENTITY."
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
        description="Start of the time bucket. See `every` of `Query.eventCounts`. Null without "
        "`every`."
    )
    fields: JSON = strawberry.field(
        description="Values of the custom fields in `byFields`: a JSON object with each field. "
        "Null if an event does not have the field, or if its value is an object or a list without "
        "scalars. Values that filters treat as equal are in the same group: `150.0` is returned "
        "as `150`, and times are returned in UTC."
    )
    sums: JSON = strawberry.field(
        description="Sums of the custom fields in `sum`: a JSON object with each field. Values "
        "that are not numbers are ignored, and so are the values in a list and those that a path "
        "finds in the objects of a list. Null if no event has a number. Integers and decimal "
        "numbers are added exactly; a sum that is not an integer is then rounded to the nearest "
        "double-precision number."
    )
    count: int = strawberry.field(description="Number of events.")
    occurrences: int = strawberry.field(
        description="Sum of `occurrences` of the events: the number of events and of their counted "
        "duplicates."
    )

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
            fields=JSON(counted.fields),
            sums=JSON(counted.sums),
            count=counted.count,
            occurrences=counted.occurrences,
        )


def _parse_time_zone(name: str | None) -> ZoneInfo:
    if (zone := find_time_zone("UTC" if name is None else name)) is None:
        message = (
            f"Unknown time zone {quote_value(name)}. Use a name of the IANA time zone database, "
            "such as 'Europe/Berlin'."
        )
        raise bad_user_input(message, "timeZone")
    return zone


def _check_names(names: list[str] | None, limits: Limits, argument: str) -> list[str]:
    distinct_names = list(dict.fromkeys(names or ()))
    if len(distinct_names) > limits.count_fields:
        message = limit_message(limits.count_fields, "field", argument, len(distinct_names))
        raise bad_user_input(message, argument)
    for index, name in enumerate(names or ()):
        for problem in validate_field_path(name, limits, argument, str(index)):
            raise bad_user_input(problem.message, *problem.path)
    return distinct_names


@strawberry.type
class EventCountQueries:
    @strawberry.field(
        description=with_example(
            "Numbers of stored events, grouped by attributes, by custom fields and, with `every`, "
            "by time. They are ordered by number, largest first; with `every`, by time bucket, "
            "earliest first, and then by number, largest first. Groups and time buckets without "
            "events are omitted.\n\n"
            "Requires EVENT_READ. Request errors: `BAD_USER_INPUT` for an argument out of range or "
            "an unknown time zone.",
            """
            {
              eventCounts(
                by: [SEVERITY]
                byFields: ["cause"]
                sum: ["volume_mcf"]
                every: "P1M"
                timeZone: "America/Chicago"
                filter: { occurredAt: { from: "2026-01-01T06:00:00Z", to: "2027-01-01T06:00:00Z" } }
              ) { bucket severity fields count sums }
            }
            """,
        ),
        metadata=declare_source(ComputedField()),
    )
    async def event_counts(
        self,
        info: Info,
        filter: Annotated[
            EventFilter | None,
            strawberry.argument(description="Conditions on the events. All events if omitted."),
        ] = None,
        by: Annotated[
            list[EventDimension],
            strawberry.argument(
                description="Attributes by which events are grouped: one row for each combination "
                "of their values. Default: none, so that all events form a single group."
            ),
        ] = [],  # noqa: B006 - the default in the schema
        by_fields: Annotated[
            list[str] | None,
            strawberry.argument(
                description="Names of custom fields by which events are grouped, in addition to "
                "`by`: at most 5 by default (configurable); a repeated name has no effect. If a "
                "value is a list, the event is counted once for each of its elements, of which the "
                "first 100 count. None if omitted."
            ),
        ] = None,
        sum: Annotated[
            list[str] | None,
            strawberry.argument(
                description="Names of custom fields whose numbers are added up in each group: at "
                "most 5 by default (configurable). None if omitted."
            ),
        ] = None,
        every: Annotated[
            Duration | None,
            strawberry.argument(
                description="Length of the time buckets into which events are grouped by "
                "`occurredAt`: at least `PT1M`, a whole number of seconds, months or years. "
                "Requires `from` and `to` in `filter.occurredAt`. Months and years such as `P1M`, "
                "`P3M` and `P1Y`, weeks (`P1W`) and days (`P1D`) begin at midnight in `timeZone`, "
                "weeks on Monday; a day with a daylight saving time change has 23 or 25 hours. "
                "Shorter time buckets are aligned to midnight in `timeZone` if a day is a multiple "
                "of them, and end where the UTC offset changes. No time buckets if omitted."
            ),
        ] = None,
        time_zone: Annotated[
            str | None,
            strawberry.argument(
                description="Time zone of the time buckets: a name of the IANA time zone database, "
                "such as `Europe/Berlin`. Default `UTC`, also if null. With any other time zone, "
                "`filter.occurredAt` must not exceed 200 years by default (configurable)."
            ),
        ] = "UTC",
        first: Annotated[
            int | None,
            strawberry.argument(
                description="Maximum number of rows to return. Default 100, minimum 1, maximum "
                "1,000, or 10,000 with `every` (configurable)."
            ),
        ] = 100,
    ) -> list[EventCount]:
        limits = info.context.limits
        event_filter = await parse_checked_filter(filter, info.context)
        zone = _parse_time_zone(time_zone)
        buckets = None
        if every is not None:
            buckets = TimeBuckets(every, zone, event_filter.occurred_at or TimeRange())
        request = EventCountRequest(
            event_filter,
            100 if first is None else first,
            by or (),
            _check_names(by_fields, limits, "byFields"),
            _check_names(sum, limits, "sum"),
            buckets,
        )
        event_counts.check_count_request(request, limits)
        typed_fields = [
            TypedField(event_type, name, (argument, str(index)))
            for event_type in find_required_types(event_filter)
            for argument, names in (("byFields", by_fields), ("sum", sum))
            for index, name in enumerate(names or ())
        ]
        await check_typed_fields(info.context.database, info.context.caller, typed_fields)
        counts = await event_counts.count_events(
            info.context.database, info.context.caller, request
        )
        return [EventCount.from_domain(count) for count in counts]
