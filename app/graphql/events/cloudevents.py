"""CloudEvents: ingestion, and pages in the format of FDPlan."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry.scalars import JSON

from app.domain.events.cloudevents import format_cloud_event, schema_url
from app.graphql.events.mutations import LogEventsPayload
from app.graphql.shared.context import Context, Info
from app.graphql.shared.field_sources import ComputedField, declare_source
from app.services.events import cloud_event_pages, cloudevents


@strawberry.type(description="A page of events in CloudEvents format, numbered from 0.")
class CloudEventPage:
    events: list[JSON] = strawberry.field(
        description="Each in CloudEvents 1.0 JSON format: the earliest first."
    )
    total: int = strawberry.field(description="The number of events on all pages.")
    page_size: int = strawberry.field(description="The most that a page has.")
    page_number: int = strawberry.field(description="Which page it is, from 0.")


async def _fetch_cloud_event_page(
    _root: Any,
    context: Context,
    planning_tags: list[str] | None = None,
    study_id: str | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
    type: str | None = None,
    page_size: int | None = cloud_event_pages.DEFAULT_PAGE_SIZE,
    page_number: int | None = 0,
) -> CloudEventPage:
    limits, public_url = context.limits, context.public_url
    event_filter = cloud_event_pages.build_filter(
        planning_tags, study_id, begin, end, type, context.now, limits
    )
    requested_page = cloud_event_pages.parse_page_number(page_size, page_number, limits)
    page = await cloud_event_pages.fetch_page(
        context.database, context.caller, event_filter, requested_page
    )
    return CloudEventPage(
        events=[
            JSON(format_cloud_event(event, schema_url(public_url, event))) for event in page.events
        ],
        total=page.total,
        page_size=requested_page.size,
        page_number=requested_page.number,
    )


@strawberry.type
class CloudEventQueries:
    @strawberry.field(
        description="Events in CloudEvents format, the earliest first. All that is said must hold.",
        metadata=declare_source(ComputedField(_fetch_cloud_event_page)),
    )
    async def cloud_events(
        self,
        info: Info,
        planning_tags: Annotated[
            list[str] | None,
            strawberry.argument(
                description="With all of these tags, `name:identifier`. An empty list selects "
                "nothing."
            ),
        ] = None,
        study_id: Annotated[
            str | None,
            strawberry.argument(
                description="With the tag `StudyId:<this>`.",
                deprecation_reason='Use planningTags: "StudyId:<id>".',
            ),
        ] = None,
        begin: Annotated[
            datetime | None,
            strawberry.argument(
                name="from",
                description="Occurred then or later: from 1980 on, and before `to`. Left out, 10 "
                "days before now, or before `to` where that is earlier.",
            ),
        ] = None,
        end: Annotated[
            datetime | None,
            strawberry.argument(
                name="to", description="Occurred then or earlier; left out, by now."
            ),
        ] = None,
        type: Annotated[
            str | None,
            strawberry.argument(description="Of this type, or of a prefix that ends in `*`."),
        ] = None,
        page_size: Annotated[
            int | None, strawberry.argument(description="From 1 to 500.")
        ] = cloud_event_pages.DEFAULT_PAGE_SIZE,
        page_number: Annotated[
            int | None,
            strawberry.argument(description="From 0. Past the end there are no events."),
        ] = 0,
    ) -> CloudEventPage:
        arguments = (planning_tags, study_id, begin, end, type, page_size, page_number)
        return await _fetch_cloud_event_page(self, info.context, *arguments)


@strawberry.type
class CloudEventMutations:
    @strawberry.mutation(
        description="Reports up to 500 events in CloudEvents JSON format, 1.0 or 0.3, in one "
        "transaction, as `logEvents` does. A malformed one is refused alone; paths name the "
        "attributes of CloudEvents: `events`, `3`, `planningtags`."
    )
    async def ingest_cloud_events(
        self,
        info: Info,
        events: Annotated[
            list[JSON], strawberry.argument(description="CloudEvents, each a JSON object.")
        ],
    ) -> LogEventsPayload:
        error_payload = LogEventsPayload.check_batch_size(len(events), info.context, "events")
        if error_payload is not None:
            return error_payload
        reports = await cloudevents.ingest_cloud_events(
            info.context.database, info.context.command, events
        )
        return LogEventsPayload.from_reports(reports, info.context, "events")
