"""Query and subscription of the change log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import strawberry

from app.graphql.execution.subscription_execution import FollowedFeed
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.nodes import parse_id_argument
from app.graphql.shared.pages import After, First, SubscribeAfter
from app.graphql.types.event_change import EventChange, EventChangeConnection
from app.graphql.types.event_filter import EventFilter, parse_event_filter
from app.services.change_log import history, subscriptions
from app.store.reading.pages import parse_page_request

FilterArgument = Annotated[
    EventFilter | None,
    strawberry.argument(
        description="Filter that selects the events. An entry matches if the filter selects the "
        "event before or after the change. Null selects all events."
    ),
]


@strawberry.type
class HistoryQueries:
    @strawberry.field(
        description=with_example(
            "Entries of the change log of events, oldest first, including those of deleted events. "
            "Entries that the server has pruned are missing. With a filter, one request reads at "
            "most 10,000 entries: a page can then have fewer entries than `first`, or none, while "
            "`hasNextPage` is true. Continue with `endCursor`.\n\n"
            "Requires EVENT_READ. Request errors: `INVALID_CURSOR`, `CURSOR_EXPIRED` if entries "
            "after the cursor have been pruned, `BAD_USER_INPUT`.",
            """
            {
              eventChanges(filter: { severities: [ERROR] }, first: 50) {
                edges { cursor node { at kind actor eventId changes } }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        )
    )
    async def event_changes(
        self,
        info: Info,
        filter: FilterArgument = None,
        event_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description="ID of an event, also of a deleted one. Null returns the entries of "
                "all events."
            ),
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
        description=with_example(
            "Delivers every change of an event, in the order of the change log: events that are "
            "logged, updated, acknowledged, correlated, counted as duplicates or deleted. With a "
            "filter, an entry is delivered if the filter selects the event before or after the "
            "change, so that a list can remove an event that no longer matches. To resume without "
            "a gap, pass the `cursor` of the last entry as `after`.\n\n"
            "Requires EVENT_READ. Request errors: `INVALID_CURSOR`, `CURSOR_EXPIRED` if entries "
            "after the cursor have been pruned, `BAD_USER_INPUT`.",
            """
            subscription {
              eventChanged(filter: { severities: [ERROR, WARN] }) {
                cursor
                kind
                eventId
                event { id summary severity acknowledged }
              }
            }
            """,
        )
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
