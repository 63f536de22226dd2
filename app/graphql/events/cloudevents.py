"""CloudEvents: ingestion, and pages as in FDPlan's events API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from app.domain.events.cloudevents import format_cloud_event, schema_url
from app.graphql.events.mutations import LogEventsPayload
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ComputedField, declare_source
from app.services.events import cloud_event_pages, cloudevents


@strawberry.type(
    description="A page of events in CloudEvents format. Pages are numbered from 0, as in the "
    "events API of FDPlan."
)
class CloudEventPage:
    events: list[JSON] = strawberry.field(
        description="Events of this page in CloudEvents 1.0 JSON format, earliest `time` first."
    )
    total: int = strawberry.field(description="Number of events on all pages.")
    page_size: int = strawberry.field(description="Requested maximum number of events on a page.")
    page_number: int = strawberry.field(description="Number of this page, starting at 0.")


@strawberry.type
class CloudEventQueries:
    @strawberry.field(
        description=with_example(
            "Events in CloudEvents format, earliest first, with the arguments and the numbered "
            "pages of the events API of FDPlan. All given conditions must hold. Use `events` for "
            "other conditions, and for pagination by cursor.\n\n"
            "Requires EVENT_READ. Request errors: `BAD_USER_INPUT` for an invalid argument.",
            """
            {
              cloudEvents(
                planningTags: ["StudyId:01ED4CMJ4N9N504E3QJT1A68JY"]
                type: "com.slb.cloud.fdplan.*"
              ) { total events }
            }
            """,
        ),
        metadata=declare_source(ComputedField()),
    )
    async def cloud_events(
        self,
        info: Info,
        planning_tags: Annotated[
            list[str] | None,
            strawberry.argument(
                description="Tags, all of which the event must have. By default, at most 100 tags "
                "of at most 255 characters each. Planning tags of FDPlan have the form "
                "`name:identifier`. No condition if omitted; an empty list matches no event."
            ),
        ] = None,
        study_id: Annotated[
            str | None,
            strawberry.argument(
                description="Identifier of the study of the events, which must have the tag "
                "`StudyId:<studyId>`. No condition if omitted.",
                deprecation_reason='Use planningTags: "StudyId:<id>".',
            ),
        ] = None,
        begin: Annotated[
            datetime | None,
            strawberry.argument(
                name="from",
                description="Earliest time at which the events occurred, inclusive. Must be "
                "1980-01-01T00:00:00Z or later, and before `to`. Defaults to 10 days before `to` "
                "or before the current time, whichever is earlier.",
            ),
        ] = None,
        end: Annotated[
            datetime | None,
            strawberry.argument(
                name="to",
                description="Latest time at which the events occurred, inclusive. Defaults to the "
                "current time.",
            ),
        ] = None,
        type: Annotated[
            str | None,
            strawberry.argument(
                description="Type of the events. A value that ends with `*` is a prefix, such as "
                "`com.slb.cloud.fdplan.*`. All types if omitted."
            ),
        ] = None,
        page_size: Annotated[
            int | None,
            strawberry.argument(
                description="Maximum number of events on the page. Default 20, minimum 1, maximum "
                "500 (configurable)."
            ),
        ] = cloud_event_pages.DEFAULT_PAGE_SIZE,
        page_number: Annotated[
            int | None,
            strawberry.argument(
                description="Number of the page, starting at 0. Default 0. A page after the last "
                "page is empty."
            ),
        ] = 0,
    ) -> CloudEventPage:
        context = info.context
        event_filter = cloud_event_pages.build_filter(
            planning_tags, study_id, begin, end, type, context.now, context.limits
        )
        requested_page = cloud_event_pages.parse_page_number(page_size, page_number, context.limits)
        page = await cloud_event_pages.fetch_page(
            context.database, context.caller, event_filter, requested_page
        )
        return CloudEventPage(
            events=[
                JSON(format_cloud_event(event, schema_url(context.public_url, event)))
                for event in page.events
            ],
            total=page.total,
            page_size=requested_page.size,
            page_number=requested_page.number,
        )


@strawberry.type
class CloudEventMutations:
    @strawberry.mutation(
        description=with_example(
            "Logs events in CloudEvents JSON format (version 1.0 or 0.3), at most 500 by default, "
            "as `logEvents` does. An event whose `source` and `id` were already logged is not "
            "stored again. A malformed event is rejected, but does not prevent the others from "
            "being logged.\n\n"
            "Requires EVENT_CREATE. User errors: those of `logEvents`, with the attribute names "
            'of CloudEvents in `path`, such as `["events", "3", "planningtags"]`.',
            """
            mutation {
              ingestCloudEvents(
                events: [
                  {
                    specversion: "1.0"
                    id: "42"
                    source: "/flare-monitor"
                    type: "com.acme.flare"
                    data: { volume_mcf: 150 }
                  }
                ]
              ) { accepted rejected }
            }
            """,
        )
    )
    async def ingest_cloud_events(
        self,
        info: Info,
        events: Annotated[
            list[JSON], strawberry.argument(description="CloudEvents to log, each a JSON object.")
        ],
    ) -> LogEventsPayload:
        error_payload = LogEventsPayload.check_batch_size(len(events), info.context, "events")
        if error_payload is not None:
            return error_payload
        results = await cloudevents.ingest_cloud_events(
            info.context.database, info.context.command, events
        )
        return LogEventsPayload.from_results(results, info.context, "events")
