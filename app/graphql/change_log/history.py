"""The change log as clients read and follow it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import strawberry

from app.graphql.execution.subscription_execution import Followed
from app.graphql.shared.context import Info
from app.graphql.shared.nodes import wanted_id
from app.graphql.shared.pages import After, First, Since
from app.graphql.types.event_change import EventChange, EventChangeConnection
from app.graphql.types.event_filter import EventFilter, selected
from app.services.change_log import history, subscriptions
from app.store.reading.pages import page_request

Filter = Annotated[
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
        filter: Filter = None,
        event_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only changes of this event.")
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> EventChangeConnection:
        context = info.context
        page = await history.page(
            context.database,
            context.caller,
            page_request(context.limits, first=first, after=after),
            selected(filter, info.context.limits),
            None if event_id is None else wanted_id(event_id, "eventId"),
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
        self, info: Info, filter: Filter = None, after: Since = None
    ) -> AsyncIterator[EventChange]:
        context = info.context
        wanted = selected(filter, context.limits)
        following = await subscriptions.events_changed(
            context.database, context.caller, wanted, context.behind(after)
        )
        return Followed(following, EventChange.from_entry)
