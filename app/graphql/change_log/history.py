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
from app.graphql.types.event_inputs import EventFilter, parse_event_filter
from app.services.change_log import history, subscriptions
from app.store.reading.pages import parse_page_request

FilterArgument = Annotated[
    EventFilter | None,
    strawberry.argument(
        description="Conditions on the events. An entry matches if the event meets the conditions "
        "before or after the change. All events if omitted."
    ),
]


@strawberry.type
class HistoryQueries:
    @strawberry.field(
        description=with_example(
            "Entries about events in the change log, oldest first, including entries about "
            "deleted events. Pruned entries are missing. With a filter, at most 10,000 entries "
            "are examined per page, so a page can be short or empty even though `hasNextPage` is "
            "true: continue with `endCursor`.\n\n"
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
                description="ID of an existing or deleted event. Entries about all events if "
                "omitted."
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
            "Delivers every change to events, in the order of the change log. `EventChangeKind` "
            "lists the kinds of change. With a filter, a change is delivered if the event meets "
            "the conditions before or after the change, so that a list can remove an event that "
            "no longer meets them. To resume without a gap after a lost connection, pass the last "
            "received cursor as `after`: the changes since then are delivered first.\n\n"
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
