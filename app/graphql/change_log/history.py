"""Query and subscription of the change log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import strawberry

from app.graphql.execution.subscription_execution import FollowedFeed
from app.graphql.shared.context import Info
from app.graphql.shared.nodes import parse_id_argument
from app.graphql.shared.pages import After, First, SubscribeAfter
from app.graphql.types.event_change import EventChange, EventChangeConnection
from app.graphql.types.event_filter import EventFilter, parse_event_filter
from app.services.change_log import history, subscriptions
from app.store.reading.pages import parse_page_request

FilterArgument = Annotated[
    EventFilter | None,
    strawberry.argument(description="Only changes of the events that this selects."),
]


@strawberry.type
class HistoryQueries:
    @strawberry.field(
        description="The log of all events, oldest first: deleted events too. A filter is asked "
        "about an event as it was before and as it was after the change."
    )
    async def event_changes(
        self,
        info: Info,
        filter: FilterArgument = None,
        event_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only changes of this event.")
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> EventChangeConnection:
        context = info.context
        page = await history.fetch_page(
            context.database,
            context.caller,
            parse_page_request(context.limits, first=first, after=after),
            parse_event_filter(filter, info.context.limits),
            None if event_id is None else parse_id_argument(event_id, "eventId"),
        )
        return EventChangeConnection.from_history(page)


@strawberry.type
class HistorySubscriptions:
    @strawberry.subscription(
        description="Every change of the events that the filter selects, before or after the "
        "change, in log order; so that a list can drop what left it. Resumes like "
        "`notificationAdded`."
    )
    async def event_changed(
        self, info: Info, filter: FilterArgument = None, after: SubscribeAfter = None
    ) -> AsyncIterator[EventChange]:
        context = info.context
        event_filter = parse_event_filter(filter, context.limits)
        feed = await subscriptions.subscribe_to_changes(
            context.database, context.caller, event_filter, context.resume_cursor(after)
        )
        return FollowedFeed(feed, EventChange.from_entry)
