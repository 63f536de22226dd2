"""Query and subscription of the change log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

import strawberry

from app.domain.events import filters
from app.domain.events.state import EventChangeKind
from app.domain.shared.limits import Limits
from app.graphql.execution.subscription_execution import FollowedFeed
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.nodes import parse_id_argument
from app.graphql.shared.pages import After, First, SubscribeAfter
from app.graphql.types.event_change import EventChange, EventChangeConnection
from app.graphql.types.event_inputs import (
    EventFilter,
    FilterPath,
    TimeRange,
    parse_checked_filter,
)
from app.services.change_log import history, subscriptions
from app.store.reading.pages import parse_page_request

FilterArgument = Annotated[
    EventFilter | None,
    strawberry.argument(
        description="Conditions on the events. An entry matches if the event meets the conditions "
        "before or after the change. All events if omitted."
    ),
]


@strawberry.input(
    description=with_example(
        "Conditions on changes in the change log. A change must meet all given conditions; a "
        "condition that is null or omitted is ignored, and an empty list matches no change. By "
        "default, a list can have at most 100 values; otherwise the error is `BAD_USER_INPUT`.",
        """
        { kinds: [DELETED], actors: ["nightly-cleanup"], at: { from: "2026-04-10T00:00:00Z" } }
        """,
    )
)
class EventChangeFilter:
    kinds: list[EventChangeKind] | None = strawberry.field(
        default=None, description="Kinds of change, one of which the change must have."
    )
    actors: list[str] | None = strawberry.field(
        default=None, description="Actors (`EventChange.actor`), one of whom made the change."
    )
    at: TimeRange | None = strawberry.field(
        default=None, description="Time range in which the change was made."
    )
    event_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="IDs of the existing or deleted events that were changed."
    )

    def to_domain(self, limits: Limits) -> filters.EventChangeFilter:
        """Converts the filter. Raises RequestError BAD_USER_INPUT with a path if it is invalid."""
        path = FilterPath(limits, ("changes",))
        return filters.EventChangeFilter(
            kinds=path.check_size(self.kinds, "kinds"),
            actors=path.check_texts(self.actors, "actors"),
            at=None if self.at is None else self.at.to_domain(),
            event_ids=path.parse_ids(self.event_ids, "eventIds"),
        )


@strawberry.type
class HistoryQueries:
    @strawberry.field(
        description=with_example(
            "Entries about events in the change log, oldest first, including entries about "
            "deleted events. Pruned entries are missing. With conditions, at most 10,000 entries "
            "are examined per page, or 200,000 if `filter` is omitted, so a page can be short or "
            "empty even though `hasNextPage` is true: continue with `endCursor`.\n\n"
            "Requires EVENT_READ. Request errors: `INVALID_CURSOR`, `CURSOR_EXPIRED` if entries "
            "after the cursor have been pruned, `BAD_USER_INPUT`.",
            """
            {
              eventChanges(changes: { kinds: [ACKNOWLEDGED, DELETED] }, first: 50) {
                edges { cursor node { at kind actor eventId changedFields } }
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
        changes: Annotated[
            EventChangeFilter | None,
            strawberry.argument(
                description="Conditions on the changes themselves. All changes if omitted."
            ),
        ] = None,
        event_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description="ID of an existing or deleted event. Entries about all events if "
                "omitted."
            ),
        ] = None,
        complete: Annotated[
            bool,
            strawberry.argument(
                description="Whether the list ends where no earlier entry can be added. An entry "
                "of a transaction that commits late is inserted before later ones: a client that "
                "stores `endCursor` and reads what is new the next time would miss it, unless "
                "`complete` is true. Then, `endCursor` of the last page is the end of the list, "
                "even if the page is empty."
            ),
        ] = False,
        first: First = 20,
        after: After = None,
    ) -> EventChangeConnection:
        context = info.context
        event_filter = await parse_checked_filter(filter, context)
        page = await history.fetch_page(
            context.database,
            context.caller,
            parse_page_request(context.limits, first=first, after=after),
            event_filter,
            _parse_change_filter(changes, event_id, context.limits),
            complete=complete,
        )
        return EventChangeConnection.from_history(page, event_filter)


def _parse_change_filter(
    changes: EventChangeFilter | None, event_id: str | None, limits: Limits
) -> filters.EventChangeFilter:
    change_filter = filters.ALL_CHANGES if changes is None else changes.to_domain(limits)
    if event_id is None:
        return change_filter
    parsed_id = parse_id_argument(event_id, "eventId")
    is_selected = change_filter.event_ids is None or parsed_id in change_filter.event_ids
    return replace(change_filter, event_ids=(parsed_id,) if is_selected else ())


@strawberry.type
class HistorySubscriptions:
    @strawberry.subscription(
        description=with_example(
            "Delivers every change to events, in the order of the change log. `EventChangeKind` "
            "lists the kinds of change. With a filter, a change is delivered if the event meets "
            "the conditions before or after the change; `transition` says whether the event "
            "entered or left the list of the events that meet them. To resume without a gap after "
            "a lost connection, pass the last received cursor as `after`: the changes since then "
            "are delivered first.\n\n"
            "Requires EVENT_READ. Request errors: `INVALID_CURSOR`, `CURSOR_EXPIRED` if entries "
            "after the cursor have been pruned, `BAD_USER_INPUT`.",
            """
            subscription {
              eventChanged(filter: { severities: [ERROR, WARN] }) {
                cursor
                transition
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
        event_filter = await parse_checked_filter(filter, context)
        feed = await subscriptions.subscribe_to_changes(
            context.database, context.caller, event_filter, context.resume_cursor(after)
        )
        return FollowedFeed(
            feed, lambda cursor, entry: EventChange.from_entry(cursor, entry, event_filter)
        )
